/* Addresses, users' rates, load levels; see gw_limits.h. */
#include "services/gateway/gw_limits.h"

#include "common/base/alloc.h"
#include "common/base/random.h"
#include "services/gateway/gateway.h"
#include "services/gateway/gw_user.h"

#include <stdlib.h>
#include <string.h>

enum { WAITING_RETRY_MS = 1000 };

static struct pgn_token_rate connect_rate(const struct gateway *gw)
{
    uint32_t per_s = (uint32_t)gw->config->limits_address_connects_s;
    return (struct pgn_token_rate){per_s, per_s};
}

struct gw_address *gw_address_get(struct gateway *gw, const char *text)
{
    struct gw_address *a = pgn_map_get_str(gw->addresses, text);
    if (a)
        return a;
    a = pgn_calloc(1, sizeof *a);
    a->gw = gw;
    size_t len = strnlen(text, GW_ADDRESS_MAX - 1);
    memcpy(a->text, text, len);
    a->proxy = gw_http_address_listed(a->text, len, gw->config->gateway_trusted_proxies);
    (void)pgn_map_put(gw->addresses, a);
    return a;
}

uint32_t gw_address_enter(struct gw_address *a, uint64_t now_ms)
{
    if (a->waiting >= a->gw->config->limits_address_unauthenticated)
        return WAITING_RETRY_MS;
    uint32_t wait_ms = pgn_token_take(&a->connects, connect_rate(a->gw), now_ms);
    if (!wait_ms)
        a->waiting++;
    return wait_ms;
}

void gw_address_leave(struct gw_address **a)
{
    if (*a)
        (*a)->waiting--;
    *a = NULL;
}

void gw_limits_sweep(struct gateway *gw)
{
    size_t it = 0;
    struct gw_address *a;
    uint64_t now_ms = pgn_loop_now_ms(gw->loop);
    while ((a = pgn_map_next(gw->addresses, &it)) != NULL) {
        if (a->waiting || !pgn_token_full(&a->connects, connect_rate(gw), now_ms))
            continue;
        (void)pgn_map_remove_str(gw->addresses, a->text);
        free(a);
    }
}

uint32_t gw_limits_message(struct gw_user *u, uint64_t now_ms)
{
    const struct pgn_config *c = u->gw->config;
    struct pgn_token_rate rate = {(uint32_t)c->limits_user_messages_s, (uint32_t)c->limits_user_messages_burst};
    return pgn_token_take(&u->messages, rate, now_ms);
}

uint32_t gw_limits_op(struct gw_user *u, uint64_t now_ms)
{
    const struct pgn_config *c = u->gw->config;
    struct pgn_token_rate rate = {(uint32_t)c->limits_user_ops_s, (uint32_t)c->limits_user_ops_burst};
    return pgn_token_take(&u->ops, rate, now_ms);
}

enum gw_load_level gw_limits_level(unsigned full_permille)
{
    static const unsigned from[] = {250, 500, 750, 950};
    unsigned level = GW_LOAD_NONE;
    while (level < PGN_COUNT(from) && full_permille >= from[level])
        level++;
    return (enum gw_load_level)level;
}

uint64_t gw_limits_retry_ms(enum gw_load_level level)
{
    uint64_t base = 500u << level;
    return base + pgn_random_below(base);
}
