/* Prometheus text of tables; the gate of repeated log lines. */
#include "common/base/clock.h"
#include "common/svc/log.h"
#include "common/svc/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct pgn_metric table[] = {
    {.kind = PGN_COUNTER, .name = "sends_total{result=\"ok\"}", .unit = "", .help = "sends"},
    {.kind = PGN_COUNTER, .name = "sends_total{result=\"refused\"}", .unit = "", .help = "sends"},
    {.kind = PGN_GAUGE, .name = "open", .unit = "", .help = "open now"},
    {.kind = PGN_HISTOGRAM, .name = "wait_seconds", .unit = "s", .help = "waits"},
};

static void test_expose(void **state)
{
    (void)state;
    pgn_metrics_register(table, sizeof(table) / sizeof(table[0]));
    pgn_metric_add(&table[0], 3);
    pgn_metric_set(&table[2], -1);
    pgn_metric_observe(&table[3], 100);
    pgn_metric_observe(&table[3], 101);
    pgn_metric_observe(&table[3], 20000000);
    struct pgn_buf out = {0};
    pgn_metrics_expose(&out);
    const char *text = pgn_buf_cstr(&out);
    assert_memory_equal(text,
                        "# HELP pigeon_sends_total sends\n# TYPE pigeon_sends_total counter\npigeon_sends_total{result=\"ok\"} 3\n"
                        "pigeon_sends_total{result=\"refused\"} 0\n# HELP pigeon_open open now\n",
                        150);
    assert_non_null(strstr(text, "pigeon_open -1\n"));
    assert_non_null(strstr(text, "pigeon_wait_seconds_bucket{le=\"0.0001\"} 1\n"));
    assert_non_null(strstr(text, "pigeon_wait_seconds_bucket{le=\"0.00025\"} 2\n"));
    assert_non_null(strstr(text, "pigeon_wait_seconds_bucket{le=\"10\"} 2\n"));
    assert_non_null(strstr(text, "pigeon_wait_seconds_bucket{le=\"+Inf\"} 3\n"));
    assert_non_null(strstr(text, "pigeon_wait_seconds_sum 20.000201\n"));
    assert_non_null(strstr(text, "pigeon_wait_seconds_count 3\n"));
    pgn_buf_release(&out);
    pgn_metrics_document("test", table, 4, &out);
    assert_non_null(strstr(pgn_buf_cstr(&out), "| `pigeon_open` | gauge |  | open now |\n"));
    pgn_buf_release(&out);
}

static uint64_t now_us;

static uint64_t mono(void)
{
    return now_us;
}

static void test_gate(void **state)
{
    (void)state;
    struct pgn_log_gate gate = {0};
    now_us = 5000000;
    pgn_clock_set(mono, NULL);
    assert_true(pgn_log_gate_open(&gate, 1000));
    assert_false(pgn_log_gate_open(&gate, 1000));
    assert_false(pgn_log_gate_open(&gate, 1000));
    now_us += 1000000;
    assert_int_equal(gate.skipped, 2);
    assert_true(pgn_log_gate_open(&gate, 1000));
    assert_int_equal(gate.skipped, 0);
    pgn_clock_set(NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_expose), cmocka_unit_test(test_gate)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
