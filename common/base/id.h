/*
 * Names and numbers that identify things: checked before they become NATS subjects, Redis keys or paths.
 * Stateless and thread-safe, but for pgn_ulid (one generator a thread).
 */
#ifndef PGN_BASE_ID_H
#define PGN_BASE_ID_H

#include "common/base/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PGN_USER_MAX = 32, /* bytes of a user id */
    PGN_DEVICE_MAX = 32,
    PGN_CLIENT_ID_MAX = 64,
    PGN_CONV_MAX = 2 + 2 * PGN_USER_MAX + 1, /* d:USER:USER */
    PGN_ULID_LEN = 26,
    PGN_TOKEN_LEN = 43, /* 32 random bytes, base64url without padding */
    PGN_HASH_BYTES = 32,
};

bool pgn_user_valid(const char *user);     /* 1-32 of a-z 0-9 _ -, first a letter or digit */
bool pgn_device_valid(const char *device); /* 1-32 of A-Z a-z 0-9 _ - */
bool pgn_client_id_valid(const char *id);  /* 1-64 printable ASCII bytes without space */
bool pgn_conv_valid(const char *conv);     /* a group's or a direct conversation's id */
bool pgn_conv_is_direct(const char *conv); /* of a valid id */

/* Direct conversation of two users (the same one twice: notes to oneself). Both must be valid. */
void pgn_conv_direct(const char *a, const char *b, char ret_conv[PGN_CONV_MAX + 1]);
/* The two users of a direct conversation's id; false when it is none (malformed, or not in byte order). */
bool pgn_conv_users(const char *conv, char ret_a[PGN_USER_MAX + 1], char ret_b[PGN_USER_MAX + 1]);
/* The other user of a direct conversation; false when user is in neither place. */
bool pgn_conv_peer(const char *conv, const char *user, char ret_peer[PGN_USER_MAX + 1]);
/* A new group's id: 'c' and 16 random characters of a-z 2-7. */
void pgn_conv_group_new(char ret_conv[PGN_CONV_MAX + 1]);

/* ULID (github.com/ulid/spec): 48 bits of wall_ms, 80 random; rising within one millisecond of one thread. */
void pgn_ulid(uint64_t wall_ms, char ret_ulid[PGN_ULID_LEN + 1]);

/* An opaque access token, and what is stored of it: BLAKE2b-256 of its characters. */
void pgn_token_new(char ret_token[PGN_TOKEN_LEN + 1]);
void pgn_token_hash(const char *token, uint8_t ret_hash[PGN_HASH_BYTES]);

/* 64-bit hash for tables and partitions (xxh3). Not for secrets. */
uint64_t pgn_hash(const void *data, size_t len);
static inline uint32_t pgn_partition(uint64_t hash, uint32_t partitions)
{
    return (uint32_t)(hash % partitions);
}

#endif
