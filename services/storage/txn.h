/*
 * The pending writes of one group commit over a key-value engine: reads see them, one write stores them all, in the order
 * first put. Committer thread only; memory comes from the commit's arena.
 */
#ifndef STO_TXN_H
#define STO_TXN_H

#include "common/base/alloc.h"
#include "common/base/map.h"
#include "services/storage/kv.h"
#include "services/storage/rows.h"

struct sto_txn {
    struct sto_kv *kv;
    struct pgn_arena *arena;
    struct pgn_map *map;
    struct sto_kv_put *puts;
    size_t count, cap;
};

void sto_txn_begin(struct sto_txn *t, struct sto_kv *kv, struct pgn_arena *arena);
void sto_txn_end(struct sto_txn *t); /* forgets what was not written */
/* NULL when this transaction has neither written nor removed the key. */
const struct sto_kv_put *sto_txn_peek(const struct sto_txn *t, enum sto_cf cf, const struct sto_key *key);
int sto_txn_get(struct sto_txn *t, enum sto_cf cf, const struct sto_key *key, struct pgn_buf *ret_value) PGN_MUST_USE;
/* value is copied. */
void sto_txn_put(struct sto_txn *t, enum sto_cf cf, const struct sto_key *key, struct sto_slice value);
void sto_txn_remove(struct sto_txn *t, enum sto_cf cf, const struct sto_key *key);
int sto_txn_write(struct sto_txn *t, bool sync) PGN_MUST_USE;

#endif
