/*
 * pigeon-api: the HTTP server API. One object for the process, made on the loop's thread before requests come, constant
 * from then on; what changes is inside its parts, each of which has its own lock. Handlers run on civetweb's threads and block.
 */
#ifndef API_API_H
#define API_API_H

#include "common/bus/bus_sync.h"
#include "common/svc/config.h"
#include "common/svc/http.h"
#include "common/svc/metrics.h"
#include "common/svc/svc.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum api_metric_id {
#define PGN_METRIC(id, kind, name, unit, help) API_##id,
#include "services/api/api_metrics.h"
#undef PGN_METRIC
    API_METRICS,
};
extern struct pgn_metric api_metrics[API_METRICS];

static inline void api_count(enum api_metric_id id)
{
    pgn_metric_add(&api_metrics[id], 1);
}

struct api {
    const struct pgn_config *config;
    struct pgn_bus_sync *bus;
    struct pgn_http *http;
    struct api_passwords *passwords;
    struct api_lockout *lockout;
    struct api_sessions *sessions;
    struct api_limits *limits;
    struct api_nodes *nodes;
    struct api_slots *uploads;
    struct api_login_bus *logins;
    atomic_bool ready;
};

int api_init(struct pgn_svc *svc);
void api_drain(struct pgn_svc *svc);
void api_fini(struct pgn_svc *svc);
void api_load(struct pgn_svc *svc, uint64_t *ret_connections, uint32_t *ret_queue);

#endif
