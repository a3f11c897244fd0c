/* Token bucket: bursts, the lasting rate, waiting times that hold, 32-bit clocks that wrap. */
#include "tests/unit/common/test.h"

#include "common/base/token_bucket.h"

static const struct pgn_token_rate rate = {.per_s = 20, .burst = 5};

static void a_burst_then_the_rate(void **state)
{
    struct pgn_token_bucket b = {0};
    (void)state;
    for (int i = 0; i < 5; i++)
        assert_int_equal(pgn_token_take(&b, rate, 1000), 0);
    assert_int_equal(pgn_token_take(&b, rate, 1000), 50);
    assert_int_equal(pgn_token_take(&b, rate, 1049), 1);
    assert_int_equal(pgn_token_take(&b, rate, 1050), 0);
    assert_int_not_equal(pgn_token_take(&b, rate, 1050), 0);
}

static void lasting_rate_is_exact(void **state)
{
    struct pgn_token_bucket b = {0};
    int taken = 0;
    (void)state;
    for (uint64_t now = 5000; now < 15000; now++)
        taken += pgn_token_take(&b, rate, now) == 0;
    assert_in_range(taken, 200 + 5 - 1, 200 + 5);
}

static void who_waits_as_told_gets_one(void **state)
{
    struct pgn_token_bucket b = {0};
    struct pgn_token_rate odd = {.per_s = 7, .burst = 3};
    uint64_t now = 123456;
    (void)state;
    for (int i = 0; i < 1000; i++) {
        uint32_t wait = pgn_token_take(&b, odd, now);
        if (!wait)
            continue;
        now += wait;
        assert_int_equal(pgn_token_take(&b, odd, now), 0);
    }
}

static void full_again(void **state)
{
    struct pgn_token_bucket b = {0};
    (void)state;
    assert_true(pgn_token_full(&b, rate, 0));
    assert_int_equal(pgn_token_take(&b, rate, 10), 0);
    assert_false(pgn_token_full(&b, rate, 59));
    assert_true(pgn_token_full(&b, rate, 60));
}

static void the_clock_wraps(void **state)
{
    struct pgn_token_bucket b = {0};
    uint64_t now = UINT32_MAX - 10;
    (void)state;
    for (int i = 0; i < 5; i++)
        assert_int_equal(pgn_token_take(&b, rate, now), 0);
    assert_int_not_equal(pgn_token_take(&b, rate, now + 20), 0);
    assert_int_equal(pgn_token_take(&b, rate, now + 60), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_then_the_rate),
        cmocka_unit_test(lasting_rate_is_exact),
        cmocka_unit_test(who_waits_as_told_gets_one),
        cmocka_unit_test(full_again),
        cmocka_unit_test(the_clock_wraps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
