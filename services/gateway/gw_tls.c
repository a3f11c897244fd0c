/* Sockets with TLS: reading, writing, the end. Handshakes: gw_tls_shake.c. See gw_tls.h. */
#include "services/gateway/gw_tls.h"

#include "common/base/alloc.h"
#include "common/base/error.h"
#include "common/svc/log.h"
#include "services/gateway/gw_tls_conn.h"
#include "services/gateway/gw_write.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { UPDATES_MAX = 4 /* key updates in one read: each costs what 30 small records do */ };

static const uint8_t key_update[] = {24, 0, 0, 1, 0}; /* wants none in return; one that does ends in 1 */

/* ---- life ---- */

int gw_tls_start(struct gateway *gw)
{
    if (!gw->config->gateway_tls_port && !gw->config->gateway_mqtt_tls_port)
        return 0;
    struct gw_tls_all *all = pgn_calloc(1, sizeof *all);
    gw->tls = all;
    all->gw = gw;
    all->ciphers = gw_tls_ciphers_new();
    if (!all->ciphers) {
        pgn_log(PGN_ERR, "this OpenSSL lacks a cipher of TLS 1.3");
        return PGN_E_IO;
    }
    return gw_tls_shake_start(all);
}

void gw_tls_stop(struct gateway *gw)
{
    if (!gw->tls)
        return;
    gw_tls_shake_stop(gw->tls);
    gw_tls_ciphers_free(&gw->tls->ciphers);
    free(gw->tls);
    gw->tls = NULL;
}

bool gw_tls_full(const struct gateway *gw)
{
    return gw->tls->opening >= (uint64_t)gw->config->limits_tls_handshakes;
}

void gw_tls_new(struct gw_conn *c, bool mqtt)
{
    struct gw_tls_all *all = c->gw->tls;
    struct gw_tls *t = pgn_calloc(1, sizeof *t);
    t->conn = c;
    t->mqtt = mqtt;
    c->tls = t;
    all->opening++;
    if (all->peak < all->opening)
        all->peak = all->opening;
}

static void forget(struct gw_conn *c)
{
    struct gw_tls *t = c->tls;
    if (t->state < GW_TLS_OPEN && (t->ssl || t->in.len || t->ended))
        gw_count(GW_M_TLS_FAILED, 1); /* not those who only looked whether somebody listens */
    gw_tls_shake_leave(t);
    if (t->ssl)
        c->gw->tls->objects--;
    SSL_free(t->ssl);
    pgn_buf_release(&t->in);
    pgn_buf_release(&t->out);
    gw_tls_way_wipe(&t->rx);
    gw_tls_way_wipe(&t->tx);
    free(t);
    c->tls = NULL;
}

void gw_tls_end(struct gw_conn *c)
{
    if (!c->tls)
        return;
    gw_tls_bye(c);
    if (c->tls->out.len)
        (void)send(c->io.fd, c->tls->out.data, c->tls->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    forget(c);
}

bool gw_tls_waiting(const struct gw_conn *c)
{
    return c->tls && c->tls->out.len;
}

uint32_t gw_tls_stands_ms(const struct gw_conn *c, uint64_t now_ms)
{
    return gw_tls_waiting(c) && c->tls->state >= GW_TLS_OPEN ? (uint32_t)now_ms - c->tls->since_ms : 0;
}

bool gw_tls_ended(const struct gw_conn *c)
{
    return c->tls && c->tls->ended;
}

/* ---- writing ---- */

/* The socket took something, or something new waits for it. */
static void moved(struct gw_tls *t)
{
    if (t->state >= GW_TLS_OPEN) /* before: when the handshake began */
        t->since_ms = (uint32_t)pgn_loop_now_ms(t->conn->gw->loop);
}

void gw_tls_put(struct gw_tls *t, const void *data, size_t len)
{
    if (!t->out.len)
        moved(t);
    pgn_buf_append(&t->out, data, len);
}

/* One record of ours behind `out`: an alert, a key update. */
static void say(struct gw_tls *t, uint8_t type, const uint8_t *data, size_t len)
{
    uint8_t record[GW_TLS_EXTRA + 8];
    size_t n = gw_tls_seal(t->conn->gw->tls->ciphers, &t->tx, type, data, len, record);
    gw_tls_put(t, record, n);
    gw_write_later(t->conn);
}

/*
 * New keys of ours, which the peer asked for: at once, or when what waits is on the wire, once however often it asked (RFC 8446, 4.6.3):
 * who asks and never reads would else let `out` grow. Before the next data in any case: nothing is sealed while something waits.
 */
static void answer_update(struct gw_tls *t)
{
    if (!t->owes_update || t->out.len || t->bye)
        return;
    t->owes_update = false;
    say(t, GW_TLS_HANDSHAKE, key_update, sizeof key_update);
    gw_tls_way_update(&t->tx);
}

void gw_tls_bye(struct gw_conn *c)
{
    struct gw_tls *t = c->tls;
    if (!t || t->bye || t->state < GW_TLS_OPEN)
        return;
    t->bye = true;
    if (t->state == GW_TLS_OPEN) {
        say(t, GW_TLS_ALERT, (const uint8_t[]){t->alert ? 2 : 1, t->alert}, 2);
    } else {
        ERR_clear_error();
        (void)SSL_shutdown(t->ssl);
        gw_tls_collect(t);
    }
}

/* Sends bytes; what the socket does not take goes to `out`. False: the socket is broken. */
static bool push(struct gw_tls *t, const uint8_t *data, size_t len)
{
    ssize_t n;
    do
        n = send(t->conn->io.fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno != EAGAIN)
        return false;
    size_t sent = n > 0 ? (size_t)n : 0;
    if (sent < len)
        gw_tls_put(t, data + sent, len - sent);
    return true;
}

/* False with errno: EAGAIN while something still waits. */
static bool flush(struct gw_tls *t)
{
    for (answer_update(t); t->out.len; answer_update(t)) {
        ssize_t n = send(t->conn->io.fd, t->out.data, t->out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        pgn_buf_drop_front(&t->out, (size_t)n);
        moved(t);
    }
    pgn_buf_release(&t->out);
    return true;
}

/* Up to max bytes of the iovec, from *skip of its first; both move on. */
static size_t gather(const struct iovec **iov, int *count, size_t *skip, uint8_t *out, size_t max)
{
    size_t len = 0;
    while (*count && len < max) {
        size_t n = (*iov)->iov_len - *skip;
        n = n < max - len ? n : max - len;
        memcpy(out + len, (const uint8_t *)(*iov)->iov_base + *skip, n);
        len += n;
        *skip += n;
        if (*skip == (*iov)->iov_len) {
            ++*iov;
            --*count;
            *skip = 0;
        }
    }
    return len;
}

/* Fills `wire` with records; returns what they hold, *ret_wire how long they are. */
static size_t seal_some(struct gw_tls *t, const struct iovec *iov, int count, size_t *ret_wire)
{
    struct gw_tls_all *all = t->conn->gw->tls;
    size_t taken = 0, at = 0, skip = 0;
    while (count && sizeof all->wire - at >= 2 * (size_t)GW_TLS_RECORD_MAX) {
        if (gw_tls_way_worn(&t->tx)) {
            at += gw_tls_seal(all->ciphers, &t->tx, GW_TLS_HANDSHAKE, key_update, sizeof key_update, all->wire + at);
            gw_tls_way_update(&t->tx);
        }
        uint8_t *text = all->wire + at + GW_TLS_HEAD;
        size_t n = gather(&iov, &count, &skip, text, GW_TLS_PLAIN_MAX);
        at += gw_tls_seal(all->ciphers, &t->tx, GW_TLS_DATA, text, n, all->wire + at);
        taken += n;
    }
    *ret_wire = at;
    return taken;
}

/* The same by OpenSSL: into `sent`. */
static size_t write_some(struct gw_tls *t, const struct iovec *iov, int count)
{
    struct gw_tls_all *all = t->conn->gw->tls;
    size_t taken = 0, skip = 0;
    while (count && taken < 3 * (size_t)GW_TLS_PLAIN_MAX) {
        size_t n = gather(&iov, &count, &skip, all->wire, GW_TLS_PLAIN_MAX), done = 0;
        ERR_clear_error();
        if (SSL_write_ex(t->ssl, all->wire, n, &done) != 1 || done != n)
            break; /* cannot be: its BIO takes all */
        taken += n;
    }
    return taken;
}

ssize_t gw_tls_send(struct gw_conn *c, const struct iovec *iov, int count)
{
    struct gw_tls *t = c->tls;
    struct gw_tls_all *all = c->gw->tls;
    if (!flush(t))
        return -1;
    if (!count)
        return 0;
    if (t->state < GW_TLS_OPEN || t->bye) {
        errno = EPIPE; /* what is said to a client that never finished its handshake cannot be told */
        return -1;
    }
    size_t taken, wire = 0;
    bool ok;
    if (t->state == GW_TLS_OPEN) {
        taken = seal_some(t, iov, count, &wire);
        ok = push(t, all->wire, wire);
    } else {
        taken = write_some(t, iov, count);
        ok = push(t, all->sent.data, all->sent.len);
        pgn_buf_clear(&all->sent);
    }
    if (ok && !taken)
        errno = EPIPE;
    return ok && taken ? (ssize_t)taken : -1;
}

/* ---- reading ---- */

size_t gw_tls_whole(const uint8_t *data, size_t len, bool *ret_broken)
{
    size_t at = 0;
    int n;
    while ((n = gw_tls_record_length(data + at, len - at)) > 0 && at + (size_t)n <= len)
        at += (size_t)n;
    *ret_broken = n < 0;
    return at;
}

static void keep(struct gw_tls *t, const uint8_t *data, size_t len)
{
    pgn_buf_release(&t->in);
    if (!len)
        return;
    t->in.data = pgn_memdup(data, len); /* exactly: some wait long */
    t->in.len = t->in.cap = len;
}

void gw_tls_broken(struct gw_tls *t, int alert)
{
    if (t->state >= GW_TLS_OPEN)
        gw_count(GW_M_TLS_BROKEN, 1);
    t->alert = (uint8_t)alert;
    t->ended = true;
}

static void on_handshake_message(struct gw_tls *t, const uint8_t *data, size_t len, unsigned *updates)
{
    if (len != sizeof key_update || memcmp(data, key_update, 4) != 0 || data[4] > 1 || ++*updates > UPDATES_MAX) {
        gw_tls_broken(t, GW_TLS_UNEXPECTED);
        return;
    }
    gw_tls_way_update(&t->rx);
    if (!data[4])
        return;
    t->owes_update = true;
    answer_update(t);
}

static void on_alert(struct gw_tls *t, const uint8_t *data, size_t len)
{
    if (len == 2 && data[1] == GW_TLS_USER_CANCELED)
        return; /* close_notify follows */
    t->ended = true;
    if (len != 2 || data[1] != GW_TLS_CLOSE_NOTIFY)
        gw_count(GW_M_TLS_BROKEN, 1);
}

/* Whole records, opened one behind the other into out. Returns how much they held; *used of len is done. */
static size_t open_some(struct gw_tls *t, const uint8_t *data, size_t len, uint8_t *out, size_t *used)
{
    struct gw_tls_ciphers *ciphers = t->conn->gw->tls->ciphers;
    size_t got = 0, at = 0;
    unsigned updates = 0;
    int n;
    while (!t->ended && (n = gw_tls_record_length(data + at, len - at)) != 0) {
        if (n > 0 && at + (size_t)n > len)
            break;
        uint8_t type = 0;
        size_t held = 0;
        int alert = n < 0 ? GW_TLS_DECODE : gw_tls_open(ciphers, &t->rx, data + at, (size_t)n, out + got, &type, &held);
        if (alert)
            gw_tls_broken(t, alert);
        else if (type == GW_TLS_DATA)
            got += held;
        else if (type == GW_TLS_HANDSHAKE)
            on_handshake_message(t, out + got, held, &updates);
        else if (type == GW_TLS_ALERT)
            on_alert(t, out + got, held);
        else
            gw_tls_broken(t, GW_TLS_UNEXPECTED);
        at += n > 0 ? (size_t)n : 0;
    }
    *used = at;
    return got;
}

/* The same by OpenSSL. */
static size_t read_some(struct gw_tls *t, const uint8_t *data, size_t len, uint8_t *out, size_t *used)
{
    struct gw_tls_all *all = t->conn->gw->tls;
    bool bad;
    size_t got = 0;
    *used = gw_tls_whole(data, len, &bad);
    all->feed = data;
    all->feed_len = *used;
    for (;;) {
        ERR_clear_error();
        int n = SSL_read(t->ssl, out + got, (int)(GW_READ_BYTES - got));
        if (n > 0) {
            got += (size_t)n;
            continue;
        }
        int why = SSL_get_error(t->ssl, n);
        if (why == SSL_ERROR_ZERO_RETURN) {
            t->ended = true;
        } else if (why != SSL_ERROR_WANT_READ) {
            t->bye = true; /* OpenSSL has said why */
            gw_tls_broken(t, 0);
        } else if (bad) {
            gw_tls_broken(t, 0);
        }
        break;
    }
    ERR_clear_error();
    all->feed_len = 0;
    gw_tls_collect(t);
    return got;
}

/* What may wait of a client. While its handshake has not begun: as much as a hello takes without TLS, and a record. */
static size_t held_max(const struct gw_tls *t)
{
    size_t hello = (size_t)t->conn->gw->config->limits_hello_bytes + GW_TLS_RECORD_MAX;
    return t->ssl || hello > GW_TLS_HELD_MAX ? GW_TLS_HELD_MAX : hello;
}

/* Before there is TLS. False: there will be none. */
static bool handshake_bytes(struct gw_tls *t, const uint8_t *data, size_t len)
{
    bool bad;
    size_t whole = gw_tls_whole(data, len, &bad);
    if (bad || len > held_max(t) || (t->state == GW_TLS_NEW && data[0] != GW_TLS_HANDSHAKE))
        return false;
    keep(t, data, len);
    if (whole && t->state != GW_TLS_QUEUED)
        gw_tls_shake_queue(t);
    return true;
}

/* Somebody speaks HTTP to this port: told so in HTTP, like others do. */
static void refuse_plain(struct gw_conn *c)
{
    static const struct gw_http_refusal plain = {400, "this port speaks TLS: use wss:// or https://", NULL};
    c->tls->ended = true;
    forget(c);
    gw_conn_refuse_http(c, &plain, 0);
}

/* Bytes of the socket behind those held, in `raw`: how many in all; 0 at the end, -1 with errno. */
static ssize_t receive(struct gw_tls *t)
{
    struct gw_tls_all *all = t->conn->gw->tls;
    size_t held = t->in.len;
    ssize_t n = 0;
    if (held)
        memcpy(all->raw, t->in.data, held);
    if (t->kick) {
        t->kick = false;
        return (ssize_t)held;
    }
    n = recv(t->conn->io.fd, all->raw + held, sizeof all->raw - held, 0);
    return n <= 0 ? n : n + (ssize_t)held;
}

ssize_t gw_tls_recv(struct gw_conn *c, uint8_t *ret)
{
    struct gw_tls *t = c->tls;
    struct gw_tls_all *all = c->gw->tls;
    ssize_t n = t->ended ? 0 : receive(t);
    if (n <= 0)
        return n;
    size_t len = (size_t)n, used = 0, got = 0;
    if (t->state < GW_TLS_OPEN) {
        errno = EAGAIN;
        if (handshake_bytes(t, all->raw, len))
            return -1;
        if (t->state == GW_TLS_NEW && !t->mqtt && all->raw[0] >= 'A' && all->raw[0] <= 'Z') {
            refuse_plain(c);
            errno = EAGAIN;
            return -1;
        }
        gw_tls_broken(t, 0);
        return 0;
    }
    got = t->state == GW_TLS_OPEN ? open_some(t, all->raw, len, ret, &used) : read_some(t, all->raw, len, ret, &used);
    keep(t, all->raw + used, len - used);
    if (t->ended)
        gw_write_later(c);
    errno = EAGAIN;
    return got ? (ssize_t)got : t->ended ? 0 : -1;
}
