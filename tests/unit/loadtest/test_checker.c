/* The checker: a run without faults passes, and each planted fault is found as what it is. */
#include "loadtest/checker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Two senders, 0 and 1, take turns in one conversation: number n of sender s stands at 2n + s + 1. Sender 1 is the reader too. */
enum { MESSAGES = 10 };
struct run {
    struct ld_log logs[2];
    struct ld_view view;
    struct ld_faults faults;
    struct ld_audit audit;
    uint32_t last[2];
};

static int setup(void **state)
{
    static struct run r;
    memset(&r, 0, sizeof r);
    for (int s = 0; s < 2; s++) {
        for (uint32_t n = 0; n < MESSAGES; n++)
            (void)ld_log_add(&r.logs[s], 0, n);
        for (uint32_t n = 0; n < MESSAGES; n++)
            assert_true(ld_log_acked(&r.logs[s], n, 2 * n + (uint32_t)s + 1, &r.faults.forked));
    }
    ld_view_start(&r.view, 0);
    ld_audit_start(&r.audit, 0, &r.faults);
    *state = &r;
    return 0;
}

static int teardown(void **state)
{
    struct run *r = *state;
    ld_log_release(&r->logs[0]);
    ld_log_release(&r->logs[1]);
    ld_view_release(&r->view);
    ld_audit_release(&r->audit);
    return 0;
}

static void stored(struct run *r, uint64_t seq, uint32_t sender, uint32_t number)
{
    ld_audit_message(&r->audit, seq, sender, number);
    ld_audit_sent(&r->audit, &r->logs[sender], number, seq, &r->last[sender]);
}

static void see(struct run *r, uint64_t seq)
{
    (void)ld_view_offer(&r->view, seq, ld_token(seq, (uint32_t)(seq - 1) % 2, (uint32_t)(seq - 1) / 2));
}

static void finish(struct run *r)
{
    ld_audit_view(&r->audit, &r->view);
    (void)ld_audit_log(&r->logs[0], &r->faults);
    (void)ld_audit_log(&r->logs[1], &r->faults);
}

static void check(const struct run *r, uint64_t lost, uint64_t undelivered, uint64_t doubled, uint64_t disordered, uint64_t forked)
{
    assert_int_equal(r->faults.lost, lost);
    assert_int_equal(r->faults.undelivered, undelivered);
    assert_int_equal(r->faults.doubled, doubled);
    assert_int_equal(r->faults.disordered, disordered);
    assert_int_equal(r->faults.forked, forked);
}

static void without_faults(void **state)
{
    struct run *r = *state;
    for (uint32_t seq = 1; seq <= 2 * MESSAGES; seq++) {
        stored(r, seq, (seq - 1) % 2, (seq - 1) / 2);
        see(r, seq);
    }
    finish(r);
    check(r, 0, 0, 0, 0, 0);
}

static void seen_again_and_early_is_no_fault(void **state)
{
    struct run *r = *state;
    uint64_t first = ld_token(1, 0, 0), second = ld_token(2, 1, 0);
    assert_int_equal(ld_view_offer(&r->view, 2, second), LD_EARLY);
    assert_int_equal(ld_view_offer(&r->view, 2, second), LD_AGAIN);
    assert_int_equal(ld_view_offer(&r->view, 1, first), LD_NEW);
    assert_int_equal(r->view.last, 2);
    assert_int_equal(ld_view_offer(&r->view, 2, second), LD_AGAIN);
    for (uint64_t seq = 2 * MESSAGES; seq > 2; seq--)
        see(r, seq);
    for (uint32_t seq = 1; seq <= 2 * MESSAGES; seq++)
        stored(r, seq, (seq - 1) % 2, (seq - 1) / 2);
    finish(r);
    check(r, 0, 0, 0, 0, 0);
}

static void acknowledged_but_not_stored(void **state)
{
    struct run *r = *state;
    for (uint32_t seq = 1; seq <= 2 * MESSAGES - 1; seq++) {
        stored(r, seq, (seq - 1) % 2, (seq - 1) / 2);
        see(r, seq);
    }
    finish(r);
    check(r, 1, 0, 0, 0, 0);
}

static void never_delivered(void **state)
{
    struct run *r = *state;
    for (uint32_t seq = 1; seq <= 2 * MESSAGES; seq++) {
        stored(r, seq, (seq - 1) % 2, (seq - 1) / 2);
        if (seq != 18)
            see(r, seq);
    }
    finish(r);
    check(r, 0, 3, 0, 0, 0); /* 18, and what waits behind it */
}

static void stored_twice(void **state)
{
    struct run *r = *state;
    for (uint32_t seq = 1; seq <= 2 * MESSAGES; seq++) {
        stored(r, seq, (seq - 1) % 2, (seq - 1) / 2);
        see(r, seq);
    }
    stored(r, 2 * MESSAGES + 1, 0, 4);
    (void)ld_view_offer(&r->view, 2 * MESSAGES + 1, ld_token(2 * MESSAGES + 1, 0, 4));
    finish(r);
    check(r, 0, 0, 1, 0, 0);
}

static void order_of_a_sender_broken(void **state)
{
    struct run *r = *state;
    for (uint32_t seq = 1; seq <= 2 * MESSAGES; seq++) { /* numbers 2 and 3 of sender 0 changed places: 5 and 7 */
        uint32_t number = (seq - 1) / 2;
        number = seq == 5 ? 3 : seq == 7 ? 2 : number;
        stored(r, seq, (seq - 1) % 2, number);
        (void)ld_view_offer(&r->view, seq, ld_token(seq, (seq - 1) % 2, number));
    }
    finish(r);
    check(r, 0, 0, 0, 3, 0); /* two at another number than acknowledged, one behind a later one */
}

static void retried_after_a_refusal_may_be_late(void **state)
{
    struct run *r = *state;
    r->logs[0].sent[2].retried = true;
    r->logs[0].sent[2].seq = 7;
    r->logs[0].sent[3].seq = 5;
    for (uint32_t seq = 1; seq <= 2 * MESSAGES; seq++) {
        uint32_t number = (seq - 1) / 2;
        number = seq == 5 ? 3 : seq == 7 ? 2 : number;
        stored(r, seq, (seq - 1) % 2, number);
        (void)ld_view_offer(&r->view, seq, ld_token(seq, (seq - 1) % 2, number));
    }
    finish(r);
    check(r, 0, 0, 0, 0, 0);
}

static void gap_in_the_numbers(void **state)
{
    struct run *r = *state;
    for (uint32_t seq = 1; seq <= 2 * MESSAGES; seq++) {
        if (seq != 6)
            stored(r, seq, (seq - 1) % 2, (seq - 1) / 2);
        see(r, seq);
    }
    finish(r);
    check(r, 1, 0, 0, 1, 1); /* number 6 is gone: lost, a gap, and the reader had it */
}

static void reader_saw_something_else(void **state)
{
    struct run *r = *state;
    for (uint32_t seq = 1; seq <= 2 * MESSAGES; seq++) {
        stored(r, seq, (seq - 1) % 2, (seq - 1) / 2);
        (void)ld_view_offer(&r->view, seq, ld_token(seq, (seq - 1) % 2, seq == 9 ? 0 : (seq - 1) / 2));
    }
    finish(r);
    check(r, 0, 0, 0, 0, 1);
}

static void one_number_twice_in_the_history(void **state)
{
    struct run *r = *state;
    for (uint32_t seq = 1; seq <= 2 * MESSAGES; seq++) {
        stored(r, seq, (seq - 1) % 2, (seq - 1) / 2);
        see(r, seq);
    }
    ld_audit_message(&r->audit, 5, 0, 2);
    finish(r);
    check(r, 0, 0, 0, 1, 0);
}

static void a_second_answer_with_another_number(void **state)
{
    struct run *r = *state;
    assert_false(ld_log_acked(&r->logs[0], 3, 7, &r->faults.forked));
    assert_int_equal(r->faults.forked, 0);
    assert_false(ld_log_acked(&r->logs[0], 3, 8, &r->faults.forked));
    assert_int_equal(r->faults.forked, 1);
    assert_false(ld_log_acked(&r->logs[0], 1000, 8, &r->faults.forked));
}

static void history_that_begins_late(void **state)
{
    struct run *r = *state;
    struct ld_view late = {0};
    ld_view_start(&late, 10);
    for (uint32_t seq = 1; seq <= 2 * MESSAGES; seq++) {
        stored(r, seq, (seq - 1) % 2, (seq - 1) / 2);
        see(r, seq);
        if (seq > 10)
            (void)ld_view_offer(&late, seq, ld_token(seq, (seq - 1) % 2, (seq - 1) / 2));
    }
    ld_audit_view(&r->audit, &late);
    finish(r);
    check(r, 0, 0, 0, 0, 0);
    ld_view_release(&late);
}

static void first_open_follows(void **state)
{
    struct ld_log log = {0};
    uint64_t forked = 0;
    (void)state;
    for (int i = 0; i < 40; i++)
        (void)ld_log_add(&log, 0, 0);
    assert_true(ld_log_acked(&log, 1, 2, &forked));
    assert_int_equal(log.first_open, 0);
    ld_log_refused(&log, 0);
    assert_int_equal(log.first_open, 2);
    assert_int_equal(log.open, 38);
    ld_log_release(&log);
}

#define PLANTED(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLANTED(without_faults),
        PLANTED(seen_again_and_early_is_no_fault),
        PLANTED(acknowledged_but_not_stored),
        PLANTED(never_delivered),
        PLANTED(stored_twice),
        PLANTED(order_of_a_sender_broken),
        PLANTED(retried_after_a_refusal_may_be_late),
        PLANTED(gap_in_the_numbers),
        PLANTED(reader_saw_something_else),
        PLANTED(one_number_twice_in_the_history),
        PLANTED(a_second_answer_with_another_number),
        PLANTED(history_that_begins_late),
        cmocka_unit_test(first_open_follows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
