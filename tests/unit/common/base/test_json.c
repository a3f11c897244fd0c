#include "tests/unit/common/test.h"

#include "common/base/json.h"

#include <jansson.h>
#include <math.h>

static void structure_and_commas(void **state)
{
    struct pgn_buf b = {0};
    struct pgn_json j = pgn_json_on(&b);

    (void)state;
    pgn_json_object(&j);
    pgn_json_key(&j, "a");
    pgn_json_array(&j);
    pgn_json_array_end(&j);
    pgn_json_key(&j, "b");
    pgn_json_array(&j);
    pgn_json_u64(&j, UINT64_MAX);
    pgn_json_i64(&j, INT64_MIN);
    pgn_json_i64(&j, 5);
    pgn_json_bool(&j, true);
    pgn_json_bool(&j, false);
    pgn_json_null(&j);
    pgn_json_f64(&j, INFINITY);
    pgn_json_object(&j);
    pgn_json_object_end(&j);
    pgn_json_object(&j);
    pgn_json_key(&j, "q\"");
    pgn_json_strn(&j, "xyz", 2);
    pgn_json_object_end(&j);
    pgn_json_array_end(&j);
    pgn_json_object_end(&j);
    assert_string_equal(pgn_buf_cstr(&b),
                        "{\"a\":[],\"b\":[18446744073709551615,-9223372036854775808,5,true,false,null,null,{},{\"q\\\"\":\"xy\"}]}");
    pgn_buf_release(&b);
}

static void strings_read_back(void **state)
{
    static const char *const pieces[] = {
        "a", "\"", "\\", "/", "\n", "\x01", "\x1f", "\x7f", "\xc3\xa4", "\xf0\x9f\x91\x8d", "longer plain text", "\b\f\r\t"};
    struct pgn_buf b = {0};

    (void)state;
    for (int round = 0; round < 5000; round++) {
        char text[400] = "";
        struct pgn_json j = pgn_json_on(&b);
        json_t *read;
        for (uint64_t n = pgn_random_below(20); n > 0; n--)
            strcat(text, pieces[pgn_random_below(PGN_COUNT(pieces))]);
        pgn_buf_clear(&b);
        pgn_json_str(&j, text);
        read = json_loadb((const char *)b.data, b.len, JSON_DECODE_ANY, NULL);
        assert_non_null(read);
        assert_string_equal(json_string_value(read), text);
        json_decref(read);
    }
    pgn_buf_clear(&b);
    struct pgn_json j = pgn_json_on(&b);
    pgn_json_strn(&j, "a\0b", 3);
    assert_string_equal(pgn_buf_cstr(&b), "\"a\\u0000b\"");
    pgn_buf_release(&b);
}

static void doubles_read_back_exactly(void **state)
{
    struct pgn_buf b = {0};

    (void)state;
    for (int round = 0; round < 20000; round++) {
        struct pgn_json j = pgn_json_on(&b);
        double v;
        pgn_random(&v, sizeof(v));
        if (!isfinite(v))
            continue;
        pgn_buf_clear(&b);
        pgn_json_f64(&j, v);
        assert_true(strtod(pgn_buf_cstr(&b), NULL) == v);
    }
    pgn_buf_clear(&b);
    struct pgn_json j = pgn_json_on(&b);
    pgn_json_f64(&j, 0.1);
    assert_string_equal(pgn_buf_cstr(&b), "0.1");
    pgn_buf_release(&b);
}

static bool depth(const char *text, int limit)
{
    return pgn_json_depth_ok(text, strlen(text), limit);
}

static void depth_is_counted(void **state)
{
    (void)state;
    assert_true(depth("{\"a\":[1,2,{}]}", 3));
    assert_false(depth("{\"a\":[1,2,{}]}", 2));
    assert_true(depth("[\"[[[[[\\\"[[[[\",[]]", 2)); /* brackets in strings do not count */
    assert_true(depth("\"\\", 0));
    assert_true(depth("[][][][]", 1));
    assert_false(depth("[[", 1));
    assert_true(depth("", 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(structure_and_commas),
        cmocka_unit_test(strings_read_back),
        cmocka_unit_test(doubles_read_back_exactly),
        cmocka_unit_test(depth_is_counted),
    };
    test_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
