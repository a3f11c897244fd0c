/* Client stub of the storage service; see storage_client.h. */
#include "common/proto/storage_client.h"

#include "common/base/error.h"
#include "common/proto/subjects.h"

#include <string.h>

/* What a request is answered with. */
static Pigeon__Reply__PayloadCase conv_payload(const Pigeon__ConvRequest *r)
{
    switch (r->what_case) {
    case PIGEON__CONV_REQUEST__WHAT_POLICY:
        return PIGEON__REPLY__PAYLOAD_POLICIES;
    case PIGEON__CONV_REQUEST__WHAT_FETCH:
    case PIGEON__CONV_REQUEST__WHAT_SYNC:
    case PIGEON__CONV_REQUEST__WHAT_MEMBERS:
    case PIGEON__CONV_REQUEST__WHAT_RECEIPTS:
    case PIGEON__CONV_REQUEST__WHAT_INFO:
        return PIGEON__REPLY__PAYLOAD_OK;
    case PIGEON__CONV_REQUEST__WHAT_ROUTES:
    case PIGEON__CONV_REQUEST__WHAT_BLOCKED_BY:
        return PIGEON__REPLY__PAYLOAD_STRINGS;
    case PIGEON__CONV_REQUEST__WHAT__NOT_SET:
    default:
        return PIGEON__REPLY__PAYLOAD__NOT_SET;
    }
}

static Pigeon__Reply__PayloadCase session_payload(const Pigeon__SessionRequest *r)
{
    if (r->what_case == PIGEON__SESSION_REQUEST__WHAT_CHECK)
        return PIGEON__REPLY__PAYLOAD_CHECKED;
    return r->what_case == PIGEON__SESSION_REQUEST__WHAT_LIST ? PIGEON__REPLY__PAYLOAD_SESSIONS : PIGEON__REPLY__PAYLOAD__NOT_SET;
}

/* Checks and what presence keeps have subjects of their own: who may do only that has no right on the others. */
static const char *session_subject(const Pigeon__SessionRequest *r)
{
    return r->what_case == PIGEON__SESSION_REQUEST__WHAT_CHECK ? PGN_SUBJ_STO_CHECK : PGN_SUBJ_STO_SESSION;
}

static const char *dir_subject(const Pigeon__DirRequest *r)
{
    bool seen = r->what_case == PIGEON__DIR_REQUEST__WHAT_SEEN || r->what_case == PIGEON__DIR_REQUEST__WHAT_USERS_GET;
    return seen ? PGN_SUBJ_STO_SEEN : PGN_SUBJ_STO_DIR;
}

/* Reads only: what a change is answered with is not insisted on. */
static Pigeon__Reply__PayloadCase dir_payload(const Pigeon__DirRequest *r)
{
    if (r->what_case == PIGEON__DIR_REQUEST__WHAT_USER_GET || r->what_case == PIGEON__DIR_REQUEST__WHAT_USER_LIST ||
        r->what_case == PIGEON__DIR_REQUEST__WHAT_USER_CREDENTIALS)
        return PIGEON__REPLY__PAYLOAD_USERS;
    if (r->what_case == PIGEON__DIR_REQUEST__WHAT_CONTACT_LIST)
        return PIGEON__REPLY__PAYLOAD_CONTACTS;
    if (r->what_case == PIGEON__DIR_REQUEST__WHAT_INVITE_LIST || r->what_case == PIGEON__DIR_REQUEST__WHAT_INVITE_CREATE)
        return PIGEON__REPLY__PAYLOAD_INVITES;
    if (r->what_case == PIGEON__DIR_REQUEST__WHAT_FILE_GET)
        return PIGEON__REPLY__PAYLOAD_FILE;
    return r->what_case == PIGEON__DIR_REQUEST__WHAT_AUDIT_LIST ? PIGEON__REPLY__PAYLOAD_AUDIT : PIGEON__REPLY__PAYLOAD__NOT_SET;
}

static Pigeon__Reply__PayloadCase admin_payload(const Pigeon__AdminRequest *r)
{
    if (r->what_case == PIGEON__ADMIN_REQUEST__WHAT_STATS)
        return PIGEON__REPLY__PAYLOAD_STATS;
    if (r->what_case == PIGEON__ADMIN_REQUEST__WHAT_BACKUP_LIST)
        return PIGEON__REPLY__PAYLOAD_BACKUPS;
    if (r->what_case == PIGEON__ADMIN_REQUEST__WHAT_BACKUP)
        return PIGEON__REPLY__PAYLOAD_BACKUP;
    return r->what_case == PIGEON__ADMIN_REQUEST__WHAT_FETCH ? PIGEON__REPLY__PAYLOAD_OK : PIGEON__REPLY__PAYLOAD__NOT_SET;
}

void pgn_storage_conv(struct pgn_bus *bus, const Pigeon__ConvRequest *request, uint64_t timeout_ms, struct pgn_arena *arena,
                      pgn_rpc_done *done, void *ctx)
{
    pgn_rpc_call(bus, PGN_SUBJ_STO_CONV, request, timeout_ms, conv_payload(request), arena, done, ctx);
}

void pgn_storage_session(struct pgn_bus *bus, const Pigeon__SessionRequest *request, uint64_t timeout_ms, struct pgn_arena *arena,
                         pgn_rpc_done *done, void *ctx)
{
    pgn_rpc_call(bus, session_subject(request), request, timeout_ms, session_payload(request), arena, done, ctx);
}

void pgn_storage_dir(struct pgn_bus *bus, const Pigeon__DirRequest *request, uint64_t timeout_ms, struct pgn_arena *arena,
                     pgn_rpc_done *done, void *ctx)
{
    pgn_rpc_call(bus, dir_subject(request), request, timeout_ms, dir_payload(request), arena, done, ctx);
}

int pgn_storage_session_sync(struct pgn_bus_sync *bus, const Pigeon__SessionRequest *request, uint64_t timeout_ms, struct pgn_arena *arena,
                             Pigeon__Reply **ret_reply, struct pgn_rpc_problem *problem)
{
    return pgn_rpc_call_sync(bus, session_subject(request), request, timeout_ms, session_payload(request), arena, ret_reply, problem);
}

int pgn_storage_dir_sync(struct pgn_bus_sync *bus, const Pigeon__DirRequest *request, uint64_t timeout_ms, struct pgn_arena *arena,
                         Pigeon__Reply **ret_reply, struct pgn_rpc_problem *problem)
{
    return pgn_rpc_call_sync(bus, PGN_SUBJ_STO_DIR, request, timeout_ms, dir_payload(request), arena, ret_reply, problem);
}

int pgn_storage_admin_sync(struct pgn_bus_sync *bus, const Pigeon__AdminRequest *request, uint64_t timeout_ms, struct pgn_arena *arena,
                           Pigeon__Reply **ret_reply, struct pgn_rpc_problem *problem)
{
    return pgn_rpc_call_sync(bus, PGN_SUBJ_STO_ADMIN, request, timeout_ms, admin_payload(request), arena, ret_reply, problem);
}

/* ---- short forms ---- */

static int dir(struct pgn_bus_sync *bus, Pigeon__DirRequest *request, const char *actor, struct pgn_arena *arena, Pigeon__Reply **ret_reply,
               struct pgn_rpc_problem *problem)
{
    Pigeon__Reply *ignored;
    request->actor = pgn_arena_strdup(arena, actor ? actor : "");
    return pgn_storage_dir_sync(bus, request, PGN_STORAGE_TIMEOUT_MS, arena, ret_reply ? ret_reply : &ignored, problem);
}

static int one_user(struct pgn_bus_sync *bus, Pigeon__DirRequest__WhatCase what, const char *user, struct pgn_arena *arena,
                    Pigeon__User **ret_user, struct pgn_rpc_problem *problem)
{
    Pigeon__DirRequest request = PIGEON__DIR_REQUEST__INIT;
    Pigeon__UserName name = PIGEON__USER_NAME__INIT;
    Pigeon__Reply *reply;
    name.user = pgn_arena_strdup(arena, user);
    request.what_case = what;
    request.user_get = &name; /* the same place in the union as user_credentials */
    int e = dir(bus, &request, NULL, arena, &reply, problem);
    if (e)
        return e;
    if (reply->users->n_users != 1)
        return pgn_rpc_fail(problem, PGN_E_NOT_FOUND, "no such user");
    *ret_user = reply->users->users[0];
    return 0;
}

int pgn_storage_user_get(struct pgn_bus_sync *bus, const char *user, struct pgn_arena *arena, Pigeon__User **ret_user,
                         struct pgn_rpc_problem *problem)
{
    return one_user(bus, PIGEON__DIR_REQUEST__WHAT_USER_GET, user, arena, ret_user, problem);
}

int pgn_storage_user_credentials(struct pgn_bus_sync *bus, const char *user, struct pgn_arena *arena, Pigeon__User **ret_user,
                                 struct pgn_rpc_problem *problem)
{
    return one_user(bus, PIGEON__DIR_REQUEST__WHAT_USER_CREDENTIALS, user, arena, ret_user, problem);
}

int pgn_storage_user_create(struct pgn_bus_sync *bus, const char *actor, Pigeon__User *user, struct pgn_arena *arena,
                            struct pgn_rpc_problem *problem)
{
    Pigeon__DirRequest request = PIGEON__DIR_REQUEST__INIT;
    request.what_case = PIGEON__DIR_REQUEST__WHAT_USER_CREATE;
    request.user_create = user;
    return dir(bus, &request, actor, arena, NULL, problem);
}

int pgn_storage_user_patch(struct pgn_bus_sync *bus, const char *actor, const char *user, Pigeon__User *values, char **fields, size_t count,
                           struct pgn_arena *arena, struct pgn_rpc_problem *problem)
{
    Pigeon__DirRequest request = PIGEON__DIR_REQUEST__INIT;
    Pigeon__UserPatch patch = PIGEON__USER_PATCH__INIT;
    patch.user = pgn_arena_strdup(arena, user);
    patch.values = values;
    patch.fields = fields;
    patch.n_fields = count;
    request.what_case = PIGEON__DIR_REQUEST__WHAT_USER_PATCH;
    request.user_patch = &patch;
    return dir(bus, &request, actor, arena, NULL, problem);
}

int pgn_storage_user_list(struct pgn_bus_sync *bus, const char *prefix, const char *after, uint32_t limit, struct pgn_arena *arena,
                          Pigeon__UserList **ret_list, struct pgn_rpc_problem *problem)
{
    Pigeon__DirRequest request = PIGEON__DIR_REQUEST__INIT;
    Pigeon__UserQuery query = PIGEON__USER_QUERY__INIT;
    Pigeon__Reply *reply;
    query.prefix = pgn_arena_strdup(arena, prefix ? prefix : "");
    query.after = pgn_arena_strdup(arena, after ? after : "");
    query.limit = limit;
    request.what_case = PIGEON__DIR_REQUEST__WHAT_USER_LIST;
    request.user_list = &query;
    int e = dir(bus, &request, NULL, arena, &reply, problem);
    if (!e)
        *ret_list = reply->users;
    return e;
}

int pgn_storage_users_import(struct pgn_bus_sync *bus, const char *actor, Pigeon__UserBatch *batch, struct pgn_arena *arena,
                             struct pgn_rpc_problem *problem)
{
    Pigeon__DirRequest request = PIGEON__DIR_REQUEST__INIT;
    request.what_case = PIGEON__DIR_REQUEST__WHAT_USERS_IMPORT;
    request.users_import = batch;
    return dir(bus, &request, actor, arena, NULL, problem);
}

int pgn_storage_session_check(struct pgn_bus_sync *bus, const uint8_t hash[32], struct pgn_arena *arena, Pigeon__Session **ret_session,
                              struct pgn_rpc_problem *problem)
{
    Pigeon__SessionRequest request = PIGEON__SESSION_REQUEST__INIT;
    Pigeon__SessionCheck check = PIGEON__SESSION_CHECK__INIT;
    ProtobufCBinaryData data = {32, pgn_arena_alloc(arena, 32)};
    Pigeon__Reply *reply;
    memcpy(data.data, hash, 32);
    check.n_hashes = 1;
    check.hashes = &data;
    request.what_case = PIGEON__SESSION_REQUEST__WHAT_CHECK;
    request.check = &check;
    int e = pgn_storage_session_sync(bus, &request, PGN_STORAGE_TIMEOUT_MS, arena, &reply, problem);
    if (e)
        return e;
    if (reply->checked->n_sessions != 1 || !*reply->checked->sessions[0]->user)
        return pgn_rpc_fail(problem, PGN_E_UNAUTHENTICATED, NULL);
    *ret_session = reply->checked->sessions[0];
    return 0;
}

int pgn_storage_session_create(struct pgn_bus_sync *bus, Pigeon__Session *session, struct pgn_arena *arena, struct pgn_rpc_problem *problem)
{
    Pigeon__SessionRequest request = PIGEON__SESSION_REQUEST__INIT;
    Pigeon__Reply *reply;
    request.what_case = PIGEON__SESSION_REQUEST__WHAT_CREATE;
    request.create = session;
    return pgn_storage_session_sync(bus, &request, PGN_STORAGE_TIMEOUT_MS, arena, &reply, problem);
}

int pgn_storage_session_revoke(struct pgn_bus_sync *bus, const char *actor, Pigeon__SessionRevoke *revoke, struct pgn_arena *arena,
                               struct pgn_rpc_problem *problem)
{
    Pigeon__SessionRequest request = PIGEON__SESSION_REQUEST__INIT;
    Pigeon__Reply *reply;
    request.actor = pgn_arena_strdup(arena, actor ? actor : "");
    request.what_case = PIGEON__SESSION_REQUEST__WHAT_REVOKE;
    request.revoke = revoke;
    return pgn_storage_session_sync(bus, &request, PGN_STORAGE_TIMEOUT_MS, arena, &reply, problem);
}

int pgn_storage_stats(struct pgn_bus_sync *bus, struct pgn_arena *arena, Pigeon__StoreStats **ret_stats, struct pgn_rpc_problem *problem)
{
    Pigeon__AdminRequest request = PIGEON__ADMIN_REQUEST__INIT;
    Pigeon__Nothing nothing = PIGEON__NOTHING__INIT;
    Pigeon__Reply *reply;
    request.what_case = PIGEON__ADMIN_REQUEST__WHAT_STATS;
    request.stats = &nothing;
    int e = pgn_storage_admin_sync(bus, &request, PGN_STORAGE_TIMEOUT_MS, arena, &reply, problem);
    if (!e)
        *ret_stats = reply->stats;
    return e;
}

int pgn_storage_audit(struct pgn_bus_sync *bus, const char *actor, const char *action, const char *object, const char *detail,
                      struct pgn_arena *arena, struct pgn_rpc_problem *problem)
{
    Pigeon__DirRequest request = PIGEON__DIR_REQUEST__INIT;
    Pigeon__AuditEntry entry = PIGEON__AUDIT_ENTRY__INIT;
    entry.actor = pgn_arena_strdup(arena, actor);
    entry.action = pgn_arena_strdup(arena, action);
    entry.object = pgn_arena_strdup(arena, object);
    entry.detail = pgn_arena_strdup(arena, detail ? detail : "");
    request.what_case = PIGEON__DIR_REQUEST__WHAT_AUDIT;
    request.audit = &entry;
    return dir(bus, &request, actor, arena, NULL, problem);
}
