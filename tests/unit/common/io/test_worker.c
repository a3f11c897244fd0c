#include "tests/unit/common/test.h"

#include "common/base/error.h"
#include "common/io/worker.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>

enum { JOBS = 500 };

struct task {
    struct pgn_job job;
    int number;
    bool ran;
    int done;
};

static struct pgn_loop *loop;
static struct pgn_workers *pool;
static pthread_t loop_thread;
static struct task tasks[JOBS];
static int done_count, started_order[JOBS];
static atomic_int started;
static sem_t gate;
static char seen_name[16];
static bool signals_blocked;

static void run(struct pgn_job *job)
{
    struct task *t = PGN_CONTAINER(job, struct task, job);
    sigset_t blocked;

    started_order[atomic_fetch_add(&started, 1)] = t->number;
    assert_false(pthread_equal(pthread_self(), loop_thread));
    if (t->number == 0) {
        pthread_getname_np(pthread_self(), seen_name, sizeof(seen_name));
        pthread_sigmask(SIG_SETMASK, NULL, &blocked);
        signals_blocked = sigismember(&blocked, SIGTERM) == 1;
    }
    t->ran = true;
}

static void run_at_gate(struct pgn_job *job)
{
    (void)job;
    sem_wait(&gate);
}

static void done(struct pgn_job *job)
{
    struct task *t = PGN_CONTAINER(job, struct task, job);

    assert_true(pthread_equal(pthread_self(), loop_thread));
    assert_true(t->ran || job->run == run_at_gate);
    t->done++;
    done_count++;
    if (done_count == JOBS)
        pgn_loop_stop(loop);
}

static int setup(void **state)
{
    (void)state;
    loop = pgn_loop_new();
    loop_thread = pthread_self();
    done_count = 0;
    atomic_store(&started, 0);
    memset(tasks, 0, sizeof(tasks));
    for (int i = 0; i < JOBS; i++)
        tasks[i] = (struct task){.job = {.run = run, .done = done}, .number = i};
    sem_init(&gate, 0, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    pgn_loop_free(&loop);
    sem_destroy(&gate);
    return 0;
}

static void each_is_done_once_on_the_loop(void **state)
{
    (void)state;
    pool = pgn_workers_new(loop, "pgn-test", 3, JOBS);
    for (int i = 0; i < JOBS; i++)
        assert_int_equal(pgn_workers_submit(pool, &tasks[i].job), 0);
    assert_int_equal(done_count, 0); /* never before the loop turns */
    pgn_loop_run(loop);
    for (int i = 0; i < JOBS; i++)
        assert_int_equal(tasks[i].done, 1);
    assert_string_equal(seen_name, "pgn-test");
    assert_true(signals_blocked);
    pgn_workers_free(&pool);
    assert_null(pool);
}

static void one_thread_keeps_the_order(void **state)
{
    (void)state;
    pool = pgn_workers_new(loop, "one", 1, JOBS);
    for (int i = 0; i < JOBS; i++)
        assert_int_equal(pgn_workers_submit(pool, &tasks[i].job), 0);
    pgn_loop_run(loop);
    for (int i = 0; i < JOBS; i++)
        assert_int_equal(started_order[i], i);
    pgn_workers_free(&pool);
}

static void at_most_limit_wait(void **state)
{
    (void)state;
    pool = pgn_workers_new(loop, "full", 1, 2);
    tasks[0].job.run = run_at_gate;
    assert_int_equal(pgn_workers_submit(pool, &tasks[0].job), 0);
    while (pgn_workers_waiting(pool)) /* until it runs and stands at the gate */
        sched_yield();
    assert_int_equal(pgn_workers_submit(pool, &tasks[1].job), 0);
    assert_int_equal(pgn_workers_submit(pool, &tasks[2].job), 0);
    assert_int_equal(pgn_workers_submit(pool, &tasks[3].job), PGN_E_FULL);
    assert_int_equal(pgn_workers_waiting(pool), 2);
    sem_post(&gate);
    pgn_workers_free(&pool); /* waits for all that were let in */
    assert_int_equal(done_count, 3);
    assert_int_equal(tasks[3].done, 0);
}

#define WORKER_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORKER_TEST(each_is_done_once_on_the_loop),
        WORKER_TEST(one_thread_keeps_the_order),
        WORKER_TEST(at_most_limit_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
