/* Partitions: order, one batch in flight, repeats, stale items, doubt, bounds. */
#include "services/gateway/gw_part.h"

#include "common/base/alloc.h"
#include "common/base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What the partition did, as text: "send a b; " for a batch of the items a and b, "ok a; ", "forbidden b; ". */
static char happened[16384];
static int publish_error;
static uint64_t last_batch;
static struct pgn_arena *arena;
static struct gw_part part;

static void note(const char *a, const char *b)
{
    strcat(strcat(happened, a), b);
}

static int publish(void *ctx, const struct pgn_buf *batch)
{
    (void)ctx;
    if (publish_error)
        return publish_error;
    Pigeon__Batch *b = PGN_PB_UNPACK(Pigeon__Batch, pigeon__batch, arena, batch->data, batch->len);
    assert_non_null(b);
    last_batch = b->batch;
    note("send", "");
    for (size_t i = 0; i < b->n_items; i++) {
        assert_true(b->items[i]->index > 0);
        note(" ", b->items[i]->send->client_id);
    }
    note("; ", "");
    return 0;
}

static void answer_take(void *ctx, struct gw_item *item, int error, const char *text, uint64_t retry_after_ms,
                        const Pigeon__ItemResult *result)
{
    (void)ctx;
    (void)text;
    (void)retry_after_ms;
    Pigeon__BatchItem *b = PGN_PB_UNPACK(Pigeon__BatchItem, pigeon__batch_item, arena, item->data, item->len);
    assert_int_equal(error == 0, result != NULL);
    note(error ? pgn_error_info(error)->wire : "ok", " ");
    note(b->send->client_id, "; ");
    free(item);
}

static const struct gw_part_ops part_ops = {publish, answer_take, NULL, NULL, 1000};

static int setup(void **state)
{
    (void)state;
    happened[0] = 0;
    publish_error = 0;
    arena = pgn_arena_new(4096);
    gw_part_init(&part, 7, &part_ops);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    gw_part_release(&part);
    pgn_arena_free(&arena);
    return 0;
}

static int add(const char *name)
{
    char id[16];
    Pigeon__BatchItem b = PIGEON__BATCH_ITEM__INIT;
    Pigeon__Send s = PIGEON__SEND__INIT;
    snprintf(id, sizeof id, "%s", name);
    s.client_id = id;
    b.what_case = PIGEON__BATCH_ITEM__WHAT_SEND;
    b.send = &s;
    struct gw_item *item = gw_item_new(pigeon__batch_item__get_packed_size(&b));
    pigeon__batch_item__pack(&b, item->data);
    item->deadline_ms = 15000;
    int e = gw_part_add(&part, item);
    if (e)
        free(item);
    return e;
}

static void add_all(const char *names)
{
    for (; *names; names++)
        assert_int_equal(add((char[]){*names, 0}), 0);
}

/* Indexes count from 1 in the order of adding. */
static void result(uint64_t batch, uint32_t index, int error, uint64_t now_ms)
{
    Pigeon__ItemResult r = PIGEON__ITEM_RESULT__INIT;
    r.index = index;
    r.error = error;
    gw_part_result(&part, batch, &r, now_ms);
}

static void test_one_batch_in_flight(void **state)
{
    (void)state;
    add_all("ab");
    gw_part_flush(&part, 0);
    add_all("c");
    gw_part_flush(&part, 0);
    result(last_batch, 1, 0, 1);
    gw_part_flush(&part, 1);
    add_all("d");
    result(last_batch, 2, PGN_E_FORBIDDEN, 2);
    gw_part_flush(&part, 2);
    assert_string_equal(happened, "send a b; ok a; forbidden b; send c d; ");
    assert_int_equal(last_batch % GW_PART_MAX, 7);
}

static void test_stale_goes_first_and_in_order(void **state)
{
    (void)state;
    add_all("abc");
    gw_part_flush(&part, 0);
    add_all("d");
    result(last_batch, 3, PGN_E_STALE, 1);
    result(last_batch, 1, PGN_E_STALE, 1);
    gw_part_flush(&part, 1); /* b is still out */
    result(last_batch, 2, 0, 1);
    gw_part_flush(&part, 1);
    assert_string_equal(happened, "send a b c; ok b; send a c d; ");
    result(last_batch, 1, PGN_E_FORBIDDEN, 2); /* not in doubt: nothing was stored */
    assert_non_null(strstr(happened, "forbidden a; "));
}

static void test_stale_has_an_end(void **state)
{
    (void)state;
    add_all("a");
    for (int i = 0; i <= GW_STALE_MAX; i++) {
        gw_part_flush(&part, 0);
        result(last_batch, 1, PGN_E_STALE, 0);
    }
    assert_non_null(strstr(happened, "unavailable a; "));
    assert_true(gw_part_idle(&part));
}

static void test_unanswered_is_sent_again(void **state)
{
    (void)state;
    add_all("abc");
    gw_part_flush(&part, 0);
    uint64_t first = last_batch;
    result(first, 2, 0, 10);
    gw_part_tick(&part, 999);
    add_all("d");
    gw_part_tick(&part, 1000);
    assert_string_equal(happened, "send a b c; ok b; send a c d; ");
    assert_int_not_equal(first, last_batch);
    result(last_batch, 1, 0, 1001);
    result(last_batch, 3, 0, 1001);
    result(last_batch, 4, 0, 1001);
    assert_true(gw_part_idle(&part));
}

static void test_a_late_answer_counts_when_stored(void **state)
{
    (void)state;
    add_all("ab");
    gw_part_flush(&part, 0);
    uint64_t first = last_batch;
    gw_part_tick(&part, 1000);
    result(first, 1, PGN_E_FORBIDDEN, 1001); /* the second try may still store it */
    result(first, 2, 0, 1001);
    result(last_batch, 1, 0, 1002);
    assert_string_equal(happened, "send a b; send a b; ok b; ok a; ");
    result(last_batch, 1, 0, 1002); /* twice: no harm */
    assert_true(gw_part_idle(&part));
}

static void test_a_refusal_in_doubt_is_uncertain(void **state)
{
    (void)state;
    add_all("a");
    gw_part_flush(&part, 0);
    gw_part_tick(&part, 1000);
    result(last_batch, 1, PGN_E_FORBIDDEN, 1001);
    assert_string_equal(happened, "send a; send a; uncertain a; ");
}

static void test_deadlines(void **state)
{
    (void)state;
    add_all("a");
    gw_part_flush(&part, 0);
    add_all("b"); /* never sent: a is never answered */
    for (uint64_t now = 500; now < 15000; now += 500)
        result(last_batch, 99, 0, now); /* about something else */
    gw_part_tick(&part, 15000);
    assert_non_null(strstr(happened, "uncertain a; "));
    assert_non_null(strstr(happened, "unavailable b; "));
    assert_true(gw_part_idle(&part));
}

/* The answer to a batch whose items were all given up ends it: what waits does not wait for resend_ms. */
static void test_an_answer_after_the_deadline(void **state)
{
    (void)state;
    add_all("a");
    gw_part_flush(&part, 0);
    gw_part_tick(&part, 14500);
    gw_part_tick(&part, 15000);
    add_all("b");
    gw_part_flush(&part, 15000);
    assert_string_equal(happened, "send a; send a; uncertain a; ");
    result(last_batch, 1, 0, 15100);
    gw_part_flush(&part, 15100 + GW_GATHER_MS_MAX);
    assert_string_equal(happened, "send a; send a; uncertain a; send b; ");
}

/* A stopped process gives nothing up: a is still sent before b, that was read after waking. */
static void test_stopped_time_does_not_count(void **state)
{
    (void)state;
    add_all("a");
    gw_part_flush(&part, 0);
    add_all("b");
    gw_part_defer(&part, 60000);
    gw_part_tick(&part, 60000);
    assert_string_equal(happened, "send a; send a b; ");
    gw_part_tick(&part, 74999);
    assert_null(strstr(happened, "uncertain"));
    gw_part_tick(&part, 75000);
    assert_non_null(strstr(happened, "uncertain a; "));
}

static void test_unavailable_waits_and_tries_again(void **state)
{
    (void)state;
    add_all("a");
    gw_part_flush(&part, 0);
    result(last_batch, 1, PGN_E_UNAVAILABLE, 10);
    gw_part_flush(&part, 10);
    gw_part_tick(&part, 10 + GW_PAUSE_MS);
    result(last_batch, 1, 0, 200);
    assert_string_equal(happened, "send a; send a; ok a; ");
}

static void test_no_bus(void **state)
{
    (void)state;
    publish_error = PGN_E_UNAVAILABLE;
    add_all("ab");
    gw_part_flush(&part, 0);
    gw_part_tick(&part, 500);
    publish_error = 0;
    gw_part_tick(&part, 700);
    result(last_batch, 1, PGN_E_NOT_FOUND, 701); /* it was never out before: no doubt */
    assert_string_equal(happened, "send a b; not_found a; ");
}

static void test_too_large_for_the_bus(void **state)
{
    (void)state;
    publish_error = PGN_E_TOO_LARGE;
    add_all("ab");
    gw_part_flush(&part, 0);
    assert_string_equal(happened, "");
    gw_part_flush(&part, 1); /* a alone: refused */
    publish_error = 0;
    add_all("c");
    gw_part_flush(&part, 2);
    assert_string_equal(happened, "too_large a; send b c; ");
}

static void test_bounds(void **state)
{
    (void)state;
    for (int i = 0; i < GW_PART_QUEUE; i++)
        assert_int_equal(add("x"), 0);
    assert_int_equal(add("y"), PGN_E_OVERLOADED);
    gw_part_flush(&part, 0);
    assert_int_equal(part.flying_count, GW_BATCH_ITEMS);
    assert_int_equal(add("z"), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
/* An answer after 40 ms: the next batch waits up to 5 for those answered and those who waited already. */
static void test_gathers_after_a_slow_answer(void **state)
{
    (void)state;
    add_all("ab");
    assert_int_equal(gw_part_flush(&part, 0), 0);
    add_all("c");
    result(last_batch, 1, 0, 40);
    result(last_batch, 2, 0, 40);
    assert_int_equal(gw_part_flush(&part, 40), 45);
    add_all("d");
    assert_int_equal(gw_part_flush(&part, 41), 45);
    add_all("e");
    assert_int_equal(gw_part_flush(&part, 42), 0); /* all are back */
    result(last_batch, 3, 0, 82);
    result(last_batch, 4, 0, 82);
    result(last_batch, 5, PGN_E_UNAVAILABLE, 82);
    assert_int_equal(gw_part_flush(&part, 82 + GW_PAUSE_MS), 0); /* what goes again waits for nobody */
    result(last_batch, 5, 0, 82 + GW_PAUSE_MS + 7);
    add_all("f");
    assert_int_equal(gw_part_flush(&part, 82 + GW_PAUSE_MS + 7), 0); /* a quick answer */
    result(last_batch, 6, 0, 1000);
    add_all("g");
    assert_int_equal(gw_part_flush(&part, 1009), 0); /* as many as were answered */
    result(last_batch, 7, 0, 1900);
    result(last_batch, 7, 0, 1900);
    add_all("hi");
    assert_string_equal(happened, "send a b; ok a; ok b; send c d e; ok c; ok d; send e; ok e; send f; ok f; send g; ok g; ");
    assert_int_equal(gw_part_flush(&part, 1901), 0);
    add_all("j");
    result(last_batch, 8, 0, 2000);
    result(last_batch, 9, 0, 2000);
    assert_int_equal(gw_part_flush(&part, 2000), 2000 + GW_GATHER_MS_MAX);
    assert_int_equal(gw_part_flush(&part, 2000 + GW_GATHER_MS_MAX), 0); /* they did not come */
    assert_non_null(strstr(happened, "send j; "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_one_batch_in_flight),
        TEST(test_gathers_after_a_slow_answer),
        TEST(test_stale_goes_first_and_in_order),
        TEST(test_stale_has_an_end),
        TEST(test_unanswered_is_sent_again),
        TEST(test_a_late_answer_counts_when_stored),
        TEST(test_a_refusal_in_doubt_is_uncertain),
        TEST(test_deadlines),
        TEST(test_an_answer_after_the_deadline),
        TEST(test_stopped_time_does_not_count),
        TEST(test_unavailable_waits_and_tries_again),
        TEST(test_no_bus),
        TEST(test_too_large_for_the_bus),
        TEST(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
