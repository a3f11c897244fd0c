/* What a client has to sync for, by a clock that wraps. */
#include "services/gateway/gw_loss.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct gateway gw;

static int start(void **state)
{
    (void)state;
    memset(&gw, 0, sizeof gw);
    return 0;
}

static void test_lost_and_mended(void **state)
{
    struct gw_conn a = {.gw = &gw}, b = a;
    (void)state;
    gw_loss_begin(&a);
    gw_loss_begin(&b);
    assert_false(gw_loss_must_sync(&a));
    gw_loss_own(&a);
    assert_true(gw_loss_must_sync(&a));
    assert_false(gw_loss_must_sync(&b));
    gw_loss_mended(&a, gw_loss_asked(&gw));
    assert_false(gw_loss_must_sync(&a));
    uint32_t asked = gw_loss_asked(&gw);
    gw_loss_own(&a);
    gw_loss_mended(&a, asked); /* the loss came behind the question */
    assert_true(gw_loss_must_sync(&a));
    uint32_t again = gw_loss_asked(&gw);
    gw_loss_mended(&a, again);
    gw_loss_mended(&a, asked); /* answers in another order than they were asked for */
    assert_false(gw_loss_must_sync(&a));
    asked = gw_loss_asked(&gw);
    gw_loss_everybody(&gw);
    gw_loss_mended(&a, asked);
    assert_true(gw_loss_must_sync(&a));
    assert_true(gw_loss_must_sync(&b));
    gw_loss_mended(&a, gw_loss_asked(&gw));
    assert_false(gw_loss_must_sync(&a));
    assert_true(gw_loss_must_sync(&b));
}

/* Thousands of frames for those who do not read: the clock moves when somebody has looked at it. */
static void test_drops_move_the_clock_once(void **state)
{
    struct gw_conn a = {.gw = &gw}, b = a;
    (void)state;
    gw_loss_begin(&a);
    gw_loss_begin(&b);
    uint32_t before = gw.loss_clock;
    for (int i = 0; i < 1000; i++) {
        gw_loss_own(&a);
        gw_loss_own(&b);
    }
    assert_int_equal(gw.loss_clock, before + 1);
}

/* However far the clock is: a new session is whole, and so is an old one that syncs now and then. */
static void test_the_clock_wraps(void **state)
{
    struct gw_conn old = {.gw = &gw};
    (void)state;
    gw_loss_everybody(&gw);
    gw_loss_begin(&old);
    for (int i = 0; i < 40; i++) { /* more than twice around */
        struct gw_conn new = {.gw = &gw};
        gw.loss_clock += 1u << 28;
        gw_loss_begin(&new);
        assert_false(gw_loss_must_sync(&new));
        gw_loss_own(&new);
        assert_true(gw_loss_must_sync(&new));
        gw_loss_mended(&new, gw_loss_asked(&gw));
        assert_false(gw_loss_must_sync(&new));
        gw_loss_mended(&old, gw_loss_asked(&gw));
        assert_false(gw_loss_must_sync(&old));
    }
    gw_loss_everybody(&gw);
    assert_true(gw_loss_must_sync(&old));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_lost_and_mended, start),
        cmocka_unit_test_setup(test_drops_move_the_clock_once, start),
        cmocka_unit_test_setup(test_the_clock_wraps, start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
