/* The bus against a real nats-server. */
#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/bus/bus.h"
#include "common/bus/bus_sync.h"
#include "tests/unit/support/daemon.h"

#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct world {
    struct daemon nats;
    struct pgn_loop *loop;
    struct pgn_bus *a, *b;
    int connects, losts, got, answers, last_error;
    int want; /* for conditions */
    char last[256], last_subject[128];
    struct pgn_bus *answerer;
    bool in_order;
    int door, line; /* of a server that says nothing */
};

static void on_event(void *ctx, enum pgn_bus_event event)
{
    struct world *w = ctx;
    w->connects += event == PGN_BUS_CONNECTED;
    w->losts += event == PGN_BUS_LOST;
}

static struct pgn_bus *open_bus(struct world *w, const char *user, const char *password, size_t pending)
{
    struct pgn_bus_options options = {
        .url = w->nats.url, .name = "test", .user = user, .password = password, .pending_bytes = pending, .on_event = on_event, .ctx = w};
    struct pgn_bus *bus = NULL;
    assert_int_equal(pgn_bus_new(w->loop, &options, &bus), 0);
    return bus;
}

static void turn(void *ctx)
{
    struct world *w = ctx;
    pgn_loop_turn(w->loop, 10);
}

static bool both_connected(void *ctx)
{
    struct world *w = ctx;
    return pgn_bus_connected(w->a) && pgn_bus_connected(w->b);
}

static bool got_want(void *ctx)
{
    struct world *w = ctx;
    return w->got >= w->want;
}

static bool answered_want(void *ctx)
{
    struct world *w = ctx;
    return w->answers >= w->want;
}

static bool connected_want(void *ctx)
{
    struct world *w = ctx;
    return w->connects >= w->want && both_connected(ctx);
}

static void until(struct world *w, bool (*cond)(void *ctx), int want)
{
    w->want = want;
    assert_true(wait_for(cond, turn, w));
}

static int setup(void **state)
{
    struct world *w = pgn_calloc(1, sizeof(*w));
    daemon_nats(&w->nats, 0, NULL, NULL);
    w->loop = pgn_loop_new();
    w->a = open_bus(w, NULL, NULL, 64 << 20);
    w->b = open_bus(w, NULL, NULL, 64 << 20);
    *state = w;
    return wait_for(both_connected, turn, w) ? 0 : -1;
}

static int teardown(void **state)
{
    struct world *w = *state;
    pgn_bus_free(&w->a);
    pgn_bus_free(&w->b);
    pgn_loop_free(&w->loop);
    daemon_stop(&w->nats);
    free(w);
    return 0;
}

static void on_msg(void *ctx, const struct pgn_bus_msg *msg)
{
    struct world *w = ctx;
    w->got++;
    snprintf(w->last, sizeof(w->last), "%.*s", (int)msg->len, (const char *)msg->data);
    snprintf(w->last_subject, sizeof(w->last_subject), "%s", msg->subject);
}

static void on_answer(void *ctx, int error, const struct pgn_bus_msg *msg)
{
    struct world *w = ctx;
    w->answers++;
    w->last_error = error;
    if (!error)
        snprintf(w->last, sizeof(w->last), "%.*s", (int)msg->len, (const char *)msg->data);
}

static void echo(void *ctx, const struct pgn_bus_msg *msg)
{
    struct world *w = ctx;
    assert_non_null(msg->reply);
    assert_int_equal(pgn_bus_publish(w->b, msg->reply, NULL, msg->data, msg->len), 0);
}

static void swallow(void *ctx, const struct pgn_bus_msg *msg)
{
    (void)msg;
    struct world *w = ctx;
    w->got++;
}

/* A subscription has reached the server when a message through its own connection has come back. */
static void settle(struct world *w, struct pgn_bus *bus)
{
    char subject[128];
    snprintf(subject, sizeof(subject), "%s.settle", pgn_bus_inbox(bus));
    struct pgn_bus_sub *sub;
    assert_int_equal(pgn_bus_subscribe(bus, subject, NULL, swallow, w, &sub), 0);
    int before = w->got;
    assert_int_equal(pgn_bus_publish(bus, subject, NULL, NULL, 0), 0);
    until(w, got_want, before + 1);
    w->got = before;
    pgn_bus_unsubscribe(&sub);
}

static void test_publish(void **state)
{
    struct world *w = *state;
    struct pgn_bus_sub *sub;
    assert_int_equal(pgn_bus_subscribe(w->b, "user.*", NULL, on_msg, w, &sub), 0);
    settle(w, w->b);
    assert_int_equal(pgn_bus_publish(w->a, "user.alice", NULL, "hello", 5), 0);
    until(w, got_want, 1);
    assert_string_equal(w->last, "hello");
    assert_string_equal(w->last_subject, "user.alice");
    assert_true(pgn_bus_max_payload(w->a) > 1000);
    assert_int_equal(pgn_bus_publish(w->a, "a b", NULL, "", 0), PGN_E_INVALID);
    assert_int_equal(pgn_bus_publish(w->a, "a\r\nPUB x 0", NULL, "", 0), PGN_E_INVALID);
    assert_int_equal(pgn_bus_publish(w->a, "", NULL, "", 0), PGN_E_INVALID);
    char *large = pgn_calloc(1, 2 << 20);
    assert_int_equal(pgn_bus_publish(w->a, "user.x", NULL, large, 2 << 20), PGN_E_TOO_LARGE);
    free(large);
    pgn_bus_unsubscribe(&sub);
    assert_null(sub);
}

static void on_numbered(void *ctx, const struct pgn_bus_msg *msg)
{
    struct world *w = ctx;
    int number;
    assert_int_equal(msg->len, 1024);
    memcpy(&number, msg->data, sizeof(number));
    w->in_order = w->in_order && number == w->got;
    w->got++;
}

/* More than a socket buffer takes at once: the rest follows when it can be written; the order holds. */
static void test_much(void **state)
{
    struct world *w = *state;
    enum { COUNT = 20000 };
    struct pgn_bus_sub *sub;
    assert_int_equal(pgn_bus_subscribe(w->b, "much", NULL, on_numbered, w, &sub), 0);
    settle(w, w->b);
    w->in_order = true;
    char data[1024] = {0};
    for (int i = 0; i < COUNT; i++) {
        memcpy(data, &i, sizeof(i));
        assert_int_equal(pgn_bus_publish(w->a, "much", NULL, data, sizeof(data)), 0);
    }
    until(w, got_want, COUNT);
    assert_true(w->in_order);
    pgn_bus_unsubscribe(&sub);
}

static void test_unsubscribe(void **state)
{
    struct world *w = *state;
    struct pgn_bus_sub *sub;
    assert_int_equal(pgn_bus_subscribe(w->b, "gone", NULL, on_msg, w, &sub), 0);
    settle(w, w->b);
    for (int i = 0; i < 100; i++)
        assert_int_equal(pgn_bus_publish(w->b, "gone", NULL, "x", 1), 0);
    until(w, got_want, 1);
    int before = w->got;
    pgn_bus_unsubscribe(&sub);
    settle(w, w->b);
    assert_int_equal(w->got, before);
    /* Many come and go. */
    enum { COUNT = 5000 };
    struct pgn_bus_sub **subs = pgn_calloc(COUNT, sizeof(struct pgn_bus_sub *));
    for (int i = 0; i < COUNT; i++) {
        char subject[32];
        snprintf(subject, sizeof(subject), "user.u%d", i);
        assert_int_equal(pgn_bus_subscribe(w->b, subject, NULL, on_msg, w, &subs[i]), 0);
    }
    settle(w, w->b);
    w->got = 0;
    for (int i = 0; i < COUNT; i++) {
        char subject[32];
        snprintf(subject, sizeof(subject), "user.u%d", i);
        assert_int_equal(pgn_bus_publish(w->a, subject, NULL, "x", 1), 0);
    }
    until(w, got_want, COUNT);
    for (int i = 0; i < COUNT; i += 2)
        pgn_bus_unsubscribe(&subs[i]);
    free(subs); /* the other half ends with the bus */
}

static void test_request(void **state)
{
    struct world *w = *state;
    struct pgn_bus_sub *sub, *silent;
    assert_int_equal(pgn_bus_subscribe(w->b, "echo", "svc", echo, w, &sub), 0);
    assert_int_equal(pgn_bus_subscribe(w->b, "silent", NULL, swallow, w, &silent), 0);
    settle(w, w->b);
    pgn_bus_request(w->a, "echo", "ping", 4, 5000, on_answer, w);
    assert_int_equal(w->answers, 0);
    until(w, answered_want, 1);
    assert_int_equal(w->last_error, 0);
    assert_string_equal(w->last, "ping");
    pgn_bus_request(w->a, "nobody", "ping", 4, 5000, on_answer, w);
    until(w, answered_want, 2);
    assert_int_equal(w->last_error, PGN_E_NO_RESPONDERS);
    pgn_bus_request(w->a, "silent", "ping", 4, 20, on_answer, w);
    until(w, answered_want, 3);
    assert_int_equal(w->last_error, PGN_E_TIMEOUT);
    for (int i = 0; i < 1000; i++)
        pgn_bus_request(w->a, "echo", "many", 4, 5000, on_answer, w);
    until(w, answered_want, 1003);
    assert_int_equal(w->last_error, 0);
    pgn_bus_request(w->a, "echo", "x", 1, 5000, on_answer, w);
    pgn_bus_forget(w->a, w);
    settle(w, w->a);
    assert_int_equal(w->answers, 1003);
    pgn_bus_request(w->a, "silent", "x", 1, 60000, on_answer, w);
    pgn_bus_free(&w->a);
    assert_int_equal(w->answers, 1004);
    assert_int_equal(w->last_error, PGN_E_UNAVAILABLE);
}

static void test_reconnect(void **state)
{
    struct world *w = *state;
    struct pgn_bus_sub *sub;
    assert_int_equal(pgn_bus_subscribe(w->b, "user.*", NULL, on_msg, w, &sub), 0);
    settle(w, w->b);
    uint16_t port = w->nats.port;
    int connects = w->connects;
    daemon_stop(&w->nats);
    daemon_nats(&w->nats, port, NULL, NULL);
    until(w, connected_want, connects + 2);
    settle(w, w->b);
    settle(w, w->a);
    w->got = 0;
    assert_int_equal(pgn_bus_publish(w->a, "user.bob", NULL, "again", 5), 0);
    until(w, got_want, 1);
    assert_string_equal(w->last, "again");
}

static bool disconnected(void *ctx)
{
    struct world *w = ctx;
    return !pgn_bus_connected(w->a) && !pgn_bus_connected(w->b);
}

static void test_away(void **state)
{
    struct world *w = *state;
    uint16_t port = w->nats.port;
    daemon_stop(&w->nats);
    assert_true(wait_for(disconnected, turn, w));
    pgn_bus_request(w->a, "echo", "x", 1, 60000, on_answer, w);
    until(w, answered_want, 1);
    assert_int_equal(w->last_error, PGN_E_UNAVAILABLE);
    /* A bus that starts while NATS is away, and is freed so. */
    int connects = w->connects;
    struct pgn_bus *early = open_bus(w, NULL, NULL, 1 << 20), *never = open_bus(w, NULL, NULL, 1 << 20);
    struct pgn_bus_sub *sub;
    assert_int_equal(pgn_bus_subscribe(early, "early", NULL, on_msg, w, &sub), 0);
    assert_false(pgn_bus_connected(early));
    assert_int_equal(pgn_bus_max_payload(early), 0);
    pgn_bus_free(&never);
    daemon_nats(&w->nats, port, NULL, NULL);
    until(w, connected_want, connects + 3);
    settle(w, early);
    assert_int_equal(pgn_bus_publish(w->a, "early", NULL, "bird", 4), 0);
    until(w, got_want, 1);
    pgn_bus_free(&early);
}

static bool b_away(void *ctx)
{
    struct world *w = ctx;
    return !pgn_bus_connected(w->b);
}

static bool b_back(void *ctx)
{
    return !b_away(ctx);
}

static bool dialled(void *ctx)
{
    struct world *w = ctx;
    w->line = accept4(w->door, NULL, NULL, SOCK_CLOEXEC);
    return w->line >= 0;
}

/* A server that takes connections and says nothing; where NATS was. */
static void open_door(struct world *w, uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int one = 1;
    w->door = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(w->door >= 0);
    assert_int_equal(setsockopt(w->door, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), 0);
    assert_int_equal(bind(w->door, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(w->door, 8), 0);
}

/* While nats.c waits for a server's first word it holds its lock: the loop does not wait with it. It is told when it is connected. */
static void test_left(void **state)
{
    struct world *w = *state;
    struct pgn_bus_sub *silent, *last;
    uint16_t port = w->nats.port;
    pgn_bus_free(&w->a);
    assert_int_equal(pgn_bus_subscribe(w->b, "silent", NULL, swallow, w, &silent), 0);
    assert_int_equal(pgn_bus_subscribe(w->b, "last", NULL, swallow, w, &last), 0);
    settle(w, w->b);
    daemon_stop(&w->nats);
    assert_true(wait_for(b_away, turn, w));
    open_door(w, port);
    assert_true(wait_for(dialled, turn, w));
    uint64_t before_ms = pgn_mono_ms();
    pgn_bus_unsubscribe(&silent);
    assert_true(pgn_mono_ms() - before_ms < 1000); /* of the 2000 that nats.c waits */
    assert_null(silent);
    close(w->line);
    close(w->door);
    daemon_nats(&w->nats, port, NULL, NULL);
    assert_true(wait_for(b_back, turn, w));
    settle(w, w->b);
    pgn_bus_request(w->b, "silent", "x", 1, 5000, on_answer, w);
    until(w, answered_want, 1);
    assert_int_equal(w->last_error, PGN_E_NO_RESPONDERS);
    daemon_stop(&w->nats);
    assert_true(wait_for(b_away, turn, w));
    pgn_bus_unsubscribe(&last); /* and the bus ends before it is connected again */
}

static bool lost(void *ctx)
{
    struct world *w = ctx;
    return w->losts > 0;
}

static void test_lost(void **state)
{
    struct world *w = *state;
    struct pgn_bus *small = open_bus(w, NULL, NULL, 64 << 10);
    struct pgn_bus_sub *sub;
    assert_int_equal(pgn_bus_subscribe(small, "flood", NULL, on_msg, w, &sub), 0);
    settle(w, small);
    char data[4096] = {0};
    for (int i = 0; i < 20000 && !w->losts; i++) {
        assert_int_equal(pgn_bus_publish(w->a, "flood", NULL, data, sizeof(data)), 0);
        if (i % 1000 == 999)
            turn(w);
    }
    assert_true(wait_for(lost, turn, w));
    settle(w, small); /* it lives on */
    pgn_bus_free(&small);
}

static void test_refused(void **state)
{
    struct world *w = *state;
    struct pgn_bus_options options = {.url = "http://?", .name = "x", .pending_bytes = 1 << 20};
    struct pgn_bus *bus = NULL;
    assert_int_equal(pgn_bus_new(w->loop, &options, &bus), PGN_E_INVALID);
    assert_null(bus);
}

/* ---- the blocking one ---- */

static void on_followed(void *ctx, const char *subject, const void *data, size_t len)
{
    (void)subject;
    (void)data;
    atomic_int *count = ctx;
    *count += (int)len;
}

static bool counted(void *ctx)
{
    atomic_int *count = ctx;
    return *count == 5;
}

struct asking {
    struct pgn_bus_sync *sync;
    int error;
    struct pgn_buf reply;
    atomic_bool done;
};

static void *ask(void *ctx)
{
    struct asking *q = ctx;
    q->error = pgn_bus_sync_request(q->sync, "echo", "sync", 4, 5000, &q->reply);
    q->done = true;
    return NULL;
}

static void test_sync(void **state)
{
    struct world *w = *state;
    struct pgn_bus_sub *sub;
    assert_int_equal(pgn_bus_subscribe(w->b, "echo", NULL, echo, w, &sub), 0);
    settle(w, w->b);
    struct asking q = {0};
    assert_int_equal(pgn_bus_sync_new(w->nats.url, NULL, "sync", NULL, NULL, 5000, &q.sync), 0);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, ask, &q), 0);
    while (!q.done)
        turn(w);
    pthread_join(thread, NULL);
    assert_int_equal(q.error, 0);
    assert_string_equal(pgn_buf_cstr(&q.reply), "sync");
    pgn_buf_release(&q.reply);
    assert_int_equal(pgn_bus_sync_request(q.sync, "nobody", "", 0, 1000, &q.reply), PGN_E_NO_RESPONDERS);
    atomic_int count = 0;
    assert_int_equal(pgn_bus_sync_follow(q.sync, "news", on_followed, &count), 0);
    assert_int_equal(pgn_bus_sync_publish(q.sync, "news", "12345", 5), 0);
    assert_true(wait_for(counted, NULL, &count));
    pgn_bus_sync_free(&q.sync);
    assert_int_equal(pgn_bus_sync_new("nats://127.0.0.1:1", NULL, "x", NULL, NULL, 10, &q.sync), PGN_E_UNAVAILABLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_publish, setup, teardown),     cmocka_unit_test_setup_teardown(test_much, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unsubscribe, setup, teardown), cmocka_unit_test_setup_teardown(test_request, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reconnect, setup, teardown),   cmocka_unit_test_setup_teardown(test_away, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lost, setup, teardown),        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sync, setup, teardown),        cmocka_unit_test_setup_teardown(test_left, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
