/* The table, expanded. */
#include "services/message/msg_metrics.h"

struct pgn_metric msg_metrics[MSG_METRICS] = {
#define PGN_METRIC(id, kind, name, unit, help) {kind, name, unit, help, 0, NULL},
#include "services/message/message_metrics.h"
#undef PGN_METRIC
};
