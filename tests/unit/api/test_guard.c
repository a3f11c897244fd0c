/* What guards the doors: bounded tables, places, passwords, lockout, rate limits. */
#include "tests/unit/common/test.h"

#include "common/base/clock.h"
#include "common/base/error.h"
#include "services/api/limit.h"
#include "services/api/lockout.h"
#include "services/api/password.h"
#include "services/api/slots.h"
#include "services/api/table.h"

#include <pthread.h>
#include <stdlib.h>

static uint64_t now_ms = 1000000;
static uint64_t mono_us(void)
{
    return now_ms * 1000;
}
static uint64_t wall_ms(void)
{
    return now_ms;
}

static int frozen_clock(void **state)
{
    (void)state;
    pgn_clock_set(mono_us, wall_ms);
    return 0;
}

static int real_clock(void **state)
{
    (void)state;
    pgn_clock_set(NULL, NULL);
    return 0;
}

static void tables_forget_the_least_recently_used(void **state)
{
    (void)state;
    struct api_table *t = api_table_new(3, sizeof(int));
    api_table_lock(t);
    *(int *)api_table_make(t, "a", 1) = 1;
    *(int *)api_table_make(t, "b", 1) = 2;
    *(int *)api_table_make(t, "c", 1) = 3;
    assert_int_equal(*(int *)api_table_find(t, "a", 1), 1); /* used */
    assert_int_equal(*(int *)api_table_make(t, "d", 1), 0);
    assert_null(api_table_find(t, "b", 1));
    assert_non_null(api_table_find(t, "a", 1));
    assert_int_equal(api_table_count(t), 3);
    api_table_drop(t, "a", 1);
    api_table_drop(t, "a", 1);
    assert_int_equal(api_table_count(t), 2);
    api_table_unlock(t);
    api_table_free(&t);
    api_table_free(&t);
}

/* ---- places ---- */

struct waiter {
    struct api_slots *slots;
    int result;
};

static void *wait_for_place(void *arg)
{
    struct waiter *w = arg;
    w->result = api_slots_take(w->slots, 10000);
    return NULL;
}

static void places_are_bounded_and_so_is_the_queue(void **state)
{
    (void)state;
    struct api_slots *s = api_slots_new(1, 1);
    struct waiter w = {s, -1};
    pthread_t thread;
    assert_int_equal(api_slots_take(s, 0), 0);
    assert_int_equal(api_slots_take(s, 1), PGN_E_OVERLOADED); /* waits a moment, in vain */
    assert_int_equal(pthread_create(&thread, NULL, wait_for_place, &w), 0);
    while (!api_slots_waiting(s))
        sched_yield();
    assert_int_equal(api_slots_take(s, 10000), PGN_E_OVERLOADED); /* the queue is full: at once */
    api_slots_give(s);
    pthread_join(thread, NULL);
    assert_int_equal(w.result, 0);
    api_slots_give(s);
    assert_int_equal(api_slots_take(s, 0), 0);
    api_slots_free(&s);
}

/* ---- passwords ---- */

static void passwords_are_checked(void **state)
{
    (void)state;
    struct api_passwords *p = api_passwords_new(1, 64, 4);
    char hash[API_HASH_MAX], again[API_HASH_MAX];
    assert_int_equal(api_password_hash(p, "correct horse", hash), 0);
    assert_int_equal(api_password_hash(p, "correct horse", again), 0);
    assert_string_not_equal(hash, again); /* salted */
    assert_int_equal(strncmp(hash, "$argon2id$", 10), 0);
    assert_int_equal(api_password_verify(p, hash, "correct horse"), 0);
    assert_int_equal(api_password_verify(p, hash, "correct hors"), PGN_E_UNAUTHENTICATED);
    assert_int_equal(api_password_verify(p, NULL, "correct horse"), PGN_E_UNAUTHENTICATED);
    assert_int_equal(api_password_verify(p, "", ""), PGN_E_UNAUTHENTICATED);
    assert_int_equal(api_password_verify(p, "$argon2id$broken", "x"), PGN_E_UNAUTHENTICATED);
    api_passwords_free(&p);
}

static void weak_passwords_are_refused(void **state)
{
    char lengthy[1100];
    (void)state;
    memset(lengthy, 'x', sizeof lengthy);
    lengthy[1025] = 0;
    assert_non_null(api_password_problem("alice", "1234567"));
    assert_non_null(api_password_problem("alicealice", "alicealice"));
    assert_non_null(api_password_problem("alice", lengthy));
    assert_null(api_password_problem("alice", "12345678"));
}

static void one_time_passwords_differ(void **state)
{
    char a[API_ONE_TIME_LEN + 1], b[API_ONE_TIME_LEN + 1];
    (void)state;
    api_password_one_time(a);
    api_password_one_time(b);
    assert_int_equal(strlen(a), API_ONE_TIME_LEN);
    assert_string_not_equal(a, b);
    assert_null(api_password_problem("alice", a));
}

/* ---- lockout ---- */

static struct api_lockout *lockout_of_three(void)
{
    return api_lockout_new(&(struct api_lockout_options){.failures = 3, .window_ms = 60000});
}

/* One attempt from there that ends so; false: it was not let in. */
static bool attempt(struct api_lockout *l, const char *user, const char *address, enum api_lockout_end end, uint64_t *ret_wait)
{
    if (!api_lockout_enter(l, user, address, ret_wait))
        return false;
    api_lockout_leave(l, user, address, end);
    return true;
}

static void accounts_are_locked_for_a_while(void **state)
{
    uint64_t wait = 0;
    (void)state;
    struct api_lockout *l = lockout_of_three();
    for (int i = 0; i < 3; i++) {
        assert_true(attempt(l, "alice", "10.0.0.1", API_LOCKOUT_WRONG, &wait));
        now_ms += 1000;
    }
    assert_false(attempt(l, "alice", "10.0.0.1", API_LOCKOUT_WRONG, &wait));
    assert_int_equal(wait, 57000);
    assert_false(attempt(l, "alice", "10.0.0.2", API_LOCKOUT_RIGHT, &wait)); /* from anywhere, even with the right one */
    assert_true(attempt(l, "bob", "10.0.0.1", API_LOCKOUT_WRONG, &wait));
    now_ms += 57000;
    assert_true(attempt(l, "alice", "10.0.0.1", API_LOCKOUT_WRONG, &wait));
    api_lockout_free(&l);
}

static void a_right_password_forgives(void **state)
{
    uint64_t wait = 0;
    (void)state;
    struct api_lockout *l = lockout_of_three();
    for (int i = 0; i < 3; i++) {
        assert_true(attempt(l, "alice", "10.0.0.1", API_LOCKOUT_WRONG, &wait));
        assert_true(attempt(l, "alice", "10.0.0.1", API_LOCKOUT_WRONG, &wait));
        assert_true(attempt(l, "alice", "10.0.0.1", API_LOCKOUT_RIGHT, &wait));
    }
    for (int i = 0; i < 100; i++) /* nobody looked at the password: it counts nowhere */
        assert_true(attempt(l, "alice", "10.0.0.1", API_LOCKOUT_UNKNOWN, &wait));
    api_lockout_free(&l);
}

static void addresses_are_locked_over_many_accounts(void **state)
{
    uint64_t wait = 0;
    char user[16];
    (void)state;
    struct api_lockout *l = lockout_of_three();
    for (int i = 0; i < 30; i++) {
        snprintf(user, sizeof user, "user%d", i);
        assert_true(attempt(l, user, "10.0.0.1", API_LOCKOUT_WRONG, &wait));
    }
    assert_false(attempt(l, "someone", "10.0.0.1", API_LOCKOUT_RIGHT, &wait));
    assert_true(attempt(l, "someone", "10.0.0.2", API_LOCKOUT_RIGHT, &wait));
    api_lockout_free(&l);
}

/* Guesses whose answers are all still being computed. */
static void guesses_side_by_side_do_not_pass_together(void **state)
{
    uint64_t wait = 0;
    (void)state;
    struct api_lockout *l = lockout_of_three();
    for (int i = 0; i < 3; i++)
        assert_true(api_lockout_enter(l, "alice", "10.0.0.1", &wait));
    for (int i = 0; i < 50; i++)
        assert_false(api_lockout_enter(l, "alice", "10.0.0.2", &wait));
    for (int i = 0; i < 3; i++)
        api_lockout_leave(l, "alice", "10.0.0.1", API_LOCKOUT_UNKNOWN);
    assert_true(api_lockout_enter(l, "alice", "10.0.0.1", &wait));
    api_lockout_free(&l);
}

/* ---- rates ---- */

static void buckets_fill_by_the_clock(void **state)
{
    struct pgn_config config = {
        .limits_address_connects_s = 100,
        .limits_user_ops_s = 2,
        .limits_user_ops_burst = 3,
        .limits_user_messages_s = 1,
        .limits_user_messages_burst = 1,
    };
    uint64_t wait = 0;
    (void)state;
    struct api_limits *l = api_limits_new(&config);
    for (int i = 0; i < 3; i++)
        assert_true(api_limit_take(l, API_LIMIT_OPS, "alice", &wait));
    assert_false(api_limit_take(l, API_LIMIT_OPS, "alice", &wait));
    assert_in_range(wait, 1, 500);
    assert_true(api_limit_take(l, API_LIMIT_OPS, "bob", &wait));
    assert_true(api_limit_take(l, API_LIMIT_MESSAGES, "alice", &wait)); /* buckets of its own */
    now_ms += wait;
    assert_true(api_limit_take(l, API_LIMIT_OPS, "alice", &wait));
    assert_false(api_limit_take(l, API_LIMIT_OPS, "alice", &wait));
    api_limits_free(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables_forget_the_least_recently_used),
        cmocka_unit_test(places_are_bounded_and_so_is_the_queue),
        cmocka_unit_test(passwords_are_checked),
        cmocka_unit_test(weak_passwords_are_refused),
        cmocka_unit_test(one_time_passwords_differ),
        cmocka_unit_test_setup_teardown(accounts_are_locked_for_a_while, frozen_clock, real_clock),
        cmocka_unit_test_setup_teardown(a_right_password_forgives, frozen_clock, real_clock),
        cmocka_unit_test_setup_teardown(addresses_are_locked_over_many_accounts, frozen_clock, real_clock),
        cmocka_unit_test_setup_teardown(guesses_side_by_side_do_not_pass_together, frozen_clock, real_clock),
        cmocka_unit_test_setup_teardown(buckets_fill_by_the_clock, frozen_clock, real_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
