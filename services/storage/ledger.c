/* Appending and catching up; see ledger.h for the rule. */
#include "services/storage/ledger_internal.h"

#include "common/base/alloc.h"
#include "common/base/error.h"
#include "common/base/random.h"
#include "common/svc/log.h"
#include "services/storage/ledger_hook.h"

#include <stdlib.h>
#include <string.h>

enum { RETENTION_MS = 3600 * 1000 };

/* ---- one entry ---- */

static int fetch(struct sto_ledger *l, mongoc_client_t *client, uint64_t n, bson_t *ret_doc)
{
    char id[STO_LEDGER_ID_BYTES];

    sto_ledger_id(n, id);
    return sto_mongo_get(l->mongo, client, STO_LEDGER, id, ret_doc);
}

static int materialise(struct sto_ledger *l, mongoc_client_t *client, const struct sto_entry *e)
{
    int error = e->dir.len ? l->sink.store_dir(l->sink.ctx, client, e) : 0;

    return !error && e->put_count ? l->sink.store_rows(l->sink.ctx, client, e) : error;
}

/* ---- the entry in doubt ---- */

static void doubt_begin(struct sto_ledger *l, uint64_t n)
{
    l->doubt_n = n;
    l->doubt_mark = l->appends;
    atomic_store(&l->doubt, STO_DOUBT_OPEN);
}

/* Entry n was found, or (doc NULL) appended just now. */
static void doubt_look(struct sto_ledger *l, const bson_t *doc, uint64_t n, bool rows)
{
    uint64_t mark = 0;
    bool mine = !doc || sto_entry_is_mine(l, doc, &mark);

    if (atomic_load(&l->doubt) == STO_DOUBT_OPEN && n >= l->doubt_n)
        atomic_store(&l->doubt, n == l->doubt_n && doc && mine && mark == l->doubt_mark ? STO_DOUBT_STORED : STO_DOUBT_NOT);
    else if (rows && !mine)
        atomic_store(&l->doubt, STO_DOUBT_NOT);
}

enum sto_doubt sto_ledger_doubt(const struct sto_ledger *l)
{
    return (enum sto_doubt)atomic_load(&l->doubt);
}

/* A found entry: newest says that nobody is known to have materialised it. */
static int apply(struct sto_ledger *l, mongoc_client_t *client, const bson_t *doc, uint64_t n, bool newest)
{
    struct sto_entry e;
    struct sto_kv_put *puts;
    int error = sto_entry_decode(doc, n, &e, &puts);

    if (!error && newest)
        error = materialise(l, client, &e);
    if (!error && e.dir.len)
        error = l->sink.moved_dir(l->sink.ctx, &e);
    if (!error && e.put_count)
        l->sink.moved_rows(l->sink.ctx, &e);
    if (error == PGN_E_CORRUPT)
        pgn_log_limited(PGN_ERR, 10000, "entry %llu of the ledger cannot be read", (unsigned long long)n);
    free(puts);
    if (!error) {
        atomic_store(&l->position, n);
        doubt_look(l, doc, n, e.put_count > 0);
    }
    return error;
}

/* ---- a picture that is too old ---- */

static bool lapsed(const struct sto_ledger *l)
{
    return sto_boot_ms() - atomic_load(&l->confirmed_ms) > l->retention_ms / 2;
}

static int reload(struct sto_ledger *l, mongoc_client_t *client)
{
    struct sto_ledger_meta meta;
    int error = sto_ledger_meta_load(l, client, &meta);

    if (error)
        return error;
    l->reload = true;
    if ((error = l->sink.reload(l->sink.ctx, client, meta.applied)) != 0)
        return error;
    atomic_store(&l->doubt, STO_DOUBT_NOT); /* nobody looks at the entries up to here */
    memcpy(l->epoch, meta.epoch, sizeof l->epoch);
    atomic_store(&l->position, meta.applied);
    l->reload = false;
    return 0;
}

/* After a long sleep entries may have been removed that this instance has not seen: then it begins anew. */
static int check_lapse(struct sto_ledger *l, mongoc_client_t *client)
{
    struct sto_ledger_meta meta;

    if (!l->reload) {
        if (!lapsed(l))
            return 0;
        int error = sto_ledger_meta_load(l, client, &meta);
        if (error || meta.truncated <= atomic_load(&l->position))
            return error;
        pgn_log(PGN_WARN, "this instance was away for longer than the ledger is kept: everything is loaded again");
    }
    return reload(l, client);
}

/* ---- catching up ---- */

static int catch_up(struct sto_ledger *l, mongoc_client_t *client)
{
    bson_t next = BSON_INITIALIZER, pending = BSON_INITIALIZER;
    uint64_t began_ms = sto_boot_ms(), n;
    int error = check_lapse(l, client);
    bool have = false;

    for (n = atomic_load(&l->position) + 1; !error; n++) {
        error = fetch(l, client, n, &next);
        if (error && error != PGN_E_NOT_FOUND)
            break;
        if (have) {
            int failed = apply(l, client, &pending, n - 1, error == PGN_E_NOT_FOUND);
            if (failed) {
                error = failed;
                break;
            }
        }
        have = !error;
        if (have) {
            bson_destroy(&pending);
            bson_copy_to(&next, &pending);
        }
    }
    bson_destroy(&next);
    bson_destroy(&pending);
    if (error == PGN_E_NOT_FOUND) {
        atomic_store(&l->confirmed_ms, began_ms);
        return lapsed(l) ? PGN_E_UNAVAILABLE : 0; /* slept in here: what was not found may have been removed */
    }
    if (error == PGN_E_CORRUPT || error == PGN_E_IO)
        l->reload = true;
    return error == PGN_E_UNCERTAIN || error == PGN_E_CONFLICT ? PGN_E_UNAVAILABLE : error;
}

int sto_ledger_catch_up(struct sto_ledger *l)
{
    mongoc_client_t *client = sto_mongo_take(l->mongo);
    int error = catch_up(l, client);

    sto_mongo_give(l->mongo, client);
    return error;
}

int sto_ledger_confirm(struct sto_ledger *l)
{
    uint64_t before = atomic_load(&l->position);
    int error = sto_ledger_catch_up(l);

    return error ? error : atomic_load(&l->position) != before ? PGN_E_STALE : 0;
}

int sto_ledger_recover(struct sto_ledger *l)
{
    return sto_ledger_catch_up(l);
}

/* ---- appending ---- */

static void ghost_remove(struct sto_ledger *l, mongoc_client_t *client, uint64_t n)
{
    mongoc_collection_t *c = sto_mongo_collection(l->mongo, client, STO_LEDGER);
    bson_t filter = BSON_INITIALIZER;
    bson_error_t e;

    sto_entry_filter(l, n, &filter);
    if (!mongoc_collection_delete_one(c, &filter, NULL, NULL, &e)) /* nobody reads it: trimming takes it away later */
        pgn_log(PGN_WARN, "an entry that came too late stays for now: %s", e.message);
    bson_destroy(&filter);
    mongoc_collection_destroy(c);
}

/*
 * The insert went well. Was it the newest entry, or the place of one that was removed while this instance slept? PGN_E_STALE: the
 * latter; nothing was stored.
 */
static int ghost_check(struct sto_ledger *l, mongoc_client_t *client, uint64_t n)
{
    struct sto_ledger_meta meta;

    if (!lapsed(l))
        return 0;
    if (sto_ledger_meta_load(l, client, &meta) != 0)
        return PGN_E_UNCERTAIN;
    if (n > meta.truncated)
        return 0;
    pgn_log(PGN_WARN, "this instance slept: entry %llu came after its place was removed, it is taken back", (unsigned long long)n);
    ghost_remove(l, client, n);
    l->reload = true;
    return catch_up(l, client) != 0 ? PGN_E_UNAVAILABLE : PGN_E_STALE;
}

/* Somebody was first, and what he appended is applied now. */
static int lost(struct sto_ledger *l, mongoc_client_t *client, uint64_t n)
{
    int error = catch_up(l, client);

    if (error)
        return PGN_E_UNAVAILABLE;
    return atomic_load(&l->position) >= n ? PGN_E_STALE : PGN_E_UNAVAILABLE;
}

static int append(struct sto_ledger *l, mongoc_client_t *client, const struct sto_entry *e, const bson_t *doc)
{
    uint64_t began_ms = sto_boot_ms();
    int error;

    sto_ledger_hook(STO_HOOK_BEFORE_INSERT);
    if (sto_ledger_hook(STO_HOOK_LOST))
        return PGN_E_UNCERTAIN;
    error = sto_mongo_insert(l->mongo, client, STO_LEDGER, doc);
    if (!error && (sto_ledger_hook(STO_HOOK_UNCERTAIN) || (e->put_count && l->uncertain_at && ++l->rows_appended == l->uncertain_at)))
        error = PGN_E_UNCERTAIN;
    if (error == PGN_E_CONFLICT)
        return lost(l, client, e->n);
    if (error)
        return error == PGN_E_UNCERTAIN ? error : PGN_E_UNAVAILABLE;
    if ((error = ghost_check(l, client, e->n)) != 0)
        return error;
    atomic_store(&l->confirmed_ms, began_ms);
    if (sto_ledger_hook(STO_HOOK_BEFORE_ROWS))
        return PGN_E_UNCERTAIN;
    if (materialise(l, client, e) != 0)
        return PGN_E_UNCERTAIN; /* it is stored, but others could not see it yet: recover writes the rest */
    atomic_store(&l->position, e->n);
    doubt_look(l, NULL, e->n, e->put_count > 0);
    return 0;
}

int sto_ledger_append(struct sto_ledger *l, const struct sto_kv_put *puts, size_t count, struct sto_slice dir)
{
    struct sto_entry e = {atomic_load(&l->position) + 1, puts, count, dir, true};
    bson_t doc = BSON_INITIALIZER;

    l->appends++;
    int error = l->reload ? PGN_E_UNAVAILABLE : sto_entry_encode(l, e.n, puts, count, dir, &doc);

    if (!error) {
        mongoc_client_t *client = sto_mongo_take(l->mongo);

        error = append(l, client, &e, &doc);
        if (error == PGN_E_UNCERTAIN && count)
            doubt_begin(l, e.n);
        sto_mongo_give(l->mongo, client);
    }
    bson_destroy(&doc);
    return error;
}

/* ---- life ---- */

int sto_ledger_open(struct sto_mongo *m, const struct sto_sink *sink, const struct sto_ledger_options *options,
                    struct sto_ledger **ret_ledger, struct pgn_buf *ret_problem)
{
    struct sto_ledger *l = pgn_calloc(1, sizeof *l);
    uint8_t random[16];

    l->mongo = m;
    l->sink = *sink;
    l->retention_ms = options->retention_ms ? options->retention_ms : RETENTION_MS;
    l->reload = true;
    l->uncertain_at = options->uncertain_at;
    l->doubt = STO_DOUBT_NOT;
    pgn_random(random, sizeof random);
    sto_hex(random, sizeof random, l->by);
    pthread_mutex_init(&l->lock, NULL);
    pthread_mutex_init(&l->probe_lock, NULL);
    pthread_cond_init(&l->probe_end, NULL);
    atomic_store(&l->confirmed_ms, sto_boot_ms());
    sto_ledger_lock(l);
    int error = sto_ledger_catch_up(l);
    sto_ledger_unlock(l);
    if (error == PGN_E_CONFLICT)
        pgn_buf_append_str(ret_problem, "the database was written by a newer Pigeon: install the newer version again");
    else if (error)
        pgn_buf_printf(ret_problem, "the ledger cannot be read: %s", pgn_error_info(error)->text);
    if (error)
        sto_ledger_close(&l);
    else
        *ret_ledger = l;
    return error;
}

void sto_ledger_close(struct sto_ledger **ledger)
{
    if (!*ledger)
        return;
    pthread_mutex_destroy(&(*ledger)->lock);
    pthread_mutex_destroy(&(*ledger)->probe_lock);
    pthread_cond_destroy(&(*ledger)->probe_end);
    free(*ledger);
    *ledger = NULL;
}

void sto_ledger_distrust(struct sto_ledger *l)
{
    l->reload = true;
}
void sto_ledger_lock(struct sto_ledger *l)
{
    pthread_mutex_lock(&l->lock);
}
void sto_ledger_unlock(struct sto_ledger *l)
{
    pthread_mutex_unlock(&l->lock);
}
uint64_t sto_ledger_position(const struct sto_ledger *l)
{
    return atomic_load(&l->position);
}
const char *sto_ledger_epoch(const struct sto_ledger *l)
{
    return l->epoch;
}
