/*
 * campus: everybody writes a message each --period seconds, a fifth of them into a group of 50, the rest to friends; users
 * leave and come back (--churn of them a second), and watch the presence of their friends.
 */
#include "loadtest/load.h"

#include "common/base/alloc.h"
#include "common/base/clock.h"

#include <stdio.h>
#include <string.h>

enum { GROUP = 50, FRIENDS = 4, GROUP_SHARE = 5, BACK_MIN_MS = 2000, BACK_SPREAD_MS = 13000 };

/* Friends stand at distances 1 and 2 in a ring of the worker's users; slots: friends first, then the group. */
static void layout(struct ld_run *r)
{
    uint32_t n = r->user_count, groups = (n + GROUP - 1) / GROUP, reach = n > 4 ? FRIENDS / 2 : n > 2 ? 1 : 0;
    r->conv_cap = n * (FRIENDS / 2) + groups + 1;
    r->convs = pgn_calloc(r->conv_cap, sizeof *r->convs);
    for (uint32_t d = 1; d <= reach; d++)
        for (uint32_t i = 0; i < n; i++)
            (void)ld_conv_pair(r, &r->users[i], &r->users[(i + d) % n]);
    if (n == 2)
        (void)ld_conv_pair(r, &r->users[0], &r->users[1]);
    for (uint32_t g = 0; g < groups; g++) {
        struct ld_conv *c = ld_conv_new(r);
        for (uint32_t i = g * GROUP; i < n && i < (g + 1) * GROUP; i++)
            (void)ld_conv_join(c, &r->users[i], NULL);
    }
}

static struct ld_conv *group_of(struct ld_user *u)
{
    return u->slots[u->slot_count - 1].conv;
}

/* The first of each fifty makes their group. */
static void setup(struct ld_run *r)
{
    for (uint32_t i = 0; i < r->user_count; i += GROUP)
        ld_go_online(&r->users[i]);
}

static void watch(struct ld_user *u)
{
    const char *friends[FRIENDS + 1];
    size_t count = 0;
    for (uint16_t i = 0; i < u->slot_count && count < FRIENDS; i++)
        if (u->slots[i].peer)
            friends[count++] = u->slots[i].peer;
    struct pgn_buf *frame = ld_scratch();
    ld_put_watch(&u->run->codec, frame, ld_id(LD_ASK_OTHER, UINT32_MAX), friends, count);
    ld_write(u, frame);
}

static void ready(struct ld_user *u)
{
    struct ld_run *r = u->run;
    if (r->phase == LD_SETUP) {
        uint32_t at = u->index - r->first_user, left = r->user_count - at - 1;
        if (!u->number_in_mode++)
            ld_make_group(u, 1, u->index + 1, left < GROUP - 1 ? left : GROUP - 1);
        return;
    }
    watch(u);
}

static void changed(struct ld_user *u, uint64_t argument, const char *conv)
{
    if (argument != 1 || u->run->phase != LD_SETUP)
        return;
    struct ld_conv *c = group_of(u);
    if (!c->id[0])
        memcpy(c->id, conv, sizeof c->id);
}

static bool setup_done(struct ld_run *r)
{
    for (uint32_t i = 0; i < r->user_count; i += GROUP)
        if (!group_of(&r->users[i])->id[0])
            return false;
    for (uint32_t i = 0; i < r->user_count; i += GROUP) {
        struct ld_user *u = &r->users[i];
        if (u->state == LD_OFF)
            continue;
        ld_go_offline(u); /* comes back with all others, and learns its numbers by sync like them */
        u->known = false;
        u->cursor[0] = 0;
        for (uint16_t k = 0; k < u->slot_count; k++)
            u->slots[k].want = 0;
    }
    return true;
}

static void begin(struct ld_run *r)
{
    uint64_t period_us = (uint64_t)(r->o->period_s * 1e6);
    for (uint32_t i = 0; i < r->user_count; i++)
        ld_schedule(&r->users[i], r->start_us + (uint64_t)(ld_random_unit(r) * (double)period_us), period_us);
}

static void due(struct ld_user *u, uint64_t intended_us)
{
    struct ld_run *r = u->run;
    if (u->churned) /* away people write nothing */
        return;
    bool to_group = u->slot_count == 1 || ld_random(r) % GROUP_SHARE == 0;
    uint64_t last = u->slot_count - 1U; /* the group */
    uint64_t slot = to_group ? last : ld_random(r) % last;
    ld_send(u, (uint16_t)slot, intended_us);
}

static void leave(struct ld_user *u, uint64_t now)
{
    u->churned = true;
    u->back_ms = now + BACK_MIN_MS + (uint64_t)(ld_random_unit(u->run) * BACK_SPREAD_MS);
    ld_go_offline(u);
}

/* Every 100 ms. */
static void tick(struct ld_run *r)
{
    uint64_t now = pgn_loop_now_ms(r->loop);
    uint32_t leaving = (uint32_t)(r->o->churn_s * r->user_count / r->o->users / 10 + ld_random_unit(r));
    for (; leaving; leaving--) {
        struct ld_user *u = &r->users[ld_random(r) % r->user_count];
        if (u->state == LD_READY && !u->log.open)
            leave(u, now);
    }
    for (uint32_t i = 0; i < r->user_count; i++) {
        struct ld_user *u = &r->users[i];
        if (u->churned && now >= u->back_ms) {
            u->churned = false;
            ld_go_online(u);
        }
    }
}

static void drain(struct ld_run *r)
{
    for (uint32_t i = 0; i < r->user_count; i++) {
        if (!r->users[i].churned)
            continue;
        r->users[i].churned = false;
        ld_go_online(&r->users[i]);
    }
}

const struct ld_mode ld_campus = {.name = "campus",
                                  .text = "a school's day: a message each --period s, a fifth into groups of 50, people come and go",
                                  .talks = true,
                                  .layout = layout,
                                  .setup = setup,
                                  .setup_done = setup_done,
                                  .begin = begin,
                                  .drain = drain,
                                  .tick = tick,
                                  .ready = ready,
                                  .due = due,
                                  .changed = changed};
