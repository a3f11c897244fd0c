/*
 * resync: some users (a fiftieth) write --missed messages to each of the others while those are offline; then all of these
 * reconnect at once, sync and fetch. Measured: how long each takes until it has everything, and how long all take.
 */
#include "loadtest/load.h"

#include "common/base/alloc.h"
#include "common/base/clock.h"

#include <string.h>

enum { RECEIVERS_A_SENDER = 49, WINDOW = 32 };

static uint32_t sender_count(const struct ld_run *r)
{
    return (r->user_count + RECEIVERS_A_SENDER) / (RECEIVERS_A_SENDER + 1);
}

static void layout(struct ld_run *r)
{
    uint32_t senders = sender_count(r);
    r->conv_cap = r->user_count;
    r->convs = pgn_calloc(r->conv_cap + 1, sizeof *r->convs);
    for (uint32_t i = senders; i < r->user_count; i++)
        (void)ld_conv_pair(r, &r->users[(i - senders) % senders], &r->users[i]);
}

/* The next of a sender's messages: to each receiver in turn. */
static void next(struct ld_user *u)
{
    if (u->number_in_mode < u->slot_count * u->run->o->missed) {
        ld_send(u, (uint16_t)(u->number_in_mode % u->slot_count), pgn_mono_us());
        u->number_in_mode++;
    }
}

static void begin(struct ld_run *r)
{
    for (uint32_t i = sender_count(r); i < r->user_count; i++)
        ld_go_offline(&r->users[i]);
    for (uint32_t i = 0; i < sender_count(r); i++)
        for (int w = 0; w < WINDOW; w++)
            next(&r->users[i]);
}

static void acked(struct ld_user *u, uint16_t slot)
{
    (void)slot;
    if (u->run->phase == LD_RUN)
        next(u);
}

static bool finished(struct ld_run *r)
{
    for (uint32_t i = 0; i < sender_count(r); i++)
        if (r->users[i].log.open || r->users[i].number_in_mode < r->users[i].slot_count * r->o->missed)
            return false;
    return true;
}

static void drain(struct ld_run *r)
{
    r->result->catch_up_us = 0;
    for (uint32_t i = sender_count(r); i < r->user_count; i++)
        ld_go_online(&r->users[i]);
}

static void house(struct ld_run *r)
{
    uint64_t now_us = pgn_mono_us();
    for (uint32_t i = sender_count(r); i < r->user_count; i++) {
        struct ld_user *u = &r->users[i];
        if (u->number_in_mode || u->state != LD_READY || u->slots[0].view.last < u->slots[0].conv->acked)
            continue;
        u->number_in_mode = 1;
        uint64_t took = now_us - r->phase_ms * 1000;
        ld_hist_add(&r->result->catch_up, took);
        if (took > r->result->catch_up_us)
            r->result->catch_up_us = took;
    }
}

const struct ld_mode ld_resync = {.name = "resync",
                                  .text = "all reconnect at once with --missed messages waiting for each",
                                  .talks = true,
                                  .layout = layout,
                                  .begin = begin,
                                  .finished = finished,
                                  .drain = drain,
                                  .draining = house,
                                  .acked = acked};
