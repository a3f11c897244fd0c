/* civetweb: every request comes through begin_request, so that none of its own file, CGI or directory code is reached. */
#include "common/svc/http.h"

#include "common/base/alloc.h"
#include "common/base/error.h"
#include "common/svc/http_internal.h"
#include "common/svc/log.h"

#include <arpa/inet.h>
#include <assert.h>
#include <civetweb.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ROUTES_MAX = 64, CAUSE_BYTES = 256, NUDGE_MS = 5 };

struct route {
    char *prefix;
    pgn_http_handler *handler;
    void *ctx;
};

struct pgn_http {
    struct mg_context *civetweb;
    uint64_t body_limit;
    uint16_t port;
    _Atomic bool stopped;
    char cause[CAUSE_BYTES]; /* civetweb's last words at start */
    pthread_rwlock_t lock;   /* of routes */
    size_t routes_count;
    struct route routes[ROUTES_MAX];
};

/* The handler of the longest prefix: a whole path, or up to one of its slashes. */
static struct route find_route(struct pgn_http *http, const char *path)
{
    struct route found = {0};
    size_t best = 0;
    pthread_rwlock_rdlock(&http->lock);
    for (size_t i = 0; i < http->routes_count; i++) {
        const struct route *r = &http->routes[i];
        size_t len = strlen(r->prefix);
        if (strncmp(path, r->prefix, len) != 0)
            continue;
        bool whole = len > 0 && r->prefix[len - 1] == '/';
        if (!whole && path[len] != 0 && path[len] != '/')
            continue;
        if (!found.handler || len > best) {
            found = *r;
            best = len;
        }
    }
    pthread_rwlock_unlock(&http->lock);
    return found;
}

static int on_request(struct mg_connection *conn)
{
    const struct mg_request_info *info = mg_get_request_info(conn);
    struct pgn_http *http = info->user_data;
    struct pgn_http_request req = {.conn = conn, .info = info, .body_limit = http->body_limit};
    if (!pgn_http_decode_path(info->request_uri, req.path, sizeof(req.path))) {
        pgn_http_answer_error(&req, PGN_E_INVALID, "the path is not well formed", 0);
    } else {
        struct route route = find_route(http, req.path);
        if (route.handler)
            route.handler(&req, route.ctx);
        else
            pgn_http_answer_error(&req, PGN_E_NOT_FOUND, NULL, 0);
    }
    if (!req.status) {
        pgn_log(PGN_ERR, "http: a handler did not answer %s", req.path);
        pgn_http_answer_error(&req, PGN_E_INTERNAL, NULL, 0);
    }
    pgn_buf_release(&req.headers);
    return req.status;
}

static int on_civetweb_log(const struct mg_connection *conn, const char *message)
{
    struct pgn_http *http = conn ? mg_get_user_data(mg_get_context(conn)) : NULL;
    if (http && !http->civetweb)
        snprintf(http->cause, sizeof(http->cause), "%s", message);
    else
        pgn_log_limited(PGN_DEBUG, 1000, "http: civetweb: %s", message);
    return 1;
}

static void init_civetweb(void)
{
    (void)mg_init_library(0);
}

static bool loopback(const char *address)
{
    return strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0;
}

/* 1.15 of Debian 12 lacks the fixes for CVE-2025-55763 and CVE-2025-9648. */
static bool civetweb_too_old(void)
{
    int major = 0, minor = 0;
    return sscanf(mg_version(), "%d.%d", &major, &minor) != 2 || major < 1 || (major == 1 && minor < 16);
}

static int start(struct pgn_http *http, const struct pgn_http_options *options, struct pgn_buf *ret_problem)
{
    char port[96], threads[16];
    snprintf(port, sizeof(port), strchr(options->address, ':') ? "[%.64s]:%u" : "%.64s:%u", options->address, (unsigned)options->port);
    snprintf(threads, sizeof(threads), "%d", options->threads);
    const char *settings[] = {
        "listening_ports",
        port,
        "num_threads",
        threads,
        "enable_keep_alive", /* an idle connection would hold a thread: with more clients than threads each waits for timeouts */
        "no",
        "request_timeout_ms",
        "30000",
        "max_request_size",
        "16384",
        "tcp_nodelay",
        "1",
        "enable_directory_listing",
        "no",
        "listen_backlog",
        "256",
        "connection_queue",
        "64",
        "decode_url",
        "no",
        NULL,
    };
    struct mg_callbacks callbacks = {.begin_request = on_request, .log_message = on_civetweb_log};
    errno = 0;
    http->civetweb = mg_start(&callbacks, http, settings);
    if (!http->civetweb) {
        int cause = errno;
        pgn_buf_printf(ret_problem, "cannot listen on %s: %s", port, http->cause[0] ? http->cause : strerror(cause));
        return cause == EADDRINUSE || strstr(http->cause, "bind") ? PGN_E_BUSY : PGN_E_INVALID;
    }
    struct mg_server_port ports[4];
    int count = mg_get_server_ports(http->civetweb, (int)PGN_COUNT(ports), ports);
    http->port = count > 0 ? (uint16_t)ports[0].port : options->port;
    return 0;
}

int pgn_http_new(const struct pgn_http_options *options, struct pgn_http **ret_http, struct pgn_buf *ret_problem)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init_civetweb);
    if (!loopback(options->address) && civetweb_too_old()) {
        pgn_buf_printf(ret_problem, "civetweb %s has known holes and may listen on loopback only, not on %s: put Nginx in front",
                       mg_version(), options->address);
        return PGN_E_INVALID;
    }
    struct pgn_http *http = pgn_calloc(1, sizeof(*http));
    http->body_limit = options->body_limit;
    pthread_rwlock_init(&http->lock, NULL);
    int error = start(http, options, ret_problem);
    if (error) {
        pgn_http_free(&http);
        return error;
    }
    *ret_http = http;
    return 0;
}

const char *pgn_http_library(void)
{
    return mg_version();
}

uint16_t pgn_http_port(const struct pgn_http *http)
{
    return http->port;
}

void pgn_http_handle(struct pgn_http *http, const char *prefix, pgn_http_handler *handler, void *ctx)
{
    pthread_rwlock_wrlock(&http->lock);
    assert(http->routes_count < ROUTES_MAX);
    http->routes[http->routes_count++] = (struct route){pgn_strdup(prefix), handler, ctx};
    pthread_rwlock_unlock(&http->lock);
}

static void *stop_civetweb(void *arg)
{
    struct pgn_http *http = arg;
    mg_stop(http->civetweb);
    atomic_store(&http->stopped, true);
    return NULL;
}

/* mg_stop waits until civetweb's listener looks up, which takes up to 2 s unless somebody connects. */
static void stop(struct pgn_http *http)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, stop_civetweb, http) != 0) {
        mg_stop(http->civetweb);
        return;
    }
    while (!atomic_load(&http->stopped)) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(http->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        if (fd >= 0) {
            (void)connect(fd, (struct sockaddr *)&a, sizeof(a));
            close(fd);
        }
        struct timespec pause = {0, NUDGE_MS * 1000000L};
        nanosleep(&pause, NULL);
    }
    pthread_join(thread, NULL);
}

void pgn_http_free(struct pgn_http **httpp)
{
    struct pgn_http *http = *httpp;
    if (!http)
        return;
    *httpp = NULL;
    if (http->civetweb)
        stop(http);
    for (size_t i = 0; i < http->routes_count; i++)
        free(http->routes[i].prefix);
    pthread_rwlock_destroy(&http->lock);
    free(http);
}
