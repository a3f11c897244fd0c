/*
 * Requests on the directory, sessions and MQTT sessions: while one transaction runs, the next ones gather and become one transaction.
 * Overflow policy: QUEUE_MAX requests, then they are answered `overloaded`.
 */
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/proto/rpc.h"
#include "common/svc/log.h"
#include "services/storage/metrics.h"
#include "services/storage/outbox.h"
#include "services/storage/service.h"

#include <stdlib.h>

enum { GROUP_MAX = 256, QUEUE_MAX = 20000, ARENA_BYTES = 4096, OVERLOAD_RETRY_MS = 500 };

struct ask {
    struct pgn_node node;
    struct pgn_arena *arena;
    Pigeon__DirRequest *dir;         /* or */
    Pigeon__SessionRequest *session; /* or */
    Pigeon__MqttRequest *mqtt;
    char *reply;
    struct pgn_buf answer;
};
struct group {
    struct pgn_job job;
    struct sto_dir_lane *lane;
    struct ask *asks[GROUP_MAX];
    Pigeon__Reply replies[GROUP_MAX];
    size_t count;
    struct pgn_arena *arena;
    struct sto_effects effects;
    struct sto_outbox out;
    uint64_t took_us;
};
struct sto_dir_lane {
    struct sto_service *service;
    struct pgn_workers *worker;
    struct pgn_node waiting;
    size_t waiting_count;
    bool running;
};

static void ask_free(struct ask *a)
{
    pgn_arena_free(&a->arena);
    pgn_buf_release(&a->answer);
    free(a->reply);
    free(a);
}

/* ---- directory thread ---- */

static void ask_run(struct group *g, size_t i)
{
    struct sto_store *store = g->lane->service->store;
    struct ask *a = g->asks[i];

    if (a->dir)
        store->ops->dir_request(store, a->dir, a->arena, &g->replies[i], &g->effects);
    else if (a->mqtt)
        store->ops->dir_mqtt(store, a->mqtt, a->arena, &g->replies[i], &g->effects);
    else
        store->ops->dir_session(store, a->session, a->arena, &g->replies[i], &g->effects);
}

static int group_try(struct group *g)
{
    struct sto_store *store = g->lane->service->store;
    int error = store->ops->dir_begin(store);

    sto_effects_init(&g->effects, g->arena);
    for (size_t i = 0; i < g->count; i++) {
        pigeon__reply__init(&g->replies[i]);
        if (!error)
            ask_run(g, i);
    }
    return error ? error : store->ops->dir_end(store);
}

static void group_run(struct pgn_job *job)
{
    enum { REDO_MAX = 50 };
    struct group *g = PGN_CONTAINER(job, struct group, job);
    struct sto_store *store = g->lane->service->store;
    uint64_t from = pgn_mono_us();
    int error = PGN_E_STALE;

    for (int i = 0; i < REDO_MAX && error == PGN_E_STALE; i++)
        error = group_try(g);
    if (error == PGN_E_STALE)
        error = PGN_E_UNAVAILABLE;
    g->took_us = pgn_mono_us() - from;
    for (size_t i = 0; i < g->count; i++) {
        if (error)
            pgn_rpc_pack_error(&g->asks[i]->answer, error, NULL, 0);
        else if (g->replies[i].error)
            pgn_rpc_pack_error(&g->asks[i]->answer, g->replies[i].error, g->replies[i].text[0] ? g->replies[i].text : NULL, 0);
        else
            pgn_pb_pack(&g->replies[i], &g->asks[i]->answer);
    }
    if (error) {
        pgn_log_limited(PGN_ERR, 10000, "a transaction of the directory failed: %s", pgn_error_info(error)->text);
        return;
    }
    sto_outbox_policies(&g->out, &g->effects, store->epoch);
    sto_outbox_events(&g->out, &g->effects);
}

/* ---- loop ---- */

static void kick(struct sto_dir_lane *lane);

static void group_done(struct pgn_job *job)
{
    struct group *g = PGN_CONTAINER(job, struct group, job);
    struct sto_dir_lane *lane = g->lane;

    lane->running = false;
    kick(lane);
    if (!sto_outbox_publish(&g->out, lane->service->svc->bus, 0)) /* a block is known before it is answered */
        sto_doubt(lane->service);
    for (size_t i = 0; i < g->count; i++) {
        sto_answer(lane->service, g->asks[i]->reply, &g->asks[i]->answer);
        ask_free(g->asks[i]);
    }
    sto_observe(STO_M_DIR_TIME, g->took_us);
    sto_outbox_release(&g->out);
    pgn_arena_free(&g->arena);
    free(g);
    sto_drain_check(lane->service);
}

static void kick(struct sto_dir_lane *lane)
{
    if (lane->running || pgn_list_empty(&lane->waiting))
        return;
    struct group *g = pgn_calloc(1, sizeof *g);
    g->lane = lane;
    g->arena = pgn_arena_new(ARENA_BYTES);
    g->job.run = group_run;
    g->job.done = group_done;
    g->out.event_bytes = sto_answer_budget(lane->service);
    sto_effects_init(&g->effects, g->arena);
    while (!pgn_list_empty(&lane->waiting) && g->count < GROUP_MAX) {
        struct pgn_node *n = lane->waiting.next;

        pgn_list_remove(n);
        g->asks[g->count++] = PGN_CONTAINER(n, struct ask, node);
    }
    lane->waiting_count -= g->count;
    lane->running = true;
    if (pgn_workers_submit(lane->worker, &g->job) != 0) { /* never: there is at most this one job */
        lane->running = false;
        for (size_t i = 0; i < g->count; i++)
            ask_free(g->asks[i]);
        pgn_arena_free(&g->arena);
        free(g);
    }
}

/* What a subject is for. The bus knows who may publish on it, not what is inside. */
static bool belongs(const struct ask *a, enum sto_ask_kind kind)
{
    if (kind == STO_ASK_CHECK)
        return a->session->what_case == PIGEON__SESSION_REQUEST__WHAT_CHECK;
    if (kind == STO_ASK_SEEN)
        return a->dir->what_case == PIGEON__DIR_REQUEST__WHAT_SEEN || a->dir->what_case == PIGEON__DIR_REQUEST__WHAT_USERS_GET;
    return true;
}

void sto_dir_lane_take(struct sto_dir_lane *lane, const struct pgn_bus_msg *msg, enum sto_ask_kind kind)
{
    struct ask *a;

    if (!msg->reply)
        return;
    if (lane->waiting_count >= QUEUE_MAX) {
        sto_count(STO_M_OVERLOADED, 1);
        sto_answer_error(lane->service, msg->reply, PGN_E_OVERLOADED, OVERLOAD_RETRY_MS);
        return;
    }
    a = pgn_calloc(1, sizeof *a);
    a->arena = pgn_arena_new(ARENA_BYTES);
    a->reply = pgn_strdup(msg->reply);
    if (kind == STO_ASK_SESSION || kind == STO_ASK_CHECK)
        a->session = PGN_PB_UNPACK(Pigeon__SessionRequest, pigeon__session_request, a->arena, msg->data, msg->len);
    else if (kind == STO_ASK_MQTT)
        a->mqtt = PGN_PB_UNPACK(Pigeon__MqttRequest, pigeon__mqtt_request, a->arena, msg->data, msg->len);
    else
        a->dir = PGN_PB_UNPACK(Pigeon__DirRequest, pigeon__dir_request, a->arena, msg->data, msg->len);
    if (!a->session && !a->dir && !a->mqtt) {
        sto_count(STO_M_MALFORMED, 1);
        sto_answer_error(lane->service, msg->reply, PGN_E_INVALID, 0);
        ask_free(a);
        return;
    }
    if (a->mqtt && a->mqtt->what_case == PIGEON__MQTT_REQUEST__WHAT_RELEASE) {
        sto_commit_lane_release(lane->service->commits, a->mqtt->release, a->reply);
        ask_free(a);
        return;
    }
    if (!belongs(a, kind)) {
        pgn_log_limited(PGN_WARN, 10000, "a request on %s that does not belong there was refused", msg->subject);
        sto_answer_error(lane->service, msg->reply, PGN_E_FORBIDDEN, 0);
        ask_free(a);
        return;
    }
    sto_count(STO_M_DIR_REQUESTS, 1);
    if (a->session && a->session->what_case == PIGEON__SESSION_REQUEST__WHAT_CHECK)
        sto_count(STO_M_SESSION_CHECKS, a->session->check->n_hashes);
    pgn_list_append(&lane->waiting, &a->node);
    lane->waiting_count++;
    kick(lane);
}

bool sto_dir_lane_idle(const struct sto_dir_lane *lane)
{
    return !lane->running && pgn_list_empty(&lane->waiting);
}

struct sto_dir_lane *sto_dir_lane_new(struct sto_service *s)
{
    struct sto_dir_lane *lane = pgn_calloc(1, sizeof *lane);

    lane->service = s;
    lane->worker = pgn_workers_new(s->svc->loop, "directory", 1, 4);
    pgn_list_init(&lane->waiting);
    return lane;
}

void sto_dir_lane_free(struct sto_dir_lane **lane)
{
    if (!*lane)
        return;
    PGN_LIST_EACH_SAFE (n, &(*lane)->waiting) {
        pgn_list_remove(n);
        ask_free(PGN_CONTAINER(n, struct ask, node));
    }
    pgn_workers_free(&(*lane)->worker);
    free(*lane);
    *lane = NULL;
}
