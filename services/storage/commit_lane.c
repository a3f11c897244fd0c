/*
 * The way of a CommitBatch: decoded by the loop into a list; when the committer is free it takes all that waits, up to a
 * bound, in one durable write. While it writes, the next group gathers: batches grow with load. At a middling load, where
 * writes are short, a commit also waits until storage.commit_gap_ms after the one before began, unless GATHER_ITEMS are
 * there: an fsync for each message would cost more than the rest of its way. A release of a retry key (MQTT) goes the same way, as a
 * batch of its own. Where a commit itself takes long (an SD card), the next one waits a little until as many batches are there as it
 * answered, and those that wait already: they are on their way, and would find the committer gone with what little was there first
 * (docs/PI.md). Overflow policy of the list: storage.commit_queue items, then batches are answered `overloaded`.
 */
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/io/mailbox.h"
#include "common/proto/rpc.h"
#include "common/svc/log.h"
#include "services/storage/metrics.h"
#include "services/storage/outbox.h"
#include "services/storage/service.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    GROUP_ITEMS_MAX = 4096,
    GROUP_BATCHES_MAX = 512,
    GROUP_BYTES_MAX =
        3 << 19, /* of requests: their rows are up to eight times that (members), and an entry of the ledger is 16 MB at most */
    ARENA_BYTES = 16384,
    RECOVER_MS = 1000,
    OVERLOAD_RETRY_MS = 200,
    GATHER_ITEMS = 32,
    BACK_SHARE = 4, /* of a commit's time is waited for those whom it answered; of less than 4 ms nothing */
    BACK_MS_MAX = 20,
    RELEASE_ARENA_BYTES = 1024,
};

struct waiting {
    struct pgn_node node;
    struct pgn_arena *arena;
    Pigeon__CommitBatch *batch;
    char *reply;
    size_t bytes;
    bool release; /* answered by a Reply */
};
/* One group commit; made by the loop, filled by the committer. */
struct group {
    struct pgn_job job;
    struct sto_commit_lane *lane;
    struct waiting *batches[GROUP_BATCHES_MAX];
    struct sto_commit commits[GROUP_BATCHES_MAX];
    size_t count, items;
    struct pgn_arena *arena;
    struct sto_effects effects;
    struct sto_outbox out;
    int error;
    uint64_t took_us;
    bool results_sent; /* a planted fault sent them already */
};
struct recovery {
    struct pgn_job job;
    struct sto_commit_lane *lane;
    int error;
};
struct sto_commit_lane {
    struct sto_service *service;
    struct pgn_workers *committer;
    struct pgn_mailbox *mailbox; /* planted faults only */
    struct pgn_node waiting;
    size_t waiting_items, waiting_batches; /* releases are no batches here */
    bool running, failed;
    uint64_t began_ms;                       /* of the newest group */
    uint64_t back_until_ms;                  /* so long the next group waits until expected_batches are there */
    size_t newest_batches, expected_batches; /* of the newest group; they, and those that waited already when it was done */
    struct group *in_doubt;                  /* failed, but may be stored: recovery knows */
    struct pgn_timer gap, recover;
};

/* ---- answering ---- */

static void waiting_free(struct waiting *w)
{
    pgn_arena_free(&w->arena);
    free(w->reply);
    free(w);
}

static void release_pack(const Pigeon__ItemResult *result, struct pgn_buf *out)
{
    Pigeon__Reply reply = PIGEON__REPLY__INIT;
    Pigeon__Ok ok = PIGEON__OK__INIT;

    reply.payload_case = PIGEON__REPLY__PAYLOAD_OK;
    reply.ok = &ok;
    if (result->error)
        pgn_rpc_pack_error(out, result->error, result->text[0] ? result->text : NULL, 0);
    else
        pgn_pb_pack(&reply, out);
}

/* The same error for every item of a batch. */
static void refuse_batch(struct sto_commit_lane *lane, const struct waiting *w, int error, uint64_t retry_after_ms)
{
    Pigeon__BatchResult result = PIGEON__BATCH_RESULT__INIT;
    struct pgn_buf out = {0};

    if (w->release) {
        sto_answer_error(lane->service, w->reply, error, retry_after_ms);
        return;
    }
    result.batch = w->batch->batch;
    result.n_results = w->batch->n_items;
    result.results = pgn_arena_alloc(w->arena, (w->batch->n_items + 1) * sizeof(Pigeon__ItemResult *));
    for (size_t i = 0; i < w->batch->n_items; i++) {
        Pigeon__ItemResult *r = pgn_arena_alloc(w->arena, sizeof *r);

        pigeon__item_result__init(r);
        r->index = w->batch->items[i]->index;
        r->error = error;
        r->retry_after_ms = retry_after_ms;
        result.results[i] = r;
    }
    pgn_pb_pack(&result, &out);
    sto_answer(lane->service, w->reply, &out);
    pgn_buf_release(&out);
}

static void results_pack(const struct group *g, struct sto_outbox *out)
{
    for (size_t b = 0; b < g->count; b++) {
        Pigeon__BatchResult result = PIGEON__BATCH_RESULT__INIT;
        size_t n = g->commits[b].batch->n_items;

        if (!g->batches[b]->reply)
            continue;
        if (g->batches[b]->release) {
            release_pack(&g->commits[b].results[0], sto_outbox_add(out, g->batches[b]->reply, false));
            continue;
        }
        result.batch = g->commits[b].batch->batch;
        result.n_results = n;
        result.results = pgn_arena_alloc(g->arena, (n + 1) * sizeof(Pigeon__ItemResult *));
        for (size_t i = 0; i < n; i++)
            result.results[i] = &g->commits[b].results[i];
        pgn_pb_pack(&result, sto_outbox_add(out, g->batches[b]->reply, false));
    }
}

static void results_count(const struct group *g)
{
    size_t stale = 0, refused = 0;

    for (size_t b = 0; b < g->count; b++)
        for (size_t i = 0; i < g->commits[b].batch->n_items; i++) {
            int error = g->commits[b].results[i].error;

            stale += error == PGN_E_STALE;
            refused += error && error != PGN_E_STALE;
        }
    sto_count(STO_M_STALE, stale);
    sto_count(STO_M_REFUSED, refused);
    sto_count(STO_M_MESSAGES, g->effects.messages);
    sto_count(STO_M_RETRIES, g->effects.dups);
    sto_count(STO_M_COMMITS, 1);
    sto_observe(STO_M_COMMIT_TIME, g->took_us);
    sto_gauge(STO_M_LAST_COMMIT_ITEMS, g->items);
}

/* ---- planted fault: acknowledge, then commit ---- */

#ifdef PGN_TEST_FAULTS
struct early {
    struct pgn_mail mail;
    struct sto_outbox out;
    struct sto_commit_lane *lane;
};
static void early_on_loop(struct pgn_mail *mail)
{
    struct early *e = PGN_CONTAINER(mail, struct early, mail);

    (void)sto_outbox_publish(&e->out, e->lane->service->svc->bus, 0);
    sto_outbox_release(&e->out);
    free(e);
}
static void ack_early(void *ctx)
{
    enum { EARLY_US = 50000 };
    struct group *g = ctx;
    struct early *e = pgn_calloc(1, sizeof *e);

    if (g->lane->service->faults.ack_before_commit) {
        e->lane = g->lane;
        e->mail.on_loop = early_on_loop;
        results_pack(g, &e->out);
        g->results_sent = true;
        pgn_mailbox_post_wait(g->lane->mailbox, &e->mail);
        usleep(EARLY_US);
    } else {
        free(e);
    }
}
#define ACK_EARLY ack_early
#else
#define ACK_EARLY NULL
#endif

/* ---- a group ---- */

static void group_run(struct pgn_job *job) /* committer */
{
    struct group *g = PGN_CONTAINER(job, struct group, job);
    struct sto_store *store = g->lane->service->store;
    uint64_t from = pgn_mono_us();

    g->error = store->ops->commit(store, g->commits, g->count, &g->effects, ACK_EARLY, g);
    g->took_us = pgn_mono_us() - from;
    if (g->error)
        return;
    sto_outbox_policies(&g->out, &g->effects, store->epoch);
    if (!g->results_sent)
        results_pack(g, &g->out);
    sto_outbox_events(&g->out, &g->effects);
}

static void group_free(struct group *g)
{
    for (size_t i = 0; i < g->count; i++)
        waiting_free(g->batches[i]);
    sto_outbox_release(&g->out);
    pgn_arena_free(&g->arena);
    free(g);
}

static void kick(struct sto_commit_lane *lane);

static void fail(struct sto_commit_lane *lane, struct group *g)
{
    pgn_log(PGN_ERR, "a commit of %zu items failed (%s): nothing is acknowledged until the store can be written again", g->items,
            pgn_error_info(g->error)->text);
    sto_count(STO_M_FAILED_COMMITS, 1);
    sto_gauge(STO_M_FAILED, 1);
    for (size_t i = 0; i < g->count; i++)
        refuse_batch(lane, g->batches[i], g->error, RECOVER_MS);
    if (!lane->failed)
        pgn_timer_start(lane->service->svc->loop, &lane->recover, RECOVER_MS);
    lane->failed = true;
}

static void refuse_waiting(struct sto_commit_lane *lane, int error)
{
    PGN_LIST_EACH_SAFE (n, &lane->waiting) {
        struct waiting *w = PGN_CONTAINER(n, struct waiting, node);

        pgn_list_remove(n);
        refuse_batch(lane, w, error, RECOVER_MS);
        waiting_free(w);
    }
    lane->waiting_items = lane->waiting_batches = 0;
}

/*
 * A commit failed and may be stored. When the store is well again it is there or not; it is durable with the next one that is synced.
 * Then what it changes is published first, else who left a group in it would be sent what comes after. Where others write, too, it may
 * turn out later, or they may have gone on behind it: then the sync that StoreUp asks for heals alone.
 */
static void in_doubt_drop(struct sto_commit_lane *lane)
{
    if (lane->in_doubt)
        group_free(lane->in_doubt);
    lane->in_doubt = NULL;
}

static enum sto_doubt in_doubt_look(struct sto_commit_lane *lane)
{
    struct sto_store *store = lane->service->store;
    enum sto_doubt doubt = lane->in_doubt ? store->ops->doubt(store, lane->in_doubt->effects.commit) : STO_DOUBT_NOT;

    if (doubt == STO_DOUBT_NOT)
        in_doubt_drop(lane);
    return doubt;
}

static void in_doubt_publish(struct sto_commit_lane *lane)
{
    struct group *g = lane->in_doubt;

    if (in_doubt_look(lane) != STO_DOUBT_STORED)
        return;
    sto_outbox_policies(&g->out, &g->effects, lane->service->store->epoch);
    sto_outbox_events(&g->out, &g->effects);
    if (!sto_outbox_publish(&g->out, lane->service->svc->bus, 0))
        sto_doubt(lane->service);
    in_doubt_drop(lane);
}

static void wait_for_answered(struct sto_commit_lane *lane, uint64_t took_ms)
{
    uint64_t wait_ms = took_ms / BACK_SHARE;

    if (lane->service->svc->config->storage_commit_gap_ms == 0)
        wait_ms = 0;
    lane->expected_batches = lane->newest_batches + lane->waiting_batches;
    lane->back_until_ms = pgn_loop_now_ms(lane->service->svc->loop) + (wait_ms < BACK_MS_MAX ? wait_ms : BACK_MS_MAX);
}

static void group_done(struct pgn_job *job) /* loop */
{
    struct group *g = PGN_CONTAINER(job, struct group, job);
    struct sto_commit_lane *lane = g->lane;

    lane->running = false;
    wait_for_answered(lane, g->took_us / 1000);
    if (g->error) {
        fail(lane, g);
        refuse_waiting(lane, PGN_E_UNAVAILABLE);
        if (g->error == PGN_E_UNCERTAIN && lane->service->store->ops->lease_watch)
            in_doubt_drop(lane); /* such a store knows of the newest one */
        if (g->error == PGN_E_UNCERTAIN && !lane->in_doubt)
            lane->in_doubt = g;
    } else {
        in_doubt_publish(lane);
        kick(lane); /* the committer goes on while this publishes */
        results_count(g);
        if (!sto_outbox_publish(&g->out, lane->service->svc->bus, lane->service->faults.drop_publish ? 10 : 0))
            sto_doubt(lane->service);
    }
    if (lane->in_doubt != g)
        group_free(g);
    sto_drain_check(lane->service);
}

static struct group *group_gather(struct sto_commit_lane *lane)
{
    struct group *g = pgn_calloc(1, sizeof *g);
    size_t bytes = 0;

    g->lane = lane;
    g->arena = pgn_arena_new(ARENA_BYTES * 4);
    g->job.run = group_run;
    g->job.done = group_done;
    g->out.event_bytes = sto_answer_budget(lane->service);
    sto_effects_init(&g->effects, g->arena);
    lane->newest_batches = 0;
    while (!pgn_list_empty(&lane->waiting) && g->count < GROUP_BATCHES_MAX) {
        struct waiting *w = PGN_CONTAINER(lane->waiting.next, struct waiting, node);

        if (g->count && (g->items + w->batch->n_items > GROUP_ITEMS_MAX || bytes + w->bytes > GROUP_BYTES_MAX))
            break;
        bytes += w->bytes;
        pgn_list_remove(&w->node);
        g->items += w->batch->n_items;
        lane->newest_batches += !w->release;
        g->batches[g->count] = w;
        g->commits[g->count].batch = w->batch;
        g->commits[g->count].results = pgn_arena_alloc(g->arena, (w->batch->n_items + 1) * sizeof(Pigeon__ItemResult));
        g->count++;
    }
    lane->waiting_items -= g->items;
    lane->waiting_batches -= lane->newest_batches;
    sto_gauge(STO_M_QUEUE, lane->waiting_items);
    return g;
}

/* Whether more should come before the next group begins; then a timer begins it. */
static bool gathers(struct sto_commit_lane *lane)
{
    uint64_t gap_ms = (uint64_t)lane->service->svc->config->storage_commit_gap_ms, now_ms = pgn_loop_now_ms(lane->service->svc->loop);
    uint64_t due_ms = lane->waiting_items < GATHER_ITEMS ? lane->began_ms + gap_ms : 0;

    if (lane->waiting_batches < lane->expected_batches && due_ms < lane->back_until_ms)
        due_ms = lane->back_until_ms;
    if (now_ms >= due_ms)
        return false;
    if (!pgn_timer_running(&lane->gap))
        pgn_timer_start(lane->service->svc->loop, &lane->gap, due_ms - now_ms);
    return true;
}

static void gap_over(struct pgn_timer *t)
{
    struct sto_commit_lane *lane = PGN_CONTAINER(t, struct sto_commit_lane, gap);

    lane->began_ms = lane->back_until_ms = 0;
    kick(lane);
}

static void kick(struct sto_commit_lane *lane)
{
    if (lane->running || lane->failed || pgn_list_empty(&lane->waiting) || gathers(lane))
        return;
    pgn_timer_stop(&lane->gap);
    lane->began_ms = pgn_loop_now_ms(lane->service->svc->loop);
    struct group *g = group_gather(lane);
    lane->running = true;
    if (pgn_workers_submit(lane->committer, &g->job) == 0)
        return;
    lane->running = false; /* never: the queue holds more than the one job there can be */
    for (size_t i = 0; i < g->count; i++)
        refuse_batch(lane, g->batches[i], PGN_E_UNAVAILABLE, RECOVER_MS);
    group_free(g);
}

/* ---- recovery ---- */

static void recovery_run(struct pgn_job *job)
{
    struct recovery *r = PGN_CONTAINER(job, struct recovery, job);

    r->error = r->lane->service->store->ops->recover(r->lane->service->store);
}

static void recovery_done(struct pgn_job *job)
{
    struct recovery *r = PGN_CONTAINER(job, struct recovery, job);
    struct sto_commit_lane *lane = r->lane;

    lane->running = false;
    if (r->error) {
        pgn_log_limited(PGN_WARN, 30000, "the store still cannot be written: %s", pgn_error_info(r->error)->text);
        pgn_timer_start(lane->service->svc->loop, &lane->recover, RECOVER_MS);
    } else {
        pgn_log(PGN_INFO, "the store can be written again");
        lane->failed = false;
        sto_gauge(STO_M_FAILED, 0);
        in_doubt_look(lane);
        sto_announce(lane->service); /* the commit that failed may be there now, and nobody was told of it */
        kick(lane);
    }
    free(r);
    sto_drain_check(lane->service);
}

static void recover_due(struct pgn_timer *t)
{
    struct sto_commit_lane *lane = PGN_CONTAINER(t, struct sto_commit_lane, recover);
    struct recovery *r = pgn_calloc(1, sizeof *r);

    r->lane = lane;
    r->job.run = recovery_run;
    r->job.done = recovery_done;
    lane->running = true;
    if (pgn_workers_submit(lane->committer, &r->job) == 0)
        return;
    lane->running = false;
    free(r);
    pgn_timer_start(lane->service->svc->loop, &lane->recover, RECOVER_MS);
}

/* ---- the lane ---- */

static void take(struct sto_commit_lane *lane, struct waiting *w)
{
    size_t limit = (size_t)lane->service->svc->config->storage_commit_queue;

    sto_count(STO_M_ITEMS, w->batch->n_items);
    if (lane->failed || lane->waiting_items + w->batch->n_items > limit) {
        sto_count(STO_M_OVERLOADED, lane->failed ? 0 : 1);
        refuse_batch(lane, w, lane->failed ? PGN_E_UNAVAILABLE : PGN_E_OVERLOADED, lane->failed ? RECOVER_MS : OVERLOAD_RETRY_MS);
        waiting_free(w);
        return;
    }
    lane->waiting_items += w->batch->n_items;
    lane->waiting_batches += !w->release;
    pgn_list_append(&lane->waiting, &w->node);
    kick(lane);
}

void sto_commit_lane_take(struct sto_commit_lane *lane, const struct pgn_bus_msg *msg)
{
    struct waiting *w = pgn_calloc(1, sizeof *w);

    w->arena = pgn_arena_new(ARENA_BYTES);
    w->batch = PGN_PB_UNPACK(Pigeon__CommitBatch, pigeon__commit_batch, w->arena, msg->data, msg->len);
    w->reply = pgn_strdup(msg->reply);
    w->bytes = msg->len;
    sto_count(STO_M_BATCHES, 1);
    if (!w->batch) {
        sto_count(STO_M_MALFORMED, 1);
        pgn_log_limited(PGN_WARN, 10000, "malformed CommitBatch of %zu bytes", msg->len);
        waiting_free(w);
        return;
    }
    take(lane, w);
}

void sto_commit_lane_release(struct sto_commit_lane *lane, const Pigeon__MqttRelease *release, const char *reply)
{
    struct waiting *w = pgn_calloc(1, sizeof *w);
    struct pgn_buf packed = {0};

    w->arena = pgn_arena_new(RELEASE_ARENA_BYTES);
    w->reply = pgn_strdup(reply);
    w->release = true;
    pgn_pb_pack(release, &packed);
    w->bytes = packed.len;
    Pigeon__CommitItem *item = pgn_arena_alloc(w->arena, sizeof *item);
    pigeon__commit_item__init(item);
    item->what_case = PIGEON__COMMIT_ITEM__WHAT_RELEASE;
    item->release = PGN_PB_UNPACK(Pigeon__MqttRelease, pigeon__mqtt_release, w->arena, packed.data, packed.len);
    item->user = item->release->user;
    item->device = item->release->device;
    w->batch = pgn_arena_alloc(w->arena, sizeof *w->batch);
    pigeon__commit_batch__init(w->batch);
    w->batch->items = pgn_arena_alloc(w->arena, sizeof *w->batch->items);
    w->batch->items[0] = item;
    w->batch->n_items = 1;
    pgn_buf_release(&packed);
    take(lane, w);
}

bool sto_commit_lane_idle(const struct sto_commit_lane *lane)
{
    return !lane->running && pgn_list_empty(&lane->waiting);
}
bool sto_commit_lane_failed(const struct sto_commit_lane *lane)
{
    return lane->failed;
}
size_t sto_commit_lane_waiting(const struct sto_commit_lane *lane)
{
    return lane->waiting_items;
}

struct sto_commit_lane *sto_commit_lane_new(struct sto_service *s)
{
    struct sto_commit_lane *lane = pgn_calloc(1, sizeof *lane);

    lane->service = s;
    lane->committer = pgn_workers_new(s->svc->loop, "committer", 1, 4);
    lane->mailbox = pgn_mailbox_new(s->svc->loop, 16);
    lane->recover.on_due = recover_due;
    lane->gap.on_due = gap_over;
    pgn_list_init(&lane->waiting);
    return lane;
}

void sto_commit_lane_free(struct sto_commit_lane **lane)
{
    if (!*lane)
        return;
    pgn_timer_stop(&(*lane)->recover);
    pgn_timer_stop(&(*lane)->gap);
    refuse_waiting(*lane, PGN_E_UNAVAILABLE);
    pgn_workers_free(&(*lane)->committer);
    pgn_mailbox_free(&(*lane)->mailbox);
    if ((*lane)->in_doubt)
        group_free((*lane)->in_doubt);
    free(*lane);
    *lane = NULL;
}
