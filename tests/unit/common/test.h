/* What the tests of common/ share: cmocka with its includes, and a seed that is printed, so that a failure can be repeated. */
#ifndef PGN_TESTS_UNIT_COMMON_TEST_H
#define PGN_TESTS_UNIT_COMMON_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/random.h"

/* Seeds pgn_random from PIGEON_SEED, or anew; prints which. */
static inline void test_seed(void)
{
    const char *given = getenv("PIGEON_SEED");
    uint64_t seed;

    if (given)
        seed = strtoull(given, NULL, 10);
    else
        pgn_random(&seed, sizeof(seed));
    printf("PIGEON_SEED=%llu\n", (unsigned long long)seed);
    pgn_random_seed_for_tests(seed);
}

#endif
