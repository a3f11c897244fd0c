/*
 * The RocksDB engine. A reader-writer lock lets the committer close and reopen the database under the readers after a
 * failed write (a disk that was full); a view holds it shared.
 */
#include "common/base/alloc.h"
#include "common/base/error.h"
#include "services/storage/kv_rocks_setup.h"
#include "services/storage/rows.h"
#include "services/storage/wal_check.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { INFO_LOG_FATAL = 4 };

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
    struct sto_rocks_setup setup;
    rocksdb_writeoptions_t *write_sync, *write_plain;
    rocksdb_readoptions_t *read;
    rocksdb_writebatch_t *batch;
    struct place *places; /* scratch of a write */
    size_t place_cap;
    char *path;
    bool failed;    /* committer's: no write until recovered */
    bool read_only; /* committer's: open for reading while the disk takes nothing */
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

/* ---- open and close ---- */

static int db_open(struct rocks *r, bool read_only, struct pgn_buf *ret_problem)
{
    char *err = NULL;
    const rocksdb_options_t *cf_options[STO_CF_COUNT];

    for (int i = 0; i < STO_CF_COUNT; i++)
        cf_options[i] = r->setup.cf_options[i];
    if (read_only)
        r->db = rocksdb_open_for_read_only_column_families(r->setup.options, r->path, STO_CF_COUNT, cf_names, cf_options, r->cf, 0, &err);
    else
        r->db = rocksdb_open_column_families(r->setup.options, r->path, STO_CF_COUNT, cf_names, cf_options, r->cf, &err);
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
    sto_rocks_setup_free(&r->setup);
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
    for (int i = 0; ok && i < PROBE_BYTES / PIECE; i++) {
        ssize_t n = write(fd, piece, PIECE);

        ok = n == PIECE;
        if (n >= 0 && !ok)
            errno = ENOSPC; /* a part fitted */
    }
    ok = ok && fsync(fd) == 0;
    int why = errno;
    if (fd >= 0)
        close(fd);
    unlink(pgn_buf_cstr(&name));
    pgn_buf_release(&name);
    errno = why;
    return ok;
}

/*
 * Opened anew, not resumed: what a failed fsync left in the kernel's pages counts as written there but is not on the disk. Opening reads
 * the log back and writes what it holds into a table, synced, so that nothing depends on those pages. For reading only while the disk takes
 * nothing: RocksDB's own attempts to resume write to the log whose write failed, and a library with assertions (Debian's) aborts then.
 */
static int reopen(struct rocks *r, bool read_only)
{
    pthread_rwlock_wrlock(&r->lock);
    db_close(r);
    int error = read_only ? PGN_E_IO : db_open(r, false, NULL);
    r->read_only = error && db_open(r, true, NULL) == 0;
    pthread_rwlock_unlock(&r->lock);
    return error;
}

static int rocks_recover(struct sto_kv *kv)
{
    struct rocks *r = rocks_of(kv);
    bool writable;

    if (!r->failed)
        return 0;
    writable = disk_writable(r->path);
    if (!writable && r->read_only)
        return PGN_E_IO;
    int error = reopen(r, !writable);
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

    sto_rocks_setup_make(&r->setup, options, true);
    r->failed = r->read_only = !disk_writable(options->path);
    int why = errno, error = 0;
    if (r->failed && options->notes)
        pgn_buf_printf(options->notes,
                       "nothing can be written beside %s (%s): messages can be read, nothing is taken until there is room\n", options->path,
                       strerror(why));
    else if (options->notes)
        error = sto_wal_check(options->path, options->notes);
    if (!error)
        error = db_open(r, r->failed, &problem);
    if (error == PGN_E_IO && strstr(pgn_buf_cstr(&problem), "ompression type")) { /* a library without lz4 or zstd */
        sto_rocks_setup_free(&r->setup);
        sto_rocks_setup_make(&r->setup, options, false);
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
