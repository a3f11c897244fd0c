/*
 * Real servers for tests: a child process on a free port, with a directory of its own. The child dies with the test.
 * Failures end the test program with a message.
 */
#ifndef TESTS_UNIT_SUPPORT_DAEMON_H
#define TESTS_UNIT_SUPPORT_DAEMON_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct daemon {
    pid_t pid;
    uint16_t port;
    char dir[64];
    char url[64]; /* nats://127.0.0.1:PORT */
};

uint16_t daemon_free_port(void);
/* port 0: a free one. user NULL: no authentication. Return when the server accepts. */
void daemon_nats(struct daemon *d, uint16_t port, const char *user, const char *password);
void daemon_redis(struct daemon *d, uint16_t port, const char *user, const char *password);
void daemon_stop(struct daemon *d); /* kill -9 and remove the directory; harmless when it is stopped */

/* Waits until cond(ctx), at most 10 s; between tries it calls step(ctx) (may be NULL: a pause of 1 ms). */
bool wait_for(bool (*cond)(void *ctx), void (*step)(void *ctx), void *ctx);

#endif
