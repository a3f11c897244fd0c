/* status: the loads that services publish each second, the store's figures, memory of all processes. */
#include "clients/cli/status.h"

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/proto/subjects.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LISTEN_MS = 1300 };

static void copy(char *to, size_t bytes, const char *from)
{
    snprintf(to, bytes, "%.*s", (int)bytes - 1, from);
}

/* On nats.c's thread. */
static void on_load(void *ctx, const char *subject, const void *data, size_t len)
{
    struct cli_status *s = ctx;
    struct pgn_arena *arena = pgn_arena_new(1024);
    const Pigeon__NodeLoad *l = PGN_PB_UNPACK(Pigeon__NodeLoad, pigeon__node_load, arena, data, len);
    (void)subject;
    pthread_mutex_lock(&s->lock);
    size_t at = 0;
    while (l && at < s->load_count && strcmp(s->loads[at].instance, l->instance) != 0)
        at++;
    if (l && at < CLI_LOADS_MAX) {
        struct cli_load_row *r = &s->loads[at];
        *r = (struct cli_load_row){.connections = l->connections,
                                   .memory_bytes = l->memory_bytes,
                                   .messages_per_s = l->messages_per_s,
                                   .pid = l->pid,
                                   .started_at = l->started_at,
                                   .cpu_permille = l->cpu_permille,
                                   .queue = l->queue,
                                   .temperature_c = l->temperature_c,
                                   .throttled = l->throttled};
        copy(r->service, sizeof r->service, l->service);
        copy(r->instance, sizeof r->instance, l->instance);
        copy(r->version, sizeof r->version, l->version);
        s->load_count += at == s->load_count;
    }
    pthread_mutex_unlock(&s->lock);
    pgn_arena_free(&arena);
}

static int by_service(const void *a, const void *b)
{
    const struct cli_load_row *x = a, *y = b;
    int order = strcmp(x->service, y->service);
    return order ? order : strcmp(x->instance, y->instance);
}

static void put_row_json(struct pgn_json *j, const struct cli_load_row *r)
{
    pgn_json_object(j);
    pgn_json_key(j, "service");
    pgn_json_str(j, r->service);
    pgn_json_key(j, "instance");
    pgn_json_str(j, r->instance);
    pgn_json_key(j, "version");
    pgn_json_str(j, r->version);
    pgn_json_key(j, "pid");
    pgn_json_u64(j, r->pid);
    pgn_json_key(j, "started_at");
    pgn_json_u64(j, r->started_at);
    pgn_json_key(j, "connections");
    pgn_json_u64(j, r->connections);
    pgn_json_key(j, "messages_per_s");
    pgn_json_u64(j, r->messages_per_s);
    pgn_json_key(j, "cpu_permille");
    pgn_json_u64(j, r->cpu_permille);
    pgn_json_key(j, "memory_bytes");
    pgn_json_u64(j, r->memory_bytes);
    pgn_json_key(j, "queue");
    pgn_json_u64(j, r->queue);
    pgn_json_key(j, "temperature_c");
    pgn_json_i64(j, r->temperature_c);
    pgn_json_key(j, "throttled");
    pgn_json_bool(j, r->throttled);
    pgn_json_object_end(j);
}

static uint64_t all_memory(const struct cli_status *s)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < s->proc_count; i++)
        sum += s->procs[i].memory_bytes;
    return sum;
}

static void put_json(const struct cli_status *s)
{
    struct pgn_buf line = {0}, store = {0};
    struct pgn_json j = pgn_json_on(&line);
    pgn_json_object(&j);
    pgn_json_key(&j, "services");
    pgn_json_array(&j);
    for (size_t i = 0; i < s->load_count; i++)
        put_row_json(&j, &s->loads[i]);
    pgn_json_array_end(&j);
    pgn_json_key(&j, "memory_bytes");
    pgn_json_u64(&j, all_memory(s));
    pgn_json_key(&j, "problems");
    pgn_json_array(&j);
    for (size_t i = 0; i < s->problem_count; i++)
        pgn_json_str(&j, s->problems[i]);
    pgn_json_array_end(&j);
    if (s->store) {
        pgn_json_key(&j, "store");
        pgn_json_object(&j);
        pgn_json_key(&j, "name");
        pgn_json_str(&j, s->store->store);
        pgn_json_key(&j, "schema");
        pgn_json_u64(&j, s->store->schema);
        pgn_json_key(&j, "users");
        pgn_json_u64(&j, s->store->users);
        pgn_json_key(&j, "convs");
        pgn_json_u64(&j, s->store->convs);
        pgn_json_key(&j, "messages");
        pgn_json_u64(&j, s->store->messages);
        pgn_json_key(&j, "sessions");
        pgn_json_u64(&j, s->store->sessions);
        pgn_json_key(&j, "bytes");
        pgn_json_u64(&j, s->store->bytes);
        pgn_json_key(&j, "disk_free");
        pgn_json_u64(&j, s->store->disk_free);
        pgn_json_key(&j, "last_backup_at");
        pgn_json_u64(&j, s->store->last_backup_at);
        pgn_json_object_end(&j);
    }
    pgn_json_object_end(&j);
    cli_put_json(&line);
    pgn_buf_release(&line);
    pgn_buf_release(&store);
}

static void put_services(const struct cli_status *s, uint64_t now_ms)
{
    printf("%-10s %9s %12s %11s %7s %9s %7s  %s\n", "SERVICE", "PID", "UP", "CONNECTIONS", "MSG/S", "MEMORY", "CPU", "QUEUE");
    for (size_t i = 0; i < s->load_count; i++) {
        const struct cli_load_row *r = &s->loads[i];
        char up[32], memory[32];
        printf("%-10s %9" PRIu64 " %12s %11" PRIu64 " %7" PRIu64 " %9s %5.1f %%  %u\n", r->service, r->pid,
               cli_ago(now_ms > r->started_at ? now_ms - r->started_at : 0, up, sizeof up), r->connections, r->messages_per_s,
               cli_bytes(r->memory_bytes, memory, sizeof memory), (double)r->cpu_permille / 10, r->queue);
    }
    for (size_t i = 0; i < s->proc_count; i++) { /* what does not publish its load */
        const struct pgn_proc *p = &s->procs[i];
        if (strcmp(p->name, "nats") != 0 && strcmp(p->name, "redis") != 0 && strcmp(p->name, "nginx") != 0)
            continue;
        char memory[32];
        printf("%-10s %9ld %12s %11s %7s %9s\n", p->name, (long)p->pid, "", "", "", cli_bytes(p->memory_bytes, memory, sizeof memory));
    }
}

static void put_text(const struct cli_status *s, uint64_t now_ms)
{
    char a[32], b[32], when[32];
    put_services(s, now_ms);
    if (s->proc_count)
        printf("\nMemory of all processes: %s\n", cli_bytes(all_memory(s), a, sizeof a));
    if (s->store) {
        const Pigeon__StoreStats *t = s->store;
        printf("Store: %" PRIu64 " users, %" PRIu64 " conversations, %" PRIu64 " messages, %" PRIu64 " sessions; %s, %s free on disk\n",
               t->users, t->convs, t->messages, t->sessions, cli_bytes(t->bytes, a, sizeof a), cli_bytes(t->disk_free, b, sizeof b));
        printf("Last backup: %s\n", t->last_backup_at ? cli_time(t->last_backup_at, when, sizeof when) : "none");
    }
    puts("");
    for (size_t i = 0; i < s->problem_count; i++)
        printf("! %s\n", s->problems[i]);
    if (!s->problem_count)
        puts("No problems.");
}

int cli_status(struct cli *c)
{
    static struct cli_status s = {.lock = PTHREAD_MUTEX_INITIALIZER};
    int code = cli_connect(c);
    if (code)
        return code;
    struct pgn_rpc_problem problem = {0};
    uint64_t until = pgn_mono_ms() + LISTEN_MS;
    int e = pgn_bus_sync_follow(c->bus, PGN_SUBJ_LOAD, on_load, &s);
    if (e)
        return cli_fail_read(c, e, &problem, "cannot listen to the services");
    Pigeon__AdminRequest request = PIGEON__ADMIN_REQUEST__INIT;
    Pigeon__Nothing nothing = PIGEON__NOTHING__INIT;
    Pigeon__Reply *reply = NULL;
    request.what_case = PIGEON__ADMIN_REQUEST__WHAT_STATS;
    request.stats = &nothing;
    if (!pgn_storage_admin_sync(c->bus, &request, LISTEN_MS, c->arena, &reply, &problem) &&
        reply->payload_case == PIGEON__REPLY__PAYLOAD_STATS)
        s.store = reply->stats;
    s.proc_count = pgn_proc_list(c->config->node_data, s.procs, CLI_PROCS_MAX);
    uint64_t now = pgn_mono_ms();
    if (now < until)
        nanosleep(&(struct timespec){.tv_sec = (long)(until - now) / 1000, .tv_nsec = (long)(until - now) % 1000 * 1000000}, NULL);
    pgn_bus_sync_free(&c->bus); /* no callback from here on */
    qsort(s.loads, s.load_count, sizeof s.loads[0], by_service);
    cli_status_judge(c, &s, pgn_wall_ms());
    if (c->json)
        put_json(&s);
    else
        put_text(&s, pgn_wall_ms());
    if (!s.load_count)
        return CLI_DOWN;
    return s.problem_count ? CLI_FAILED : CLI_OK;
}
