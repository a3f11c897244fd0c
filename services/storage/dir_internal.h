/* What the files dir_*.c share. */
#ifndef STO_DIR_INTERNAL_H
#define STO_DIR_INTERNAL_H

#include "common/base/id.h"
#include "common/base/list.h"
#include "common/base/map.h"
#include "services/storage/dir.h"
#include "services/storage/log_reader.h"

#include <sqlite3.h>
#include <stdatomic.h>

enum sto_sql {
#define STO_SQL(id, text) STO_SQL_##id,
#include "services/storage/dir_statements.h"
#undef STO_SQL
    STO_SQL_COUNT
};

/* A change of people that waits for the transaction's end. */
struct sto_people_change {
    char user[PGN_USER_MAX + 1], other[PGN_USER_MAX + 1]; /* other "": name, disabled and version are to be read again */
    bool block;
};

struct sto_dir {
    sqlite3 *db;
    sqlite3_stmt *stmt[STO_SQL_COUNT];
    struct sto_people *people;
    struct sto_log *log;
    struct pgn_map *sessions; /* cache, by hash */
    struct pgn_node session_lru;
    struct sto_people_change *changes;
    size_t change_count, change_cap;
    _Atomic uint64_t users, session_count;
    uint64_t mqtt_swept_ms;
    uint64_t failed_ms; /* when a transaction could not be stored last; 0: never */
    bool in_transaction;
    bool unsettled;                    /* opened on a full disk: the log beside the database could not be settled yet */
    struct sqlite3_session *recording; /* dir_replica.c */
};

/* One request. */
struct sto_asking {
    struct sto_dir *dir;
    struct pgn_arena *arena;
    Pigeon__Reply *reply;
    struct sto_effects *effects;
    const char *actor;
    uint64_t now_ms;
};

/* dir_sql.c: statements. format: a letter a parameter: s text, i int64_t, b blob (pointer, size_t). */
sqlite3_stmt *sto_sql_bind(struct sto_dir *dir, enum sto_sql id, const char *format, ...);
/* Runs to the end: 0 (ret_changes may be NULL) or an error; PGN_E_CONFLICT for a broken constraint. */
int sto_sql_run(struct sto_dir *dir, enum sto_sql id, int *ret_changes, const char *format, ...) PGN_MUST_USE;
int sto_sql_step(sqlite3_stmt *stmt, bool *ret_row) PGN_MUST_USE; /* resets at the end or on an error */
int sto_sql_error(int sqlite_error);
char *sto_sql_text(struct pgn_arena *arena, sqlite3_stmt *stmt, int column);

static inline int sto_ask_error(struct sto_asking *a, int error, const char *text)
{
    return sto_reply_error(a->reply, error, text);
}
/* One request in a savepoint of its own when it writes: after an error all is as before it, also effects and people. */
int sto_ask_atomic(struct sto_asking *a, int (*run)(struct sto_asking *a, const void *request), const void *request, bool writes);
void sto_dir_people_change(struct sto_dir *dir, const char *user, const char *other, bool block);
int sto_dir_people_load(struct sto_dir *dir) PGN_MUST_USE;
int sto_dir_recount(struct sto_dir *dir) PGN_MUST_USE; /* users and sessions, for sto_dir_counts */

/* SQLite rolled back by itself (full disk, failed write): a statement now would be a transaction of its own. Refuse until the end. */
bool sto_dir_rolled_back(const struct sto_dir *dir);

/* dir_users.c */
int sto_user_get(struct sto_asking *a, const char *user, Pigeon__User **ret_user, uint64_t *ret_version) PGN_MUST_USE; /* with hash */
int sto_dir_user_create(struct sto_asking *a, const Pigeon__User *in, const char *action) PGN_MUST_USE;
int sto_dir_user_get(struct sto_asking *a, const char *user, bool credentials) PGN_MUST_USE;
int sto_dir_users_get(struct sto_asking *a, const Pigeon__Strings *in) PGN_MUST_USE;
int sto_dir_user_list(struct sto_asking *a, const Pigeon__UserQuery *in) PGN_MUST_USE;
int sto_dir_user_patch(struct sto_asking *a, const Pigeon__UserPatch *in) PGN_MUST_USE;
int sto_dir_users_import(struct sto_asking *a, const Pigeon__UserBatch *in) PGN_MUST_USE;
int sto_dir_seen(struct sto_asking *a, const Pigeon__UserSeen *in) PGN_MUST_USE;
/* dir_sessions.c */
int sto_session_add(struct sto_asking *a, const Pigeon__Session *in) PGN_MUST_USE;
int sto_session_revoke(struct sto_asking *a, const Pigeon__SessionRevoke *in, const char *code) PGN_MUST_USE;
void sto_session_forget(struct sto_dir *dir, const uint8_t *hash);
void sto_session_forget_user(struct sto_dir *dir, const char *user);
void sto_session_forget_all(struct sto_dir *dir);
struct pgn_map *sto_session_map(void);
/* dir_mqtt.c: at the start: those that are over, or whose device's session is. */
int sto_dir_mqtt_clean(struct sto_dir *dir) PGN_MUST_USE;
/* dir_contacts.c */
int sto_dir_contact(struct sto_asking *a, const Pigeon__ContactChange *in) PGN_MUST_USE;
int sto_dir_contact_list(struct sto_asking *a, const char *user) PGN_MUST_USE;
/* dir_files.c: files and invitations */
int sto_dir_file_put(struct sto_asking *a, const Pigeon__FileMeta *in) PGN_MUST_USE;
int sto_dir_file_get(struct sto_asking *a, const Pigeon__FileRef *in) PGN_MUST_USE;
int sto_dir_file_delete(struct sto_asking *a, const Pigeon__FileRef *in) PGN_MUST_USE;
int sto_dir_invite_create(struct sto_asking *a, const Pigeon__Invitation *in) PGN_MUST_USE;
int sto_dir_invite_use(struct sto_asking *a, const char *code) PGN_MUST_USE;
int sto_dir_invite_list(struct sto_asking *a) PGN_MUST_USE;
int sto_dir_invite_delete(struct sto_asking *a, const char *code) PGN_MUST_USE;
/* dir_audit.c */
int sto_audit(struct sto_asking *a, const char *action, const char *object, const char *detail) PGN_MUST_USE;
int sto_dir_audit_list(struct sto_asking *a, const Pigeon__UserQuery *in) PGN_MUST_USE;
/* dir_replica.c: what sto_replica_changeset gave, without its checksum; false: damaged. The caller releases ret. */
bool sto_replica_unwrap(struct sto_slice changeset, struct pgn_buf *ret);
/* dir_schema.c */
int sto_dir_schema(sqlite3 *db, const char *path, struct pgn_buf *ret_problem, struct pgn_buf *notes) PGN_MUST_USE;
/* By another list of migrations: all[n] brings schema n to n + 1. */
int sto_dir_schema_to(sqlite3 *db, const char *path, const char *const *all, int newest, struct pgn_buf *ret_problem,
                      struct pgn_buf *notes) PGN_MUST_USE;

#endif
