/*
 * What recovery of RocksDB's write-ahead log dropped: before the store is opened its log files get a second name (a hard
 * link costs nothing), afterwards RocksDB's own LOG is asked whether bytes were dropped. If so the links stay as
 * <path>.torn-<time>/ and a note says so; else they go. Start-up thread only.
 */
#ifndef STO_WAL_NOTES_H
#define STO_WAL_NOTES_H

#include "common/base/buf.h"

struct sto_wal_links {
    char *store, *directory; /* directory NULL: no log files there */
};

void sto_wal_links_make(struct sto_wal_links *links, const char *store);
void sto_wal_links_finish(struct sto_wal_links *links, struct pgn_buf *notes); /* notes may be NULL */
void sto_wal_links_drop(struct sto_wal_links *links);

#endif
