/* Passwords as pigeon-api checks them: argon2id by libsodium with the node's settings. Thread-safe. */
#ifndef CLI_PASSWORD_H
#define CLI_PASSWORD_H

#include "common/base/compiler.h"
#include "common/svc/config.h"

#include <stddef.h>

enum { CLI_HASH_MAX = 128, CLI_ONE_TIME_LEN = 14 };

/* NULL when it may be chosen, else why not. */
const char *cli_password_problem(const char *user, const char *password);
/* PGN_E_INTERNAL without memory. Takes some 50 ms on purpose. */
int cli_password_hash(const struct pgn_config *config, const char *password, char ret_hash[CLI_HASH_MAX]) PGN_MUST_USE;
void cli_password_one_time(char ret_password[CLI_ONE_TIME_LEN + 1]);

#endif
