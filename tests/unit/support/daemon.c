#include "tests/unit/support/daemon.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_S = 10 };

static void die(const char *what)
{
    perror(what);
    exit(99);
}

static struct sockaddr_in loopback(uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

uint16_t daemon_free_port(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = loopback(0);
    socklen_t len = sizeof(a);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || getsockname(fd, (struct sockaddr *)&a, &len) < 0)
        die("free port");
    close(fd);
    return ntohs(a.sin_port);
}

bool wait_for(bool (*cond)(void *ctx), void (*step)(void *ctx), void *ctx)
{
    struct timespec now, pause = {0, 1000000};
    clock_gettime(CLOCK_MONOTONIC, &now);
    time_t end = now.tv_sec + WAIT_S;
    while (!cond(ctx)) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (now.tv_sec > end)
            return false;
        if (step)
            step(ctx);
        else
            nanosleep(&pause, NULL);
    }
    return true;
}

static bool accepts(void *ctx)
{
    const struct daemon *d = ctx;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = loopback(d->port);
    bool ok = connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0;
    close(fd);
    return ok;
}

static void prepare(struct daemon *d, uint16_t port)
{
    memset(d, 0, sizeof(*d));
    d->port = port ? port : daemon_free_port();
    snprintf(d->url, sizeof(d->url), "nats://127.0.0.1:%u", (unsigned)d->port);
    snprintf(d->dir, sizeof(d->dir), "%s/pigeon-test-XXXXXX", "/tmp");
    if (!mkdtemp(d->dir))
        die(d->dir);
}

static void run(struct daemon *d, const char *const *argv)
{
    d->pid = fork();
    if (d->pid < 0)
        die("fork");
    if (d->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        char log[96];
        snprintf(log, sizeof(log), "%s/log", d->dir);
        if (!freopen(log, "w", stdout) || dup2(STDOUT_FILENO, STDERR_FILENO) < 0 || chdir(d->dir) < 0)
            _exit(98);
        char *args[16] = {0};
        for (int i = 0; argv[i] && i < 15; i++)
            args[i] = strdup(argv[i]);
        execvp(args[0], args);
        _exit(97);
    }
    if (!wait_for(accepts, NULL, d))
        die(argv[0]);
}

void daemon_nats(struct daemon *d, uint16_t port, const char *user, const char *password)
{
    prepare(d, port);
    char text[16];
    snprintf(text, sizeof(text), "%u", (unsigned)d->port);
    const char *argv[] = {"nats-server", "-a", "127.0.0.1", "-p", text, user ? "--user" : NULL, user, "--pass", password, NULL};
    run(d, argv);
}

void daemon_redis(struct daemon *d, uint16_t port, const char *user, const char *password)
{
    prepare(d, port);
    char path[96];
    snprintf(path, sizeof(path), "%s/redis.conf", d->dir);
    FILE *f = fopen(path, "w");
    if (!f)
        die(path);
    fprintf(f, "bind 127.0.0.1\nport %u\nsave \"\"\nappendonly no\n", (unsigned)d->port);
    if (user)
        fprintf(f, "user default off\nuser %s on >%s ~* +@all -@dangerous\n", user, password);
    fclose(f);
    const char *argv[] = {"redis-server", path, NULL};
    run(d, argv);
}

void daemon_stop(struct daemon *d)
{
    if (d->pid <= 0)
        return;
    kill(d->pid, SIGKILL);
    waitpid(d->pid, NULL, 0);
    d->pid = 0;
    for (const char *const *name = (const char *const[]){"log", "redis.conf", NULL}; *name; name++) {
        char path[96];
        snprintf(path, sizeof(path), "%s/%s", d->dir, *name);
        unlink(path);
    }
    rmdir(d->dir);
}
