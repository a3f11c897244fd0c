#include "common/svc/svc.h"

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/random.h"
#include "common/svc/http.h"
#include "common/svc/log.h"
#include "common/svc/svc_load.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { EXIT_DRAINED = 0, EXIT_START = 1, EXIT_CONFIG = 2, EXIT_BUSY = 3 };
enum { DRAIN_MS = 20000, LOAD_MS = 1000, STUCK_MS = 10000, ADMIN_THREADS = 2, ADMIN_BODY_BYTES = 65536 };

struct service {
    struct pgn_svc svc;
    const struct pgn_svc_ops *ops;
    struct pgn_config *config;
    struct pgn_io signals;
    struct pgn_timer load_timer, drain_timer;
    struct pgn_load_meter meter;
    int64_t messages_before; /* ops.messages a second ago */
    bool draining, initialised;
    int exit_code;
    _Atomic bool ready, bus_connected; /* civetweb's threads read these */
    _Atomic uint64_t beat_ms;          /* when the loop was last seen alive */
};

enum {
#define PGN_METRIC(id, kind, name, unit, help) SVC_##id,
#include "common/svc/svc_metrics.h"
#undef PGN_METRIC
};
static struct pgn_metric svc_metrics[] = {
#define PGN_METRIC(id, kind_, name_, unit_, help_) {.kind = PGN_##kind_, .name = name_, .unit = unit_, .help = help_},
#include "common/svc/svc_metrics.h"
#undef PGN_METRIC
};

static struct service *service_of(struct pgn_svc *svc)
{
    return PGN_CONTAINER(svc, struct service, svc);
}

/* ---- health ---- */

static bool is_ready(struct service *s)
{
    return atomic_load(&s->ready) && atomic_load(&s->bus_connected);
}

static void answer_text(struct pgn_http_request *req, int status, const char *text)
{
    pgn_http_answer(req, status, "text/plain; charset=utf-8", text, strlen(text));
}

static void on_healthz(struct pgn_http_request *req, void *ctx)
{
    struct service *s = ctx;
    bool stuck = pgn_mono_ms() > atomic_load(&s->beat_ms) + STUCK_MS;
    answer_text(req, stuck ? 503 : 200, stuck ? "the loop does not turn\n" : "ok\n");
}

static void on_readyz(struct pgn_http_request *req, void *ctx)
{
    struct service *s = ctx;
    if (is_ready(s))
        answer_text(req, 200, "ready\n");
    else
        answer_text(req, 503, atomic_load(&s->bus_connected) ? "not ready\n" : "not connected to NATS\n");
}

static void on_metrics(struct pgn_http_request *req, void *ctx)
{
    (void)ctx;
    struct pgn_buf out = {0};
    pgn_metrics_expose(&out);
    pgn_http_answer(req, 200, "text/plain; version=0.0.4; charset=utf-8", out.data, out.len);
    pgn_buf_release(&out);
}

static int start_admin(struct service *s)
{
    struct pgn_http_options options = {
        .address = "127.0.0.1",
        .port = (uint16_t)s->ops->admin_port(s->config),
        .threads = ADMIN_THREADS,
        .body_limit = ADMIN_BODY_BYTES,
    };
    struct pgn_buf problem = {0};
    int error = pgn_http_new(&options, &s->svc.admin, &problem);
    if (error) {
        pgn_log(PGN_ERR, "health and metrics: %s", pgn_buf_cstr(&problem));
    } else {
        pgn_http_handle(s->svc.admin, "/healthz", on_healthz, s);
        pgn_http_handle(s->svc.admin, "/readyz", on_readyz, s);
        pgn_http_handle(s->svc.admin, "/metrics", on_metrics, s);
        pgn_log(PGN_INFO, "health and metrics on 127.0.0.1:%u", (unsigned)pgn_http_port(s->svc.admin));
    }
    pgn_buf_release(&problem);
    return error;
}

/* ---- load, each second ---- */

static void on_load_due(struct pgn_timer *t)
{
    struct service *s = PGN_CONTAINER(t, struct service, load_timer);
    pgn_timer_start(s->svc.loop, t, LOAD_MS);
    atomic_store(&s->beat_ms, pgn_mono_ms());
    struct pgn_svc_load load = {0};
    pgn_load_measure(&s->meter, &load);
    if (s->ops->load)
        s->ops->load(&s->svc, &load.connections, &load.queue);
    if (s->ops->messages) {
        int64_t now = atomic_load_explicit(&s->ops->messages->value, memory_order_relaxed);
        load.messages_per_s = (uint64_t)(now - s->messages_before);
        s->messages_before = now;
    }
    pgn_metric_set(&svc_metrics[SVC_UP_S], (int64_t)((pgn_wall_ms() - s->svc.started_at_ms) / 1000));
    pgn_metric_set(&svc_metrics[SVC_CPU], load.cpu_permille);
    pgn_metric_set(&svc_metrics[SVC_MEMORY], (int64_t)load.memory_bytes);
    pgn_metric_set(&svc_metrics[SVC_READY], is_ready(s));
    pgn_metric_set(&svc_metrics[SVC_BUS_CONNECTED], atomic_load(&s->bus_connected));
    pgn_metric_set(&svc_metrics[SVC_BUS_PENDING], (int64_t)pgn_bus_pending(s->svc.bus));
    if (s->ops->publish_load && pgn_bus_connected(s->svc.bus))
        s->ops->publish_load(&s->svc, &load);
}

/* ---- bus ---- */

static void on_bus_event(void *ctx, enum pgn_bus_event event)
{
    struct service *s = ctx;
    switch (event) {
    case PGN_BUS_CONNECTED:
        pgn_log(PGN_INFO, "connected to NATS");
        atomic_store(&s->bus_connected, true);
        pgn_metric_add(&svc_metrics[SVC_BUS_CONNECTS], 1);
        break;
    case PGN_BUS_DISCONNECTED:
        pgn_log(PGN_WARN, "lost the connection to NATS, trying again");
        atomic_store(&s->bus_connected, false);
        break;
    case PGN_BUS_LOST:
        pgn_metric_add(&svc_metrics[SVC_BUS_LOST], 1);
        break;
    case PGN_BUS_CLOSED:
        atomic_store(&s->bus_connected, false);
        break;
    }
    if (s->ops->bus_event && s->initialised)
        s->ops->bus_event(&s->svc, event);
    if (event == PGN_BUS_CLOSED)
        pgn_svc_fail(&s->svc, EXIT_START);
}

static int start_bus(struct service *s)
{
    char secret_name[64], *password = NULL;
    snprintf(secret_name, sizeof(secret_name), "nats-%s", s->ops->name);
    struct pgn_buf problem = {0};
    int error = pgn_secret_read(s->config, secret_name, &password, &problem);
    if (error) {
        pgn_log(PGN_ERR, "%s", pgn_buf_cstr(&problem));
        pgn_buf_release(&problem);
        return error;
    }
    char name[64];
    snprintf(name, sizeof(name), "%s-%s", s->ops->name, s->svc.instance);
    struct pgn_bus_options options = {
        .url = s->config->bus_url,
        .tls_ca = s->config->bus_tls_ca,
        .name = name,
        .user = s->ops->name,
        .password = password,
        .pending_bytes = (size_t)s->config->bus_pending_bytes,
        .on_event = on_bus_event,
        .ctx = s,
    };
    error = pgn_bus_new(s->svc.loop, &options, &s->svc.bus);
    explicit_bzero(password, strlen(password));
    free(password);
    return error;
}

/* ---- stopping ---- */

static void on_drain_due(struct pgn_timer *t)
{
    struct service *s = PGN_CONTAINER(t, struct service, drain_timer);
    pgn_log(PGN_WARN, "not drained within %d s, stopping anyway", DRAIN_MS / 1000);
    pgn_loop_stop(s->svc.loop);
}

static void drain(struct service *s)
{
    s->draining = true;
    atomic_store(&s->ready, false);
    pgn_timer_start(s->svc.loop, &s->drain_timer, DRAIN_MS);
    if (s->ops->drain)
        s->ops->drain(&s->svc);
    else
        pgn_svc_drained(&s->svc);
}

static void on_signal(struct pgn_io *io, uint32_t events)
{
    (void)events;
    struct service *s = PGN_CONTAINER(io, struct service, signals);
    struct signalfd_siginfo info;
    if (read(io->fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return;
    const char *name = info.ssi_signo == SIGTERM ? "SIGTERM" : "SIGINT";
    if (s->draining) {
        pgn_log(PGN_WARN, "%s again: ending at once", name);
        _exit(EXIT_START);
    }
    pgn_log(PGN_INFO, "%s: draining", name);
    drain(s);
}

/* Before any thread starts, so that all inherit the mask. */
static int start_signals(struct service *s)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    s->signals = (struct pgn_io){.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), .events = PGN_READ, .on_ready = on_signal};
    return s->signals.fd < 0 ? PGN_E_IO : pgn_io_add(s->svc.loop, &s->signals);
}

const char *pgn_svc_name(const struct pgn_svc *svc)
{
    const struct service *s = (const struct service *)((const char *)svc - offsetof(struct service, svc));
    return s->ops->name;
}

void pgn_svc_ready(struct pgn_svc *svc, bool ready)
{
    struct service *s = service_of(svc);
    bool was = atomic_exchange(&s->ready, ready && !s->draining);
    if (ready && !was && !s->draining)
        pgn_log(PGN_INFO, "ready");
}

void pgn_svc_drained(struct pgn_svc *svc)
{
    pgn_loop_stop(svc->loop);
}

void pgn_svc_fail(struct pgn_svc *svc, int exit_code)
{
    struct service *s = service_of(svc);
    if (s->exit_code == EXIT_DRAINED)
        s->exit_code = exit_code;
    atomic_store(&s->ready, false);
    pgn_loop_stop(svc->loop);
}

/* ---- start ---- */

static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

struct arguments {
    const char *config_path;
    bool check, version;
};

static bool parse_arguments(int argc, char **argv, struct arguments *ret)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--config") == 0 && i + 1 < argc)
            ret->config_path = argv[++i];
        else if (strcmp(argv[i], "--check") == 0)
            ret->check = true;
        else if (strcmp(argv[i], "--version") == 0)
            ret->version = true;
        else
            return false;
    }
    return true;
}

/* The service's own exit code when it is to end here, else -1. */
static int prepare(struct service *s, int argc, char **argv)
{
    struct arguments args = {0};
    if (!parse_arguments(argc, argv, &args)) {
        fprintf(stderr, "usage: pigeon-%s [--config FILE] [--check] [--version]\n", s->ops->name);
        return EXIT_CONFIG;
    }
    if (args.version) {
        printf("pigeon-%s %s\n", s->ops->name, PGN_VERSION);
        return EXIT_DRAINED;
    }
    struct pgn_buf problems = {0};
    int error = pgn_config_load(args.config_path, &s->config, &problems);
    if (error)
        fprintf(stderr, "pigeon-%s: the configuration has problems:\n%s", s->ops->name, pgn_buf_cstr(&problems));
    pgn_buf_release(&problems);
    if (error)
        return EXIT_CONFIG;
    if (args.check) {
        printf("pigeon-%s: the configuration is right\n", s->ops->name);
        return EXIT_DRAINED;
    }
    return -1;
}

static int exit_code_of(int error)
{
    return error == PGN_E_BUSY ? EXIT_BUSY : EXIT_START;
}

static int start(struct service *s)
{
    uint64_t id;
    pgn_random(&id, sizeof(id));
    snprintf(s->svc.instance, sizeof(s->svc.instance), "%016" PRIx64, id);
    s->svc.config = s->config;
    s->svc.started_at_ms = pgn_wall_ms();
    s->svc.loop = pgn_loop_new();
    s->load_timer.on_due = on_load_due;
    s->drain_timer.on_due = on_drain_due;
    atomic_store(&s->beat_ms, pgn_mono_ms());
    pgn_log(PGN_INFO, "version %s starts as %s, pid %d", PGN_VERSION, s->svc.instance, (int)getpid());
    pgn_metrics_register(svc_metrics, PGN_COUNT(svc_metrics));
    if (s->ops->metrics_count > 0)
        pgn_metrics_register(s->ops->metrics, s->ops->metrics_count);
    if (start_signals(s)) {
        pgn_log(PGN_ERR, "no signals: %s", strerror(errno));
        return EXIT_START;
    }
    if (start_admin(s))
        return EXIT_START;
    int error = start_bus(s);
    if (error)
        return error == PGN_E_INVALID ? EXIT_CONFIG : EXIT_START;
    error = s->ops->init(&s->svc);
    if (error)
        return exit_code_of(error);
    s->initialised = true;
    pgn_bus_write_last(s->svc.bus);
    pgn_timer_start(s->svc.loop, &s->load_timer, LOAD_MS);
    return EXIT_DRAINED;
}

static void stop(struct service *s)
{
    pgn_timer_stop(&s->load_timer);
    pgn_timer_stop(&s->drain_timer);
    pgn_http_free(&s->svc.admin);
    if (s->initialised && s->ops->fini)
        s->ops->fini(&s->svc);
    pgn_bus_free(&s->svc.bus);
    if (s->signals.fd >= 0) {
        pgn_io_remove(s->svc.loop, &s->signals);
        close(s->signals.fd);
    }
    pgn_loop_free(&s->svc.loop);
}

int pgn_svc_main(int argc, char **argv, const struct pgn_svc_ops *ops)
{
    struct service *s = pgn_calloc(1, sizeof(*s));
    s->ops = ops;
    int code = prepare(s, argc, argv);
    if (code < 0) {
        raise_file_limit();
        pgn_log_setup(ops->name, s->config->log_level, s->config->log_format);
        code = start(s);
        if (code == EXIT_DRAINED) {
            pgn_loop_run(s->svc.loop);
            code = s->exit_code;
        }
        stop(s);
        pgn_log(code ? PGN_ERR : PGN_INFO, "ends with code %d%s", code, code ? " (the lines before say why)" : "");
    }
    pgn_config_free(&s->config);
    free(s);
    return code;
}
