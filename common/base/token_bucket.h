/*
 * Token bucket: `rate` tokens a second flow in, at most `burst` are kept; taking one is O(1), nothing runs by itself.
 * 8 bytes, embedded by its owner; a zeroed struct is a full bucket. Rate and burst belong to the caller (they are
 * settings), so that thousands of buckets need not carry them. Not thread-safe.
 */
#ifndef PGN_BASE_TOKEN_BUCKET_H
#define PGN_BASE_TOKEN_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

struct pgn_token_bucket {
    uint32_t used_milli; /* thousandths of tokens that are missing from a full bucket */
    uint32_t at_ms;      /* when that was so, of the low 32 bits of a monotonic clock */
};

struct pgn_token_rate {
    uint32_t per_s; /* > 0 */
    uint32_t burst; /* > 0 */
};

/* Takes one token: 0, or the milliseconds (> 0) after which there will be one. now_ms: monotonic. */
uint32_t pgn_token_take(struct pgn_token_bucket *bucket, struct pgn_token_rate rate, uint64_t now_ms);
/* Whether nothing is missing: a bucket that may be forgotten. */
bool pgn_token_full(const struct pgn_token_bucket *bucket, struct pgn_token_rate rate, uint64_t now_ms);

#endif
