/*
 * Two threads of the MongoDB store. The keeper follows the ledger, notes how far it is, and sweeps; it may wait for a commit that
 * takes long. The leaser holds or watches the writer's lease, and waits for nothing but the server: else a slow commit would cost the
 * lease.
 */
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/random.h"
#include "services/storage/store_mongo.h"

#include <errno.h>
#include <time.h>

enum { SWEEP_MS = 10 * 60 * 1000 };

static void wait_step(struct sto_mongo_store *s)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until); /* as keeper_wake: the wall clock may be set back by hours */
    until.tv_nsec += STO_LEASE_STEP_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    if (!s->ending)
        pthread_cond_timedwait(&s->keeper_wake, &s->keeper_lock, &until);
}

/* keeper_lock is held; it is let go around what blocks. */
static void lease_turn(struct sto_mongo_store *s)
{
    bool wanted = s->on_active != NULL, held = s->lease.held;

    pthread_mutex_unlock(&s->keeper_lock);
    if (wanted)
        sto_lease_step(s->mongo, &s->lease, pgn_mono_ms());
    else if (held)
        sto_lease_release(s->mongo, &s->lease);
    pthread_mutex_lock(&s->keeper_lock);
    s->writer = s->lease.held;
    if (s->on_active && held != s->writer)
        s->on_active(s->active_ctx, s->writer);
}

static void *leaser(void *arg)
{
    struct sto_mongo_store *s = arg;

    pthread_mutex_lock(&s->keeper_lock);
    while (!s->ending) {
        lease_turn(s);
        wait_step(s);
    }
    pthread_mutex_unlock(&s->keeper_lock);
    sto_lease_release(s->mongo, &s->lease);
    return NULL;
}

static void keep(struct sto_mongo_store *s, bool writer)
{
    int error = sto_ledger_refresh(s->ledger);

    if (!error)
        error = sto_ledger_note_applied(s->ledger);
    if (!error && writer)
        error = sto_ledger_trim(s->ledger);
    if (!error && writer && pgn_mono_ms() - s->swept_ms > SWEEP_MS) {
        s->swept_ms = pgn_mono_ms();
        sto_mongo_sweep(s);
    }
}

static void *keeper(void *arg)
{
    struct sto_mongo_store *s = arg;

    pthread_mutex_lock(&s->keeper_lock);
    while (!s->ending) {
        bool writer = s->writer;

        pthread_mutex_unlock(&s->keeper_lock);
        keep(s, writer);
        pthread_mutex_lock(&s->keeper_lock);
        wait_step(s);
    }
    pthread_mutex_unlock(&s->keeper_lock);
    return NULL;
}

void sto_keeper_start(struct sto_mongo_store *s)
{
    uint8_t random[16];

    pgn_random(random, sizeof random);
    sto_hex(random, sizeof random, s->lease.owner);
    s->swept_ms = pgn_mono_ms();
    s->keeper_runs = pthread_create(&s->keeper, NULL, keeper, s) == 0;
    s->leaser_runs = pthread_create(&s->leaser, NULL, leaser, s) == 0;
}

void sto_keeper_stop(struct sto_mongo_store *s)
{
    pthread_mutex_lock(&s->keeper_lock);
    s->ending = true;
    pthread_cond_broadcast(&s->keeper_wake);
    pthread_mutex_unlock(&s->keeper_lock);
    if (s->leaser_runs)
        pthread_join(s->leaser, NULL);
    if (s->keeper_runs)
        pthread_join(s->keeper, NULL);
    s->leaser_runs = s->keeper_runs = false;
}
