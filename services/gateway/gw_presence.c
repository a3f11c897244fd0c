/* Presence events; see gw_presence.h. */
#include "services/gateway/gw_presence.h"

#include "common/base/clock.h"
#include "common/proto/subjects.h"
#include "services/gateway/gw_conn.h"
#include "services/gateway/gw_user.h"

#include <string.h>

enum {
    GATHER_MS = 100,
    HEARTBEAT_MS = 1000,
    CHUNK_BYTES = 65536,
    NEWS_MS = 200,         /* from one gateway to another, on a bus that works */
    PENDING_MAX = 1 << 20, /* while the bus is away; then a snapshot is due anyway */
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
    e.at = pgn_wall_ms();
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
    head->sent_at = pgn_wall_ms();
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
    if (gw->presence_events.len > PENDING_MAX) {
        pgn_buf_release(&gw->presence_events);
        gw->presence_number++;
    }
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
    pgn_buf_release(&gw->presence_events); /* is in the snapshot */
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

/*
 * A device that came in at another gateway leaves here, unless it came later: what is younger than the news may be as old as that stays,
 * and goes with its heartbeats.
 */
static void came_elsewhere(const struct gateway *gw, const Pigeon__PresenceEvent *e, uint64_t sent_at)
{
    uint64_t age_ms = sent_at > e->at ? sent_at - e->at : 0;
    const struct gw_user *u = gw_user_find(gw, e->user);
    struct gw_conn *c = u ? gw_user_device(u, e->device) : NULL;
    if (c && c->state == GW_LIVE && (uint32_t)pgn_loop_now_ms(gw->loop) - c->since_ms > age_ms + NEWS_MS)
        gw_conn_replaced(c);
}

static void on_others(void *ctx, const struct pgn_bus_msg *msg)
{
    struct gateway *gw = ctx;
    const Pigeon__PresenceEvents *m = PGN_PB_UNPACK(Pigeon__PresenceEvents, pigeon__presence_events, gw->arena, msg->data, msg->len);
    for (size_t i = 0; m && strcmp(m->gateway, gw->svc->instance) != 0 && i < m->n_events; i++)
        if (m->events[i]->login && m->events[i]->up)
            came_elsewhere(gw, m->events[i], m->sent_at);
    pgn_arena_reset(gw->arena);
}

int gw_presence_start(struct gateway *gw)
{
    gw->presence_timer.on_due = on_timer;
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
}
