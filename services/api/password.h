/*
 * Passwords: argon2id by libsodium, at most two computations at once, a bounded queue behind them. Thread-safe; blocks.
 */
#ifndef API_PASSWORD_H
#define API_PASSWORD_H

#include "common/base/compiler.h"

#include <stdint.h>

enum { API_HASH_MAX = 128, API_ONE_TIME_LEN = 14 };

struct api_passwords;

/* waiting: computations that may wait. Computes one hash (for unknown users), so it takes a moment. */
struct api_passwords *api_passwords_new(uint64_t passes, uint64_t memory_kib, int waiting);
void api_passwords_free(struct api_passwords **p);

/* PGN_E_OVERLOADED when too many wait. */
int api_password_hash(struct api_passwords *p, const char *password, char ret_hash[API_HASH_MAX]) PGN_MUST_USE;
/*
 * 0, PGN_E_UNAUTHENTICATED or PGN_E_OVERLOADED. hash NULL or empty (no such user) takes the same time as a wrong password.
 */
int api_password_verify(struct api_passwords *p, const char *hash, const char *password) PGN_MUST_USE;
/* NULL when it may be chosen, else why not. */
const char *api_password_problem(const char *user, const char *password);
void api_password_one_time(char ret_password[API_ONE_TIME_LEN + 1]);
int api_passwords_waiting(struct api_passwords *p);

#endif
