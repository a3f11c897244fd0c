/* Failure counters in Redis and memory; see lockout.h. */
#include "services/api/lockout.h"

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/kv/kv.h"
#include "services/api/api.h"
#include "services/api/table.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COUNTERS = 20000, ADDRESS_FACTOR = 10 };

struct counter {
    int64_t failures;
    uint64_t until_ms; /* monotonic */
};

struct api_lockout {
    struct api_lockout_options options;
    struct api_table *counters;
    pthread_mutex_t kv_lock;
};

/* The key of an account's or address's counter: the same in both places. */
struct key {
    char text[API_KEY_MAX];
};

static struct key key_of(char kind, const char *name)
{
    struct key k;
    snprintf(k.text, sizeof k.text, "api:fail:%c:%.64s", kind, name);
    return k;
}

struct api_lockout *api_lockout_new(const struct api_lockout_options *options)
{
    struct api_lockout *l = pgn_calloc(1, sizeof *l);
    l->options = *options;
    l->counters = api_table_new(COUNTERS, sizeof(struct counter));
    pthread_mutex_init(&l->kv_lock, NULL);
    return l;
}

void api_lockout_free(struct api_lockout **l)
{
    if (!*l)
        return;
    if ((*l)->options.kv_take)
        pgn_kv_free(&(*l)->options.kv_take);
    api_table_free(&(*l)->counters);
    pthread_mutex_destroy(&(*l)->kv_lock);
    free(*l);
    *l = NULL;
}

/* ---- Redis ---- */

/* Counts one more there: the number with it; 0 when Redis does not answer. */
static int64_t kv_count(struct api_lockout *l, const struct key *k)
{
    int64_t n = 0;
    if (!l->options.kv_take)
        return 0;
    pthread_mutex_lock(&l->kv_lock);
    int e = pgn_kv_increment(l->options.kv_take, k->text, l->options.window_ms, &n);
    pthread_mutex_unlock(&l->kv_lock);
    if (e)
        api_count(API_CACHE_AWAY);
    return e ? 0 : n;
}

/* Takes one count back (whole false), or all of them. */
static void kv_forgive(struct api_lockout *l, const struct key *k, bool whole)
{
    if (!l->options.kv_take)
        return;
    pthread_mutex_lock(&l->kv_lock);
    int e = whole ? pgn_kv_delete(l->options.kv_take, k->text) : pgn_kv_decrement(l->options.kv_take, k->text, l->options.window_ms);
    pthread_mutex_unlock(&l->kv_lock);
    if (e && e != PGN_E_NOT_FOUND)
        api_count(API_CACHE_AWAY);
}

/* ---- one counter ---- */

/* Counts an attempt before it is known how it ends: 0, or how long to wait. What is not let in is not counted in memory. */
static uint64_t take(struct api_lockout *l, const struct key *k, int64_t limit)
{
    uint64_t now = pgn_mono_ms(), wait = 0;
    api_table_lock(l->counters);
    struct counter *c = api_table_make(l->counters, k->text, strlen(k->text));
    if (c->until_ms <= now)
        *c = (struct counter){0, now + l->options.window_ms};
    if (c->failures >= limit)
        wait = c->until_ms - now;
    else
        c->failures++;
    api_table_unlock(l->counters);
    if (!wait && kv_count(l, k) > limit)
        wait = l->options.window_ms;
    return wait;
}

static void give_back(struct api_lockout *l, const struct key *k, bool whole)
{
    api_table_lock(l->counters);
    struct counter *c = api_table_find(l->counters, k->text, strlen(k->text));
    if (c && !whole && c->failures > 0)
        c->failures--;
    if (c && (whole || c->failures == 0))
        api_table_drop(l->counters, k->text, strlen(k->text));
    api_table_unlock(l->counters);
    kv_forgive(l, k, whole);
}

/* ---- attempts ---- */

bool api_lockout_enter(struct api_lockout *l, const char *user, const char *address, uint64_t *ret_wait_ms)
{
    struct key account = key_of('u', user), from = key_of('a', address);
    uint64_t wait = take(l, &from, l->options.failures * ADDRESS_FACTOR);
    if (!wait) {
        wait = take(l, &account, l->options.failures);
        if (wait)
            give_back(l, &from, false);
    }
    *ret_wait_ms = wait;
    return wait == 0;
}

void api_lockout_leave(struct api_lockout *l, const char *user, const char *address, enum api_lockout_end end)
{
    struct key account = key_of('u', user), from = key_of('a', address);
    if (end == API_LOCKOUT_WRONG)
        return; /* counted it is */
    give_back(l, &account, end == API_LOCKOUT_RIGHT);
    give_back(l, &from, false);
}
