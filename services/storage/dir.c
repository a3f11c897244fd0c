/* Opening the directory, its transactions, and which request is which function. */
#include "services/storage/dir.h"

#include "common/base/clock.h"
#include "common/base/error.h"
#include "services/storage/dir_internal.h"
#include "services/storage/dir_replica.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- open and close ---- */

static int pragmas(sqlite3 *db)
{
    static const char *const lines[] = {
        "PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL",   "PRAGMA foreign_keys=OFF",        "PRAGMA temp_store=MEMORY",
        "PRAGMA cache_size=-2048", "PRAGMA trusted_schema=OFF", "PRAGMA wal_autocheckpoint=1000", "PRAGMA cell_size_check=ON",
    };
    int result = SQLITE_OK;

    for (size_t i = 0; result == SQLITE_OK && i < PGN_COUNT(lines); i++)
        result = sqlite3_exec(db, lines[i], NULL, NULL, NULL);
    return sto_sql_error(result);
}

/* Says what is wrong in the file, if anything is. */
static int check(sqlite3 *db, struct pgn_buf *ret_problem)
{
    sqlite3_stmt *s = NULL;
    int result = sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &s, NULL), error;

    if (result == SQLITE_OK)
        result = sqlite3_step(s);
    error = sto_sql_error(result);
    if (result == SQLITE_ROW && strcmp((const char *)sqlite3_column_text(s, 0), "ok") != 0) {
        pgn_buf_append_str(ret_problem, (const char *)sqlite3_column_text(s, 0));
        error = PGN_E_CORRUPT;
    } else if (error) {
        pgn_buf_append_str(ret_problem, sqlite3_errmsg(db));
    }
    sqlite3_finalize(s);
    return error;
}

int sto_dir_people_load(struct sto_dir *dir)
{
    sqlite3_stmt *s = sto_sql_bind(dir, STO_SQL_PEOPLE, "");
    bool row;
    int error;

    while ((error = sto_sql_step(s, &row)) == 0 && row)
        sto_people_set(dir->people, (const char *)sqlite3_column_text(s, 0), (const char *)sqlite3_column_text(s, 1),
                       sqlite3_column_int(s, 2) != 0, (uint64_t)sqlite3_column_int64(s, 3));
    s = sto_sql_bind(dir, STO_SQL_BLOCKS, "");
    while (!error && (error = sto_sql_step(s, &row)) == 0 && row)
        sto_people_block(dir->people, (const char *)sqlite3_column_text(s, 0), (const char *)sqlite3_column_text(s, 1), true);
    return error;
}

int sto_dir_recount(struct sto_dir *dir)
{
    sqlite3_stmt *s = sto_sql_bind(dir, STO_SQL_SESSION_COUNT, "");
    bool row;
    int error = sto_sql_step(s, &row);

    if (!error && row)
        atomic_store(&dir->session_count, (uint64_t)sqlite3_column_int64(s, 0));
    sqlite3_reset(s);
    atomic_store(&dir->users, sto_people_count(dir->people));
    return error;
}

/*
 * What the log beside the database holds goes into the database, synced: the kernel may still show pages of the log whose write
 * failed before the last end (a later sync doesn't write them), and what is appended behind them would be lost with them in a power cut.
 * RESTART, not TRUNCATE: a log cut short by a half-done truncation would bring back older pages; a new header does not.
 */
static int log_settle(sqlite3 *db)
{
    return sto_sql_error(sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_RESTART, NULL, NULL));
}

static int open_db(struct sto_dir *dir, const char *path, struct pgn_buf *ret_problem, struct pgn_buf *notes)
{
    int result = sqlite3_open_v2(path, &dir->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    int error = sto_sql_error(result);

    if (!error) {
        sqlite3_busy_timeout(dir->db, 5000); /* a backup's reader */
        error = pragmas(dir->db);
    }
    if (!error)
        error = check(dir->db, ret_problem);
    if (!error)
        error = sto_dir_schema(dir->db, path, ret_problem, notes);
    if (!error && (error = log_settle(dir->db)) == PGN_E_UNAVAILABLE) { /* a full disk: it can be read */
        dir->unsettled = true;
        error = 0;
    }
    if (!error)
        error = sto_dir_people_load(dir);
    if (!error && !dir->unsettled)
        error = sto_sql_run(dir, STO_SQL_SESSION_OLD, NULL, "i", (int64_t)pgn_wall_ms());
    if (!error && !dir->unsettled)
        error = sto_dir_mqtt_clean(dir);
    if (!error)
        error = sto_dir_recount(dir);
    if (error && ret_problem->len == 0)
        pgn_buf_append_str(ret_problem, dir->db ? sqlite3_errmsg(dir->db) : "out of memory");
    return error == PGN_E_UNAVAILABLE ? PGN_E_IO : error;
}

int sto_dir_open(const char *path, struct sto_people *people, struct sto_dir **ret_dir, struct pgn_buf *ret_problem, struct pgn_buf *notes)
{
    struct sto_dir *dir = pgn_calloc(1, sizeof *dir);

    dir->people = people;
    dir->sessions = sto_session_map();
    pgn_list_init(&dir->session_lru);
    int error = open_db(dir, path, ret_problem, notes);
    if (error)
        sto_dir_close(&dir);
    else
        *ret_dir = dir;
    return error;
}

void sto_dir_close(struct sto_dir **dir)
{
    if (!*dir)
        return;
    sto_replica_cancel(*dir);
    for (int i = 0; i < STO_SQL_COUNT; i++)
        sqlite3_finalize((*dir)->stmt[i]);
    sqlite3_close((*dir)->db);
    sto_session_forget_all(*dir);
    pgn_map_free(&(*dir)->sessions);
    free((*dir)->changes);
    free(*dir);
    *dir = NULL;
}

int sto_dir_sync_off(struct sto_dir *dir)
{
    return sto_sql_error(sqlite3_exec(dir->db, "PRAGMA synchronous=OFF", NULL, NULL, NULL));
}

void sto_dir_bind(struct sto_dir *dir, struct sto_log *log)
{
    dir->log = log;
}

void sto_dir_counts(struct sto_dir *dir, uint64_t *ret_users, uint64_t *ret_sessions)
{
    *ret_users = atomic_load(&dir->users);
    *ret_sessions = atomic_load(&dir->session_count);
}

/* ---- people ---- */

void sto_dir_people_change(struct sto_dir *dir, const char *user, const char *other, bool block)
{
    if (dir->change_count == dir->change_cap) {
        dir->change_cap = dir->change_cap ? dir->change_cap * 2 : 16;
        dir->changes = pgn_realloc(dir->changes, dir->change_cap * sizeof *dir->changes);
    }
    struct sto_people_change *c = &dir->changes[dir->change_count++];
    memset(c, 0, sizeof *c);
    memcpy(c->user, user, strlen(user) + 1); /* valid ids: they fit */
    memcpy(c->other, other, strlen(other) + 1);
    c->block = block;
}

static void people_apply(struct sto_dir *dir)
{
    for (size_t i = 0; i < dir->change_count; i++) {
        const struct sto_people_change *c = &dir->changes[i];
        sqlite3_stmt *s;
        bool row;

        if (c->other[0]) {
            sto_people_block(dir->people, c->user, c->other, c->block);
            continue;
        }
        s = sto_sql_bind(dir, STO_SQL_USER_GET, "s", c->user);
        if (sto_sql_step(s, &row) == 0 && row) {
            sto_people_set(dir->people, c->user, (const char *)sqlite3_column_text(s, 1), sqlite3_column_int(s, 4) != 0,
                           (uint64_t)sqlite3_column_int64(s, 14));
            sqlite3_reset(s);
        }
    }
    dir->change_count = 0;
    atomic_store(&dir->users, sto_people_count(dir->people));
}

/* ---- transactions ---- */

int sto_dir_begin(struct sto_dir *dir)
{
    if (dir->unsettled && log_settle(dir->db) == 0)
        dir->unsettled = false;
    int error = sto_sql_run(dir, STO_SQL_BEGIN, NULL, "");

    dir->in_transaction = !error;
    return error;
}

bool sto_dir_rolled_back(const struct sto_dir *dir)
{
    return dir->in_transaction && sqlite3_get_autocommit(dir->db);
}

int sto_dir_end(struct sto_dir *dir)
{
    int error = sto_sql_run(dir, STO_SQL_COMMIT, NULL, "");

    dir->in_transaction = false;
    if (!error) {
        people_apply(dir);
        return 0;
    }
    dir->failed_ms = pgn_mono_ms();
    /* SQLite rolls back what it could not commit; only a failed sync leaves a doubt. */
    int extended = sqlite3_extended_errcode(dir->db);
    if (!sqlite3_get_autocommit(dir->db))
        (void)!sto_sql_run(dir, STO_SQL_ROLLBACK, NULL, "");
    dir->change_count = 0;
    sto_session_forget_all(dir);
    return extended == SQLITE_IOERR_FSYNC || extended == SQLITE_IOERR_DIR_FSYNC ? PGN_E_UNCERTAIN : PGN_E_UNAVAILABLE;
}

void sto_dir_abort(struct sto_dir *dir)
{
    sto_replica_cancel(dir);
    if (!sqlite3_get_autocommit(dir->db))
        (void)!sto_sql_run(dir, STO_SQL_ROLLBACK, NULL, "");
    dir->in_transaction = false;
    dir->change_count = 0;
    sto_session_forget_all(dir);
    (void)!sto_dir_recount(dir);
}

/* ---- requests ---- */

int sto_ask_atomic(struct sto_asking *a, int (*run)(struct sto_asking *a, const void *request), const void *request, bool writes)
{
    struct sto_dir *dir = a->dir;
    size_t events = a->effects->event_count, policies = a->effects->policy_count, changes = dir->change_count;
    int error = !writes ? 0 : sto_dir_rolled_back(dir) ? PGN_E_UNAVAILABLE : sto_sql_run(dir, STO_SQL_SAVE, NULL, "");

    if (!error)
        error = run(a, request);
    if (!error && writes)
        error = sto_sql_run(dir, STO_SQL_RELEASE, NULL, "");
    if (error) {
        if (writes && !sto_dir_rolled_back(dir) && sto_sql_run(dir, STO_SQL_BACK, NULL, "") == 0)
            (void)!sto_sql_run(dir, STO_SQL_RELEASE, NULL, "");
        a->effects->event_count = events;
        a->effects->policy_count = policies;
        dir->change_count = changes;
        a->reply->error = error;
        a->reply->payload_case = PIGEON__REPLY__PAYLOAD__NOT_SET;
    }
    return error;
}

static int dir_do(struct sto_asking *a, const void *request)
{
    const Pigeon__DirRequest *in = request;

    switch (in->what_case) {
    case PIGEON__DIR_REQUEST__WHAT_USER_CREATE:
        return sto_dir_user_create(a, in->user_create, "user.create");
    case PIGEON__DIR_REQUEST__WHAT_USER_GET:
        return sto_dir_user_get(a, in->user_get->user, false);
    case PIGEON__DIR_REQUEST__WHAT_USER_LIST:
        return sto_dir_user_list(a, in->user_list);
    case PIGEON__DIR_REQUEST__WHAT_USER_PATCH:
        return sto_dir_user_patch(a, in->user_patch);
    case PIGEON__DIR_REQUEST__WHAT_USER_CREDENTIALS:
        return sto_dir_user_get(a, in->user_credentials->user, true);
    case PIGEON__DIR_REQUEST__WHAT_CONTACT:
        return sto_dir_contact(a, in->contact);
    case PIGEON__DIR_REQUEST__WHAT_CONTACT_LIST:
        return sto_dir_contact_list(a, in->contact_list->user);
    case PIGEON__DIR_REQUEST__WHAT_INVITE_CREATE:
        return sto_dir_invite_create(a, in->invite_create);
    case PIGEON__DIR_REQUEST__WHAT_INVITE_USE:
        return sto_dir_invite_use(a, in->invite_use->code);
    case PIGEON__DIR_REQUEST__WHAT_INVITE_LIST:
        return sto_dir_invite_list(a);
    case PIGEON__DIR_REQUEST__WHAT_INVITE_DELETE:
        return sto_dir_invite_delete(a, in->invite_delete->code);
    case PIGEON__DIR_REQUEST__WHAT_FILE_PUT:
        return sto_dir_file_put(a, in->file_put);
    case PIGEON__DIR_REQUEST__WHAT_FILE_GET:
        return sto_dir_file_get(a, in->file_get);
    case PIGEON__DIR_REQUEST__WHAT_FILE_DELETE:
        return sto_dir_file_delete(a, in->file_delete);
    case PIGEON__DIR_REQUEST__WHAT_USERS_IMPORT:
        return sto_dir_users_import(a, in->users_import);
    case PIGEON__DIR_REQUEST__WHAT_SEEN:
        return sto_dir_seen(a, in->seen);
    case PIGEON__DIR_REQUEST__WHAT_AUDIT:
        return sto_audit(a, in->audit->action, in->audit->object, in->audit->detail);
    case PIGEON__DIR_REQUEST__WHAT_AUDIT_LIST:
        return sto_dir_audit_list(a, in->audit_list);
    case PIGEON__DIR_REQUEST__WHAT_REGISTER: {
        const Pigeon__Invited *invited = in->register_;

        if (!invited->user)
            return sto_ask_error(a, PGN_E_INVALID, "no user");
        int error = invited->code[0] ? sto_dir_invite_use(a, invited->code) : 0;
        return error ? error : sto_dir_user_create(a, invited->user, "user.register");
    }
    case PIGEON__DIR_REQUEST__WHAT_USERS_GET:
        return sto_dir_users_get(a, in->users_get);
    case PIGEON__DIR_REQUEST__WHAT__NOT_SET:
    case _PIGEON__DIR_REQUEST__WHAT__CASE_IS_INT_SIZE:
        break;
    }
    return sto_ask_error(a, PGN_E_INVALID, "unknown request");
}

int sto_dir_request(struct sto_dir *dir, const Pigeon__DirRequest *request, struct pgn_arena *arena, Pigeon__Reply *ret,
                    struct sto_effects *effects)
{
    struct sto_asking a = {dir, arena, ret, effects, request->actor, pgn_wall_ms()};

    return sto_ask_atomic(&a, dir_do, request, true);
}

/* ---- copies ---- */

int sto_dir_copy(const char *path, const char *to)
{
    sqlite3 *from_db = NULL, *to_db = NULL;
    int result = sqlite3_open_v2(path, &from_db, SQLITE_OPEN_READONLY, NULL);

    if (result == SQLITE_OK)
        result = sqlite3_open_v2(to, &to_db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
    if (result == SQLITE_OK) {
        sqlite3_busy_timeout(from_db, 10000);
        sqlite3_backup *backup = sqlite3_backup_init(to_db, "main", from_db, "main");

        result = backup ? sqlite3_backup_step(backup, -1) : SQLITE_ERROR;
        int finish = sqlite3_backup_finish(backup);
        if (result == SQLITE_DONE)
            result = finish;
    }
    sqlite3_close(from_db);
    sqlite3_close(to_db);
    int error = sto_sql_error(result);
    return error == PGN_E_UNAVAILABLE ? PGN_E_IO : error;
}
