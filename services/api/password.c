/* argon2id with bounded concurrency; see password.h. */
#include "services/api/password.h"

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/random.h"
#include "services/api/api.h"
#include "services/api/slots.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { AT_ONCE = 2, WAIT_MS = 8000, MIN_CHARS = 8, MAX_CHARS = 256 };
_Static_assert(API_HASH_MAX >= crypto_pwhash_STRBYTES, "room for libsodium's hash");

struct api_passwords {
    struct api_slots *slots;
    unsigned long long passes;
    size_t memory;
    char nobody[API_HASH_MAX]; /* what unknown users are checked against */
};

static int compute(const struct api_passwords *p, const char *password, char ret_hash[API_HASH_MAX])
{
    char hash[crypto_pwhash_STRBYTES];
    if (crypto_pwhash_str_alg(hash, password, strlen(password), p->passes, p->memory, crypto_pwhash_ALG_ARGON2ID13))
        return PGN_E_OVERLOADED; /* no memory for it now */
    memcpy(ret_hash, hash, sizeof hash);
    return 0;
}

struct api_passwords *api_passwords_new(uint64_t passes, uint64_t memory_kib, int waiting)
{
    struct api_passwords *p = pgn_calloc(1, sizeof *p);
    p->slots = api_slots_new(AT_ONCE, waiting);
    p->passes = passes;
    p->memory = (size_t)memory_kib * 1024;
    char password[API_ONE_TIME_LEN + 1];
    api_password_one_time(password);
    int e = compute(p, password, p->nobody);
    assert(!e && "argon2id needs its memory at start");
    return p;
}

void api_passwords_free(struct api_passwords **p)
{
    if (!*p)
        return;
    api_slots_free(&(*p)->slots);
    free(*p);
    *p = NULL;
}

static int enter(struct api_passwords *p)
{
    int e = api_slots_take(p->slots, WAIT_MS);
    if (e)
        api_count(API_LOGINS_OVERLOADED);
    return e;
}

static void leave(struct api_passwords *p, uint64_t started_us)
{
    api_slots_give(p->slots);
    pgn_metric_observe(&api_metrics[API_PASSWORD_TIME], pgn_mono_us() - started_us);
}

int api_password_hash(struct api_passwords *p, const char *password, char ret_hash[API_HASH_MAX])
{
    uint64_t started = pgn_mono_us();
    int e = enter(p);
    if (e)
        return e;
    e = compute(p, password, ret_hash);
    leave(p, started);
    return e;
}

int api_password_verify(struct api_passwords *p, const char *hash, const char *password)
{
    bool known = hash && *hash;
    uint64_t started = pgn_mono_us();
    int e = enter(p);
    if (e)
        return e;
    /* libsodium reads STRBYTES of it: copy into a buffer of that size. */
    char padded[crypto_pwhash_STRBYTES] = {0};
    const char *from = known ? hash : p->nobody;
    memcpy(padded, from, strnlen(from, sizeof padded - 1));
    bool right = crypto_pwhash_str_verify(padded, password, strlen(password)) == 0;
    leave(p, started);
    return right && known ? 0 : PGN_E_UNAUTHENTICATED;
}

const char *api_password_problem(const char *user, const char *password)
{
    size_t chars = 0;
    for (const char *p = password; *p; p++)
        chars += ((unsigned char)*p & 0xc0) != 0x80;
    if (chars < MIN_CHARS)
        return "password: at least 8 characters, please";
    if (chars > MAX_CHARS)
        return "password: too long";
    if (!strcmp(user, password))
        return "password: not the user id, please";
    return NULL;
}

void api_password_one_time(char ret_password[API_ONE_TIME_LEN + 1])
{
    static const char letters[] = "abcdefghjkmnpqrstuvwxyz23456789"; /* none that look alike */
    for (int i = 0; i < API_ONE_TIME_LEN; i++)
        ret_password[i] = i % 5 == 4 ? '-' : letters[pgn_random_below(sizeof letters - 1)];
    ret_password[API_ONE_TIME_LEN] = 0;
}

int api_passwords_waiting(struct api_passwords *p)
{
    return api_slots_waiting(p->slots);
}
