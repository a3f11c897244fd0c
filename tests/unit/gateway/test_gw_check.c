/* The form of operations: each field that is wrong is named. */
#include "services/gateway/gw_check.h"

#include "common/base/error.h"
#include "common/proto/json_map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct gw_check_limits limits = {.body_bytes = 100, .watch_users = 3};

/* Checks a frame in JSON; "" or what is wrong with it. */
static const char *check(const char *json, int *ret_error)
{
    static char problem[GW_PROBLEM_BYTES];
    struct pgn_arena *arena = pgn_arena_new(4096);
    ProtobufCMessage *m = NULL;
    assert_int_equal(pgn_json_decode(json, strlen(json), &pigeon__client_frame__descriptor, arena, &m, problem, sizeof problem), 0);
    problem[0] = 0;
    *ret_error = gw_check_frame((const Pigeon__ClientFrame *)m, &limits, problem);
    pgn_arena_free(&arena);
    return problem;
}

static void test_good_ones(void **state)
{
    (void)state;
    static const char *const good[] = {
        "{\"send\":{\"to\":{\"user\":\"bob\"},\"client_id\":\"a\",\"body\":{\"text\":\"x\"}}}",
        "{\"send\":{\"to\":{\"conv\":\"d:alice:bob\"},\"client_id\":\"a\",\"kind\":\"text\",\"body\":{\"text\":\"x\"},\"mentions\":["
        "\"all\",\"bob\"]}}",
        "{\"send\":{\"to\":{\"conv\":\"c234567abcdefghij\"},\"client_id\":\"a\",\"kind\":\"image\",\"body\":{\"text\":\"caption\",\"file\":"
        "{\"file_id\":\"f1\"}}}}",
        "{\"send\":{\"to\":{\"user\":\"bob\"},\"client_id\":\"a\",\"kind\":\"location\",\"body\":{\"location\":{\"latitude\":-90,"
        "\"longitude\":180}}}}",
        "{\"fetch\":{\"conv\":\"d:alice:bob\"}}",
        "{\"sync\":{}}",
        "{\"mark\":{\"conv\":\"d:alice:bob\",\"read\":1}}",
        "{\"watch\":{\"users\":[\"a\",\"b\",\"c\"]}}",
        "{\"create\":{\"title\":\"t\",\"members\":[\"a\",\"b\"]}}",
        "{\"mute\":{\"conv\":\"c234567abcdefghij\",\"seconds\":5}}",
        "{\"ping\":{}}",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        int error;
        const char *problem = check(good[i], &error);
        if (error)
            fail_msg("%s: %s", good[i], problem);
    }
}

static void test_bad_ones_name_the_field(void **state)
{
    (void)state;
    static const struct {
        const char *json, *field;
        int error;
    } bad[] = {
        {"{}", "frame", PGN_E_INVALID},
        {"{\"hello\":{\"token\":\"t\"}}", "hello", PGN_E_INVALID},
        {"{\"send\":{\"client_id\":\"a\",\"body\":{\"text\":\"x\"}}}", "to", PGN_E_INVALID},
        {"{\"send\":{\"to\":{},\"client_id\":\"a\",\"body\":{\"text\":\"x\"}}}", "to", PGN_E_INVALID},
        {"{\"send\":{\"to\":{\"user\":\"a.b\"},\"client_id\":\"a\",\"body\":{\"text\":\"x\"}}}", "to.user", PGN_E_INVALID},
        {"{\"send\":{\"to\":{\"user\":\"\"},\"client_id\":\"a\",\"body\":{\"text\":\"x\"}}}", "to.user", PGN_E_INVALID},
        {"{\"send\":{\"to\":{\"conv\":\"d:bob:alice\"},\"client_id\":\"a\",\"body\":{\"text\":\"x\"}}}", "to.conv", PGN_E_INVALID},
        {"{\"send\":{\"to\":{\"conv\":\"c>\"},\"client_id\":\"a\",\"body\":{\"text\":\"x\"}}}", "to.conv", PGN_E_INVALID},
        {"{\"send\":{\"to\":{\"user\":\"bob\"},\"body\":{\"text\":\"x\"}}}", "client_id", PGN_E_INVALID},
        {"{\"send\":{\"to\":{\"user\":\"bob\"},\"client_id\":\"a b\",\"body\":{\"text\":\"x\"}}}", "client_id", PGN_E_INVALID},
        {"{\"send\":{\"to\":{\"user\":\"bob\"},\"client_id\":\"a\"}}", "body", PGN_E_INVALID},
        {"{\"send\":{\"to\":{\"user\":\"bob\"},\"client_id\":\"a\",\"body\":{}}}", "body.text", PGN_E_INVALID},
        {"{\"send\":{\"to\":{\"user\":\"bob\"},\"client_id\":\"a\",\"kind\":\"file\",\"body\":{\"text\":\"x\"}}}", "body.file.file_id",
         PGN_E_INVALID},
        {"{\"send\":{\"to\":{\"user\":\"bob\"},\"client_id\":\"a\",\"kind\":\"location\",\"body\":{\"location\":{\"latitude\":91}}}}",
         "body.location", PGN_E_INVALID},
        {"{\"send\":{\"to\":{\"user\":\"bob\"},\"client_id\":\"a\",\"kind\":\"operation\",\"body\":{\"text\":\"x\"}}}", "kind",
         PGN_E_INVALID},
        {"{\"send\":{\"to\":{\"user\":\"bob\"},\"client_id\":\"a\",\"body\":{\"text\":\"x\",\"operation\":{\"op\":\"recall\"}}}}",
         "body.operation", PGN_E_INVALID},
        {"{\"send\":{\"to\":{\"user\":\"bob\"},\"client_id\":\"a\",\"body\":{\"text\":\"x\"},\"mentions\":[\"No One\"]}}", "mentions",
         PGN_E_INVALID},
        {"{\"send\":{\"to\":{\"user\":\"bob\"},\"client_id\":\"a\",\"body\":{\"text\":"
         "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}}}",
         "body", PGN_E_TOO_LARGE},
        {"{\"fetch\":{}}", "conv", PGN_E_INVALID},
        {"{\"fetch\":{\"conv\":\"d:alice:bob\",\"after\":1,\"before\":9}}", "before", PGN_E_INVALID},
        {"{\"fetch\":{\"conv\":\"d:alice:bob\",\"after\":1,\"since\":\"9\"}}", "since", PGN_E_INVALID},
        {"{\"mark\":{\"conv\":\"d:alice:bob\"}}", "read", PGN_E_INVALID},
        {"{\"recall\":{\"conv\":\"d:alice:bob\"}}", "seq", PGN_E_INVALID},
        {"{\"edit\":{\"conv\":\"d:alice:bob\",\"seq\":1}}", "body", PGN_E_INVALID},
        {"{\"react\":{\"conv\":\"d:alice:bob\",\"seq\":1}}", "emoji", PGN_E_INVALID},
        {"{\"watch\":{}}", "users", PGN_E_INVALID},
        {"{\"watch\":{\"users\":[\"a\",\"b\",\"c\",\"d\"]}}", "users", PGN_E_INVALID},
        {"{\"watch\":{\"users\":[\"a\",\"*\"]}}", "users[1]", PGN_E_INVALID},
        {"{\"create\":{\"kind\":\"direct\"}}", "kind", PGN_E_INVALID},
        {"{\"invite\":{\"conv\":\"c234567abcdefghij\"}}", "users", PGN_E_INVALID},
        {"{\"kick\":{\"conv\":\"c234567abcdefghij\"}}", "user", PGN_E_INVALID},
        {"{\"typing\":{\"conv\":\"x\"}}", "conv", PGN_E_INVALID},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char wanted[64];
        int error;
        const char *problem = check(bad[i].json, &error);
        snprintf(wanted, sizeof wanted, "%s: ", bad[i].field);
        if (error != bad[i].error || strncmp(problem, wanted, strlen(wanted)) != 0)
            fail_msg("%s: error %d, %s", bad[i].json, error, problem);
    }
}

static void test_numbers_that_are_no_words(void **state)
{
    (void)state;
    char problem[GW_PROBLEM_BYTES], id[] = "a", user[] = "bob", text[] = "x";
    Pigeon__ClientFrame f = PIGEON__CLIENT_FRAME__INIT;
    Pigeon__Send s = PIGEON__SEND__INIT;
    Pigeon__Target t = PIGEON__TARGET__INIT;
    Pigeon__Body b = PIGEON__BODY__INIT;
    f.op_case = PIGEON__CLIENT_FRAME__OP_SEND;
    f.send = &s;
    s.to = &t;
    s.client_id = id;
    s.body = &b;
    s.kind = (Pigeon__Kind)77; /* protobuf lets any number through */
    t.to_case = PIGEON__TARGET__TO_USER;
    t.user = user;
    b.text = text;
    assert_int_equal(gw_check_frame(&f, &limits, problem), PGN_E_INVALID);
    assert_string_equal(problem, "kind: unknown");
    f.op_case = (Pigeon__ClientFrame__OpCase)99;
    assert_int_equal(gw_check_frame(&f, &limits, problem), PGN_E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_ones),
        cmocka_unit_test(test_bad_ones_name_the_field),
        cmocka_unit_test(test_numbers_that_are_no_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
