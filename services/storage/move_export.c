/* Everything a store holds, into a file. */
#include "common/base/error.h"
#include "services/storage/move_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the directory ---- */

static int table_walk(struct sto_dir *dir, size_t table, struct sto_move_out *o, struct pgn_buf *ret_problem)
{
    const struct sto_dir_table *t = &sto_dir_tables[table];
    struct pgn_arena *arena = pgn_arena_new(16384);
    struct pgn_buf sql = {0};
    sqlite3_stmt *s = NULL;
    bool row;

    pgn_buf_printf(&sql, "SELECT * FROM %s ORDER BY 1, 2", t->name);
    int error = sto_sql_error(sqlite3_prepare_v2(dir->db, pgn_buf_cstr(&sql), -1, &s, NULL));
    while (!error && (error = sto_sql_step(s, &row)) == 0 && row) {
        Pigeon__ExportLine line = PIGEON__EXPORT_LINE__INIT;

        pgn_arena_reset(arena);
        if (!sto_line_of_dir(arena, s, table, &line)) {
            pgn_buf_printf(ret_problem, "a row of %s has text that is no UTF-8: it cannot be exported", t->name);
            error = PGN_E_CORRUPT;
        } else {
            sto_out_line(o, &line);
        }
    }
    sqlite3_finalize(s);
    pgn_buf_release(&sql);
    pgn_arena_free(&arena);
    return error;
}

/* ---- the message log ---- */

struct walk {
    struct pgn_map *names;
    struct sto_move_out *o;
    struct pgn_arena *arena;
    enum sto_cf cf;
};

static bool on_row(void *ctx, struct sto_slice key, struct sto_slice value)
{
    struct walk *w = ctx;
    struct sto_kv_put row = {w->cf, false, key, value};
    Pigeon__ExportLine line = PIGEON__EXPORT_LINE__INIT;
    struct sto_key mark = sto_key_meta(STO_IMPORT_MARK);

    if (w->cf == STO_CF_MAIN && key.len == mark.len && memcmp(key.data, mark.data, mark.len) == 0)
        return true;
    pgn_arena_reset(w->arena);
    sto_line_of_row(w->names, w->arena, &row, &line);
    sto_out_line(w->o, &line);
    return !w->o->error;
}

static int log_walk(struct sto_kv *kv, struct sto_move_out *o)
{
    static const uint8_t last[STO_KEY_MAX] = {[0 ... STO_KEY_MAX - 1] = 0xff};
    struct sto_view *view = kv->ops->view_begin(kv);
    struct walk w = {.names = sto_names_load(kv, view), .o = o, .arena = pgn_arena_new(16384)};
    int error = 0;

    for (int cf = 0; !error && cf < STO_CF_COUNT; cf++) {
        w.cf = (enum sto_cf)cf;
        error = kv->ops->scan(kv, view, w.cf, sto_slice_of("", 0), sto_slice_of(last, sizeof last), false, on_row, &w);
    }
    kv->ops->view_end(kv, view);
    sto_names_free(&w.names);
    pgn_arena_free(&w.arena);
    return error ? error : o->error;
}

int sto_move_walk(struct sto_store *s, struct sto_move_out *o, struct pgn_buf *ret_problem)
{
    struct sto_parts *p = sto_parts_of(s);
    Pigeon__ExportLine line = PIGEON__EXPORT_LINE__INIT;
    Pigeon__ExportHead head = PIGEON__EXPORT_HEAD__INIT;
    int error = 0;

    head.format = STO_MOVE_FORMAT;
    head.commit = sto_log_last_commit(p->log);
    line.what_case = PIGEON__EXPORT_LINE__WHAT_HEAD;
    line.head = &head;
    sto_out_line(o, &line);
    for (size_t i = 0; !error && i < STO_DIR_TABLES; i++)
        error = table_walk(p->dir, i, o, ret_problem);
    if (!error)
        error = log_walk(p->kv, o);
    if (error && ret_problem->len == 0)
        pgn_buf_printf(ret_problem, "%s: %s", o->error ? "the file cannot be written" : "the store cannot be read",
                       o->error ? strerror(errno) : pgn_error_info(error)->text);
    return error;
}

/* ---- the file ---- */

static int part_open(const char *part, uint64_t *ret_bytes, struct pgn_buf *ret_problem)
{
    struct stat st;
    int fd = open(part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0 || fstat(fd, &st) != 0) {
        pgn_buf_printf(ret_problem, "%s cannot be written: %s", part, strerror(errno));
        if (fd >= 0)
            close(fd);
        return -1;
    }
    *ret_bytes = (uint64_t)st.st_size;
    return fd;
}

static int finish(struct sto_move_out *o, const char *part, const char *path, struct pgn_buf *ret_problem)
{
    uint8_t hash[STO_MOVE_HASH];
    int error = sto_out_end(o, hash);

    if (!error && (fsync(o->fd) != 0 || rename(part, path) != 0))
        error = PGN_E_IO;
    if (error)
        pgn_buf_printf(ret_problem, "%s cannot be written: %s", path, strerror(errno));
    return error;
}

int sto_export(struct sto_store *s, const char *path, struct sto_moved *ret, struct pgn_buf *ret_problem)
{
    struct pgn_buf part = {0};
    struct sto_move_out o;
    uint64_t bytes = 0;

    if (sto_import_pending(s)) {
        pgn_buf_append_str(ret_problem, "this store holds half an import: run `pigeon import` again first");
        return PGN_E_CONFLICT;
    }
    if (access(path, F_OK) == 0) {
        pgn_buf_printf(ret_problem, "%s exists: choose another name", path);
        return PGN_E_CONFLICT;
    }
    pgn_buf_printf(&part, "%s.part", path);
    int fd = part_open(pgn_buf_cstr(&part), &bytes, ret_problem);
    if (fd < 0) {
        pgn_buf_release(&part);
        return PGN_E_IO;
    }
    sto_out_begin(&o, fd, bytes);
    int error = sto_move_walk(s, &o, ret_problem);
    if (!error)
        error = finish(&o, pgn_buf_cstr(&part), path, ret_problem);
    *ret = (struct sto_moved){o.rows, o.chunk, o.skipped};
    sto_out_release(&o);
    close(fd);
    pgn_buf_release(&part);
    return error;
}
