/* The histogram: three significant digits, merging, what lies beyond. */
#include "loadtest/hist.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static struct ld_hist *new_hist(void)
{
    struct ld_hist *h = malloc(sizeof *h);
    assert_non_null(h);
    ld_hist_clear(h);
    return h;
}

static void empty(void **state)
{
    struct ld_hist *h = new_hist();
    (void)state;
    assert_int_equal(ld_hist_quantile(h, 0.5), 0);
    assert_true(ld_hist_mean(h) == 0);
    free(h);
}

static void small_values_are_exact(void **state)
{
    struct ld_hist *h = new_hist();
    (void)state;
    for (uint64_t v = 1; v <= 1000; v++)
        ld_hist_add(h, v);
    assert_int_equal(ld_hist_quantile(h, 0.5), 500);
    assert_int_equal(ld_hist_quantile(h, 0.99), 990);
    assert_int_equal(ld_hist_quantile(h, 1), 1000);
    assert_int_equal(ld_hist_quantile(h, 0), 1);
    free(h);
}

static void every_value_within_a_thousandth(void **state)
{
    struct ld_hist *h = new_hist();
    (void)state;
    for (uint64_t v = 1; v < UINT64_C(200000000); v += 1 + v / 37) {
        ld_hist_clear(h);
        ld_hist_add(h, v);
        ld_hist_add(h, UINT64_C(1) << 27); /* so that max does not hide the bucket's bound */
        uint64_t got = ld_hist_quantile(h, 0.5), low = v < UINT64_C(1) << 27 ? v : UINT64_C(1) << 27;
        assert_true(got >= low && got <= low + low / 1000 + 1);
    }
    free(h);
}

static void beyond_the_end_counts(void **state)
{
    struct ld_hist *h = new_hist();
    (void)state;
    ld_hist_add(h, UINT64_MAX / 2);
    assert_int_equal(ld_hist_quantile(h, 0.5), UINT64_MAX / 2);
    free(h);
}

static void merging_is_adding(void **state)
{
    struct ld_hist *a = new_hist(), *b = new_hist(), *both = new_hist();
    (void)state;
    for (uint64_t v = 0; v < 100000; v += 7) {
        ld_hist_add(v % 3 ? a : b, v);
        ld_hist_add(both, v);
    }
    ld_hist_merge(a, b);
    assert_memory_equal(a, both, sizeof *a);
    free(a);
    free(b);
    free(both);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty),
        cmocka_unit_test(small_values_are_exact),
        cmocka_unit_test(every_value_within_a_thousandth),
        cmocka_unit_test(beyond_the_end_counts),
        cmocka_unit_test(merging_is_adding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
