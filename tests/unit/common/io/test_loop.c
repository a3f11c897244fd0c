#include "tests/unit/common/test.h"

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/io/loop.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PAIRS = 700 };

struct end {
    struct pgn_io io;
    int other, calls;
    uint32_t got;
    bool drain;
};

static struct pgn_loop *loop;
static struct end ends[PAIRS];

static void on_ready(struct pgn_io *io, uint32_t events)
{
    struct end *e = PGN_CONTAINER(io, struct end, io);
    char buffer[64];

    e->calls++;
    e->got |= events;
    if (e->drain && (events & PGN_READ))
        assert_true(read(io->fd, buffer, sizeof(buffer)) >= 0);
}

static void open_pair(struct end *e, uint32_t events)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    *e = (struct end){.io = {.fd = fds[0], .events = events, .on_ready = on_ready}, .other = fds[1], .drain = true};
    assert_int_equal(pgn_io_add(loop, &e->io), 0);
}

static void close_pair(struct end *e)
{
    pgn_io_remove(loop, &e->io);
    close(e->io.fd);
    if (e->other >= 0)
        close(e->other);
}

static int setup(void **state)
{
    (void)state;
    loop = pgn_loop_new();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    pgn_loop_free(&loop);
    assert_null(loop);
    return 0;
}

static void readiness_is_level_triggered(void **state)
{
    struct end *e = &ends[0];

    (void)state;
    open_pair(e, PGN_READ);
    pgn_loop_turn(loop, 0);
    assert_int_equal(e->calls, 0);
    e->drain = false;
    assert_int_equal(write(e->other, "x", 1), 1);
    pgn_loop_turn(loop, 0);
    pgn_loop_turn(loop, 0);
    assert_int_equal(e->calls, 2);
    assert_int_equal(e->got, PGN_READ);
    e->drain = true;
    pgn_loop_turn(loop, 0);
    pgn_loop_turn(loop, 0);
    assert_int_equal(e->calls, 3);
    pgn_io_want(loop, &e->io, PGN_READ | PGN_WRITE);
    pgn_loop_turn(loop, 0);
    assert_int_equal(e->got, PGN_READ | PGN_WRITE);
    assert_int_equal(e->calls, 4);
    close_pair(e);
}

static uint64_t fake_us;
static uint64_t fake_mono_us(void)
{
    return fake_us;
}

static int calls_of_all(void)
{
    int calls = 0;
    for (int i = 0; i < PAIRS; i++)
        calls += ends[i].calls;
    return calls;
}

static void late_ones_share_a_wakeup(void **state)
{
    struct end prompt;

    (void)state;
    fake_us = 1000000 + pgn_random_below(1000000);
    pgn_clock_set(fake_mono_us, NULL);
    for (int i = 0; i < PAIRS; i++)
        open_pair(&ends[i], PGN_READ | PGN_LATE);
    open_pair(&prompt, PGN_READ);
    pgn_loop_turn(loop, 0);
    for (int i = 0; i < PAIRS; i += 7) {
        assert_int_equal(write(ends[i].other, "x", 1), 1);
        assert_int_equal(write(prompt.other, "x", 1), 1);
        fake_us += (PGN_LATE_MS - 1) * 1000 / (PAIRS / 7 + 1);
        pgn_loop_turn(loop, 0);
    }
    assert_int_equal(calls_of_all(), 0);
    assert_int_equal(prompt.calls, PAIRS / 7);
    fake_us += 2000;
    pgn_loop_turn(loop, 0);
    assert_int_equal(calls_of_all(), PAIRS / 7);
    assert_int_equal(ends[0].got, PGN_READ); /* never PGN_LATE */

    /* Not late any more: at once. Late again, a hang-up: in time. */
    pgn_io_want(loop, &ends[0].io, PGN_READ);
    assert_int_equal(write(ends[0].other, "x", 1), 1);
    pgn_loop_turn(loop, 0);
    assert_int_equal(ends[0].calls, 2);
    pgn_io_want(loop, &ends[0].io, PGN_READ | PGN_LATE);
    close(ends[0].other);
    ends[0].other = -1;
    pgn_loop_turn(loop, 0);
    assert_int_equal(ends[0].calls, 2);
    fake_us += PGN_LATE_MS * 1000;
    pgn_loop_turn(loop, 0);
    assert_int_equal(ends[0].calls, 3);

    /* One that is removed says nothing more; with the last one gone the loop does not wake for them. */
    assert_int_equal(write(ends[7].other, "x", 1), 1);
    for (int i = 0; i < PAIRS; i++)
        close_pair(&ends[i]);
    close_pair(&prompt);
    fake_us += PGN_LATE_MS * 1000;
    pgn_loop_turn(loop, 0);
    assert_int_equal(ends[7].calls, 1);
    pgn_clock_set(NULL, NULL);
}

static void the_loop_wakes_for_late_ones(void **state)
{
    struct end *e = &ends[0];
    uint64_t begun_us;

    (void)state;
    open_pair(e, PGN_READ | PGN_LATE);
    pgn_loop_turn(loop, 0);
    assert_int_equal(write(e->other, "x", 1), 1);
    begun_us = pgn_mono_us();
    while (!e->calls && pgn_mono_us() - begun_us < 5000000)
        pgn_loop_turn(loop, -1);
    assert_int_equal(e->calls, 1);
    assert_true(pgn_mono_us() - begun_us < 5000000);
    close_pair(e);
}

static void assert_nothing_wakes_it(void)
{
    uint64_t before = pgn_mono_ms();

    pgn_loop_turn(loop, 2 * PGN_LATE_MS);
    assert_true(pgn_loop_now_ms(loop) >= before + 2 * PGN_LATE_MS);
}

/* From each set of events to each: what is asked for is heard, late or at once, and no late one is counted twice or forgotten. */
static void events_may_change_in_every_way(void **state)
{
    enum { ALL = PGN_READ | PGN_WRITE | PGN_LATE };
    struct end silent, *e = &ends[0];

    (void)state;
    fake_us = 1000000 + pgn_random_below(1000000);
    pgn_clock_set(fake_mono_us, NULL);
    open_pair(&silent, PGN_READ | PGN_LATE); /* so that late ones are looked at regularly */
    for (uint32_t had = 0; had <= ALL; had++) {
        for (uint32_t wants = 0; wants <= ALL; wants++) {
            fake_us += PGN_LATE_MS * 1000;
            pgn_loop_turn(loop, 0);
            open_pair(e, had);
            e->drain = false;
            assert_int_equal(write(e->other, "x", 1), 1);
            pgn_io_want(loop, &e->io, wants);
            pgn_loop_turn(loop, 0);
            assert_int_equal(e->got, wants & PGN_LATE ? 0 : wants);
            fake_us += PGN_LATE_MS * 1000;
            pgn_loop_turn(loop, 0);
            assert_int_equal(e->got, wants & ~(uint32_t)PGN_LATE);
            close_pair(e);
        }
    }
    close_pair(&silent);
    pgn_clock_set(NULL, NULL);
    assert_nothing_wakes_it();
}

static void nothing_wanted_is_nothing_heard(void **state)
{
    struct end *e = &ends[0];

    (void)state;
    open_pair(e, 0);
    close(e->other);
    e->other = -1;
    assert_nothing_wakes_it(); /* not by a hang-up that nobody asked for */
    pgn_io_want(loop, &e->io, PGN_LATE);
    assert_nothing_wakes_it();
    assert_int_equal(e->calls, 0);
    pgn_io_want(loop, &e->io, PGN_READ);
    pgn_loop_turn(loop, 0);
    assert_int_equal(e->calls, 1);
    pgn_io_want(loop, &e->io, 0);
    pgn_loop_turn(loop, 0);
    assert_int_equal(e->calls, 1);
    close_pair(e);
}

static void a_hang_up_comes_as_what_is_asked_for(void **state)
{
    struct end *e = &ends[0];
    int fds[2];

    (void)state;
    assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
    *e = (struct end){.io = {.fd = fds[1], .events = PGN_WRITE, .on_ready = on_ready}, .other = -1};
    assert_int_equal(fcntl(fds[1], F_SETPIPE_SZ, 4096), 4096);
    while (write(fds[1], ends, 1000) > 0)
        ;
    assert_int_equal(pgn_io_add(loop, &e->io), 0);
    pgn_loop_turn(loop, 0);
    assert_int_equal(e->calls, 0); /* full */
    close(fds[0]);
    pgn_loop_turn(loop, 0);
    assert_int_equal(e->got, PGN_WRITE);
    close_pair(e);
}

static void a_bad_descriptor_is_an_error(void **state)
{
    struct pgn_io io = {.fd = 1 << 20, .events = PGN_READ, .on_ready = on_ready};

    (void)state;
    assert_int_equal(pgn_io_add(loop, &io), PGN_E_IO);
}

/* The first to run removes and frees all the others of the batch. */
static int survivors;
static void on_ready_remove_others(struct pgn_io *io, uint32_t events)
{
    struct end *me = PGN_CONTAINER(io, struct end, io);

    (void)events;
    survivors++;
    for (int i = 0; i < PAIRS; i++) {
        if (&ends[i] == me)
            continue;
        close_pair(&ends[i]);
        memset(&ends[i], 0xff, sizeof(ends[i]));
    }
}

static void others_of_the_batch_may_be_removed(void **state)
{
    int last = -1;

    (void)state;
    survivors = 0;
    for (int i = 0; i < PAIRS; i++) {
        open_pair(&ends[i], PGN_READ);
        ends[i].io.on_ready = on_ready_remove_others;
        assert_int_equal(write(ends[i].other, "x", 1), 1);
    }
    pgn_loop_turn(loop, 0);
    assert_int_equal(survivors, 1);
    for (int i = 0; i < PAIRS; i++)
        if (ends[i].io.on_ready == on_ready_remove_others)
            last = i;
    assert_true(last >= 0);
    close_pair(&ends[last]);
}

static void all_ready_ones_are_served(void **state)
{
    (void)state;
    for (int i = 0; i < PAIRS; i++) {
        open_pair(&ends[i], PGN_READ);
        assert_int_equal(write(ends[i].other, "x", 1), 1);
    }
    pgn_loop_turn(loop, 0);
    for (int i = 0; i < PAIRS; i++) {
        assert_int_equal(ends[i].calls, 1);
        close_pair(&ends[i]);
    }
}

/* ---- hooks ---- */

static char trace[32];
struct named_hook {
    struct pgn_hook hook;
    char name;
    struct named_hook *adds, *removes;
};

static void on_turn(struct pgn_hook *h)
{
    struct named_hook *n = PGN_CONTAINER(h, struct named_hook, hook);

    trace[strlen(trace)] = n->name;
    if (n->adds) {
        pgn_hook_add(loop, &n->adds->hook);
        n->adds = NULL;
    }
    if (n->removes) {
        pgn_hook_remove(&n->removes->hook);
        n->removes = NULL;
    }
}

static const char *turn(void)
{
    memset(trace, 0, sizeof(trace));
    pgn_loop_turn(loop, 0);
    return trace;
}

static void hooks_run_in_order_and_may_change(void **state)
{
    struct named_hook a = {.name = 'a'}, b = {.name = 'b'}, c = {.name = 'c'}, d = {.name = 'd'};

    (void)state;
    a.hook.on_turn = b.hook.on_turn = c.hook.on_turn = d.hook.on_turn = on_turn;
    pgn_hook_add(loop, &a.hook);
    pgn_hook_add(loop, &b.hook);
    pgn_hook_add(loop, &c.hook);
    assert_string_equal(turn(), "abc");
    a.removes = &b; /* the one that would be next */
    assert_string_equal(turn(), "ac");
    a.removes = &a; /* itself */
    assert_string_equal(turn(), "ac");
    c.adds = &d;
    assert_string_equal(turn(), "cd");
    assert_string_equal(turn(), "cd");
    pgn_hook_remove(&c.hook);
    pgn_hook_remove(&d.hook);
    assert_string_equal(turn(), "");
}

static int again_left;
static void on_turn_again(struct pgn_hook *h)
{
    (void)h;
    if (again_left-- > 0)
        pgn_loop_again(loop);
    else
        pgn_loop_stop(loop);
}

static void again_does_not_wait(void **state)
{
    struct pgn_hook h = {.on_turn = on_turn_again};

    (void)state;
    again_left = 10;
    pgn_hook_add(loop, &h);
    pgn_loop_again(loop);
    pgn_loop_run(loop); /* without `again` it would wait for ever */
    assert_int_equal(pgn_loop_turns(loop), 11);
    pgn_hook_remove(&h);
}

/* ---- stopping ---- */

static void *stop_it(void *arg)
{
    pgn_loop_stop(arg);
    return NULL;
}

static void on_signal(int number)
{
    (void)number;
    pgn_loop_stop(loop);
}

static void stop_from_a_thread_or_a_signal(void **state)
{
    pthread_t t;
    struct sigaction action = {.sa_handler = on_signal};

    (void)state;
    for (int i = 0; i < 200; i++) {
        assert_int_equal(pthread_create(&t, NULL, stop_it, loop), 0);
        pgn_loop_run(loop);
        pthread_join(t, NULL);
    }
    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
    raise(SIGUSR1);
    pgn_loop_run(loop); /* stopped before it runs: returns at once, and can run again */
    pgn_loop_stop(loop);
    pgn_loop_run(loop);
}

static void now_is_read_once_a_turn(void **state)
{
    uint64_t before = pgn_mono_ms();

    (void)state;
    pgn_loop_turn(loop, 15);
    assert_true(pgn_loop_now_ms(loop) >= before + 15);
    assert_true(pgn_loop_now_ms(loop) <= pgn_mono_ms());
}

#define LOOP_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    struct rlimit files = {2 * PAIRS + 100, 2 * PAIRS + 100};
    const struct CMUnitTest tests[] = {
        LOOP_TEST(readiness_is_level_triggered),
        LOOP_TEST(late_ones_share_a_wakeup),
        LOOP_TEST(the_loop_wakes_for_late_ones),
        LOOP_TEST(events_may_change_in_every_way),
        LOOP_TEST(nothing_wanted_is_nothing_heard),
        LOOP_TEST(a_hang_up_comes_as_what_is_asked_for),
        LOOP_TEST(a_bad_descriptor_is_an_error),
        LOOP_TEST(others_of_the_batch_may_be_removed),
        LOOP_TEST(all_ready_ones_are_served),
        LOOP_TEST(hooks_run_in_order_and_may_change),
        LOOP_TEST(again_does_not_wait),
        LOOP_TEST(stop_from_a_thread_or_a_signal),
        LOOP_TEST(now_is_read_once_a_turn),
    };
    setrlimit(RLIMIT_NOFILE, &files);
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
