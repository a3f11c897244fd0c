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

/* What Redis has counted; 0 when it has nothing or does not answer. */
static int64_t remembered(struct api_lockout *l, const struct key *k)
{
    if (!l->options.kv_take)
        return 0;
    struct pgn_buf value = {0};
    pthread_mutex_lock(&l->kv_lock);
    int e = pgn_kv_get(l->options.kv_take, k->text, &value);
    pthread_mutex_unlock(&l->kv_lock);
    int64_t n = e ? 0 : strtoll(pgn_buf_cstr(&value), NULL, 10);
    pgn_buf_release(&value);
    if (e && e != PGN_E_NOT_FOUND)
        api_count(API_CACHE_AWAY);
    return n;
}

static bool closed(struct api_lockout *l, const struct key *k, int64_t limit, uint64_t *ret_wait_ms)
{
    uint64_t now = pgn_mono_ms(), wait = 0;
    int64_t n = 0;
    api_table_lock(l->counters);
    const struct counter *c = api_table_find(l->counters, k->text, strlen(k->text));
    if (c && c->until_ms > now) {
        n = c->failures;
        wait = c->until_ms - now;
    }
    api_table_unlock(l->counters);
    if (n < limit)
        n = remembered(l, k);
    if (n < limit)
        return false;
    *ret_wait_ms = wait ? wait : l->options.window_ms;
    return true;
}

bool api_lockout_closed(struct api_lockout *l, const char *user, const char *address, uint64_t *ret_wait_ms)
{
    struct key account = key_of('u', user), from = key_of('a', address);
    return closed(l, &account, l->options.failures, ret_wait_ms) || closed(l, &from, l->options.failures * ADDRESS_FACTOR, ret_wait_ms);
}

static void count_failure(struct api_lockout *l, const struct key *k)
{
    uint64_t now = pgn_mono_ms();
    api_table_lock(l->counters);
    struct counter *c = api_table_make(l->counters, k->text, strlen(k->text));
    if (c->until_ms <= now)
        *c = (struct counter){0, now + l->options.window_ms};
    c->failures++;
    api_table_unlock(l->counters);
    if (!l->options.kv_take)
        return;
    int64_t n;
    pthread_mutex_lock(&l->kv_lock);
    int e = pgn_kv_increment(l->options.kv_take, k->text, l->options.window_ms, &n);
    pthread_mutex_unlock(&l->kv_lock);
    if (e)
        api_count(API_CACHE_AWAY);
}

void api_lockout_failed(struct api_lockout *l, const char *user, const char *address)
{
    struct key account = key_of('u', user), from = key_of('a', address);
    count_failure(l, &account);
    count_failure(l, &from);
}

void api_lockout_passed(struct api_lockout *l, const char *user)
{
    struct key account = key_of('u', user);
    api_table_lock(l->counters);
    bool failed = api_table_find(l->counters, account.text, strlen(account.text)) != NULL;
    api_table_drop(l->counters, account.text, strlen(account.text));
    api_table_unlock(l->counters);
    if (!l->options.kv_take || (!failed && remembered(l, &account) == 0))
        return;
    pthread_mutex_lock(&l->kv_lock);
    int e = pgn_kv_delete(l->options.kv_take, account.text);
    pthread_mutex_unlock(&l->kv_lock);
    if (e && e != PGN_E_NOT_FOUND)
        api_count(API_CACHE_AWAY);
}
