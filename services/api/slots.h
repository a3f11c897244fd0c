/*
 * Places for costly work: at most `places` at once, at most `waiting` in the queue behind them. Thread-safe.
 * Overflow policy: refuse (PGN_E_OVERLOADED), the client is told to come back.
 */
#ifndef API_SLOTS_H
#define API_SLOTS_H

#include "common/base/compiler.h"

#include <stdint.h>

struct api_slots;

struct api_slots *api_slots_new(int places, int waiting);
void api_slots_free(struct api_slots **s);
/* Blocks at most wait_ms for a place. 0, or PGN_E_OVERLOADED. */
int api_slots_take(struct api_slots *s, uint64_t wait_ms) PGN_MUST_USE;
void api_slots_give(struct api_slots *s);
int api_slots_waiting(struct api_slots *s);

#endif
