/* Calls between services, against a real nats-server: a loop answers, calls come from the loop and from a thread that blocks. */
#include "common/base/alloc.h"
#include "common/base/error.h"
#include "common/proto/message_client.h"
#include "common/proto/storage_client.h"
#include "common/proto/subjects.h"
#include "tests/unit/common/test.h"
#include "tests/unit/support/daemon.h"

#include <pthread.h>
#include <stdatomic.h>

/* How the answering side behaves: one word for each answer, the last one for ever. */
enum { REFUSE = 1, NONSENSE, SILENT, OTHER_KIND, USER, STALE, SENT };

struct world {
    struct daemon nats;
    struct pgn_loop *loop;
    struct pgn_bus *bus;
    struct pgn_bus_sync *sync;
    struct pgn_arena *arena; /* the calling side's */
    const int *script;
    int asked, done;
    /* What the last call gave. */
    int error;
    char text[256];
    bool had_reply;
    atomic_bool thread_done;
};

static void on_event(void *ctx, enum pgn_bus_event event)
{
    (void)ctx;
    (void)event;
}

static void turn(void *ctx)
{
    struct world *w = ctx;
    pgn_loop_turn(w->loop, 5);
}

static bool connected(void *ctx)
{
    struct world *w = ctx;
    return pgn_bus_connected(w->bus);
}

static int next_word(struct world *w)
{
    int word = *w->script;
    if (w->script[1])
        w->script++;
    w->asked++;
    return word;
}

static void publish(struct world *w, const char *subject, const void *message)
{
    struct pgn_buf out = {0};
    pgn_pb_pack(message, &out);
    assert_int_equal(pgn_bus_publish(w->bus, subject, NULL, out.data, out.len), 0);
    pgn_buf_release(&out);
}

static void on_request(void *ctx, const struct pgn_bus_msg *msg)
{
    struct world *w = ctx;
    int word = next_word(w);
    Pigeon__Reply reply = PIGEON__REPLY__INIT;
    Pigeon__UserList users = PIGEON__USER_LIST__INIT;
    Pigeon__Strings strings = PIGEON__STRINGS__INIT;
    Pigeon__User user = PIGEON__USER__INIT, *list = &user;
    char name[] = "alice";
    struct pgn_buf out = {0};
    if (word == SILENT)
        return;
    if (word == NONSENSE) {
        assert_int_equal(pgn_bus_publish(w->bus, msg->reply, NULL, "\xff\xff", 2), 0);
        return;
    }
    if (word == REFUSE) {
        pgn_rpc_pack_error(&out, PGN_E_FORBIDDEN, "not you", 7);
        assert_int_equal(pgn_bus_publish(w->bus, msg->reply, NULL, out.data, out.len), 0);
        pgn_buf_release(&out);
        return;
    }
    user.user = name;
    users.users = &list;
    users.n_users = 1;
    reply.payload_case = word == OTHER_KIND ? PIGEON__REPLY__PAYLOAD_STRINGS : PIGEON__REPLY__PAYLOAD_USERS;
    if (word == OTHER_KIND)
        reply.strings = &strings;
    else
        reply.users = &users;
    publish(w, msg->reply, &reply);
}

static void on_batch(void *ctx, const struct pgn_bus_msg *msg)
{
    struct world *w = ctx;
    int word = next_word(w);
    Pigeon__BatchResult out = PIGEON__BATCH_RESULT__INIT;
    Pigeon__ItemResult result = PIGEON__ITEM_RESULT__INIT, *list = &result;
    Pigeon__Sent sent = PIGEON__SENT__INIT;
    char text[] = "muted";
    if (word == SILENT)
        return;
    result.index = 1;
    sent.seq = 42;
    if (word == SENT)
        result.sent = &sent;
    result.error = word == STALE ? PGN_E_STALE : word == REFUSE ? PGN_E_FORBIDDEN : 0;
    result.text = text;
    out.results = &list;
    out.n_results = 1;
    publish(w, msg->reply, &out);
}

static int setup(void **state)
{
    struct world *w = pgn_calloc(1, sizeof *w);
    struct pgn_bus_sub *sub;
    daemon_nats(&w->nats, 0, NULL, NULL);
    w->loop = pgn_loop_new();
    w->arena = pgn_arena_new(4096);
    struct pgn_bus_options options = {.url = w->nats.url, .name = "test", .pending_bytes = 1 << 20, .on_event = on_event, .ctx = w};
    assert_int_equal(pgn_bus_new(w->loop, &options, &w->bus), 0);
    assert_true(wait_for(connected, turn, w));
    assert_int_equal(pgn_bus_subscribe(w->bus, PGN_SUBJ_STO_DIR, "q", on_request, w, &sub), 0);
    assert_int_equal(pgn_bus_subscribe(w->bus, PGN_SUBJ_BATCH, "q", on_batch, w, &sub), 0);
    turn(w);
    assert_int_equal(pgn_bus_sync_new(w->nats.url, NULL, "sync", NULL, NULL, 5000, &w->sync), 0);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    pgn_bus_sync_free(&w->sync);
    pgn_bus_free(&w->bus);
    pgn_loop_free(&w->loop);
    pgn_arena_free(&w->arena);
    daemon_stop(&w->nats);
    free(w);
    return 0;
}

/* ---- from the loop ---- */

static void on_done(void *ctx, const struct pgn_rpc_result *r)
{
    struct world *w = ctx;
    w->done++;
    w->error = r->error;
    w->had_reply = r->reply != NULL;
    assert_non_null(r->text);
    snprintf(w->text, sizeof w->text, "%s", r->text);
    assert_true(!r->error == w->had_reply);
    if (r->error == PGN_E_FORBIDDEN)
        assert_int_equal(r->retry_after_ms, 7);
}

static bool is_done(void *ctx)
{
    struct world *w = ctx;
    return w->done > 0;
}

static int call(struct world *w, const char *subject, int word, uint64_t timeout_ms)
{
    Pigeon__DirRequest request = PIGEON__DIR_REQUEST__INIT;
    Pigeon__UserName name = PIGEON__USER_NAME__INIT;
    int script[] = {word, 0};
    w->script = script;
    w->done = 0;
    request.what_case = PIGEON__DIR_REQUEST__WHAT_USER_GET;
    request.user_get = &name;
    pgn_rpc_call(w->bus, subject, &request, timeout_ms, PIGEON__REPLY__PAYLOAD_USERS, NULL, on_done, w);
    assert_int_equal(w->done, 0); /* never before it returns */
    assert_true(wait_for(is_done, turn, w));
    turn(w);
    assert_int_equal(w->done, 1);
    return w->error;
}

static void test_calls_from_the_loop(void **state)
{
    struct world *w = *state;
    assert_int_equal(call(w, PGN_SUBJ_STO_DIR, USER, 5000), 0);
    assert_int_equal(call(w, PGN_SUBJ_STO_DIR, REFUSE, 5000), PGN_E_FORBIDDEN);
    assert_string_equal(w->text, "not you");
    assert_int_equal(call(w, PGN_SUBJ_STO_DIR, NONSENSE, 5000), PGN_E_INTERNAL);
    assert_int_equal(call(w, PGN_SUBJ_STO_DIR, OTHER_KIND, 5000), PGN_E_INTERNAL);
    assert_int_equal(call(w, PGN_SUBJ_STO_DIR, SILENT, 50), PGN_E_TIMEOUT);
    assert_int_equal(call(w, "nobody.here", USER, 5000), PGN_E_NO_RESPONDERS);
}

/* ---- from a thread that blocks ---- */

struct job {
    struct world *w;
    int (*run)(struct job *job);
    const int *script;
    int result;
    uint64_t seq, timeout_ms;
    struct pgn_rpc_problem problem;
    char user[40];
};

static void *job_thread(void *arg)
{
    struct job *job = arg;
    job->result = job->run(job);
    atomic_store(&job->w->thread_done, true);
    return NULL;
}

static bool thread_done(void *ctx)
{
    struct world *w = ctx;
    return atomic_load(&w->thread_done);
}

static int blocking(struct job *job)
{
    struct world *w = job->w;
    pthread_t thread;
    w->script = job->script;
    w->asked = 0;
    atomic_store(&w->thread_done, false);
    assert_int_equal(pthread_create(&thread, NULL, job_thread, job), 0);
    assert_true(wait_for(thread_done, turn, w));
    pthread_join(thread, NULL);
    return job->result;
}

static int get_user(struct job *job)
{
    Pigeon__User *user = NULL;
    int e = pgn_storage_user_get(job->w->sync, "alice", job->w->arena, &user, &job->problem);
    if (!e)
        snprintf(job->user, sizeof job->user, "%s", user->user);
    return e;
}

static void test_blocking_calls(void **state)
{
    struct job job = {.w = *state, .run = get_user, .script = (const int[]){USER, 0}};
    assert_int_equal(blocking(&job), 0);
    assert_string_equal(job.user, "alice");
    job.script = (const int[]){REFUSE, 0};
    assert_int_equal(blocking(&job), PGN_E_FORBIDDEN);
    assert_string_equal(job.problem.text, "not you");
    assert_int_equal(job.problem.retry_after_ms, 7);
    job.script = (const int[]){OTHER_KIND, 0};
    assert_int_equal(blocking(&job), PGN_E_INTERNAL);
}

static int ask_nobody(struct job *job)
{
    Pigeon__AdminRequest request = PIGEON__ADMIN_REQUEST__INIT;
    Pigeon__Reply *reply;
    return pgn_storage_admin_sync(job->w->sync, &request, 200, job->w->arena, &reply, &job->problem);
}

static void test_nobody_answers(void **state)
{
    struct job job = {.w = *state, .run = ask_nobody, .script = (const int[]){USER, 0}};
    assert_int_equal(blocking(&job), PGN_E_NO_RESPONDERS);
    assert_true(strlen(job.problem.text) > 5);
}

static int send_item(struct job *job)
{
    Pigeon__BatchItem item = PIGEON__BATCH_ITEM__INIT;
    Pigeon__ItemResult *result = NULL;
    int e = pgn_message_item_sync(job->w->sync, &item, job->timeout_ms, job->w->arena, &result, &job->problem);
    if (!e)
        job->seq = result->sent->seq;
    return e;
}

static void test_items_are_asked_for_again(void **state)
{
    struct job job = {.w = *state, .run = send_item, .script = (const int[]){SENT, 0}, .timeout_ms = 8000};
    assert_int_equal(blocking(&job), 0);
    assert_int_equal(job.seq, 42);
    job.script = (const int[]){STALE, STALE, SENT, 0};
    assert_int_equal(blocking(&job), 0);
    assert_int_equal(job.w->asked, 3);
    job.script = (const int[]){REFUSE, 0};
    assert_int_equal(blocking(&job), PGN_E_FORBIDDEN);
    assert_string_equal(job.problem.text, "muted");
}

static void test_doubt_stays_doubt(void **state)
{
    struct job job = {.w = *state, .run = send_item, .script = (const int[]){SILENT, 0}, .timeout_ms = 100};
    assert_int_equal(blocking(&job), PGN_E_UNCERTAIN);
    job.timeout_ms = 6000;
    job.script = (const int[]){SILENT, REFUSE, 0}; /* the refusal says nothing about the first try */
    assert_int_equal(blocking(&job), PGN_E_UNCERTAIN);
    job.script = (const int[]){SILENT, SENT, 0};
    assert_int_equal(blocking(&job), 0);
    job.timeout_ms = 150;
    job.script = (const int[]){STALE, 0}; /* never taken: no doubt */
    assert_int_equal(blocking(&job), PGN_E_UNAVAILABLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls_from_the_loop),       cmocka_unit_test(test_blocking_calls),    cmocka_unit_test(test_nobody_answers),
        cmocka_unit_test(test_items_are_asked_for_again), cmocka_unit_test(test_doubt_stays_doubt),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
