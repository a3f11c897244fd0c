/*
 * Stores of older Pigeons. The fixtures are the statements that the older one ran, kept here word for word: never change them, add the
 * next beside them when STO_DIR_SCHEMA rises.
 */
#include "services/storage/dir_internal.h"

#include "common/base/alloc.h"
#include "common/base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char schema_1[] =
    "PRAGMA journal_mode=WAL; BEGIN;"
    "CREATE TABLE users(user TEXT PRIMARY KEY, name TEXT NOT NULL, password_hash TEXT NOT NULL, admin INTEGER NOT NULL, disabled INTEGER"
    " NOT NULL, must_change INTEGER NOT NULL, created_at INTEGER NOT NULL, last_seen INTEGER NOT NULL DEFAULT 0, avatar TEXT NOT NULL,"
    " about TEXT NOT NULL, status_text TEXT NOT NULL, status_state INTEGER NOT NULL DEFAULT 0, file_bytes INTEGER NOT NULL DEFAULT 0,"
    " lang TEXT NOT NULL, version INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;"
    "CREATE TABLE sessions(hash BLOB PRIMARY KEY, user TEXT NOT NULL, device TEXT NOT NULL, created_at INTEGER NOT NULL, expires_at"
    " INTEGER NOT NULL, last_used INTEGER NOT NULL, address TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE UNIQUE INDEX sessions_device ON sessions(user, device);"
    "CREATE TABLE contacts(user TEXT NOT NULL, other TEXT NOT NULL, state TEXT NOT NULL, note TEXT NOT NULL, since INTEGER NOT NULL,"
    " PRIMARY KEY(user, other)) WITHOUT ROWID;"
    "CREATE TABLE invites(code TEXT PRIMARY KEY, created_by TEXT NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL,"
    " uses_left INTEGER NOT NULL, conv TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE files(file_id TEXT PRIMARY KEY, owner TEXT NOT NULL, name TEXT NOT NULL, size INTEGER NOT NULL, mime TEXT NOT NULL,"
    " sha256 BLOB NOT NULL, created_at INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE audit(number INTEGER PRIMARY KEY, at INTEGER NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL, object TEXT NOT NULL,"
    " detail TEXT NOT NULL, hash BLOB NOT NULL);"
    "CREATE TABLE settings(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    "INSERT INTO users VALUES('alice','Alice','$argon2id$x',1,0,0,1700000000000,1700000001000,'','About me','Busy',2,42,'en',3);"
    "INSERT INTO users VALUES('bob','Bob','',0,1,1,1700000000000,0,'','','',0,0,'de',0);"
    "INSERT INTO sessions "
    "VALUES(x'00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff','alice','web',1700000000000,0,1700000000000,"
    "'10.0.0.1');"
    "INSERT INTO contacts VALUES('alice','bob','blocked','',1700000000000);"
    "PRAGMA user_version=1; COMMIT;";

/* Another schema 2 than there is, to see the way to one. */
static const char *const to_two[] = {NULL,
                                     "ALTER TABLE users ADD COLUMN phone TEXT NOT NULL DEFAULT 'none'; UPDATE users SET phone = user;"};
static const char *const to_nowhere[] = {NULL, "ALTER TABLE users ADD COLUMN phone TEXT; INSERT INTO no_such_table VALUES(1);"};

/* Schema 2, as its Pigeon made it of schema 1. */
static const char schema_2[] =
    "CREATE TABLE mqtt(user TEXT NOT NULL, device TEXT NOT NULL, expires_at INTEGER NOT NULL, cursor TEXT NOT NULL, state BLOB NOT NULL,"
    " PRIMARY KEY(user, device)) WITHOUT ROWID;"
    "CREATE INDEX mqtt_expires ON mqtt(expires_at) WHERE expires_at <> 0;"
    "INSERT INTO mqtt VALUES('alice','web',0,'12',x'0102');"
    "INSERT INTO mqtt VALUES('alice','web2',0,'12',x'0102');"
    "PRAGMA user_version=2;";

struct old {
    char directory[64], path[128], copy[160];
    sqlite3 *db;
    struct pgn_buf problem, notes;
};

static int setup(void **state)
{
    struct old *o = pgn_calloc(1, sizeof *o);

    strcpy(o->directory, "/tmp/pigeon-schema-XXXXXX");
    assert_non_null(mkdtemp(o->directory));
    snprintf(o->path, sizeof o->path, "%s/directory.sqlite", o->directory);
    snprintf(o->copy, sizeof o->copy, "%s.schema-1", o->path);
    assert_int_equal(sqlite3_open(o->path, &o->db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(o->db, schema_1, NULL, NULL, NULL), SQLITE_OK);
    *state = o;
    return 0;
}

static int teardown(void **state)
{
    struct old *o = *state;
    char command[128];

    sqlite3_close(o->db);
    snprintf(command, sizeof command, "rm -rf '%s'", o->directory);
    assert_int_equal(system(command), 0);
    pgn_buf_release(&o->problem);
    pgn_buf_release(&o->notes);
    free(o);
    return 0;
}

static const char *value(sqlite3 *db, const char *sql)
{
    static char text[256];
    sqlite3_stmt *s = NULL;

    text[0] = 0;
    if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW)
        snprintf(text, sizeof text, "%s", (const char *)sqlite3_column_text(s, 0));
    sqlite3_finalize(s);
    return text;
}

/* ---- tests ---- */

static void a_store_of_schema_1_opens(void **state)
{
    struct old *o = *state;
    struct sto_people *people = sto_people_new();
    struct sto_dir *dir = NULL;
    uint64_t users, sessions, version;
    int changes = 0;

    sqlite3_close(o->db);
    o->db = NULL;
    assert_int_equal(sto_dir_open(o->path, people, &dir, &o->problem, &o->notes), 0);
    sto_dir_counts(dir, &users, &sessions);
    assert_int_equal(users, 2);
    assert_int_equal(sessions, 1);
    assert_true(sto_people_direct(people, "alice", "bob", &version));
    sqlite3_stmt *s = sto_sql_bind(dir, STO_SQL_USER_GET, "s", "alice");
    bool row;
    assert_int_equal(sto_sql_step(s, &row), 0);
    assert_true(row);
    assert_string_equal((const char *)sqlite3_column_text(s, 1), "Alice");
    assert_string_equal((const char *)sqlite3_column_text(s, 9), "About me");
    assert_int_equal(sqlite3_column_int(s, 14), 3);
    sqlite3_reset(s);
    assert_int_equal(access(o->copy, F_OK) == 0, STO_DIR_SCHEMA > 1); /* a copy only when something was changed */
    assert_int_equal(sto_sql_run(dir, STO_SQL_MQTT_PUT, &changes, "ssisbi", "alice", "web", (int64_t)0, "5", "x", (size_t)1, (int64_t)1),
                     0);
    assert_int_equal(changes, 1); /* the table of schema 2 is there, and the session of schema 1 counts */
    sto_dir_close(&dir);
    sto_people_free(&people);
}

static void a_store_of_schema_2_opens(void **state)
{
    struct old *o = *state;
    struct sto_people *people = sto_people_new();
    struct sto_dir *dir = NULL;

    assert_int_equal(sqlite3_exec(o->db, schema_2, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(o->db);
    o->db = NULL;
    assert_int_equal(sto_dir_open(o->path, people, &dir, &o->problem, &o->notes), 0);
    assert_string_equal(value(dir->db, "SELECT device || cursor || hex(state) FROM mqtt"), "web120102");
    assert_string_equal(value(dir->db, "SELECT count(*) FROM mqtt"), "1"); /* whose device has no session is gone */
    sto_dir_close(&dir);
    sto_people_free(&people);
}

static void a_migration_keeps_all_and_a_copy(void **state)
{
    struct old *o = *state;
    sqlite3 *copy;

    assert_int_equal(sto_dir_schema_to(o->db, o->path, to_two, 2, &o->problem, &o->notes), 0);
    assert_string_equal(value(o->db, "PRAGMA user_version"), "2");
    assert_string_equal(value(o->db, "SELECT phone FROM users WHERE user = 'bob'"), "bob");
    assert_string_equal(value(o->db, "SELECT about FROM users WHERE user = 'alice'"), "About me");
    assert_string_equal(value(o->db, "SELECT count(*) FROM sessions"), "1");
    assert_non_null(strstr(pgn_buf_cstr(&o->notes), "from schema 1 to 2"));
    assert_int_equal(sqlite3_open_v2(o->copy, &copy, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_string_equal(value(copy, "PRAGMA user_version"), "1");
    assert_string_equal(value(copy, "SELECT name FROM users WHERE user = 'bob'"), "Bob");
    sqlite3_close(copy);
    assert_int_equal(sto_dir_schema_to(o->db, o->path, to_two, 2, &o->problem, &o->notes), 0); /* once is enough */
}

static void a_migration_that_fails_changes_nothing(void **state)
{
    struct old *o = *state;

    assert_int_not_equal(sto_dir_schema_to(o->db, o->path, to_nowhere, 2, &o->problem, &o->notes), 0);
    assert_string_equal(value(o->db, "PRAGMA user_version"), "1");
    assert_string_equal(value(o->db, "SELECT phone FROM users"), "");
    assert_string_equal(value(o->db, "SELECT count(*) FROM users"), "2");
    assert_int_equal(sto_dir_schema_to(o->db, o->path, to_two, 2, &o->problem, &o->notes), 0); /* and the mended one runs */
}

static void a_newer_schema_is_left_alone(void **state)
{
    struct old *o = *state;

    assert_int_equal(sto_dir_schema_to(o->db, o->path, to_two, 2, &o->problem, &o->notes), 0);
    assert_int_equal(sto_dir_schema_to(o->db, o->path, to_two, 1, &o->problem, &o->notes), PGN_E_CONFLICT);
    assert_non_null(strstr(pgn_buf_cstr(&o->problem), "newer"));
    assert_string_equal(value(o->db, "PRAGMA user_version"), "2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_store_of_schema_1_opens, setup, teardown),
        cmocka_unit_test_setup_teardown(a_store_of_schema_2_opens, setup, teardown),
        cmocka_unit_test_setup_teardown(a_migration_keeps_all_and_a_copy, setup, teardown),
        cmocka_unit_test_setup_teardown(a_migration_that_fails_changes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_newer_schema_is_left_alone, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
