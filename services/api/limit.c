/* Token buckets; see limit.h. */
#include "services/api/limit.h"

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/base/token_bucket.h"
#include "services/api/api.h"
#include "services/api/table.h"

#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 20000, REGISTER_PER_S = 2, REGISTER_BURST = 200 };

struct api_limits {
    struct pgn_token_rate rates[API_LIMIT_KINDS];
    struct api_table *buckets[API_LIMIT_KINDS];
};

struct api_limits *api_limits_new(const struct pgn_config *config)
{
    struct api_limits *l = pgn_calloc(1, sizeof *l);
    uint32_t address = (uint32_t)config->limits_address_connects_s;
    l->rates[API_LIMIT_ADDRESS] = (struct pgn_token_rate){address, address * 2};
    l->rates[API_LIMIT_REGISTER] = (struct pgn_token_rate){REGISTER_PER_S, REGISTER_BURST};
    l->rates[API_LIMIT_OPS] = (struct pgn_token_rate){(uint32_t)config->limits_user_ops_s, (uint32_t)config->limits_user_ops_burst};
    l->rates[API_LIMIT_MESSAGES] =
        (struct pgn_token_rate){(uint32_t)config->limits_user_messages_s, (uint32_t)config->limits_user_messages_burst};
    for (int i = 0; i < API_LIMIT_KINDS; i++)
        l->buckets[i] = api_table_new(BUCKETS, sizeof(struct pgn_token_bucket));
    return l;
}

void api_limits_free(struct api_limits **l)
{
    if (!*l)
        return;
    for (int i = 0; i < API_LIMIT_KINDS; i++)
        api_table_free(&(*l)->buckets[i]);
    free(*l);
    *l = NULL;
}

bool api_limit_take(struct api_limits *l, enum api_limit_kind kind, const char *key, uint64_t *ret_wait_ms)
{
    api_table_lock(l->buckets[kind]);
    struct pgn_token_bucket *b = api_table_make(l->buckets[kind], key, strlen(key));
    uint32_t wait = pgn_token_take(b, l->rates[kind], pgn_mono_ms());
    api_table_unlock(l->buckets[kind]);
    if (!wait)
        return true;
    api_count(API_RATE_LIMITED);
    *ret_wait_ms = wait;
    return false;
}
