/*
 * Metrics: tables of counters, gauges and histograms, shown as Prometheus text (exposition format 0.0.4).
 * Values are relaxed atomics: any thread may change them. A table is static and lives as long as the process.
 *
 * A service writes a table gateway_metrics.h with rows  PGN_METRIC(id, KIND, "name", "unit", "help")  and expands it
 * into an enum and into an array of pgn_metric. Names get the prefix pigeon_ and by convention the unit and _total.
 */
#ifndef PGN_SVC_METRICS_H
#define PGN_SVC_METRICS_H

#include "common/base/buf.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum pgn_metric_kind { PGN_COUNTER, PGN_GAUGE, PGN_HISTOGRAM };

/* Histograms of microseconds; upper bounds 100 us to 10 s in steps of 1, 2.5, 5; shown in seconds. */
enum { PGN_HISTOGRAM_BUCKETS = 16 };
struct pgn_histogram {
    _Atomic uint64_t bucket[PGN_HISTOGRAM_BUCKETS + 1];
    _Atomic uint64_t sum_us;
};

struct pgn_metric {
    enum pgn_metric_kind kind;
    const char *name, *unit, *help;
    _Atomic int64_t value;
    struct pgn_histogram *histogram; /* made at registration for PGN_HISTOGRAM */
};

/* Registers a table; before any thread starts. At most 8 tables. */
void pgn_metrics_register(struct pgn_metric *table, size_t count);
void pgn_metrics_expose(struct pgn_buf *out); /* any thread */
/* docs/METRICS.md rows for one table. */
void pgn_metrics_document(const char *title, const struct pgn_metric *table, size_t count, struct pgn_buf *out);

static inline void pgn_metric_add(struct pgn_metric *m, int64_t n)
{
    atomic_fetch_add_explicit(&m->value, n, memory_order_relaxed);
}
static inline void pgn_metric_set(struct pgn_metric *m, int64_t v)
{
    atomic_store_explicit(&m->value, v, memory_order_relaxed);
}
void pgn_metric_observe(struct pgn_metric *m, uint64_t us);

#endif
