/* MQTT on a connection: packets by state, answers, ends; see gw_mqtt.h. */
#include "services/gateway/gw_mqtt.h"

#include "common/base/alloc.h"
#include "common/base/error.h"
#include "common/base/fault.h"
#include "services/gateway/gw_limits.h"
#include "services/gateway/gw_mqtt_catchup.h"
#include "services/gateway/gw_mqtt_login.h"
#include "services/gateway/gw_mqtt_out.h"
#include "services/gateway/gw_mqtt_publish.h"
#include "services/gateway/gw_mqtt_session.h"
#include "services/gateway/gw_mqtt_subscribe.h"
#include "services/gateway/gw_mqtt_will.h"
#include "services/gateway/gw_user.h"
#include "services/gateway/gw_write.h"

#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(struct gw_mqtt) <= 56, "a silent MQTT session shall cost 64 bytes more than a WebSocket one");

enum { SCRATCH_KEEP = 1 << 20, LOOK_MS = 60000 /* at least so often: the token may expire */ };

/* ---- life ---- */

void gw_mqtt_new(struct gw_conn *c, bool ws)
{
    c->mqtt = pgn_calloc(1, sizeof *c->mqtt);
    c->mqtt->ws = ws;
#ifdef PGN_TEST_FAULTS
    if (pgn_fault_planted("mqtt-ids-end"))
        c->mqtt->next_id = UINT16_MAX - 10;
#endif
}

struct gw_mqtt_more *gw_mqtt_more(struct gw_mqtt *m)
{
    if (!m->more)
        m->more = pgn_calloc(1, sizeof *m->more);
    return m->more;
}

void gw_mqtt_more_trim(struct gw_mqtt *m)
{
    const struct gw_mqtt_more *x = m->more;
    if (!x || x->login || x->will || x->catchup || x->asked || x->aliases || x->rest.data || x->max_packet || x->unwatched)
        return;
    free(m->more);
    m->more = NULL;
}

static void free_more(struct gw_conn *c, struct gw_mqtt_more *more)
{
    gw_mqtt_login_free(&more->login);
    gw_mqtt_will_free(&more->will);
    gw_mqtt_catchup_stop(c);
    gw_mqtt_asked_free(&more->asked);
    for (size_t i = 0; more->aliases && i < GW_MQTT_ALIAS_MAX; i++)
        free(more->aliases[i]);
    free(more->aliases);
    pgn_buf_release(&more->rest);
}

void gw_mqtt_free(struct gw_conn *c)
{
    struct gw_mqtt *m = c->mqtt;
    if (!m)
        return;
    if (m->more)
        free_more(c, m->more);
    free(m->more);
    gw_mqtt_stream_release(&m->stream);
    gw_mqtt_subs_free(&m->subs);
    free(m->window);
    free(m);
    c->mqtt = NULL;
}

/* ---- writing ---- */

struct pgn_buf *gw_mqtt_scratch(void)
{
    static struct pgn_buf scratch; /* of the one loop; keeps its memory */
    if (scratch.cap > SCRATCH_KEEP)
        pgn_buf_release(&scratch);
    pgn_buf_clear(&scratch);
    return &scratch;
}

bool gw_mqtt_send(struct gw_conn *c, const struct pgn_buf *b, bool live)
{
    struct gw_frame *f = c->mqtt->ws ? gw_frame_new(GW_WS_BINARY, b->data, b->len) : gw_frame_raw(b->data, b->len);
    bool in = gw_conn_push(c, f, live);
    gw_frame_unref(&f);
    return in;
}

bool gw_mqtt_fits(const struct gw_mqtt *m, size_t len)
{
    return !m->more || !m->more->max_packet || len <= m->more->max_packet;
}

static bool write_disconnect(struct pgn_buf *b, const struct gw_mqtt *m, enum gw_mqtt_reason reason, const char *text)
{
    pgn_buf_clear(b);
    return gw_mqtt_write_disconnect(b, m->version, reason, gw_mqtt_str_of(text)) && gw_mqtt_fits(m, b->len);
}

void gw_mqtt_close(struct gw_conn *c, enum gw_mqtt_reason reason, const char *text)
{
    struct gw_mqtt *m = c->mqtt;
    struct pgn_buf *b = gw_mqtt_scratch();
    if (c->state >= GW_CLOSING)
        return;
    if (m->no_reasons)
        text = NULL;
    if (c->state == GW_LIVE && (write_disconnect(b, m, reason, text) || write_disconnect(b, m, reason, NULL)))
        (void)gw_mqtt_send(c, b, false);
    gw_conn_close(c, reason == GW_MQTT_SUCCESS ? GW_WS_NORMAL : GW_WS_PROTOCOL);
}

/* ---- packets ---- */

/* What the peer sent cannot be gone on with. */
static void violation(struct gw_conn *c, enum gw_mqtt_reason reason)
{
    gw_count(GW_M_VIOLATIONS, 1);
    if (c->state == GW_HELLO)
        gw_mqtt_refuse_reason(c, reason, NULL);
    else
        gw_mqtt_close(c, reason, NULL);
}

/* Requests but publishes count as operations; who asks too often is sent away: there is no way to say "later". */
static bool may_ask(struct gw_conn *c)
{
    if (gw_limits_op(c->user, pgn_loop_now_ms(c->gw->loop)) == 0)
        return true;
    gw_count(GW_M_RATE_LIMITED, 1);
    gw_mqtt_close(c, GW_MQTT_RATE_TOO_HIGH, "too many requests");
    return false;
}

static enum gw_mqtt_reason on_ack(struct gw_conn *c, const struct gw_mqtt_packet *p)
{
    struct gw_mqtt_ack ack;
    enum gw_mqtt_reason reason = gw_mqtt_read_ack(p, c->mqtt->version, &ack);
    if (reason)
        return reason;
    if (p->type == GW_MQTT_PUBACK)
        gw_mqtt_acked(c, ack.id);
    else if (p->type == GW_MQTT_PUBREL && may_ask(c))
        gw_mqtt_release(c, ack.id);
    return GW_MQTT_SUCCESS; /* PUBREC, PUBCOMP: nothing is delivered with QoS 2, so they name nothing */
}

static enum gw_mqtt_reason on_ping(struct gw_conn *c, const struct gw_mqtt_packet *p)
{
    enum gw_mqtt_reason reason = gw_mqtt_read_pingreq(p, c->mqtt->version);
    if (reason || !may_ask(c))
        return reason;
    struct pgn_buf *b = gw_mqtt_scratch();
    gw_mqtt_write_pingresp(b);
    (void)gw_mqtt_send(c, b, false);
    return GW_MQTT_SUCCESS;
}

static enum gw_mqtt_reason on_disconnect(struct gw_conn *c, const struct gw_mqtt_packet *p)
{
    struct gw_mqtt *m = c->mqtt;
    struct gw_mqtt_disconnect d;
    enum gw_mqtt_reason reason = gw_mqtt_read_disconnect(p, m->version, &d);
    if (reason)
        return reason;
    if (gw_mqtt_has(&d.props, GW_MQTT_P_SESSION_EXPIRY)) {
        if (!m->expiry_s && d.props.session_expiry_s)
            return GW_MQTT_PROTOCOL_ERROR; /* 3.14.2.2.2 */
        m->expiry_s = d.props.session_expiry_s;
    }
    m->said_bye = d.reason == GW_MQTT_SUCCESS;
    gw_conn_close(c, GW_WS_NORMAL);
    return GW_MQTT_SUCCESS;
}

static enum gw_mqtt_reason session_packet(struct gw_conn *c, const struct gw_mqtt_packet *p)
{
    if (p->type == GW_MQTT_PINGREQ)
        gw_conn_beat(c);
    else if (p->type != GW_MQTT_SUBSCRIBE) /* part of coming in */
        gw_conn_act(c);
    switch ((enum gw_mqtt_type)p->type) {
    case GW_MQTT_PUBLISH:
        return gw_mqtt_on_publish(c, p);
    case GW_MQTT_PUBACK:
    case GW_MQTT_PUBREC:
    case GW_MQTT_PUBREL:
    case GW_MQTT_PUBCOMP:
        return on_ack(c, p);
    case GW_MQTT_SUBSCRIBE:
        return may_ask(c) ? gw_mqtt_on_subscribe(c, p) : GW_MQTT_SUCCESS;
    case GW_MQTT_UNSUBSCRIBE:
        return may_ask(c) ? gw_mqtt_on_unsubscribe(c, p) : GW_MQTT_SUCCESS;
    case GW_MQTT_PINGREQ:
        return on_ping(c, p);
    case GW_MQTT_DISCONNECT:
        return on_disconnect(c, p);
    case GW_MQTT_CONNECT: /* a second one */
    case GW_MQTT_AUTH:
    case GW_MQTT_CONNACK:
    case GW_MQTT_SUBACK:
    case GW_MQTT_UNSUBACK:
    case GW_MQTT_PINGRESP:
    default:
        return GW_MQTT_PROTOCOL_ERROR;
    }
}

void gw_mqtt_feed(struct gw_conn *c, uint8_t **at, uint8_t *end)
{
    const struct pgn_config *config = c->gw->config;
    while (c->state == GW_HELLO || c->state == GW_LIVE) {
        size_t limit = (size_t)(c->state == GW_HELLO ? config->limits_hello_bytes : config->limits_frame_bytes);
        struct gw_mqtt_packet p;
        enum gw_mqtt_result r = gw_mqtt_next(&c->mqtt->stream, at, end, limit, &p);
        if (r == GW_MQTT_MORE)
            return;
        enum gw_mqtt_reason reason = p.reason;
        if (r == GW_MQTT_PACKET) {
            gw_count(GW_M_FRAMES_IN, 1);
            reason = c->state == GW_LIVE         ? session_packet(c, &p)
                     : p.type == GW_MQTT_CONNECT ? gw_mqtt_on_connect(c, &p)
                                                 : GW_MQTT_PROTOCOL_ERROR;
            pgn_arena_reset(c->gw->arena);
        }
        if (reason) {
            violation(c, reason);
            return;
        }
    }
}

/* ---- answers ---- */

void gw_mqtt_answer(struct gw_conn *c, const Pigeon__ServerFrame *f)
{
    const Pigeon__Ok *ok = f->ok;
    if (f->what_case != PIGEON__SERVER_FRAME__WHAT_OK)
        return;
    switch ((enum gw_mqtt_kind)(f->id >> 32)) {
    case GW_MQTT_ASK_QOS1:
    case GW_MQTT_ASK_QOS2:
    case GW_MQTT_ASK_QOS2_AGAIN:
        gw_mqtt_published(c, f->id);
        return;
    case GW_MQTT_ASK_WATCH:
        gw_mqtt_watched(c, (uint32_t)f->id, 0, ok->watch);
        return;
    case GW_MQTT_ASK_SYNC:
        gw_mqtt_synced(c, ok->sync);
        return;
    case GW_MQTT_ASK_FETCH:
        gw_mqtt_fetched(c, ok->fetch);
        return;
    case GW_MQTT_ASK_QOS0:
    case GW_MQTT_ASK_WILL:
        return;
    }
}

void gw_mqtt_error(struct gw_conn *c, uint64_t id, int error, const char *text, uint64_t retry_after_ms)
{
    (void)retry_after_ms; /* has no place in MQTT */
    if (c->state != GW_LIVE)
        return;
    switch ((enum gw_mqtt_kind)(id >> 32)) {
    case GW_MQTT_ASK_QOS1:
    case GW_MQTT_ASK_QOS2:
    case GW_MQTT_ASK_QOS2_AGAIN:
        gw_mqtt_not_published(c, id, error, text);
        return;
    case GW_MQTT_ASK_WATCH:
        gw_mqtt_watched(c, (uint32_t)id, error, NULL);
        return;
    case GW_MQTT_ASK_SYNC:
    case GW_MQTT_ASK_FETCH:
        gw_mqtt_catchup_failed(c, error);
        return;
    case GW_MQTT_ASK_QOS0:
    case GW_MQTT_ASK_WILL:
        return;
    }
}

/* ---- ends ---- */

void gw_mqtt_bye(struct gw_conn *c, const char *code)
{
    static const struct {
        const char *code;
        enum gw_mqtt_reason reason;
        bool no_will; /* the session is not the user's any more, or goes on elsewhere */
    } byes[] = {{"replaced", GW_MQTT_TAKEN_OVER, false},
                {"expired", GW_MQTT_NOT_AUTHORIZED, true},
                {"kicked", GW_MQTT_ADMINISTRATIVE, true},
                {"restarting", GW_MQTT_SHUTTING_DOWN, true},
                {"overloaded", GW_MQTT_BUSY, false}};
    enum gw_mqtt_reason reason = GW_MQTT_ADMINISTRATIVE;
    bool no_will = true;
    for (size_t i = 0; i < PGN_COUNT(byes); i++)
        if (strcmp(byes[i].code, code) == 0) {
            reason = byes[i].reason;
            no_will = byes[i].no_will;
        }
    c->mqtt->said_bye = c->mqtt->said_bye || no_will;
    gw_mqtt_close(c, reason, NULL);
}

/* A client without a keep alive: over TCP the kernel asks (gw_mqtt_accepted), inside WebSocket frames we do, as other clients are asked. */
static uint64_t beat_unasked(struct gw_conn *c, uint64_t silent_ms)
{
    uint64_t beat = (uint64_t)c->gw->config->gateway_heartbeat_s * 1000;
    if (!c->mqtt->ws)
        return LOOK_MS;
    if (silent_ms >= beat * 5 / 2) {
        gw_count(GW_M_DEAD, 1);
        gw_conn_drop(c);
        return 0;
    }
    if (silent_ms >= beat * 3 / 2 && !c->pinged) {
        c->pinged = true;
        gw_write_ping(c);
    }
    return (c->pinged ? beat * 5 / 2 : beat * 3 / 2) - silent_ms;
}

uint64_t gw_mqtt_beat(struct gw_conn *c, uint64_t silent_ms)
{
    uint64_t bound = (uint64_t)c->mqtt->keep_alive_s * 1500;
    if (bound && silent_ms >= bound) {
        gw_count(GW_M_DEAD, 1);
        gw_mqtt_close(c, GW_MQTT_KEEP_ALIVE_TIMEOUT, NULL);
        return 0;
    }
    gw_mqtt_session_due(c);
    gw_mqtt_subscribe_due(c);
    uint64_t next = bound ? bound - silent_ms : beat_unasked(c, silent_ms);
    uint64_t most = c->mqtt->more && c->mqtt->more->unwatched ? GW_MQTT_UNWATCHED_MS : LOOK_MS;
    return next > most ? most : next;
}

void gw_mqtt_end(struct gw_conn *c)
{
    gw_mqtt_will_fire(c);
    gw_mqtt_session_end(c);
}
