/* The message service's metrics, counted from anywhere in it. */
#ifndef MSG_METRICS_H
#define MSG_METRICS_H

#include "common/svc/metrics.h"

enum {
#define PGN_METRIC(id, kind, name, unit, help) MSG_M_##id,
#include "services/message/message_metrics.h"
#undef PGN_METRIC
    MSG_METRICS
};
extern struct pgn_metric msg_metrics[MSG_METRICS];

#define MSG_COUNT(id, n)    pgn_metric_add(&msg_metrics[MSG_M_##id], (int64_t)(n))
#define MSG_SET(id, n)      pgn_metric_set(&msg_metrics[MSG_M_##id], (int64_t)(n))
#define MSG_OBSERVE(id, us) pgn_metric_observe(&msg_metrics[MSG_M_##id], us)

#endif
