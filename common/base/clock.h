/*
 * Time. Everything that decides uses the monotonic clock; the wall clock is only shown and stored.
 * Thread-safe. Tests replace both through pgn_clock_set.
 */
#ifndef PGN_BASE_CLOCK_H
#define PGN_BASE_CLOCK_H

#include <stdint.h>

uint64_t pgn_mono_us(void);
uint64_t pgn_mono_ms(void);
uint64_t pgn_wall_ms(void); /* since 1970 */

/* For tests: both clocks then come from these functions; NULL gives the real one back. */
void pgn_clock_set(uint64_t (*mono_us)(void), uint64_t (*wall_ms)(void));

#endif
