#include "services/presence/prs_gateways.h"

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/base/id.h"
#include "common/base/map.h"
#include "common/svc/log.h"
#include "services/presence/prs_metrics.h"

#include <stdlib.h>
#include <string.h>

enum {
    INSTANCE_MAX = 64,
    GATEWAYS_MAX = 1024, /* more is a fault or an attack: not heard */
    ASK_EVERY_MS = 500,  /* one gateway, at most */
    ASK_AGAIN_MS = 2000, /* when the snapshot has not come */
    TICKS = 8,           /* a timeout is looked at in so many steps */
    STALL_MS = 1000,     /* so late, the process stood still */
};

struct gateway {
    uint16_t slot, round;
    bool wanted;      /* a snapshot has been asked for and has not begun */
    bool in_snapshot; /* between its first chunk and its last */
    uint64_t number;  /* of the last message */
    uint64_t heard_ms, asked_ms;
    char instance[];
};

struct prs_gateways {
    struct pgn_loop *loop;
    struct prs_book *book;
    uint64_t timeout_ms, tick_ms, last_tick_ms;
    bool away;
    bool restored; /* devices of PRS_GATEWAY_RESTORED may still be there */
    uint64_t restored_until_ms;
    prs_ask_snapshot *ask;
    void *ctx;
    struct pgn_map *by_instance;
    struct gateway *slots[GATEWAYS_MAX + 1]; /* 0 is PRS_GATEWAY_RESTORED */
    struct pgn_timer timer;
};

static const void *key_of(const void *value, size_t *ret_len)
{
    const struct gateway *g = value;
    *ret_len = strlen(g->instance);
    return g->instance;
}

static void ask(struct prs_gateways *gws, struct gateway *g)
{
    uint64_t now = pgn_mono_ms();
    g->wanted = true;
    if (g->asked_ms != 0 && now < g->asked_ms + ASK_EVERY_MS)
        return; /* the tick asks again */
    g->asked_ms = now;
    prs_count(PRS_SNAPSHOTS_ASKED, 1);
    gws->ask(gws->ctx, g->instance);
}

static void drop(struct prs_gateways *gws, struct gateway *g)
{
    prs_book_drop(gws->book, g->slot, -1);
    pgn_map_remove_str(gws->by_instance, g->instance);
    gws->slots[g->slot] = NULL;
    free(g);
}

static void tick_gateway(struct prs_gateways *gws, struct gateway *g, uint64_t now)
{
    if (now >= g->heard_ms + gws->timeout_ms) {
        pgn_log(PGN_WARN, "gateway %s is silent, its users are offline", g->instance);
        prs_count(PRS_GATEWAYS_LOST, 1);
        drop(gws, g);
    } else if ((g->wanted || g->in_snapshot) && now >= g->asked_ms + ASK_AGAIN_MS) {
        ask(gws, g);
    }
}

static void on_tick(struct pgn_timer *t)
{
    struct prs_gateways *gws = PGN_CONTAINER(t, struct prs_gateways, timer);
    pgn_timer_start(gws->loop, t, gws->tick_ms);
    uint64_t now = pgn_mono_ms(), stood = now - gws->last_tick_ms;
    gws->last_tick_ms = now;
    bool stalled = stood > 2 * gws->tick_ms + STALL_MS;
    for (size_t i = 1; i <= GATEWAYS_MAX; i++) {
        struct gateway *g = gws->slots[i];
        if (!g)
            continue;
        if (gws->away || stalled)
            g->heard_ms += stood; /* what they said meanwhile waits to be read */
        else
            tick_gateway(gws, g, now);
    }
    if (gws->away || stalled)
        gws->restored_until_ms += stood;
    if (gws->restored && now >= gws->restored_until_ms) {
        gws->restored = false;
        prs_book_drop(gws->book, PRS_GATEWAY_RESTORED, -1);
    }
}

struct prs_gateways *prs_gateways_new(struct pgn_loop *loop, struct prs_book *book, uint64_t timeout_ms, prs_ask_snapshot *ask_snapshot,
                                      void *ctx)
{
    struct prs_gateways *gws = pgn_calloc(1, sizeof(*gws));
    gws->loop = loop;
    gws->book = book;
    gws->timeout_ms = timeout_ms;
    gws->tick_ms = timeout_ms / TICKS;
    gws->ask = ask_snapshot;
    gws->ctx = ctx;
    gws->away = true;
    gws->restored = true;
    gws->by_instance = pgn_map_new(key_of);
    gws->last_tick_ms = pgn_mono_ms();
    gws->restored_until_ms = gws->last_tick_ms + timeout_ms;
    gws->timer.on_due = on_tick;
    pgn_timer_start(loop, &gws->timer, gws->tick_ms);
    return gws;
}

void prs_gateways_free(struct prs_gateways **gatewaysp)
{
    struct prs_gateways *gws = *gatewaysp;
    if (!gws)
        return;
    *gatewaysp = NULL;
    pgn_timer_stop(&gws->timer);
    for (size_t i = 1; i <= GATEWAYS_MAX; i++)
        free(gws->slots[i]);
    pgn_map_free(&gws->by_instance);
    free(gws);
}

static struct gateway *make_gateway(struct prs_gateways *gws, const char *instance)
{
    size_t len = strlen(instance);
    uint16_t slot = 1;
    while (slot <= GATEWAYS_MAX && gws->slots[slot])
        slot++;
    if (len == 0 || len > INSTANCE_MAX || slot > GATEWAYS_MAX)
        return NULL;
    struct gateway *g = pgn_calloc(1, sizeof(*g) + len + 1);
    memcpy(g->instance, instance, len + 1);
    g->slot = slot;
    g->heard_ms = pgn_mono_ms();
    gws->slots[slot] = g;
    pgn_map_put(gws->by_instance, g);
    return g;
}

static void apply(struct prs_gateways *gws, struct gateway *g, const Pigeon__PresenceEvent *e)
{
    prs_count(PRS_EVENTS, 1);
    if (!pgn_user_valid(e->user) || !pgn_device_valid(e->device)) {
        prs_count(PRS_EVENTS_REFUSED, 1);
        return;
    }
    uint64_t hash = pgn_hash(e->device, strlen(e->device));
    if (!e->up)
        prs_book_down(gws->book, e->user, hash, g->slot);
    else if (!prs_book_up(gws->book, e->user, hash, g->slot, g->round))
        prs_count(PRS_EVENTS_REFUSED, 1);
}

/* Follows the numbers; a gap ends a snapshot that is under way, as it would look complete without being so. */
static void follow(struct prs_gateways *gws, struct gateway *g, const Pigeon__PresenceEvents *m)
{
    if (m->snapshot) {
        g->round++;
        g->in_snapshot = true;
        g->wanted = false;
    } else if (m->number != g->number + 1) {
        g->in_snapshot = false;
        ask(gws, g);
    }
    g->number = m->number;
}

void prs_gateways_events(struct prs_gateways *gws, const Pigeon__PresenceEvents *m)
{
    struct gateway *g = pgn_map_get_str(gws->by_instance, m->gateway);
    if (!g && m->last_will)
        return;
    if (!g && !(g = make_gateway(gws, m->gateway))) {
        pgn_log_limited(PGN_WARN, 10000, "a gateway is not heard: bad name, or more than %d of them", GATEWAYS_MAX);
        return;
    }
    g->heard_ms = pgn_mono_ms();
    follow(gws, g, m);
    for (size_t i = 0; i < m->n_events; i++)
        apply(gws, g, m->events[i]);
    if (g->in_snapshot && !m->more) {
        g->in_snapshot = false;
        prs_book_drop(gws->book, g->slot, g->round);
    }
    if (m->last_will)
        drop(gws, g);
}

void prs_gateways_resync(struct prs_gateways *gws)
{
    uint64_t now = pgn_mono_ms();
    gws->away = false;
    gws->last_tick_ms = now;
    if (gws->restored)
        gws->restored_until_ms = now + gws->timeout_ms;
    for (size_t i = 1; i <= GATEWAYS_MAX; i++) {
        struct gateway *g = gws->slots[i];
        if (!g)
            continue;
        g->heard_ms = g->asked_ms = now;
        g->wanted = true;
    }
    prs_count(PRS_SNAPSHOTS_ASKED, 1);
    gws->ask(gws->ctx, NULL);
}

void prs_gateways_away(struct prs_gateways *gws)
{
    gws->away = true;
}

size_t prs_gateways_count(const struct prs_gateways *gws)
{
    return pgn_map_count(gws->by_instance);
}
