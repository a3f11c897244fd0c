/*
 * Named points at which a test build can be made to die: PIGEON_FAULT=abort-at=NAME:N ends the process by abort() the N-th
 * time it passes the point NAME. Any thread. Release builds contain nothing of it.
 */
#ifndef PGN_BASE_FAULT_H
#define PGN_BASE_FAULT_H

#ifdef PGN_TEST_FAULTS
#include <stdbool.h>

#define PGN_FAULT_POINT(name) pgn_fault_point(name)
void pgn_fault_point(const char *name);
/* Whether PIGEON_FAULT, a list with commas, has this word. */
bool pgn_fault_planted(const char *word);
#else
#define PGN_FAULT_POINT(name) ((void)0)
#endif

#endif
