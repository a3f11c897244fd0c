/* The cache: loads, waiting, news, age, size; storage is a list of requests that the test answers. */
#include "tests/unit/common/test.h"

#include "common/base/clock.h"
#include "services/message/msg_policies.h"

#define GROUP "cabcdefghijklmnop"

enum { LOADS = 64, LARGE = 10000 };
static struct {
    struct msg_load *load;
    char convs[16][80];
    size_t count;
} asked[LOADS];
static size_t asked_count, next_answer;
static struct pgn_loop *loop;
static struct msg_policies *cache;
static uint64_t now_us = 1000000;
static int ready_count;
static size_t members; /* of each group that is answered */

static uint64_t mono(void)
{
    return now_us;
}

static void load(void *ctx, struct msg_load *l, char **convs, size_t count)
{
    (void)ctx;
    assert_true(asked_count < LOADS && count <= 16);
    asked[asked_count].load = l;
    asked[asked_count].count = count;
    for (size_t i = 0; i < count; i++)
        snprintf(asked[asked_count].convs[i], sizeof asked[0].convs[0], "%s", convs[i]);
    asked_count++;
}

static void on_ready(struct msg_waiter *w)
{
    (void)w;
    ready_count++;
}

static int setup_limit(size_t limit)
{
    struct msg_policies_options o = {.limit = limit, .group_members = 100, .load = load};
    asked_count = next_answer = members = 0;
    ready_count = 0;
    pgn_clock_set(mono, NULL);
    loop = o.loop = pgn_loop_new();
    cache = msg_policies_new(&o);
    return 0;
}

static int setup(void **state)
{
    (void)state;
    return setup_limit(100);
}

static int teardown(void **state)
{
    (void)state;
    while (next_answer < asked_count)
        msg_policies_load_failed(cache, asked[next_answer++].load);
    msg_policies_free(&cache);
    pgn_loop_free(&loop);
    pgn_clock_set(NULL, NULL);
    return 0;
}

/* Answers the oldest request: every conversation found, with this version, `known` of them. */
static void answer(const char *epoch, uint64_t version, size_t known)
{
    Pigeon__PolicyList list = PIGEON__POLICY_LIST__INIT;
    Pigeon__Policy policies[16], *pointers[16];
    static Pigeon__PolicyMember rows[LARGE], *row_pointers[LARGE];
    static char names[LARGE][24];
    char e[32];
    for (size_t i = 0; i < members; i++) {
        pigeon__policy_member__init(&rows[i]);
        snprintf(names[i], sizeof names[i], "u%zu", i);
        rows[i].user = names[i];
        row_pointers[i] = &rows[i];
    }
    assert_true(next_answer < asked_count);
    size_t n = asked[next_answer].count < known ? asked[next_answer].count : known;
    snprintf(e, sizeof e, "%s", epoch);
    for (size_t i = 0; i < n; i++) {
        pigeon__policy__init(&policies[i]);
        policies[i].conv = asked[next_answer].convs[i];
        policies[i].found = true;
        policies[i].kind = policies[i].conv[0] == 'd' ? PIGEON__CONV_KIND__direct : PIGEON__CONV_KIND__group;
        policies[i].version = version;
        policies[i].members = row_pointers;
        policies[i].n_members = members;
        pointers[i] = &policies[i];
    }
    list.policies = pointers;
    list.n_policies = n;
    list.epoch = e;
    msg_policies_loaded(cache, asked[next_answer++].load, &list);
}

static void changed(const char *conv, uint64_t version, const char *epoch)
{
    Pigeon__PolicyChanged news = PIGEON__POLICY_CHANGED__INIT;
    Pigeon__Changed one = PIGEON__CHANGED__INIT, *list = &one;
    char c[80], e[32];
    snprintf(c, sizeof c, "%s", conv);
    snprintf(e, sizeof e, "%s", epoch);
    one.conv = c;
    one.version = version;
    news.convs = &list;
    news.n_convs = 1;
    news.epoch = e;
    msg_policies_changed(cache, &news);
}

static struct msg_waiter waiter = {.ready = on_ready};

static void want(struct msg_want *w, const char *conv)
{
    msg_policies_want(cache, conv, &waiter, w);
    msg_policies_flush(cache);
}

static void fill(const char *conv, uint64_t version)
{
    struct msg_want w = {0};
    want(&w, conv);
    answer("e1", version, 16);
    assert_non_null(w.policy);
    msg_want_release(&w);
}

static void test_one_request_for_all_that_is_missing(void **state)
{
    struct msg_want w[4] = {0};
    (void)state;
    msg_policies_want(cache, "d:a:b", &waiter, &w[0]);
    msg_policies_want(cache, GROUP, &waiter, &w[1]);
    msg_policies_want(cache, "d:a:b", &waiter, &w[2]);
    msg_policies_flush(cache);
    assert_int_equal(asked_count, 1);
    assert_int_equal(asked[0].count, 2);
    want(&w[3], GROUP); /* on its way already */
    assert_int_equal(asked_count, 1);
    assert_int_equal(waiter.missing, 4);
    answer("e1", 1, 16);
    assert_int_equal(waiter.missing, 0);
    assert_int_equal(ready_count, 1);
    assert_ptr_equal(w[0].policy, w[2].policy);
    assert_ptr_equal(w[0].policy, msg_policies_get(cache, "d:a:b"));
    for (int i = 0; i < 4; i++)
        msg_want_release(&w[i]);
}

static void test_short_answers_are_asked_on(void **state)
{
    struct msg_want w[2] = {0};
    (void)state;
    msg_policies_want(cache, "d:a:b", &waiter, &w[0]);
    msg_policies_want(cache, "d:a:c", &waiter, &w[1]);
    msg_policies_flush(cache);
    answer("e1", 1, 1);
    assert_int_equal(asked_count, 2);
    assert_int_equal(asked[1].count, 1);
    answer("e1", 1, 1);
    assert_int_equal(ready_count, 1);
    msg_want_release(&w[0]);
    msg_want_release(&w[1]);
}

static void test_a_failed_load_is_tried_again_while_somebody_waits(void **state)
{
    struct msg_want w = {0};
    (void)state;
    want(&w, GROUP);
    msg_policies_load_failed(cache, asked[next_answer++].load);
    pgn_loop_turn(loop, 0);
    assert_int_equal(asked_count, 1); /* not at once */
    for (int i = 0; i < 100 && asked_count < 2; i++) {
        now_us += 10000;
        pgn_loop_turn(loop, 0);
    }
    assert_int_equal(asked_count, 2);
    msg_want_release(&w); /* nobody waits any more */
    msg_policies_load_failed(cache, asked[next_answer++].load);
    for (int i = 0; i < 100; i++) {
        now_us += 10000;
        pgn_loop_turn(loop, 0);
    }
    assert_int_equal(asked_count, 2);
    assert_int_equal(waiter.missing, 0);
}

static void test_news_drop_what_is_older(void **state)
{
    (void)state;
    fill(GROUP, 5);
    changed(GROUP, 4, "e1");
    assert_non_null(msg_policies_get(cache, GROUP));
    changed(GROUP, 6, "e1");
    assert_null(msg_policies_get(cache, GROUP));
}

static void test_news_while_loading_make_it_load_again(void **state)
{
    struct msg_want w = {0};
    (void)state;
    want(&w, GROUP);
    changed(GROUP, 7, "");
    answer("e1", 6, 16); /* read before the change */
    assert_null(w.policy);
    assert_int_equal(asked_count, 2);
    answer("e1", 7, 16);
    assert_non_null(w.policy);
    assert_int_equal(w.policy->version, 7);
    msg_want_release(&w);
}

static void test_another_epoch_drops_everything(void **state)
{
    (void)state;
    fill(GROUP, 1);
    fill("d:a:b", 1);
    msg_policies_epoch(cache, "e1");
    assert_int_equal(msg_policies_count(cache), 2);
    msg_policies_epoch(cache, "e2");
    assert_int_equal(msg_policies_count(cache), 0);
}

static void test_dropped_while_loading(void **state)
{
    struct msg_want w = {0};
    (void)state;
    want(&w, GROUP);
    msg_policies_drop_all(cache);
    answer("e1", 1, 16);
    assert_int_equal(asked_count, 2);
    answer("e1", 1, 16);
    assert_non_null(w.policy);
    msg_want_release(&w);
}

static void test_age(void **state)
{
    (void)state;
    fill(GROUP, 1);
    now_us += (MSG_POLICY_AGE_MS + 1000) * 1000ull;
    pgn_loop_turn(loop, 0);
    assert_null(msg_policies_get(cache, GROUP));
}

static void test_least_recently_used_goes(void **state)
{
    (void)state;
    teardown(state);
    setup_limit(3);
    fill("d:a:b", 1);
    fill("d:a:c", 1);
    fill("d:a:d", 1);
    assert_non_null(msg_policies_get(cache, "d:a:b"));
    fill("d:a:e", 1);
    assert_int_equal(msg_policies_count(cache), 3);
    assert_null(msg_policies_get(cache, "d:a:c"));
    assert_non_null(msg_policies_get(cache, "d:a:b"));
}

static void test_a_reference_outlives_the_cache(void **state)
{
    struct msg_want w = {0};
    (void)state;
    want(&w, GROUP);
    answer("e1", 9, 16);
    msg_policies_drop(cache, GROUP);
    assert_null(msg_policies_get(cache, GROUP));
    assert_int_equal(w.policy->version, 9);
    msg_want_release(&w);
}

static void pass(uint64_t ms)
{
    for (uint64_t i = 0; i < ms; i++) {
        now_us += 1000;
        pgn_loop_turn(loop, 0);
    }
}

/* Wants what is remembered as it is now. */
static void renew(struct msg_want *w)
{
    msg_policies_renew(cache, msg_policies_get(cache, GROUP), &waiter, w);
    msg_policies_flush(cache);
}

static void test_a_renewal_leaves_what_is_there(void **state)
{
    struct msg_want w = {0};
    (void)state;
    fill(GROUP, 1);
    renew(&w);
    assert_int_equal(asked_count, 2); /* a small group: at once */
    assert_int_equal(msg_policies_get(cache, GROUP)->version, 1);
    answer("e1", 2, 16);
    assert_int_equal(w.policy->version, 2);
    assert_ptr_equal(msg_policies_get(cache, GROUP), w.policy);
    assert_true(w.policy->asked > 1);
    msg_want_release(&w);
}

static void test_renewals_of_a_large_group_are_rare(void **state)
{
    struct msg_want w = {0};
    uint64_t begin = now_us;
    (void)state;
    teardown(state);
    setup_limit(1000);
    members = LARGE;
    fill(GROUP, 1);
    while (now_us - begin < 1000000) {
        renew(&w);
        pass(1);
        if (next_answer < asked_count)
            answer("e1", 1, 16);
        msg_want_release(&w);
    }
    assert_in_range(asked_count, 8, 11); /* one in 100 ms */
}

static void test_nobody_waits_for_a_renewal(void **state)
{
    struct msg_want w[2] = {0};
    (void)state;
    teardown(state);
    setup_limit(1000);
    members = LARGE;
    fill(GROUP, 1);
    renew(&w[0]);
    pass(10);
    assert_int_equal(asked_count, 1);
    changed(GROUP, 2, "e1");
    want(&w[1], GROUP); /* has none to go on with */
    assert_int_equal(asked_count, 2);
    answer("e1", 2, 16);
    assert_ptr_equal(w[0].policy, w[1].policy);
    msg_want_release(&w[0]);
    msg_want_release(&w[1]);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_one_request_for_all_that_is_missing),
        T(test_short_answers_are_asked_on),
        T(test_a_failed_load_is_tried_again_while_somebody_waits),
        T(test_news_drop_what_is_older),
        T(test_news_while_loading_make_it_load_again),
        T(test_another_epoch_drops_everything),
        T(test_dropped_while_loading),
        T(test_age),
        T(test_least_recently_used_goes),
        T(test_a_reference_outlives_the_cache),
        T(test_a_renewal_leaves_what_is_there),
        T(test_renewals_of_a_large_group_are_rare),
        T(test_nobody_waits_for_a_renewal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
