#include "services/presence/prs_metrics.h"

struct pgn_metric prs_metrics[PRS_METRICS] = {
#define PGN_METRIC(id, kind_, name_, unit_, help_) {.kind = kind_, .name = name_, .unit = unit_, .help = help_},
#include "services/presence/presence_metrics.h"
#undef PGN_METRIC
};
