/* argon2id; see password.h. */
#include "clients/cli/password.h"

#include "common/base/error.h"
#include "common/base/random.h"

#include <sodium.h>
#include <string.h>

_Static_assert(CLI_HASH_MAX >= crypto_pwhash_STRBYTES, "room for libsodium's hash");

enum { MIN_BYTES = 8, MAX_BYTES = 256 };

const char *cli_password_problem(const char *user, const char *password)
{
    size_t len = strlen(password);
    if (len < MIN_BYTES)
        return "a password has at least 8 characters";
    if (len > MAX_BYTES)
        return "a password has at most 256 bytes";
    if (!strcmp(user, password))
        return "a password must not be the user id";
    return NULL;
}

int cli_password_hash(const struct pgn_config *config, const char *password, char ret_hash[CLI_HASH_MAX])
{
    char hash[crypto_pwhash_STRBYTES];
    if (sodium_init() < 0 || crypto_pwhash_str_alg(hash, password, strlen(password), (unsigned long long)config->api_argon2_passes,
                                                   (size_t)config->api_argon2_memory_kib * 1024, crypto_pwhash_ALG_ARGON2ID13))
        return PGN_E_INTERNAL;
    memcpy(ret_hash, hash, sizeof hash);
    return 0;
}

void cli_password_one_time(char ret_password[CLI_ONE_TIME_LEN + 1])
{
    static const char letters[] = "abcdefghjkmnpqrstuvwxyz23456789"; /* none that look alike */
    for (int i = 0; i < CLI_ONE_TIME_LEN; i++)
        ret_password[i] = i % 5 == 4 ? '-' : letters[pgn_random_below(sizeof letters - 1)];
    ret_password[CLI_ONE_TIME_LEN] = 0;
}
