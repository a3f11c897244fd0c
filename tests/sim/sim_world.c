/* Time, events, randomness, processes. */
#include "tests/sim/sim.h"

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/base/id.h"
#include "services/gateway/gateway.h"
#include "services/message/msg_service.h"
#include "services/storage/service.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sim sim;

/* ---- events: a binary heap by time, then by order of making ---- */

struct event {
    uint64_t at_us, order;
    sim_fn *fn;
    void *ctx;
    uint64_t arg;
};
static struct event *heap;
static size_t heap_count, heap_cap;
static uint64_t heap_order;

static bool before(const struct event *a, const struct event *b)
{
    return a->at_us < b->at_us || (a->at_us == b->at_us && a->order < b->order);
}

void sim_at(uint64_t at_us, sim_fn *fn, void *ctx, uint64_t arg)
{
    struct event e = {at_us < sim.now_us ? sim.now_us : at_us, heap_order++, fn, ctx, arg};
    if (heap_count == heap_cap) {
        heap_cap = heap_cap ? heap_cap * 2 : 4096;
        heap = pgn_realloc(heap, heap_cap * sizeof *heap);
    }
    size_t i = heap_count++;
    for (size_t up; i && before(&e, &heap[up = (i - 1) / 2]); i = up)
        heap[i] = heap[up];
    heap[i] = e;
}

static struct event pop(void)
{
    struct event first = heap[0], last = heap[--heap_count];
    size_t i = 0;
    for (size_t down; (down = 2 * i + 1) < heap_count; i = down) {
        if (down + 1 < heap_count && before(&heap[down + 1], &heap[down]))
            down++;
        if (!before(&heap[down], &last))
            break;
        heap[i] = heap[down];
    }
    heap[i] = last;
    return first;
}

bool sim_step(uint64_t until_us)
{
    if (!heap_count || heap[0].at_us > until_us)
        return false;
    struct event e = pop();
    sim.now_us = e.at_us;
    sim.totals.events++;
    sim_trace_u64(e.at_us);
    e.fn(e.ctx, e.arg);
    sim_proc_enter(NULL);
    return true;
}

/* ---- randomness: SplitMix64, apart from what the services draw ---- */

static uint64_t random_state;

static uint64_t next(void)
{
    if (!random_state)
        random_state = sim.seed * 0x9e3779b97f4a7c15u + 1;
    uint64_t z = random_state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t sim_rand(uint64_t below)
{
    return next() % below; /* the bias is of no matter here */
}

bool sim_chance(uint32_t per_million)
{
    return per_million && sim_rand(1000000) < per_million;
}

bool sim_fault(uint32_t per_million)
{
    return !sim.calm && sim_chance(per_million);
}

uint64_t sim_delay_us(void)
{
    if (sim_fault(sim.knobs.slow_delay))
        return sim_rand(sim.knobs.slow_us);
    return 30 + sim_rand(300);
}

/* ---- what happened ---- */

void sim_trace(const void *data, size_t len)
{
    sim.trace = (sim.trace ^ pgn_hash(data, len)) * 0x100000001b3u + sim.now_us;
}

void sim_trace_u64(uint64_t v)
{
    sim.trace = (sim.trace ^ v) * 0x9e3779b97f4a7c15u;
    sim.trace ^= sim.trace >> 29;
}

static char problem[4096];
static unsigned problems;

void sim_say(const char *format, ...)
{
    va_list args;
    if (!sim.verbose)
        return;
    fprintf(stderr, "%4" PRIu64 ".%06" PRIu64 " ", sim.now_us / SIM_S, sim.now_us % SIM_S);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

void sim_fail(const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    sim_say("FAILED: %s", line);
    size_t len = strlen(problem);
    if (problems++ < 8)
        snprintf(problem + len, sizeof problem - len, "%s\n", line);
}

bool sim_failed(void)
{
    return problems > 0;
}

const char *sim_problem(void)
{
    return problem;
}

/* ---- processes ---- */

static const struct {
    const char *name;
    int (*init)(struct pgn_svc *svc);
    void (*bus_event)(struct pgn_svc *svc, enum pgn_bus_event event);
} services[] = {
    [SIM_STORAGE] = {"storage", sto_service_init, sto_service_bus_event},
    [SIM_MESSAGE] = {"message", msg_service_init, msg_service_bus_event},
    [SIM_GATEWAY] = {"gateway", gw_init, gw_bus_event},
};

const char *sim_proc_name(const struct sim_proc *p)
{
    static char text[4][24];
    static unsigned at;
    char *name = text[at++ % 4];
    snprintf(name, sizeof text[0], "%s-%d", services[p->kind].name, p->number);
    return name;
}

void sim_proc_enter(struct sim_proc *p)
{
    sim.current = p;
}

bool sim_proc_same(const struct sim_proc *p, uint32_t life)
{
    return p->up && p->life == life;
}

static void on_bus_event(void *ctx, enum pgn_bus_event event)
{
    struct sim_proc *p = ctx;
    if (event != PGN_BUS_DISCONNECTED)
        p->loss_us = sim.now_us;
    if (p->svc.state)
        services[p->kind].bus_event(&p->svc, event);
}

void sim_proc_start(struct sim_proc *p)
{
    if (p->up)
        return;
    p->life++;
    p->up = true;
    p->ready = p->doomed = false;
    p->paused_until_us = 0;
    p->loss_us = sim.now_us;
    sim_say("%s starts", sim_proc_name(p));
    sim_proc_enter(p);
    memset(&p->svc, 0, sizeof p->svc);
    p->svc.config = sim.config;
    p->svc.started_at_ms = pgn_wall_ms();
    snprintf(p->svc.instance, sizeof p->svc.instance, "%08x%08x", (unsigned)p->number, p->life);
    p->svc.loop = sim_loop_new(p);
    struct pgn_bus_options options = {.url = "sim",
                                      .name = services[p->kind].name,
                                      .user = services[p->kind].name,
                                      .pending_bytes = 64u << 20,
                                      .on_event = on_bus_event,
                                      .ctx = p};
    int error = pgn_bus_new(p->svc.loop, &options, &p->svc.bus);
    if (!error)
        error = services[p->kind].init(&p->svc);
    if (error)
        sim_fail("%s does not start: %d", sim_proc_name(p), error);
    sim_loop_wake(p->svc.loop);
    sim_proc_enter(NULL);
}

static void start_again(void *ctx, uint64_t arg)
{
    struct sim_proc *p = ctx;
    if (p->life == arg)
        sim_proc_start(p);
}

void sim_proc_crash(struct sim_proc *p, const char *why)
{
    if (!p->up)
        return;
    sim_say("%s crashes: %s", sim_proc_name(p), why);
    sim.totals.crashes++;
    p->up = p->ready = false;
    sim_bus_gone(p);
    if (p->kind == SIM_GATEWAY)
        sim_net_gone(p);
    if (p->kind == SIM_STORAGE)
        sim_disk_crashed(sim_rand(2));
    uint64_t back = sim_chance(200000) ? sim_rand(20 * SIM_S) : 20 * SIM_MS + sim_rand(2 * SIM_S);
    sim_at(sim.now_us + back, start_again, p, p->life);
}

void sim_proc_pause(struct sim_proc *p, uint64_t us)
{
    if (!p->up || p->paused_until_us > sim.now_us)
        return;
    sim_say("%s is stopped for %" PRIu64 " ms", sim_proc_name(p), us / SIM_MS);
    sim.totals.pauses++;
    p->paused_until_us = sim.now_us + us;
}
