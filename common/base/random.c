#include "common/base/random.h"

#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool seeded; /* tests only, single-threaded there */
static uint64_t seeded_state;

__attribute__((constructor)) static void start(void)
{
    if (sodium_init() < 0)
        abort(); /* no randomness: nothing here may run */
}

/* SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t seeded_next(void)
{
    uint64_t z = seeded_state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void pgn_random(void *out, size_t bytes)
{
    uint8_t *p = out;

    if (!seeded) {
        randombytes_buf(out, bytes);
        return;
    }
    while (bytes) {
        uint64_t v = seeded_next();
        size_t n = bytes < sizeof(v) ? bytes : sizeof(v);
        memcpy(p, &v, n);
        p += n;
        bytes -= n;
    }
}

uint64_t pgn_random_below(uint64_t limit)
{
    uint64_t unfair = (0 - limit) % limit, v; /* 2^64 mod limit: values below it would come up once more often */

    do
        pgn_random(&v, sizeof(v));
    while (v < unfair);
    return v % limit;
}

void pgn_random_seed_for_tests(uint64_t seed)
{
    seeded = true;
    seeded_state = seed;
}
