/* The MongoDB store's inside: store_mongo.c, mongo_keeper.c, mongo_lease.c. */
#ifndef STO_STORE_MONGO_H
#define STO_STORE_MONGO_H

#include "services/storage/kv_mongo.h"
#include "services/storage/ledger.h"
#include "services/storage/store_parts.h"

#include <pthread.h>
#include <stdatomic.h>

struct sto_lease {
    char owner[33];
    uint64_t renewed; /* as last seen */
    char seen_owner[33];
    uint64_t seen_ms; /* monotonic, when it last changed */
    bool held;
};

struct sto_mongo_store {
    struct sto_parts parts;
    struct sto_mongo *mongo;
    struct sto_ledger *ledger;
    uint32_t retry_days;
    /* Two threads: the keeper may wait for a long commit, the lease must not. */
    pthread_t keeper, leaser;
    bool keeper_runs, leaser_runs;
    pthread_mutex_t keeper_lock; /* of what follows */
    pthread_cond_t keeper_wake;
    bool ending, writer;
    struct sto_lease lease; /* the leaser's alone */
    void (*on_active)(void *ctx, bool active);
    void *active_ctx;
    uint64_t swept_ms;          /* from here: the keeper's alone */
    uint64_t tombs_n, tombs_ms; /* tombstones below go next */
};
static inline struct sto_mongo_store *sto_mongo_store_of(struct sto_store *s)
{
    return PGN_CONTAINER(s, struct sto_mongo_store, parts.base);
}

/* mongo_keeper.c: threads that follow the ledger, keep it short and sweep; and hold or watch the lease. */
void sto_keeper_start(struct sto_mongo_store *s);
void sto_keeper_stop(struct sto_mongo_store *s);
/* mongo_lease.c: one step, called each STO_LEASE_STEP_MS or so. The leaser's thread. */
enum { STO_LEASE_STEP_MS = 500, STO_LEASE_DEAD_MS = 2000 };
void sto_lease_step(struct sto_mongo *m, struct sto_lease *lease, uint64_t now_ms);
void sto_lease_release(struct sto_mongo *m, struct sto_lease *lease);
/* mongo_sweep.c: what nobody needs any more. */
void sto_mongo_sweep(struct sto_mongo_store *s);

#endif
