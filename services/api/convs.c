/* Conversations, members, history: frames of the client protocol, asked for over HTTP. */
#include "services/api/convs.h"

#include "common/base/error.h"
#include "common/proto/message_client.h"
#include "services/api/people.h"

#include <string.h>

enum {
    OP_TIMEOUT_MS = 10000,
    TITLE_CHARS = 128,
    MEMBERS_AT_ONCE = 1000,
    FETCH_MAX = 200,
    FETCH = 50,
    MEMBERS_PAGE = 200,
    CURSOR_CHARS = 16,
};
static const uint64_t max_seq = (1ull << 53) - 1;
static const uint64_t max_mute_s = 315360000; /* ten years */

/* Asks; the answer must be of this kind. */
static int ask(struct api_call *call, Pigeon__ClientFrame *frame, Pigeon__Ok__ResultCase kind, Pigeon__Ok **ret_ok)
{
    Pigeon__Ok *ok = NULL;
    int e = pgn_message_op_sync(call->api->bus, call->session.user, call->session.device, frame, NULL, OP_TIMEOUT_MS, call->arena, &ok,
                                &call->problem);
    if (e)
        return e;
    if (ok->result_case != kind)
        return api_fail(call, PGN_E_INTERNAL, "an answer of another kind than asked for");
    *ret_ok = ok;
    return 0;
}

/* Asks for what only reads, and answers 200 with it. */
static int ask_read(struct api_call *call, Pigeon__ClientFrame *frame, Pigeon__Ok__ResultCase kind)
{
    Pigeon__Ok *ok = NULL;
    int e = ask(call, frame, kind, &ok);
    if (e)
        return api_read_error(call, e);
    return api_answer(call, 200, ok->fetch); /* one pointer, whatever the kind */
}

/* The client's own key for what it may have to repeat. */
static int read_key(struct api_call *call, Pigeon__ClientFrame *frame)
{
    const char *key = pgn_http_header(call->req, "Idempotency-Key");
    if (!key)
        return 0;
    if (!pgn_client_id_valid(key))
        return api_fail_field(call, "Idempotency-Key", "1 to 64 printable characters without space");
    pgn_message_set_client_id(frame, api_strdup(call, key));
    return 0;
}

static int ask_change(struct api_call *call, Pigeon__ClientFrame *frame)
{
    Pigeon__Ok *ok = NULL;
    int e = read_key(call, frame);
    if (!e)
        e = ask(call, frame, PIGEON__OK__RESULT_CHANGED, &ok);
    return e ? e : api_answer(call, 200, ok->changed);
}

/* ---- reading ---- */

static int query_cursor(struct api_call *call, const char *name, char **ret_cursor)
{
    int e = api_query_text(call, name, CURSOR_CHARS, ret_cursor);
    if (e)
        return e;
    return strspn(*ret_cursor, "0123456789") == strlen(*ret_cursor) ? 0 : api_fail_field(call, name, "not one of ours");
}

int api_sync_convs(struct api_call *call)
{
    Pigeon__ClientFrame frame = PIGEON__CLIENT_FRAME__INIT;
    Pigeon__Sync sync = PIGEON__SYNC__INIT;
    uint64_t limit;
    int e = query_cursor(call, "cursor", &sync.cursor);
    if (e || (e = api_query_u64(call, "limit", 1, API_PAGE_MAX, API_PAGE, &limit)))
        return e;
    sync.limit = (uint32_t)limit;
    frame.op_case = PIGEON__CLIENT_FRAME__OP_SYNC;
    frame.sync = &sync;
    return ask_read(call, &frame, PIGEON__OK__RESULT_SYNC);
}

int api_get_conv(struct api_call *call)
{
    Pigeon__ClientFrame frame = PIGEON__CLIENT_FRAME__INIT;
    Pigeon__ConvRef ref = PIGEON__CONV_REF__INIT;
    ref.conv = api_strdup(call, call->param[0]);
    frame.op_case = PIGEON__CLIENT_FRAME__OP_INFO;
    frame.info = &ref;
    return ask_read(call, &frame, PIGEON__OK__RESULT_INFO);
}

int api_list_members(struct api_call *call)
{
    Pigeon__ClientFrame frame = PIGEON__CLIENT_FRAME__INIT;
    Pigeon__Members members = PIGEON__MEMBERS__INIT;
    uint64_t limit;
    int e = api_query_user(call, "after", &members.after);
    if (e || (e = api_query_u64(call, "limit", 1, MEMBERS_AT_ONCE, MEMBERS_PAGE, &limit)))
        return e;
    members.conv = api_strdup(call, call->param[0]);
    members.limit = (uint32_t)limit;
    frame.op_case = PIGEON__CLIENT_FRAME__OP_MEMBERS;
    frame.members = &members;
    return ask_read(call, &frame, PIGEON__OK__RESULT_MEMBERS);
}

int api_fetch_messages(struct api_call *call)
{
    Pigeon__ClientFrame frame = PIGEON__CLIENT_FRAME__INIT;
    Pigeon__Fetch fetch = PIGEON__FETCH__INIT;
    uint64_t limit;
    int e = api_query_u64(call, "after", 0, max_seq, 0, &fetch.after);
    if (e || (e = api_query_u64(call, "before", 0, max_seq, 0, &fetch.before)) ||
        (e = api_query_u64(call, "limit", 1, FETCH_MAX, FETCH, &limit)) || (e = query_cursor(call, "since", &fetch.since)))
        return e;
    if ((fetch.after != 0) + (fetch.before != 0) + (*fetch.since != 0) > 1)
        return api_fail_field(call, *fetch.since ? "since" : "after", "not together with another of after, before and since");
    fetch.conv = api_strdup(call, call->param[0]);
    fetch.limit = (uint32_t)limit;
    frame.op_case = PIGEON__CLIENT_FRAME__OP_FETCH;
    frame.fetch = &fetch;
    return ask_read(call, &frame, PIGEON__OK__RESULT_FETCH);
}

int api_receipts(struct api_call *call)
{
    Pigeon__ClientFrame frame = PIGEON__CLIENT_FRAME__INIT;
    Pigeon__Receipts receipts = PIGEON__RECEIPTS__INIT;
    int e = api_query_u64(call, "seq", 1, max_seq, 0, &receipts.seq);
    if (e)
        return e;
    if (!receipts.seq)
        return api_fail_field(call, "seq", "missing");
    receipts.conv = api_strdup(call, call->param[0]);
    frame.op_case = PIGEON__CLIENT_FRAME__OP_RECEIPTS;
    frame.receipts = &receipts;
    return ask_read(call, &frame, PIGEON__OK__RESULT_RECEIPTS);
}

/* ---- changing ---- */

static int check_users(struct api_call *call, const char *field, size_t count, char *const *users)
{
    if (count > MEMBERS_AT_ONCE)
        return api_fail_field(call, field, "at most 1000 at once");
    for (size_t i = 0; i < count; i++)
        if (!pgn_user_valid(users[i]))
            return api_fail_field(call, field, "not a user id");
    return 0;
}

static int check_settings(struct api_call *call, const Pigeon__Settings *settings)
{
    if (!settings)
        return 0;
    if (*settings->avatar && !api_file_id_valid(settings->avatar))
        return api_fail_field(call, "settings.avatar", "not a file id");
    return api_check_text(call, "settings.about", settings->about, API_ABOUT_CHARS, true);
}

int api_create_conv(struct api_call *call)
{
    Pigeon__ClientFrame frame = PIGEON__CLIENT_FRAME__INIT;
    Pigeon__Create create = PIGEON__CREATE__INIT;
    Pigeon__ApiGroup *body;
    Pigeon__Ok *ok = NULL;
    int e = API_BODY(call, Pigeon__ApiGroup, pigeon__api_group, &body);
    if (e || (e = api_check_text(call, "title", body->title, TITLE_CHARS, false)) ||
        (e = check_users(call, "members", body->n_members, body->members)) || (e = check_settings(call, body->settings)))
        return e;
    if (!body->title || !*body->title)
        return api_fail_field(call, "title", "missing");
    create.kind = PIGEON__CONV_KIND__group;
    create.title = body->title;
    create.n_members = body->n_members;
    create.members = body->members;
    create.settings = body->settings;
    frame.op_case = PIGEON__CLIENT_FRAME__OP_CREATE;
    frame.create = &create;
    e = read_key(call, &frame);
    if (!e)
        e = ask(call, &frame, PIGEON__OK__RESULT_CREATE, &ok);
    return e ? e : api_answer(call, 201, ok->create);
}

int api_patch_conv(struct api_call *call)
{
    Pigeon__ClientFrame frame = PIGEON__CLIENT_FRAME__INIT;
    Pigeon__Update update = PIGEON__UPDATE__INIT;
    Pigeon__ApiConvPatch *body;
    int e = API_BODY(call, Pigeon__ApiConvPatch, pigeon__api_conv_patch, &body);
    if (e || (e = api_check_text(call, "title", body->title, TITLE_CHARS, false)) || (e = check_settings(call, body->settings)))
        return e;
    if (body->title && !*body->title)
        return api_fail_field(call, "title", "empty");
    update.conv = api_strdup(call, call->param[0]);
    update.title = api_strdup(call, body->title);
    update.settings = body->settings;
    frame.op_case = PIGEON__CLIENT_FRAME__OP_UPDATE;
    frame.update = &update;
    return ask_change(call, &frame);
}

int api_invite_members(struct api_call *call)
{
    Pigeon__ClientFrame frame = PIGEON__CLIENT_FRAME__INIT;
    Pigeon__Invite invite = PIGEON__INVITE__INIT;
    Pigeon__ApiInvite *body;
    int e = API_BODY(call, Pigeon__ApiInvite, pigeon__api_invite, &body);
    if (e || (e = check_users(call, "users", body->n_users, body->users)))
        return e;
    if (!body->n_users)
        return api_fail_field(call, "users", "missing");
    invite.conv = api_strdup(call, call->param[0]);
    invite.n_users = body->n_users;
    invite.users = body->users;
    frame.op_case = PIGEON__CLIENT_FRAME__OP_INVITE;
    frame.invite = &invite;
    return ask_change(call, &frame);
}

static int set_role(struct api_call *call, Pigeon__Role value)
{
    Pigeon__ClientFrame frame = PIGEON__CLIENT_FRAME__INIT;
    Pigeon__SetRole role = PIGEON__SET_ROLE__INIT;
    if (value == PIGEON__ROLE__role_unset)
        return api_fail_field(call, "role", "not one of member, admin, owner");
    role.conv = api_strdup(call, call->param[0]);
    role.user = api_strdup(call, call->param[1]);
    role.role = value;
    frame.op_case = PIGEON__CLIENT_FRAME__OP_ROLE;
    frame.role = &role;
    return ask_change(call, &frame);
}

static int set_mute(struct api_call *call, uint64_t seconds)
{
    Pigeon__ClientFrame frame = PIGEON__CLIENT_FRAME__INIT;
    Pigeon__Mute mute = PIGEON__MUTE__INIT;
    if (seconds > max_mute_s)
        return api_fail_field(call, "mute_seconds", "at most ten years");
    mute.conv = api_strdup(call, call->param[0]);
    mute.user = api_strdup(call, call->param[1]);
    mute.seconds = seconds;
    frame.op_case = PIGEON__CLIENT_FRAME__OP_MUTE;
    frame.mute = &mute;
    return ask_change(call, &frame);
}

int api_patch_member(struct api_call *call)
{
    Pigeon__ApiMemberPatch *body;
    int e = API_BODY(call, Pigeon__ApiMemberPatch, pigeon__api_member_patch, &body);
    if (e)
        return e;
    if (body->has_role == body->has_mute_seconds)
        return api_fail_field(call, "role", "exactly one of role and mute_seconds");
    return body->has_role ? set_role(call, body->role) : set_mute(call, body->mute_seconds);
}

int api_remove_member(struct api_call *call)
{
    Pigeon__ClientFrame frame = PIGEON__CLIENT_FRAME__INIT;
    Pigeon__ConvRef leave = PIGEON__CONV_REF__INIT;
    Pigeon__Kick kick = PIGEON__KICK__INIT;
    if (!strcmp(call->param[1], call->session.user)) {
        leave.conv = api_strdup(call, call->param[0]);
        frame.op_case = PIGEON__CLIENT_FRAME__OP_LEAVE;
        frame.leave = &leave;
    } else {
        kick.conv = api_strdup(call, call->param[0]);
        kick.user = api_strdup(call, call->param[1]);
        frame.op_case = PIGEON__CLIENT_FRAME__OP_KICK;
        frame.kick = &kick;
    }
    return ask_change(call, &frame);
}

int api_join_conv(struct api_call *call)
{
    Pigeon__ClientFrame frame = PIGEON__CLIENT_FRAME__INIT;
    Pigeon__ConvRef ref = PIGEON__CONV_REF__INIT;
    ref.conv = api_strdup(call, call->param[0]);
    frame.op_case = PIGEON__CLIENT_FRAME__OP_JOIN;
    frame.join = &ref;
    return ask_change(call, &frame);
}
