/*
 * Redis as a cache: everything in it may vanish. The only module that includes hiredis.h. Blocking, for worker and
 * handler threads; one connection an object, not thread-safe. Every failure is just "not cached": callers go on without.
 * Commands are built from arguments (binary-safe), never from formatted text.
 */
#ifndef PGN_KV_KV_H
#define PGN_KV_KV_H

#include "common/base/buf.h"
#include "common/base/compiler.h"

#include <stddef.h>
#include <stdint.h>

struct pgn_kv;

struct pgn_kv *pgn_kv_new(const char *host, uint16_t port, const char *user, const char *password,
                          uint64_t timeout_ms); /* connects at the first use */
void pgn_kv_free(struct pgn_kv **kv);
/* After a failure it does not try again for 1 s, so that a missing Redis costs no latency. */
int pgn_kv_get(struct pgn_kv *kv, const char *key, struct pgn_buf *ret_value) PGN_MUST_USE; /* PGN_E_NOT_FOUND, PGN_E_UNAVAILABLE */
int pgn_kv_set(struct pgn_kv *kv, const char *key, const void *value, size_t len, uint64_t ttl_ms) PGN_MUST_USE; /* ttl_ms 0: none */
int pgn_kv_delete(struct pgn_kv *kv, const char *key) PGN_MUST_USE;
/* Counts up; the first count starts the window. */
int pgn_kv_increment(struct pgn_kv *kv, const char *key, uint64_t window_ms, int64_t *ret_value) PGN_MUST_USE;
/* Takes one count back, within the same window. */
int pgn_kv_decrement(struct pgn_kv *kv, const char *key, uint64_t window_ms) PGN_MUST_USE;
/* Many at once, one round trip: keys[i] to values[i] with one ttl; and reading (absent: empty buffer). */
int pgn_kv_set_many(struct pgn_kv *kv, size_t count, const char *const *keys, const char *const *values, uint64_t ttl_ms) PGN_MUST_USE;
int pgn_kv_get_many(struct pgn_kv *kv, size_t count, const char *const *keys, struct pgn_buf *ret_values) PGN_MUST_USE;

#endif
