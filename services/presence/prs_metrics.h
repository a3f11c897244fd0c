/* The table presence_metrics.h as numbers and rows. Any thread. */
#ifndef SERVICES_PRESENCE_PRS_METRICS_H
#define SERVICES_PRESENCE_PRS_METRICS_H

#include "common/svc/metrics.h"

enum prs_metric {
#define PGN_METRIC(id, kind, name, unit, help) PRS_##id,
#include "services/presence/presence_metrics.h"
#undef PGN_METRIC
    PRS_METRICS,
};
extern struct pgn_metric prs_metrics[PRS_METRICS];

static inline void prs_count(enum prs_metric id, int64_t n)
{
    pgn_metric_add(&prs_metrics[id], n);
}
static inline void prs_gauge(enum prs_metric id, int64_t value)
{
    pgn_metric_set(&prs_metrics[id], value);
}

#endif
