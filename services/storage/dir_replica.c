/* Recording a transaction, and applying somebody else's. */
#define SQLITE_ENABLE_SESSION        1
#define SQLITE_ENABLE_PREUPDATE_HOOK 1
#include "services/storage/dir_replica.h"

#include "common/base/error.h"
#include "services/storage/dir_internal.h"

#include <assert.h>
#include <string.h>
#include <xxhash.h>

/* ---- recording ---- */

int sto_replica_begin(struct sto_dir *dir)
{
    sto_replica_cancel(dir);
    int result = sqlite3session_create(dir->db, "main", &dir->recording);

    if (result == SQLITE_OK)
        result = sqlite3session_attach(dir->recording, NULL);
    if (result != SQLITE_OK)
        sto_replica_cancel(dir);
    return sto_sql_error(result);
}

void sto_replica_cancel(struct sto_dir *dir)
{
    if (dir->recording)
        sqlite3session_delete(dir->recording);
    dir->recording = NULL;
}

int sto_replica_changeset(struct sto_dir *dir, struct pgn_buf *ret)
{
    void *data = NULL;
    int len = 0, result = sqlite3session_patchset(dir->recording, &len, &data);

    if (result == SQLITE_OK && len > 0) {
        XXH64_hash_t hash = XXH3_64bits(data, (size_t)len);

        pgn_buf_append(ret, data, (size_t)len);
        pgn_buf_append(ret, &hash, sizeof hash);
    }
    sqlite3_free(data);
    sto_replica_cancel(dir);
    return sto_sql_error(result);
}

/* SQLite takes no pointer to const, and reads what is cut off as if it ended there: hence the copy and the checksum. */
bool sto_replica_unwrap(struct sto_slice changeset, struct pgn_buf *ret)
{
    XXH64_hash_t hash;

    if (changeset.len <= sizeof hash)
        return false;
    pgn_buf_append(ret, changeset.data, changeset.len - sizeof hash);
    memcpy(&hash, (const uint8_t *)changeset.data + ret->len, sizeof hash);
    if (hash == XXH3_64bits(ret->data, ret->len))
        return true;
    pgn_buf_release(ret);
    return false;
}

/* ---- applying ---- */

/* What is there is older or newer than the change expects. Newer rows are brought back to it, and forward again by later entries. */
static int on_conflict(void *ctx, int kind, sqlite3_changeset_iter *row)
{
    (void)ctx, (void)row;
    switch (kind) {
    case SQLITE_CHANGESET_DATA:
    case SQLITE_CHANGESET_CONFLICT:
        return SQLITE_CHANGESET_REPLACE;
    case SQLITE_CHANGESET_NOTFOUND:   /* deleted by a later entry */
    case SQLITE_CHANGESET_CONSTRAINT: /* a later entry's session of the same device */
        return SQLITE_CHANGESET_OMIT;
    default:
        return SQLITE_CHANGESET_ABORT;
    }
}

static void person_refresh(struct sto_dir *dir, const char *user)
{
    sqlite3_stmt *s = sto_sql_bind(dir, STO_SQL_USER_GET, "s", user);
    bool row;

    if (sto_sql_step(s, &row) == 0 && row) {
        sto_people_set(dir->people, user, (const char *)sqlite3_column_text(s, 1), sqlite3_column_int(s, 4) != 0,
                       (uint64_t)sqlite3_column_int64(s, 14));
        sqlite3_reset(s);
    }
}

static void block_refresh(struct sto_dir *dir, const char *user, const char *other)
{
    sqlite3_stmt *s = sto_sql_bind(dir, STO_SQL_CONTACT_GET, "ss", user, other);
    bool row;

    if (sto_sql_step(s, &row) != 0)
        return;
    sto_people_block(dir->people, user, other, row && strcmp((const char *)sqlite3_column_text(s, 0), "blocked") == 0);
    sqlite3_reset(s);
}

struct refresh {
    struct sto_dir *dir;
    enum { NEW_USERS, BLOCKS, REST } pass;
};

static bool has_any(const bson_t *fields, const char *const *names, size_t count)
{
    bool any = false;

    for (size_t i = 0; i < count; i++)
        any = any || bson_has_field(fields, names[i]);
    return any;
}

static void user_changed(const struct refresh *r, const struct sto_row_change *c)
{
    static const char *const cached[] = {"name", "admin", "disabled", "must_change"}; /* in sessions of the cache */
    bool known = sto_people_get(r->dir->people, c->id).exists;

    if ((r->pass == NEW_USERS && !known) || r->pass == REST)
        person_refresh(r->dir, c->id);
    if (r->pass == REST && has_any(c->fields, cached, PGN_COUNT(cached)))
        sto_session_forget_user(r->dir, c->id);
}

/* Users first, as blocks are between those that exist; then blocks, then versions: see block_changed in dir_contacts.c. */
static void on_row(void *ctx, const struct sto_row_change *c)
{
    const struct refresh *r = ctx;
    char user[PGN_USER_MAX + 1];

    if (strcmp(c->collection, "dir_users") == 0)
        user_changed(r, c);
    else if (r->pass == REST && strcmp(c->collection, "dir_sessions") == 0) {
        uint8_t hash[PGN_HASH_BYTES];
        size_t len;

        if (sto_unhex(c->id, hash, sizeof hash, &len) && len == sizeof hash)
            sto_session_forget(r->dir, hash);
    } else if (r->pass == BLOCKS && strcmp(c->collection, "dir_contacts") == 0) {
        size_t len = strcspn(c->id, "/");

        if (len <= PGN_USER_MAX && c->id[len]) {
            memcpy(user, c->id, len);
            user[len] = 0;
            block_refresh(r->dir, user, c->id + len + 1);
        }
    }
}

int sto_replica_apply(struct sto_dir *dir, struct sto_slice changeset)
{
    assert(!dir->in_transaction);
    struct pgn_buf copy = {0};

    if (!sto_replica_unwrap(changeset, &copy))
        return PGN_E_CORRUPT;
    int result = sqlite3changeset_apply(dir->db, (int)copy.len, copy.data, NULL, on_conflict, NULL);
    pgn_buf_release(&copy);
    int error = sto_sql_error(result);

    for (int pass = NEW_USERS; !error && pass <= REST; pass++) {
        struct refresh r = {dir, pass};

        error = sto_replica_visit(changeset, on_row, &r);
    }
    return error ? error : sto_dir_recount(dir);
}
