#include "common/base/id.h"

#include "common/base/random.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

enum { GROUP_LEN = 17, ULID_RANDOM = 10 };

static bool lower_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* A user id may stand in a longer text: its length comes from there. */
static bool user_valid_n(const char *user, size_t len)
{
    if (len < 1 || len > PGN_USER_MAX || !lower_or_digit(user[0]))
        return false;
    for (size_t i = 1; i < len; i++)
        if (!lower_or_digit(user[i]) && user[i] != '_' && user[i] != '-')
            return false;
    return true;
}

bool pgn_user_valid(const char *user)
{
    return user && user_valid_n(user, strnlen(user, PGN_USER_MAX + 1));
}

bool pgn_device_valid(const char *device)
{
    size_t len = device ? strnlen(device, PGN_DEVICE_MAX + 1) : 0;

    if (len < 1 || len > PGN_DEVICE_MAX)
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = device[i];
        if (!lower_or_digit(c) && !(c >= 'A' && c <= 'Z') && c != '_' && c != '-')
            return false;
    }
    return true;
}

bool pgn_client_id_valid(const char *id)
{
    size_t len = id ? strnlen(id, PGN_CLIENT_ID_MAX + 1) : 0;

    if (len < 1 || len > PGN_CLIENT_ID_MAX)
        return false;
    for (size_t i = 0; i < len; i++)
        if (id[i] <= ' ' || id[i] > '~')
            return false;
    return true;
}

static bool group_valid(const char *conv)
{
    if (conv[0] != 'c' || strnlen(conv, GROUP_LEN + 1) != GROUP_LEN)
        return false;
    for (size_t i = 1; i < GROUP_LEN; i++)
        if (!lower_or_digit(conv[i]))
            return false;
    return true;
}

bool pgn_conv_is_direct(const char *conv)
{
    return conv[0] == 'd' && conv[1] == ':';
}

bool pgn_conv_valid(const char *conv)
{
    char a[PGN_USER_MAX + 1], b[PGN_USER_MAX + 1];

    if (!conv)
        return false;
    return pgn_conv_is_direct(conv) ? pgn_conv_users(conv, a, b) : group_valid(conv);
}

void pgn_conv_direct(const char *a, const char *b, char ret_conv[PGN_CONV_MAX + 1])
{
    bool swap = strcmp(a, b) > 0;

    assert(pgn_user_valid(a) && pgn_user_valid(b));
    snprintf(ret_conv, PGN_CONV_MAX + 1, "d:%s:%s", swap ? b : a, swap ? a : b);
}

bool pgn_conv_users(const char *conv, char ret_a[PGN_USER_MAX + 1], char ret_b[PGN_USER_MAX + 1])
{
    const char *a = conv + 2, *colon;
    size_t a_len, b_len;

    if (!pgn_conv_is_direct(conv) || !(colon = strchr(a, ':')))
        return false;
    a_len = (size_t)(colon - a);
    b_len = strnlen(colon + 1, PGN_USER_MAX + 1);
    if (!user_valid_n(a, a_len) || !user_valid_n(colon + 1, b_len))
        return false;
    memcpy(ret_a, a, a_len);
    ret_a[a_len] = 0;
    memcpy(ret_b, colon + 1, b_len);
    ret_b[b_len] = 0;
    return strcmp(ret_a, ret_b) <= 0;
}

bool pgn_conv_peer(const char *conv, const char *user, char ret_peer[PGN_USER_MAX + 1])
{
    char a[PGN_USER_MAX + 1], b[PGN_USER_MAX + 1];
    const char *peer;

    if (!pgn_conv_users(conv, a, b))
        return false;
    if (strcmp(user, a) == 0)
        peer = b;
    else if (strcmp(user, b) == 0)
        peer = a;
    else
        return false;
    memcpy(ret_peer, peer, strlen(peer) + 1);
    return true;
}

void pgn_conv_group_new(char ret_conv[PGN_CONV_MAX + 1])
{
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
    uint8_t random[GROUP_LEN - 1];

    pgn_random(random, sizeof(random));
    ret_conv[0] = 'c';
    for (size_t i = 0; i < sizeof(random); i++)
        ret_conv[1 + i] = alphabet[random[i] & 31];
    ret_conv[GROUP_LEN] = 0;
}

void pgn_ulid(uint64_t wall_ms, char ret_ulid[PGN_ULID_LEN + 1])
{
    static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"; /* Crockford's base 32 */
    static _Thread_local uint64_t last_ms = UINT64_MAX;
    static _Thread_local uint8_t tail[ULID_RANDOM];
    uint32_t bits = 0, have = 0;

    if (wall_ms != last_ms) {
        pgn_random(tail, sizeof(tail));
        tail[0] &= 0x7f; /* room to count up */
        last_ms = wall_ms;
    } else {
        for (size_t i = ULID_RANDOM; i-- > 0 && ++tail[i] == 0;)
            ;
    }
    for (int i = 9; i >= 0; i--)
        ret_ulid[9 - i] = alphabet[wall_ms >> (5 * i) & (i == 9 ? 7 : 31)];
    for (size_t in = 0, out = 10; in < ULID_RANDOM; in++) {
        bits = bits << 8 | tail[in];
        for (have += 8; have >= 5; have -= 5)
            ret_ulid[out++] = alphabet[bits >> (have - 5) & 31];
    }
    ret_ulid[PGN_ULID_LEN] = 0;
}

void pgn_token_new(char ret_token[PGN_TOKEN_LEN + 1])
{
    uint8_t secret[32];

    pgn_random(secret, sizeof(secret));
    sodium_bin2base64(ret_token, PGN_TOKEN_LEN + 1, secret, sizeof(secret), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    sodium_memzero(secret, sizeof(secret));
}

void pgn_token_hash(const char *token, uint8_t ret_hash[PGN_HASH_BYTES])
{
    crypto_generichash(ret_hash, PGN_HASH_BYTES, (const uint8_t *)token, strlen(token), NULL, 0);
}

uint64_t pgn_hash(const void *data, size_t len)
{
    return XXH3_64bits(data, len);
}
