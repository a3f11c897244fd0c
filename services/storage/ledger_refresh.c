/* Strict reads (one probe of the ledger's end for all who wait), and what the keeper does: watermarks, removal of old entries. */
#include "common/base/error.h"
#include "common/svc/log.h"
#include "services/storage/ledger_hook.h"
#include "services/storage/ledger_internal.h"

#include <string.h>

#ifdef PGN_TEST_FAULTS
bool (*sto_ledger_test_hook)(enum sto_hook at);
#endif

/* ---- refresh ---- */

static int slow_path(struct sto_ledger *l)
{
    sto_ledger_lock(l);
    int error = sto_ledger_catch_up(l);
    sto_ledger_unlock(l);
    return error;
}

static int probe(struct sto_ledger *l)
{
    uint64_t began_ms = sto_boot_ms(), position = atomic_load(&l->position);
    char id[STO_LEDGER_ID_BYTES];
    bson_t doc = BSON_INITIALIZER;

    if (began_ms - atomic_load(&l->confirmed_ms) > l->retention_ms / 2)
        return slow_path(l);
    mongoc_client_t *client = sto_mongo_take(l->mongo);
    sto_ledger_id(position + 1, id);
    int error = sto_mongo_get(l->mongo, client, STO_LEDGER, id, &doc);
    sto_mongo_give(l->mongo, client);
    bson_destroy(&doc);
    if (error == PGN_E_NOT_FOUND) {
        /* As of that moment; a position that moved meanwhile was confirmed by who moved it. */
        if (atomic_load(&l->position) == position)
            atomic_store(&l->confirmed_ms, began_ms);
        return sto_boot_ms() - began_ms > l->retention_ms / 2 ? PGN_E_UNAVAILABLE : 0;
    }
    return error ? error : slow_path(l);
}

int sto_ledger_refresh(struct sto_ledger *l)
{
    int error = 0;

    pthread_mutex_lock(&l->probe_lock);
    uint64_t mine = l->probes_started + 1; /* one that begins after this call */
    while (l->probes_done < mine) {
        if (l->probing) {
            pthread_cond_wait(&l->probe_end, &l->probe_lock);
            continue;
        }
        uint64_t number = ++l->probes_started;
        l->probing = true;
        pthread_mutex_unlock(&l->probe_lock);
        error = probe(l);
        pthread_mutex_lock(&l->probe_lock);
        l->probing = false;
        l->probes_done = number;
        l->probe_error = error;
        pthread_cond_broadcast(&l->probe_end);
    }
    error = l->probe_error;
    pthread_mutex_unlock(&l->probe_lock);
    return error;
}

/* ---- keeping ---- */

int sto_ledger_note_applied(struct sto_ledger *l)
{
    uint64_t position = atomic_load(&l->position);

    if (position == l->noted_applied)
        return 0;
    mongoc_client_t *client = sto_mongo_take(l->mongo);
    int error = sto_ledger_meta_raise(l, client, "applied", position);
    sto_mongo_give(l->mongo, client);
    if (!error)
        l->noted_applied = position;
    return error;
}

/* Remembers where the end is now; answers the newest entry that is known to be older than the retention (0: none). */
static uint64_t old_enough(struct sto_ledger *l)
{
    uint64_t now_ms = sto_boot_ms(), old = 0;
    size_t drop = 0;

    while (drop < l->sight_count && now_ms - l->sights[drop].at_ms > l->retention_ms)
        old = l->sights[drop++].n;
    memmove(l->sights, l->sights + drop, (l->sight_count - drop) * sizeof *l->sights);
    l->sight_count -= drop;
    bool due = l->sight_count == 0 || now_ms - l->sights[l->sight_count - 1].at_ms > l->retention_ms / (PGN_COUNT(l->sights) - 2);
    if (due && l->sight_count < PGN_COUNT(l->sights))
        l->sights[l->sight_count++] = (struct sto_sight){now_ms, l->noted_applied};
    return old;
}

static int remove_until(struct sto_ledger *l, mongoc_client_t *client, uint64_t n)
{
    char id[STO_LEDGER_ID_BYTES];

    sto_ledger_id(n, id);
    bson_t *filter = BCON_NEW("_id", "{", "$lte", BCON_UTF8(id), "}");
    int error = sto_mongo_remove(l->mongo, client, STO_LEDGER, filter);
    bson_destroy(filter);
    return error;
}

int sto_ledger_trim(struct sto_ledger *l)
{
    uint64_t old = old_enough(l);

    if (old <= l->trimmed)
        return 0;
    mongoc_client_t *client = sto_mongo_take(l->mongo);
    int error = sto_ledger_meta_raise(l, client, "truncated", old);
    if (!error)
        error = remove_until(l, client, old);
    sto_mongo_give(l->mongo, client);
    if (!error)
        l->trimmed = old;
    return error;
}

uint64_t sto_ledger_trimmed(const struct sto_ledger *l)
{
    return l->trimmed;
}
