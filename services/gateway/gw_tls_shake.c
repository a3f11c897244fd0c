/* Handshakes, in their turn; see gw_tls.h. */
#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "services/gateway/gw_tls_conn.h"
#include "services/gateway/gw_write.h"

#include <malloc.h>
#include <openssl/err.h>
#include <sodium.h>
#include <string.h>

enum { STORM = 64 }; /* handshakes at once whose memory is given back to the system afterwards */

/* ---- OpenSSL's way to the bytes: one BIO for all, its data is gateway.tls ---- */

static int bio_read(BIO *bio, char *out, int want)
{
    struct gw_tls_all *all = BIO_get_data(bio);
    size_t n = all->feed_len < (size_t)want ? all->feed_len : (size_t)want;
    BIO_clear_retry_flags(bio);
    if (n == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    memcpy(out, all->feed, n);
    all->feed += n;
    all->feed_len -= n;
    return (int)n;
}

static int bio_write(BIO *bio, const char *data, int len)
{
    struct gw_tls_all *all = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    pgn_buf_append(&all->sent, data, (size_t)len);
    return len;
}

static long bio_ctrl(BIO *bio, int what, long number, void *pointer)
{
    (void)bio, (void)number, (void)pointer;
    return what == BIO_CTRL_FLUSH;
}

void gw_tls_collect(struct gw_tls *t)
{
    struct gw_tls_all *all = t->conn->gw->tls;
    if (!all->sent.len)
        return;
    gw_tls_put(t, all->sent.data, all->sent.len);
    pgn_buf_clear(&all->sent);
    gw_write_later(t->conn);
    if (t->out.len > GW_TLS_OUT_MAX && !t->ended) { /* a peer that does not read makes it answer: renegotiations, one after the other */
        t->bye = true;
        gw_tls_broken(t, 0);
    }
}

/* ---- the traffic secrets, and how many records were sent under ours ---- */

static bool take_secret(struct gw_tls_way *w, const char *hex)
{
    size_t len = 0;
    const char *end = NULL;
    int e = sodium_hex2bin(w->secret, sizeof w->secret, hex, strlen(hex), NULL, &len, &end);
    w->secret_len = (uint8_t)len;
    w->number = 0;
    return e == 0 && *end == '\0';
}

static void on_secret(const SSL *ssl, const char *line)
{
    const struct gw_conn *c = SSL_get_app_data(ssl);
    const char *hex = strrchr(line, ' ');
    if (strncmp(line, "CLIENT_TRAFFIC_SECRET_0 ", 24) == 0)
        c->tls->have_rx = take_secret(&c->tls->rx, hex + 1);
    else if (strncmp(line, "SERVER_TRAFFIC_SECRET_0 ", 24) == 0)
        c->tls->have_tx = take_secret(&c->tls->tx, hex + 1);
}

static void on_record(int write, int version, int type, const void *data, size_t len, SSL *ssl, void *arg)
{
    const struct gw_conn *c = SSL_get_app_data(ssl);
    (void)version, (void)data, (void)len, (void)arg;
    if (write && type == SSL3_RT_HEADER && c && c->tls->have_tx)
        c->tls->tx.number++;
}

static bool is_mqtt(const SSL *ssl)
{
    const struct gw_conn *c = SSL_get_app_data(ssl);
    return c->tls->mqtt;
}

static void on_reload(void)
{
    gw_count(GW_M_TLS_RELOADS, 1);
}

/* ---- the queue ---- */

static void take_out(struct gw_tls_all *all, struct gw_tls *t)
{
    if (t->state == GW_TLS_QUEUED)
        all->waiting--;
    pgn_list_remove(&t->node);
}

void gw_tls_shake_queue(struct gw_tls *t)
{
    struct gw_tls_all *all = t->conn->gw->tls;
    take_out(all, t);
    t->state = GW_TLS_QUEUED;
    pgn_list_append(t->ssl ? &all->going : &all->fresh, &t->node);
    all->waiting++;
}

void gw_tls_shake_leave(struct gw_tls *t)
{
    struct gw_tls_all *all = t->conn->gw->tls;
    if (t->state >= GW_TLS_OPEN)
        return;
    take_out(all, t);
    t->state = GW_TLS_OPEN;
    all->opening--;
    if (t->ssl)
        all->started--;
}

static void begin(struct gw_tls_all *all, struct gw_tls *t)
{
    t->ssl = SSL_new(all->context.now);
    if (!t->ssl)
        abort(); /* no memory: as pgn_malloc */
    SSL_set_app_data(t->ssl, t->conn);
    BIO_up_ref(all->bio);
    SSL_set_bio(t->ssl, all->bio, all->bio);
    SSL_set_accept_state(t->ssl);
    t->since_ms = (uint32_t)pgn_loop_now_ms(all->gw->loop);
    all->started++;
    all->objects++;
}

static void failed(struct gw_tls *t)
{
    struct gw_conn *c = t->conn;
    t->bye = true; /* OpenSSL has said why */
    (void)gw_tls_send(c, NULL, 0);
    gw_conn_drop(c);
}

static unsigned records_in(const uint8_t *data, size_t len)
{
    unsigned count = 0;
    int n;
    for (size_t at = 0; (n = gw_tls_record_length(data + at, len - at)) > 0 && at + (size_t)n <= len; at += (size_t)n)
        count++;
    return count;
}

/*
 * Takes the records over from OpenSSL. It has sent tickets under the new key, and nothing else since the last message came: two counts of
 * them, of its own reports and of what is on the wire, must agree. Else, and with TLS 1.2, it keeps them.
 */
static bool take_over(struct gw_tls *t, unsigned records_sent)
{
    const struct gateway *gw = t->conn->gw;
    uint64_t number = t->tx.number;
    struct gw_tls_way rx, tx;
    unsigned suite = SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(t->ssl));
    if (!gw->config->gateway_tls_own_records || SSL_version(t->ssl) != TLS1_3_VERSION || !t->have_rx || !t->have_tx ||
        number != records_sent || SSL_pending(t->ssl))
        return false;
    if (!gw_tls_way_init(&rx, suite, t->rx.secret, t->rx.secret_len) || !gw_tls_way_init(&tx, suite, t->tx.secret, t->tx.secret_len))
        return false;
    tx.number = number;
    t->rx = rx;
    t->tx = tx;
    gw_tls_way_wipe(&rx);
    gw_tls_way_wipe(&tx);
    SSL_free(t->ssl);
    t->ssl = NULL;
    gw->tls->objects--;
    return true;
}

static void established(struct gw_tls *t, unsigned records_sent)
{
    gw_count(GW_M_TLS_HANDSHAKES, 1);
    gw_count(GW_M_TLS_RESUMED, SSL_session_reused(t->ssl));
    gw_tls_shake_leave(t);
    t->since_ms = (uint32_t)pgn_loop_now_ms(t->conn->gw->loop);
    if (!take_over(t, records_sent)) {
        t->state = GW_TLS_OPENSSL;
        gw_tls_way_wipe(&t->rx);
        gw_tls_way_wipe(&t->tx);
    }
    if (!t->in.len)
        return;
    t->kick = true;
    gw_conn_read(t->conn);
}

/* One message of the client, and our answer. */
static void step(struct gw_tls_all *all, struct gw_tls *t)
{
    bool broken;
    take_out(all, t);
    t->state = GW_TLS_NEW; /* in no list */
    if (!t->ssl)
        begin(all, t);
    all->feed = t->in.data;
    all->feed_len = gw_tls_whole(t->in.data, t->in.len, &broken);
    size_t fed = all->feed_len;
    ERR_clear_error();
    int r = SSL_do_handshake(t->ssl);
    int why = r == 1 ? SSL_ERROR_NONE : SSL_get_error(t->ssl, r);
    unsigned records = records_in(all->sent.data, all->sent.len);
    pgn_buf_drop_front(&t->in, fed - all->feed_len);
    if (!t->in.len)
        pgn_buf_release(&t->in);
    all->feed_len = 0;
    gw_tls_collect(t);
    ERR_clear_error();
    if (r == 1) {
        established(t, records);
        return;
    }
    if (why != SSL_ERROR_WANT_READ) {
        failed(t);
        return;
    }
    t->state = GW_TLS_SHAKING;
    pgn_list_append(&all->shaking, &t->node);
}

/* The one whose turn it is, or NULL. */
static struct gw_tls *next(struct gw_tls_all *all)
{
    if (!pgn_list_empty(&all->going))
        return PGN_CONTAINER(all->going.next, struct gw_tls, node);
    if (pgn_list_empty(&all->fresh))
        return NULL;
    if (all->started >= GW_TLS_STARTED) {
        if (pgn_list_empty(&all->shaking))
            return NULL;
        struct gw_tls *oldest = PGN_CONTAINER(all->shaking.next, struct gw_tls, node);
        if ((uint32_t)pgn_loop_now_ms(all->gw->loop) - oldest->since_ms < GW_TLS_SLOW_MS)
            return NULL;
        failed(oldest);
    }
    return pgn_list_empty(&all->fresh) ? NULL : PGN_CONTAINER(all->fresh.next, struct gw_tls, node);
}

void gw_tls_turn(struct gateway *gw)
{
    struct gw_tls_all *all = gw->tls;
    if (!all)
        return;
    uint64_t budget = (uint64_t)gw->config->gateway_tls_turn_us, begun = all->waiting ? pgn_mono_us() : 0;
    struct gw_tls *t;
    while ((t = next(all)) != NULL) {
        step(all, t);
        if (budget && pgn_mono_us() - begun >= budget) {
            pgn_loop_again(gw->loop);
            break;
        }
    }
    pgn_metric_set(&gw_metrics[GW_M_TLS_WAITING], all->waiting);
    pgn_metric_set(&gw_metrics[GW_M_TLS_OPENSSL], all->objects);
    if (!all->opening && all->peak >= STORM) {
        all->peak = 0;
        malloc_trim(0);
    }
}

int gw_tls_shake_start(struct gw_tls_all *all)
{
    static const struct gw_tls_hooks hooks = {on_secret, on_record, is_mqtt, on_reload};
    pgn_list_init(&all->fresh);
    pgn_list_init(&all->going);
    pgn_list_init(&all->shaking);
    int e = gw_tls_context_init(&all->context, all->gw->config, all->gw->loop, &hooks);
    if (e)
        return e;
    all->method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "gateway");
    all->bio = all->method && BIO_meth_set_read(all->method, bio_read) && BIO_meth_set_write(all->method, bio_write) &&
                       BIO_meth_set_ctrl(all->method, bio_ctrl)
                   ? BIO_new(all->method)
                   : NULL;
    if (!all->bio)
        return PGN_E_IO;
    BIO_set_data(all->bio, all);
    BIO_set_init(all->bio, 1);
    return 0;
}

void gw_tls_shake_stop(struct gw_tls_all *all)
{
    gw_tls_context_release(&all->context);
    BIO_free(all->bio);
    BIO_meth_free(all->method);
    pgn_buf_release(&all->sent);
}
