/*
 * The bus: NATS, driven by the service's loop (nats.c's event-loop hooks; what a turn publishes is written once, at the
 * turn's end). The only module that includes nats.h. Everything is called, and every callback runs, on the loop's thread;
 * nats.c's delivery thread posts into a bounded mailbox. Core NATS: at most once; who needs an answer asks again.
 */
#ifndef PGN_BUS_BUS_H
#define PGN_BUS_BUS_H

#include "common/base/buf.h"
#include "common/base/compiler.h"
#include "common/io/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pgn_bus;
struct pgn_bus_sub;

struct pgn_bus_msg {
    const char *subject, *reply; /* reply: NULL when none; borrowed for the callback */
    const void *data;
    size_t len;
};
typedef void pgn_bus_handler(void *ctx, const struct pgn_bus_msg *msg);

enum pgn_bus_event {
    PGN_BUS_CONNECTED, /* also after a reconnect: messages in between may be lost */
    PGN_BUS_DISCONNECTED,
    PGN_BUS_LOST,   /* a slow consumer: NATS or the mailbox dropped messages for us */
    PGN_BUS_CLOSED, /* refused for good (wrong password, twice): it will not connect again */
};
struct pgn_bus_options {
    const char *url;             /* servers, separated by commas */
    const char *tls_ca;          /* certificates by which tls:// servers are checked; NULL: the system's */
    const char *name;            /* of the connection */
    const char *user, *password; /* NULL: none */
    size_t pending_bytes;        /* of messages waiting for the loop; more: dropped, PGN_BUS_LOST */
    void (*on_event)(void *ctx, enum pgn_bus_event event);
    void *ctx;
};

/* Connects in the background and for ever; PGN_BUS_CONNECTED tells. PGN_E_INVALID for a malformed url. */
int pgn_bus_new(struct pgn_loop *loop, const struct pgn_bus_options *options, struct pgn_bus **ret_bus) PGN_MUST_USE;
void pgn_bus_free(struct pgn_bus **bus); /* writes what is pending (at most 2 s), outstanding requests end with PGN_E_UNAVAILABLE */
bool pgn_bus_connected(const struct pgn_bus *bus);
const char *
pgn_bus_inbox(const struct pgn_bus *bus); /* prefix of subjects that only this connection subscribes, "_INBOX.<user>.<random>" */

/* The turn's write comes behind all hooks that were added to the loop so far (svc calls it after init). */
void pgn_bus_write_last(struct pgn_bus *bus);

/* queue NULL: every subscriber gets each message. Subscriptions survive reconnects. */
int pgn_bus_subscribe(struct pgn_bus *bus, const char *subject, const char *queue, pgn_bus_handler *handler, void *ctx,
                      struct pgn_bus_sub **ret_sub) PGN_MUST_USE;
void pgn_bus_unsubscribe(struct pgn_bus_sub **sub); /* no callback after this returns */

/* 0; PGN_E_UNAVAILABLE while not connected and nats.c's buffer is full; PGN_E_TOO_LARGE over the server's max payload. */
int pgn_bus_publish(struct pgn_bus *bus, const char *subject, const char *reply, const void *data, size_t len) PGN_MUST_USE;

/* Asks; the callback comes exactly once, never before this returns: error 0 with msg, PGN_E_NO_RESPONDERS, PGN_E_TIMEOUT,
 * PGN_E_UNAVAILABLE. */
typedef void pgn_bus_answer(void *ctx, int error, const struct pgn_bus_msg *msg);
void pgn_bus_request(struct pgn_bus *bus, const char *subject, const void *data, size_t len, uint64_t deadline_ms, pgn_bus_answer *answer,
                     void *ctx);
/* Drops all outstanding requests of this ctx without calling back. */
void pgn_bus_forget(struct pgn_bus *bus, const void *ctx);

uint64_t pgn_bus_max_payload(const struct pgn_bus *bus); /* bytes; 0 while never connected */
size_t pgn_bus_pending(const struct pgn_bus *bus);       /* bytes of messages that wait to be handled */

#endif
