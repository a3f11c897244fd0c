/*
 * Export and import: everything a store holds as lines of JSON in zstd (docs/STORES.md), and from there into an empty store of any
 * kind. `pigeon-storage --export FILE` and `--import FILE`, with the service stopped: what is written during a move would be lost
 * otherwise, and a store that nobody writes to is a consistent picture on every engine.
 *
 * Threads: one. Errors come with a sentence in ret_problem.
 */
#ifndef STO_MOVE_H
#define STO_MOVE_H

#include "services/storage/store_parts.h"

struct sto_moved {
    uint64_t rows, chunks, skipped; /* skipped: chunks that were there from before */
};

/*
 * Writes `path`, through <path>.part. Interrupted, it is run again: chunks that are in <path>.part already are compared with the
 * store's and kept. Equal stores give equal files. PGN_E_CONFLICT: the file exists.
 */
int sto_export(struct sto_store *s, const char *path, struct sto_moved *ret, struct pgn_buf *ret_problem) PGN_MUST_USE;
/*
 * Checks the whole file, then brings it into the store, then reads the store again and compares. Interrupted, it goes on where it
 * was. PGN_E_CORRUPT: the file is damaged or not complete (nothing was written). PGN_E_CONFLICT: the store is not empty.
 */
int sto_import(struct sto_store *s, const char *path, struct sto_moved *ret, struct pgn_buf *ret_problem) PGN_MUST_USE;
/* Is there a begun import in this store? Then it is not to be used. */
bool sto_import_pending(struct sto_store *s);

/* main.c: true when the arguments ask for one of the two; the exit code then. */
bool sto_move_main(int argc, char **argv, int *ret_code);

/* For tests: stops an import after so many chunks as if it had been cut off. 0: never. */
extern uint64_t sto_import_test_stop;

#endif
