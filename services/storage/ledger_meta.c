/* The ledger's own document in meta: what is materialised for certain, what was removed, the store's epoch. */
#include "common/base/error.h"
#include "common/base/random.h"
#include "services/storage/ledger_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

uint64_t sto_boot_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_BOOTTIME, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static int make(struct sto_ledger *l, mongoc_client_t *client)
{
    char epoch[17];
    uint64_t random;

    pgn_random(&random, sizeof random);
    snprintf(epoch, sizeof epoch, "%016" PRIx64, random);
    bson_t *doc = BCON_NEW("_id", STO_LEDGER, "schema", BCON_INT32(STO_LEDGER_SCHEMA), "applied", BCON_INT64(0), "truncated", BCON_INT64(0),
                           "epoch", BCON_UTF8(epoch));
    int error = sto_mongo_insert(l->mongo, client, STO_META, doc);
    bson_destroy(doc);
    return error == PGN_E_CONFLICT ? 0 : error; /* another instance was first */
}

static uint64_t number_of(const bson_t *doc, const char *name)
{
    bson_iter_t it;

    return bson_iter_init_find(&it, doc, name) && BSON_ITER_HOLDS_NUMBER(&it) ? (uint64_t)bson_iter_as_int64(&it) : 0;
}

int sto_ledger_meta_load(struct sto_ledger *l, mongoc_client_t *client, struct sto_ledger_meta *ret_meta)
{
    bson_t doc = BSON_INITIALIZER;
    bson_iter_t it;
    int error = sto_mongo_get(l->mongo, client, STO_META, STO_LEDGER, &doc);

    if (error == PGN_E_NOT_FOUND && (error = make(l, client)) == 0)
        error = sto_mongo_get(l->mongo, client, STO_META, STO_LEDGER, &doc);
    if (!error && number_of(&doc, "schema") > STO_LEDGER_SCHEMA)
        error = PGN_E_CONFLICT;
    if (!error && number_of(&doc, "schema") < STO_LEDGER_SCHEMA)
        error = sto_ledger_meta_raise(l, client, "schema", STO_LEDGER_SCHEMA);
    if (!error) {
        ret_meta->applied = number_of(&doc, "applied");
        ret_meta->truncated = number_of(&doc, "truncated");
        bool named = bson_iter_init_find(&it, &doc, "epoch") && BSON_ITER_HOLDS_UTF8(&it);
        snprintf(ret_meta->epoch, sizeof ret_meta->epoch, "%s", named ? bson_iter_utf8(&it, NULL) : "");
    }
    bson_destroy(&doc);
    return error;
}

int sto_ledger_meta_raise(struct sto_ledger *l, mongoc_client_t *client, const char *name, uint64_t n)
{
    bson_t *filter = BCON_NEW("_id", STO_LEDGER, name, "{", "$lt", BCON_INT64((int64_t)n), "}");
    bson_t *set = BCON_NEW("$set", "{", name, BCON_INT64((int64_t)n), "}");
    int error = sto_mongo_update(l->mongo, client, STO_META, filter, set, NULL);

    bson_destroy(filter);
    bson_destroy(set);
    return error;
}
