/*
 * Looks through RocksDB's write-ahead log before it is opened. RocksDB (point-in-time recovery) keeps what is before the first
 * record that is torn or damaged, and silently drops the rest: here that rest is copied to <store>.torn-<time>/ first, and a note
 * says how much it is. Start-up thread only.
 */
#ifndef STO_WAL_CHECK_H
#define STO_WAL_CHECK_H

#include "common/base/buf.h"
#include "common/base/compiler.h"

int sto_wal_check(const char *store, struct pgn_buf *notes) PGN_MUST_USE; /* 0, PGN_E_IO */

#endif
