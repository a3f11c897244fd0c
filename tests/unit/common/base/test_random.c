#include "tests/unit/common/test.h"

static void the_kernel_does_not_repeat(void **state)
{
    uint8_t a[32], b[32];

    (void)state;
    pgn_random(a, sizeof(a));
    pgn_random(b, sizeof(b));
    assert_memory_not_equal(a, b, sizeof(a));
}

static void below_is_uniform_and_below(void **state)
{
    enum { LIMIT = 7, DRAWS = 70000 };
    int seen[LIMIT] = {0}, low = 0;

    (void)state;
    for (int i = 0; i < DRAWS; i++) {
        uint64_t v = pgn_random_below(LIMIT);
        assert_true(v < LIMIT);
        seen[v]++;
    }
    for (int i = 0; i < LIMIT; i++) /* 10,000 each, standard deviation 93: 6 of them by chance once in 10^9 */
        assert_in_range(seen[i], 10000 - 560, 10000 + 560);
    assert_int_equal(pgn_random_below(1), 0);
    for (int i = 0; i < DRAWS; i++) /* a plain remainder would give half of them the lowest third */
        low += pgn_random_below(3ull << 62) < 1ull << 62;
    assert_in_range(low, DRAWS / 3 - 800, DRAWS / 3 + 800);
}

static void a_seed_repeats(void **state)
{
    uint8_t a[37], b[37], c[37];

    (void)state;
    pgn_random_seed_for_tests(42);
    pgn_random(a, sizeof(a));
    pgn_random_seed_for_tests(42);
    pgn_random(b, sizeof(b));
    pgn_random(c, sizeof(c));
    assert_memory_equal(a, b, sizeof(a));
    assert_memory_not_equal(b, c, sizeof(b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_kernel_does_not_repeat),
        cmocka_unit_test(below_is_uniform_and_below),
        cmocka_unit_test(a_seed_repeats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
