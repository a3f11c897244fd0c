/* The audit log: append-only, each entry's hash (BLAKE2b-256) covers the one before it. */
#include "common/base/error.h"
#include "services/storage/dir_internal.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { AUDIT_DEFAULT = 100, AUDIT_MAX = 1000, AUDIT_TEXT_MAX_BYTES = 1024 };

static void hash_u64(crypto_generichash_state *h, uint64_t v)
{
    uint8_t b[8];

    for (int i = 0; i < 8; i++)
        b[i] = (uint8_t)(v >> (56 - 8 * i));
    crypto_generichash_update(h, b, sizeof b);
}

static void hash_text(crypto_generichash_state *h, const char *text)
{
    hash_u64(h, strlen(text));
    crypto_generichash_update(h, (const uint8_t *)text, strlen(text));
}

static void entry_hash(const uint8_t before[PGN_HASH_BYTES], uint64_t number, uint64_t at, const char *const texts[4],
                       uint8_t ret_hash[PGN_HASH_BYTES])
{
    crypto_generichash_state h;

    crypto_generichash_init(&h, NULL, 0, PGN_HASH_BYTES);
    crypto_generichash_update(&h, before, PGN_HASH_BYTES);
    hash_u64(&h, number);
    hash_u64(&h, at);
    for (int i = 0; i < 4; i++)
        hash_text(&h, texts[i]);
    crypto_generichash_final(&h, ret_hash, PGN_HASH_BYTES);
}

int sto_audit(struct sto_asking *a, const char *action, const char *object, const char *detail)
{
    uint8_t before[PGN_HASH_BYTES] = {0}, hash[PGN_HASH_BYTES];
    const char *const texts[4] = {a->actor, action, object, detail};
    uint64_t number = 1;
    sqlite3_stmt *s = sto_sql_bind(a->dir, STO_SQL_AUDIT_LAST, "");
    bool row;
    int error = sto_sql_step(s, &row);

    if (error)
        return error;
    for (int i = 0; i < 4; i++)
        if (strlen(texts[i]) > AUDIT_TEXT_MAX_BYTES)
            return sto_ask_error(a, PGN_E_TOO_LARGE, "too long for the audit log");
    if (row) {
        number = (uint64_t)sqlite3_column_int64(s, 0) + 1;
        if (sqlite3_column_bytes(s, 1) == PGN_HASH_BYTES)
            memcpy(before, sqlite3_column_blob(s, 1), PGN_HASH_BYTES);
        sqlite3_reset(s);
    }
    entry_hash(before, number, a->now_ms, texts, hash);
    return sto_sql_run(a->dir, STO_SQL_AUDIT_ADD, NULL, "iissssb", (int64_t)number, (int64_t)a->now_ms, a->actor, action, object, detail,
                       hash, (size_t)PGN_HASH_BYTES);
}

static Pigeon__AuditEntry *entry_of(struct pgn_arena *arena, sqlite3_stmt *s)
{
    size_t len = (size_t)sqlite3_column_bytes(s, 6);

    STO_NEW(arena, Pigeon__AuditEntry, pigeon__audit_entry, e);
    e->number = (uint64_t)sqlite3_column_int64(s, 0);
    e->at = (uint64_t)sqlite3_column_int64(s, 1);
    e->actor = sto_sql_text(arena, s, 2);
    e->action = sto_sql_text(arena, s, 3);
    e->object = sto_sql_text(arena, s, 4);
    e->detail = sto_sql_text(arena, s, 5);
    e->hash = (ProtobufCBinaryData){len, (uint8_t *)sto_arena_text(arena, sqlite3_column_blob(s, 6), len)};
    return e;
}

/* Newest first; `after` is the number of the last one seen: older ones follow. */
int sto_dir_audit_list(struct sto_asking *a, const Pigeon__UserQuery *in)
{
    size_t limit = in->limit ? in->limit : AUDIT_DEFAULT;
    int64_t below = in->after[0] ? strtoll(in->after, NULL, 10) : INT64_MAX;
    bool row;
    int error;

    if (limit > AUDIT_MAX)
        limit = AUDIT_MAX;
    STO_NEW(a->arena, Pigeon__AuditList, pigeon__audit_list, list);
    list->entries = pgn_arena_alloc(a->arena, limit * sizeof(Pigeon__AuditEntry *));
    sqlite3_stmt *s = sto_sql_bind(a->dir, STO_SQL_AUDIT_LIST, "ii", below, (int64_t)limit);
    while ((error = sto_sql_step(s, &row)) == 0 && row)
        list->entries[list->n_entries++] = entry_of(a->arena, s);
    a->reply->payload_case = PIGEON__REPLY__PAYLOAD_AUDIT;
    a->reply->audit = list;
    return error;
}

int sto_dir_audit_verify(struct sto_dir *dir, uint64_t *ret_count, uint64_t *ret_bad)
{
    struct pgn_arena *arena = pgn_arena_new(4096);
    sqlite3_stmt *s = sto_sql_bind(dir, STO_SQL_AUDIT_ALL, "");
    uint8_t before[PGN_HASH_BYTES] = {0}, hash[PGN_HASH_BYTES];
    uint64_t count = 0, bad = 0;
    bool row;
    int error;

    while ((error = sto_sql_step(s, &row)) == 0 && row) {
        const Pigeon__AuditEntry *e = entry_of(arena, s);
        const char *const texts[4] = {e->actor, e->action, e->object, e->detail};

        count++;
        entry_hash(before, e->number, e->at, texts, hash);
        if (!bad && (e->number != count || e->hash.len != PGN_HASH_BYTES || memcmp(hash, e->hash.data, PGN_HASH_BYTES) != 0))
            bad = e->number;
        memcpy(before, hash, PGN_HASH_BYTES);
        pgn_arena_reset(arena);
    }
    pgn_arena_free(&arena);
    if (!error) {
        *ret_count = count;
        *ret_bad = bad;
    }
    return error;
}
