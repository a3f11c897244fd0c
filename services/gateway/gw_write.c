/* Writing to clients; see gw_write.h and gw_conn.h. */
#include "services/gateway/gw_write.h"

#include "common/base/error.h"
#include "services/gateway/gw_loss.h"
#include "services/gateway/gw_mqtt.h"
#include "services/gateway/gw_mqtt_will.h"
#include "services/gateway/gw_tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

enum {
    IOV_MAX_HERE = 64,
    STUCK_MS = 30000,
};

void gw_write_later(struct gw_conn *c)
{
    if (c->dirty || c->state == GW_CLOSED)
        return;
    c->dirty = true;
    c->next_dirty = c->gw->dirty;
    c->gw->dirty = c;
}

static void queue(struct gw_conn *c, struct gw_frame *f)
{
    gw_outq_push(&c->out, f, pgn_loop_now_ms(c->gw->loop));
    gw_write_later(c);
}

static void queue_own(struct gw_conn *c, struct gw_frame *f)
{
    queue(c, f);
    gw_frame_unref(&f);
}

bool gw_conn_push(struct gw_conn *c, struct gw_frame *f, bool live)
{
    size_t waits = gw_outq_bytes(c->out), bound = (size_t)c->gw->config->limits_queue_bytes;
    if (c->state >= GW_CLOSING || c->doomed)
        return false;
    if (live && waits >= bound) {
        gw_loss_own(c);
        gw_count(GW_M_QUEUE_DROPS, 1);
        return false;
    }
    if (waits >= 2 * bound) {
        c->doomed = true; /* closed at the turn's end: whoever called may be walking a list that it is on */
        gw_write_later(c);
        return false;
    }
    gw_count(GW_M_FRAMES_OUT, 1);
    queue(c, f);
    return true;
}

void gw_conn_answer(struct gw_conn *c, const Pigeon__ServerFrame *frame)
{
    if (c->mqtt) {
        gw_mqtt_answer(c, frame);
        return;
    }
    struct gw_shared shared = {.source = frame};
    (void)gw_conn_push(c, gw_shared_get(&shared, (enum gw_encoding)c->encoding), false);
    gw_shared_release(&shared);
}

/* protobuf-c's strings are not const; nothing writes to them. */
static char *text_of(const char *s)
{
    union {
        const char *c;
        char *m;
    } u = {s};
    return u.m;
}

void gw_conn_error(struct gw_conn *c, uint64_t id, int error, const char *text, uint64_t retry_after_ms)
{
    const struct pgn_error_info *info = pgn_error_info(error);
    Pigeon__Error e = PIGEON__ERROR__INIT;
    Pigeon__ServerFrame f = PIGEON__SERVER_FRAME__INIT;
    e.code = text_of(info->wire);
    e.text = text_of(text && *text ? text : info->text);
    e.retry = info->retry;
    e.retry_after_ms = retry_after_ms;
    f.id = id;
    f.what_case = PIGEON__SERVER_FRAME__WHAT_ERROR;
    f.error = &e;
    if (strcmp(info->wire, "rate_limited") == 0)
        gw_count(GW_M_RATE_LIMITED, 1);
    else if (strcmp(info->wire, "overloaded") == 0)
        gw_count(GW_M_OVERLOADED, 1);
    if (c->mqtt)
        gw_mqtt_error(c, id, error, text, retry_after_ms);
    else
        gw_conn_answer(c, &f);
}

void gw_conn_bye(struct gw_conn *c, const char *code, uint64_t retry_after_ms, uint16_t close_code)
{
    Pigeon__Bye bye = PIGEON__BYE__INIT;
    Pigeon__ServerFrame f = PIGEON__SERVER_FRAME__INIT;
    if (c->mqtt) {
        gw_mqtt_bye(c, code);
        return;
    }
    bye.code = text_of(code);
    bye.retry_after_ms = retry_after_ms;
    f.what_case = PIGEON__SERVER_FRAME__WHAT_BYE;
    f.bye = &bye;
    gw_conn_answer(c, &f);
    gw_conn_close(c, close_code);
}

void gw_conn_replaced(struct gw_conn *c)
{
    gw_count(GW_M_REPLACED, 1);
    gw_conn_bye(c, "replaced", 0, (uint16_t)pgn_error_info(PGN_E_CONFLICT)->ws_close);
}

void gw_conn_replaced_elsewhere(struct gw_conn *c)
{
    if (c->mqtt)
        gw_mqtt_will_goes_on(c);
    gw_conn_replaced(c);
}

void gw_conn_close(struct gw_conn *c, uint16_t code)
{
    if (c->state >= GW_CLOSING)
        return;
    if (c->state == GW_UPGRADE) {
        gw_conn_drop(c);
        return;
    }
    if (c->mqtt && !c->mqtt->ws) { /* the end of MQTT over TCP is the end of the connection */
        gw_conn_move(c, GW_FLUSH);
        gw_write_later(c);
        return;
    }
    gw_write_close(c, code);
    gw_conn_move(c, GW_CLOSING);
}

void gw_conn_refuse_http(struct gw_conn *c, const struct gw_http_refusal *refusal, unsigned retry_after_s)
{
    struct pgn_buf out = {0};
    gw_http_refuse(refusal, retry_after_s, &out);
    queue_own(c, gw_frame_raw(out.data, out.len));
    pgn_buf_release(&out);
    gw_count(GW_M_UPGRADES_REFUSED, 1);
    gw_conn_move(c, GW_FLUSH);
}

void gw_write_accept(struct gw_conn *c, const struct gw_upgrade *up)
{
    struct pgn_buf out = {0};
    gw_http_accept(up, &out);
    queue_own(c, gw_frame_raw(out.data, out.len));
    pgn_buf_release(&out);
}

void gw_write_close(struct gw_conn *c, uint16_t code)
{
    uint8_t payload[2] = {(uint8_t)(code >> 8), (uint8_t)code};
    queue_own(c, gw_frame_new(GW_WS_CLOSE, payload, sizeof payload));
}

void gw_write_ping(struct gw_conn *c)
{
    queue_own(c, gw_frame_new(GW_WS_PING, NULL, 0));
}

void gw_write_pong(struct gw_conn *c, const void *data, size_t len)
{
    struct gw_frame *f = gw_frame_new(GW_WS_PONG, data, len);
    (void)gw_conn_push(c, f, false);
    gw_frame_unref(&f);
}

void gw_write_echo(struct gw_conn *c, enum gw_ws_opcode opcode, const void *data, size_t len)
{
    queue_own(c, gw_frame_new(opcode, data, len));
}

bool gw_write_waits(const struct gw_conn *c)
{
    return c->out || gw_tls_waiting(c);
}

bool gw_write_stuck(const struct gw_conn *c, uint64_t now_ms)
{
    bool queue_stands = c->out && (uint32_t)now_ms - c->out->waiting_ms >= STUCK_MS;
    return queue_stands || gw_tls_stands_ms(c, now_ms) >= STUCK_MS;
}

void gw_write_give_up(struct gw_conn *c)
{
    gw_count(GW_M_SLOW_CLOSED, 1);
    c->doomed = false;
    gw_outq_cut(&c->out);
    gw_conn_bye(c, "overloaded", 1000, (uint16_t)pgn_error_info(PGN_E_OVERLOADED)->ws_close);
    if (c->state != GW_CLOSED && c->state != GW_FLUSH)
        gw_conn_move(c, GW_FLUSH);
}

/* ---- the turn's end ---- */

static void want_write(struct gw_conn *c, bool want)
{
    if (c->wants_write == want)
        return;
    c->wants_write = want;
    uint32_t others = c->io.events & ~(uint32_t)(PGN_WRITE | PGN_LATE);
    pgn_io_want(c->gw->loop, &c->io, want ? others | PGN_WRITE : others);
    if (want && c->state == GW_LIVE)
        pgn_timer_start_coarse(c->gw->loop, &c->timer, GW_WRITE_LOOK_MS);
}

/* Everything is on the wire. */
static void written(struct gw_conn *c)
{
    want_write(c, false);
    if (c->state == GW_FLUSH && !c->shut) {
        c->shut = true;
        gw_tls_bye(c);
        if (gw_tls_waiting(c))
            (void)gw_tls_send(c, NULL, 0);
        (void)shutdown(c->io.fd, SHUT_WR); /* then until the peer closes, or time is up */
    }
}

static void write_some(struct gw_conn *c)
{
    uint64_t now_ms = pgn_loop_now_ms(c->gw->loop);
    while (gw_write_waits(c)) {
        struct iovec iov[IOV_MAX_HERE];
        struct msghdr msg = {.msg_iov = iov};
        msg.msg_iovlen = (size_t)gw_outq_iov(c->out, iov, IOV_MAX_HERE);
        size_t asked = 0;
        for (size_t i = 0; i < msg.msg_iovlen; i++)
            asked += iov[i].iov_len;
        ssize_t n = c->tls ? gw_tls_send(c, iov, (int)msg.msg_iovlen) : sendmsg(c->io.fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN) {
            gw_conn_drop(c);
            return;
        }
        gw_count(GW_M_WRITES, 1);
        gw_count(GW_M_BYTES_OUT, n > 0 ? n : 0);
        gw_outq_sent(&c->out, n > 0 ? (size_t)n : 0, now_ms);
        if (n < 0 || ((size_t)n < asked && (!c->tls || gw_tls_waiting(c)))) {
            want_write(c, true);
            return;
        }
    }
    if (gw_tls_ended(c))
        gw_conn_drop(c);
    else
        written(c);
}

void gw_conn_flush_all(struct gateway *gw)
{
    while (gw->dirty) {
        struct gw_conn *c = gw->dirty;
        gw->dirty = c->next_dirty;
        c->dirty = false;
        if (c->doomed && c->state < GW_CLOSING)
            gw_write_give_up(c);
        if (c->state != GW_CLOSED)
            write_some(c);
    }
}

void gw_write_peer(int fd, char ret_address[GW_ADDRESS_MAX])
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } a = {0};
    socklen_t len = sizeof a;
    const void *bytes = &a.v4.sin_addr;
    int family = AF_INET;
    if (getpeername(fd, &a.any, &len) == 0 && a.any.sa_family == AF_INET6) {
        bool mapped = IN6_IS_ADDR_V4MAPPED(&a.v6.sin6_addr);
        family = mapped ? AF_INET : AF_INET6;
        bytes = mapped ? &a.v6.sin6_addr.s6_addr[12] : &a.v6.sin6_addr.s6_addr[0];
    }
    if (!inet_ntop(family, bytes, ret_address, GW_ADDRESS_MAX))
        memcpy(ret_address, "?", 2);
}
