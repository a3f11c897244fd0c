/* The cache of policies; see msg_policies.h. */
#include "services/message/msg_policies.h"

#include "common/base/alloc.h"
#include "common/base/id.h"
#include "common/base/map.h"
#include "common/svc/log.h"
#include "services/message/msg_metrics.h"

#include <stdlib.h>
#include <string.h>

enum {
    EPOCH_BYTES = 64,
    LOAD_CONVS = 512,     /* in one request */
    LOAD_MEMBERS = 60000, /* members that one answer may bring (8 MiB are 130,000 of the longest names) */
    COST_MEMBERS = 64,    /* members that cost as much as a conversation */
    RELOADS = 3,          /* when an answer was older than the news; then the versions' check must do */
};

/* A conversation that somebody waits for. */
struct pending {
    char *conv;
    size_t conv_len;
    struct pgn_node wants; /* struct msg_want */
    uint64_t min_version;  /* the newest that PolicyChanged told of meanwhile */
    unsigned tries;
    struct msg_load *load; /* on its way; NULL: to be asked */
    bool again;            /* dropped meanwhile: what comes is too old */
    uint64_t due_ms;       /* not asked before */
};

struct msg_load {
    char **convs;
    size_t count;
    uint64_t number;
};

struct msg_policies {
    struct msg_policies_options options;
    struct pgn_map *map;     /* msg_policy by conv */
    struct pgn_map *pending; /* pending by conv */
    struct pgn_node lru;     /* most recent first */
    size_t cost;
    size_t unasked; /* pending without a load */
    uint64_t asked; /* requests so far */
    char epoch[EPOCH_BYTES];
    struct pgn_timer retry;
};

static const void *policy_key(const void *value, size_t *ret_len)
{
    const struct msg_policy *p = value;
    *ret_len = p->conv_len;
    return p->conv;
}

static const void *pending_key(const void *value, size_t *ret_len)
{
    const struct pending *p = value;
    *ret_len = p->conv_len;
    return p->conv;
}

static void on_retry(struct pgn_timer *t)
{
    struct msg_policies *c = PGN_CONTAINER(t, struct msg_policies, retry);
    msg_policies_flush(c);
}

struct msg_policies *msg_policies_new(const struct msg_policies_options *options)
{
    struct msg_policies *c = pgn_calloc(1, sizeof *c);
    c->options = *options;
    c->map = pgn_map_new(policy_key);
    c->pending = pgn_map_new(pending_key);
    pgn_list_init(&c->lru);
    c->retry.on_due = on_retry;
    return c;
}

void msg_policies_free(struct msg_policies **cache)
{
    struct msg_policies *c = *cache;
    if (!c)
        return;
    size_t it = 0;
    struct pending *p;
    msg_policies_drop_all(c);
    while ((p = pgn_map_next(c->pending, &it))) {
        free(p->conv);
        free(p);
    }
    pgn_timer_stop(&c->retry);
    pgn_map_free(&c->map);
    pgn_map_free(&c->pending);
    free(c);
    *cache = NULL;
}

size_t msg_policies_count(const struct msg_policies *c)
{
    return pgn_map_count(c->map);
}

uint64_t msg_policies_asked(const struct msg_policies *c)
{
    return c->asked;
}

/* ---- what is kept ---- */

static size_t cost_of(const struct msg_policy *p)
{
    return 1 + p->members_count / COST_MEMBERS;
}

static void forget(struct msg_policies *c, struct msg_policy *p)
{
    pgn_map_remove(c->map, p->conv, p->conv_len);
    pgn_list_remove(&p->lru);
    c->cost -= cost_of(p);
    msg_policy_unref(&p);
}

static void keep(struct msg_policies *c, struct msg_policy *p)
{
    struct msg_policy *old = pgn_map_get(c->map, p->conv, p->conv_len);
    if (old)
        forget(c, old);
    msg_policy_ref(p);
    p->loaded_ms = pgn_loop_now_ms(c->options.loop);
    (void)pgn_map_put(c->map, p);
    pgn_list_prepend(&c->lru, &p->lru);
    c->cost += cost_of(p);
    while (c->cost > c->options.limit && c->lru.prev != &p->lru) {
        forget(c, PGN_CONTAINER(c->lru.prev, struct msg_policy, lru));
        MSG_COUNT(POLICY_EVICTIONS, 1);
    }
}

struct msg_policy *msg_policies_get(struct msg_policies *c, const char *conv)
{
    struct msg_policy *p = pgn_map_get_str(c->map, conv);
    if (!p) {
        MSG_COUNT(POLICY_MISSES, 1);
        return NULL;
    }
    if (pgn_loop_now_ms(c->options.loop) - p->loaded_ms > MSG_POLICY_AGE_MS) {
        forget(c, p);
        MSG_COUNT(POLICY_MISSES, 1);
        return NULL;
    }
    if (c->lru.next != &p->lru) {
        pgn_list_remove(&p->lru);
        pgn_list_prepend(&c->lru, &p->lru);
    }
    MSG_COUNT(POLICY_HITS, 1);
    return p;
}

/* ---- waiting ---- */

static void add_want(struct msg_policies *c, const char *conv, uint64_t due_ms, struct msg_waiter *waiter, struct msg_want *want)
{
    struct pending *p = pgn_map_get_str(c->pending, conv);
    if (!p) {
        p = pgn_calloc(1, sizeof *p);
        p->conv = pgn_strdup(conv);
        p->conv_len = strlen(conv);
        p->due_ms = due_ms;
        pgn_list_init(&p->wants);
        (void)pgn_map_put(c->pending, p);
        c->unasked++;
    }
    if (due_ms < p->due_ms)
        p->due_ms = due_ms;
    want->waiter = waiter;
    want->policy = NULL;
    waiter->missing++;
    pgn_list_append(&p->wants, &want->node);
}

void msg_policies_want(struct msg_policies *c, const char *conv, struct msg_waiter *waiter, struct msg_want *want)
{
    add_want(c, conv, 0, waiter, want);
}

void msg_policies_renew(struct msg_policies *c, const struct msg_policy *old, struct msg_waiter *waiter, struct msg_want *want)
{
    add_want(c, old->conv, old->loaded_ms + old->members_count / MSG_RENEW_MEMBERS_MS, waiter, want);
}

void msg_want_release(struct msg_want *want)
{
    if (pgn_node_linked(&want->node)) {
        pgn_list_remove(&want->node);
        want->waiter->missing--;
    }
    msg_policy_unref(&want->policy);
}

static void drop_pending(struct msg_policies *c, struct pending *p)
{
    if (!p->load)
        c->unasked--;
    pgn_map_remove(c->pending, p->conv, p->conv_len);
    free(p->conv);
    free(p);
}

/* Gives the policy to all who wait; what they do then may want others, or release. */
static void fill(struct pgn_node *wants, struct msg_policy *policy)
{
    struct pgn_node *n;
    while ((n = wants->next) != wants) {
        struct msg_want *want = PGN_CONTAINER(n, struct msg_want, node);
        struct msg_waiter *waiter = want->waiter;
        pgn_list_remove(n);
        msg_policy_ref(policy);
        want->policy = policy;
        if (--waiter->missing == 0)
            waiter->ready(waiter);
    }
}

/* ---- loading ---- */

static struct msg_load *load_of(char **convs, size_t count)
{
    struct msg_load *load = pgn_malloc(sizeof *load);
    *load = (struct msg_load){.convs = pgn_calloc(count, sizeof *convs), .count = count};
    for (size_t i = 0; i < count; i++)
        load->convs[i] = pgn_strdup(convs[i]);
    return load;
}

static void ask(struct msg_policies *c, struct pending **list, size_t count)
{
    char *convs[LOAD_CONVS];
    for (size_t i = 0; i < count; i++)
        convs[i] = list[i]->conv;
    struct msg_load *load = load_of(convs, count);
    load->number = ++c->asked;
    for (size_t i = 0; i < count; i++) {
        list[i]->load = load;
        list[i]->again = false;
    }
    c->unasked -= count;
    MSG_COUNT(POLICY_LOADS, 1);
    c->options.load(c->options.ctx, load, load->convs, count);
}

static void look_again(struct msg_policies *c, uint64_t ms)
{
    if (!pgn_timer_running(&c->retry))
        pgn_timer_start(c->options.loop, &c->retry, ms < MSG_LOAD_RETRY_MS ? ms : MSG_LOAD_RETRY_MS);
}

void msg_policies_flush(struct msg_policies *c)
{
    struct pending *list[LOAD_CONVS], *p;
    size_t count = 0, it = 0, members = 0;
    uint64_t now_ms = pgn_loop_now_ms(c->options.loop);
    if (c->unasked == 0)
        return;
    while ((p = pgn_map_next(c->pending, &it))) {
        if (p->load)
            continue;
        if (pgn_list_empty(&p->wants)) {
            drop_pending(c, p);
            continue;
        }
        if (p->due_ms > now_ms) {
            look_again(c, p->due_ms - now_ms);
            continue;
        }
        size_t more = pgn_conv_is_direct(p->conv) ? 2 : c->options.group_members;
        if (count == LOAD_CONVS || (count > 0 && members + more > LOAD_MEMBERS)) {
            ask(c, list, count);
            count = members = 0;
        }
        list[count++] = p;
        members += more;
    }
    if (count > 0)
        ask(c, list, count);
}

static struct pending *pending_of(struct msg_policies *c, const struct msg_load *load, const char *conv)
{
    struct pending *p = pgn_map_get_str(c->pending, conv);
    return p && p->load == load ? p : NULL;
}

/* Asks again a little later. */
static void later(struct msg_policies *c, struct pending *p)
{
    p->load = NULL;
    c->unasked++;
    look_again(c, MSG_LOAD_RETRY_MS);
}

static void take(struct msg_policies *c, struct pending *p, const Pigeon__Policy *from)
{
    struct msg_policy *policy = NULL;
    bool old = p->again || from->version < p->min_version;
    if (old && from->found && p->tries++ < RELOADS) {
        p->load = NULL;
        c->unasked++;
        return; /* msg_policies_loaded flushes */
    }
    policy = msg_policy_new(from);
    if (!policy) {
        pgn_log_limited(PGN_ERR, 1000, "storage gave a contradictory policy of %s", p->conv);
        later(c, p);
        return;
    }
    policy->asked = p->load->number;
    if (policy->found && !old)
        keep(c, policy);
    struct pgn_node ready;
    pgn_list_init(&ready);
    for (struct pgn_node *n; (n = p->wants.next) != &p->wants;) {
        pgn_list_remove(n);
        pgn_list_append(&ready, n);
    }
    drop_pending(c, p);
    fill(&ready, policy);
    msg_policy_unref(&policy);
}

/* What the load did not bring: asked again at once after an answer that had to stay short, else a little later. */
static void finish_load(struct msg_policies *c, struct msg_load *load, bool at_once)
{
    for (size_t i = 0; i < load->count; i++) {
        struct pending *p = pending_of(c, load, load->convs[i]);
        if (!p)
            continue;
        if (at_once) {
            p->load = NULL;
            c->unasked++;
        } else {
            MSG_COUNT(POLICY_LOAD_FAILURES, 1);
            later(c, p);
        }
    }
    for (size_t i = 0; i < load->count; i++)
        free(load->convs[i]);
    free(load->convs);
    free(load);
}

void msg_policies_loaded(struct msg_policies *c, struct msg_load *load, const Pigeon__PolicyList *list)
{
    msg_policies_epoch(c, list->epoch);
    for (size_t i = 0; i < list->n_policies; i++) {
        struct pending *p = pending_of(c, load, list->policies[i]->conv);
        if (p)
            take(c, p, list->policies[i]);
    }
    finish_load(c, load, list->n_policies > 0);
    msg_policies_flush(c);
}

void msg_policies_load_failed(struct msg_policies *c, struct msg_load *load)
{
    finish_load(c, load, false);
}

/* ---- news ---- */

void msg_policies_changed(struct msg_policies *c, const Pigeon__PolicyChanged *changed)
{
    msg_policies_epoch(c, changed->epoch);
    for (size_t i = 0; i < changed->n_convs; i++) {
        const Pigeon__Changed *news = changed->convs[i];
        struct msg_policy *p = pgn_map_get_str(c->map, news->conv);
        struct pending *waiting = pgn_map_get_str(c->pending, news->conv);
        MSG_COUNT(POLICY_CHANGES, 1);
        if (p && news->version >= p->version)
            forget(c, p);
        if (waiting && news->version > waiting->min_version)
            waiting->min_version = news->version;
    }
}

void msg_policies_epoch(struct msg_policies *c, const char *epoch)
{
    if (*epoch == 0 || strncmp(c->epoch, epoch, sizeof c->epoch - 1) == 0)
        return;
    bool first = c->epoch[0] == 0;
    size_t n = strnlen(epoch, sizeof c->epoch - 1);
    memcpy(c->epoch, epoch, n);
    c->epoch[n] = 0;
    if (first)
        return;
    msg_policies_drop_all(c);
}

void msg_policies_drop(struct msg_policies *c, const char *conv)
{
    struct msg_policy *p = pgn_map_get_str(c->map, conv);
    struct pending *waiting = pgn_map_get_str(c->pending, conv);
    if (p)
        forget(c, p);
    if (waiting && waiting->load)
        waiting->again = true;
}

void msg_policies_drop_all(struct msg_policies *c)
{
    size_t it = 0;
    struct pending *waiting;
    while (!pgn_list_empty(&c->lru))
        forget(c, PGN_CONTAINER(c->lru.next, struct msg_policy, lru));
    while ((waiting = pgn_map_next(c->pending, &it))) {
        waiting->again = waiting->load != NULL;
        waiting->min_version = 0; /* another store may count from the start */
    }
}
