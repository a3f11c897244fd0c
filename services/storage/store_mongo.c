/*
 * The store on a MongoDB database that several storage services share. Rows of the log and the directory live there; this process
 * keeps the directory as a replica in SQLite in memory, conversation heads, people and sessions. Every write goes through the ledger.
 */
#include "services/storage/store_mongo.h"

#include "common/base/error.h"
#include "common/svc/log.h"
#include "services/storage/dir_internal.h"
#include "services/storage/dir_replica.h"

#include <stdlib.h>
#include <string.h>

/* ---- what the ledger calls ---- */

static int sink_store_rows(void *ctx, mongoc_client_t *client, const struct sto_entry *e)
{
    return sto_kv_mongo_store(((struct sto_mongo_store *)ctx)->mongo, client, e);
}

static int sink_store_dir(void *ctx, mongoc_client_t *client, const struct sto_entry *e)
{
    return sto_replica_store(((struct sto_mongo_store *)ctx)->mongo, client, e->n, e->dir);
}

static void sink_moved_rows(void *ctx, const struct sto_entry *e)
{
    struct sto_mongo_store *s = ctx;
    struct sto_key key = sto_key_meta("counters");

    if (s->parts.kv)
        sto_kv_mongo_moved(s->parts.kv);
    for (size_t i = e->put_count; s->parts.log && i-- > 0;)
        if (e->puts[i].cf == STO_CF_MAIN && e->puts[i].key.len == key.len && memcmp(e->puts[i].key.data, key.data, key.len) == 0) {
            sto_log_moved(s->parts.log, e->puts[i].value);
            break;
        }
}

/* The own transaction lost against this entry: it goes, before the picture changes under it. */
static void dir_aside(struct sto_dir *dir)
{
    if (dir->in_transaction)
        sto_dir_abort(dir);
}

static int sink_moved_dir(void *ctx, const struct sto_entry *e)
{
    struct sto_dir *dir = ((struct sto_mongo_store *)ctx)->parts.dir;

    dir_aside(dir);
    return sto_replica_apply(dir, e->dir);
}

static int sink_reload(void *ctx, mongoc_client_t *client, uint64_t position)
{
    struct sto_mongo_store *s = ctx;

    (void)position;
    dir_aside(s->parts.dir);
    if (s->parts.kv)
        sto_kv_mongo_moved(s->parts.kv);
    return sto_replica_load(s->parts.dir, s->mongo, client);
}

/* ---- the log ---- */

/* Rows of a commit that is just being written may be met half: then once more, when it is whole. */
static int mongo_read(struct sto_store *base, const Pigeon__ConvRequest *request, size_t budget_bytes, struct pgn_arena *arena,
                      Pigeon__Reply *ret)
{
    enum { AGAIN_MAX = 3 };
    struct sto_mongo_store *s = sto_mongo_store_of(base);
    int error = sto_ledger_refresh(s->ledger);

    if (error) {
        ret->error = PGN_E_UNAVAILABLE;
        return PGN_E_UNAVAILABLE;
    }
    error = sto_parts_read(base, request, budget_bytes, arena, ret);
    for (int i = 0; error == PGN_E_CORRUPT && i < AGAIN_MAX; i++) {
        sto_ledger_lock(s->ledger);
        error = sto_ledger_catch_up(s->ledger);
        sto_ledger_unlock(s->ledger);
        pigeon__reply__init(ret);
        error = error ? PGN_E_UNAVAILABLE : sto_parts_read(base, request, budget_bytes, arena, ret);
    }
    ret->error = error;
    return error;
}

static enum sto_doubt mongo_doubt(struct sto_store *base, uint64_t commit)
{
    (void)commit; /* a number does not tell whose it is */
    return sto_ledger_doubt(sto_mongo_store_of(base)->ledger);
}

/* ---- the directory ---- */

static int mongo_dir_begin(struct sto_store *base)
{
    struct sto_mongo_store *s = sto_mongo_store_of(base);

    sto_ledger_lock(s->ledger);
    int error = sto_ledger_catch_up(s->ledger);
    if (error)
        error = PGN_E_UNAVAILABLE;
    if (!error && (error = sto_parts_dir_begin(base)) == 0 && (error = sto_replica_begin(s->parts.dir)) != 0)
        sto_dir_abort(s->parts.dir);
    if (error)
        sto_ledger_unlock(s->ledger);
    return error;
}

static int mongo_dir_end(struct sto_store *base)
{
    struct sto_mongo_store *s = sto_mongo_store_of(base);
    struct pgn_buf changes = {0};
    int error = sto_replica_changeset(s->parts.dir, &changes);

    if (!error && changes.len)
        error = sto_ledger_append(s->ledger, NULL, 0, sto_slice_buf(&changes));
    if (error) {
        dir_aside(s->parts.dir);
    } else if ((error = sto_parts_dir_end(base)) != 0) {
        sto_ledger_distrust(s->ledger); /* stored, but not here */
        error = changes.len ? PGN_E_UNCERTAIN : error;
    }
    pgn_buf_release(&changes);
    sto_ledger_unlock(s->ledger);
    return error;
}

static int mongo_audit_verify(struct sto_store *base, uint64_t *ret_count, uint64_t *ret_bad)
{
    struct sto_mongo_store *s = sto_mongo_store_of(base);

    sto_ledger_lock(s->ledger);
    int error = sto_ledger_catch_up(s->ledger);
    if (!error)
        error = sto_parts_audit_verify(base, ret_count, ret_bad);
    sto_ledger_unlock(s->ledger);
    return error;
}

/* ---- the rest ---- */

static void mongo_lease_watch(struct sto_store *base, void (*on_active)(void *ctx, bool active), void *ctx)
{
    struct sto_mongo_store *s = sto_mongo_store_of(base);

    pthread_mutex_lock(&s->keeper_lock);
    s->on_active = on_active;
    s->active_ctx = ctx;
    pthread_cond_broadcast(&s->keeper_wake);
    pthread_mutex_unlock(&s->keeper_lock);
}

static void mongo_close(struct sto_store *base)
{
    struct sto_mongo_store *s = sto_mongo_store_of(base);

    sto_keeper_stop(s);
    sto_parts_release(&s->parts);
    sto_ledger_close(&s->ledger);
    sto_mongo_free(&s->mongo);
    pthread_mutex_destroy(&s->keeper_lock);
    pthread_cond_destroy(&s->keeper_wake);
    free(s);
}

static const struct sto_store_ops mongo_ops = {
    .name = "mongodb",
    .commit = sto_parts_commit,
    .recover = sto_parts_recover,
    .doubt = mongo_doubt,
    .last_commit = sto_parts_last_commit,
    .read = mongo_read,
    .dir_begin = mongo_dir_begin,
    .dir_request = sto_parts_dir_request,
    .dir_session = sto_parts_dir_session,
    .dir_mqtt = sto_parts_dir_mqtt,
    .dir_end = mongo_dir_end,
    .audit_verify = mongo_audit_verify,
    .stats = sto_parts_stats_only,
    .backup = sto_parts_no_backup,
    .backup_list = sto_parts_no_backups,
    .restore = sto_parts_no_backup,
    .lease_watch = mongo_lease_watch,
    .close = mongo_close,
};

/* ---- opening ---- */

static int ledger_open(struct sto_mongo_store *s, const struct sto_store_options *options, struct pgn_buf *ret_problem)
{
    const struct sto_sink sink = {s, sink_store_rows, sink_store_dir, sink_moved_rows, sink_moved_dir, sink_reload};
    const struct sto_ledger_options ledger = {options->ledger_retention_ms, options->faults.uncertain_at};
    int error = sto_ledger_open(s->mongo, &sink, &ledger, &s->ledger, ret_problem);

    if (!error)
        memcpy(s->parts.base.epoch, sto_ledger_epoch(s->ledger), sizeof s->parts.base.epoch);
    return error;
}

/* The log's first row may be made by two instances at once: the one that comes second reads what the first wrote. */
static int log_open(struct sto_mongo_store *s, const struct sto_faults *faults, struct pgn_buf *ret_problem)
{
    enum { TRIES = 5 };
    struct sto_faults of_log = *faults;
    int error = PGN_E_STALE;

    of_log.uncertain_at = 0; /* the ledger's */
    s->parts.kv = sto_kv_mongo_new(s->mongo, s->ledger);
    sto_ledger_lock(s->ledger);
    for (int i = 0; i < TRIES && error == PGN_E_STALE; i++) {
        pgn_buf_clear(ret_problem);
        error = sto_parts_join(&s->parts, &of_log, ret_problem);
    }
    sto_ledger_unlock(s->ledger);
    return error;
}

int sto_mongo_open(const struct sto_store_options *options, struct sto_store **ret_store, struct pgn_buf *ret_problem)
{
    struct sto_mongo_store *s = pgn_calloc(1, sizeof *s);

    sto_parts_init(&s->parts, &mongo_ops);
    pthread_mutex_init(&s->keeper_lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&s->keeper_wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    s->retry_days = options->retry_days;
    int error = sto_mongo_new(options->mongo, &s->mongo, ret_problem);
    if (!error)
        error = sto_mongo_check(s->mongo, ret_problem);
    if (!error)
        error = sto_mongo_indexes(s->mongo, ret_problem);
    if (!error)
        error = sto_dir_open(":memory:", s->parts.people, &s->parts.dir, ret_problem, &s->parts.base.notes);
    if (!error)
        error = ledger_open(s, options, ret_problem);
    if (!error)
        error = log_open(s, &options->faults, ret_problem);
    if (error) {
        mongo_close(&s->parts.base);
        return error;
    }
    sto_keeper_start(s);
    *ret_store = &s->parts.base;
    return 0;
}
