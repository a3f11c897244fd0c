/*
 * The RocksDB engine. A reader-writer lock lets the committer close and reopen the database under the readers after a
 * failed write (a disk that was full); a view holds it shared.
 */
#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "services/storage/kv.h"
#include "services/storage/rows.h"
#include "services/storage/wal_check.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <rocksdb/c.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CLOCK_WAS_SET_S = 1577836800 /* 2020 */, INFO_LOG_FATAL = 4 };
static const char *const cf_names[STO_CF_COUNT] = {"default", "message", "retry"};

struct sto_view {
    const rocksdb_snapshot_t *snapshot;
    rocksdb_readoptions_t *options;
};

struct rocks {
    struct sto_kv base;
    pthread_rwlock_t lock;
    rocksdb_t *db; /* NULL: could not be reopened; reads answer PGN_E_IO */
    rocksdb_column_family_handle_t *cf[STO_CF_COUNT];
    rocksdb_options_t *options, *cf_options[STO_CF_COUNT];
    rocksdb_compactionfilter_t *retry_filter;
    rocksdb_writeoptions_t *write_sync, *write_plain;
    rocksdb_readoptions_t *read;
    rocksdb_writebatch_t *batch;
    struct place *places; /* scratch of a write */
    size_t place_cap;
    char *path;
    uint32_t retry_s;
    bool failed; /* committer's: no write until recovered */
};

static struct rocks *rocks_of(struct sto_kv *kv)
{
    return PGN_CONTAINER(kv, struct rocks, base);
}

/* Corruption, or everything else; frees err. */
static int error_of(char *err, struct pgn_buf *ret_problem)
{
    int error = strncmp(err, "Corruption", 10) == 0 ? PGN_E_CORRUPT : PGN_E_IO;

    if (ret_problem)
        pgn_buf_append_str(ret_problem, err);
    rocksdb_free(err);
    return error;
}

/* ---- options ---- */

/* Drops retry keys that are too old to be asked for again. Runs on RocksDB's threads. */
static unsigned char retry_expired(void *state, int level, const char *key, size_t key_len, const char *value, size_t value_len,
                                   char **new_value, size_t *new_len, unsigned char *changed)
{
    const struct rocks *r = state;
    struct sto_retry_row row;

    (void)level, (void)key, (void)key_len, (void)new_value, (void)new_len;
    *changed = 0;
    if (!sto_retry_row_get(sto_slice_of(value, value_len), &row) || row.at_s < CLOCK_WAS_SET_S)
        return 0; /* written before the clock was set: its age is unknown */
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

static rocksdb_options_t *cf_options_new(struct rocks *r, enum sto_cf cf, rocksdb_cache_t *cache, size_t memtable_bytes, bool compress)
{
    rocksdb_options_t *o = rocksdb_options_create();
    rocksdb_block_based_table_options_t *t = rocksdb_block_based_options_create();

    rocksdb_block_based_options_set_block_cache(t, cache);
    rocksdb_block_based_options_set_cache_index_and_filter_blocks(t, 1);
    rocksdb_block_based_options_set_pin_l0_filter_and_index_blocks_in_cache(t, 1);
    rocksdb_block_based_options_set_format_version(t, 5);
    rocksdb_block_based_options_set_block_size(t, cf == STO_CF_MSG ? 8192 : 4096);
    if (cf != STO_CF_MSG) /* messages are asked for by number: they are there */
        rocksdb_block_based_options_set_filter_policy(t, rocksdb_filterpolicy_create_bloom_full(10));
    rocksdb_options_set_block_based_table_factory(o, t);
    rocksdb_block_based_options_destroy(t);
    rocksdb_options_set_write_buffer_size(o, memtable_bytes);
    rocksdb_options_set_max_write_buffer_number(o, 3);
    rocksdb_options_set_target_file_size_base(o, 32u << 20);
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

static void options_new(struct rocks *r, const struct sto_kv_rocks_options *in, bool compress)
{
    rocksdb_options_t *o = rocksdb_options_create();
    rocksdb_cache_t *cache = rocksdb_cache_create_lru(in->cache_bytes);

    rocksdb_options_set_create_if_missing(o, 1);
    rocksdb_options_set_create_missing_column_families(o, 1);
    rocksdb_options_set_wal_recovery_mode(o, rocksdb_point_in_time_recovery);
    rocksdb_options_set_max_total_wal_size(o, in->memtable_bytes * 4);
    rocksdb_options_set_db_write_buffer_size(o, in->memtable_bytes * 2);
    rocksdb_options_set_max_background_jobs(o, 2);
    rocksdb_options_set_max_open_files(o, 512);
    /* RocksDB's own log only when it opens: a library with assertions aborts when a line of it cannot be written (full disk). */
    rocksdb_options_set_info_log_level(o, INFO_LOG_FATAL);
    rocksdb_options_set_keep_log_file_num(o, 2);
    rocksdb_options_set_max_manifest_file_size(o, 4u << 20);
    rocksdb_options_set_stats_dump_period_sec(o, 0);
    rocksdb_options_set_stats_persist_period_sec(o, 0);
    rocksdb_options_set_bytes_per_sync(o, 1u << 20);
    rocksdb_options_set_allow_concurrent_memtable_write(o, 0); /* one writer */
    r->options = o;
    for (int i = 0; i < STO_CF_COUNT; i++)
        r->cf_options[i] = cf_options_new(r, (enum sto_cf)i, cache, in->memtable_bytes, compress);
    rocksdb_cache_destroy(cache); /* the options hold it */
}

static void options_free(struct rocks *r)
{
    for (int i = 0; i < STO_CF_COUNT; i++)
        rocksdb_options_destroy(r->cf_options[i]);
    rocksdb_options_destroy(r->options);
    rocksdb_compactionfilter_destroy(r->retry_filter); /* the options only borrow it */
}

/* ---- open and close ---- */

static int db_open(struct rocks *r, bool read_only, struct pgn_buf *ret_problem)
{
    char *err = NULL;
    const rocksdb_options_t *cf_options[STO_CF_COUNT];

    for (int i = 0; i < STO_CF_COUNT; i++)
        cf_options[i] = r->cf_options[i];
    if (read_only)
        r->db = rocksdb_open_for_read_only_column_families(r->options, r->path, STO_CF_COUNT, cf_names, cf_options, r->cf, 0, &err);
    else
        r->db = rocksdb_open_column_families(r->options, r->path, STO_CF_COUNT, cf_names, cf_options, r->cf, &err);
    if (!err)
        return 0;
    r->db = NULL;
    return error_of(err, ret_problem);
}

static void db_close(struct rocks *r)
{
    if (!r->db)
        return;
    for (int i = 0; i < STO_CF_COUNT; i++)
        rocksdb_column_family_handle_destroy(r->cf[i]);
    rocksdb_close(r->db);
    r->db = NULL;
}

static void rocks_close(struct sto_kv *kv)
{
    struct rocks *r = rocks_of(kv);

    db_close(r);
    options_free(r);
    rocksdb_writeoptions_destroy(r->write_sync);
    rocksdb_writeoptions_destroy(r->write_plain);
    rocksdb_readoptions_destroy(r->read);
    rocksdb_writebatch_destroy(r->batch);
    pthread_rwlock_destroy(&r->lock);
    free(r->places);
    free(r->path);
    free(r);
}

/* ---- writing ---- */

/* Where a put goes, roughly: neighbours in the memtable's skip lists are inserted one after the other, which halves the search. */
struct place {
    uint64_t prefix;
    uint32_t cf, at;
};

static int place_cmp(const void *a, const void *b)
{
    const struct place *x = a, *y = b;

    if (x->cf != y->cf)
        return x->cf < y->cf ? -1 : 1;
    if (x->prefix != y->prefix)
        return x->prefix < y->prefix ? -1 : 1;
    return x->at < y->at ? -1 : 1;
}

static void batch_fill(struct rocks *r, const struct sto_kv_put *puts, size_t count)
{
    if (count > r->place_cap) {
        r->places = pgn_realloc(r->places, count * sizeof *r->places);
        r->place_cap = count;
    }
    for (size_t i = 0; i < count; i++) {
        uint8_t head[8] = {0};

        memcpy(head, puts[i].key.data, puts[i].key.len < sizeof head ? puts[i].key.len : sizeof head);
        r->places[i] = (struct place){sto_u64be(head), puts[i].cf, (uint32_t)i};
    }
    qsort(r->places, count, sizeof *r->places, place_cmp);
    rocksdb_writebatch_clear(r->batch);
    for (size_t i = 0; i < count; i++) {
        const struct sto_kv_put *p = &puts[r->places[i].at];

        if (p->remove)
            rocksdb_writebatch_delete_cf(r->batch, r->cf[p->cf], p->key.data, p->key.len);
        else
            rocksdb_writebatch_put_cf(r->batch, r->cf[p->cf], p->key.data, p->key.len, p->value.data, p->value.len);
    }
}

static int rocks_write(struct sto_kv *kv, const struct sto_kv_put *puts, size_t count, bool sync)
{
    struct rocks *r = rocks_of(kv);
    char *err = NULL;

    if (r->failed)
        return PGN_E_UNAVAILABLE;
    rocksdb_set_perf_level(rocksdb_disable); /* this thread's: counting comparisons costs a twentieth */
    batch_fill(r, puts, count);
    rocksdb_write(r->db, sync ? r->write_sync : r->write_plain, r->batch, &err);
    if (!err)
        return 0;
    rocksdb_free(err);
    r->failed = true; /* what is in the log now, only a restart of it can tell */
    return PGN_E_UNCERTAIN;
}

/* Whether a file can be written and synced beside the store: asked before the store is closed for good. */
static bool disk_writable(const char *path)
{
    enum { PROBE_BYTES = 8 << 20, PIECE = 1 << 16 };
    static const char piece[PIECE];
    struct pgn_buf name = {0};
    bool ok = true;

    pgn_buf_printf(&name, "%s.probe", path);
    int fd = open(pgn_buf_cstr(&name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ok = fd >= 0;
    for (int i = 0; ok && i < PROBE_BYTES / PIECE; i++)
        ok = write(fd, piece, PIECE) == PIECE;
    ok = ok && fsync(fd) == 0;
    int why = errno;
    if (fd >= 0)
        close(fd);
    unlink(pgn_buf_cstr(&name));
    pgn_buf_release(&name);
    errno = why;
    return ok;
}

static int rocks_recover(struct sto_kv *kv)
{
    struct rocks *r = rocks_of(kv);
    int error = 0;

    if (!r->failed)
        return 0;
    if (!disk_writable(r->path))
        return PGN_E_IO;
    pthread_rwlock_wrlock(&r->lock);
    db_close(r);
    error = db_open(r, false, NULL);
    if (error && db_open(r, true, NULL) != 0)
        r->db = NULL;
    pthread_rwlock_unlock(&r->lock);
    r->failed = error != 0;
    return error ? PGN_E_IO : 0;
}

/* ---- reading ---- */

static struct sto_view *rocks_view_begin(struct sto_kv *kv)
{
    struct rocks *r = rocks_of(kv);
    struct sto_view *v = pgn_calloc(1, sizeof *v);

    pthread_rwlock_rdlock(&r->lock);
    if (!r->db)
        return v;
    v->options = rocksdb_readoptions_create();
    v->snapshot = rocksdb_create_snapshot(r->db);
    rocksdb_readoptions_set_snapshot(v->options, v->snapshot);
    return v;
}

static void rocks_view_end(struct sto_kv *kv, struct sto_view *view)
{
    struct rocks *r = rocks_of(kv);

    if (view->options) {
        rocksdb_readoptions_destroy(view->options);
        rocksdb_release_snapshot(r->db, view->snapshot);
    }
    pthread_rwlock_unlock(&r->lock);
    free(view);
}

static int rocks_get(struct sto_kv *kv, struct sto_view *view, enum sto_cf cf, struct sto_slice key, struct pgn_buf *ret_value)
{
    struct rocks *r = rocks_of(kv);
    char *err = NULL;
    size_t len;

    if (!r->db)
        return PGN_E_IO;
    rocksdb_pinnableslice_t *pin = rocksdb_get_pinned_cf(r->db, view ? view->options : r->read, r->cf[cf], key.data, key.len, &err);
    if (err)
        return error_of(err, NULL);
    if (!pin)
        return PGN_E_NOT_FOUND;
    const char *value = rocksdb_pinnableslice_value(pin, &len);
    pgn_buf_clear(ret_value);
    pgn_buf_append(ret_value, value, len);
    rocksdb_pinnableslice_destroy(pin);
    return 0;
}

static int rocks_get_many(struct sto_kv *kv, enum sto_cf cf, size_t count, const struct sto_slice *keys, struct pgn_buf *ret_values)
{
    enum { AT_ONCE = 128 };
    struct rocks *r = rocks_of(kv);
    const char *key[AT_ONCE];
    size_t len[AT_ONCE];
    rocksdb_pinnableslice_t *value[AT_ONCE];
    char *err[AT_ONCE];
    int error = 0;

    if (!r->db)
        return PGN_E_IO;
    for (size_t done = 0, n; done < count; done += n) {
        n = count - done < AT_ONCE ? count - done : AT_ONCE;
        for (size_t i = 0; i < n; i++) {
            key[i] = keys[done + i].data;
            len[i] = keys[done + i].len;
            err[i] = NULL;
        }
        rocksdb_batched_multi_get_cf(r->db, r->read, r->cf[cf], n, key, len, value, err, false);
        for (size_t i = 0; i < n; i++) {
            size_t value_len = 0;
            const char *bytes = value[i] ? rocksdb_pinnableslice_value(value[i], &value_len) : "";

            pgn_buf_clear(&ret_values[done + i]);
            pgn_buf_append(&ret_values[done + i], bytes, value_len);
            if (value[i])
                rocksdb_pinnableslice_destroy(value[i]);
            if (err[i])
                error = error_of(err[i], NULL);
        }
    }
    return error;
}

static int rocks_scan(struct sto_kv *kv, struct sto_view *view, enum sto_cf cf, struct sto_slice from, struct sto_slice to, bool reverse,
                      sto_kv_visit *visit, void *ctx)
{
    struct rocks *r = rocks_of(kv);
    char *err = NULL;
    rocksdb_readoptions_t *ro;

    if (!r->db)
        return PGN_E_IO;
    ro = rocksdb_readoptions_create();
    if (view)
        rocksdb_readoptions_set_snapshot(ro, view->snapshot);
    rocksdb_readoptions_set_iterate_lower_bound(ro, from.data, from.len);
    rocksdb_readoptions_set_iterate_upper_bound(ro, to.data, to.len);
    rocksdb_iterator_t *it = rocksdb_create_iterator_cf(r->db, ro, r->cf[cf]);
    if (reverse)
        rocksdb_iter_seek_to_last(it);
    else
        rocksdb_iter_seek(it, from.data, from.len);
    while (rocksdb_iter_valid(it)) {
        struct sto_slice key, value;

        key.data = rocksdb_iter_key(it, &key.len);
        value.data = rocksdb_iter_value(it, &value.len);
        if (!visit(ctx, key, value))
            break;
        if (reverse)
            rocksdb_iter_prev(it);
        else
            rocksdb_iter_next(it);
    }
    rocksdb_iter_get_error(it, &err);
    rocksdb_iter_destroy(it);
    rocksdb_readoptions_destroy(ro);
    return err ? error_of(err, NULL) : 0;
}

static uint64_t rocks_bytes(struct sto_kv *kv)
{
    struct rocks *r = rocks_of(kv);
    uint64_t sum = 0;

    pthread_rwlock_rdlock(&r->lock);
    for (int i = 0; r->db && i < STO_CF_COUNT; i++) {
        uint64_t bytes = 0;

        if (rocksdb_property_int_cf(r->db, r->cf[i], "rocksdb.total-sst-files-size", &bytes) == 0)
            sum += bytes;
        if (rocksdb_property_int_cf(r->db, r->cf[i], "rocksdb.cur-size-all-mem-tables", &bytes) == 0)
            sum += bytes;
    }
    pthread_rwlock_unlock(&r->lock);
    return sum;
}

static int rocks_checkpoint(struct sto_kv *kv, const char *directory)
{
    struct rocks *r = rocks_of(kv);
    char *err = NULL;

    pthread_rwlock_rdlock(&r->lock);
    rocksdb_checkpoint_t *cp = r->db ? rocksdb_checkpoint_object_create(r->db, &err) : NULL;
    if (cp) {
        rocksdb_checkpoint_create(cp, directory, 0, &err);
        rocksdb_checkpoint_object_destroy(cp);
    }
    pthread_rwlock_unlock(&r->lock);
    if (err)
        return error_of(err, NULL);
    return cp ? 0 : PGN_E_IO;
}

static const struct sto_kv_ops rocks_ops = {
    .write = rocks_write,
    .view_begin = rocks_view_begin,
    .view_end = rocks_view_end,
    .get = rocks_get,
    .get_many = rocks_get_many,
    .scan = rocks_scan,
    .recover = rocks_recover,
    .bytes = rocks_bytes,
    .checkpoint = rocks_checkpoint,
    .close = rocks_close,
};

static struct rocks *rocks_new(const struct sto_kv_rocks_options *options)
{
    struct rocks *r = pgn_calloc(1, sizeof *r);
    pthread_rwlockattr_t attr;

    r->base.ops = &rocks_ops;
    r->path = pgn_strdup(options->path);
    r->retry_s = options->retry_days * 86400u;
    pthread_rwlockattr_init(&attr);
    pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&r->lock, &attr);
    pthread_rwlockattr_destroy(&attr);
    r->write_plain = rocksdb_writeoptions_create();
    r->write_sync = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(r->write_sync, 1);
    r->read = rocksdb_readoptions_create();
    r->batch = rocksdb_writebatch_create();
    return r;
}

int sto_kv_rocks_open(const struct sto_kv_rocks_options *options, struct sto_kv **ret_kv, struct pgn_buf *ret_problem)
{
    struct rocks *r = rocks_new(options);
    struct pgn_buf problem = {0};

    options_new(r, options, true);
    if (!disk_writable(options->path)) {
        pgn_buf_printf(ret_problem, "nothing can be written beside %s: %s", options->path, strerror(errno));
        rocks_close(&r->base);
        return PGN_E_IO;
    }
    int error = options->notes ? sto_wal_check(options->path, options->notes) : 0;
    if (!error)
        error = db_open(r, false, &problem);
    if (error == PGN_E_IO && strstr(pgn_buf_cstr(&problem), "ompression type")) { /* a library without lz4 or zstd */
        options_free(r);
        options_new(r, options, false);
        pgn_buf_clear(&problem);
        error = db_open(r, false, &problem);
    }
    if (error) {
        pgn_buf_append(ret_problem, problem.data, problem.len);
        rocks_close(&r->base);
    } else {
        *ret_kv = &r->base;
    }
    pgn_buf_release(&problem);
    return error;
}

int sto_kv_rocks_repair(const char *path, struct pgn_buf *ret_problem)
{
    rocksdb_options_t *o = rocksdb_options_create();
    char *err = NULL;

    rocksdb_options_set_info_log_level(o, INFO_LOG_FATAL);
    rocksdb_repair_db(o, path, &err);
    rocksdb_options_destroy(o);
    return err ? error_of(err, ret_problem) : 0;
}
