/* Puts the parts together; each knows the others only through the hooks given here. */
#include "services/presence/presence.h"

#include "common/base/alloc.h"
#include "common/base/error.h"
#include "common/proto/pb.h"
#include "common/proto/subjects.h"
#include "common/svc/log.h"
#include "services/presence/prs_book.h"
#include "services/presence/prs_gateways.h"
#include "services/presence/prs_loader.h"
#include "services/presence/prs_metrics.h"
#include "services/presence/prs_mirror.h"
#include "services/presence/prs_peers.h"
#include "services/presence/prs_query.h"
#include "services/presence/prs_seen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_BYTES = 65536, GAUGES_MS = 1000 };

struct presence {
    struct pgn_svc *svc;
    struct prs_book *book;
    struct prs_gateways *gateways;
    struct prs_loader *loader;
    struct prs_seen *seen;
    struct prs_mirror *mirror;
    struct prs_queries *queries;
    struct prs_peers *peers;
    struct pgn_arena *arena; /* of one report */
    struct pgn_bus_sub *events, *requests;
    struct pgn_timer gauges;
    bool restored, stopping;
};

/* ---- hooks ---- */

static void on_announce(void *ctx, const struct prs_user *u)
{
    struct presence *p = ctx;
    char subject[64], id[48];
    snprintf(subject, sizeof(subject), PGN_SUBJ_PRESENCE "%s", u->id);
    snprintf(id, sizeof(id), "%s", u->id);
    Pigeon__Presence m = PIGEON__PRESENCE__INIT;
    m.user = id;
    m.state = prs_user_visible(u);
    m.last_seen = prs_user_last_seen(u);
    if (u->text)
        m.text = u->text;
    Pigeon__Event event = PIGEON__EVENT__INIT, *list[] = {&event};
    event.what_case = PIGEON__EVENT__WHAT_PRESENCE;
    event.presence = &m;
    Pigeon__Events events = PIGEON__EVENTS__INIT;
    events.events = list;
    events.n_events = 1;
    struct pgn_buf out = {0};
    pgn_pb_pack(&events, &out);
    int error = pgn_bus_publish(p->svc->bus, subject, NULL, out.data, out.len);
    if (error)
        pgn_log_limited(PGN_WARN, 1000, "a change could not be announced: %s", pgn_error_info(error)->text);
    pgn_buf_release(&out);
}

static void on_changed(void *ctx, const struct prs_user *u)
{
    struct presence *p = ctx;
    prs_mirror_changed(p->mirror, u);
}

static void on_save(void *ctx, struct prs_user *u)
{
    struct presence *p = ctx;
    prs_seen_add(p->seen, u);
}

static void on_share(void *ctx, const struct prs_user *u)
{
    struct presence *p = ctx;
    prs_peers_tell(p->peers, u);
}

static void on_load(void *ctx, struct prs_user *u)
{
    struct presence *p = ctx;
    prs_loader_add(p->loader, u);
}

static void on_loaded(void *ctx)
{
    struct presence *p = ctx;
    prs_queries_loaded(p->queries);
}

static void on_ask_snapshot(void *ctx, const char *instance)
{
    struct presence *p = ctx;
    char name[80];
    snprintf(name, sizeof(name), "%s", instance ? instance : "");
    Pigeon__GatewayControl m = PIGEON__GATEWAY_CONTROL__INIT;
    m.what_case = PIGEON__GATEWAY_CONTROL__WHAT_SNAPSHOT;
    m.snapshot = name;
    struct pgn_buf out = {0};
    pgn_pb_pack(&m, &out);
    int error = pgn_bus_publish(p->svc->bus, PGN_SUBJ_GW_ALL, NULL, out.data, out.len);
    if (error)
        pgn_log_limited(PGN_WARN, 1000, "gateways could not be asked: %s", pgn_error_info(error)->text); /* asked again soon */
    pgn_buf_release(&out);
    prs_peers_ask(p->peers); /* whatever made us miss a gateway's words may have made us miss theirs */
}

/* ---- the bus ---- */

static void on_events(void *ctx, const struct pgn_bus_msg *msg)
{
    struct presence *p = ctx;
    const Pigeon__PresenceEvents *m = PGN_PB_UNPACK(Pigeon__PresenceEvents, pigeon__presence_events, p->arena, msg->data, msg->len);
    if (m && !p->stopping)
        prs_gateways_events(p->gateways, m);
    else if (!m)
        pgn_log_limited(PGN_WARN, 10000, "a gateway's report is malformed");
    pgn_arena_reset(p->arena);
}

static void on_request(void *ctx, const struct pgn_bus_msg *msg)
{
    struct presence *p = ctx;
    prs_queries_request(p->queries, msg);
}

void prs_bus_event(struct pgn_svc *svc, enum pgn_bus_event event)
{
    struct presence *p = svc->state;
    if (!p->restored)
        return; /* on_restored looks at the bus itself */
    switch (event) {
    case PGN_BUS_CONNECTED:
    case PGN_BUS_LOST:
        prs_gateways_resync(p->gateways);
        break;
    case PGN_BUS_DISCONNECTED:
    case PGN_BUS_CLOSED:
        prs_gateways_away(p->gateways);
        break;
    }
}

/* ---- life ---- */

static void on_gauges_due(struct pgn_timer *t)
{
    struct presence *p = PGN_CONTAINER(t, struct presence, gauges);
    pgn_timer_start(p->svc->loop, t, GAUGES_MS);
    prs_gauge(PRS_ONLINE, (int64_t)prs_book_online(p->book));
    prs_gauge(PRS_KNOWN, (int64_t)prs_book_known(p->book));
    prs_gauge(PRS_DEVICES, (int64_t)prs_book_devices(p->book));
    prs_gauge(PRS_GATEWAYS, (int64_t)prs_gateways_count(p->gateways));
}

static int subscribe(struct presence *p)
{
    int error = pgn_bus_subscribe(p->svc->bus, PGN_SUBJ_PRS_EVENTS, NULL, on_events, p, &p->events);
    if (!error)
        error = pgn_bus_subscribe(p->svc->bus, PGN_SUBJ_PRS_QUERY, "presence", on_request, p, &p->requests);
    if (!error)
        error = prs_peers_subscribe(p->peers);
    return error;
}

/* Only now: a question before would have been answered with offline, and gateways would have been asked too early. */
static void on_restored(void *ctx, int error)
{
    struct presence *p = ctx;
    if (error)
        pgn_log(PGN_INFO, "nothing restored from Redis, the gateways will tell");
    else
        pgn_log(PGN_INFO, "%zu users were online before", prs_book_online(p->book));
    p->restored = true;
    error = subscribe(p);
    if (error) {
        pgn_log(PGN_ERR, "cannot subscribe: %s", pgn_error_info(error)->text);
        pgn_svc_fail(p->svc, 1);
        return;
    }
    if (pgn_bus_connected(p->svc->bus))
        prs_gateways_resync(p->gateways);
    pgn_svc_ready(p->svc, true);
}

static int start_mirror(struct presence *p)
{
    const struct pgn_config *config = p->svc->config;
    struct pgn_buf problem = {0};
    char *password = NULL;
    int error = pgn_secret_read(config, "redis-presence", &password, &problem);
    if (error) {
        pgn_log(PGN_ERR, "%s", pgn_buf_cstr(&problem));
    } else {
        struct prs_mirror_options options = {
            .host = config->cache_host,
            .port = (uint16_t)config->cache_port,
            .user = "presence",
            .password = password,
            .timeout_ms = (uint64_t)config->cache_timeout_ms,
        };
        p->mirror = prs_mirror_new(p->svc->loop, p->book, &options);
        explicit_bzero(password, strlen(password));
    }
    free(password);
    pgn_buf_release(&problem);
    return error;
}

static int start(struct presence *p)
{
    struct pgn_loop *loop = p->svc->loop;
    const struct pgn_config *config = p->svc->config;
    struct prs_book_hooks hooks = {
        .ctx = p, .announce = on_announce, .changed = on_changed, .save = on_save, .share = on_share, .load = on_load};
    p->arena = pgn_arena_new(ARENA_BYTES);
    p->book = prs_book_new(loop, (uint64_t)config->presence_linger_ms, &hooks);
    p->gateways = prs_gateways_new(loop, p->book, (uint64_t)config->presence_gateway_timeout_ms, on_ask_snapshot, p);
    p->peers = prs_peers_new(p->svc->bus, p->book, p->svc->instance);
    p->seen = prs_seen_new(loop, p->svc->bus);
    p->queries = prs_queries_new(loop, p->svc->bus, p->book, p->gateways);
    p->loader = prs_loader_new(loop, p->svc->bus, p->book, on_loaded, p);
    p->gauges.on_due = on_gauges_due;
    pgn_timer_start(loop, &p->gauges, GAUGES_MS);
    int error = start_mirror(p);
    if (!error)
        prs_mirror_restore(p->mirror, on_restored, p);
    return error;
}

int prs_init(struct pgn_svc *svc)
{
    struct presence *p = pgn_calloc(1, sizeof(*p));
    p->svc = svc;
    svc->state = p;
    int error = start(p);
    if (error) {
        pgn_log(PGN_ERR, "cannot start: %s", pgn_error_info(error)->text);
        prs_fini(svc);
    }
    return error;
}

static void on_saved(void *ctx)
{
    struct presence *p = ctx;
    pgn_svc_drained(p->svc);
}

/* Gateways may live on: what they report from here on is the next instance's. */
void prs_drain(struct pgn_svc *svc)
{
    struct presence *p = svc->state;
    p->stopping = true;
    size_t it = 0;
    struct prs_user *u;
    while ((u = prs_book_next(p->book, &it))) {
        if (!u->lingering || u->own == PIGEON__STATE__invisible)
            continue;
        u->seen_dirty = true; /* nobody waits for the end of the linger time any more */
        prs_seen_add(p->seen, u);
    }
    prs_mirror_flush(p->mirror);
    prs_seen_flush(p->seen, on_saved, p);
}

void prs_fini(struct pgn_svc *svc)
{
    struct presence *p = svc->state;
    pgn_timer_stop(&p->gauges);
    pgn_bus_unsubscribe(&p->events);
    pgn_bus_unsubscribe(&p->requests);
    prs_mirror_free(&p->mirror);
    prs_queries_free(&p->queries);
    prs_loader_free(&p->loader);
    prs_peers_free(&p->peers);
    prs_seen_free(&p->seen);
    prs_gateways_free(&p->gateways);
    prs_book_free(&p->book);
    pgn_arena_free(&p->arena);
    free(p);
    svc->state = NULL;
}

void prs_load(struct pgn_svc *svc, uint64_t *ret_connections, uint32_t *ret_queue)
{
    struct presence *p = svc->state;
    *ret_connections = prs_book_devices(p->book);
    *ret_queue = 0;
}
