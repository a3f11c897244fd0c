#include "common/io/loop.h"

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/io/wheel.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { BATCH = 1024 };                 /* ready descriptors a turn */
enum { ASKED = PGN_READ | PGN_WRITE }; /* the events that ask for something */

struct pgn_loop {
    int epoll, wake;
    int late; /* epoll set of those with PGN_LATE, looked at each PGN_LATE_MS while there are any */
    uint32_t late_count;
    uint64_t late_due_ms;
    atomic_bool stop;
    bool again;
    uint64_t now_ms, turns;
    struct pgn_node hooks;
    int ready, ready_at; /* of the events below: how many, and the one being handled */
    struct epoll_event events[BATCH];
    struct pgn_wheel wheel;
};

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    perror(what);
    abort();
}

struct pgn_loop *pgn_loop_new(void)
{
    struct pgn_loop *loop = pgn_calloc(1, sizeof(*loop));
    struct epoll_event wake = {.events = EPOLLIN, .data.ptr = NULL};

    loop->epoll = epoll_create1(EPOLL_CLOEXEC);
    loop->late = epoll_create1(EPOLL_CLOEXEC);
    must(loop->epoll >= 0 && loop->late >= 0, "epoll_create1");
    loop->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    must(loop->wake >= 0, "eventfd");
    wake.data.ptr = loop; /* no io has this address */
    must(epoll_ctl(loop->epoll, EPOLL_CTL_ADD, loop->wake, &wake) == 0, "epoll_ctl");
    pgn_list_init(&loop->hooks);
    loop->now_ms = pgn_mono_ms();
    pgn_wheel_init(&loop->wheel, loop->now_ms);
    return loop;
}

void pgn_loop_free(struct pgn_loop **loop)
{
    if (!*loop)
        return;
    close((*loop)->epoll);
    close((*loop)->late);
    close((*loop)->wake);
    free(*loop);
    *loop = NULL;
}

/* ---- descriptors ---- */

/* The epoll set for one with these events: -1 when nothing is asked for. */
static int set_of(const struct pgn_loop *loop, uint32_t events)
{
    if (!(events & ASKED))
        return -1;
    return events & PGN_LATE ? loop->late : loop->epoll;
}

/*
 * Registered with the kernel while anything is asked for: with nothing asked for, epoll would still report
 * hang-ups, again and again, to an owner that does not want to hear of them.
 */
static int epoll_set(struct pgn_loop *loop, struct pgn_io *io, uint32_t had)
{
    int from = set_of(loop, had), to = set_of(loop, io->events);
    struct epoll_event e = {.data.ptr = io};

    if (io->events & PGN_READ)
        e.events |= EPOLLIN;
    if (io->events & PGN_WRITE)
        e.events |= EPOLLOUT;
    if (from >= 0 && from != to && epoll_ctl(from, EPOLL_CTL_DEL, io->fd, &e))
        return -1;
    if (to >= 0 && epoll_ctl(to, from == to ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, io->fd, &e))
        return -1;
    loop->late_count += to == loop->late;
    loop->late_count -= from == loop->late;
    return 0;
}

int pgn_io_add(struct pgn_loop *loop, struct pgn_io *io)
{
    return epoll_set(loop, io, 0) == 0 ? 0 : PGN_E_IO;
}

void pgn_io_want(struct pgn_loop *loop, struct pgn_io *io, uint32_t events)
{
    uint32_t had = io->events;

    if (events == had)
        return;
    io->events = events;
    must(epoll_set(loop, io, had) == 0, "epoll_ctl");
}

void pgn_io_remove(struct pgn_loop *loop, struct pgn_io *io)
{
    uint32_t had = io->events;

    io->events = 0;
    epoll_set(loop, io, had);
    for (int i = loop->ready_at + 1; i < loop->ready; i++)
        if (loop->events[i].data.ptr == io)
            loop->events[i].data.ptr = NULL;
}

static uint32_t events_of(const struct pgn_io *io, uint32_t epoll_events)
{
    uint32_t events = 0;

    if (epoll_events & (EPOLLERR | EPOLLHUP))
        return io->events & ASKED;
    if (epoll_events & EPOLLIN)
        events |= PGN_READ;
    if (epoll_events & EPOLLOUT)
        events |= PGN_WRITE;
    return events & io->events; /* may have changed since the kernel's answer */
}

static void run_ready(struct pgn_loop *loop)
{
    for (loop->ready_at = 0; loop->ready_at < loop->ready; loop->ready_at++) {
        struct epoll_event *e = &loop->events[loop->ready_at];
        struct pgn_io *io = e->data.ptr;
        uint32_t events;
        uint64_t count;
        if (!io)
            continue;
        if (e->data.ptr == loop) {
            while (read(loop->wake, &count, sizeof(count)) < 0 && errno == EINTR)
                ;
            continue;
        }
        events = events_of(io, e->events);
        if (events)
            io->on_ready(io, events);
    }
    loop->ready = loop->ready_at = 0;
}

/* ---- timers ---- */

void pgn_timer_start(struct pgn_loop *loop, struct pgn_timer *t, uint64_t delay_ms)
{
    pgn_wheel_start(&loop->wheel, t, pgn_mono_us(), delay_ms, 1);
}

void pgn_timer_start_coarse(struct pgn_loop *loop, struct pgn_timer *t, uint64_t delay_ms)
{
    pgn_wheel_start(&loop->wheel, t, pgn_mono_us(), delay_ms, PGN_TIMER_COARSE_MS);
}

void pgn_timer_stop(struct pgn_timer *t)
{
    pgn_list_remove(&t->node);
}

/* How long epoll may wait for the sake of the wheel and of late descriptors, rounded up: -1 for ever. */
static int timer_wait_ms(struct pgn_loop *loop)
{
    uint64_t next_ms = pgn_wheel_next_ms(&loop->wheel), now_us, wait_us;

    if (loop->late_count && loop->late_due_ms < next_ms)
        next_ms = loop->late_due_ms;
    if (next_ms == UINT64_MAX)
        return -1;
    now_us = pgn_mono_us();
    if (next_ms <= now_us / 1000)
        return 0;
    if (next_ms - now_us / 1000 > INT_MAX / 2)
        return INT_MAX / 2;
    wait_us = next_ms * 1000 - now_us;
    return (int)((wait_us + 999) / 1000);
}

/* ---- hooks ---- */

void pgn_hook_add(struct pgn_loop *loop, struct pgn_hook *h)
{
    pgn_list_append(&loop->hooks, &h->node);
}

void pgn_hook_remove(struct pgn_hook *h)
{
    pgn_list_remove(&h->node);
}

/* A place holder in the list keeps the place, whatever the hook adds or removes. */
static void run_hooks(struct pgn_loop *loop)
{
    struct pgn_hook place = {{NULL, NULL}, NULL};
    struct pgn_node *n = loop->hooks.next;

    while (n != &loop->hooks) {
        struct pgn_hook *h = PGN_CONTAINER(n, struct pgn_hook, node);
        pgn_list_insert(&place.node, n, n->next);
        if (h->on_turn)
            h->on_turn(h);
        n = place.node.next;
        pgn_list_remove(&place.node);
    }
}

/* ---- turns ---- */

void pgn_loop_again(struct pgn_loop *loop)
{
    loop->again = true;
}

/* Adds what late descriptors have, each PGN_LATE_MS; when there was no room for all, again in the next turn. */
static void late_ready(struct pgn_loop *loop)
{
    int room = BATCH - loop->ready, found;

    if (!loop->late_count || loop->now_ms < loop->late_due_ms || !room)
        return;
    found = epoll_wait(loop->late, loop->events + loop->ready, room, 0);
    must(found >= 0 || errno == EINTR, "epoll_wait");
    if (found < room)
        loop->late_due_ms = loop->now_ms + PGN_LATE_MS;
    if (found > 0)
        loop->ready += found;
}

void pgn_loop_turn(struct pgn_loop *loop, int wait_ms)
{
    int timers_ms = timer_wait_ms(loop);

    assert(loop->ready == 0); /* not from a callback */
    if (timers_ms >= 0 && (wait_ms < 0 || timers_ms < wait_ms))
        wait_ms = timers_ms;
    if (loop->again || atomic_load(&loop->stop))
        wait_ms = 0;
    loop->again = false;
    loop->ready = epoll_wait(loop->epoll, loop->events, BATCH, wait_ms);
    must(loop->ready >= 0 || errno == EINTR, "epoll_wait");
    if (loop->ready < 0)
        loop->ready = 0;
    loop->now_ms = pgn_mono_ms();
    loop->turns++;
    late_ready(loop);
    run_ready(loop);
    pgn_wheel_run(&loop->wheel, loop->now_ms);
    run_hooks(loop);
}

void pgn_loop_run(struct pgn_loop *loop)
{
    while (!atomic_load(&loop->stop))
        pgn_loop_turn(loop, -1);
    atomic_store(&loop->stop, false);
}

void pgn_loop_stop(struct pgn_loop *loop)
{
    uint64_t one = 1;
    int saved = errno;

    atomic_store(&loop->stop, true);
    while (write(loop->wake, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
    errno = saved;
}

uint64_t pgn_loop_now_ms(const struct pgn_loop *loop)
{
    return loop->now_ms;
}

uint64_t pgn_loop_turns(const struct pgn_loop *loop)
{
    return loop->turns;
}
