/* Registration, login, logout, change of password. Passwords are never logged nor answered. */
#include "services/api/auth.h"

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/proto/storage_client.h"
#include "common/svc/log.h"
#include "services/api/limit.h"
#include "services/api/lockout.h"
#include "services/api/password.h"
#include "services/api/people.h"
#include "services/api/session.h"

#include <string.h>

enum { PASSWORD_CHARS = 256, INVITE_CHARS = 64 };

static int check_device(struct api_call *call, const char *device)
{
    if (!device || !*device || pgn_device_valid(device))
        return 0;
    return api_fail_field(call, "device", "1 to 32 of A-Z a-z 0-9 _ -");
}

/* A password that is only compared. */
static int check_given(struct api_call *call, const char *field, const char *password)
{
    if (!password || !*password)
        return api_fail_field(call, field, "missing");
    return api_check_text(call, field, password, PASSWORD_CHARS, true);
}

static int check_chosen(struct api_call *call, const char *user, const char *password)
{
    const char *problem = api_password_problem(user, password ? password : "");
    return problem ? api_fail(call, PGN_E_INVALID, problem) : 0;
}

/* ---- registration ---- */

static int check_registration(struct api_call *call, const Pigeon__ApiRegister *body)
{
    int e;
    if ((e = api_check_user(call, "user", body->user)) || (e = check_device(call, body->device)) ||
        (e = api_check_text(call, "name", body->name, API_NAME_CHARS, false)) ||
        (e = api_check_text(call, "invite", body->invite, INVITE_CHARS, false)) || (e = check_chosen(call, body->user, body->password)))
        return e;
    const char *policy = call->api->config->api_registration;
    if (!strcmp(policy, "closed"))
        return api_fail(call, PGN_E_FORBIDDEN, "registration is closed: ask an administrator");
    if (!strcmp(policy, "invite") && (!body->invite || !*body->invite))
        return api_fail(call, PGN_E_FORBIDDEN, "registration needs an invitation");
    return api_limit(call, API_LIMIT_REGISTER, call->address);
}

int api_register(struct api_call *call)
{
    Pigeon__ApiRegister *body;
    char hash[API_HASH_MAX];
    int e = API_BODY(call, Pigeon__ApiRegister, pigeon__api_register, &body);
    if (e || (e = check_registration(call, body)))
        return e;
    e = api_password_hash(call->api->passwords, body->password, hash);
    if (e)
        return api_fail(call, e, NULL);
    Pigeon__DirRequest request = PIGEON__DIR_REQUEST__INIT;
    Pigeon__Invited invited = PIGEON__INVITED__INIT;
    Pigeon__User user = PIGEON__USER__INIT;
    Pigeon__Reply *reply;
    user.user = body->user;
    user.name = body->name && *body->name ? body->name : body->user;
    user.password_hash = hash;
    user.created_at = pgn_wall_ms();
    if (body->invite && *body->invite) {
        invited.user = &user;
        invited.code = body->invite;
        request.what_case = PIGEON__DIR_REQUEST__WHAT_REGISTER;
        request.register_ = &invited;
    } else {
        request.what_case = PIGEON__DIR_REQUEST__WHAT_USER_CREATE;
        request.user_create = &user;
    }
    e = pgn_storage_dir_sync(call->api->bus, &request, PGN_STORAGE_TIMEOUT_MS, call->arena, &reply, &call->problem);
    if (e == PGN_E_NOT_FOUND)
        return api_fail(call, PGN_E_FORBIDDEN, "this invitation cannot be used (any more)");
    if (e)
        return e;
    api_count(API_REGISTRATIONS);
    return api_session_open(call, &user, body->device, 201);
}

/* ---- login ---- */

static int refuse_locked(struct api_call *call, uint64_t wait_ms)
{
    api_count(API_LOGINS_LOCKED);
    api_fail(call, PGN_E_RATE_LIMITED, "too many wrong passwords: wait");
    call->problem.retry_after_ms = wait_ms;
    return PGN_E_RATE_LIMITED;
}

/*
 * Whether this is the user's password, with lockout. The same steps and time whether the user exists or not.
 * PGN_E_UNAUTHENTICATED, PGN_E_RATE_LIMITED, PGN_E_OVERLOADED.
 */
static int prove(struct api_call *call, const char *name, const char *password, Pigeon__User **ret_user)
{
    struct api_lockout *lockout = call->api->lockout;
    uint64_t wait_ms;
    Pigeon__User *user = NULL;
    if (!api_lockout_enter(lockout, name, call->address, &wait_ms))
        return refuse_locked(call, wait_ms);
    int e = pgn_storage_user_credentials(call->api->bus, name, call->arena, &user, &call->problem);
    bool unread = e && e != PGN_E_NOT_FOUND;
    if (!unread)
        e = api_password_verify(call->api->passwords, user ? user->password_hash : NULL, password);
    api_lockout_leave(lockout, name, call->address,
                      e == PGN_E_UNAUTHENTICATED ? API_LOCKOUT_WRONG
                      : e                        ? API_LOCKOUT_UNKNOWN
                                                 : API_LOCKOUT_RIGHT);
    if (unread)
        return api_read_error(call, e);
    if (e == PGN_E_UNAUTHENTICATED) {
        api_count(API_LOGINS_FAILED);
        return api_fail(call, e, "wrong user or password");
    }
    if (e)
        return api_fail(call, e, NULL);
    *ret_user = user;
    return 0;
}

int api_login_prove(struct api_call *call, const char *user, const char *password, const char *device, Pigeon__User **ret_user)
{
    int e = api_check_user(call, "user", user);
    if (e || (e = check_given(call, "password", password)) || (e = check_device(call, device)) ||
        (e = prove(call, user, password, ret_user)))
        return e;
    if ((*ret_user)->disabled)
        return api_fail(call, PGN_E_FORBIDDEN, "this account is disabled: ask an administrator");
    api_count(API_LOGINS_OK);
    return 0;
}

int api_login(struct api_call *call)
{
    Pigeon__ApiLogin *body;
    Pigeon__User *user;
    int e = API_BODY(call, Pigeon__ApiLogin, pigeon__api_login, &body);
    if (e || (e = api_login_prove(call, body->user, body->password, body->device, &user)))
        return e;
    return api_session_open(call, user, body->device, 200);
}

/* ---- ending sessions ---- */

static int revoke(struct api_call *call, Pigeon__SessionRevoke *what)
{
    what->user = call->session.user;
    int e = pgn_storage_session_revoke(call->api->bus, call->session.user, what, call->arena, &call->problem);
    api_sessions_forget(call->api->sessions, call->session.user);
    return e;
}

int api_logout(struct api_call *call)
{
    Pigeon__SessionRevoke what = PIGEON__SESSION_REVOKE__INIT;
    what.hash = (ProtobufCBinaryData){PGN_HASH_BYTES, call->session.hash};
    int e = revoke(call, &what);
    return e ? e : api_answer_empty(call, 204);
}

int api_revoke_session(struct api_call *call)
{
    Pigeon__SessionRevoke what = PIGEON__SESSION_REVOKE__INIT;
    what.device = api_strdup(call, call->param[0]);
    int e = revoke(call, &what);
    return e ? e : api_answer_empty(call, 204);
}

int api_list_sessions(struct api_call *call)
{
    Pigeon__SessionRequest request = PIGEON__SESSION_REQUEST__INIT;
    Pigeon__SessionUser who = PIGEON__SESSION_USER__INIT;
    Pigeon__ApiSessions answer = PIGEON__API_SESSIONS__INIT;
    Pigeon__Reply *reply;
    who.user = call->session.user;
    request.what_case = PIGEON__SESSION_REQUEST__WHAT_LIST;
    request.list = &who;
    int e = pgn_storage_session_sync(call->api->bus, &request, PGN_STORAGE_TIMEOUT_MS, call->arena, &reply, &call->problem);
    if (e)
        return api_read_error(call, e);
    size_t count = reply->sessions->n_sessions;
    answer.sessions = pgn_arena_alloc(call->arena, (count + 1) * sizeof *answer.sessions);
    for (size_t i = 0; i < count; i++) {
        const Pigeon__Session *from = reply->sessions->sessions[i];
        Pigeon__ApiSession *to = pgn_arena_alloc(call->arena, sizeof *to);
        pigeon__api_session__init(to);
        to->device = from->device;
        to->created_at = from->created_at;
        to->last_used = from->last_used;
        to->expires_at = from->expires_at;
        to->address = from->address;
        to->current = !strcmp(from->device, call->session.device);
        answer.sessions[answer.n_sessions++] = to;
    }
    return api_answer(call, 200, &answer);
}

/* ---- change of password ---- */

int api_change_password(struct api_call *call)
{
    static char field_hash[] = "password_hash", field_must[] = "must_change_password";
    char *fields[] = {field_hash, field_must}, hash[API_HASH_MAX];
    Pigeon__ApiPassword *body;
    Pigeon__User *user, values = PIGEON__USER__INIT;
    Pigeon__SessionRevoke others = PIGEON__SESSION_REVOKE__INIT;
    int e = API_BODY(call, Pigeon__ApiPassword, pigeon__api_password, &body);
    if (e || (e = check_given(call, "old", body->old)) || (e = check_chosen(call, call->session.user, body->new_)))
        return e;
    if (!strcmp(body->old, body->new_))
        return api_fail_field(call, "new", "the same as the old one");
    e = prove(call, call->session.user, body->old, &user);
    if (e == PGN_E_UNAUTHENTICATED) /* the token is valid, the password is not */
        return api_fail(call, PGN_E_FORBIDDEN, "the old password is wrong");
    if (e)
        return e;
    e = api_password_hash(call->api->passwords, body->new_, hash);
    if (e)
        return api_fail(call, e, NULL);
    values.password_hash = hash;
    e = pgn_storage_user_patch(call->api->bus, call->session.user, call->session.user, &values, fields, PGN_COUNT(fields), call->arena,
                               &call->problem);
    if (e)
        return e;
    others.all = true;
    others.keep = (ProtobufCBinaryData){PGN_HASH_BYTES, call->session.hash};
    e = revoke(call, &others);
    if (e == PGN_E_NOT_FOUND) /* there were no others */
        e = 0;
    return e ? e : api_answer_empty(call, 204);
}
