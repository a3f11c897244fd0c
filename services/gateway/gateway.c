/* Life of the gateway: start, turns, drain, end. See gateway.h. */
#include "services/gateway/gateway.h"

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/random.h"
#include "common/svc/log.h"
#include "services/gateway/gw_batch.h"
#include "services/gateway/gw_conn.h"
#include "services/gateway/gw_event.h"
#include "services/gateway/gw_hello.h"
#include "services/gateway/gw_limits.h"
#include "services/gateway/gw_listen.h"
#include "services/gateway/gw_mqtt_catchup.h"
#include "services/gateway/gw_mqtt_will.h"
#include "services/gateway/gw_presence.h"
#include "services/gateway/gw_request.h"
#include "services/gateway/gw_tls.h"
#include "services/gateway/gw_user.h"

#include <stdlib.h>
#include <string.h>

enum {
    ARENA_CHUNK = 65536,
    SWEEP_MS = 10000,
    DRAIN_STEP_MS = 20,
    DRAIN_LATE_MS = 2000, /* for answers that are under way when drain_ms is over; twice, with drain_ms below svc.c's DRAIN_MS */
    RESTART_MS = 500,     /* from the drain's end until clients come back, and up to drain_ms more */
    LONG_TURN_US = 1000,
};

struct pgn_metric gw_metrics[GW_METRICS] = {
#define PGN_METRIC(id, metric_kind, metric_name, metric_unit, metric_help)                                                                 \
    [GW_M_##id] = {.kind = metric_kind, .name = metric_name, .unit = metric_unit, .help = metric_help},
#include "services/gateway/gateway_metrics.h"
#undef PGN_METRIC
};

/* ---- turns ---- */

static void update_load(struct gateway *gw)
{
    uint64_t room = (uint64_t)gw->config->gateway_partitions * GW_PART_QUEUE;
    uint64_t items = gw->items_open * 1000ull / room, ops = gw->ops_open * 1000ull / GW_OPS_MAX;
    gw->load_level = gw_limits_level((unsigned)(items > ops ? items : ops));
    pgn_metric_set(&gw_metrics[GW_M_LOAD_LEVEL], gw->load_level);
    pgn_metric_set(&gw_metrics[GW_M_CONNECTIONS], gw->connections);
    pgn_metric_set(&gw_metrics[GW_M_SESSIONS], gw->sessions);
    pgn_metric_set(&gw_metrics[GW_M_QUEUED_ITEMS], gw->items_open);
    pgn_metric_set(&gw_metrics[GW_M_OPS_OPEN], gw->ops_open);
}

/* The turn's end: publish once, write once, free. */
static void on_turn(struct pgn_hook *hook)
{
    struct gateway *gw = PGN_CONTAINER(hook, struct gateway, hook);
    gw_tls_turn(gw);
    gw_hello_flush(gw);
    gw_batch_flush(gw);
    gw_conn_flush_all(gw);
    gw_conn_bury(gw);
    update_load(gw);
    if (gw->turn_us) {
        uint64_t us = pgn_mono_us() - gw->turn_us;
        if (us > LONG_TURN_US)
            pgn_metric_observe(&gw_metrics[GW_M_TURN_SECONDS], us);
        gw->turn_us = 0;
    }
}

static void on_sweep(struct pgn_timer *t)
{
    struct gateway *gw = PGN_CONTAINER(t, struct gateway, sweep);
    gw_limits_sweep(gw);
    pgn_timer_start(gw->loop, &gw->sweep, SWEEP_MS);
}

/* ---- start ---- */

static const void *address_key(const void *value, size_t *ret_len)
{
    const struct gw_address *a = value;
    *ret_len = strlen(a->text);
    return a->text;
}

static const void *spent_key(const void *value, size_t *ret_len)
{
    const struct gw_spent *s = value;
    *ret_len = strlen(s->user);
    return s->user;
}

static const void *user_key(const void *value, size_t *ret_len)
{
    const struct gw_user *u = value;
    *ret_len = strlen(u->id);
    return u->id;
}

static const void *topic_key(const void *value, size_t *ret_len)
{
    const struct gw_topic *t = value;
    *ret_len = strlen(t->subject);
    return t->subject;
}

int gw_init(struct pgn_svc *svc)
{
    /* One a process, and never freed: see gw_fini; a simulated one (tests/sim) has several. volatile: else the compiler drops it, and it is
     * a leak. */
    static struct gateway *volatile the_gateway __attribute__((unused));
    struct gateway *gw = pgn_calloc(1, sizeof *gw);
    the_gateway = gw;
    gw->svc = svc;
    gw->config = svc->config;
    gw->loop = svc->loop;
    gw->bus = svc->bus;
    gw->arena = pgn_arena_new(ARENA_CHUNK);
    gw->addresses = pgn_map_new(address_key);
    gw->spent = pgn_map_new(spent_key);
    gw->users = pgn_map_new(user_key);
    gw->topics = pgn_map_new(topic_key);
    gw_listen_init(gw);
    svc->state = gw;
    gw->hook.on_turn = on_turn;
    pgn_hook_add(gw->loop, &gw->hook);
    gw->sweep.on_due = on_sweep;
    pgn_timer_start(gw->loop, &gw->sweep, SWEEP_MS);
    gw_hello_init(gw);
    gw_mqtt_catchup_init(gw);
    gw_mqtt_will_init(gw);
    int e = gw_batch_start(gw);
    e = e ? e : gw_event_start(gw);
    e = e ? e : gw_presence_start(gw);
    e = e ? e : gw_tls_start(gw);
    e = e ? e : gw_listen_start(gw);
    pgn_bus_write_last(gw->bus);
    if (!e)
        gw_hello_probe(gw);
    return e;
}

void gw_bus_event(struct pgn_svc *svc, enum pgn_bus_event event)
{
    struct gateway *gw = svc->state;
    if (!gw || event == PGN_BUS_DISCONNECTED)
        return;
    if (event == PGN_BUS_CONNECTED || event == PGN_BUS_LOST)
        gw_event_loss(gw);
}

void gw_load(struct pgn_svc *svc, uint64_t *ret_connections, uint32_t *ret_queue)
{
    const struct gateway *gw = svc->state;
    *ret_connections = gw ? gw->connections : 0;
    *ret_queue = gw ? gw->items_open + gw->ops_open : 0;
}

/* ---- drain ---- */

static bool answers_open(const struct gw_conn *c)
{
    return c->items_open || c->ops_open || c->state == GW_CHECK;
}

/* Sends away the connections up to this slot; those that wait for an answer only when late. */
static void send_away(struct gateway *gw, uint32_t end, bool late)
{
    uint64_t now = pgn_loop_now_ms(gw->loop), left = now < gw->drain_end_ms ? gw->drain_end_ms - now : 0;
    uint64_t first = left + RESTART_MS, spread = (uint64_t)gw->config->gateway_drain_ms + 1;
    for (uint32_t i = 0; i < end && i < gw->slots_used; i++) {
        struct gw_conn *c = gw->slots[i].conn;
        if (!c || c->state >= GW_CLOSING || (answers_open(c) && !late))
            continue;
        if (c->state == GW_UPGRADE)
            gw_conn_drop(c);
        else
            gw_conn_bye(c, "restarting", first + pgn_random_below(spread), GW_WS_GOING_AWAY);
    }
}

static void on_drain(struct pgn_timer *t)
{
    struct gateway *gw = PGN_CONTAINER(t, struct gateway, drain_timer);
    uint64_t now = pgn_loop_now_ms(gw->loop), whole = gw->drain_end_ms - gw->drain_start_ms;
    uint64_t passed = now - gw->drain_start_ms;
    uint32_t end = passed >= whole ? gw->slots_used : (uint32_t)(gw->slots_used * passed / whole);
    bool late = now >= gw->drain_end_ms + DRAIN_LATE_MS;
    send_away(gw, end, late);
    bool done = gw->connections == 0 && gw_batch_idle(gw);
    if (done || now >= gw->drain_end_ms + 2 * DRAIN_LATE_MS)
        pgn_svc_drained(gw->svc);
    else
        pgn_timer_start(gw->loop, &gw->drain_timer, DRAIN_STEP_MS);
}

void gw_drain(struct pgn_svc *svc)
{
    struct gateway *gw = svc->state;
    gw->draining = true;
    gw_listen_stop(gw);
    gw->drain_start_ms = pgn_loop_now_ms(gw->loop);
    gw->drain_end_ms = gw->drain_start_ms + (uint64_t)gw->config->gateway_drain_ms;
    gw->drain_timer.on_due = on_drain;
    pgn_log(PGN_INFO, "sending clients away, sockets: %u", gw->connections);
    pgn_timer_start(gw->loop, &gw->drain_timer, 0);
}

/* ---- end ---- */

/* What requests on the bus may still call back with (it is closed after this) is left to the process's end. */
void gw_fini(struct pgn_svc *svc)
{
    struct gateway *gw = svc->state;
    if (!gw)
        return;
    uint32_t it = 0;
    struct gw_conn *c;
    gw->draining = true;
    gw_listen_stop(gw);
    while ((c = gw_conn_next(gw, &it)) != NULL)
        gw_conn_drop(c);
    gw->dirty = NULL;
    gw_conn_bury(gw);
    gw_tls_stop(gw);
    gw_presence_stop(gw);
    gw_event_stop(gw);
    gw_mqtt_will_stop(gw);
    gw_batch_stop(gw);
    gw_hello_stop(gw);
    pgn_timer_stop(&gw->sweep);
    pgn_timer_stop(&gw->mqtt_timer);
    pgn_timer_stop(&gw->drain_timer);
    pgn_hook_remove(&gw->hook);
}
