/* Administration over HTTP; see admin.h. */
#include "services/api/admin.h"

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/random.h"
#include "common/proto/storage_client.h"
#include "common/proto/subjects.h"
#include "services/api/nodes.h"
#include "services/api/password.h"
#include "services/api/people.h"
#include "services/api/session.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { STATUS_TIMEOUT_MS = 2000, CODE_LEN = 20, USES = 1, USES_MAX = 100000 };
static const uint64_t invite_s = 7 * 86400, invite_min_s = 60, invite_max_s = 31536000;

/* The actor of every request is the caller: the directory writes the audit entry in the change's own transaction. */
static int dir(struct api_call *call, Pigeon__DirRequest *request, Pigeon__Reply **ret_reply)
{
    request->actor = call->session.user;
    return pgn_storage_dir_sync(call->api->bus, request, PGN_STORAGE_TIMEOUT_MS, call->arena, ret_reply, &call->problem);
}

/* ---- users ---- */

static void admin_user_of(const Pigeon__User *user, Pigeon__ApiAdminUser *ret_user)
{
    pigeon__api_admin_user__init(ret_user);
    ret_user->user = user->user;
    ret_user->name = user->name;
    ret_user->admin = user->admin;
    ret_user->disabled = user->disabled;
    ret_user->must_change_password = user->must_change_password;
    ret_user->created_at = user->created_at;
    ret_user->last_seen = user->last_seen;
    ret_user->file_bytes = user->file_bytes;
}

int api_admin_list_users(struct api_call *call)
{
    Pigeon__UserList *list;
    Pigeon__ApiAdminUsers answer = PIGEON__API_ADMIN_USERS__INIT;
    int e = api_user_page(call, &list);
    if (e)
        return e;
    answer.users = pgn_arena_alloc(call->arena, (list->n_users + 1) * sizeof *answer.users);
    for (size_t i = 0; i < list->n_users; i++) {
        answer.users[i] = pgn_arena_alloc(call->arena, sizeof *answer.users[i]);
        admin_user_of(list->users[i], answer.users[i]);
    }
    answer.n_users = list->n_users;
    answer.more = list->more;
    answer.total = list->total;
    if (list->more && list->n_users)
        answer.next = list->users[list->n_users - 1]->user;
    return api_answer(call, 200, &answer);
}

/* The password to store: the chosen one, or a one-time one that goes into the answer. */
static int choose_password(struct api_call *call, const char *user, const char *chosen, char ret_one_time[API_ONE_TIME_LEN + 1],
                           char ret_hash[API_HASH_MAX])
{
    *ret_one_time = 0;
    if (chosen && *chosen) {
        const char *problem = api_password_problem(user, chosen);
        if (problem)
            return api_fail(call, PGN_E_INVALID, problem);
    } else {
        api_password_one_time(ret_one_time);
        chosen = ret_one_time;
    }
    int e = api_password_hash(call->api->passwords, chosen, ret_hash);
    return e ? api_fail(call, e, NULL) : 0;
}

int api_admin_create_user(struct api_call *call)
{
    Pigeon__ApiAdminCreate *body;
    Pigeon__DirRequest request = PIGEON__DIR_REQUEST__INIT;
    Pigeon__User user = PIGEON__USER__INIT;
    Pigeon__ApiAdminUser answer;
    Pigeon__Reply *reply;
    char hash[API_HASH_MAX], one_time[API_ONE_TIME_LEN + 1];
    int e = API_BODY(call, Pigeon__ApiAdminCreate, pigeon__api_admin_create, &body);
    if (e || (e = api_check_user(call, "user", body->user)) || (e = api_check_text(call, "name", body->name, API_NAME_CHARS, false)) ||
        (e = choose_password(call, body->user, body->password, one_time, hash)))
        return e;
    user.user = body->user;
    user.name = body->name && *body->name ? body->name : body->user;
    user.password_hash = hash;
    user.admin = body->has_admin && body->admin;
    user.must_change_password = true;
    user.created_at = pgn_wall_ms();
    request.what_case = PIGEON__DIR_REQUEST__WHAT_USER_CREATE;
    request.user_create = &user;
    e = dir(call, &request, &reply);
    if (e)
        return e;
    admin_user_of(&user, &answer);
    answer.password = *one_time ? one_time : NULL;
    return api_answer(call, 201, &answer);
}

/* What a PATCH sets, as the directory's field names. */
struct patch {
    Pigeon__User values;
    char *fields[5];
    size_t count;
    char hash[API_HASH_MAX];
    bool log_out;
};

static int collect(struct api_call *call, const Pigeon__ApiAdminPatch *body, struct patch *p)
{
    static char name[] = "name", password_hash[] = "password_hash", must[] = "must_change_password", disabled[] = "disabled",
                admin[] = "admin";
    char unused[API_ONE_TIME_LEN + 1];
    const char *user = call->param[0];
    bool self = !strcmp(user, call->session.user);
    int e = api_check_text(call, name, body->name, API_NAME_CHARS, false);
    if (e)
        return e;
    if (self && ((body->has_disabled && body->disabled) || (body->has_admin && !body->admin)))
        return api_fail(call, PGN_E_CONFLICT, "not to yourself: ask another administrator");
    if (body->name) {
        p->values.name = *body->name ? body->name : api_strdup(call, user);
        p->fields[p->count++] = name;
    }
    if (body->password && *body->password) {
        e = choose_password(call, user, body->password, unused, p->hash);
        if (e)
            return e;
        p->values.password_hash = p->hash;
        p->values.must_change_password = true;
        p->fields[p->count++] = password_hash;
        p->fields[p->count++] = must;
        p->log_out = true;
    }
    if (body->has_disabled) {
        p->values.disabled = body->disabled;
        p->fields[p->count++] = disabled;
        p->log_out |= body->disabled;
    }
    if (body->has_admin) {
        p->values.admin = body->admin;
        p->fields[p->count++] = admin;
    }
    return 0;
}

static int log_out(struct api_call *call, const char *user)
{
    Pigeon__SessionRevoke all = PIGEON__SESSION_REVOKE__INIT;
    all.user = api_strdup(call, user);
    all.all = true;
    int e = pgn_storage_session_revoke(call->api->bus, call->session.user, &all, call->arena, &call->problem);
    return e == PGN_E_NOT_FOUND ? 0 : e;
}

int api_admin_patch_user(struct api_call *call)
{
    Pigeon__ApiAdminPatch *body;
    struct patch p = {.values = PIGEON__USER__INIT};
    Pigeon__User *user;
    Pigeon__ApiAdminUser answer;
    int e = API_BODY(call, Pigeon__ApiAdminPatch, pigeon__api_admin_patch, &body);
    if (e || (e = collect(call, body, &p)))
        return e;
    if (p.count) {
        e = pgn_storage_user_patch(call->api->bus, call->session.user, call->param[0], &p.values, p.fields, p.count, call->arena,
                                   &call->problem);
        if (e)
            return e;
        if (p.log_out && (e = log_out(call, call->param[0])))
            return e;
        api_sessions_forget(call->api->sessions, call->param[0]);
    }
    e = pgn_storage_user_get(call->api->bus, call->param[0], call->arena, &user, &call->problem);
    if (e)
        return api_read_error(call, e);
    admin_user_of(user, &answer);
    return api_answer(call, 200, &answer);
}

/* ---- invitations ---- */

static void invite_of(const Pigeon__Invitation *from, Pigeon__ApiInviteInfo *ret_invite)
{
    pigeon__api_invite_info__init(ret_invite);
    ret_invite->code = from->code;
    ret_invite->uses_left = from->uses_left;
    ret_invite->expires_at = from->expires_at;
    ret_invite->created_by = from->created_by;
    ret_invite->created_at = from->created_at;
}

int api_admin_list_invites(struct api_call *call)
{
    Pigeon__DirRequest request = PIGEON__DIR_REQUEST__INIT;
    Pigeon__UserQuery query = PIGEON__USER_QUERY__INIT;
    Pigeon__ApiInvites answer = PIGEON__API_INVITES__INIT;
    Pigeon__Reply *reply;
    request.what_case = PIGEON__DIR_REQUEST__WHAT_INVITE_LIST;
    request.invite_list = &query;
    int e = pgn_storage_dir_sync(call->api->bus, &request, PGN_STORAGE_TIMEOUT_MS, call->arena, &reply, &call->problem);
    if (e)
        return api_read_error(call, e);
    size_t count = reply->invites->n_invites;
    answer.invites = pgn_arena_alloc(call->arena, (count + 1) * sizeof *answer.invites);
    for (size_t i = 0; i < count; i++) {
        answer.invites[i] = pgn_arena_alloc(call->arena, sizeof *answer.invites[i]);
        invite_of(reply->invites->invites[i], answer.invites[i]);
    }
    answer.n_invites = count;
    return api_answer(call, 200, &answer);
}

static void code_new(char ret_code[CODE_LEN + 1])
{
    static const char letters[] = "abcdefghjkmnpqrstuvwxyz23456789";
    for (int i = 0; i < CODE_LEN; i++)
        ret_code[i] = letters[pgn_random_below(sizeof letters - 1)];
    ret_code[CODE_LEN] = 0;
}

int api_admin_create_invite(struct api_call *call)
{
    Pigeon__ApiInviteNew *body;
    Pigeon__DirRequest request = PIGEON__DIR_REQUEST__INIT;
    Pigeon__Invitation invite = PIGEON__INVITATION__INIT;
    Pigeon__ApiInviteInfo answer;
    Pigeon__Reply *reply;
    char code[CODE_LEN + 1];
    int e = API_BODY(call, Pigeon__ApiInviteNew, pigeon__api_invite_new, &body);
    if (e)
        return e;
    uint32_t uses = body->has_uses ? body->uses : USES;
    uint64_t expires_in_s = body->has_expires_in_s ? body->expires_in_s : invite_s;
    if (uses < 1 || uses > USES_MAX)
        return api_fail_field(call, "uses", "1 to 100000");
    if (expires_in_s < invite_min_s || expires_in_s > invite_max_s)
        return api_fail_field(call, "expires_in_s", "a minute to a year");
    code_new(code);
    invite.code = code;
    invite.created_by = call->session.user;
    invite.created_at = pgn_wall_ms();
    invite.expires_at = invite.created_at + expires_in_s * 1000;
    invite.uses_left = uses;
    request.what_case = PIGEON__DIR_REQUEST__WHAT_INVITE_CREATE;
    request.invite_create = &invite;
    e = dir(call, &request, &reply);
    if (e)
        return e;
    invite_of(&invite, &answer);
    return api_answer(call, 201, &answer);
}

int api_admin_delete_invite(struct api_call *call)
{
    Pigeon__DirRequest request = PIGEON__DIR_REQUEST__INIT;
    Pigeon__Code code = PIGEON__CODE__INIT;
    Pigeon__Reply *reply;
    code.code = api_strdup(call, call->param[0]);
    request.what_case = PIGEON__DIR_REQUEST__WHAT_INVITE_DELETE;
    request.invite_delete = &code;
    int e = dir(call, &request, &reply);
    if (e)
        return e;
    return api_answer_empty(call, 204);
}

/* ---- status and audit ---- */

/* What does not answer is left out: a status page must come up when things are broken. */
int api_admin_status(struct api_call *call)
{
    Pigeon__ApiStatus answer = PIGEON__API_STATUS__INIT;
    Pigeon__AdminRequest stats = PIGEON__ADMIN_REQUEST__INIT, backups = PIGEON__ADMIN_REQUEST__INIT;
    Pigeon__Nothing nothing = PIGEON__NOTHING__INIT;
    Pigeon__Reply *reply;
    answer.n_services = api_nodes_list(call->api->nodes, call->arena, &answer.services);
    stats.what_case = PIGEON__ADMIN_REQUEST__WHAT_STATS;
    stats.stats = &nothing;
    if (!pgn_storage_admin_sync(call->api->bus, &stats, STATUS_TIMEOUT_MS, call->arena, &reply, NULL)) {
        answer.store = reply->stats;
        backups.what_case = PIGEON__ADMIN_REQUEST__WHAT_BACKUP_LIST;
        backups.backup_list = &nothing;
        if (!pgn_storage_admin_sync(call->api->bus, &backups, STATUS_TIMEOUT_MS, call->arena, &reply, NULL)) {
            answer.n_backups = reply->backups->n_backups;
            answer.backups = reply->backups->backups;
        }
    }
    return api_answer(call, 200, &answer);
}

int api_admin_audit(struct api_call *call)
{
    Pigeon__DirRequest request = PIGEON__DIR_REQUEST__INIT;
    Pigeon__UserQuery query = PIGEON__USER_QUERY__INIT;
    Pigeon__ApiAudit answer = PIGEON__API_AUDIT__INIT;
    Pigeon__Reply *reply;
    uint64_t after, limit;
    char text[24];
    int e = api_query_u64(call, "after", 0, (1ull << 53) - 1, 0, &after);
    if (e || (e = api_query_u64(call, "limit", 1, API_PAGE_MAX, API_PAGE, &limit)))
        return e;
    snprintf(text, sizeof text, "%" PRIu64, after);
    if (after)
        query.after = text;
    query.limit = (uint32_t)limit;
    request.what_case = PIGEON__DIR_REQUEST__WHAT_AUDIT_LIST;
    request.audit_list = &query;
    e = pgn_storage_dir_sync(call->api->bus, &request, PGN_STORAGE_TIMEOUT_MS, call->arena, &reply, &call->problem);
    if (e)
        return api_read_error(call, e);
    answer.n_entries = reply->audit->n_entries;
    answer.entries = reply->audit->entries;
    answer.more = answer.n_entries >= limit;
    return api_answer(call, 200, &answer);
}
