/* The simple modes: idle, storm, pairs, group. */
#include "loadtest/load.h"

#include "common/base/alloc.h"
#include "common/base/clock.h"

#include <stdio.h>
#include <string.h>

static void layout_nothing(struct ld_run *r)
{
    (void)r;
}

static void need_convs(struct ld_run *r, uint32_t count)
{
    r->conv_cap = count;
    r->convs = pgn_calloc(count ? count : 1, sizeof *r->convs);
}

/* ---- idle and storm ---- */

static bool at_once(struct ld_run *r)
{
    (void)r;
    return true;
}

static const struct ld_mode idle = {.name = "idle", .text = "users who are online and silent, for --secs", .layout = layout_nothing};
static const struct ld_mode storm = {.name = "storm",
                                     .text = "all users log in as fast as they can; ends when they are online",
                                     .no_sync = true,
                                     .layout = layout_nothing,
                                     .finished = at_once};

/* ---- pairs ---- */

static void pairs_layout(struct ld_run *r)
{
    need_convs(r, r->user_count / 2);
    for (uint32_t i = 0; i + 1 < r->user_count; i += 2)
        (void)ld_conv_pair(r, &r->users[i], &r->users[i + 1]);
}

static void pairs_begin(struct ld_run *r)
{
    uint32_t step = r->o->one_way ? 2 : 1;
    uint64_t writers = (uint64_t)r->o->users / step;
    uint64_t period_us = r->o->rate > 0 ? (uint64_t)((double)writers / r->o->rate * 1e6) : 0;
    for (uint32_t i = 0; i < r->user_count; i += step) {
        struct ld_user *u = &r->users[i];
        if (!u->slot_count)
            continue;
        if (period_us)
            ld_schedule(u, r->start_us + (uint64_t)(ld_random_unit(r) * (double)period_us), period_us);
        for (uint32_t w = 0; !period_us && w < r->o->window; w++)
            ld_send(u, 0, pgn_mono_us());
    }
}

static void pairs_acked(struct ld_user *u, uint16_t slot)
{
    if (u->run->running && u->run->o->rate <= 0)
        ld_send(u, slot, pgn_mono_us());
}

static void pairs_due(struct ld_user *u, uint64_t intended_us)
{
    ld_send(u, 0, intended_us);
}

static const struct ld_mode pairs = {.name = "pairs",
                                     .text = "two and two write to each other: --window unanswered each, or --rate in all",
                                     .talks = true,
                                     .layout = pairs_layout,
                                     .begin = pairs_begin,
                                     .acked = pairs_acked,
                                     .due = pairs_due};

/* ---- group: one large group, some of its members write ---- */

enum { MEMBERS_A_FRAME = 1000 };

static uint32_t group_size(const struct ld_run *r)
{
    return r->o->members && r->o->members < r->o->users ? r->o->members : r->o->users;
}

static void group_layout(struct ld_run *r)
{
    need_convs(r, 1);
    struct ld_conv *c = ld_conv_new(r);
    c->shared = true;
    c->posts = pgn_calloc(r->user_count ? r->user_count : 1, sizeof *c->posts);
    for (uint32_t i = 0; i < r->user_count && r->users[i].index < group_size(r); i++)
        (void)ld_conv_join(c, &r->users[i], NULL);
}

/* The first worker's first user makes the group; the others read its id from shared memory. */
static void group_setup(struct ld_run *r)
{
    if (!r->process)
        ld_go_online(&r->users[0]);
}

static void group_ready(struct ld_user *u)
{
    struct ld_run *r = u->run;
    if (r->phase != LD_SETUP || u->number_in_mode)
        return;
    uint32_t count = group_size(r) < MEMBERS_A_FRAME ? group_size(r) : MEMBERS_A_FRAME;
    u->number_in_mode = count;
    ld_make_group(u, 0, 1, count - 1);
}

static void group_changed(struct ld_user *u, uint64_t argument, const char *conv)
{
    struct ld_run *r = u->run;
    if (r->phase != LD_SETUP || argument == UINT32_MAX)
        return;
    if (u->number_in_mode < group_size(r)) {
        uint32_t count = group_size(r) - u->number_in_mode;
        count = count < MEMBERS_A_FRAME ? count : MEMBERS_A_FRAME;
        ld_invite(u, 0, conv, u->number_in_mode, count);
        u->number_in_mode += count;
        return;
    }
    memcpy(r->shared->group, conv, sizeof r->shared->group);
}

static bool group_made(struct ld_run *r)
{
    if (r->process)
        return true;
    if (!r->shared->group[0])
        return false;
    if (r->users[0].state != LD_OFF) { /* comes back with all others, and learns its numbers by sync like them */
        ld_go_offline(&r->users[0]);
        r->users[0].known = false;
        r->users[0].cursor[0] = 0;
        r->users[0].slots[0].want = 0;
    }
    return true;
}

static void group_begin(struct ld_run *r)
{
    uint32_t senders = r->o->senders ? r->o->senders : 10;
    if (senders > group_size(r))
        senders = group_size(r);
    double rate = r->o->rate > 0 ? r->o->rate : 10;
    uint64_t period_us = (uint64_t)(senders / rate * 1e6);
    for (uint32_t i = 0; i < r->user_count && r->users[i].index < senders; i++)
        ld_schedule(&r->users[i], r->start_us + period_us * r->users[i].index / senders, period_us);
}

static void group_due(struct ld_user *u, uint64_t intended_us)
{
    struct ld_conv *c = u->slots[0].conv;
    uint32_t at = u->index - u->run->first_user, online = 0;
    for (uint32_t m = 0; m < c->member_count; m++)
        online += c->members[m].user->state == LD_READY && c->members[m].user != u;
    c->posts[at] = (struct ld_post){intended_us, online};
    ld_send(u, 0, intended_us);
}

/* The id is there when everybody else connects. */
static void group_tick_id(struct ld_run *r)
{
    if (!r->convs[0].id[0])
        memcpy(r->convs[0].id, r->shared->group, sizeof r->convs[0].id);
}

const struct ld_mode ld_group = {.name = "group",
                                 .text = "one group of --members, --rate posts/s by --senders of them",
                                 .talks = true,
                                 .layout = group_layout,
                                 .setup = group_setup,
                                 .setup_done = group_made,
                                 .connecting = group_tick_id,
                                 .begin = group_begin,
                                 .ready = group_ready,
                                 .due = group_due,
                                 .changed = group_changed};

const struct ld_mode *const ld_modes[] = {&idle, &pairs, &ld_group, &storm, &ld_resync, &ld_campus};
const size_t ld_mode_count = PGN_COUNT(ld_modes);
