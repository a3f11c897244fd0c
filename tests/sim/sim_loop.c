/*
 * loop.h, mailbox.h and worker.h over simulated time. The timers' wheel is the real one. A turn happens when something is
 * there for it; a job of a worker runs whole at one moment (but for what the disk does to it, sim_disk.c) and is done later.
 */
#include "tests/sim/sim.h"

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/io/mailbox.h"
#include "common/io/wheel.h"
#include "common/io/worker.h"

#include <stdlib.h>
#include <unistd.h>

struct pgn_loop {
    struct sim_proc *proc;
    uint32_t life;
    bool again, turning;
    uint64_t now_ms, turns;
    uint64_t wake_us; /* when its next turn is; UINT64_MAX: never */
    struct pgn_node hooks, mails;
    struct pgn_io **ios;
    size_t ios_count, ios_cap;
    struct pgn_wheel wheel;
};

enum { NEVER_MS = 3600 * 1000 };

/* ---- when the next turn is ---- */

static void on_wake(void *ctx, uint64_t at_us);

static void wake_at(struct pgn_loop *loop, uint64_t at_us)
{
    if (at_us >= loop->wake_us)
        return;
    loop->wake_us = at_us;
    sim_at(at_us, on_wake, loop, at_us);
}

void sim_loop_wake(struct pgn_loop *loop)
{
    if (!loop->turning)
        wake_at(loop, sim.now_us + 1);
}

/* When the processes' clock, which is ahead of the simulation's, shows so much; at the earliest at once. UINT64_MAX: never. */
static uint64_t sim_us(uint64_t loop_ms)
{
    uint64_t ahead_us = pgn_mono_us() - sim.now_us;
    if (loop_ms > (sim.now_us + ahead_us) / SIM_MS + NEVER_MS)
        return UINT64_MAX;
    uint64_t us = loop_ms * SIM_MS;
    return us > sim.now_us + ahead_us ? us - ahead_us : sim.now_us + 1;
}

static uint64_t timers_us(struct pgn_loop *loop)
{
    return sim_us(pgn_wheel_next_ms(&loop->wheel));
}

static bool something_ready(const struct pgn_loop *loop)
{
    if (loop->again || !pgn_list_empty(&loop->mails))
        return true;
    for (size_t i = 0; i < loop->ios_count; i++)
        if (sim_net_ready(loop->ios[i]->fd) & loop->ios[i]->events)
            return true;
    return false;
}

/* ---- a turn ---- */

static void run_mails(struct pgn_loop *loop)
{
    struct pgn_node taken;
    if (pgn_list_empty(&loop->mails))
        return;
    taken = loop->mails;
    taken.next->prev = taken.prev->next = &taken;
    pgn_list_init(&loop->mails);
    for (struct pgn_node *n; (n = pgn_list_pop(&taken)) != NULL;) {
        struct pgn_mail *mail = PGN_CONTAINER(n, struct pgn_mail, node);
        mail->on_loop(mail);
    }
}

static void run_ios(struct pgn_loop *loop)
{
    struct pgn_io *all[64];
    size_t count = loop->ios_count < PGN_COUNT(all) ? loop->ios_count : PGN_COUNT(all);
    for (size_t i = 0; i < count; i++)
        all[i] = loop->ios[i];
    for (size_t i = 0; i < count; i++) {
        bool still = false;
        for (size_t j = 0; j < loop->ios_count; j++)
            still |= loop->ios[j] == all[i];
        uint32_t events = still ? sim_net_ready(all[i]->fd) & all[i]->events : 0;
        if (events)
            all[i]->on_ready(all[i], events);
    }
}

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

void pgn_loop_turn(struct pgn_loop *loop, int wait_ms)
{
    (void)wait_ms;
    loop->turning = true;
    loop->again = false;
    loop->now_ms = pgn_mono_ms();
    loop->turns++;
    run_mails(loop);
    run_ios(loop);
    pgn_wheel_run(&loop->wheel, loop->now_ms);
    run_hooks(loop);
    loop->turning = false;
}

static void on_wake(void *ctx, uint64_t at_us)
{
    struct pgn_loop *loop = ctx;
    if (loop->wake_us != at_us || !sim_proc_same(loop->proc, loop->life))
        return;
    loop->wake_us = UINT64_MAX;
    if (loop->proc->paused_until_us > sim.now_us) {
        wake_at(loop, loop->proc->paused_until_us);
        return;
    }
    sim_proc_enter(loop->proc);
    sim_trace_u64((uint64_t)loop->proc->number);
    pgn_loop_turn(loop, 0);
    if (something_ready(loop))
        wake_at(loop, sim.now_us + 1 + sim_rand(20));
    uint64_t timers = timers_us(loop);
    if (timers != UINT64_MAX)
        wake_at(loop, timers > sim.now_us ? timers : sim.now_us + 1);
}

void sim_loop_nested(struct sim_proc *p)
{
    struct pgn_loop *loop = p->svc.loop;
    if (!loop->turning)
        pgn_loop_turn(loop, 0);
}

/* ---- loop.h ---- */

struct pgn_loop *sim_loop_new(struct sim_proc *p)
{
    struct pgn_loop *loop = pgn_calloc(1, sizeof *loop);
    loop->proc = p;
    loop->life = p->life;
    loop->wake_us = UINT64_MAX;
    loop->now_ms = pgn_mono_ms();
    pgn_list_init(&loop->hooks);
    pgn_list_init(&loop->mails);
    pgn_wheel_init(&loop->wheel, loop->now_ms);
    return loop;
}

int pgn_io_add(struct pgn_loop *loop, struct pgn_io *io)
{
    if (loop->ios_count == loop->ios_cap) {
        loop->ios_cap = loop->ios_cap ? loop->ios_cap * 2 : 16;
        loop->ios = pgn_realloc((void *)loop->ios, loop->ios_cap * sizeof(struct pgn_io *));
    }
    loop->ios[loop->ios_count++] = io;
    sim_net_watch(io->fd, loop);
    sim_loop_wake(loop);
    return 0;
}

void pgn_io_want(struct pgn_loop *loop, struct pgn_io *io, uint32_t events)
{
    io->events = events;
    sim_loop_wake(loop);
}

void pgn_io_remove(struct pgn_loop *loop, struct pgn_io *io)
{
    io->events = 0;
    for (size_t i = 0; i < loop->ios_count; i++)
        if (loop->ios[i] == io) {
            loop->ios[i] = loop->ios[--loop->ios_count];
            return;
        }
}

static void start_timer(struct pgn_loop *loop, struct pgn_timer *t, uint64_t delay_ms, uint64_t step_ms)
{
    pgn_wheel_start(&loop->wheel, t, pgn_mono_us(), delay_ms, step_ms);
    if (!loop->turning)
        wake_at(loop, sim_us(t->due_ms));
}

void pgn_timer_start(struct pgn_loop *loop, struct pgn_timer *t, uint64_t delay_ms)
{
    start_timer(loop, t, delay_ms, 1);
}

void pgn_timer_start_coarse(struct pgn_loop *loop, struct pgn_timer *t, uint64_t delay_ms)
{
    start_timer(loop, t, delay_ms, PGN_TIMER_COARSE_MS);
}

void pgn_timer_stop(struct pgn_timer *t)
{
    pgn_list_remove(&t->node);
}

void pgn_hook_add(struct pgn_loop *loop, struct pgn_hook *h)
{
    pgn_list_append(&loop->hooks, &h->node);
}

void pgn_hook_remove(struct pgn_hook *h)
{
    pgn_list_remove(&h->node);
}

void pgn_loop_again(struct pgn_loop *loop)
{
    loop->again = true;
    sim_loop_wake(loop);
}

uint64_t pgn_loop_now_ms(const struct pgn_loop *loop)
{
    return loop->now_ms;
}

uint64_t pgn_loop_turns(const struct pgn_loop *loop)
{
    return loop->turns;
}

void pgn_loop_free(struct pgn_loop **loop)
{
    *loop = NULL; /* a simulated process leaves everything behind */
}

/* ---- mailbox.h ---- */

struct pgn_mailbox {
    struct pgn_loop *loop;
};

struct pgn_mailbox *pgn_mailbox_new(struct pgn_loop *loop, size_t limit)
{
    struct pgn_mailbox *mb = pgn_calloc(1, sizeof *mb);
    (void)limit;
    mb->loop = loop;
    return mb;
}

void pgn_mailbox_free(struct pgn_mailbox **mb)
{
    free(*mb);
    *mb = NULL;
}

int pgn_mailbox_post(struct pgn_mailbox *mb, struct pgn_mail *mail)
{
    pgn_list_append(&mb->loop->mails, &mail->node);
    sim_loop_wake(mb->loop);
    return 0;
}

void pgn_mailbox_post_wait(struct pgn_mailbox *mb, struct pgn_mail *mail)
{
    if (pgn_mailbox_post(mb, mail) != 0)
        abort();
}

/* ---- worker.h ---- */

struct pgn_workers {
    struct pgn_loop *loop;
    struct pgn_mailbox *done;
    size_t limit, waiting;
    int threads, running;
    struct pgn_node jobs; /* by mail.node */
};
struct running {
    struct pgn_workers *workers;
    struct pgn_job *job;
};

struct pgn_workers *pgn_workers_new(struct pgn_loop *loop, const char *name, int threads, size_t limit)
{
    struct pgn_workers *w = pgn_calloc(1, sizeof *w);
    (void)name;
    w->loop = loop;
    w->done = pgn_mailbox_new(loop, SIZE_MAX);
    w->limit = limit;
    w->threads = threads;
    pgn_list_init(&w->jobs);
    return w;
}

static void start_jobs(struct pgn_workers *w);

static void on_done_mail(struct pgn_mail *mail)
{
    struct pgn_job *job = PGN_CONTAINER(mail, struct pgn_job, mail);
    job->done(job);
}

static void on_ended(void *ctx, uint64_t arg)
{
    struct running *r = ctx;
    struct pgn_workers *w = r->workers;
    struct sim_proc *p = w->loop->proc;
    (void)arg;
    if (!sim_proc_same(p, w->loop->life))
        return;
    if (p->paused_until_us > sim.now_us) {
        sim_at(p->paused_until_us, on_ended, r, 0);
        return;
    }
    r->job->mail.on_loop = on_done_mail;
    pgn_mailbox_post_wait(w->done, &r->job->mail);
    free(r);
    w->running--;
    start_jobs(w);
}

static void on_run(void *ctx, uint64_t arg)
{
    struct running *r = ctx;
    struct sim_proc *p = r->workers->loop->proc;
    (void)arg;
    if (!sim_proc_same(p, r->workers->loop->life))
        return;
    if (p->paused_until_us > sim.now_us) {
        sim_at(p->paused_until_us, on_run, r, 0);
        return;
    }
    sim_proc_enter(p);
    r->job->run(r->job);
    if (p->doomed)
        sim_proc_crash(p, "inside a write");
    else
        sim_at(sim.now_us + 20 + sim_delay_us(), on_ended, r, 0);
}

static void start_jobs(struct pgn_workers *w)
{
    while (w->running < w->threads && !pgn_list_empty(&w->jobs)) {
        struct running *r = pgn_calloc(1, sizeof *r);
        r->workers = w;
        r->job = PGN_CONTAINER(pgn_list_pop(&w->jobs), struct pgn_job, mail.node);
        w->waiting--;
        w->running++;
        sim_at(sim.now_us + 5 + sim_delay_us(), on_run, r, 0);
    }
}

int pgn_workers_submit(struct pgn_workers *w, struct pgn_job *job)
{
    if (w->waiting >= w->limit)
        return PGN_E_FULL;
    pgn_list_append(&w->jobs, &job->mail.node);
    w->waiting++;
    start_jobs(w);
    return 0;
}

size_t pgn_workers_waiting(const struct pgn_workers *w)
{
    return w->waiting;
}

void pgn_workers_free(struct pgn_workers **w)
{
    *w = NULL;
}

/* The planted fault `ack-before-commit` sleeps between the two: the loop goes on meanwhile. */
int __wrap_usleep(useconds_t us);
int __wrap_usleep(useconds_t us)
{
    (void)us;
    if (sim.current)
        sim_loop_nested(sim.current);
    return 0;
}
