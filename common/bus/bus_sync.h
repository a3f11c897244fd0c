/*
 * The bus for threads that may block: the api's handlers, the command line. No loop. Thread-safe.
 */
#ifndef PGN_BUS_BUS_SYNC_H
#define PGN_BUS_BUS_SYNC_H

#include "common/base/buf.h"
#include "common/base/compiler.h"

#include <stddef.h>
#include <stdint.h>

struct pgn_bus_sync;

/* url and tls_ca: as in pgn_bus_options. Blocks at most timeout_ms for the first connection: PGN_E_UNAVAILABLE. Later it reconnects by
 * itself, for ever. */
int pgn_bus_sync_new(const char *url, const char *tls_ca, const char *name, const char *user, const char *password, uint64_t timeout_ms,
                     struct pgn_bus_sync **ret_bus) PGN_MUST_USE;
void pgn_bus_sync_free(struct pgn_bus_sync **bus);
/* PGN_E_NO_RESPONDERS, PGN_E_TIMEOUT, PGN_E_UNAVAILABLE, PGN_E_TOO_LARGE; ret_reply is appended to on success only. */
int pgn_bus_sync_request(struct pgn_bus_sync *bus, const char *subject, const void *data, size_t len, uint64_t timeout_ms,
                         struct pgn_buf *ret_reply) PGN_MUST_USE;
int pgn_bus_sync_publish(struct pgn_bus_sync *bus, const char *subject, const void *data, size_t len) PGN_MUST_USE;
/* Follows a subject on one of nats.c's threads until freed. */
typedef void pgn_bus_sync_handler(void *ctx, const char *subject, const void *data, size_t len);
int pgn_bus_sync_follow(struct pgn_bus_sync *bus, const char *subject, pgn_bus_sync_handler *handler, void *ctx) PGN_MUST_USE;

#endif
