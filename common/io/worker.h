/*
 * Threads for calls that block (argon2, SQLite, RocksDB reads, Redis). Jobs start in the order submitted;
 * `run` runs on a worker, then `done` on the loop's thread, exactly once, never before submit returns.
 */
#ifndef PGN_IO_WORKER_H
#define PGN_IO_WORKER_H

#include "common/base/compiler.h"
#include "common/io/mailbox.h"

struct pgn_workers;
struct pgn_job {
    struct pgn_mail mail; /* private */
    void (*run)(struct pgn_job *job);
    void (*done)(struct pgn_job *job); /* may free the job */
};

/* name (at most 15 bytes) is the threads' name; at most `limit` jobs wait. */
struct pgn_workers *pgn_workers_new(struct pgn_loop *loop, const char *name, int threads, size_t limit);
int pgn_workers_submit(struct pgn_workers *w, struct pgn_job *job) PGN_MUST_USE; /* 0 or PGN_E_FULL: overload, the caller answers */
size_t pgn_workers_waiting(const struct pgn_workers *w);
/* Waits for all jobs, runs their `done`, ends the threads. From the loop's thread. */
void pgn_workers_free(struct pgn_workers **w);

#endif
