#include "tests/unit/common/test.h"

#include "common/base/buf.h"

static void random_changes_match_a_plain_array(void **state)
{
    static uint8_t model[1 << 20];
    uint8_t piece[300];
    size_t len = 0;
    struct pgn_buf b = {0};

    (void)state;
    for (int step = 0; step < 20000; step++) {
        size_t n = pgn_random_below(sizeof(piece));
        if (pgn_random_below(3) == 0 || len + n > sizeof(model)) {
            n = pgn_random_below(2 * sizeof(piece));
            size_t drop = n < len ? n : len;
            pgn_buf_drop_front(&b, n);
            memmove(model, model + drop, len - drop);
            len -= drop;
        } else {
            pgn_random(piece, n);
            pgn_buf_append(&b, piece, n);
            memcpy(model + len, piece, n);
            len += n;
        }
        assert_int_equal(b.len, len);
        assert_true(b.cap >= b.len);
        if (step % 100 == 0 && len)
            assert_memory_equal(b.data, model, len);
    }
    pgn_buf_release(&b);
    assert_null(b.data);
    assert_int_equal(b.len + b.cap, 0);
    pgn_buf_release(&b);
}

static void numbers_are_decimal(void **state)
{
    static const uint64_t values[] = {0, 1, 9, 10, 99, 100, 4294967295u, 4294967296u, 9007199254740991u, UINT64_MAX};
    char want[32];
    struct pgn_buf b = {0};

    (void)state;
    for (size_t i = 0; i < 1000; i++) {
        uint64_t v = i < PGN_COUNT(values) ? values[i] : pgn_random_below(UINT64_MAX) >> pgn_random_below(64);
        pgn_buf_clear(&b);
        pgn_buf_append_u64(&b, v);
        snprintf(want, sizeof(want), "%llu", (unsigned long long)v);
        assert_string_equal(pgn_buf_cstr(&b), want);
        assert_int_equal(b.len, strlen(want));
    }
    pgn_buf_release(&b);
}

static void text_is_appended(void **state)
{
    struct pgn_buf b = {0};
    char big[5000];

    (void)state;
    assert_string_equal(pgn_buf_cstr(&b), "");
    pgn_buf_append_str(&b, "a");
    pgn_buf_append_byte(&b, 'b');
    pgn_buf_printf(&b, "-%d-%s", 7, "x");
    assert_string_equal(pgn_buf_cstr(&b), "ab-7-x");
    memset(big, 'y', sizeof(big) - 1);
    big[sizeof(big) - 1] = 0;
    pgn_buf_printf(&b, "%s", big);
    assert_int_equal(b.len, 6 + sizeof(big) - 1);
    assert_string_equal(pgn_buf_cstr(&b) + 6, big);
    pgn_buf_append(&b, NULL, 0);
    pgn_buf_release(&b);
}

static void a_piece_of_itself_stays_valid_when_reserved_first(void **state)
{
    struct pgn_buf b = {0};

    (void)state;
    pgn_buf_append_str(&b, "0123456789");
    pgn_buf_reserve(&b, 1000);
    pgn_buf_append(&b, b.data, 10);
    assert_string_equal(pgn_buf_cstr(&b), "01234567890123456789");
    pgn_buf_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_changes_match_a_plain_array),
        cmocka_unit_test(numbers_are_decimal),
        cmocka_unit_test(text_is_appended),
        cmocka_unit_test(a_piece_of_itself_stays_valid_when_reserved_first),
    };
    test_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
