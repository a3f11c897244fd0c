/*
 * The skeleton that every service stands on: arguments, configuration, logging, signals, event loop, bus, health and
 * metrics over HTTP, readiness, drain, exit code. A service's main fills one pgn_svc_ops and returns pgn_svc_main().
 *
 * Order: parse arguments -> configuration -> log -> loop -> admin HTTP (/healthz 200, /readyz 503) -> bus -> ops.init ->
 * (pgn_svc_ready) /readyz 200 -> run. SIGTERM or SIGINT: /readyz 503 -> ops.drain -> (pgn_svc_drained, or after 20 s)
 * -> ops.fini -> bus closed after a flush -> exit 0. A second signal ends at once.
 * A bus that refuses for good (wrong password) ends the service with 1, for the supervisor to try again.
 * Exit codes: 0 drained, 1 failed at start (the line before says why), 2 wrong arguments or configuration, 3 the store is in use.
 *
 *   pigeon-NAME [--config FILE] [--check] [--version]
 */
#ifndef PGN_SVC_SVC_H
#define PGN_SVC_SVC_H

#include "common/base/compiler.h"
#include "common/bus/bus.h"
#include "common/io/loop.h"
#include "common/svc/config.h"
#include "common/svc/metrics.h"

#include <stdbool.h>
#include <stdint.h>

struct pgn_http;

struct pgn_svc {
    const struct pgn_config *config;
    struct pgn_loop *loop;
    struct pgn_bus *bus;
    struct pgn_http *admin; /* a service may add handlers */
    char instance[17];      /* 16 hex digits, new at every start: id and epoch */
    uint64_t started_at_ms; /* wall */
    void *state;            /* the service's own, set by init */
};

/* What a service publishes about itself each second. */
struct pgn_svc_load {
    uint64_t connections;
    uint32_t queue;
    uint64_t messages_per_s; /* growth of ops.messages */
    uint32_t cpu_permille;   /* of one core, over the last second */
    uint64_t memory_bytes;   /* resident */
    int32_t temperature_c;   /* 0: not known */
    bool throttled;          /* a Pi that is too hot or short of power */
};

struct pgn_svc_ops {
    const char *name; /* "gateway"; also the NATS user and the name of its password file nats-<name> */
    int64_t (*admin_port)(const struct pgn_config *config);
    struct pgn_metric *metrics;
    size_t metrics_count;
    struct pgn_metric *messages;        /* the counter, among metrics, whose growth is this service's message rate; may be NULL */
    int (*init)(struct pgn_svc *svc);   /* 0, or PGN_E_* after logging why */
    void (*drain)(struct pgn_svc *svc); /* start to stop; ends with pgn_svc_drained, which it may call itself. NULL: nothing to do */
    void (*fini)(struct pgn_svc *svc);
    void (*load)(struct pgn_svc *svc, uint64_t *ret_connections, uint32_t *ret_queue); /* for the load published each second; may be NULL */
    /* pgn_load_publish of common/proto/load.h (the schema is no business of this layer's); NULL: no load is published */
    void (*publish_load)(struct pgn_svc *svc, const struct pgn_svc_load *load);
    void (*bus_event)(struct pgn_svc *svc, enum pgn_bus_event event); /* after init only; may be NULL */
};

int pgn_svc_main(int argc, char **argv, const struct pgn_svc_ops *ops);
const char *pgn_svc_name(const struct pgn_svc *svc);
void pgn_svc_ready(struct pgn_svc *svc, bool ready); /* a service starts not ready; the bus must be connected as well */
void pgn_svc_drained(struct pgn_svc *svc);
void pgn_svc_fail(struct pgn_svc *svc, int exit_code); /* fatal at run time, logged by the caller: ends after fini */

#endif
