/* Randomness: the kernel's, or a seeded one in tests. Thread-safe with the kernel's. */
#ifndef PGN_BASE_RANDOM_H
#define PGN_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

void pgn_random(void *out, size_t bytes);      /* libsodium's randombytes; secrets may come from it */
uint64_t pgn_random_below(uint64_t limit);     /* uniform in [0, limit), limit > 0 */
void pgn_random_seed_for_tests(uint64_t seed); /* repeatable from here on; never in a service */

#endif
