#include "services/storage/metrics.h"

struct pgn_metric sto_metrics[STO_METRICS] = {
#define PGN_METRIC(id, kind, name, unit, help) {kind, name, unit, help, 0, NULL},
#include "services/storage/storage_metrics.h"
#undef PGN_METRIC
};
