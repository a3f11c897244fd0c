/*
 * Ordered key-value engine under the message log: what RocksDB and the in-memory engine have in common.
 *
 * Threads: `write` from one thread at a time (the committer); everything else from any thread. A view is a consistent
 * picture of one moment; it belongs to the thread that began it and must be short-lived.
 * Errors: PGN_E_NOT_FOUND, PGN_E_IO, PGN_E_CORRUPT; write: see there.
 */
#ifndef STO_KV_H
#define STO_KV_H

#include "common/base/buf.h"
#include "common/base/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sto_cf {
    STO_CF_MAIN,  /* everything small: keys begin with a letter, see rows.h */
    STO_CF_MSG,   /* messages by (conversation number, seq) */
    STO_CF_RETRY, /* idempotency keys: point lookups only; expire */
    STO_CF_COUNT
};

struct sto_slice {
    const void *data;
    size_t len;
};
static inline struct sto_slice sto_slice_of(const void *data, size_t len)
{
    return (struct sto_slice){data, len};
}
static inline struct sto_slice sto_slice_buf(const struct pgn_buf *b)
{
    return (struct sto_slice){b->data, b->len};
}

struct sto_kv_put {
    enum sto_cf cf;
    bool remove;
    struct sto_slice key, value;
};

struct sto_kv;
struct sto_view;

/* Gets each row; false ends the scan. */
typedef bool sto_kv_visit(void *ctx, struct sto_slice key, struct sto_slice value);

struct sto_kv_ops {
    /*
     * All or nothing, durable when it returns 0 and sync is set. PGN_E_UNCERTAIN: it failed, and may or may not be
     * there after the next start; PGN_E_UNAVAILABLE: refused before anything was written.
     */
    int (*write)(struct sto_kv *kv, const struct sto_kv_put *puts, size_t count, bool sync);
    struct sto_view *(*view_begin)(struct sto_kv *kv);
    void (*view_end)(struct sto_kv *kv, struct sto_view *view);
    /* view NULL: the newest (committer only). ret_value is replaced. */
    int (*get)(struct sto_kv *kv, struct sto_view *view, enum sto_cf cf, struct sto_slice key, struct pgn_buf *ret_value);
    /* Which of the keys exist: ret_values[i].len is 0 for those that don't. Committer only. */
    int (*get_many)(struct sto_kv *kv, enum sto_cf cf, size_t count, const struct sto_slice *keys, struct pgn_buf *ret_values);
    /* Rows of [from, to), ascending, or descending when reverse. */
    int (*scan)(struct sto_kv *kv, struct sto_view *view, enum sto_cf cf, struct sto_slice from, struct sto_slice to, bool reverse,
                sto_kv_visit *visit, void *ctx);
    /* Tries to get well again after a failed write; 0 when writes may be tried (what is stored may have changed). Committer only. */
    int (*recover)(struct sto_kv *kv);
    uint64_t (*bytes)(struct sto_kv *kv); /* on disk */
    /*
     * Of engines that other processes write to as well; NULL elsewhere. A group commit stands between begin and end; *ret_moved: rows read
     * before may be old. write may then answer PGN_E_STALE: somebody else wrote first, nothing was stored, all is to be read and done
     * again. confirm, instead of a write when there is nothing to write: PGN_E_STALE when what was read was not the newest.
     */
    int (*commit_begin)(struct sto_kv *kv, bool *ret_moved);
    void (*commit_end)(struct sto_kv *kv);
    int (*confirm)(struct sto_kv *kv);
    /* A consistent copy into a new directory; PGN_E_INVALID when the engine has no files. Any thread. */
    int (*checkpoint)(struct sto_kv *kv, const char *directory);
    void (*close)(struct sto_kv *kv); /* frees it */
};
struct sto_kv {
    const struct sto_kv_ops *ops;
};

struct sto_kv *sto_kv_memory_new(void);

struct sto_kv_rocks_options {
    const char *path;
    size_t cache_bytes, memtable_bytes;
    uint32_t retry_days;
    bool no_sync;          /* test fault */
    struct pgn_buf *notes; /* lines about what was set aside of its log; NULL: not looked at */
};
/* PGN_E_CORRUPT: damaged beyond the WAL's tail, see repair.h; PGN_E_IO otherwise. ret_problem says what. */
int sto_kv_rocks_open(const struct sto_kv_rocks_options *options, struct sto_kv **ret_kv, struct pgn_buf *ret_problem) PGN_MUST_USE;
/* Rebuilds what can be read of a damaged store, in place: for a copy. */
int sto_kv_rocks_repair(const char *path, struct pgn_buf *ret_problem) PGN_MUST_USE;

#endif
