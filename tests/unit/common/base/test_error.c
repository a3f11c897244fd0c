#include "tests/unit/common/test.h"

#include "common/base/compiler.h"
#include "common/base/error.h"

static const int all[] = {
#define PGN_ERROR(name, number, wire, http, close, retry, text) PGN_E_##name,
#include "common/base/error_table.h"
#undef PGN_ERROR
};

static void every_error_has_its_row(void **state)
{
    (void)state;
    for (size_t i = 0; i < PGN_COUNT(all); i++) {
        const struct pgn_error_info *row = pgn_error_info(all[i]);
        assert_int_equal(row->error, all[i]);
        assert_true(all[i] < 0);
        assert_true(row->http_status >= 400 && row->http_status < 600);
        assert_int_equal(row->ws_close, 4000 + row->http_status);
        for (size_t k = 0; k < i; k++)
            assert_int_not_equal(all[k], all[i]);
    }
}

static void wire_codes_lead_to_the_public_row(void **state)
{
    (void)state;
    assert_int_equal(pgn_error_by_wire("invalid")->error, PGN_E_INVALID);
    assert_int_equal(pgn_error_by_wire("unavailable")->error, PGN_E_UNAVAILABLE);
    assert_int_equal(pgn_error_by_wire("uncertain")->error, PGN_E_UNCERTAIN);
    assert_int_equal(pgn_error_by_wire("overloaded")->error, PGN_E_OVERLOADED);
    assert_null(pgn_error_by_wire("nothing"));
    for (size_t i = 0; i < PGN_COUNT(all); i++) /* what is shown of an inner error is a public code of the same meaning */
        assert_int_equal(pgn_error_by_wire(pgn_error_info(all[i])->wire)->http_status, pgn_error_info(all[i])->http_status);
}

static void unknown_numbers_are_internal(void **state)
{
    (void)state;
    assert_int_equal(pgn_error_info(-999)->error, PGN_E_INTERNAL);
    assert_int_equal(pgn_error_info(0)->error, PGN_E_INTERNAL);
    assert_int_equal(pgn_error_info(7)->error, PGN_E_INTERNAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_error_has_its_row),
        cmocka_unit_test(wire_codes_lead_to_the_public_row),
        cmocka_unit_test(unknown_numbers_are_internal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
