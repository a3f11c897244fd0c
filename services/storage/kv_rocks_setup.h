/*
 * How RocksDB is set up: column families, memtables, filters, compression, expiry of retry keys, recovery of its log. Measured by
 * bench-store. Level compaction: universal wrote as many bytes a message (587 to 581 at 16 a commit). Lives as long as the database.
 */
#ifndef STO_KV_ROCKS_SETUP_H
#define STO_KV_ROCKS_SETUP_H

#include "services/storage/kv.h"

#include <rocksdb/c.h>

struct sto_rocks_setup {
    rocksdb_options_t *options, *cf_options[STO_CF_COUNT];
    rocksdb_compactionfilter_t *retry_filter;
    uint32_t retry_s;
};

/* compress: lz4 and zstd; false for a library without them. The setup must not move afterwards. */
void sto_rocks_setup_make(struct sto_rocks_setup *r, const struct sto_kv_rocks_options *in, bool compress);
void sto_rocks_setup_free(struct sto_rocks_setup *r);

#endif
