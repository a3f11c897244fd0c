/*
 * Seeds over processes: each seed in one of its own, on all processors.
 *
 *   pigeon-sim [--seeds N] [--first N] [--file LIST] [--seed N] [--plant NAME] [--jobs N] [--verbose] [--self-test]
 *
 * Exit code: 0 all seeds passed, 1 one failed (its number, why, and the command that replays it), 2 wrong arguments.
 */
#include "tests/sim/sim.h"

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/svc/config.h"

#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { JOBS_MAX = 64, SEED_S = 60, CALM_S = 400, QUIET_S = 25, FAILURES_SHOWN = 5, EXIT_FAILED = 1, EXIT_USAGE = 2 };
static const uint64_t WALL_START_MS = 1790000000000u;

/* What a seed's process leaves behind. */
struct result {
    uint64_t seed, trace;
    struct sim_totals totals;
    bool done;
    char problem[2048];
};

/* ---- a seed ---- */

static uint64_t clock_us(void)
{
    return SIM_S + sim.now_us;
}

static uint64_t clock_wall_ms(void)
{
    int64_t jump = sim.current ? sim.current->wall_jump_ms : 0;
    return jump == INT64_MIN ? 1000 + sim.now_us / SIM_MS : WALL_START_MS + sim.now_us / SIM_MS + (uint64_t)jump;
}

static const struct pgn_config *draw_config(void)
{
    struct pgn_config *config = NULL;
    struct pgn_buf yaml = {0}, problems = {0};
    pgn_buf_printf(&yaml,
                   "gateway: {partitions: %d, resend_ms: %d, send_timeout_ms: %d}\nstorage: {commit_gap_ms: %d, readers: 2}\n"
                   "message: {policy_cache: %d}\n"
                   "limits: {queue_bytes: 16384, user_messages_s: 1000, user_messages_burst: 1000, user_ops_s: 1000, user_ops_burst: 1000,"
                   " address_connects_s: 10000}\n",
                   (int)(1 + sim_rand(4)), (int)(200 + sim_rand(1000)), (int)(sim_rand(2) ? 15000 : 3000), (int)sim_rand(4),
                   sim_rand(2) ? 100000 : 16);
    if (pgn_config_parse("sim", pgn_buf_cstr(&yaml), yaml.len, NULL, &config, &problems) != 0) {
        fprintf(stderr, "%s\n", pgn_buf_cstr(&problems));
        exit(EXIT_USAGE);
    }
    pgn_buf_release(&yaml);
    pgn_buf_release(&problems);
    return config;
}

static void add_procs(enum sim_kind kind, int count)
{
    while (count--) {
        struct sim_proc *p = &sim.procs[sim.procs_count];
        p->kind = kind;
        p->number = sim.procs_count++;
        sim_proc_start(p);
    }
}

static void run_until(uint64_t us)
{
    while (!sim_failed() && sim_step(us))
        ;
    if (sim.now_us < us)
        sim.now_us = us;
}

static void calm_down(void)
{
    sim.calm = true;
    sim_say("from here on nothing goes wrong");
    for (int i = 0; i < sim.procs_count; i++) {
        sim.procs[i].wall_jump_ms = 0;
    }
    sim_clients_calm();
}

static void run_seed(uint64_t seed, struct result *result)
{
    sim.seed = result->seed = seed;
    pgn_random_seed_for_tests(seed);
    uint64_t active_us = (3 + sim_rand(12)) * SIM_S;
    sim.config = draw_config();
    sim_faults_start(active_us);
    add_procs(SIM_STORAGE, 1);
    add_procs(SIM_MESSAGE, 1 + (int)sim_rand(3));
    add_procs(SIM_GATEWAY, 1 + (int)sim_rand(3));
    sim_clients_start();
    run_until(active_us);
    calm_down();
    uint64_t limit = sim.now_us + CALM_S * (uint64_t)SIM_S;
    while (!sim_failed() && sim.now_us < limit && !sim_clients_settled())
        run_until(sim.now_us + SIM_S);
    run_until(sim.now_us + QUIET_S * (uint64_t)SIM_S); /* two more pings: whatever was missed is noticed by then */
    if (!sim_failed())
        sim_check_final();
    sim.totals.simulated_s = sim.now_us / SIM_S;
    result->trace = sim.trace;
    result->totals = sim.totals;
    snprintf(result->problem, sizeof result->problem, "%s", sim_problem());
    result->done = true;
}

/* ---- many seeds ---- */

static struct {
    uint64_t first, seeds;
    uint64_t *list; /* these instead */
    int jobs;
    bool stop_at_failure;
} plan = {.first = 1, .seeds = 1000};

static struct result *results;  /* shared, one a job */
static char first_problem[128]; /* of the first seed that failed */
static pid_t pids[JOBS_MAX];

static void start(int job, uint64_t seed)
{
    memset(&results[job], 0, sizeof results[job]);
    results[job].seed = seed;
    fflush(NULL);
    pids[job] = fork();
    if (pids[job] < 0) {
        perror("fork");
        exit(EXIT_USAGE);
    }
    if (pids[job] == 0) {
        alarm(SEED_S);
        run_seed(seed, &results[job]);
        _exit(0);
    }
}

static uint64_t seed_at(uint64_t i)
{
    return plan.list ? plan.list[i] : plan.first + i;
}

/* A file of seeds: the first word of each line that begins with a digit. */
static void read_list(const char *path)
{
    FILE *f = fopen(path, "re");
    char line[512];
    if (!f) {
        perror(path);
        exit(EXIT_USAGE);
    }
    for (plan.seeds = 0; fgets(line, sizeof line, f);) {
        if (*line < '0' || *line > '9')
            continue;
        plan.list = pgn_realloc(plan.list, (plan.seeds + 1) * sizeof *plan.list);
        plan.list[plan.seeds++] = strtoull(line, NULL, 10);
    }
    fclose(f);
}

/* Waits for some job; its number. */
static int wait_for_one(int *ret_status)
{
    for (;;) {
        pid_t pid = wait(ret_status);
        for (int j = 0; j < plan.jobs; j++)
            if (pids[j] == pid)
                return j;
    }
}

static void add_totals(struct sim_totals *to, const struct sim_totals *from)
{
    uint64_t *a = (uint64_t *)to;
    const uint64_t *b = (const uint64_t *)from;
    for (size_t i = 0; i < sizeof *to / sizeof *a; i++)
        a[i] += b[i];
}

static void show_failure(struct result *r, int status)
{
    if (!r->done)
        snprintf(r->problem, sizeof r->problem, "%s %d\n", WIFSIGNALED(status) ? "ended by signal" : "exit code",
                 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    printf("seed %" PRIu64 " failed:\n%s", r->seed, r->problem);
    printf("  replay: make sim SEED=%" PRIu64 "%s%s\n", r->seed, *sim.plant ? " PLANT=" : "", sim.plant);
    fflush(stdout);
}

/* How many failed. ret_traces (may be NULL): by seed. ret_first: the first that failed. */
static unsigned run_seeds(struct sim_totals *totals, uint64_t *ret_traces, uint64_t *ret_first, uint64_t *ret_ran, bool quiet)
{
    uint64_t next = 0, running = 0;
    unsigned failed = 0;
    *ret_ran = 0;
    memset(pids, 0, sizeof pids);
    for (int j = 0; j < plan.jobs && next < plan.seeds; j++, running++)
        start(j, seed_at(next++));
    while (running) {
        int status, j = wait_for_one(&status);
        struct result *r = &results[j];
        pids[j] = 0;
        running--;
        ++*ret_ran;
        add_totals(totals, &r->totals);
        if (ret_traces)
            ret_traces[r->seed - plan.first] = r->trace;
        if (!r->done || status || *r->problem) {
            if (failed++ == 0) {
                *ret_first = r->seed;
                snprintf(first_problem, sizeof first_problem, "%.*s", (int)strcspn(r->problem, "\n"), r->problem);
            }
            if (!quiet && failed <= FAILURES_SHOWN)
                show_failure(r, status);
        }
        if (next < plan.seeds && !(failed && plan.stop_at_failure)) {
            start(j, seed_at(next++));
            running++;
        }
    }
    return failed;
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void show_totals(const struct sim_totals *t, uint64_t seeds, unsigned failed, double took)
{
    printf("%" PRIu64 " seeds, %u failed, %.1f s, %.0f seeds/s; simulated: %" PRIu64 " h\n", seeds, failed, took, (double)seeds / took,
           t->simulated_s / 3600);
    printf("events %" PRIu64 ", bus messages %" PRIu64 ", sends acknowledged %" PRIu64 ", refused %" PRIu64 ", messages stored %" PRIu64
           ", pushed %" PRIu64 ", fetches %" PRIu64 ", syncs %" PRIu64 ", group changes %" PRIu64 "\n",
           t->events, t->messages, t->acked, t->refused, t->stored, t->delivered, t->fetched, t->syncs, t->groups);
    printf("crashes %" PRIu64 ", pauses %" PRIu64 ", connections cut %" PRIu64 ", bus messages lost %" PRIu64 ", failed writes %" PRIu64
           ", told uncertain %" PRIu64 ", retries %" PRIu64 "\n",
           t->crashes, t->pauses, t->cuts, t->lost, t->failed_writes, t->uncertain, t->retries);
}

static void set_plant(const char *plant)
{
    sim.plant = plant;
    if (*plant)
        setenv("PIGEON_FAULT", plant, 1);
    else
        unsetenv("PIGEON_FAULT");
}

/* ---- the simulation itself is tested ---- */

static int self_test(void)
{
    enum { PLANT_SEEDS = 400, TWICE_SEEDS = 30 };
    static const char *const plants[] = {"ack-before-commit", "dedup-off", "drop-publish", "seq-reset", "version-off", "sync-off"};
    uint64_t traces[2][TWICE_SEEDS], first, ran;
    struct sim_totals totals = {0};
    unsigned passed = 0, failed = 0;
    plan.seeds = TWICE_SEEDS;
    unsigned bad = run_seeds(&totals, traces[0], &first, &ran, false) + run_seeds(&totals, traces[1], &first, &ran, true);
    bool same = memcmp(traces[0], traces[1], sizeof traces[0]) == 0;
    printf("%d seeds twice: %s\n", TWICE_SEEDS, bad ? "FAILED" : same ? "the same trace" : "ANOTHER TRACE");
    *(bad || !same ? &failed : &passed) += 1;
    plan.seeds = PLANT_SEEDS;
    plan.stop_at_failure = true;
    for (size_t i = 0; i < PGN_COUNT(plants); i++) {
        set_plant(plants[i]);
        bad = run_seeds(&totals, NULL, &first, &ran, true);
        if (bad)
            printf("plant %s: found by seed %" PRIu64 " (%s)\n", plants[i], first, first_problem);
        else
            printf("plant %s: NOT FOUND in %" PRIu64 " seeds\n", plants[i], ran);
        *(bad ? &passed : &failed) += 1;
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed ? EXIT_FAILED : 0;
}

static int one_seed(void)
{
    struct sim_totals totals = {0};
    uint64_t traces[1] = {0}, first, ran;
    plan.seeds = 1;
    unsigned failed = run_seeds(&totals, traces, &first, &ran, false);
    printf("seed %" PRIu64 ": %s, trace %016" PRIx64 "\n", plan.first, failed ? "failed" : "passed", traces[0]);
    return failed ? EXIT_FAILED : 0;
}

static int many_seeds(void)
{
    struct sim_totals totals = {0};
    uint64_t first, ran;
    double from = seconds();
    unsigned failed = run_seeds(&totals, NULL, &first, &ran, false);
    show_totals(&totals, ran, failed, seconds() - from);
    printf("%" PRIu64 " passed, %u failed\n", ran - failed, failed);
    return failed ? EXIT_FAILED : 0;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"seeds", 1, NULL, 'n'}, {"first", 1, NULL, 'f'},     {"seed", 1, NULL, 's'},
                                            {"plant", 1, NULL, 'p'}, {"jobs", 1, NULL, 'j'},      {"verbose", 0, NULL, 'v'},
                                            {"file", 1, NULL, 'l'},  {"self-test", 0, NULL, 't'}, {NULL, 0, NULL, 0}};
    bool single = false, test = false;
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    plan.jobs = processors > 0 && processors < JOBS_MAX ? (int)processors : 2;
    set_plant("");
    for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        uint64_t number = optarg ? strtoull(optarg, NULL, 10) : 0;
        switch (o) {
        case 'n':
            plan.seeds = number;
            break;
        case 's':
            single = true;
            plan.first = number;
            break;
        case 'f':
            plan.first = number;
            break;
        case 'l':
            read_list(optarg);
            break;
        case 'p':
            set_plant(optarg);
            break;
        case 'j':
            plan.jobs = number && number < JOBS_MAX ? (int)number : plan.jobs;
            break;
        case 'v':
            sim.verbose = true;
            break;
        case 't':
            test = true;
            break;
        default:
            return EXIT_USAGE;
        }
    }
    pgn_random_seed_for_tests(0);
    pgn_clock_set(clock_us, clock_wall_ms);
    sim_disk_prepare();
    results = mmap(NULL, JOBS_MAX * sizeof *results, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (results == MAP_FAILED)
        return EXIT_USAGE;
    return test ? self_test() : single ? one_seed() : many_seeds();
}
