/* One worker: its users, its loop, and the phases that the parent calls. */
#include "loadtest/load.h"

#include "common/base/alloc.h"
#include "common/base/clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { CONTROL_MS = 8, HOUSE_MS = 5, HOUSE_SLICES = 20 /* so each user is looked at ten times a second */ };

void ld_fatal(struct ld_run *r, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(r->shared->fatal, sizeof r->shared->fatal, format, args);
    va_end(args);
    _exit(3);
}

uint64_t ld_random(struct ld_run *r)
{
    r->random ^= r->random << 13; /* xorshift64 */
    r->random ^= r->random >> 7;
    r->random ^= r->random << 17;
    return r->random;
}

double ld_random_unit(struct ld_run *r)
{
    return (double)(ld_random(r) >> 11) / (double)(UINT64_C(1) << 53);
}

/* Closes seconds up to `now` (relative). */
static void roll(struct ld_run *r, uint32_t now)
{
    struct ld_second *s = &r->result->seconds[r->second];
    if (r->second_hist.count) {
        s->p50_us = (uint32_t)ld_hist_quantile(&r->second_hist, 0.5);
        s->p99_us = (uint32_t)ld_hist_quantile(&r->second_hist, 0.99);
        s->max_us = (uint32_t)(r->second_hist.max < UINT32_MAX ? r->second_hist.max : UINT32_MAX);
        ld_hist_clear(&r->second_hist);
    }
    s->connected = r->result->online;
    for (uint32_t i = r->second + 1; i <= now; i++)
        r->result->seconds[i].connected = r->result->online;
    r->second = now;
}

struct ld_second *ld_second_now(struct ld_run *r)
{
    uint64_t now = pgn_loop_now_ms(r->loop) * 1000;
    uint64_t second = r->start_us && now > r->start_us ? (now - r->start_us) / 1000000 : 0;
    if (second >= LD_SECONDS)
        second = LD_SECONDS - 1;
    if (second > r->second)
        roll(r, (uint32_t)second);
    return &r->result->seconds[r->second];
}

bool ld_all_acked(const struct ld_run *r)
{
    for (uint32_t i = 0; i < r->user_count; i++)
        if (r->users[i].log.open)
            return false;
    return true;
}

/* ---- phases ---- */

/* Each turn: as soon as somebody came in the next connection begins. A quiet loop still turns, with the control timer. */
static void connect_some(struct pgn_hook *h)
{
    struct ld_run *r = PGN_CONTAINER(h, struct ld_run, connect);
    if (r->phase != LD_CONNECT)
        return;
    uint64_t since = pgn_mono_ms() - r->phase_ms;
    uint64_t allowed = (uint64_t)((double)(since + CONTROL_MS) * r->o->connect_rate / 1000 / r->o->processes) + 1;
    while (r->to_connect < r->user_count && r->connecting < r->o->concurrency && (r->o->connect_rate <= 0 || r->to_connect < allowed)) {
        struct ld_user *u = &r->users[r->to_connect++];
        if (!u->churned && u->state == LD_OFF)
            ld_go_online(u);
    }
}

static bool all_online(const struct ld_run *r)
{
    uint32_t wanted = 0;
    for (uint32_t i = 0; i < r->user_count; i++)
        wanted += r->users[i].wanted;
    return r->result->online >= wanted;
}

static bool caught_up(struct ld_run *r)
{
    if (r->shared->group[0] && r->conv_count && r->convs[0].acked > atomic_load(&r->shared->group_acked))
        atomic_store(&r->shared->group_acked, r->convs[0].acked);
    for (uint32_t i = 0; i < r->user_count; i++) {
        struct ld_user *u = &r->users[i];
        if (u->state != LD_READY && u->wanted)
            return false;
        for (uint16_t k = 0; k < u->slot_count; k++) {
            struct ld_slot *s = &u->slots[k];
            uint64_t there = s->conv->shared ? atomic_load(&r->shared->group_acked) : s->conv->acked;
            if (!u->known)
                continue;
            if (s->view.last < there && !s->gap_ms && !s->fetching && there > s->want) {
                s->want = there; /* given a second to come by itself */
                s->gap_ms = pgn_loop_now_ms(r->loop) + 1000;
                u->gapped = true;
            }
            if (s->view.last < there || s->view.last < s->want)
                return false;
        }
    }
    return ld_all_acked(r);
}

static void enter(struct ld_run *r, enum ld_phase phase)
{
    r->phase = phase;
    r->phase_ms = pgn_mono_ms();
    switch (phase) {
    case LD_SETUP:
        if (r->mode->setup)
            r->mode->setup(r);
        break;
    case LD_CONNECT:
        if (r->mode->connecting)
            r->mode->connecting(r);
        break;
    case LD_RUN:
        r->start_us = atomic_load(&r->shared->start_us);
        r->end_us = atomic_load(&r->shared->end_us);
        r->running = true;
        if (r->mode->begin)
            r->mode->begin(r);
        break;
    case LD_DRAIN:
        r->running = false;
        ld_schedule_stop(r);
        if (r->mode->drain)
            r->mode->drain(r);
        break;
    case LD_AUDIT:
        if (r->o->verify && r->mode->talks)
            ld_audit_begin(r);
        break;
    case LD_DONE:
    default:
        pgn_loop_stop(r->loop);
    }
}

static bool run_finished(struct ld_run *r)
{
    uint64_t now = pgn_mono_us();
    if (atomic_load(&r->shared->stop))
        return true;
    if (r->mode->finished)
        return r->mode->finished(r);
    return now >= r->end_us;
}

static bool phase_finished(struct ld_run *r)
{
    uint64_t spent_ms = pgn_mono_ms() - r->phase_ms;
    switch (r->phase) {
    case LD_SETUP:
        return !r->mode->setup || r->mode->setup_done(r);
    case LD_CONNECT:
        return (r->to_connect == r->user_count && all_online(r)) || atomic_load(&r->shared->stop);
    case LD_RUN:
        if (run_finished(r))
            r->running = false;
        return !r->running;
    case LD_DRAIN:
        if (r->mode->draining)
            r->mode->draining(r);
        return !r->mode->talks || caught_up(r) || (double)spent_ms > r->o->drain_s * 1000;
    case LD_AUDIT:
        if (!r->o->verify || !r->mode->talks)
            return true;
        return ld_audit_done(r);
    case LD_DONE:
    default:
        return false;
    }
}

static void on_control(struct pgn_timer *t)
{
    struct ld_run *r = PGN_CONTAINER(t, struct ld_run, control);
    int wanted = atomic_load(&r->shared->phase);
    if (wanted > (int)r->phase)
        enter(r, (enum ld_phase)wanted);
    atomic_store(&r->shared->done[r->process], (int)r->phase + (phase_finished(r) ? 1 : 0));
    if (getppid() == 1) /* nobody is left to report to */
        _exit(1);
    pgn_timer_start(r->loop, t, CONTROL_MS);
}

static void on_house(struct pgn_timer *t)
{
    struct ld_run *r = PGN_CONTAINER(t, struct ld_run, house);
    uint64_t now = pgn_loop_now_ms(r->loop);
    uint32_t slice = r->house_slice++ % HOUSE_SLICES;

    pgn_timer_start(r->loop, t, HOUSE_MS);
    for (uint32_t i = slice; i < r->user_count; i += HOUSE_SLICES)
        ld_house_user(&r->users[i], now);
    if (slice)
        return;
    if (r->phase == LD_RUN) {
        (void)ld_second_now(r);
        if (r->running && r->mode->tick)
            r->mode->tick(r);
    }
    if (r->phase == LD_AUDIT && r->o->verify && r->mode->talks)
        ld_audit_more(r);
}

static void raise_limit(struct ld_run *r)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files))
        return;
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
    if (r->user_count + 64 > files.rlim_cur)
        ld_fatal(r, "%u users in a process, but it may open %llu files: use --processes %u", r->user_count,
                 (unsigned long long)files.rlim_cur, r->o->users / ((uint32_t)files.rlim_cur - 64) + 1);
}

void ld_worker(struct ld_run *r)
{
    raise_limit(r);
    r->loop = pgn_loop_new();
    pgn_list_init(&r->dirty);
    r->flush.on_turn = ld_flush_hook;
    pgn_hook_add(r->loop, &r->flush);
    r->connect.on_turn = connect_some;
    pgn_hook_add(r->loop, &r->connect);
    r->users = pgn_calloc(r->user_count ? r->user_count : 1, sizeof *r->users);
    for (uint32_t i = 0; i < r->user_count; i++) {
        const struct ld_person *p = &r->o->people[r->first_user + i];
        r->users[i] = (struct ld_user){.run = r, .name = p->name, .token = p->token, .index = r->first_user + i};
    }
    ld_schedule_new(r);
    r->mode->layout(r);
    r->control.on_due = on_control;
    r->house.on_due = on_house;
    enter(r, LD_SETUP);
    pgn_timer_start(r->loop, &r->control, CONTROL_MS);
    pgn_timer_start(r->loop, &r->house, HOUSE_MS);
    pgn_loop_run(r->loop);
    for (uint32_t i = 0; i < r->user_count; i++)
        r->result->n.unanswered += r->users[i].log.open;
    if (r->o->verify && r->mode->talks)
        ld_audit_end(r);
}
