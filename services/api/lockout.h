/*
 * Lockout after wrong passwords: failures of an account and of an address are counted in Redis, so that they outlive
 * a restart, and in memory, so that they count without Redis. The larger number decides. Thread-safe; may block on Redis.
 */
#ifndef API_LOCKOUT_H
#define API_LOCKOUT_H

#include <stdbool.h>
#include <stdint.h>

struct api_lockout;
struct pgn_kv;

struct api_lockout_options {
    int64_t failures;       /* of an account; of an address ten times as many */
    uint64_t window_ms;     /* counted from the first failure */
    struct pgn_kv *kv_take; /* becomes the lockout's own; NULL: memory only */
};
struct api_lockout *api_lockout_new(const struct api_lockout_options *options);
void api_lockout_free(struct api_lockout **l);

/* Whether this account or this address has failed too often; then how long to wait. The same for accounts that do not exist. */
bool api_lockout_closed(struct api_lockout *l, const char *user, const char *address, uint64_t *ret_wait_ms);
void api_lockout_failed(struct api_lockout *l, const char *user, const char *address);
void api_lockout_passed(struct api_lockout *l, const char *user); /* forgets the account's failures */

#endif
