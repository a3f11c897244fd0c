/* The open loop: when each user is to send next, in a binary heap under one timerfd. */
#include "loadtest/load.h"

#include "common/base/alloc.h"
#include "common/base/clock.h"

#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

static void place(struct ld_run *r, uint32_t at, struct ld_user *u)
{
    r->heap[at] = u;
    u->heap_at = at + 1;
}

static void sift_down(struct ld_run *r, uint32_t at)
{
    struct ld_user *u = r->heap[at];
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= r->heap_count)
            break;
        if (child + 1 < r->heap_count && r->heap[child + 1]->due_us < r->heap[child]->due_us)
            child++;
        if (r->heap[child]->due_us >= u->due_us)
            break;
        place(r, at, r->heap[child]);
        at = child;
    }
    place(r, at, u);
}

static void sift_up(struct ld_run *r, uint32_t at)
{
    struct ld_user *u = r->heap[at];
    while (at && r->heap[(at - 1) / 2]->due_us > u->due_us) {
        place(r, at, r->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    place(r, at, u);
}

static void arm(struct ld_run *r)
{
    struct itimerspec when = {0};
    if (r->heap_count) {
        when.it_value.tv_sec = (time_t)(r->heap[0]->due_us / 1000000);
        when.it_value.tv_nsec = (long)(r->heap[0]->due_us % 1000000 * 1000);
    }
    (void)timerfd_settime(r->alarm.fd, TFD_TIMER_ABSTIME, &when, NULL);
}

static void on_alarm(struct pgn_io *io, uint32_t events)
{
    struct ld_run *r = PGN_CONTAINER(io, struct ld_run, alarm);
    uint64_t times, now = pgn_mono_us();
    (void)events;
    (void)!read(io->fd, &times, sizeof times);
    while (r->heap_count && r->heap[0]->due_us <= now) {
        struct ld_user *u = r->heap[0];
        uint64_t intended = u->due_us;
        u->due_us += u->period_us;
        sift_down(r, 0);
        if (r->running && intended < r->end_us)
            r->mode->due(u, intended);
    }
    arm(r);
}

void ld_schedule_new(struct ld_run *r)
{
    r->heap = pgn_calloc(r->user_count + 1, sizeof(void *));
    r->alarm = (struct pgn_io){.fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC), .events = PGN_READ, .on_ready = on_alarm};
    if (r->alarm.fd < 0 || pgn_io_add(r->loop, &r->alarm))
        ld_fatal(r, "no timer from the kernel");
}

void ld_schedule(struct ld_user *u, uint64_t first_us, uint64_t period_us)
{
    struct ld_run *r = u->run;
    u->due_us = first_us;
    u->period_us = period_us ? period_us : 1;
    if (u->heap_at) {
        sift_up(r, u->heap_at - 1);
        sift_down(r, u->heap_at - 1);
    } else {
        place(r, r->heap_count++, u);
        sift_up(r, r->heap_count - 1);
    }
    arm(r);
}

void ld_schedule_stop(struct ld_run *r)
{
    r->heap_count = 0;
    arm(r);
}
