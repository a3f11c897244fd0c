/* Removes what nobody needs any more: retry keys past their days, tombstones of the directory past theirs. Keeper's thread, rarely. */
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/svc/log.h"
#include "services/storage/dir_replica.h"
#include "services/storage/rows.h"
#include "services/storage/store_mongo.h"

enum { DAY_S = 24 * 3600 };

static void delete_many(struct sto_mongo *m, mongoc_client_t *client, const char *collection, const bson_t *filter)
{
    mongoc_collection_t *c = sto_mongo_collection(m, client, collection);
    bson_error_t e;

    if (!mongoc_collection_delete_many(c, filter, NULL, NULL, &e))
        pgn_log_limited(PGN_WARN, 60000, "sweeping %s failed: %s", collection, e.message);
    mongoc_collection_destroy(c);
}

/* A tombstone stays for a day after its entry left the ledger: who still writes an entry from before finds it. */
static void sweep_tombstones(struct sto_mongo_store *s, mongoc_client_t *client)
{
    uint64_t now_ms = sto_boot_ms();
    bson_t *filter = BCON_NEW("x", BCON_BOOL(true), "g", "{", "$lte", BCON_INT64((int64_t)s->tombs_n), "}");

    if (now_ms - s->tombs_ms > DAY_S * 1000ull) {
        for (size_t i = 0; s->tombs_n && i < STO_DIR_TABLES; i++)
            delete_many(s->mongo, client, sto_dir_tables[i].collection, filter);
        s->tombs_n = sto_ledger_trimmed(s->ledger);
        s->tombs_ms = now_ms;
    }
    bson_destroy(filter);
}

void sto_mongo_sweep(struct sto_mongo_store *s)
{
    mongoc_client_t *client = sto_mongo_take(s->mongo);
    int64_t before = (int64_t)(pgn_wall_ms() / 1000) - (int64_t)s->retry_days * DAY_S;
    bson_t *filter = BCON_NEW("at", "{", "$gte", BCON_INT64(STO_CLOCK_WAS_SET_S), "$lt", BCON_INT64(before), "}");

    delete_many(s->mongo, client, "retries", filter);
    bson_destroy(filter);
    sweep_tombstones(s, client);
    sto_mongo_give(s->mongo, client);
}
