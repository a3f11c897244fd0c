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

/*
 * Before the password is looked at. The attempt is counted as a failure there and then, in one step with the check, so that
 * guesses side by side cannot pass the limit together. False: this account or this address has failed too often, and for how
 * long; the same for accounts that do not exist. True: api_lockout_leave must follow.
 */
bool api_lockout_enter(struct api_lockout *l, const char *user, const char *address, uint64_t *ret_wait_ms);
/* WRONG: it stays counted. RIGHT: the account's failures are forgotten. UNKNOWN (nobody looked): this one is taken back. */
enum api_lockout_end { API_LOCKOUT_WRONG, API_LOCKOUT_RIGHT, API_LOCKOUT_UNKNOWN };
void api_lockout_leave(struct api_lockout *l, const char *user, const char *address, enum api_lockout_end end);

#endif
