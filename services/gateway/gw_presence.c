/* Presence events; see gw_presence.h. */
#include "services/gateway/gw_presence.h"

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/proto/subjects.h"
#include "services/gateway/gw_conn.h"
#include "services/gateway/gw_mqtt_will.h"
#include "services/gateway/gw_user.h"

#include <stdlib.h>
#include <string.h>

enum {
    GATHER_MS = 100,
    HEARTBEAT_MS = 1000,
    CHUNK_BYTES = 65536,
    PEER_MS = 60000, /* of silence, then a gateway is forgotten */
    NEWS_MS = 200,   /* from one gateway to another, on a bus that works */
};

static void append_event(struct pgn_buf *out, const struct gw_conn *c, bool up, bool login)
{
    Pigeon__PresenceEvent e = PIGEON__PRESENCE_EVENT__INIT;
    union {
        const char *c;
        char *m;
    } device = {c->device}; /* protobuf-c's strings are not const; packing only reads */
    e.user = c->user->id;
    e.device = device.m;
    e.up = up;
    e.at = pgn_mono_ms();
    e.login = login;
    uint8_t head[2] = {0x32};                                       /* PresenceEvents.events, field 6 */
    head[1] = (uint8_t)pigeon__presence_event__get_packed_size(&e); /* names of at most 32 bytes: below 128 */
    pgn_buf_append(out, head, sizeof head);
    pgn_pb_pack(&e, out);
}

static void publish(struct gateway *gw, Pigeon__PresenceEvents *head, const struct pgn_buf *events)
{
    struct pgn_buf out = {0};
    head->gateway = gw->svc->instance;
    head->number = ++gw->presence_number;
    head->sent_at = pgn_mono_ms();
    pgn_pb_pack(head, &out);
    if (events->len)
        pgn_buf_append(&out, events->data, events->len);
    if (pgn_bus_connected(gw->bus))
        (void)!pgn_bus_publish(gw->bus, PGN_SUBJ_PRS_EVENTS, NULL, out.data, out.len); /* a lost one shows as a gap in the numbers */
    pgn_buf_release(&out);
}

static void publish_pending(struct gateway *gw)
{
    Pigeon__PresenceEvents head = PIGEON__PRESENCE_EVENTS__INIT;
    publish(gw, &head, &gw->presence_events);
    pgn_buf_release(&gw->presence_events);
    pgn_timer_start(gw->loop, &gw->presence_timer, HEARTBEAT_MS);
}

static void on_timer(struct pgn_timer *t)
{
    publish_pending(PGN_CONTAINER(t, struct gateway, presence_timer));
}

void gw_presence_note(const struct gw_conn *c, bool up)
{
    struct gateway *gw = c->gw;
    if (!gw->presence_events.len)
        pgn_timer_start(gw->loop, &gw->presence_timer, GATHER_MS);
    append_event(&gw->presence_events, c, up, up);
    if (gw->presence_events.len >= CHUNK_BYTES)
        publish_pending(gw);
}

static void publish_snapshot(struct gateway *gw)
{
    struct pgn_buf events = {0};
    uint32_t it = 0;
    bool first = true;
    struct gw_conn *c;
    if (gw->presence_events.len)
        publish_pending(gw); /* they are in the snapshot, but not as logins */
    do {
        c = gw_conn_next(gw, &it);
        if (c && c->state == GW_LIVE)
            append_event(&events, c, true, false);
        if (c && events.len < CHUNK_BYTES)
            continue;
        Pigeon__PresenceEvents head = PIGEON__PRESENCE_EVENTS__INIT;
        head.snapshot = first;
        head.more = c != NULL;
        publish(gw, &head, &events);
        pgn_buf_clear(&events);
        first = false;
    } while (c);
    pgn_buf_release(&events);
    pgn_timer_start(gw->loop, &gw->presence_timer, HEARTBEAT_MS);
}

static void on_control(void *ctx, const struct pgn_bus_msg *msg)
{
    struct gateway *gw = ctx;
    Pigeon__GatewayControl *control = PGN_PB_UNPACK(Pigeon__GatewayControl, pigeon__gateway_control, gw->arena, msg->data, msg->len);
    bool ours = control && control->what_case == PIGEON__GATEWAY_CONTROL__WHAT_SNAPSHOT &&
                (!*control->snapshot || strcmp(control->snapshot, gw->svc->instance) == 0);
    pgn_arena_reset(gw->arena);
    if (ours)
        publish_snapshot(gw);
}

/* ---- what others tell ---- */

/* Another gateway. Its clock and ours differ by some constant; what comes later than that says was held up on its way. */
struct peer {
    struct pgn_node node;
    uint64_t heard_ms;
    int64_t least_ms; /* ours minus its, of the message that came fastest */
    char instance[];
};

static struct peer *peer_of(const struct gateway *gw, const char *instance)
{
    PGN_LIST_EACH (n, &gw->peers) {
        struct peer *p = PGN_CONTAINER(n, struct peer, node);
        if (strcmp(p->instance, instance) == 0)
            return p;
    }
    return NULL;
}

static void forget_peers(struct gateway *gw, uint64_t silent_since_ms)
{
    PGN_LIST_EACH_SAFE (n, &gw->peers) {
        struct peer *p = PGN_CONTAINER(n, struct peer, node);
        if (p->heard_ms <= silent_since_ms) {
            pgn_list_remove(n);
            free(p);
        }
    }
}

/* False for its first message: nothing is known of its clock yet. */
static bool heard(struct gateway *gw, const Pigeon__PresenceEvents *m, uint64_t now_ms, uint64_t *ret_late_ms)
{
    int64_t apart_ms = (int64_t)(now_ms - m->sent_at);
    struct peer *p = peer_of(gw, m->gateway);
    bool known = p != NULL;
    if (!known) {
        size_t len = strlen(m->gateway) + 1;
        forget_peers(gw, now_ms > PEER_MS ? now_ms - PEER_MS : 0);
        p = pgn_calloc(1, sizeof *p + len);
        memcpy(p->instance, m->gateway, len);
        p->least_ms = apart_ms;
        pgn_list_append(&gw->peers, &p->node);
    }
    p->heard_ms = now_ms;
    if (apart_ms < p->least_ms)
        p->least_ms = apart_ms;
    *ret_late_ms = (uint64_t)(apart_ms - p->least_ms);
    return known;
}

/* A device that came in elsewhere so long ago leaves here, unless it came later. Who came about then stays until his heartbeats end. */
static void came_elsewhere(struct gateway *gw, const Pigeon__PresenceEvent *e, uint64_t now_ms, uint64_t ago_ms)
{
    const struct gw_user *u = gw_user_find(gw, e->user);
    struct gw_conn *c = u ? gw_user_device(u, e->device) : NULL;
    if (c && c->state == GW_LIVE && (uint32_t)now_ms - c->since_ms > ago_ms + NEWS_MS)
        gw_conn_replaced_elsewhere(c);
    gw_mqtt_will_came_elsewhere(gw, e->user, e->device, now_ms > ago_ms + NEWS_MS ? now_ms - ago_ms - NEWS_MS : 0);
}

/* Whether the message is our own, which comes back to us: by PresenceEvents' first field, as publish() packs it. */
static bool is_own(const struct gateway *gw, const struct pgn_bus_msg *msg)
{
    const char *instance = gw->svc->instance;
    const uint8_t *data = msg->data;
    size_t len = strlen(instance);
    return msg->len >= 2 + len && data[0] == (1 << 3 | 2) && data[1] == len && memcmp(data + 2, instance, len) == 0;
}

static void on_others(void *ctx, const struct pgn_bus_msg *msg)
{
    struct gateway *gw = ctx;
    uint64_t now_ms = pgn_mono_ms(), late_ms;
    if (is_own(gw, msg))
        return;
    const Pigeon__PresenceEvents *m = PGN_PB_UNPACK(Pigeon__PresenceEvents, pigeon__presence_events, gw->arena, msg->data, msg->len);
    if (m && heard(gw, m, now_ms, &late_ms))
        for (size_t i = 0; i < m->n_events; i++)
            if (m->events[i]->login && m->events[i]->up && m->sent_at >= m->events[i]->at)
                came_elsewhere(gw, m->events[i], now_ms, m->sent_at - m->events[i]->at + late_ms);
    pgn_arena_reset(gw->arena);
}

int gw_presence_start(struct gateway *gw)
{
    gw->presence_timer.on_due = on_timer;
    pgn_list_init(&gw->peers);
    int error = pgn_bus_subscribe(gw->bus, PGN_SUBJ_PRS_EVENTS, NULL, on_others, gw, &gw->others);
    if (error)
        return error;
    pgn_timer_start(gw->loop, &gw->presence_timer, GATHER_MS);
    return pgn_bus_subscribe(gw->bus, PGN_SUBJ_GW_ALL, NULL, on_control, gw, &gw->control);
}

void gw_presence_stop(struct gateway *gw)
{
    Pigeon__PresenceEvents head = PIGEON__PRESENCE_EVENTS__INIT;
    head.last_will = true;
    pgn_timer_stop(&gw->presence_timer);
    if (gw->control)
        publish(gw, &head, &gw->presence_events);
    pgn_buf_release(&gw->presence_events);
    pgn_bus_unsubscribe(&gw->control);
    pgn_bus_unsubscribe(&gw->others);
    forget_peers(gw, UINT64_MAX);
}
