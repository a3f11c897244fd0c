/* The directory's rows as documents: of a changeset, into collections, out of them. */
#define SQLITE_ENABLE_SESSION        1
#define SQLITE_ENABLE_PREUPDATE_HOOK 1
#include "common/base/error.h"
#include "common/svc/log.h"
#include "services/storage/dir_internal.h"
#include "services/storage/dir_replica.h"

#include <string.h>

const struct sto_dir_table sto_dir_tables[STO_DIR_TABLES] = {
    {"users",
     "dir_users",
     {"user", "name", "password_hash", "admin", "disabled", "must_change", "created_at", "last_seen", "avatar", "about", "status_text",
      "status_state", "file_bytes", "lang", "version", NULL}},
    {"sessions", "dir_sessions", {"hash", "user", "device", "created_at", "expires_at", "last_used", "address", NULL}},
    {"contacts", "dir_contacts", {"user", "other", "state", "note", "since", NULL}},
    {"invites", "dir_invites", {"code", "created_by", "created_at", "expires_at", "uses_left", "conv", NULL}},
    {"files", "dir_files", {"file_id", "owner", "name", "size", "mime", "sha256", "created_at", NULL}},
    {"audit", "dir_audit", {"number", "at", "actor", "action", "object", "detail", "hash", NULL}},
    {"settings", "dir_settings", {"key", "value", NULL}},
    {"mqtt", "dir_mqtt", {"user", "device", "expires_at", "cursor", "state", NULL}},
};

static const struct sto_dir_table *table_of(const char *name)
{
    for (size_t i = 0; i < STO_DIR_TABLES; i++)
        if (strcmp(sto_dir_tables[i].name, name) == 0)
            return &sto_dir_tables[i];
    return NULL;
}

static int column_count(const struct sto_dir_table *t)
{
    int n = 0;

    while (t->columns[n])
        n++;
    return n;
}

/* ---- a changeset's rows ---- */

static void id_add(struct pgn_buf *id, sqlite3_value *v)
{
    if (id->len)
        pgn_buf_append_byte(id, '/');
    if (sqlite3_value_type(v) == SQLITE_BLOB) {
        char hex[2 * 64 + 1];
        int len = sqlite3_value_bytes(v);

        sto_hex(sqlite3_value_blob(v), (size_t)(len > 64 ? 64 : len), hex);
        pgn_buf_append_str(id, hex);
    } else if (sqlite3_value_type(v) == SQLITE_INTEGER) {
        pgn_buf_printf(id, "%020lld", (long long)sqlite3_value_int64(v)); /* text sorts as the number does */
    } else {
        pgn_buf_append_str(id, (const char *)sqlite3_value_text(v));
    }
}

static void field_add(bson_t *fields, const char *name, sqlite3_value *v)
{
    switch (sqlite3_value_type(v)) {
    case SQLITE_INTEGER:
        BSON_APPEND_INT64(fields, name, sqlite3_value_int64(v));
        break;
    case SQLITE_BLOB:
        BSON_APPEND_BINARY(fields, name, BSON_SUBTYPE_BINARY, sqlite3_value_blob(v), (uint32_t)sqlite3_value_bytes(v));
        break;
    case SQLITE_TEXT:
        bson_append_utf8(fields, name, -1, (const char *)sqlite3_value_text(v), sqlite3_value_bytes(v));
        break;
    default:
        BSON_APPEND_NULL(fields, name);
    }
}

/* One column of one change: its part of the key, and its new value, if it has one. */
static int column_visit(sqlite3_changeset_iter *it, int op, int column, bool key, const char *name, struct pgn_buf *id, bson_t *fields)
{
    sqlite3_value *v = NULL;
    int result = SQLITE_OK;

    if (key) {
        result = op == SQLITE_INSERT ? sqlite3changeset_new(it, column, &v) : sqlite3changeset_old(it, column, &v);
        if (result == SQLITE_OK && v)
            id_add(id, v);
    }
    if (result == SQLITE_OK && op != SQLITE_DELETE && (op == SQLITE_INSERT || !key)) {
        v = NULL;
        result = sqlite3changeset_new(it, column, &v);
        if (result == SQLITE_OK && v)
            field_add(fields, name, v);
    }
    return sto_sql_error(result);
}

static int change_visit(sqlite3_changeset_iter *it, sto_row_visit *visit, void *ctx)
{
    const char *name;
    unsigned char *key;
    int count, op, indirect;
    int error = sto_sql_error(sqlite3changeset_op(it, &name, &count, &op, &indirect));

    if (!error)
        error = sto_sql_error(sqlite3changeset_pk(it, &key, NULL));
    const struct sto_dir_table *t = error ? NULL : table_of(name);
    if (error || !t || count != column_count(t))
        return PGN_E_CORRUPT;
    bson_t fields = BSON_INITIALIZER;
    struct pgn_buf id = {0};
    for (int i = 0; !error && i < count; i++)
        error = column_visit(it, op, i, key[i], t->columns[i], &id, &fields);
    if (!error) {
        struct sto_row_change change = {t->collection, pgn_buf_cstr(&id), t->columns, &fields, op == SQLITE_DELETE};

        visit(ctx, &change);
    }
    pgn_buf_release(&id);
    bson_destroy(&fields);
    return error;
}

int sto_replica_visit(struct sto_slice changeset, sto_row_visit *visit, void *ctx)
{
    struct pgn_buf copy = {0};
    sqlite3_changeset_iter *it = NULL;

    if (changeset.len == 0)
        return 0;
    if (!sto_replica_unwrap(changeset, &copy))
        return PGN_E_CORRUPT;
    int result = sqlite3changeset_start(&it, (int)copy.len, copy.data), error = 0;
    while (result == SQLITE_OK && !error && (result = sqlite3changeset_next(it)) == SQLITE_ROW) {
        result = SQLITE_OK;
        error = change_visit(it, visit, ctx);
    }
    if (it) {
        int end = sqlite3changeset_finalize(it);

        if (result == SQLITE_DONE || result == SQLITE_OK)
            result = end;
    }
    pgn_buf_release(&copy);
    return error ? error : result == SQLITE_OK ? 0 : PGN_E_CORRUPT;
}

/* ---- into collections ---- */

struct storing {
    struct sto_mongo *m;
    mongoc_client_t *client;
    uint64_t n;
    struct sto_puts puts[STO_DIR_TABLES];
    bool begun[STO_DIR_TABLES];
};

static void store_row(void *ctx, const struct sto_row_change *c)
{
    struct storing *s = ctx;
    size_t i = 0;

    while (strcmp(sto_dir_tables[i].collection, c->collection) != 0)
        i++; /* ends: change_visit takes it from there */
    if (!s->begun[i])
        sto_puts_begin(&s->puts[i], s->m, s->client, c->collection);
    s->begun[i] = true;
    if (c->removed)
        sto_puts_remove(&s->puts[i], c->id, s->n, c->columns);
    else
        sto_puts_set(&s->puts[i], c->id, s->n, c->fields);
}

int sto_replica_store(struct sto_mongo *m, mongoc_client_t *client, uint64_t n, struct sto_slice changeset)
{
    struct storing s = {.m = m, .client = client, .n = n};
    int error = sto_replica_visit(changeset, store_row, &s);

    for (size_t i = 0; i < STO_DIR_TABLES; i++) {
        int one = s.begun[i] ? sto_puts_end(&s.puts[i]) : 0;

        error = error ? error : one;
    }
    return error;
}

/* ---- out of collections ---- */

int sto_dir_insert(struct sto_dir *dir, const struct sto_dir_table *t, sqlite3_stmt **ret)
{
    struct pgn_buf sql = {0};

    pgn_buf_printf(&sql, "INSERT OR REPLACE INTO %s VALUES(", t->name);
    for (int i = 0; i < column_count(t); i++)
        pgn_buf_append_str(&sql, i ? ",?" : "?");
    pgn_buf_append_str(&sql, ")");
    int result = sqlite3_prepare_v2(dir->db, pgn_buf_cstr(&sql), -1, ret, NULL);
    pgn_buf_release(&sql);
    return sto_sql_error(result);
}

static void value_bind(sqlite3_stmt *s, int at, const bson_iter_t *it)
{
    uint32_t len;

    if (BSON_ITER_HOLDS_UTF8(it)) {
        const char *text = bson_iter_utf8(it, &len);

        sqlite3_bind_text(s, at, text, (int)len, SQLITE_TRANSIENT);
    } else if (BSON_ITER_HOLDS_BINARY(it)) {
        const uint8_t *data;

        bson_iter_binary(it, NULL, &len, &data);
        sqlite3_bind_blob(s, at, len ? (const void *)data : "", (int)len, SQLITE_TRANSIENT);
    } else if (BSON_ITER_HOLDS_INT(it) || BSON_ITER_HOLDS_BOOL(it)) {
        sqlite3_bind_int64(s, at, bson_iter_as_int64(it));
    }
}

static int row_insert(sqlite3_stmt *s, const struct sto_dir_table *t, const bson_t *document)
{
    bson_iter_t it;

    if (bson_iter_init_find(&it, document, "x"))
        return 0; /* a tombstone */
    sqlite3_clear_bindings(s);
    for (int i = 0; t->columns[i]; i++)
        if (bson_iter_init_find(&it, document, t->columns[i]))
            value_bind(s, i + 1, &it);
    int result = sqlite3_step(s);
    sqlite3_reset(s);
    if ((result & 0xff) != SQLITE_CONSTRAINT)
        return sto_sql_error(result);
    bson_iter_init_find(&it, document, "_id");
    pgn_log(PGN_ERR, "%s: the document %s lacks fields", t->collection, BSON_ITER_HOLDS_UTF8(&it) ? bson_iter_utf8(&it, NULL) : "?");
    return PGN_E_CORRUPT;
}

static int table_load(struct sto_dir *dir, struct sto_mongo *m, mongoc_client_t *client, const struct sto_dir_table *t)
{
    struct pgn_buf empty = {0};
    bson_t all = BSON_INITIALIZER;
    const bson_t *document;
    bson_error_t problem;
    sqlite3_stmt *s = NULL;

    pgn_buf_printf(&empty, "DELETE FROM %s", t->name);
    int error = sto_sql_error(sqlite3_exec(dir->db, pgn_buf_cstr(&empty), NULL, NULL, NULL));
    pgn_buf_release(&empty);
    if (!error)
        error = sto_dir_insert(dir, t, &s);
    mongoc_collection_t *c = sto_mongo_collection(m, client, t->collection);
    mongoc_cursor_t *rows = mongoc_collection_find_with_opts(c, &all, NULL, NULL);
    while (!error && mongoc_cursor_next(rows, &document))
        error = row_insert(s, t, document);
    if (!error && mongoc_cursor_error(rows, &problem))
        error = sto_mongo_error(&problem, NULL, false);
    mongoc_cursor_destroy(rows);
    mongoc_collection_destroy(c);
    bson_destroy(&all);
    sqlite3_finalize(s);
    return error;
}

/* Pairs of those that block, as "user\0other\0..." */
static int blocks_note(struct sto_dir *dir, struct pgn_buf *pairs)
{
    sqlite3_stmt *s = sto_sql_bind(dir, STO_SQL_BLOCKS, "");
    bool row;
    int error;

    while ((error = sto_sql_step(s, &row)) == 0 && row)
        for (int i = 0; i < 2; i++) {
            pgn_buf_append_str(pairs, (const char *)sqlite3_column_text(s, i));
            pgn_buf_append_byte(pairs, 0);
        }
    return error;
}

static void blocks_drop(struct sto_dir *dir, const struct pgn_buf *pairs)
{
    const char *at = (const char *)pairs->data, *end = at + pairs->len;

    while (at < end) {
        const char *user = at, *other = user + strlen(user) + 1;
        sqlite3_stmt *s = sto_sql_bind(dir, STO_SQL_CONTACT_GET, "ss", user, other);
        bool row, still = false;

        if (sto_sql_step(s, &row) == 0 && row) {
            still = strcmp((const char *)sqlite3_column_text(s, 0), "blocked") == 0;
            sqlite3_reset(s);
        }
        if (!still)
            sto_people_block(dir->people, user, other, false);
        at = other + strlen(other) + 1;
    }
}

int sto_replica_load(struct sto_dir *dir, struct sto_mongo *m, mongoc_client_t *client)
{
    struct pgn_buf blocked = {0};
    int error = blocks_note(dir, &blocked);

    if (!error)
        error = sto_sql_run(dir, STO_SQL_BEGIN, NULL, "");
    for (size_t i = 0; !error && i < STO_DIR_TABLES; i++)
        error = table_load(dir, m, client, &sto_dir_tables[i]);
    if (!error)
        error = sto_sql_run(dir, STO_SQL_COMMIT, NULL, "");
    if (error && !sqlite3_get_autocommit(dir->db))
        (void)!sto_sql_run(dir, STO_SQL_ROLLBACK, NULL, "");
    if (!error)
        error = sto_dir_people_load(dir);
    if (!error) {
        blocks_drop(dir, &blocked);
        sto_session_forget_all(dir);
        error = sto_dir_recount(dir);
    }
    pgn_buf_release(&blocked);
    return error;
}
