/* The whole service in a child process, with a real nats-server and redis-server; the test plays gateway and storage. */
#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/base/id.h"
#include "common/kv/kv.h"
#include "common/proto/load.h"
#include "common/proto/presence_client.h"
#include "common/proto/rpc.h"
#include "common/proto/subjects.h"
#include "services/presence/presence.h"
#include "services/presence/prs_metrics.h"
#include "tests/unit/support/daemon.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define PASSWORD "a-password-of-the-test"

struct world {
    struct daemon nats, redis;
    char dir[64];
    pid_t child;
    struct pgn_loop *loop;
    struct pgn_bus *bus;
    struct pgn_kv *kv;
    uint64_t number;
    int asks, loads, announced, seens, gets, answers;
    Pigeon__State state;
    char text[64];
    uint64_t seen_at;
    char seen_text[64];
    /* the last query's answer */
    int error;
    Pigeon__State rows[4];
    uint64_t row_seen[4];
    int want;
};

static void write_file(const char *dir, const char *name, mode_t mode, const char *text)
{
    char path[192];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    assert_int_equal(chmod(path, mode), 0);
}

static int64_t any_port(const struct pgn_config *config)
{
    (void)config;
    return 0;
}

/* nats.c's threads do not survive a fork: the child is this program anew. */
static void start_service(struct world *w)
{
    char config[128];
    snprintf(config, sizeof(config), "%s/pigeon.yaml", w->dir);
    w->child = fork();
    assert_true(w->child >= 0);
    if (w->child > 0)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execl("/proc/self/exe", "pigeon-presence", "--config", config, NULL);
    _exit(97);
}

static int run_service(int argc, char **argv)
{
    static const struct pgn_svc_ops ops = {
        .name = "presence",
        .admin_port = any_port,
        .metrics = prs_metrics,
        .metrics_count = PRS_METRICS,
        .init = prs_init,
        .drain = prs_drain,
        .fini = prs_fini,
        .load = prs_load,
        .publish_load = pgn_load_publish,
        .bus_event = prs_bus_event,
    };
    return pgn_svc_main(argc, argv, &ops);
}

static void on_event(void *ctx, enum pgn_bus_event event)
{
    (void)ctx;
    (void)event;
}

static void on_ask(void *ctx, const struct pgn_bus_msg *msg)
{
    (void)msg;
    struct world *w = ctx;
    w->asks++;
}

static void on_load(void *ctx, const struct pgn_bus_msg *msg)
{
    struct world *w = ctx;
    struct pgn_arena *arena = pgn_arena_new(4096);
    Pigeon__NodeLoad *load = PGN_PB_UNPACK(Pigeon__NodeLoad, pigeon__node_load, arena, msg->data, msg->len);
    assert_non_null(load);
    assert_string_equal(load->service, "presence");
    assert_true(load->memory_bytes > 0);
    w->loads++;
    pgn_arena_free(&arena);
}

static void on_presence(void *ctx, const struct pgn_bus_msg *msg)
{
    struct world *w = ctx;
    struct pgn_arena *arena = pgn_arena_new(4096);
    Pigeon__Events *events = PGN_PB_UNPACK(Pigeon__Events, pigeon__events, arena, msg->data, msg->len);
    assert_non_null(events);
    assert_int_equal(events->n_events, 1);
    w->state = events->events[0]->presence->state;
    snprintf(w->text, sizeof(w->text), "%s", events->events[0]->presence->text);
    w->announced++;
    pgn_arena_free(&arena);
}

static void reply(struct world *w, const struct pgn_bus_msg *msg, const Pigeon__Reply *m)
{
    struct pgn_buf out = {0};
    pgn_pb_pack(m, &out);
    assert_int_equal(pgn_bus_publish(w->bus, msg->reply, NULL, out.data, out.len), 0);
    pgn_buf_release(&out);
}

static void on_storage(void *ctx, const struct pgn_bus_msg *msg)
{
    struct world *w = ctx;
    struct pgn_arena *arena = pgn_arena_new(4096);
    Pigeon__DirRequest *r = PGN_PB_UNPACK(Pigeon__DirRequest, pigeon__dir_request, arena, msg->data, msg->len);
    assert_non_null(r);
    Pigeon__Reply m = PIGEON__REPLY__INIT;
    Pigeon__UserList list = PIGEON__USER_LIST__INIT;
    Pigeon__User bob = PIGEON__USER__INIT, *users[] = {&bob};
    char name[] = "bob";
    if (r->what_case == PIGEON__DIR_REQUEST__WHAT_USERS_GET) {
        w->gets++;
        bob.user = name;
        bob.last_seen = 4711;
        list.users = users;
        list.n_users = 1;
        m.payload_case = PIGEON__REPLY__PAYLOAD_USERS;
        m.users = &list;
    } else {
        assert_int_equal(r->what_case, PIGEON__DIR_REQUEST__WHAT_SEEN);
        w->seens++;
        for (size_t i = 0; i < r->seen->n_users; i++) {
            assert_string_equal(r->seen->users[i]->user, "alice");
            if (r->seen->users[i]->last_seen)
                w->seen_at = r->seen->users[i]->last_seen;
            if (r->seen->users[i]->status_state)
                snprintf(w->seen_text, sizeof(w->seen_text), "%s", r->seen->users[i]->status_text);
        }
    }
    reply(w, msg, &m);
    pgn_arena_free(&arena);
}

static void report(struct world *w, bool up)
{
    Pigeon__PresenceEvents m = PIGEON__PRESENCE_EVENTS__INIT;
    Pigeon__PresenceEvent e = PIGEON__PRESENCE_EVENT__INIT, *list[] = {&e};
    char gateway[] = "gw1", user[] = "alice", device[] = "web";
    m.gateway = gateway;
    m.number = ++w->number;
    e.user = user;
    e.device = device;
    e.up = up;
    m.events = list;
    m.n_events = 1;
    struct pgn_buf out = {0};
    pgn_pb_pack(&m, &out);
    assert_int_equal(pgn_bus_publish(w->bus, PGN_SUBJ_PRS_EVENTS, NULL, out.data, out.len), 0);
    pgn_buf_release(&out);
}

static void turn(void *ctx)
{
    struct world *w = ctx;
    pgn_loop_turn(w->loop, 10);
}

#define CONDITION(name, what)                                                                                                              \
    static bool name(void *ctx)                                                                                                            \
    {                                                                                                                                      \
        struct world *w = ctx;                                                                                                             \
        return what;                                                                                                                       \
    }
CONDITION(connected, pgn_bus_connected(w->bus))
CONDITION(asked, w->asks >= w->want)
CONDITION(announced, w->announced >= w->want)
CONDITION(answered, w->answers >= w->want)
CONDITION(loaded, w->loads >= w->want)

static void until(struct world *w, bool (*cond)(void *ctx), int want)
{
    w->want = want;
    assert_true(wait_for(cond, turn, w));
}

static bool mirrored(void *ctx)
{
    struct world *w = ctx;
    char key[32];
    snprintf(key, sizeof(key), "prs:piece:%u", pgn_partition(pgn_hash("alice", 5), 256));
    struct pgn_buf value = {0};
    /* with the status: a piece written before it was set holds the user as online */
    bool there = pgn_kv_get(w->kv, key, &value) == 0 && memmem(value.data, value.len, "in class", strlen("in class")) != NULL;
    pgn_buf_release(&value);
    return there;
}

static void on_query(void *ctx, const struct pgn_rpc_result *result)
{
    struct world *w = ctx;
    w->error = result->error;
    w->answers++;
    for (size_t i = 0; !result->error && i < result->reply->presence->n_presence && i < 4; i++) {
        w->rows[i] = result->reply->presence->presence[i]->state;
        w->row_seen[i] = result->reply->presence->presence[i]->last_seen;
    }
}

static void query(struct world *w)
{
    char a[] = "alice", b[] = "bob", c[] = "nobody", *users[] = {a, b, c};
    pgn_presence_query(w->bus, users, 3, 5000, NULL, on_query, w);
    until(w, answered, w->answers + 1);
    assert_int_equal(w->error, 0);
}

static void on_status(void *ctx, const struct pgn_rpc_result *result)
{
    struct world *w = ctx;
    w->error = result->error;
    w->answers++;
}

static int setup(void **state)
{
    struct world *w = pgn_calloc(1, sizeof(*w));
    *state = w;
    daemon_nats(&w->nats, 0, "presence", PASSWORD);
    daemon_redis(&w->redis, 0, "presence", PASSWORD);
    snprintf(w->dir, sizeof(w->dir), "%s/pigeon-test-XXXXXX", "/tmp");
    assert_non_null(mkdtemp(w->dir));
    char text[512];
    snprintf(
        text, sizeof(text),
        "node:\n  data: %s\n  secrets: %s\nbus:\n  url: %s\ncache:\n  port: %u\npresence:\n  linger_ms: 100\n  gateway_timeout_ms: 60000\n"
        "log:\n  level: warn\n",
        w->dir, w->dir, w->nats.url, (unsigned)w->redis.port);
    write_file(w->dir, "pigeon.yaml", 0644, text);
    write_file(w->dir, "nats-presence", 0600, PASSWORD "\n");
    write_file(w->dir, "redis-presence", 0600, PASSWORD "\n");
    return 0;
}

static void connect_bus(struct world *w)
{
    w->loop = pgn_loop_new();
    w->kv = pgn_kv_new("127.0.0.1", w->redis.port, "presence", PASSWORD, 1000);
    struct pgn_bus_options options = {.url = w->nats.url,
                                      .name = "test",
                                      .user = "presence",
                                      .password = PASSWORD,
                                      .pending_bytes = 1 << 20,
                                      .on_event = on_event,
                                      .ctx = w};
    assert_int_equal(pgn_bus_new(w->loop, &options, &w->bus), 0);
    until(w, connected, 0);
    struct pgn_bus_sub *sub;
    assert_int_equal(pgn_bus_subscribe(w->bus, PGN_SUBJ_GW_ALL, NULL, on_ask, w, &sub), 0);
    assert_int_equal(pgn_bus_subscribe(w->bus, PGN_SUBJ_STO_SEEN, NULL, on_storage, w, &sub), 0);
    assert_int_equal(pgn_bus_subscribe(w->bus, PGN_SUBJ_PRESENCE "alice", NULL, on_presence, w, &sub), 0);
    assert_int_equal(pgn_bus_subscribe(w->bus, PGN_SUBJ_LOAD, NULL, on_load, w, &sub), 0);
}

static void stop_service(struct world *w, int signal, int code)
{
    kill(w->child, signal);
    int status;
    while (waitpid(w->child, &status, WNOHANG) == 0)
        turn(w);
    w->child = 0;
    if (signal == SIGTERM) {
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), code);
    }
}

static int teardown(void **state)
{
    struct world *w = *state;
    if (w->child > 0)
        stop_service(w, SIGKILL, 0);
    pgn_bus_free(&w->bus);
    pgn_kv_free(&w->kv);
    pgn_loop_free(&w->loop);
    daemon_stop(&w->nats);
    daemon_stop(&w->redis);
    for (const char *const *name = (const char *const[]){"pigeon.yaml", "nats-presence", "redis-presence", NULL}; *name; name++) {
        char path[192];
        snprintf(path, sizeof(path), "%s/%s", w->dir, *name);
        unlink(path);
    }
    rmdir(w->dir);
    free(w);
    return 0;
}

static void test_service(void **state)
{
    struct world *w = *state;
    start_service(w);
    connect_bus(w);
    until(w, loaded, 1); /* it lives */
    report(w, true);
    until(w, announced, 1);
    assert_int_equal(w->state, PIGEON__STATE__online);
    query(w);
    assert_int_equal(w->rows[0], PIGEON__STATE__online);
    assert_int_equal(w->rows[1], PIGEON__STATE__offline);
    assert_int_equal(w->row_seen[1], 4711);
    assert_int_equal(w->rows[2], PIGEON__STATE__offline);
    assert_int_equal(w->row_seen[2], 0);
    int gets = w->gets;
    query(w);
    assert_int_equal(w->gets, gets); /* from memory */

    Pigeon__Status status = PIGEON__STATUS__INIT;
    char text[] = "in class";
    status.text = text;
    status.state = PIGEON__STATE__busy;
    pgn_presence_set_status(w->bus, "alice", &status, 5000, on_status, w);
    until(w, answered, w->answers + 1);
    assert_int_equal(w->error, 0);
    until(w, announced, 2);
    assert_int_equal(w->state, PIGEON__STATE__busy);
    assert_string_equal(w->text, "in class");
    assert_true(wait_for(mirrored, turn, w));

    /* Killed and started again: Redis tells, before any gateway has. */
    stop_service(w, SIGKILL, 0);
    start_service(w);
    until(w, asked, w->asks + 1);
    query(w);
    assert_int_equal(w->rows[0], PIGEON__STATE__busy);
    stop_service(w, SIGTERM, 0);

    /* Without Redis; what storage is to know is written before the end. */
    daemon_stop(&w->redis);
    start_service(w);
    until(w, asked, w->asks + 1);
    int before = w->announced;
    report(w, true);
    until(w, announced, before + 1);
    pgn_presence_set_status(w->bus, "alice", &status, 5000, on_status, w);
    uint64_t from = pgn_wall_ms();
    report(w, false);
    query(w); /* behind the report; on a busy machine this takes seconds */
    stop_service(w, SIGTERM, 0);
    assert_in_range(w->seen_at, from, pgn_wall_ms());
    assert_string_equal(w->seen_text, "in class");
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return run_service(argc, argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_service, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
