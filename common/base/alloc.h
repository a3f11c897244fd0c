/*
 * Memory. Small, fixed-size allocations abort the process when there is none; what a peer sizes goes
 * through pgn_try_malloc after its limit was checked, and its failure drops that peer only. Thread-safe.
 */
#ifndef PGN_BASE_ALLOC_H
#define PGN_BASE_ALLOC_H

#include "common/base/compiler.h"

#include <stddef.h>

void *pgn_malloc(size_t bytes);               /* aborts on failure */
void *pgn_calloc(size_t count, size_t bytes); /* zeroed; aborts on failure or overflow */
void *pgn_realloc(void *old, size_t bytes);   /* aborts on failure */
char *pgn_strdup(const char *s);              /* NULL gives NULL */
void *pgn_memdup(const void *data, size_t bytes);
void *pgn_try_malloc(size_t bytes) PGN_MUST_USE; /* NULL on failure */

/*
 * Arena: allocations that live and die together (one batch, one request). Not thread-safe.
 * Memory comes in chunks of chunk_bytes (a larger request gets a chunk of its own).
 */
struct pgn_arena;
struct pgn_arena *pgn_arena_new(size_t chunk_bytes);
void *pgn_arena_alloc(struct pgn_arena *a, size_t bytes); /* 16-byte aligned, not zeroed; aborts on failure */
char *pgn_arena_strdup(struct pgn_arena *a, const char *s);
void pgn_arena_reset(struct pgn_arena *a); /* frees all but the first chunk */
void pgn_arena_free(struct pgn_arena **a);

#endif
