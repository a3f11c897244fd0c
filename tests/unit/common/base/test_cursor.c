#include "tests/unit/common/test.h"

#include "common/base/cursor.h"

static void numbers_are_big_endian(void **state)
{
    static const uint8_t data[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    struct pgn_cursor c = pgn_cursor_of(data, sizeof(data));

    (void)state;
    assert_int_equal(pgn_cursor_u8(&c), 1);
    assert_int_equal(pgn_cursor_u16be(&c), 0x0203);
    assert_int_equal(pgn_cursor_u32be(&c), 0x04050607);
    assert_true(pgn_cursor_u64be(&c) == 0x08090a0b0c0d0e0fu);
    assert_int_equal(pgn_cursor_left(&c), 1);
    assert_ptr_equal(pgn_cursor_take(&c, 1), data + 15);
    assert_false(c.bad);
}

static void a_read_past_the_end_is_remembered(void **state)
{
    static const uint8_t data[] = {1, 2, 3};
    struct pgn_cursor c = pgn_cursor_of(data, sizeof(data));

    (void)state;
    assert_int_equal(pgn_cursor_u32be(&c), 0);
    assert_true(c.bad);
    assert_int_equal(pgn_cursor_left(&c), 3);
    assert_int_equal(pgn_cursor_u8(&c), 0); /* nothing more, though a byte is there */
    assert_null(pgn_cursor_take(&c, 0));
    c = pgn_cursor_of(data, sizeof(data));
    assert_null(pgn_cursor_take(&c, SIZE_MAX));
    assert_true(c.bad);
}

static void an_empty_one_gives_nothing(void **state)
{
    struct pgn_cursor c = pgn_cursor_of("", 0);

    (void)state;
    assert_non_null(pgn_cursor_take(&c, 0));
    assert_int_equal(pgn_cursor_u8(&c), 0);
    assert_true(c.bad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_big_endian),
        cmocka_unit_test(a_read_past_the_end_is_remembered),
        cmocka_unit_test(an_empty_one_gives_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
