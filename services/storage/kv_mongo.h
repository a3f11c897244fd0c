/*
 * The message log's rows in MongoDB, written through the ledger. Collections: rows (STO_CF_MAIN), messages, retries. _id is the key in
 * hex (bytewise order stays), g the entry that wrote the row last, v the value, as on the other engines; messages also have conv and
 * seq (a unique index), retries the second `at` of their making (for the sweeper).
 * Threads: as kv.h says; commit_begin takes the ledger's lock, commit_end gives it back. A view is no picture of one moment here:
 * rows may be newer than those read before, but what a row refers to is always there before it.
 */
#ifndef STO_KV_MONGO_H
#define STO_KV_MONGO_H

#include "services/storage/kv.h"
#include "services/storage/ledger.h"

struct sto_kv *sto_kv_mongo_new(struct sto_mongo *m, struct sto_ledger *ledger);
/* Sink: writes an entry's rows in the order that keeps readers from dangling references. */
int sto_kv_mongo_store(struct sto_mongo *m, mongoc_client_t *client, const struct sto_entry *entry) PGN_MUST_USE;
/* Sink: rows changed behind the committer's back. */
void sto_kv_mongo_moved(struct sto_kv *kv);
/* Makes the indexes, or says which one is wrong. PGN_E_CONFLICT, errors of mongo.h. */
int sto_mongo_indexes(struct sto_mongo *m, struct pgn_buf *ret_problem) PGN_MUST_USE;

#endif
