/* The storage service's metrics by name. */
#ifndef STO_METRICS_H
#define STO_METRICS_H

#include "common/svc/metrics.h"

enum sto_metric {
#define PGN_METRIC(id, kind, name, unit, help) STO_M_##id,
#include "services/storage/storage_metrics.h"
#undef PGN_METRIC
    STO_METRICS
};
extern struct pgn_metric sto_metrics[STO_METRICS];

static inline void sto_count(enum sto_metric id, size_t n)
{
    pgn_metric_add(&sto_metrics[id], (int64_t)n);
}
static inline void sto_gauge(enum sto_metric id, size_t v)
{
    pgn_metric_set(&sto_metrics[id], (int64_t)v);
}
static inline void sto_observe(enum sto_metric id, uint64_t us)
{
    pgn_metric_observe(&sto_metrics[id], us);
}

#endif
