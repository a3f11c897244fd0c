/* A file into an empty store. How far it is stands in the store itself, in the same write as the rows. */
#include "common/base/error.h"
#include "services/storage/move_internal.h"

#include <stdlib.h>
#include <string.h>

uint64_t sto_import_test_stop;

struct row {
    enum sto_cf cf;
    size_t key, key_len, value, value_len; /* offsets into bytes */
};
struct import {
    struct sto_store *store;
    struct sto_parts *parts;
    uint8_t hash[STO_MOVE_HASH];
    uint64_t have; /* chunks that are in */
    struct sto_moved moved;
    /* the chunk in the making */
    uint64_t number;
    bool dir_open;
    sqlite3_stmt *inserts[STO_DIR_TABLES];
    struct pgn_buf bytes, key, value;
    struct row *rows;
    size_t count, cap;
    struct pgn_buf *problem;
};

/* ---- where it is ---- */

static int mark_get(struct sto_parts *p, uint8_t ret_hash[STO_MOVE_HASH], uint64_t *ret_chunks)
{
    struct sto_key key = sto_key_meta(STO_IMPORT_MARK);
    struct pgn_buf value = {0};
    int error = p->kv->ops->get(p->kv, NULL, STO_CF_MAIN, sto_key_slice(&key), &value);

    if (!error && value.len != STO_MOVE_HASH + 8)
        error = PGN_E_CORRUPT;
    if (!error) {
        memcpy(ret_hash, value.data, STO_MOVE_HASH);
        *ret_chunks = sto_u64be(value.data + STO_MOVE_HASH);
    }
    pgn_buf_release(&value);
    return error;
}

bool sto_import_pending(struct sto_store *s)
{
    uint8_t hash[STO_MOVE_HASH];
    uint64_t chunks;

    return mark_get(sto_parts_of(s), hash, &chunks) != PGN_E_NOT_FOUND;
}

/* ---- writing ---- */

/* Another instance may have written (it must not run, but a lease or a sweep may): then once more. */
static int write_rows(struct sto_kv *kv, const struct sto_kv_put *puts, size_t count)
{
    enum { TRIES = 5 };
    int error = PGN_E_STALE;

    for (int i = 0; error == PGN_E_STALE && i < TRIES; i++) {
        bool moved = false;

        error = kv->ops->commit_begin ? kv->ops->commit_begin(kv, &moved) : 0;
        if (!error) {
            error = kv->ops->write(kv, puts, count, true);
            if (kv->ops->commit_end)
                kv->ops->commit_end(kv);
        }
    }
    return error;
}

static int mark_put(struct import *in, uint64_t chunks, bool remove)
{
    struct sto_key key = sto_key_meta(STO_IMPORT_MARK);
    uint8_t value[STO_MOVE_HASH + 8];

    memcpy(value, in->hash, STO_MOVE_HASH);
    for (int i = 0; i < 8; i++)
        value[STO_MOVE_HASH + i] = (uint8_t)(chunks >> (56 - 8 * i));
    struct sto_kv_put put = {STO_CF_MAIN, remove, sto_key_slice(&key), sto_slice_of(value, remove ? 0 : sizeof value)};
    return write_rows(in->parts->kv, &put, 1);
}

static int dir_take(struct import *in, const Pigeon__ExportLine *line, size_t table)
{
    int error = 0;

    if (!in->dir_open) {
        error = in->store->ops->dir_begin(in->store);
        in->dir_open = !error;
    }
    if (!error && !in->inserts[table])
        error = sto_dir_insert(in->parts->dir, &sto_dir_tables[table], &in->inserts[table]);
    if (error)
        return error;
    sto_line_bind(line, table, in->inserts[table]);
    int result = sqlite3_step(in->inserts[table]);
    sqlite3_reset(in->inserts[table]);
    return sto_sql_error(result);
}

static void row_add(struct import *in, enum sto_cf cf)
{
    if (in->count == in->cap) {
        in->cap = in->cap ? in->cap * 2 : 1024;
        in->rows = pgn_realloc(in->rows, in->cap * sizeof *in->rows);
    }
    in->rows[in->count++] = (struct row){cf, in->bytes.len, in->key.len, in->bytes.len + in->key.len, in->value.len};
    pgn_buf_append(&in->bytes, in->key.data, in->key.len);
    pgn_buf_append(&in->bytes, in->value.data, in->value.len);
}

static int on_line(void *ctx, const Pigeon__ExportLine *line)
{
    struct import *in = ctx;
    int table = sto_line_table(line), error = 0;
    enum sto_cf cf;

    if (table >= 0) { /* again, too: sessions that expired went when the store was opened again */
        in->moved.rows++;
        return dir_take(in, line, (size_t)table);
    }
    if (in->number < in->have)
        return 0;
    in->moved.rows++;
    if (sto_line_to_row(line, &in->key, &in->value, &cf))
        row_add(in, cf);
    else
        error = PGN_E_CORRUPT;
    return error;
}

/* In pieces that a slow server can do in time; the mark with the last. */
static int rows_write(struct import *in)
{
    enum { PIECE = 250 };
    struct sto_kv_put *puts = pgn_calloc(in->count + 1, sizeof *puts);
    struct sto_key mark = sto_key_meta(STO_IMPORT_MARK);
    uint8_t value[STO_MOVE_HASH + 8];
    uint64_t chunks = in->number + 1;

    for (size_t i = 0; i < in->count; i++) {
        const struct row *r = &in->rows[i];

        puts[i] = (struct sto_kv_put){r->cf, false, sto_slice_of(in->bytes.data + r->key, r->key_len),
                                      sto_slice_of(in->bytes.data + r->value, r->value_len)};
    }
    memcpy(value, in->hash, STO_MOVE_HASH);
    for (int i = 0; i < 8; i++)
        value[STO_MOVE_HASH + i] = (uint8_t)(chunks >> (56 - 8 * i));
    puts[in->count] = (struct sto_kv_put){STO_CF_MAIN, false, sto_key_slice(&mark), sto_slice_of(value, sizeof value)};
    int error = 0;
    for (size_t from = 0; !error && from <= in->count; from += PIECE)
        error = write_rows(in->parts->kv, puts + from, in->count + 1 - from < PIECE ? in->count + 1 - from : PIECE);
    free(puts);
    return error;
}

/* The directory's rows first: written again, they are the same. The mark goes with the log's. */
static int on_chunk(void *ctx, uint64_t number)
{
    struct import *in = ctx;
    int error = 0;

    if (in->dir_open) {
        in->dir_open = false;
        error = in->store->ops->dir_end(in->store);
    }
    if (!error && number <= in->have) {
        in->number = number;
        in->moved.skipped++;
        return 0;
    }
    if (!error)
        error = rows_write(in);
    pgn_buf_clear(&in->bytes);
    in->count = 0;
    in->number = number;
    in->moved.chunks++;
    if (!error && sto_import_test_stop && number >= sto_import_test_stop)
        error = PGN_E_UNAVAILABLE;
    return error;
}

/* ---- before and after ---- */

/* How many rows there are but store-wide values. */
static bool count_row(void *ctx, struct sto_slice key, struct sto_slice value)
{
    (void)value;
    *(uint64_t *)ctx += key.len == 0 || *(const char *)key.data != '!';
    return true;
}

static int is_empty(struct sto_parts *p, bool *ret_empty)
{
    static const uint8_t last[STO_KEY_MAX] = {[0 ... STO_KEY_MAX - 1] = 0xff};
    uint64_t users, sessions, audit = 0, bad = 0, rows = 0;
    int error = p->kv->ops->scan(p->kv, NULL, STO_CF_MAIN, sto_slice_of("", 0), sto_slice_of(last, sizeof last), false, count_row, &rows);

    if (!error)
        error = sto_dir_audit_verify(p->dir, &audit, &bad);
    sto_dir_counts(p->dir, &users, &sessions);
    *ret_empty = !error && rows == 0 && users == 0 && sessions == 0 && audit == 0;
    return error;
}

static int may_begin(struct import *in)
{
    uint8_t hash[STO_MOVE_HASH];
    bool empty;
    int error = mark_get(in->parts, hash, &in->have);

    if (!error && memcmp(hash, in->hash, sizeof hash) != 0) {
        pgn_buf_append_str(in->problem,
                           "this store holds half an import of another file: go on with that file, or begin with an empty store");
        return PGN_E_CONFLICT;
    }
    if (error != PGN_E_NOT_FOUND)
        return error;
    in->have = 0;
    error = is_empty(in->parts, &empty);
    if (!error && !empty) {
        pgn_buf_append_str(in->problem, "this store is not empty: an import needs one that nobody used");
        return PGN_E_CONFLICT;
    }
    return error ? error : mark_put(in, 0, false);
}

/* Reads what is in the store now, as an export would, and compares. */
static int compare(struct import *in)
{
    struct sto_move_out o;
    uint8_t hash[STO_MOVE_HASH];

    sto_out_begin(&o, -1, 0);
    int error = sto_log_recover(in->parts->log); /* counters: the head line names the newest commit */
    if (!error)
        error = sto_move_walk(in->store, &o, in->problem);
    if (!error)
        error = sto_out_end(&o, hash);
    if (!error && memcmp(hash, in->hash, sizeof hash) != 0) {
        pgn_buf_append_str(in->problem,
                           "what is in the store is not what is in the file: something else wrote to it meanwhile, or its disk "
                           "is bad. Begin again with an empty store");
        error = PGN_E_CORRUPT;
    }
    sto_out_release(&o);
    return error;
}

static void import_release(struct import *in)
{
    for (size_t i = 0; i < STO_DIR_TABLES; i++)
        sqlite3_finalize(in->inserts[i]);
    pgn_buf_release(&in->bytes);
    pgn_buf_release(&in->key);
    pgn_buf_release(&in->value);
    free(in->rows);
}

int sto_import(struct sto_store *s, const char *path, struct sto_moved *ret, struct pgn_buf *ret_problem)
{
    struct import in = {.store = s, .parts = sto_parts_of(s), .problem = ret_problem};
    struct sto_counts counts;
    uint8_t again[STO_MOVE_HASH];
    int error = sto_in_read(path, NULL, NULL, NULL, &counts, in.hash, ret_problem);

    if (!error)
        error = may_begin(&in);
    if (!error)
        error = sto_in_read(path, on_line, on_chunk, &in, &counts, again, ret_problem);
    if (in.dir_open)
        (void)!s->ops->dir_end(s);
    if (!error)
        error = compare(&in);
    if (!error)
        error = mark_put(&in, 0, true);
    if (error && ret_problem->len == 0)
        pgn_buf_printf(ret_problem, "the import stopped: %s. Run it again: it goes on where it was", pgn_error_info(error)->text);
    *ret = in.moved;
    import_release(&in);
    return error;
}
