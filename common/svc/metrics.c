#include "common/svc/metrics.h"

#include "common/base/alloc.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

enum { TABLES_MAX = 8 };

static const uint64_t bounds_us[PGN_HISTOGRAM_BUCKETS] = {100,   250,    500,    1000,   2500,    5000,    10000,   25000,
                                                          50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000};
static const char *const bounds_text[PGN_HISTOGRAM_BUCKETS] = {"0.0001", "0.00025", "0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025",
                                                               "0.05",   "0.1",     "0.25",   "0.5",   "1",      "2.5",   "5",    "10"};
static const char *const kind_words[] = {"counter", "gauge", "histogram"};

static struct {
    struct pgn_metric *rows;
    size_t count;
} tables[TABLES_MAX];
static size_t tables_count;

void pgn_metrics_register(struct pgn_metric *table, size_t count)
{
    assert(tables_count < TABLES_MAX);
    for (size_t i = 0; i < count; i++)
        if (table[i].kind == PGN_HISTOGRAM && !table[i].histogram)
            table[i].histogram = pgn_calloc(1, sizeof(struct pgn_histogram));
    tables[tables_count].rows = table;
    tables[tables_count++].count = count;
}

void pgn_metric_observe(struct pgn_metric *m, uint64_t us)
{
    if (!m->histogram)
        return; /* not registered: a tool or a test without exposition */
    size_t i = 0;
    while (i < PGN_HISTOGRAM_BUCKETS && us > bounds_us[i])
        i++;
    atomic_fetch_add_explicit(&m->histogram->bucket[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&m->histogram->sum_us, us, memory_order_relaxed);
}

static void expose_histogram(const struct pgn_metric *m, struct pgn_buf *out)
{
    uint64_t total = 0;
    for (size_t i = 0; i <= PGN_HISTOGRAM_BUCKETS; i++) {
        total += atomic_load_explicit(&m->histogram->bucket[i], memory_order_relaxed);
        const char *bound = i < PGN_HISTOGRAM_BUCKETS ? bounds_text[i] : "+Inf";
        pgn_buf_printf(out, "pigeon_%s_bucket{le=\"%s\"} %" PRIu64 "\n", m->name, bound, total);
    }
    uint64_t sum = atomic_load_explicit(&m->histogram->sum_us, memory_order_relaxed);
    pgn_buf_printf(out, "pigeon_%s_sum %" PRIu64 ".%06u\npigeon_%s_count %" PRIu64 "\n", m->name, sum / 1000000, (unsigned)(sum % 1000000),
                   m->name, total);
}

/* A name may carry labels, name{a="b"}; rows of one name stand together and share HELP and TYPE. */
static void expose_row(const struct pgn_metric *m, const struct pgn_metric *before, struct pgn_buf *out)
{
    size_t base = strcspn(m->name, "{");
    if (!before || strcspn(before->name, "{") != base || strncmp(before->name, m->name, base) != 0) {
        pgn_buf_printf(out, "# HELP pigeon_%.*s %s\n", (int)base, m->name, m->help);
        pgn_buf_printf(out, "# TYPE pigeon_%.*s %s\n", (int)base, m->name, kind_words[m->kind]);
    }
    if (m->kind == PGN_HISTOGRAM)
        expose_histogram(m, out);
    else
        pgn_buf_printf(out, "pigeon_%s %" PRId64 "\n", m->name, atomic_load_explicit(&m->value, memory_order_relaxed));
}

void pgn_metrics_expose(struct pgn_buf *out)
{
    for (size_t t = 0; t < tables_count; t++)
        for (size_t i = 0; i < tables[t].count; i++)
            expose_row(&tables[t].rows[i], i > 0 ? &tables[t].rows[i - 1] : NULL, out);
}

void pgn_metrics_document(const char *title, const struct pgn_metric *table, size_t count, struct pgn_buf *out)
{
    pgn_buf_printf(out, "## %s\n\n| metric | kind | unit | meaning |\n|---|---|---|---|\n", title);
    for (size_t i = 0; i < count; i++)
        pgn_buf_printf(out, "| `pigeon_%s` | %s | %s | %s |\n", table[i].name, kind_words[table[i].kind], table[i].unit, table[i].help);
    pgn_buf_append_str(out, "\n");
}
