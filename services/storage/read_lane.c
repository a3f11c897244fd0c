/* Reads on the readers' threads, administration on its own. Overflow policy: the pool's bound, then `overloaded`. */
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/proto/rpc.h"
#include "common/svc/log.h"
#include "services/storage/metrics.h"
#include "services/storage/service.h"

#include <stdlib.h>

enum { ARENA_BYTES = 16384, OVERLOAD_RETRY_MS = 500 };

struct asked {
    struct pgn_job job;
    struct sto_service *service;
    struct pgn_arena *arena;
    Pigeon__ConvRequest *conv; /* or */
    Pigeon__AdminRequest *admin;
    char *reply;
    size_t budget;
    struct pgn_buf answer;
    uint64_t took_us;
    bool restart;
};

static void asked_free(struct asked *a)
{
    pgn_arena_free(&a->arena);
    pgn_buf_release(&a->answer);
    free(a->reply);
    free(a);
}

static void pack(struct asked *a, const Pigeon__Reply *reply)
{
    if (reply->error)
        pgn_rpc_pack_error(&a->answer, reply->error, reply->text[0] ? reply->text : NULL, reply->retry_after_ms);
    else
        pgn_pb_pack(reply, &a->answer);
}

/* ---- threads ---- */

static void read_run(struct pgn_job *job)
{
    struct asked *a = PGN_CONTAINER(job, struct asked, job);
    struct sto_store *store = a->service->store;
    Pigeon__Reply reply = PIGEON__REPLY__INIT;
    uint64_t from = pgn_mono_us();

    reply.error = store->ops->read(store, a->conv, a->budget, a->arena, &reply);
    pack(a, &reply);
    a->took_us = pgn_mono_us() - from;
}

static int admin_stats(struct asked *a, Pigeon__Reply *reply)
{
    Pigeon__StoreStats *stats = pgn_arena_alloc(a->arena, sizeof *stats);

    pigeon__store_stats__init(stats);
    reply->payload_case = PIGEON__REPLY__PAYLOAD_STATS;
    reply->stats = stats;
    return a->service->store->ops->stats(a->service->store, a->arena, stats);
}

static int admin_backup(struct asked *a, Pigeon__Reply *reply)
{
    struct sto_store *store = a->service->store;
    Pigeon__BackupInfo *info = pgn_arena_alloc(a->arena, sizeof *info);
    bool restore = a->admin->what_case == PIGEON__ADMIN_REQUEST__WHAT_RESTORE;

    pigeon__backup_info__init(info);
    reply->payload_case = PIGEON__REPLY__PAYLOAD_BACKUP;
    reply->backup = info;
    int error = restore ? store->ops->restore(store, a->admin->restore->name, a->arena, info)
                        : store->ops->backup(store, a->admin->backup->name, a->arena, info);
    a->restart = restore && !error;
    return error;
}

static int admin_do(struct asked *a, Pigeon__Reply *reply)
{
    struct sto_store *store = a->service->store;
    Pigeon__ConvRequest read = PIGEON__CONV_REQUEST__INIT;

    switch (a->admin->what_case) {
    case PIGEON__ADMIN_REQUEST__WHAT_STATS:
        return admin_stats(a, reply);
    case PIGEON__ADMIN_REQUEST__WHAT_BACKUP:
    case PIGEON__ADMIN_REQUEST__WHAT_RESTORE:
        return admin_backup(a, reply);
    case PIGEON__ADMIN_REQUEST__WHAT_BACKUP_LIST:
        reply->payload_case = PIGEON__REPLY__PAYLOAD_BACKUPS;
        reply->backups = pgn_arena_alloc(a->arena, sizeof *reply->backups);
        pigeon__backup_list__init(reply->backups);
        return store->ops->backup_list(store, a->arena, reply->backups);
    case PIGEON__ADMIN_REQUEST__WHAT_FETCH:
        read.what_case = PIGEON__CONV_REQUEST__WHAT_FETCH;
        read.fetch = a->admin->fetch;
        return store->ops->read(store, &read, a->budget, a->arena, reply);
    case PIGEON__ADMIN_REQUEST__WHAT__NOT_SET:
    case _PIGEON__ADMIN_REQUEST__WHAT__CASE_IS_INT_SIZE:
        break;
    }
    return PGN_E_INVALID;
}

static void admin_run(struct pgn_job *job)
{
    struct asked *a = PGN_CONTAINER(job, struct asked, job);
    Pigeon__Reply reply = PIGEON__REPLY__INIT;

    reply.error = admin_do(a, &reply);
    if (!reply.error && reply.payload_case == PIGEON__REPLY__PAYLOAD_STATS && sto_commit_lane_failed(a->service->commits))
        reply.stats->problem = (char *)(uintptr_t) "the store cannot be written to: disk full or disk error";
    pack(a, &reply);
}

/* ---- loop ---- */

static void asked_done(struct pgn_job *job)
{
    struct asked *a = PGN_CONTAINER(job, struct asked, job);
    struct sto_service *s = a->service;

    sto_answer(s, a->reply, &a->answer);
    if (a->conv) {
        sto_count(STO_M_READS, 1);
        sto_observe(STO_M_READ_TIME, a->took_us);
    }
    if (a->restart) {
        pgn_log(PGN_INFO, "a backup is to be restored: ending, the next start does it");
        pgn_svc_fail(s->svc, 0);
    }
    asked_free(a);
    s->reads_running--;
    sto_drain_check(s);
}

static void submit(struct sto_service *s, struct pgn_workers *pool, struct asked *a)
{
    if (!a->conv && !a->admin) {
        sto_count(STO_M_MALFORMED, 1);
        sto_answer_error(s, a->reply, PGN_E_INVALID, 0);
        asked_free(a);
        return;
    }
    a->job.done = asked_done;
    if (pgn_workers_submit(pool, &a->job) != 0) {
        sto_count(STO_M_OVERLOADED, 1);
        sto_answer_error(s, a->reply, PGN_E_OVERLOADED, OVERLOAD_RETRY_MS);
        asked_free(a);
        return;
    }
    s->reads_running++;
}

static struct asked *asked_new(struct sto_service *s, const struct pgn_bus_msg *msg)
{
    struct asked *a = pgn_calloc(1, sizeof *a);

    a->service = s;
    a->arena = pgn_arena_new(ARENA_BYTES);
    a->reply = pgn_strdup(msg->reply);
    a->budget = sto_answer_budget(s);
    return a;
}

void sto_read_take(struct sto_service *s, const struct pgn_bus_msg *msg)
{
    struct asked *a = asked_new(s, msg);

    a->conv = PGN_PB_UNPACK(Pigeon__ConvRequest, pigeon__conv_request, a->arena, msg->data, msg->len);
    a->job.run = read_run;
    submit(s, s->readers, a);
}

void sto_admin_take(struct sto_service *s, const struct pgn_bus_msg *msg)
{
    struct asked *a = asked_new(s, msg);

    a->admin = PGN_PB_UNPACK(Pigeon__AdminRequest, pigeon__admin_request, a->arena, msg->data, msg->len);
    a->job.run = admin_run;
    submit(s, s->admin, a);
}
