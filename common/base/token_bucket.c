/* Token bucket; see token_bucket.h. */
#include "common/base/token_bucket.h"

enum { MILLI = 1000 };

/* What is still missing at now_ms. Between two looks less than 2^32 ms (49 days) pass, or it reads as fewer: harmless. */
static uint64_t used_at(const struct pgn_token_bucket *b, struct pgn_token_rate rate, uint64_t now_ms)
{
    uint64_t passed_ms = (uint32_t)now_ms - b->at_ms;
    uint64_t flowed = passed_ms * rate.per_s;
    return flowed >= b->used_milli ? 0 : b->used_milli - flowed;
}

uint32_t pgn_token_take(struct pgn_token_bucket *b, struct pgn_token_rate rate, uint64_t now_ms)
{
    uint64_t used = used_at(b, rate, now_ms);
    uint64_t after = used + MILLI;
    uint64_t size = (uint64_t)rate.burst * MILLI;
    b->at_ms = (uint32_t)now_ms;
    if (after > size) {
        b->used_milli = (uint32_t)used;
        return (uint32_t)((after - size + rate.per_s - 1) / rate.per_s);
    }
    b->used_milli = (uint32_t)after;
    return 0;
}

bool pgn_token_full(const struct pgn_token_bucket *b, struct pgn_token_rate rate, uint64_t now_ms)
{
    return used_at(b, rate, now_ms) == 0;
}
