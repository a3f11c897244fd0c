/* Sessions: tokens' hashes, and a cache of them for storms of logins. */
#include "common/base/clock.h"
#include "common/base/error.h"
#include "services/storage/dir_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CACHE_MAX = 8192,
    USED_STEP_MS = 6 * 3600 * 1000,
    USED_PAUSE_MS = 60000, /* after a transaction that could not be stored */
    DEVICES_MAX = 100      /* of one user */
};

struct cached {
    struct pgn_node lru;
    uint8_t hash[PGN_HASH_BYTES];
    uint64_t created_at, expires_at, last_used;
    bool must_change, admin;
    char user[PGN_USER_MAX + 1], device[PGN_DEVICE_MAX + 1], address[64];
    char name[];
};

static const void *cached_key(const void *value, size_t *ret_len)
{
    const struct cached *c = value;

    *ret_len = PGN_HASH_BYTES;
    return c->hash;
}

struct pgn_map *sto_session_map(void)
{
    return pgn_map_new(cached_key);
}

/* ---- cache ---- */

static void forget(struct sto_dir *dir, struct cached *c)
{
    pgn_map_remove(dir->sessions, c->hash, PGN_HASH_BYTES);
    pgn_list_remove(&c->lru);
    free(c);
}

void sto_session_forget(struct sto_dir *dir, const uint8_t *hash)
{
    struct cached *c = pgn_map_get(dir->sessions, hash, PGN_HASH_BYTES);

    if (c)
        forget(dir, c);
}

void sto_session_forget_user(struct sto_dir *dir, const char *user)
{
    PGN_LIST_EACH_SAFE (n, &dir->session_lru) {
        struct cached *c = PGN_CONTAINER(n, struct cached, lru);

        if (strcmp(c->user, user) == 0)
            forget(dir, c);
    }
}

void sto_session_forget_all(struct sto_dir *dir)
{
    PGN_LIST_EACH_SAFE (n, &dir->session_lru) {
        forget(dir, PGN_CONTAINER(n, struct cached, lru));
    }
}

static void copy_text(char *to, size_t bytes, sqlite3_stmt *s, int column)
{
    const char *text = (const char *)sqlite3_column_text(s, column);

    snprintf(to, bytes, "%s", text ? text : "");
}

static struct cached *remember(struct sto_dir *dir, sqlite3_stmt *s)
{
    size_t name = (size_t)sqlite3_column_bytes(s, 9);
    struct cached *c = pgn_calloc(1, sizeof *c + name + 1);

    memcpy(c->hash, sqlite3_column_blob(s, 0), PGN_HASH_BYTES);
    copy_text(c->user, sizeof c->user, s, 1);
    copy_text(c->device, sizeof c->device, s, 2);
    c->created_at = (uint64_t)sqlite3_column_int64(s, 3);
    c->expires_at = (uint64_t)sqlite3_column_int64(s, 4);
    c->last_used = (uint64_t)sqlite3_column_int64(s, 5);
    copy_text(c->address, sizeof c->address, s, 6);
    c->must_change = sqlite3_column_int(s, 7) != 0;
    c->admin = sqlite3_column_int(s, 8) != 0;
    copy_text(c->name, name + 1, s, 9);
    if (pgn_map_count(dir->sessions) >= CACHE_MAX)
        forget(dir, PGN_CONTAINER(dir->session_lru.prev, struct cached, lru));
    pgn_map_put(dir->sessions, c);
    pgn_list_prepend(&dir->session_lru, &c->lru);
    return c;
}

/* NULL when there is no such session, or its user is disabled. */
static int lookup(struct sto_dir *dir, const uint8_t *hash, struct cached **ret_session)
{
    struct cached *c = pgn_map_get(dir->sessions, hash, PGN_HASH_BYTES);
    bool row;

    if (!c) {
        sqlite3_stmt *s = sto_sql_bind(dir, STO_SQL_SESSION_GET, "b", hash, (size_t)PGN_HASH_BYTES);
        int error = sto_sql_step(s, &row);

        if (error)
            return error;
        if (row && sqlite3_column_bytes(s, 0) == PGN_HASH_BYTES && sqlite3_column_int(s, 10) == 0)
            c = remember(dir, s);
        sqlite3_reset(s);
    }
    *ret_session = c;
    return 0;
}

/* ---- check ---- */

static int session_routes(struct sto_asking *a, const char *user, Pigeon__Session *out)
{
    struct sto_convs groups = {0};
    int error = sto_log_convs(a->dir->log, user, STO_GROUP, a->arena, &groups);

    out->groups = groups.ids;
    out->first_seqs = groups.first_seqs;
    out->n_groups = out->n_first_seqs = groups.count;
    return error;
}

/* Notes now and then that the session is in use. On a full disk that would fail, and with it everybody's login (G10). */
static int session_used(struct sto_asking *a, struct cached *c)
{
    bool failing = a->dir->failed_ms && pgn_mono_ms() - a->dir->failed_ms < USED_PAUSE_MS;

    if (failing || c->last_used + USED_STEP_MS >= a->now_ms)
        return 0;
    c->last_used = a->now_ms;
    int error = sto_sql_run(a->dir, STO_SQL_SESSION_USED, NULL, "bi", c->hash, (size_t)PGN_HASH_BYTES, (int64_t)a->now_ms);
    if (error)
        a->dir->failed_ms = pgn_mono_ms();
    return error;
}

static int session_fill(struct sto_asking *a, struct cached *c, bool routes, Pigeon__Session *out)
{
    out->user = pgn_arena_strdup(a->arena, c->user);
    out->device = pgn_arena_strdup(a->arena, c->device);
    out->created_at = c->created_at;
    out->expires_at = c->expires_at;
    out->last_used = c->last_used;
    out->must_change_password = c->must_change;
    out->user_admin = c->admin;
    out->address = pgn_arena_strdup(a->arena, c->address);
    out->name = pgn_arena_strdup(a->arena, c->name);
    int error = session_used(a, c);
    if (error)
        return error;
    return routes ? session_routes(a, c->user, out) : 0;
}

static int check(struct sto_asking *a, const Pigeon__SessionCheck *in)
{
    STO_NEW(a->arena, Pigeon__SessionChecked, pigeon__session_checked, checked);
    checked->sessions = pgn_arena_alloc(a->arena, (in->n_hashes + 1) * sizeof(Pigeon__Session *));
    checked->n_sessions = in->n_hashes;
    checked->commit = sto_log_last_commit(a->dir->log);
    checked->epoch = sto_chars(a->dir->log->epoch);
    a->reply->payload_case = PIGEON__REPLY__PAYLOAD_CHECKED;
    a->reply->checked = checked;
    for (size_t i = 0; i < in->n_hashes; i++) {
        STO_NEW(a->arena, Pigeon__Session, pigeon__session, session);
        struct cached *c = NULL;
        int error = in->hashes[i].len == PGN_HASH_BYTES ? lookup(a->dir, in->hashes[i].data, &c) : 0;

        checked->sessions[i] = session;
        session->hash = in->hashes[i];
        if (!error && c && (c->expires_at == 0 || c->expires_at > a->now_ms))
            error = session_fill(a, c, in->routes, session);
        if (error)
            return error;
    }
    return 0;
}

/* ---- revoke ---- */

struct revoking {
    ProtobufCBinaryData *hashes;
    size_t count, cap;
};

static bool revoke_matches(const Pigeon__SessionRevoke *in, sqlite3_stmt *s)
{
    const void *hash = sqlite3_column_blob(s, 0);
    size_t len = (size_t)sqlite3_column_bytes(s, 0);

    if (in->keep.len && in->keep.len == len && memcmp(in->keep.data, hash, len) == 0)
        return false;
    if (in->hash.len)
        return in->hash.len == len && memcmp(in->hash.data, hash, len) == 0;
    return in->all || (in->device[0] && strcmp(in->device, (const char *)sqlite3_column_text(s, 2)) == 0);
}

static void revoke_note(struct sto_asking *a, struct revoking *r, sqlite3_stmt *s)
{
    size_t len = (size_t)sqlite3_column_bytes(s, 0);

    if (r->count == r->cap) {
        r->cap = r->cap ? r->cap * 2 : 16;
        ProtobufCBinaryData *fresh = pgn_arena_alloc(a->arena, r->cap * sizeof *fresh);
        if (r->count)
            memcpy(fresh, r->hashes, r->count * sizeof *fresh);
        r->hashes = fresh;
    }
    r->hashes[r->count].len = len;
    r->hashes[r->count].data = (uint8_t *)sto_arena_text(a->arena, sqlite3_column_blob(s, 0), len);
    r->count++;
}

static int revoke_find(struct sto_asking *a, const char *user, const Pigeon__SessionRevoke *in, struct revoking *r)
{
    sqlite3_stmt *s = sto_sql_bind(a->dir, STO_SQL_SESSION_LIST, "s", user);
    bool row;
    int error;

    while ((error = sto_sql_step(s, &row)) == 0 && row) {
        if (revoke_matches(in, s))
            revoke_note(a, r, s);
    }
    return error;
}

static int revoke_these(struct sto_asking *a, const char *user, const struct revoking *r, const char *code)
{
    Pigeon__Revoked revoked = PIGEON__REVOKED__INIT;
    Pigeon__Event event = PIGEON__EVENT__INIT;
    bool again = strcmp(code, "replaced") == 0; /* the device logs in once more: what MQTT keeps for it stays */

    for (size_t i = 0; i < r->count; i++) {
        int changes = 0, error = 0;

        if (!again)
            error = sto_sql_run(a->dir, STO_SQL_MQTT_DEL_SESSION, NULL, "b", r->hashes[i].data, r->hashes[i].len);
        if (!error)
            error = sto_sql_run(a->dir, STO_SQL_SESSION_DEL, &changes, "b", r->hashes[i].data, r->hashes[i].len);
        if (error)
            return error;
        if (r->hashes[i].len == PGN_HASH_BYTES)
            sto_session_forget(a->dir, r->hashes[i].data);
        atomic_fetch_sub(&a->dir->session_count, (uint64_t)changes);
    }
    revoked.sessions = r->hashes;
    revoked.n_sessions = r->count;
    revoked.code = sto_chars(code);
    event.what_case = PIGEON__EVENT__WHAT_REVOKED;
    event.revoked = &revoked;
    sto_effects_user(a->effects, user, &event);
    return 0;
}

int sto_session_revoke(struct sto_asking *a, const Pigeon__SessionRevoke *in, const char *code)
{
    struct revoking r = {0};
    const char *user = in->user;
    bool row;
    int error;

    if (!user[0] && in->hash.len) { /* whose it is */
        sqlite3_stmt *s = sto_sql_bind(a->dir, STO_SQL_SESSION_GET, "b", in->hash.data, in->hash.len);

        if ((error = sto_sql_step(s, &row)) != 0)
            return error;
        user = row ? sto_sql_text(a->arena, s, 1) : "";
        sqlite3_reset(s);
    }
    error = revoke_find(a, user, in, &r);
    if (error)
        return error;
    if (r.count == 0)
        return in->all ? 0 : sto_ask_error(a, PGN_E_NOT_FOUND, "no such session");
    if (a->actor[0] && strcmp(a->actor, user) != 0 && (error = sto_audit(a, "session.revoke", user, in->all ? "all" : in->device)) != 0)
        return error;
    return revoke_these(a, user, &r, code);
}

/* ---- make and list ---- */

/* Makes room for one more device: those that were used least recently are logged out. */
static int make_room(struct sto_asking *a, const char *user)
{
    sqlite3_stmt *s = sto_sql_bind(a->dir, STO_SQL_SESSION_EXCESS, "si", user, (int64_t)DEVICES_MAX - 1);
    struct revoking r = {0};
    bool row;
    int error;

    while ((error = sto_sql_step(s, &row)) == 0 && row)
        revoke_note(a, &r, s);
    return error || !r.count ? error : revoke_these(a, user, &r, "expired");
}

int sto_session_add(struct sto_asking *a, const Pigeon__Session *in)
{
    Pigeon__SessionRevoke older = PIGEON__SESSION_REVOKE__INIT;
    struct revoking r = {0};
    int error;

    if (in->hash.len != PGN_HASH_BYTES || !pgn_user_valid(in->user) || !pgn_device_valid(in->device))
        return sto_ask_error(a, PGN_E_INVALID, "malformed session");
    older.device = in->device;
    if ((error = revoke_find(a, in->user, &older, &r)) != 0)
        return error;
    if (r.count && (error = revoke_these(a, in->user, &r, "replaced")) != 0)
        return error;
    if ((error = make_room(a, in->user)) != 0)
        return error;
    error = sto_sql_run(a->dir, STO_SQL_SESSION_ADD, NULL, "bssiiis", in->hash.data, in->hash.len, in->user, in->device,
                        (int64_t)(in->created_at ? in->created_at : a->now_ms), (int64_t)in->expires_at,
                        (int64_t)(in->last_used ? in->last_used : a->now_ms), in->address);
    if (!error)
        atomic_fetch_add(&a->dir->session_count, 1);
    return error == PGN_E_CONFLICT ? sto_ask_error(a, error, "this token is in use") : error;
}

static int create(struct sto_asking *a, const Pigeon__Session *in)
{
    Pigeon__User *user;
    int error = sto_user_get(a, in->user, &user, NULL);

    if (error)
        return error;
    if (user->disabled)
        return sto_ask_error(a, PGN_E_FORBIDDEN, "the user is disabled");
    return sto_session_add(a, in);
}

static int list(struct sto_asking *a, const char *user)
{
    enum { LIST_MAX = 1000 };
    sqlite3_stmt *s = sto_sql_bind(a->dir, STO_SQL_SESSION_LIST, "s", user);
    bool row;
    int error;

    STO_NEW(a->arena, Pigeon__SessionList, pigeon__session_list, sessions);
    sessions->sessions = pgn_arena_alloc(a->arena, LIST_MAX * sizeof(Pigeon__Session *));
    while ((error = sto_sql_step(s, &row)) == 0 && row && sessions->n_sessions < LIST_MAX) {
        STO_NEW(a->arena, Pigeon__Session, pigeon__session, session);
        size_t len = (size_t)sqlite3_column_bytes(s, 0);

        session->hash = (ProtobufCBinaryData){len, (uint8_t *)sto_arena_text(a->arena, sqlite3_column_blob(s, 0), len)};
        session->user = sto_sql_text(a->arena, s, 1);
        session->device = sto_sql_text(a->arena, s, 2);
        session->created_at = (uint64_t)sqlite3_column_int64(s, 3);
        session->expires_at = (uint64_t)sqlite3_column_int64(s, 4);
        session->last_used = (uint64_t)sqlite3_column_int64(s, 5);
        session->address = sto_sql_text(a->arena, s, 6);
        sessions->sessions[sessions->n_sessions++] = session;
    }
    if (row)
        sqlite3_reset(s);
    a->reply->payload_case = PIGEON__REPLY__PAYLOAD_SESSIONS;
    a->reply->sessions = sessions;
    return error;
}

static int session_do(struct sto_asking *a, const void *request)
{
    const Pigeon__SessionRequest *in = request;

    switch (in->what_case) {
    case PIGEON__SESSION_REQUEST__WHAT_CHECK:
        return check(a, in->check);
    case PIGEON__SESSION_REQUEST__WHAT_CREATE:
        return create(a, in->create);
    case PIGEON__SESSION_REQUEST__WHAT_LIST:
        return list(a, in->list->user);
    case PIGEON__SESSION_REQUEST__WHAT_REVOKE:
        return sto_session_revoke(a, in->revoke, "expired");
    case PIGEON__SESSION_REQUEST__WHAT__NOT_SET:
    case _PIGEON__SESSION_REQUEST__WHAT__CASE_IS_INT_SIZE:
        break;
    }
    return sto_ask_error(a, PGN_E_INVALID, "unknown request");
}

int sto_dir_session(struct sto_dir *dir, const Pigeon__SessionRequest *request, struct pgn_arena *arena, Pigeon__Reply *ret,
                    struct sto_effects *effects)
{
    struct sto_asking a = {dir, arena, ret, effects, request->actor, pgn_wall_ms()};
    bool writes = request->what_case == PIGEON__SESSION_REQUEST__WHAT_CREATE || request->what_case == PIGEON__SESSION_REQUEST__WHAT_REVOKE;

    return sto_ask_atomic(&a, session_do, request, writes);
}
