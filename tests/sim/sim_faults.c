/* What goes wrong, and when: drawn for each seed, each kind of it in about every second seed, so that kinds meet alone as well. */
#include "tests/sim/sim.h"

static struct sim_proc *any_proc(void)
{
    return &sim.procs[sim_rand((uint64_t)sim.procs_count)];
}

static uint32_t some(uint32_t most)
{
    return sim_rand(2) ? (uint32_t)sim_rand(most + 1) : 0;
}

static void draw(struct sim_knobs *k)
{
    *k = (struct sim_knobs){
        .crash_before_write = some(15000),
        .crash_after_write = some(15000),
        .write_refused = some(20000),
        .write_uncertain = some(20000),
        .slow_delay = some(50000),
        .slow_us = 2 * SIM_MS + sim_rand(sim_rand(3) ? 100 * SIM_MS : 3 * SIM_S),
        .lost = some(2000),
        .max_payload = sim_rand(3) ? 1u << 20 : 700 + sim_rand(4000),
        .crashes = some(8),
        .pauses = some(8),
        .long_pauses = some(50),
        .cuts = some(8),
        .bus_restarts = some(2),
        .client_cuts = some(20),
        .jumps = some(4),
        .partial_writes = some(300000),
        .slow_readers = some(6),
        .churn = sim_rand(3) ? 13 : 50,
    };
}

static void do_crash(void *ctx, uint64_t arg)
{
    (void)ctx, (void)arg;
    sim_proc_crash(any_proc(), "killed");
}

static void do_pause(void *ctx, uint64_t arg)
{
    (void)ctx, (void)arg;
    bool longer = sim_rand(100) < sim.knobs.long_pauses;
    sim_proc_pause(any_proc(), longer ? sim_rand(20 * SIM_S) : 5 * SIM_MS + sim_rand(2 * SIM_S));
}

static void do_cut(void *ctx, uint64_t arg)
{
    (void)ctx, (void)arg;
    struct sim_proc *p = any_proc();
    if (p->up)
        sim_bus_cut(p, 5 * SIM_MS + sim_rand(sim_rand(4) ? 500 * SIM_MS : 6 * SIM_S));
}

static void do_bus_restart(void *ctx, uint64_t arg)
{
    (void)ctx, (void)arg;
    sim_bus_restart();
}

static void do_client_cut(void *ctx, uint64_t arg)
{
    (void)ctx, (void)arg;
    sim_client_cut((int)sim_rand(SIM_CLIENTS), sim_rand(3) == 0);
}

static void do_slow_reader(void *ctx, uint64_t arg)
{
    (void)ctx, (void)arg;
    sim_client_slow((int)sim_rand(SIM_CLIENTS), sim_rand(10 * SIM_S));
}

static void do_jump(void *ctx, uint64_t arg)
{
    (void)ctx, (void)arg;
    struct sim_proc *p = any_proc();
    switch (sim_rand(4)) {
    case 0:
        p->wall_jump_ms = -3600 * 1000;
        break;
    case 1:
        p->wall_jump_ms = 3600 * 1000;
        break;
    case 2:
        p->wall_jump_ms = INT64_MIN; /* 1970 */
        break;
    default:
        p->wall_jump_ms = (int64_t)sim_rand(20000) - 10000;
        break;
    }
    sim_say("the clock of %s jumps", sim_proc_name(p));
}

static void plan(uint32_t times, sim_fn *fn, uint64_t until_us)
{
    while (times--)
        sim_at(SIM_S + sim_rand(until_us - SIM_S), fn, NULL, 0);
}

void sim_faults_start(uint64_t until_us)
{
    draw(&sim.knobs);
    const struct sim_knobs *k = &sim.knobs;
    plan(k->crashes, do_crash, until_us);
    plan(k->pauses, do_pause, until_us);
    plan(k->cuts, do_cut, until_us);
    plan(k->bus_restarts, do_bus_restart, until_us);
    plan(k->client_cuts, do_client_cut, until_us);
    plan(k->slow_readers, do_slow_reader, until_us);
    plan(k->jumps, do_jump, until_us);
}
