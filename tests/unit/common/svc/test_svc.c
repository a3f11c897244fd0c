/* The skeleton: this program, started anew with arguments, is a small service. */
#include "common/base/alloc.h"
#include "common/base/error.h"
#include "common/svc/http.h"
#include "common/svc/log.h"
#include "common/svc/svc.h"
#include "tests/unit/support/daemon.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define PASSWORD "a-password-of-the-test"

/* ---- the service ---- */

static int64_t admin_port(const struct pgn_config *config)
{
    return config->api_admin_port;
}

static int init(struct pgn_svc *svc)
{
    if (strcmp(svc->config->node_name, "busy") == 0)
        return PGN_E_BUSY;
    if (strcmp(svc->config->node_name, "broken") == 0)
        return PGN_E_IO;
    pgn_svc_ready(svc, true);
    return 0;
}

static void drain(struct pgn_svc *svc)
{
    if (strcmp(svc->config->node_name, "stubborn") != 0)
        pgn_svc_drained(svc);
}

static const struct pgn_svc_ops ops = {.name = "api", .admin_port = admin_port, .init = init, .drain = drain};

/* ---- the test ---- */

struct world {
    struct daemon nats;
    char dir[64], config[96];
    uint16_t port;
    pid_t child;
    int status; /* of the last HTTP answer */
    int want;
};

static void write_file(const struct world *w, const char *name, mode_t mode, const char *text)
{
    char path[192];
    snprintf(path, sizeof(path), "%s/%s", w->dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    assert_int_equal(chmod(path, mode), 0);
}

static void configure(struct world *w, const char *name)
{
    char text[512];
    w->port = daemon_free_port();
    snprintf(text, sizeof(text), "node: {name: %s, secrets: %s}\nbus: {url: \"%s\"}\napi: {admin_port: %u}\nlog: {level: error}\n", name,
             w->dir, w->nats.url, (unsigned)w->port);
    write_file(w, "pigeon.yaml", 0644, text);
    write_file(w, "nats-api", 0600, PASSWORD "\n");
}

static void start(struct world *w, const char *option, const char *value)
{
    w->child = fork();
    assert_true(w->child >= 0);
    if (w->child > 0)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    char null[] = "/dev/null";
    if (!freopen(null, "w", stderr) || !freopen(null, "w", stdout))
        _exit(98);
    execl("/proc/self/exe", "pigeon-api", option, value, NULL);
    _exit(97);
}

static int end(struct world *w)
{
    int status;
    assert_int_equal(waitpid(w->child, &status, 0), w->child);
    w->child = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static int ask(struct world *w, const char *path)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0), status = 0;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(w->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char text[4096];
    int len = snprintf(text, sizeof(text), "GET %s HTTP/1.0\r\n\r\n", path);
    if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0 && write(fd, text, (size_t)len) == len) {
        ssize_t n = read(fd, text, sizeof(text) - 1);
        text[n > 0 ? n : 0] = 0;
        (void)sscanf(text, "HTTP/1.1 %d", &status);
    }
    close(fd);
    return status;
}

static bool readyz_want(void *ctx)
{
    struct world *w = ctx;
    return ask(w, "/readyz") == w->want;
}

static void until_readyz(struct world *w, int status)
{
    w->want = status;
    assert_true(wait_for(readyz_want, NULL, w));
}

static int setup(void **state)
{
    struct world *w = pgn_calloc(1, sizeof(*w));
    *state = w;
    daemon_nats(&w->nats, 0, "api", PASSWORD);
    snprintf(w->dir, sizeof(w->dir), "%s/pigeon-test-XXXXXX", "/tmp");
    assert_non_null(mkdtemp(w->dir));
    snprintf(w->config, sizeof(w->config), "%s/pigeon.yaml", w->dir);
    configure(w, "test");
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    if (w->child > 0) {
        kill(w->child, SIGKILL);
        (void)end(w);
    }
    daemon_stop(&w->nats);
    char path[192];
    unlink(w->config);
    snprintf(path, sizeof(path), "%s/nats-api", w->dir);
    unlink(path);
    rmdir(w->dir);
    free(w);
    return 0;
}

static int run(struct world *w, const char *option, const char *value)
{
    start(w, option, value);
    return end(w);
}

static void test_arguments(void **state)
{
    struct world *w = *state;
    assert_int_equal(run(w, "--version", NULL), 0);
    assert_int_equal(run(w, "--nonsense", NULL), 2);
    assert_int_equal(run(w, "--config", NULL), 2);
    assert_int_equal(run(w, "--config", "/nonexistent/pigeon.yaml"), 2);
    write_file(w, "pigeon.yaml", 0644, "gateway: {port: many}\n");
    assert_int_equal(run(w, "--config", w->config), 2);
    configure(w, "test");
    write_file(w, "nats-api", 0600, "short\n");
    assert_int_equal(run(w, "--config", w->config), 2);
}

static void test_failures(void **state)
{
    struct world *w = *state;
    configure(w, "busy");
    assert_int_equal(run(w, "--config", w->config), 3);
    configure(w, "broken");
    assert_int_equal(run(w, "--config", w->config), 1);
    configure(w, "test");
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(w->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(run(w, "--config", w->config), 1);
    close(fd);
}

static void test_life(void **state)
{
    struct world *w = *state;
    start(w, "--config", w->config);
    until_readyz(w, 200);
    assert_int_equal(ask(w, "/healthz"), 200);
    assert_int_equal(ask(w, "/metrics"), 200);
    assert_int_equal(ask(w, "/other"), 404);
    uint16_t port = w->nats.port;
    daemon_stop(&w->nats);
    until_readyz(w, 503);
    assert_int_equal(ask(w, "/healthz"), 200);
    daemon_nats(&w->nats, port, "api", PASSWORD);
    until_readyz(w, 200);
    kill(w->child, SIGTERM);
    assert_int_equal(end(w), 0);
}

static void test_second_signal(void **state)
{
    struct world *w = *state;
    configure(w, "stubborn");
    start(w, "--config", w->config);
    until_readyz(w, 200);
    kill(w->child, SIGTERM);
    until_readyz(w, 503);
    kill(w->child, SIGINT);
    assert_int_equal(end(w), 1);
}

/* The server knows another password: the service ends, and says so by its code, instead of trying for ever in silence. */
static void test_wrong_password(void **state)
{
    struct world *w = *state;
    write_file(w, "nats-api", 0600, "not-the-password-of-the-server\n");
    start(w, "--config", w->config);
    assert_int_equal(end(w), 1);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return pgn_svc_main(argc, argv, &ops);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_arguments, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failures, setup, teardown),
        cmocka_unit_test_setup_teardown(test_life, setup, teardown),
        cmocka_unit_test_setup_teardown(test_second_signal, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wrong_password, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
