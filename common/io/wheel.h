/*
 * The loop's timer wheel (Varghese and Lauck 1987): ticks of 4 ms, six levels of 64 slots, each level's slot as long as
 * the whole level below. Private to the loop; on its thread.
 */
#ifndef PGN_IO_WHEEL_H
#define PGN_IO_WHEEL_H

#include "common/io/loop.h"

enum { WHEEL_TICK_MS = 4, WHEEL_BITS = 6, WHEEL_SLOTS = 1 << WHEEL_BITS, WHEEL_LEVELS = 6 };

struct pgn_wheel {
    uint64_t tick;                 /* everything up to it was handled */
    uint64_t filled[WHEEL_LEVELS]; /* bit per slot; may be set for a slot that timers have left since */
    struct pgn_node slots[WHEEL_LEVELS][WHEEL_SLOTS];
};

void pgn_wheel_init(struct pgn_wheel *w, uint64_t now_ms);
/*
 * Due at the first multiple of step_ms that is not early; a running timer is restarted. now_us is read from the clock: with the turn's
 * time a long turn would make it fire early.
 */
void pgn_wheel_start(struct pgn_wheel *w, struct pgn_timer *t, uint64_t now_us, uint64_t delay_ms, uint64_t step_ms);
void pgn_wheel_run(struct pgn_wheel *w, uint64_t now_ms); /* calls what is due */
uint64_t pgn_wheel_next_ms(struct pgn_wheel *w);          /* when pgn_wheel_run has something to do next; UINT64_MAX: never */

#endif
