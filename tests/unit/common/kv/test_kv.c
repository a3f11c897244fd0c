/* Redis as a cache, with a real redis-server under an ACL. */
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/kv/kv.h"
#include "tests/unit/support/daemon.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define PASSWORD "a-password-of-the-test"

static struct daemon redis;
static uint64_t skipped_us;

static uint64_t mono(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000 + skipped_us;
}

static void test_values(void **state)
{
    (void)state;
    struct pgn_kv *kv = pgn_kv_new("127.0.0.1", redis.port, "tester", PASSWORD, 1000);
    struct pgn_buf value = {0};
    assert_int_equal(pgn_kv_get(kv, "a", &value), PGN_E_NOT_FOUND);
    assert_int_equal(pgn_kv_set(kv, "a", "x\0y\r\n", 5, 0), 0);
    assert_int_equal(pgn_kv_get(kv, "a", &value), 0);
    assert_int_equal(value.len, 5);
    assert_memory_equal(value.data, "x\0y\r\n", 5);
    assert_int_equal(pgn_kv_delete(kv, "a"), 0);
    assert_int_equal(pgn_kv_get(kv, "a", &value), PGN_E_NOT_FOUND);
    pgn_buf_release(&value);
    const char *keys[] = {"k1", "k2", "k 3"}, *values[] = {"v1", "", "v\n3"};
    assert_int_equal(pgn_kv_set_many(kv, 3, keys, values, 60000), 0);
    struct pgn_buf got[4] = {0};
    const char *asked[] = {"k1", "k2", "none", "k 3"};
    assert_int_equal(pgn_kv_get_many(kv, 4, asked, got), 0);
    assert_string_equal(pgn_buf_cstr(&got[0]), "v1");
    assert_int_equal(got[1].len, 0);
    assert_int_equal(got[2].len, 0);
    assert_string_equal(pgn_buf_cstr(&got[3]), "v\n3");
    for (int i = 0; i < 4; i++)
        pgn_buf_release(&got[i]);
    int64_t count = 0;
    for (int64_t i = 1; i < 4; i++) {
        assert_int_equal(pgn_kv_increment(kv, "n", 60000, &count), 0);
        assert_int_equal(count, i);
    }
    pgn_kv_free(&kv);
    assert_null(kv);
}

static bool window_over(void *ctx)
{
    struct pgn_kv *kv = ctx;
    int64_t count = 0;
    return pgn_kv_increment(kv, "window", 50, &count) == 0 && count == 1;
}

static void test_window(void **state)
{
    (void)state;
    struct pgn_kv *kv = pgn_kv_new("127.0.0.1", redis.port, "tester", PASSWORD, 1000);
    int64_t count = 0;
    assert_int_equal(pgn_kv_increment(kv, "window", 50, &count), 0);
    assert_true(wait_for(window_over, NULL, kv)); /* counting on does not make it longer */
    pgn_kv_free(&kv);
}

static void test_refused(void **state)
{
    (void)state;
    struct pgn_buf value = {0};
    struct pgn_kv *kv = pgn_kv_new("127.0.0.1", redis.port, "tester", "wrong", 1000);
    assert_int_equal(pgn_kv_get(kv, "a", &value), PGN_E_UNAVAILABLE);
    pgn_kv_free(&kv);
    kv = pgn_kv_new("127.0.0.1", redis.port, NULL, NULL, 1000);
    assert_int_equal(pgn_kv_get(kv, "a", &value), PGN_E_UNAVAILABLE);
    pgn_kv_free(&kv);
}

static void test_away(void **state)
{
    (void)state;
    pgn_clock_set(mono, NULL);
    struct pgn_kv *kv = pgn_kv_new("127.0.0.1", redis.port, "tester", PASSWORD, 1000);
    assert_int_equal(pgn_kv_set(kv, "a", "1", 1, 0), 0);
    uint16_t port = redis.port;
    daemon_stop(&redis);
    struct pgn_buf value = {0};
    assert_int_equal(pgn_kv_get(kv, "a", &value), PGN_E_UNAVAILABLE);
    assert_int_equal(pgn_kv_get(kv, "a", &value), PGN_E_UNAVAILABLE);
    daemon_redis(&redis, port, "tester", PASSWORD);
    assert_int_equal(pgn_kv_get(kv, "a", &value), PGN_E_UNAVAILABLE); /* it does not try again at once */
    skipped_us += 1100000;
    assert_int_equal(pgn_kv_get(kv, "a", &value), PGN_E_NOT_FOUND);
    pgn_kv_free(&kv);
    pgn_clock_set(NULL, NULL);
}

static int setup(void **state)
{
    (void)state;
    daemon_redis(&redis, 0, "tester", PASSWORD);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    daemon_stop(&redis);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_away),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
