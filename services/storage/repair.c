/* Damage: what is damaged is set aside under another name, never changed; what can be read of it takes its place. */
#include "common/base/error.h"
#include "services/storage/dir_internal.h"
#include "services/storage/dir_replica.h"
#include "services/storage/embedded.h"
#include "services/storage/files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- message log ---- */

/* A repaired copy of path in copy; whether it opens. */
static int copy_repaired(const char *path, const char *copy, struct sto_rebuilt *ret_rebuilt)
{
    struct sto_kv_rocks_options options = {.path = copy, .cache_bytes = 8u << 20, .memtable_bytes = 8u << 20, .retry_days = 14};
    struct sto_kv *kv = NULL;
    struct pgn_buf ignored = {0};
    int error = sto_copy_tree(path, copy, ".sst");

    if (!error)
        error = sto_kv_rocks_repair(copy, &ignored);
    if (!error)
        error = sto_kv_rocks_open(&options, &kv, &ignored);
    if (!error)
        error = sto_log_rebuild(kv, ret_rebuilt);
    if (kv)
        kv->ops->close(kv);
    pgn_buf_release(&ignored);
    return error;
}

int sto_repair_log(const char *path, const struct pgn_buf *problem, struct pgn_buf *notes)
{
    char *aside = sto_aside_name(path, "damaged"), *copy = sto_path("%s.repairing", path);
    struct sto_rebuilt rebuilt = {0};

    sto_remove_tree(copy);
    int repaired = copy_repaired(path, copy, &rebuilt);
    if (repaired != 0)
        sto_remove_tree(copy);
    int error = sto_rename_durable(path, aside);
    if (!error)
        error = sto_repair_finish(path);
    if (!error) {
        pgn_buf_printf(notes, "the message log was damaged (%.*s); it is kept as it was in %s\n", (int)problem->len,
                       (const char *)problem->data, aside);
        if (repaired == 0)
            pgn_buf_printf(
                notes,
                "of it %llu messages in %llu conversations could be read and are in place; %llu numbers below the newest are missing, and "
                "what was newer than the last readable is lost: restore a backup if that is too much\n",
                (unsigned long long)rebuilt.messages, (unsigned long long)rebuilt.convs, (unsigned long long)rebuilt.missing);
        else
            pgn_buf_append_str(notes, "nothing of it could be read: all messages and groups are lost unless a backup is restored\n");
    }
    free(aside);
    free(copy);
    return error;
}

/* ---- directory ---- */

/* Copies rows until the first that cannot be read; how many. */
static size_t copy_rows(sqlite3 *from, sqlite3 *to, const char *table, const char *order)
{
    char select[128], insert[256], marks[] = "?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?";
    sqlite3_stmt *in = NULL, *out = NULL;
    size_t count = 0;

    snprintf(select, sizeof select, "SELECT * FROM %s ORDER BY 1 %s", table, order);
    if (sqlite3_prepare_v2(from, select, -1, &in, NULL) != SQLITE_OK)
        return 0;
    int columns = sqlite3_column_count(in);
    if (columns > 0 && 2 * (size_t)columns < sizeof marks)
        marks[2 * columns - 1] = 0; /* as many as there are columns */
    snprintf(insert, sizeof insert, "INSERT OR IGNORE INTO %s VALUES(%s)", table, marks);
    if (sqlite3_prepare_v2(to, insert, -1, &out, NULL) == SQLITE_OK)
        while (sqlite3_step(in) == SQLITE_ROW) {
            for (int i = 0; i < columns; i++)
                sqlite3_bind_value(out, i + 1, sqlite3_column_value(in, i));
            if (sqlite3_step(out) == SQLITE_DONE)
                count += (size_t)sqlite3_changes(to);
            sqlite3_reset(out);
        }
    sqlite3_finalize(in);
    sqlite3_finalize(out);
    return count;
}

static int salvage(const char *damaged, const char *path, struct pgn_buf *notes)
{
    sqlite3 *from = NULL, *to = NULL;
    struct pgn_buf ignored = {0};
    int error = sqlite3_open_v2(path, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) == SQLITE_OK ? 0 : PGN_E_IO;

    if (!error)
        error = sto_dir_schema(to, path, &ignored, &ignored);
    pgn_buf_append_str(notes, "of it could be read:");
    if (!error && sqlite3_open_v2(damaged, &from, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK) {
        sqlite3_exec(to, "BEGIN", NULL, NULL, NULL);
        for (size_t i = 0; i < STO_DIR_TABLES; i++) {
            const char *table = sto_dir_tables[i].name;
            size_t rows = copy_rows(from, to, table, "ASC"); /* up to the damage, and */

            rows += copy_rows(from, to, table, "DESC"); /* from the other end down to it */
            pgn_buf_printf(notes, " %zu %s", rows, table);
        }
        if (sqlite3_exec(to, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
            error = PGN_E_IO;
    }
    pgn_buf_append_str(notes, "; everything else of it is lost unless a backup is restored\n");
    sqlite3_close(from);
    sqlite3_close(to);
    pgn_buf_release(&ignored);
    return error;
}

static int move_aside(const char *path, const char *aside)
{
    static const char *const endings[] = {"-wal", "-shm", ""}; /* the name itself last: until then it is begun again */

    for (size_t i = 0; i < PGN_COUNT(endings); i++) {
        char *from = sto_path("%s%s", path, endings[i]), *to = sto_path("%s%s", aside, endings[i]);
        int error = sto_exists(from) ? sto_rename_durable(from, to) : 0;

        free(from);
        free(to);
        if (error)
            return error;
    }
    return 0;
}

/* A copy that may be read: reading replays the log beside it. */
static int copy_for_reading(const char *path, const char *copy)
{
    static const char *const endings[] = {"", "-wal"};
    struct pgn_buf content = {0};
    int error = 0;

    for (size_t i = 0; !error && i < PGN_COUNT(endings); i++) {
        char *from = sto_path("%s%s", path, endings[i]), *to = sto_path("%s%s", copy, endings[i]);

        pgn_buf_clear(&content);
        error = sto_read_file(from, &content);
        if (!error)
            error = sto_write_file(to, &content);
        if (error == PGN_E_NOT_FOUND)
            error = 0;
        free(from);
        free(to);
    }
    pgn_buf_release(&content);
    return error;
}

static void remove_database(const char *path)
{
    static const char *const endings[] = {"", "-wal", "-shm", "-journal"};

    for (size_t i = 0; i < PGN_COUNT(endings); i++) {
        char *one = sto_path("%s%s", path, endings[i]);

        unlink(one);
        free(one);
    }
}

int sto_repair_dir(const char *path, const struct pgn_buf *problem, struct pgn_buf *notes)
{
    char *aside = sto_aside_name(path, "damaged"), *readable = sto_path("%s.reading", path), *fresh = sto_path("%s.repairing", path);

    remove_database(readable);
    remove_database(fresh);
    pgn_buf_printf(notes, "the directory was damaged (%.*s); it is kept as it was in %s\n", (int)problem->len, (const char *)problem->data,
                   aside);
    int error = copy_for_reading(path, readable);
    if (!error)
        error = salvage(readable, fresh, notes);
    if (!error)
        error = sto_sync_path(fresh);
    if (!error)
        error = move_aside(path, aside);
    if (!error)
        error = sto_repair_finish(path);
    remove_database(readable);
    free(readable);
    free(fresh);
    free(aside);
    return error;
}

int sto_repair_finish(const char *path)
{
    char *fresh = sto_path("%s.repairing", path);
    int error = !sto_exists(path) && sto_exists(fresh) ? sto_rename_durable(fresh, path) : 0;

    free(fresh);
    return error;
}
