/* Start, drain and end of pigeon-api. */
#include "services/api/api.h"

#include "common/base/alloc.h"
#include "common/base/error.h"
#include "common/kv/kv.h"
#include "common/svc/log.h"
#include "services/api/files.h"
#include "services/api/limit.h"
#include "services/api/lockout.h"
#include "services/api/login_bus.h"
#include "services/api/nodes.h"
#include "services/api/password.h"
#include "services/api/router.h"
#include "services/api/session.h"
#include "services/api/slots.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { BUS_WAIT_MS = 10000, BODY_LIMIT = 1 << 20 };

struct pgn_metric api_metrics[API_METRICS] = {
#define PGN_METRIC(id, kind_of, name_of, unit_of, help_of)                                                                                 \
    [API_##id] = {.kind = kind_of, .name = name_of, .unit = unit_of, .help = help_of},
#include "services/api/api_metrics.h"
#undef PGN_METRIC
};

static int connect_bus(struct api *api)
{
    char *password = NULL;
    struct pgn_buf problem = {0};
    int e = pgn_secret_read(api->config, "nats-api", &password, &problem);
    if (e) {
        pgn_log(PGN_ERR, "%s", pgn_buf_cstr(&problem));
    } else {
        e = pgn_bus_sync_new(api->config->bus_url, api->config->bus_tls_ca, "api", "api", password, BUS_WAIT_MS, &api->bus);
        if (e)
            pgn_log(PGN_ERR, "no connection to NATS at %s within %d s", api->config->bus_url, BUS_WAIT_MS / 1000);
        sodium_memzero(password, strlen(password));
    }
    free(password);
    pgn_buf_release(&problem);
    return e;
}

/* Redis only remembers failures over a restart: without its password the api counts in memory. */
static struct pgn_kv *open_cache(const struct pgn_config *config)
{
    char *password = NULL;
    struct pgn_buf problem = {0};
    struct pgn_kv *kv = NULL;
    if (pgn_secret_read(config, "redis-api", &password, &problem))
        pgn_log(PGN_WARN, "without Redis: %s", pgn_buf_cstr(&problem));
    else
        kv = pgn_kv_new(config->cache_host, (uint16_t)config->cache_port, "api", password, (uint64_t)config->cache_timeout_ms);
    free(password);
    pgn_buf_release(&problem);
    return kv;
}

static void make_parts(struct api *api)
{
    const struct pgn_config *config = api->config;
    int threads = (int)config->api_threads;
    api->passwords = api_passwords_new((uint64_t)config->api_argon2_passes, (uint64_t)config->api_argon2_memory_kib, threads / 2);
    api->lockout = api_lockout_new(&(struct api_lockout_options){
        .failures = config->limits_login_failures,
        .window_ms = (uint64_t)config->limits_login_lock_s * 1000,
        .kv_take = open_cache(config),
    });
    api->sessions = api_sessions_new();
    api->limits = api_limits_new(config);
    api->uploads = api_slots_new(threads / 2, threads / 4);
}

static int listen_http(struct api *api)
{
    struct pgn_buf problem = {0};
    struct pgn_http_options options = {
        .address = api->config->api_address,
        .port = (uint16_t)api->config->api_port,
        .threads = (int)api->config->api_threads,
        .body_limit = BODY_LIMIT,
    };
    int e = pgn_http_new(&options, &api->http, &problem);
    if (e)
        pgn_log(PGN_ERR, "%s", pgn_buf_cstr(&problem));
    else
        pgn_http_handle(api->http, "/", api_dispatch, api);
    pgn_buf_release(&problem);
    return e;
}

int api_init(struct pgn_svc *svc)
{
    struct api *api = pgn_calloc(1, sizeof *api);
    int e;
    svc->state = api;
    api->config = svc->config;
    if ((e = api_files_prepare(svc->config)) || (e = connect_bus(api)) || (e = api_nodes_new(api->bus, &api->nodes)))
        return e;
    make_parts(api);
    if ((e = api_login_bus_new(api, svc, &api->logins)) || (e = listen_http(api)))
        return e;
    atomic_store(&api->ready, true);
    pgn_svc_ready(svc, true);
    pgn_log(PGN_INFO, "HTTP on %s:%u, registration %s", svc->config->api_address, pgn_http_port(api->http), svc->config->api_registration);
    return 0;
}

/* Waits for requests that run; they end within their own deadlines. */
void api_drain(struct pgn_svc *svc)
{
    struct api *api = svc->state;
    atomic_store(&api->ready, false);
    api_login_bus_free(&api->logins);
    pgn_http_free(&api->http);
    pgn_svc_drained(svc);
}

void api_fini(struct pgn_svc *svc)
{
    struct api *api = svc->state;
    if (!api)
        return;
    api_login_bus_free(&api->logins);
    pgn_http_free(&api->http);
    if (api->bus)
        pgn_bus_sync_free(&api->bus);
    api_nodes_free(&api->nodes);
    api_slots_free(&api->uploads);
    api_limits_free(&api->limits);
    api_sessions_free(&api->sessions);
    api_lockout_free(&api->lockout);
    api_passwords_free(&api->passwords);
    free(api);
    svc->state = NULL;
}

void api_load(struct pgn_svc *svc, uint64_t *ret_connections, uint32_t *ret_queue)
{
    const struct api *api = svc->state;
    int waiting = api && api->passwords ? api_passwords_waiting(api->passwords) : 0;
    *ret_connections = 0;
    *ret_queue = (uint32_t)waiting;
    pgn_metric_set(&api_metrics[API_PASSWORDS_WAITING], waiting);
}
