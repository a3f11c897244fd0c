#include "tests/unit/common/test.h"

#include "common/base/clock.h"
#include "common/io/loop.h"
#include "common/io/wheel.h"

enum { TIMERS = 2000, SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR };

struct watched {
    struct pgn_timer timer;
    uint64_t due_us; /* earliest right moment */
    bool running;
    int fired;
};

static struct pgn_loop *loop;
static struct watched timers[TIMERS];
static uint64_t now_us = 123456789, step_us, latest_ms;
static bool restart_inside;

static uint64_t fake_mono_us(void)
{
    return now_us;
}

static void start(struct watched *w, uint64_t delay_ms)
{
    w->due_us = now_us + delay_ms * 1000;
    w->running = true;
    pgn_timer_start(loop, &w->timer, delay_ms);
}

static uint64_t random_delay(void)
{
    switch (pgn_random_below(6)) {
    case 0:
        return pgn_random_below(10);
    case 1:
        return pgn_random_below(300);
    case 2:
        return pgn_random_below(20 * SECOND);
    case 3:
        return pgn_random_below(30 * MINUTE);
    case 4: /* around the borders of the levels */
        return (4ull << (6 * (1 + pgn_random_below(3)))) - 8 + pgn_random_below(16);
    default:
        return pgn_random_below(30 * HOUR);
    }
}

static void on_due(struct pgn_timer *t)
{
    struct watched *w = PGN_CONTAINER(t, struct watched, timer);
    uint64_t late_ms;

    assert_true(w->running);
    assert_false(pgn_timer_running(t));
    if (now_us < w->due_us)
        fail_msg("%llu us early", (unsigned long long)(w->due_us - now_us));
    late_ms = (now_us - w->due_us + 999) / 1000;
    if (late_ms > 5 + (step_us + 999) / 1000) /* the tick, one for rounding, and how far the test's clock jumped */
        fail_msg("%llu ms late, step %llu", (unsigned long long)late_ms, (unsigned long long)step_us / 1000);
    if (late_ms > latest_ms)
        latest_ms = late_ms;
    w->running = false;
    w->fired++;
    if (restart_inside && pgn_random_below(2))
        start(w, random_delay());
    if (restart_inside && pgn_random_below(4) == 0) { /* one timer stops another, also one that is due in this tick */
        struct watched *other = &timers[pgn_random_below(TIMERS)];
        pgn_timer_stop(&other->timer);
        other->running = false;
    }
}

static void move(uint64_t us)
{
    step_us = us;
    now_us += us;
    pgn_loop_turn(loop, 0);
}

static int setup(void **state)
{
    (void)state;
    pgn_clock_set(fake_mono_us, NULL);
    now_us += pgn_random_below(1ull << 40);
    loop = pgn_loop_new();
    memset(timers, 0, sizeof(timers));
    for (int i = 0; i < TIMERS; i++)
        timers[i].timer.on_due = on_due;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    pgn_loop_free(&loop);
    pgn_clock_set(NULL, NULL);
    return 0;
}

static void check_none_overdue(void)
{
    for (int i = 0; i < TIMERS; i++) {
        assert_int_equal(timers[i].running, pgn_timer_running(&timers[i].timer));
        if (timers[i].running && timers[i].due_us + 5000 < now_us)
            fail_msg("timer %d is overdue", i);
    }
}

/* Two days of a random life: starts, restarts, stops, steps of microseconds and of hours. */
static void a_random_life(void **state)
{
    uint64_t end_us = now_us + 2ull * DAY * 1000;

    (void)state;
    restart_inside = true;
    while (now_us < end_us) {
        for (int i = 0; i < 20; i++) {
            struct watched *w = &timers[pgn_random_below(TIMERS)];
            if (pgn_random_below(5)) {
                start(w, random_delay());
            } else {
                pgn_timer_stop(&w->timer);
                w->running = false;
            }
        }
        switch (pgn_random_below(20)) {
        case 0:
            move(pgn_random_below(HOUR * 1000ull));
            break;
        case 1:
        case 2:
            move(pgn_random_below(MINUTE * 1000ull));
            break;
        default:
            move(pgn_random_below(20000));
        }
        check_none_overdue();
    }
    restart_inside = false;
    move(40ull * HOUR * 1000);
    for (int i = 0; i < TIMERS; i++)
        assert_false(pgn_timer_running(&timers[i].timer));
}

/* With a clock that stands where the loop would wake, no timer is more than a tick late. */
static void single_delays_over_all_levels(void **state)
{
    (void)state;
    for (uint64_t delay = 0; delay < 400ull * DAY; delay = delay < 2000 ? delay + 1 : delay * 5 / 4 + pgn_random_below(7)) {
        struct watched *w = &timers[0];
        now_us += pgn_random_below(10000);
        w->fired = 0;
        start(w, delay);
        if (delay > 10) { /* up to shortly before, in a few jumps */
            for (int i = 0; i < 3; i++)
                move(pgn_random_below((w->due_us - now_us) / 2));
            move(w->due_us - now_us - 1);
            assert_int_equal(w->fired, 0);
        }
        for (int i = 0; i < (delay > 10 ? 6 : 16) && !w->fired; i++)
            move(1000);
        assert_int_equal(w->fired, 1);
    }
    assert_true(latest_ms > 0);
}

static void no_delay_on_a_tick(void **state)
{
    (void)state;
    now_us = (now_us / 4000 + 1) * 4000;
    move(0);
    start(&timers[0], 0);
    move(4000);
    assert_int_equal(timers[0].fired, 1);
}

static void far_beyond_the_wheel(void **state)
{
    (void)state;
    start(&timers[0], 20ull * 365 * DAY);
    start(&timers[1], UINT64_MAX / 2000);
    pgn_timer_start(loop, &timers[2].timer, UINT64_MAX);
    for (int year = 0; year < 19; year++)
        move(365ull * DAY * 1000);
    assert_int_equal(timers[0].fired, 0);
    move(366ull * DAY * 1000);
    assert_int_equal(timers[0].fired, 1);
    assert_int_equal(timers[1].fired, 0);
    pgn_timer_stop(&timers[1].timer);
    pgn_timer_stop(&timers[2].timer);
}

static void restarting_moves_it(void **state)
{
    (void)state;
    start(&timers[0], 10);
    start(&timers[0], 1000);
    move(500 * 1000);
    assert_int_equal(timers[0].fired, 0);
    start(&timers[0], 20);
    move(24 * 1000);
    assert_int_equal(timers[0].fired, 1);
    move(2000 * 1000);
    assert_int_equal(timers[0].fired, 1);
    pgn_timer_stop(&timers[0].timer);
}

static void due_is_the_first_step_that_is_not_early(void **state)
{
    static const struct {
        uint64_t now_us, delay_ms, step_ms, due_ms;
    } rows[] = {
        {5000000, 0, 1, 5000},
        {5000001, 0, 1, 5001},
        {5000999, 7, 1, 5008},
        {5120000, 0, 256, 5120}, /* on a step already */
        {5120000, 256, 256, 5376},
        {5120001, 256, 256, 5632}, /* a microsecond beyond it */
        {5000000, 100, 256, 5120}, /* of the time, not of the delay */
        {5000000, UINT64_MAX - 5000, 1, UINT64_MAX},
        {5000000, UINT64_MAX - 4999, 1, UINT64_MAX},
        {5000000, UINT64_MAX - 5000, 256, UINT64_MAX - 255},
        {5000000, UINT64_MAX, 256, UINT64_MAX - 255},
    };
    static struct pgn_wheel wheel;
    struct pgn_timer t = {.due_ms = 0};

    (void)state;
    pgn_wheel_init(&wheel, 4990);
    for (size_t i = 0; i < PGN_COUNT(rows); i++) { /* each restarts it */
        pgn_wheel_start(&wheel, &t, rows[i].now_us, rows[i].delay_ms, rows[i].step_ms);
        assert_int_equal(t.due_ms, rows[i].due_ms);
        assert_true(pgn_timer_running(&t));
    }
    pgn_timer_stop(&t);
    assert_int_equal(pgn_wheel_next_ms(&wheel), UINT64_MAX); /* none of the starts has left anything behind */
}

static uint64_t coarse_due_us[TIMERS], coarse_turn;
static unsigned coarse_fired, coarse_turns;
static void on_coarse_due(struct pgn_timer *t)
{
    uint64_t due_us = coarse_due_us[PGN_CONTAINER(t, struct watched, timer) - timers];

    assert_true(now_us >= due_us);
    assert_true(now_us - due_us <= (PGN_TIMER_COARSE_MS + 5) * 1000);
    coarse_fired++;
    coarse_turns += pgn_loop_turns(loop) != coarse_turn;
    coarse_turn = pgn_loop_turns(loop);
}

static void coarse_ones_share_their_wakeups(void **state)
{
    (void)state;
    for (int i = 0; i < TIMERS; i++) {
        uint64_t delay_ms = 1000 + pgn_random_below(2000);
        timers[i].timer.on_due = on_coarse_due;
        coarse_due_us[i] = now_us + delay_ms * 1000;
        pgn_timer_start_coarse(loop, &timers[i].timer, delay_ms);
    }
    for (int ms = 0; ms < 3300; ms++)
        move(1000);
    assert_int_equal(coarse_fired, TIMERS);
    assert_in_range(coarse_turns, 1, 2000 / PGN_TIMER_COARSE_MS + 2);
    pgn_timer_start_coarse(loop, &timers[0].timer, UINT64_MAX);
    move(365ull * DAY * 1000);
    assert_int_equal(coarse_fired, TIMERS);
    pgn_timer_stop(&timers[0].timer);
}

/* With the real clock: the loop wakes by itself, not early, and soon. Load may make it late, so that is tried several times. */
static uint64_t fired_at_us;
static void on_due_note(struct pgn_timer *t)
{
    (void)t;
    fired_at_us = pgn_mono_us();
    pgn_loop_stop(loop);
}

static void the_loop_wakes_for_it(void **state)
{
    uint64_t best_late = UINT64_MAX;
    struct pgn_timer t = {.on_due = on_due_note};

    (void)state;
    pgn_clock_set(NULL, NULL);
    pgn_loop_free(&loop);
    loop = pgn_loop_new();
    for (uint64_t delay = 0; delay < 40; delay += 3) {
        uint64_t due_us = pgn_mono_us() + delay * 1000;
        pgn_timer_start(loop, &t, delay);
        pgn_loop_run(loop);
        assert_true(fired_at_us >= due_us);
        if (fired_at_us - due_us < best_late)
            best_late = fired_at_us - due_us;
    }
    assert_true(best_late < 6000);
}

#define TIMER_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TIMER_TEST(a_random_life),
        TIMER_TEST(single_delays_over_all_levels),
        TIMER_TEST(no_delay_on_a_tick),
        TIMER_TEST(far_beyond_the_wheel),
        TIMER_TEST(restarting_moves_it),
        TIMER_TEST(the_loop_wakes_for_it),
        TIMER_TEST(due_is_the_first_step_that_is_not_early),
        TIMER_TEST(coarse_ones_share_their_wakeups),
    };
    test_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
