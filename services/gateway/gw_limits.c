/* Addresses, users' rates, load levels; see gw_limits.h. */
#include "services/gateway/gw_limits.h"

#include "common/base/alloc.h"
#include "common/base/random.h"
#include "services/gateway/gateway.h"
#include "services/gateway/gw_user.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

enum { WAITING_RETRY_MS = 1000 };

static struct pgn_token_rate connect_rate(const struct gateway *gw)
{
    uint32_t per_s = (uint32_t)gw->config->limits_address_connects_s;
    return (struct pgn_token_rate){per_s, per_s};
}

/* What of an address is counted. */
static void name_of(const char *text, char ret[GW_ADDRESS_MAX])
{
    struct in6_addr a;
    size_t len = strnlen(text, GW_ADDRESS_MAX - 1);
    memcpy(ret, text, len);
    ret[len] = 0;
    if (inet_pton(AF_INET6, ret, &a) != 1 || IN6_IS_ADDR_V4MAPPED(&a))
        return;
    memset(&a.s6_addr[8], 0, 8);
    (void)inet_ntop(AF_INET6, &a, ret, GW_ADDRESS_MAX);
}

struct gw_address *gw_address_get(struct gateway *gw, const char *text)
{
    char name[GW_ADDRESS_MAX];
    name_of(text, name);
    struct gw_address *a = pgn_map_get_str(gw->addresses, name);
    if (a)
        return a;
    a = pgn_calloc(1, sizeof *a);
    a->gw = gw;
    memcpy(a->text, name, strlen(name) + 1);
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

static struct pgn_token_rate message_rate(const struct gateway *gw)
{
    return (struct pgn_token_rate){(uint32_t)gw->config->limits_user_messages_s, (uint32_t)gw->config->limits_user_messages_burst};
}

static struct pgn_token_rate op_rate(const struct gateway *gw)
{
    return (struct pgn_token_rate){(uint32_t)gw->config->limits_user_ops_s, (uint32_t)gw->config->limits_user_ops_burst};
}

static bool nothing_spent(const struct gateway *gw, const struct gw_spent *s, uint64_t now_ms)
{
    return pgn_token_full(&s->messages, message_rate(gw), now_ms) && pgn_token_full(&s->ops, op_rate(gw), now_ms);
}

void gw_limits_keep(const struct gw_user *u, uint64_t now_ms)
{
    struct gw_spent spent = {.messages = u->messages, .ops = u->ops};
    if (nothing_spent(u->gw, &spent, now_ms))
        return;
    memcpy(spent.user, u->id, sizeof spent.user);
    free(pgn_map_put(u->gw->spent, pgn_memdup(&spent, sizeof spent)));
}

void gw_limits_resume(struct gw_user *u)
{
    struct gw_spent *s = pgn_map_remove_str(u->gw->spent, u->id);
    if (!s)
        return;
    u->messages = s->messages;
    u->ops = s->ops;
    free(s);
}

static void sweep_spent(struct gateway *gw, uint64_t now_ms)
{
    size_t it = 0;
    struct gw_spent *s;
    while ((s = pgn_map_next(gw->spent, &it)) != NULL) {
        if (!nothing_spent(gw, s, now_ms))
            continue;
        (void)pgn_map_remove_str(gw->spent, s->user);
        free(s);
    }
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
    sweep_spent(gw, now_ms);
}

uint32_t gw_limits_message(struct gw_user *u, uint64_t now_ms)
{
    struct pgn_token_rate rate = message_rate(u->gw);
    return pgn_token_take(&u->messages, rate, now_ms);
}

uint32_t gw_limits_op(struct gw_user *u, uint64_t now_ms)
{
    struct pgn_token_rate rate = op_rate(u->gw);
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
