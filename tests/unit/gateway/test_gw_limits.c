/* Limits of addresses, of users, of load. */
#include "services/gateway/gw_limits.h"

#include "common/base/clock.h"
#include "services/gateway/gateway.h"
#include "services/gateway/gw_user.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const void *key_of(const void *value, size_t *ret_len)
{
    const struct gw_address *a = value;
    *ret_len = strlen(a->text);
    return a->text;
}

static const void *user_of(const void *value, size_t *ret_len)
{
    const struct gw_spent *s = value;
    *ret_len = strlen(s->user);
    return s->user;
}

static void test_addresses(void **state)
{
    (void)state;
    struct pgn_config config = {.limits_address_connects_s = 10, .limits_address_unauthenticated = 3};
    struct pgn_loop *loop = pgn_loop_new();
    struct gateway *gw = calloc(1, sizeof *gw);
    gw->config = &config;
    gw->loop = loop;
    gw->addresses = pgn_map_new(key_of);
    gw->spent = pgn_map_new(user_of);
    struct gw_address *a = gw_address_get(gw, "192.0.2.1"), *other = gw_address_get(gw, "192.0.2.2");
    assert_ptr_equal(gw_address_get(gw, "192.0.2.1"), a);
    assert_non_null(gw_address_get(gw, "127.0.0.1"));
    uint64_t now = pgn_loop_now_ms(loop);
    for (int i = 0; i < 3; i++)
        assert_int_equal(gw_address_enter(a, now), 0);
    assert_true(gw_address_enter(a, now) > 0); /* three wait already */
    assert_int_equal(gw_address_enter(other, now), 0);
    for (int i = 0; i < 7; i++) {
        struct gw_address *gone = a;
        gw_address_leave(&gone);
        assert_null(gone);
        assert_int_equal(gw_address_enter(a, now), 0);
    }
    struct gw_address *gone = a;
    gw_address_leave(&gone);
    assert_true(gw_address_enter(a, now) > 0); /* ten in this second */
    gw_limits_sweep(gw);
    assert_ptr_equal(pgn_map_get_str(gw->addresses, "192.0.2.1"), a); /* still in use */
    assert_null(pgn_map_get_str(gw->addresses, "127.0.0.1"));
    free(a);
    free(other);
    pgn_map_free(&gw->addresses);
    pgn_map_free(&gw->spent);
    free(gw);
    pgn_loop_free(&loop);
}

/* An IPv6 host counts by its network of 64 bits, else it would have 2^64 names; IPv4 in IPv6's form by all of it. */
static void test_networks(void **state)
{
    (void)state;
    struct pgn_config config = {.limits_address_connects_s = 10, .limits_address_unauthenticated = 3};
    struct gateway *gw = calloc(1, sizeof *gw);
    gw->config = &config;
    gw->addresses = pgn_map_new(key_of);
    struct gw_address *a = gw_address_get(gw, "2001:db8:1:2::1");
    assert_string_equal(a->text, "2001:db8:1:2::");
    assert_ptr_equal(gw_address_get(gw, "2001:DB8:1:2:ffff:ffff:ffff:ffff"), a);
    assert_ptr_not_equal(gw_address_get(gw, "2001:db8:1:3::1"), a);
    assert_ptr_not_equal(gw_address_get(gw, "::ffff:192.0.2.1"), gw_address_get(gw, "::ffff:192.0.2.2"));
    assert_string_equal(gw_address_get(gw, "?")->text, "?");
    assert_int_equal(pgn_map_count(gw->addresses), 5);
    for (size_t it = 0; (a = pgn_map_next(gw->addresses, &it)) != NULL;)
        free(a);
    pgn_map_free(&gw->addresses);
    free(gw);
}

static uint64_t now_us;
static uint64_t stopped_clock(void)
{
    return now_us;
}

/* A user who goes and comes back has the rates that he had; they are forgotten when they are whole again. */
static void test_rates_outlive_sessions(void **state)
{
    (void)state;
    struct pgn_config config = {
        .limits_user_messages_s = 10, .limits_user_messages_burst = 20, .limits_user_ops_s = 10, .limits_user_ops_burst = 30};
    now_us = 1000000000;
    pgn_clock_set(stopped_clock, NULL);
    struct gateway *gw = calloc(1, sizeof *gw);
    gw->config = &config;
    gw->loop = pgn_loop_new();
    gw->addresses = pgn_map_new(key_of);
    gw->spent = pgn_map_new(user_of);
    struct gw_user alice = {.gw = gw, .id = "alice"}, again = alice, bob = {.gw = gw, .id = "bob"};
    uint64_t now = pgn_loop_now_ms(gw->loop);
    for (int i = 0; i < 20; i++)
        assert_int_equal(gw_limits_message(&alice, now), 0);
    gw_limits_keep(&alice, now);
    gw_limits_keep(&bob, now); /* nothing to be kept */
    assert_int_equal(pgn_map_count(gw->spent), 1);
    gw_limits_resume(&bob);
    assert_int_equal(gw_limits_message(&bob, now), 0);
    gw_limits_resume(&again);
    assert_int_equal(pgn_map_count(gw->spent), 0);
    assert_true(gw_limits_message(&again, now) > 0);
    assert_int_equal(gw_limits_op(&again, now), 0);
    gw_limits_keep(&again, now);
    gw_limits_sweep(gw);
    assert_int_equal(pgn_map_count(gw->spent), 1);
    now_us += 2000000; /* at ten a second all twenty are back */
    pgn_loop_turn(gw->loop, 0);
    gw_limits_sweep(gw);
    assert_int_equal(pgn_map_count(gw->spent), 0);
    pgn_clock_set(NULL, NULL);
    pgn_map_free(&gw->addresses);
    pgn_map_free(&gw->spent);
    pgn_loop_free(&gw->loop);
    free(gw);
}

static void test_levels(void **state)
{
    (void)state;
    assert_int_equal(gw_limits_level(0), GW_LOAD_NONE);
    assert_int_equal(gw_limits_level(300), GW_LOAD_LOGINS);
    assert_int_equal(gw_limits_level(500), GW_LOAD_HISTORY);
    assert_int_equal(gw_limits_level(800), GW_LOAD_PRESENCE);
    assert_int_equal(gw_limits_level(1000), GW_LOAD_MESSAGES);
    assert_in_range(gw_limits_retry_ms(GW_LOAD_LOGINS), 1000, 2000);
    assert_in_range(gw_limits_retry_ms(GW_LOAD_MESSAGES), 8000, 16000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_networks),
        cmocka_unit_test(test_rates_outlive_sessions),
        cmocka_unit_test(test_levels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
