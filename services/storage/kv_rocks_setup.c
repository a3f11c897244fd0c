/* RocksDB's options, one place for all of them. */
#include "services/storage/kv_rocks_setup.h"

#include "common/base/clock.h"
#include "services/storage/rows.h"

enum { INFO_LOG_FATAL = 4, DAY_S = 86400, RETRY_PARTS = 8 };

/* Drops retry keys that are too old to be asked for again. Runs on RocksDB's threads. */
static unsigned char retry_expired(void *state, int level, const char *key, size_t key_len, const char *value, size_t value_len,
                                   char **new_value, size_t *new_len, unsigned char *changed)
{
    const struct sto_rocks_setup *r = state;
    struct sto_retry_row row;

    (void)level, (void)key, (void)key_len, (void)new_value, (void)new_len;
    *changed = 0;
    if (!sto_retry_row_get(sto_slice_of(value, value_len), &row) || row.at_s < STO_CLOCK_WAS_SET_S)
        return 0;
    return (uint64_t)row.at_s + r->retry_s < pgn_wall_ms() / 1000;
}
static const char *retry_filter_name(void *state)
{
    (void)state;
    return "pigeon-retry-expiry";
}
static void nothing_to_destroy(void *state)
{
    (void)state;
}

/* Rows of one conversation go beside each other: remembering where the last one went saves the search (the C API has no function for it).
 */
static rocksdb_options_t *with_hints(rocksdb_options_t *o, enum sto_cf cf)
{
    static const char *const hints[STO_CF_COUNT] = {
        [STO_CF_MAIN] = "memtable_insert_with_hint_prefix_extractor=rocksdb.FixedPrefix.9",
        [STO_CF_MSG] = "memtable_insert_with_hint_prefix_extractor=rocksdb.FixedPrefix.8",
    };
    rocksdb_options_t *with = rocksdb_options_create();
    char *err = NULL;

    if (hints[cf])
        rocksdb_get_options_from_string(o, hints[cf], with, &err);
    if (hints[cf] && !err) {
        rocksdb_options_destroy(o);
        return with;
    }
    rocksdb_free(err);
    rocksdb_options_destroy(with);
    return o;
}

/*
 * After an error nothing is tried again behind our back (sto_kv's recover opens anew): a resumed RocksDB goes on with the log file
 * whose write failed (facebook/rocksdb issue 11643). The C API has no function for it.
 */
static rocksdb_options_t *without_resume(rocksdb_options_t *o)
{
    rocksdb_options_t *with = rocksdb_options_create();
    char *err = NULL;

    rocksdb_get_options_from_string(o, "max_bgerror_resume_count=0", with, &err);
    if (err) {
        rocksdb_free(err);
        rocksdb_options_destroy(with);
        return o;
    }
    rocksdb_options_destroy(o);
    return with;
}

static rocksdb_options_t *cf_options_new(struct sto_rocks_setup *r, enum sto_cf cf, rocksdb_cache_t *cache, size_t memtable_bytes,
                                         bool compress)
{
    rocksdb_options_t *o = rocksdb_options_create();
    rocksdb_block_based_table_options_t *t = rocksdb_block_based_options_create();

    rocksdb_block_based_options_set_block_cache(t, cache);
    /* The filters of retry keys stay in memory (1.25 bytes a message of retry_days): through the cache, where such a filter is
     * larger than a shard, they would be read anew for each lookup. */
    rocksdb_block_based_options_set_cache_index_and_filter_blocks(t, cf != STO_CF_RETRY);
    rocksdb_block_based_options_set_pin_l0_filter_and_index_blocks_in_cache(t, 1);
    rocksdb_block_based_options_set_format_version(t, 5);
    rocksdb_block_based_options_set_block_size(t, cf == STO_CF_MSG ? 8192 : 4096);
    if (cf != STO_CF_MSG) /* messages are asked for by number: they are there */
        rocksdb_block_based_options_set_filter_policy(t, rocksdb_filterpolicy_create_bloom_full(10));
    rocksdb_options_set_block_based_table_factory(o, t);
    rocksdb_block_based_options_destroy(t);
    rocksdb_options_set_write_buffer_size(o, memtable_bytes);
    rocksdb_options_set_max_write_buffer_number(o, 3);
    if (cf == STO_CF_RETRY) {
        /* Hashes fall anywhere in the skip list. One that fits the core's cache (2 of 16 MiB) takes them in a third less of a commit's
         * CPU; eight are merged into one file. Conversations' rows go beside each other and gain nothing from it. */
        rocksdb_options_set_write_buffer_size(o, memtable_bytes / RETRY_PARTS);
        rocksdb_options_set_min_write_buffer_number_to_merge(o, RETRY_PARTS);
        rocksdb_options_set_max_write_buffer_number(o, 2 * RETRY_PARTS);
    }
    rocksdb_options_set_target_file_size_base(o, 32u << 20);
    /* Eight files before they are merged, not four: a sixth less CPU and a fifth fewer bytes written; pages stay below a millisecond. */
    rocksdb_options_set_level0_file_num_compaction_trigger(o, 8);
    rocksdb_options_set_max_bytes_for_level_base(o, memtable_bytes * 8);
    if (cf == STO_CF_RETRY) {
        /* Hashes don't compress; lookups of keys that are not there must not touch the skip list. */
        rocksdb_options_set_compression(o, rocksdb_no_compression);
        rocksdb_options_set_memtable_whole_key_filtering(o, 1);
        rocksdb_options_set_memtable_prefix_bloom_size_ratio(o, 0.05);
        r->retry_filter = rocksdb_compactionfilter_create(r, nothing_to_destroy, retry_expired, retry_filter_name);
        rocksdb_options_set_compaction_filter(o, r->retry_filter);
    } else {
        rocksdb_options_set_compression(o, compress ? rocksdb_lz4_compression : rocksdb_no_compression);
        if (compress && cf == STO_CF_MSG)
            rocksdb_options_set_bottommost_compression(o, rocksdb_zstd_compression);
    }
    return with_hints(o, cf);
}

/* Compaction yields to whoever serves (nice 19); flushes don't, a writer may wait for them. Where nothing is left for it, RocksDB slows
 * the writer. The pools are the process'. */
static void background_low(rocksdb_options_t *o)
{
    rocksdb_env_t *env = rocksdb_create_default_env();

    rocksdb_env_lower_thread_pool_cpu_priority(env);
    rocksdb_options_set_env(o, env);
    rocksdb_env_destroy(env); /* the process' own: only the wrapper goes */
}

void sto_rocks_setup_make(struct sto_rocks_setup *r, const struct sto_kv_rocks_options *in, bool compress)
{
    rocksdb_options_t *o = rocksdb_options_create();
    rocksdb_cache_t *cache = rocksdb_cache_create_lru(in->cache_bytes);

    rocksdb_options_set_create_if_missing(o, 1);
    rocksdb_options_set_create_missing_column_families(o, 1);
    rocksdb_options_set_wal_recovery_mode(o, rocksdb_point_in_time_recovery);
    rocksdb_options_set_max_total_wal_size(o, in->memtable_bytes * 4);
    rocksdb_options_set_db_write_buffer_size(o, in->memtable_bytes * 2);
    rocksdb_options_set_max_background_jobs(o, 2);
    background_low(o);
    rocksdb_options_set_max_open_files(o, 512);
    /* RocksDB's own log only when it opens: a library with assertions aborts when a line of it cannot be written (full disk). */
    rocksdb_options_set_info_log_level(o, INFO_LOG_FATAL);
    rocksdb_options_set_keep_log_file_num(o, 2);
    rocksdb_options_set_max_manifest_file_size(o, 4u << 20);
    rocksdb_options_set_stats_dump_period_sec(o, 0);
    rocksdb_options_set_stats_persist_period_sec(o, 0);
    rocksdb_options_set_bytes_per_sync(o, 1u << 20);
    rocksdb_options_set_allow_concurrent_memtable_write(o, 0); /* one writer */
    r->options = without_resume(o);
    r->retry_s = in->retry_days * DAY_S;
    for (int i = 0; i < STO_CF_COUNT; i++)
        r->cf_options[i] = cf_options_new(r, (enum sto_cf)i, cache, in->memtable_bytes, compress);
    rocksdb_cache_destroy(cache); /* the options hold it */
}

void sto_rocks_setup_free(struct sto_rocks_setup *r)
{
    for (int i = 0; i < STO_CF_COUNT; i++)
        rocksdb_options_destroy(r->cf_options[i]);
    rocksdb_options_destroy(r->options);
    rocksdb_compactionfilter_destroy(r->retry_filter); /* the options only borrow it */
}
