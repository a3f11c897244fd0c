/* Prepared statements. */
#include "common/base/error.h"
#include "services/storage/dir_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const sql_text[STO_SQL_COUNT] = {
#define STO_SQL(id, text) text,
#include "services/storage/dir_statements.h"
#undef STO_SQL
};

int sto_sql_error(int sqlite_error)
{
    switch (sqlite_error & 0xff) {
    case SQLITE_OK:
    case SQLITE_DONE:
    case SQLITE_ROW:
        return 0;
    case SQLITE_CONSTRAINT:
        return PGN_E_CONFLICT;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return PGN_E_CORRUPT;
    case SQLITE_TOOBIG:
        return PGN_E_TOO_LARGE;
    default:
        return PGN_E_UNAVAILABLE;
    }
}

static void bind(sqlite3_stmt *s, const char *format, va_list args)
{
    for (int at = 1; *format; format++, at++) {
        if (*format == 's') {
            sqlite3_bind_text(s, at, va_arg(args, const char *), -1, SQLITE_TRANSIENT);
        } else if (*format == 'i') {
            sqlite3_bind_int64(s, at, va_arg(args, int64_t));
        } else {
            const void *data = va_arg(args, const void *);
            size_t len = va_arg(args, size_t);

            sqlite3_bind_blob(s, at, len ? data : "", (int)len, SQLITE_TRANSIENT);
        }
    }
}

/* Aborts when the statement is wrong: that is a bug. Damage shows at the first step. */
static sqlite3_stmt *statement(struct sto_dir *dir, enum sto_sql id)
{
    if (!dir->stmt[id] && sqlite3_prepare_v3(dir->db, sql_text[id], -1, SQLITE_PREPARE_PERSISTENT, &dir->stmt[id], NULL) != SQLITE_OK)
        return NULL;
    sqlite3_reset(dir->stmt[id]);
    return dir->stmt[id];
}

sqlite3_stmt *sto_sql_bind(struct sto_dir *dir, enum sto_sql id, const char *format, ...)
{
    sqlite3_stmt *s = statement(dir, id);
    va_list args;

    va_start(args, format);
    if (s)
        bind(s, format, args);
    va_end(args);
    return s;
}

int sto_sql_step(sqlite3_stmt *stmt, bool *ret_row)
{
    int result = stmt ? sqlite3_step(stmt) : SQLITE_ERROR;

    *ret_row = result == SQLITE_ROW;
    if (result != SQLITE_ROW)
        sqlite3_reset(stmt);
    return sto_sql_error(result);
}

int sto_sql_run(struct sto_dir *dir, enum sto_sql id, int *ret_changes, const char *format, ...)
{
    sqlite3_stmt *s = statement(dir, id);
    bool row;
    va_list args;

    va_start(args, format);
    if (s)
        bind(s, format, args);
    va_end(args);
    int error = sto_sql_step(s, &row);
    sqlite3_reset(s);
    if (!error && ret_changes)
        *ret_changes = sqlite3_changes(dir->db);
    return error;
}

char *sto_sql_text(struct pgn_arena *arena, sqlite3_stmt *stmt, int column)
{
    const unsigned char *text = sqlite3_column_text(stmt, column);

    return sto_arena_text(arena, text ? (const char *)text : "", (size_t)sqlite3_column_bytes(stmt, column));
}
