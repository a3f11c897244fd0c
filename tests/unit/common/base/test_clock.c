#include "tests/unit/common/test.h"

#include "common/base/clock.h"

static uint64_t fake_mono(void)
{
    return 5999;
}

static uint64_t fake_wall(void)
{
    return 77;
}

static void real_clocks_go_on(void **state)
{
    uint64_t before = pgn_mono_us(), now;

    (void)state;
    do
        now = pgn_mono_us();
    while (now == before);
    assert_true(now > before);
    assert_true(pgn_mono_ms() >= before / 1000);
    assert_true(pgn_wall_ms() > 1500000000000u);
}

static void tests_may_replace_both(void **state)
{
    (void)state;
    pgn_clock_set(fake_mono, fake_wall);
    assert_int_equal(pgn_mono_us(), 5999);
    assert_int_equal(pgn_mono_ms(), 5);
    assert_int_equal(pgn_wall_ms(), 77);
    pgn_clock_set(NULL, NULL);
    assert_int_not_equal(pgn_wall_ms(), 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(real_clocks_go_on),
        cmocka_unit_test(tests_may_replace_both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
