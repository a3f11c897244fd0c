/* The directory's tables, and the way from older ones: migration n brings schema n to n + 1, all in one transaction. */
#include "common/base/error.h"
#include "services/storage/dir_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const migrations[STO_DIR_SCHEMA] = {
    "CREATE TABLE users(user TEXT PRIMARY KEY, name TEXT NOT NULL, password_hash TEXT NOT NULL, admin INTEGER NOT NULL, disabled INTEGER "
    "NOT NULL,"
    " must_change INTEGER NOT NULL, created_at INTEGER NOT NULL, last_seen INTEGER NOT NULL DEFAULT 0, avatar TEXT NOT NULL, about TEXT "
    "NOT NULL,"
    " status_text TEXT NOT NULL, status_state INTEGER NOT NULL DEFAULT 0, file_bytes INTEGER NOT NULL DEFAULT 0, lang TEXT NOT NULL,"
    " version INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;"
    "CREATE TABLE sessions(hash BLOB PRIMARY KEY, user TEXT NOT NULL, device TEXT NOT NULL, created_at INTEGER NOT NULL, expires_at "
    "INTEGER NOT NULL,"
    " last_used INTEGER NOT NULL, address TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE UNIQUE INDEX sessions_device ON sessions(user, device);"
    "CREATE TABLE contacts(user TEXT NOT NULL, other TEXT NOT NULL, state TEXT NOT NULL, note TEXT NOT NULL, since INTEGER NOT NULL,"
    " PRIMARY KEY(user, other)) WITHOUT ROWID;"
    "CREATE TABLE invites(code TEXT PRIMARY KEY, created_by TEXT NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL,"
    " uses_left INTEGER NOT NULL, conv TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE files(file_id TEXT PRIMARY KEY, owner TEXT NOT NULL, name TEXT NOT NULL, size INTEGER NOT NULL, mime TEXT NOT NULL,"
    " sha256 BLOB NOT NULL, created_at INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE audit(number INTEGER PRIMARY KEY, at INTEGER NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL, object TEXT NOT NULL,"
    " detail TEXT NOT NULL, hash BLOB NOT NULL);"
    "CREATE TABLE settings(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;",
    "CREATE TABLE mqtt(user TEXT NOT NULL, device TEXT NOT NULL, expires_at INTEGER NOT NULL, cursor TEXT NOT NULL, state BLOB NOT NULL,"
    " PRIMARY KEY(user, device)) WITHOUT ROWID;"
    "CREATE INDEX mqtt_expires ON mqtt(expires_at) WHERE expires_at <> 0;",
};

static int schema_of(sqlite3 *db, int *ret_version)
{
    sqlite3_stmt *s = NULL;
    int result = sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &s, NULL);

    if (result == SQLITE_OK)
        result = sqlite3_step(s);
    if (result == SQLITE_ROW)
        *ret_version = sqlite3_column_int(s, 0);
    sqlite3_finalize(s);
    return sto_sql_error(result);
}

/* user_version takes no parameter; the statements are constants all the same. */
static int migrate(sqlite3 *db, int from, const char *const *all, int newest)
{
    struct pgn_buf set = {0};
    int result = sqlite3_exec(db, "BEGIN EXCLUSIVE", NULL, NULL, NULL);

    for (int i = from; result == SQLITE_OK && i < newest; i++)
        result = sqlite3_exec(db, all[i], NULL, NULL, NULL);
    pgn_buf_printf(&set, "PRAGMA user_version=%d", newest);
    if (result == SQLITE_OK)
        result = sqlite3_exec(db, pgn_buf_cstr(&set), NULL, NULL, NULL);
    if (result == SQLITE_OK)
        result = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    if (result != SQLITE_OK)
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    pgn_buf_release(&set);
    return sto_sql_error(result);
}

int sto_dir_schema_to(sqlite3 *db, const char *path, const char *const *all, int newest, struct pgn_buf *ret_problem, struct pgn_buf *notes)
{
    struct pgn_buf copy = {0};
    int version = 0, error = schema_of(db, &version);

    if (error || version == newest)
        return error;
    if (version > newest) {
        pgn_buf_printf(ret_problem, "%s has schema %d, written by a newer Pigeon; this one knows up to %d: install the newer version again",
                       path, version, newest);
        return PGN_E_CONFLICT;
    }
    if (version > 0) {
        pgn_buf_printf(&copy, "%s.schema-%d", path, version);
        error = sto_dir_copy(path, pgn_buf_cstr(&copy));
        if (!error)
            pgn_buf_printf(notes, "the directory is brought from schema %d to %d; as it was it is kept in %s\n", version, newest,
                           pgn_buf_cstr(&copy));
    }
    pgn_buf_release(&copy);
    return error ? error : migrate(db, version, all, newest);
}

int sto_dir_schema(sqlite3 *db, const char *path, struct pgn_buf *ret_problem, struct pgn_buf *notes)
{
    return sto_dir_schema_to(db, path, migrations, STO_DIR_SCHEMA, ret_problem, notes);
}
