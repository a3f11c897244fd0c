/*
 * The planted fault seq-from-redis, test builds only: a conversation's numbers are counted in Redis, as some servers do, so a
 * Redis that lost its data begins again at 1. PIGEON_FAULT_REDIS=HOST:PORT:USER:PASSWORD. Committer thread.
 */
#ifndef STO_SEQ_REDIS_H
#define STO_SEQ_REDIS_H

#ifdef PGN_TEST_FAULTS
#include <stdint.h>

/* The conversation's next number; last + 1 when the fault is not planted or Redis does not answer. */
uint64_t sto_seq_next(const char *conv, uint64_t last);
#else
#define sto_seq_next(conv, last) ((last) + 1)
#endif

#endif
