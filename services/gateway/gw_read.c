/* What comes in from clients: upgrade requests, WebSocket messages, MQTT; see gw_read.h. */
#include "services/gateway/gw_read.h"

#include "common/base/alloc.h"
#include "common/base/error.h"
#include "common/svc/log.h"
#include "services/gateway/gw_conn.h"
#include "services/gateway/gw_limits.h"
#include "services/gateway/gw_mqtt.h"
#include "services/gateway/gw_ops.h"
#include "services/gateway/gw_tls.h"
#include "services/gateway/gw_write.h"

#include <stdlib.h>

enum {
    HELD_MAX = 65536,    /* behind a hello; more stays in the kernel */
    ECHO_MAX = 64 << 20, /* test builds: a message that is sent back */
};

static void hold(struct gw_conn *c, const uint8_t *data, size_t len)
{
    if (!c->held)
        c->held = pgn_calloc(1, sizeof *c->held);
    pgn_buf_append(c->held, data, len);
    if (c->state == GW_CHECK && c->held->len > HELD_MAX)
        pgn_io_want(c->gw->loop, &c->io, c->io.events & ~(uint32_t)PGN_READ);
}

static void violation(struct gw_conn *c, uint16_t code)
{
    gw_count(GW_M_VIOLATIONS, 1);
    if (c->state == GW_HELLO && code == GW_WS_TOO_BIG) {
        gw_conn_error(c, 0, PGN_E_UNAUTHENTICATED, "the first frame must be a hello, and not larger than limits.hello_bytes", 0);
        code = (uint16_t)pgn_error_info(PGN_E_UNAUTHENTICATED)->ws_close;
    }
    if (c->state != GW_CLOSING)
        gw_write_close(c, code);
    gw_conn_move(c, GW_FLUSH); /* what follows cannot be read */
}

static void on_close_frame(struct gw_conn *c, uint16_t code)
{
    if (c->state == GW_CLOSING && !gw_write_waits(c)) {
        gw_conn_drop(c);
        return;
    }
    if (c->state != GW_CLOSING)
        gw_write_close(c, code ? code : GW_WS_NORMAL);
    gw_conn_move(c, GW_FLUSH);
}

/* MQTT's bytes come in binary messages, cut anywhere (MQTT 5.0, 6). */
static void read_mqtt_frame(struct gw_conn *c, const struct gw_ws_message *m)
{
    uint8_t *at = m->data, *end = m->data + m->len;
    if (m->opcode != GW_WS_BINARY) {
        gw_count(GW_M_MALFORMED, 1);
        gw_conn_close(c, GW_WS_UNSUPPORTED);
        return;
    }
    gw_mqtt_feed(c, &at, end);
    if (c->state == GW_CHECK && at < end)
        pgn_buf_append(&gw_mqtt_more(c->mqtt)->rest, at, (size_t)(end - at));
}

static void on_message(struct gw_conn *c, const struct gw_ws_message *m)
{
    switch (m->opcode) {
    case GW_WS_CLOSE:
        on_close_frame(c, m->close_code);
        return;
    case GW_WS_PING:
        if (c->state == GW_CLOSING)
            return;
        gw_conn_beat(c);
        gw_write_pong(c, m->data, m->len);
        return;
    case GW_WS_TEXT:
    case GW_WS_BINARY:
        if (c->state == GW_CLOSING)
            return;
        if (c->mqtt) {
            read_mqtt_frame(c, m);
            return;
        }
        gw_count(GW_M_FRAMES_IN, 1);
        if (c->state == GW_ECHO) {
            gw_write_echo(c, m->opcode, m->data, m->len);
            return;
        }
        gw_ops_frame(c, m->opcode, m->data, m->len);
        return;
    case GW_WS_CONTINUATION:
    case GW_WS_PONG:
        return;
    }
}

static void read_frames(struct gw_conn *c, uint8_t *data, size_t len)
{
    const struct pgn_config *config = c->gw->config;
    uint8_t *at = data;
    const uint8_t *end = data + len;
    while (c->state == GW_HELLO || c->state == GW_ECHO || c->state == GW_LIVE || c->state == GW_CLOSING) {
        size_t limit = (size_t)(c->state == GW_HELLO  ? config->limits_hello_bytes
                                : c->state == GW_ECHO ? ECHO_MAX
                                                      : config->limits_frame_bytes);
        struct gw_ws_message m;
        enum gw_ws_result r = gw_ws_next(&c->ws, &at, end, limit, &m);
        if (r == GW_WS_MORE)
            return;
        if (r == GW_WS_BROKEN) {
            violation(c, m.close_code);
            return;
        }
        on_message(c, &m);
    }
    if (c->state == GW_CHECK && at < end)
        hold(c, at, (size_t)(end - at));
}

static void read_mqtt(struct gw_conn *c, uint8_t *data, size_t len)
{
    uint8_t *at = data, *end = data + len;
    gw_mqtt_feed(c, &at, end);
    if (c->state == GW_CHECK && at < end)
        hold(c, at, (size_t)(end - at));
}

/* A session, or one that is to become one. */
static void read_bytes(struct gw_conn *c, uint8_t *data, size_t len)
{
    if (c->mqtt && !c->mqtt->ws)
        read_mqtt(c, data, len);
    else
        read_frames(c, data, len);
}

/* What stood behind a CONNECT in the same WebSocket message. */
static void resume_mqtt(struct gw_conn *c)
{
    struct pgn_buf rest = c->mqtt->more->rest;
    c->mqtt->more->rest = (struct pgn_buf){0};
    uint8_t *at = rest.data;
    if (rest.len)
        gw_mqtt_feed(c, &at, rest.data + rest.len);
    pgn_buf_release(&rest);
}

void gw_conn_resume(struct gw_conn *c)
{
    if (c->mqtt && c->mqtt->more)
        resume_mqtt(c);
    struct pgn_buf *held = c->held;
    c->held = NULL;
    if (!held)
        return;
    read_bytes(c, held->data, held->len);
    pgn_buf_release(held);
    free(held);
}

/* May this page, from this address, have a WebSocket now? False: refused. */
static bool admit(struct gw_conn *c, const struct gw_upgrade *up)
{
    struct gateway *gw = c->gw;
    static const struct gw_http_refusal origin = {
        403, "this origin is not allowed (gateway.origins); does the proxy pass the Host header on?", NULL};
    static const struct gw_http_refusal busy = {429, "too many connections from this address", NULL};
    if (!gw_http_origin_allowed(up->origin, up->host, gw->config->gateway_origins)) {
        pgn_log_limited(PGN_WARN, 10000, "a page of another origin was refused: %.*s", (int)(up->origin.len < 200 ? up->origin.len : 200),
                        up->origin.at);
        gw_conn_refuse_http(c, &origin, 0);
        return false;
    }
    if (c->address)
        return true; /* counted when it was accepted */
    char peer[GW_ADDRESS_MAX], client[GW_ADDRESS_MAX];
    gw_write_peer(c->io.fd, peer);
    gw_http_client_address(peer, up->forwarded_for, gw->config->gateway_trusted_proxies, client);
    struct gw_address *a = gw_address_get(gw, client);
    uint32_t wait_ms = gw_address_enter(a, pgn_loop_now_ms(gw->loop));
    if (wait_ms) {
        gw_count(GW_M_RATE_LIMITED, 1);
        gw_conn_refuse_http(c, &busy, wait_ms / 1000 + 1);
        return false;
    }
    c->address = a;
    return true;
}

static void read_upgrade(struct gw_conn *c, uint8_t *data, size_t len)
{
    if (c->held) {
        hold(c, data, len);
        data = c->held->data;
        len = c->held->len;
    }
    struct gw_upgrade up;
    struct gw_http_refusal refusal;
    size_t used;
    switch (gw_http_parse((const char *)data, len, (size_t)c->gw->config->limits_hello_bytes, &up, &used, &refusal)) {
    case GW_HTTP_MORE:
        if (!c->held)
            hold(c, data, len);
        return;
    case GW_HTTP_REFUSED:
        gw_conn_refuse_http(c, &refusal, 0);
        return;
    case GW_HTTP_UPGRADE:
        break;
    }
    if (!admit(c, &up))
        return;
    gw_write_accept(c, &up);
    c->encoding = (uint8_t)up.encoding;
    if (up.mqtt)
        gw_mqtt_new(c, true);
    gw_conn_move(c, up.echo ? GW_ECHO : GW_HELLO);
    struct pgn_buf *held = c->held;
    c->held = NULL;
    read_frames(c, data + used, len - used);
    if (held) {
        pgn_buf_release(held);
        free(held);
    }
}

void gw_read(struct gw_conn *c, uint8_t *data, size_t len)
{
    switch ((enum gw_conn_state)c->state) {
    case GW_UPGRADE:
        read_upgrade(c, data, len);
        return;
    case GW_HELLO:
    case GW_ECHO:
    case GW_LIVE:
    case GW_CLOSING:
        read_bytes(c, data, len);
        return;
    case GW_CHECK:
        hold(c, data, len);
        return;
    case GW_FLUSH: /* discarded, so that closing does not reset what the peer has yet to read */
    case GW_CLOSED:
    case GW_STATES:
        return;
    }
}
