/*
 * pigeon-load's parent process: starts the workers, leads them from phase to phase, shows progress, sums up.
 */
#include "loadtest/load.h"
#include "loadtest/report.h"

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/svc/proc.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PROCS_MAX = 128, STEP_MS = 20, MEMORY_EACH_S = 5 };

struct parent {
    struct ld_options o;
    struct ld_shared *shared;
    pid_t workers[LD_PROCESSES_MAX];
    uint32_t alive;
    int status; /* worst exit of a worker */
    uint32_t run_id;
    struct ld_sample *samples;
    uint64_t samples_kept;
    struct pgn_proc procs[PROCS_MAX], procs_at_start[PROCS_MAX];
    size_t proc_count, proc_start_count;
    uint64_t cpu_before_us, cpu_at_us, run_cpu_us, memory_before, memory;
    double last_cores;
    struct ld_counts shown;
    uint64_t logins, logins_at_us; /* when somebody got in last */
};

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted++;
}

static void start_worker(struct parent *p, uint32_t process)
{
    static struct ld_run run;
    uint32_t users = p->o.users, n = p->o.processes;
    uint32_t unit = 50 * n <= users ? 50 : 2; /* groups of campus and pairs are not cut */
    uint32_t first = (uint32_t)((uint64_t)users * process / n / unit * unit);
    uint32_t end = process + 1 == n ? users : (uint32_t)((uint64_t)users * (process + 1) / n / unit * unit);
    pid_t pid = fork();
    if (pid < 0) {
        perror("pigeon-load: fork");
        exit(3);
    }
    if (pid) {
        p->workers[process] = pid;
        p->alive++;
        return;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
    run = (struct ld_run){.o = &p->o,
                          .mode = p->o.mode,
                          .shared = p->shared,
                          .result = &p->shared->results[process],
                          .process = process,
                          .id = p->run_id,
                          .codec = {p->o.proto},
                          .address = p->o.address,
                          .user_count = end - first,
                          .first_user = first,
                          .random = ((uint64_t)p->run_id << 32 | (process + 1)) * UINT64_C(0x9e3779b97f4a7c15) | 1};
    ld_worker(&run);
    _exit(0);
}

static void reap(struct parent *p)
{
    int status;
    while (waitpid(-1, &status, WNOHANG) > 0) {
        p->alive--;
        int code = WIFEXITED(status) ? WEXITSTATUS(status) : 3;
        if (WIFSIGNALED(status))
            fprintf(stderr, "pigeon-load: a worker died of signal %d: this is a fault of pigeon-load's\n", WTERMSIG(status));
        if (code > p->status)
            p->status = code;
    }
}

/* ---- the node's processes ---- */

static void sample(struct parent *p, bool memory)
{
    uint64_t cpu = 0, sum = 0, now = pgn_mono_us();
    if (!p->o.data)
        return;
    p->proc_count = pgn_proc_list(p->o.data, p->procs, PROCS_MAX);
    for (size_t i = 0; i < p->proc_count; i++) {
        cpu += p->procs[i].cpu_us;
        sum += p->procs[i].memory_bytes;
    }
    if (p->cpu_at_us && now > p->cpu_at_us && cpu >= p->cpu_before_us)
        p->last_cores = (double)(cpu - p->cpu_before_us) / (double)(now - p->cpu_at_us);
    p->cpu_before_us = cpu;
    p->cpu_at_us = now;
    if (memory)
        p->memory = sum;
}

static void keep_sample(struct parent *p, uint64_t second)
{
    if (!p->o.data || second >= LD_SECONDS)
        return;
    if (!p->samples)
        p->samples = pgn_calloc(LD_SECONDS, sizeof *p->samples);
    for (uint64_t i = p->samples_kept; i <= second; i++) /* a second may have been skipped */
        p->samples[i] = (struct ld_sample){(float)p->last_cores, (float)((double)p->memory / 1e6)};
    p->samples_kept = second + 1;
}

/* ---- progress ---- */

static void sum_counts(const struct parent *p, struct ld_counts *n, uint32_t *online)
{
    *n = (struct ld_counts){0};
    *online = 0;
    for (uint32_t i = 0; i < p->o.processes; i++) {
        const struct ld_result *r = &p->shared->results[i];
#define LD_FIELD(name, text) n->name += r->n.name;
        LD_COUNTS(LD_FIELD)
#undef LD_FIELD
        *online += r->online;
    }
}

static void progress(struct parent *p, enum ld_phase phase, uint64_t now_us)
{
    static const char *const words[] = {"preparing", "connecting", "running", "waiting", "checking", "done"};
    struct ld_counts n;
    uint32_t online, worst_us = 0;
    if (p->o.quiet)
        return;
    sum_counts(p, &n, &online);
    uint64_t start = atomic_load(&p->shared->start_us), second = start && now_us > start ? (now_us - start) / 1000000 : 0;
    for (uint32_t i = 0; phase == LD_RUN && second && second < LD_SECONDS && i < p->o.processes; i++)
        if (p->shared->results[i].seconds[second - 1].p99_us > worst_us)
            worst_us = p->shared->results[i].seconds[second - 1].p99_us;
    fprintf(stderr, "%-10s", words[phase]);
    if (phase == LD_RUN)
        fprintf(stderr, " %4llu s", (unsigned long long)second);
    fprintf(stderr, "  %u online", online);
    if (phase <= LD_CONNECT)
        fprintf(stderr, ", %llu failed", (unsigned long long)n.connect_failures);
    if (p->o.mode->talks && phase >= LD_RUN)
        fprintf(stderr, ", %llu sent/s, %llu acked/s, %llu delivered/s, p99 %.1f ms", (unsigned long long)(n.sent - p->shown.sent),
                (unsigned long long)(n.acked - p->shown.acked), (unsigned long long)(n.delivered - p->shown.delivered), worst_us / 1e3);
    if (n.disconnects)
        fprintf(stderr, ", %llu disconnects", (unsigned long long)n.disconnects);
    if (n.rate_limited)
        fprintf(stderr, ", %llu rate-limited", (unsigned long long)n.rate_limited);
    if (p->o.data && phase == LD_RUN)
        fprintf(stderr, ", node %.2f cores, %.0f MB", p->last_cores, (double)p->memory / 1e6);
    fputc('\n', stderr);
    p->shown = n;
}

/* ---- phases ---- */

static bool all_done(const struct parent *p, int phase)
{
    for (uint32_t i = 0; i < p->o.processes; i++)
        if (atomic_load(&p->shared->done[i]) <= phase)
            return false;
    return true;
}

static void next_phase(struct parent *p, int phase)
{
    uint64_t now = pgn_mono_us();
    if (phase == LD_RUN) {
        sample(p, true);
        memcpy(p->procs_at_start, p->procs, sizeof p->procs);
        p->proc_start_count = p->proc_count;
        atomic_store(&p->shared->start_us, now + 50000);
        atomic_store(&p->shared->end_us, now + 50000 + (uint64_t)(p->o.secs * 1e6));
    }
    if (phase == LD_DRAIN) {
        uint64_t start = atomic_load(&p->shared->start_us);
        if (now < atomic_load(&p->shared->end_us))
            atomic_store(&p->shared->end_us, now > start ? now : start + 1);
        sample(p, true);
    }
    atomic_store(&p->shared->phase, phase);
}

/* Nobody gets in: says so, instead of waiting for ever. */
static void check_progress(struct parent *p, int phase, uint64_t now_us)
{
    struct ld_counts n;
    uint32_t online;
    sum_counts(p, &n, &online);
    if (phase > LD_CONNECT || n.logins > p->logins || !p->logins_at_us) {
        p->logins = n.logins;
        p->logins_at_us = now_us;
    }
    uint64_t patience_us = n.logins ? 60000000 : 15000000;
    if (now_us - p->logins_at_us > patience_us)
        snprintf(p->shared->fatal, sizeof p->shared->fatal,
                 "nobody gets in at ws://%s%s any more (%u of %u users are online, %llu connections failed): is that a running node?",
                 p->o.host, p->o.path, online, p->o.users, (unsigned long long)n.connect_failures);
}

/* Leads until all workers are gone. */
static void lead(struct parent *p)
{
    uint64_t last_us = pgn_mono_us();
    unsigned ticks = 0;
    while (p->alive) {
        nanosleep(&(struct timespec){.tv_nsec = STEP_MS * 1000000L}, NULL);
        reap(p);
        int phase = atomic_load(&p->shared->phase);
        if (interrupted) {
            atomic_store(&p->shared->stop, true);
            if (interrupted > 1 || phase == LD_SETUP)
                exit(3);
        }
        if (p->shared->fatal[0] || p->status)
            return;
        if (phase < LD_DONE && all_done(p, phase))
            next_phase(p, phase + 1);
        uint64_t now = pgn_mono_us(), start = atomic_load(&p->shared->start_us);
        if (now - last_us < 1000000)
            continue;
        last_us = now;
        if (phase == LD_RUN) {
            sample(p, ticks++ % MEMORY_EACH_S == 0);
            keep_sample(p, now > start ? (now - start) / 1000000 : 0);
        }
        progress(p, (enum ld_phase)phase, now);
        check_progress(p, phase, now);
    }
}

static void services_of(const struct parent *p, struct ld_report *r)
{
    for (size_t i = 0; i < p->proc_count; i++) {
        size_t at = 0;
        while (at < r->service_count && strcmp(r->services[at].name, p->procs[i].name) != 0)
            at++;
        if (at == PGN_COUNT(r->services))
            break;
        if (at == r->service_count) {
            r->services[r->service_count++] = (struct ld_service){0};
            memcpy(r->services[at].name, p->procs[i].name, sizeof r->services[at].name);
        }
        uint64_t before = 0;
        for (size_t k = 0; k < p->proc_start_count; k++)
            if (p->procs_at_start[k].pid == p->procs[i].pid)
                before = p->procs_at_start[k].cpu_us;
        r->services[at].memory_bytes += p->procs[i].memory_bytes;
        r->services[at].cores += r->secs > 0 ? (double)(p->procs[i].cpu_us - before) / 1e6 / r->secs : 0;
        r->cores += r->secs > 0 ? (double)(p->procs[i].cpu_us - before) / 1e6 / r->secs : 0;
    }
}

static int report(struct parent *p)
{
    uint64_t start = atomic_load(&p->shared->start_us), end = atomic_load(&p->shared->end_us);
    struct ld_report r = {.o = &p->o, .samples = p->samples, .memory_before = p->memory_before, .memory_after = p->memory};
    r.secs = p->o.mode->finished || end > start ? (double)(end - start) / 1e6 : 0;
    r.seconds = (uint32_t)r.secs < LD_SECONDS ? (uint32_t)r.secs : LD_SECONDS;
    r.sum = pgn_calloc(1, sizeof *r.sum);
    services_of(p, &r);
    ld_report_sum(&r, p->shared);
    r.verdict = ld_report_right(&r) ? "passed" : "FAILED";
    ld_report_text(&r);
    if (p->o.json)
        ld_report_json(&r);
    if (p->o.html && ld_report_html(&r, p->o.html)) {
        fprintf(stderr, "pigeon-load: cannot write %s: %s\n", p->o.html, strerror(errno));
        return 3;
    }
    int code = ld_report_right(&r) ? 0 : 1;
    free(r.sum);
    return code;
}

int main(int argc, char **argv)
{
    static struct parent p;
    ld_options_read(argc, argv, &p.o);
    ld_people(&p.o);
    size_t bytes = sizeof *p.shared + p.o.processes * sizeof p.shared->results[0];
    p.shared = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p.shared == MAP_FAILED) {
        perror("pigeon-load: shared memory");
        return 3;
    }
    pgn_random(&p.run_id, sizeof p.run_id);
    p.run_id |= 1; /* not zero */
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sample(&p, true);
    p.memory_before = p.memory;
    for (uint32_t i = 0; i < p.o.processes; i++)
        start_worker(&p, i);
    lead(&p);
    if (p.shared->fatal[0] || p.status) {
        fprintf(stderr, "pigeon-load: %s\n", p.shared->fatal[0] ? p.shared->fatal : "a worker ended early");
        for (uint32_t i = 0; i < p.o.processes; i++)
            kill(p.workers[i], SIGKILL);
        return 3;
    }
    return report(&p);
}
