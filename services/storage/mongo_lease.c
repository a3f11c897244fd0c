/*
 * Who subscribes to commits: {_id: "writer", owner, renewed} in meta. Judged by the watcher's own clock: a lease whose counter did not
 * move for STO_LEASE_DEAD_MS is taken by an update on the very counter seen. It saves contention only; safety is the ledger's.
 */
#include "common/base/error.h"
#include "common/svc/log.h"
#include "services/storage/ledger_internal.h"
#include "services/storage/store_mongo.h"

#include <stdio.h>
#include <string.h>

#define WRITER "writer"

/* Sets owner and counter where they are still what was seen. */
static int change(struct sto_mongo *m, mongoc_client_t *client, const struct sto_lease *lease, const char *owner, bool *ret_changed)
{
    bson_t *filter = BCON_NEW("_id", WRITER, "owner", BCON_UTF8(lease->seen_owner), "renewed", BCON_INT64((int64_t)lease->renewed));
    bson_t *set = BCON_NEW("$set", "{", "owner", BCON_UTF8(owner), "renewed", BCON_INT64((int64_t)lease->renewed + 1), "}");
    int error = sto_mongo_update(m, client, STO_META, filter, set, ret_changed);

    bson_destroy(filter);
    bson_destroy(set);
    return error;
}

static int make(struct sto_mongo *m, mongoc_client_t *client)
{
    bson_t *doc = BCON_NEW("_id", WRITER, "owner", BCON_UTF8(""), "renewed", BCON_INT64(0));
    int error = sto_mongo_insert(m, client, STO_META, doc);

    bson_destroy(doc);
    return error == PGN_E_CONFLICT ? 0 : error;
}

/* What the document says, and since when (of this clock) it says so. */
static int look(struct sto_mongo *m, mongoc_client_t *client, struct sto_lease *lease, uint64_t now_ms)
{
    bson_t doc = BSON_INITIALIZER;
    bson_iter_t it;
    int error = sto_mongo_get(m, client, STO_META, WRITER, &doc);

    if (error == PGN_E_NOT_FOUND && (error = make(m, client)) == 0)
        error = sto_mongo_get(m, client, STO_META, WRITER, &doc);
    if (!error) {
        const char *owner = bson_iter_init_find(&it, &doc, "owner") && BSON_ITER_HOLDS_UTF8(&it) ? bson_iter_utf8(&it, NULL) : "";
        uint64_t renewed = bson_iter_init_find(&it, &doc, "renewed") ? (uint64_t)bson_iter_as_int64(&it) : 0;

        if (lease->seen_ms == 0 || renewed != lease->renewed || strcmp(owner, lease->seen_owner) != 0)
            lease->seen_ms = now_ms;
        lease->renewed = renewed;
        snprintf(lease->seen_owner, sizeof lease->seen_owner, "%.32s", owner);
    }
    bson_destroy(&doc);
    return error;
}

void sto_lease_step(struct sto_mongo *m, struct sto_lease *lease, uint64_t now_ms)
{
    mongoc_client_t *client = sto_mongo_take(m);
    bool changed = false, reached = false;

    if (look(m, client, lease, now_ms) == 0) {
        bool mine = strcmp(lease->seen_owner, lease->owner) == 0, free_now = lease->seen_owner[0] == 0;

        if (lease->held && !mine)
            pgn_log(PGN_INFO, "another storage service took over as writer");
        lease->held = mine && lease->held;
        if (mine || free_now || now_ms - lease->seen_ms >= STO_LEASE_DEAD_MS) {
            reached = change(m, client, lease, lease->owner, &changed) == 0;
            if (changed) {
                if (!lease->held)
                    pgn_log(PGN_INFO, free_now || mine ? "this storage service is the writer"
                                                       : "the writer is silent: this storage service takes over");
                lease->held = true;
                lease->renewed++;
                lease->seen_ms = now_ms;
                memcpy(lease->seen_owner, lease->owner, sizeof lease->owner);
            }
        }
    }
    if (lease->held && !reached && now_ms - lease->seen_ms >= STO_LEASE_DEAD_MS) {
        pgn_log(PGN_WARN, "the lease cannot be renewed: another storage service may be the writer by now");
        lease->held = false;
    }
    sto_mongo_give(m, client);
}

void sto_lease_release(struct sto_mongo *m, struct sto_lease *lease)
{
    mongoc_client_t *client = sto_mongo_take(m);
    bool changed;

    if (lease->held && change(m, client, lease, "", &changed) != 0)
        pgn_log(PGN_WARN, "the writer's lease could not be given back: the next one waits for it to run out");
    lease->held = false;
    sto_mongo_give(m, client);
}
