/* The form of operations; see gw_check.h. */
#include "services/gateway/gw_check.h"

#include "common/base/error.h"
#include "common/base/id.h"
#include "common/proto/message_client.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct look {
    const struct gw_check_limits *limits;
    char *problem;
};

static int bad(struct look *l, const char *field, const char *what)
{
    snprintf(l->problem, GW_PROBLEM_BYTES, "%s: %s", field, what);
    return PGN_E_INVALID;
}

static int user(struct look *l, const char *field, const char *id)
{
    return pgn_user_valid(id) ? 0 : bad(l, field, *id ? "not a user id" : "missing");
}

static int conv(struct look *l, const char *field, const char *id)
{
    return pgn_conv_valid(id) ? 0 : bad(l, field, *id ? "not a conversation id" : "missing");
}

static int users(struct look *l, const char *field, char *const *ids, size_t count, size_t max)
{
    char each[64];
    if (count > max) {
        snprintf(l->problem, GW_PROBLEM_BYTES, "%s: at most %zu", field, max);
        return PGN_E_INVALID;
    }
    for (size_t i = 0; i < count; i++) {
        snprintf(each, sizeof each, "%s[%zu]", field, i);
        int e = user(l, each, ids[i]);
        if (e)
            return e;
    }
    return 0;
}

static int body_part(struct look *l, const Pigeon__Body *b, Pigeon__Kind kind)
{
    switch (kind) {
    case PIGEON__KIND__kind_unset:
    case PIGEON__KIND__text:
        return *b->text ? 0 : bad(l, "body.text", "missing");
    case PIGEON__KIND__image:
    case PIGEON__KIND__audio:
    case PIGEON__KIND__video:
    case PIGEON__KIND__file:
        return b->file && *b->file->file_id ? 0 : bad(l, "body.file.file_id", "missing");
    case PIGEON__KIND__location:
        if (!b->location)
            return bad(l, "body.location", "missing");
        if (!(fabs(b->location->latitude) <= 90 && fabs(b->location->longitude) <= 180))
            return bad(l, "body.location", "not a place on earth");
        return 0;
    case PIGEON__KIND__card:
        return b->card ? 0 : bad(l, "body.card", "missing");
    case PIGEON__KIND__custom:
        return b->custom ? 0 : bad(l, "body.custom", "missing");
    case PIGEON__KIND__command:
        return b->command ? 0 : bad(l, "body.command", "missing");
    case PIGEON__KIND__operation:
        return bad(l, "kind", "operations are written by the server only");
    case _PIGEON__KIND_IS_INT_SIZE:
    default:
        return bad(l, "kind", "unknown");
    }
}

static int body(struct look *l, const Pigeon__Body *b, Pigeon__Kind kind)
{
    if (!b)
        return bad(l, "body", "missing");
    if (b->operation)
        return bad(l, "body.operation", "is written by the server only");
    if (pigeon__body__get_packed_size(b) > l->limits->body_bytes) {
        snprintf(l->problem, GW_PROBLEM_BYTES, "body: larger than %zu bytes", l->limits->body_bytes);
        return PGN_E_TOO_LARGE;
    }
    return body_part(l, b, kind);
}

static int mentions(struct look *l, char *const *ids, size_t count)
{
    if (count > GW_MENTIONS_MAX)
        return bad(l, "mentions", "at most 50");
    for (size_t i = 0; i < count; i++)
        if (strcmp(ids[i], "all") != 0 && !pgn_user_valid(ids[i]))
            return bad(l, "mentions", "not a user id");
    return 0;
}

static int send(struct look *l, const Pigeon__Send *s)
{
    int e;
    if (!s->to || s->to->to_case == PIGEON__TARGET__TO__NOT_SET)
        return bad(l, "to", "user or conv is needed");
    if (s->to->to_case == PIGEON__TARGET__TO_USER)
        e = user(l, "to.user", s->to->user);
    else
        e = conv(l, "to.conv", s->to->conv);
    if (!e && !*s->client_id)
        e = bad(l, "client_id", "missing");
    if (!e)
        e = mentions(l, s->mentions, s->n_mentions);
    return e ? e : body(l, s->body, s->kind);
}

/* An operation on one message of a conversation. */
static int on_message(struct look *l, const char *id, uint64_t seq)
{
    int e = conv(l, "conv", id);
    return e ? e : seq ? 0 : bad(l, "seq", "missing");
}

static int short_text(struct look *l, const char *field, const char *text, size_t max)
{
    return strlen(text) <= max ? 0 : bad(l, field, "too long");
}

static int edit(struct look *l, const Pigeon__Edit *o)
{
    int e = on_message(l, o->conv, o->seq);
    return e ? e : body(l, o->body, PIGEON__KIND__text);
}

static int react(struct look *l, const Pigeon__React *o)
{
    int e = on_message(l, o->conv, o->seq);
    if (!e && !*o->emoji)
        e = bad(l, "emoji", "missing");
    return e ? e : short_text(l, "emoji", o->emoji, GW_EMOJI_MAX);
}

static int create(struct look *l, const Pigeon__Create *o)
{
    int e = short_text(l, "title", o->title, GW_TITLE_MAX);
    if (!e && o->kind != PIGEON__CONV_KIND__group && o->kind != PIGEON__CONV_KIND__conv_kind_unset)
        e = bad(l, "kind", "only groups are created; a direct conversation begins with the first send");
    return e ? e : users(l, "members", o->members, o->n_members, SIZE_MAX);
}

static int invite(struct look *l, const Pigeon__Invite *o)
{
    int e = conv(l, "conv", o->conv);
    if (!e && !o->n_users)
        e = bad(l, "users", "missing");
    return e ? e : users(l, "users", o->users, o->n_users, SIZE_MAX);
}

/* conv and a user. */
static int on_member(struct look *l, const char *id, const char *member, bool needed)
{
    int e = conv(l, "conv", id);
    return e || (!needed && !*member) ? e : user(l, "user", member);
}

static int watch(struct look *l, const Pigeon__Watch *o)
{
    return o->n_users ? users(l, "users", o->users, o->n_users, l->limits->watch_users) : bad(l, "users", "missing");
}

static int mark(struct look *l, const Pigeon__Mark *o)
{
    int e = conv(l, "conv", o->conv);
    return e || o->read || o->delivered ? e : bad(l, "read", "read or delivered is needed");
}

static int update(struct look *l, const Pigeon__Update *o)
{
    int e = conv(l, "conv", o->conv);
    return e ? e : short_text(l, "title", o->title, GW_TITLE_MAX);
}

static int fetch(struct look *l, const Pigeon__Fetch *o)
{
    int e = conv(l, "conv", o->conv);
    if (e || (e = short_text(l, "since", o->since, 64)))
        return e;
    if (*o->since && (o->after || o->before))
        return bad(l, "since", "not together with after or before");
    return !o->after || !o->before ? 0 : bad(l, "before", "not together with after");
}

/* The client's own idempotency key, where there may be one. */
static int client_id(struct look *l, const Pigeon__ClientFrame *f)
{
    const char *id = pgn_message_client_id(f);
    return !*id || pgn_client_id_valid(id) ? 0 : bad(l, "client_id", "1-64 printable ASCII characters without space");
}

static int operation(struct look *l, const Pigeon__ClientFrame *f)
{
    switch (f->op_case) {
    case PIGEON__CLIENT_FRAME__OP_SEND:
        return send(l, f->send);
    case PIGEON__CLIENT_FRAME__OP_FETCH:
        return fetch(l, f->fetch);
    case PIGEON__CLIENT_FRAME__OP_SYNC:
        return short_text(l, "cursor", f->sync->cursor, 64);
    case PIGEON__CLIENT_FRAME__OP_MARK:
        return mark(l, f->mark);
    case PIGEON__CLIENT_FRAME__OP_TYPING:
        return conv(l, "conv", f->typing->conv);
    case PIGEON__CLIENT_FRAME__OP_WATCH:
        return watch(l, f->watch);
    case PIGEON__CLIENT_FRAME__OP_UNWATCH:
        return watch(l, f->unwatch);
    case PIGEON__CLIENT_FRAME__OP_STATUS:
        return short_text(l, "text", f->status->text, GW_TITLE_MAX);
    case PIGEON__CLIENT_FRAME__OP_RECALL:
        return on_message(l, f->recall->conv, f->recall->seq);
    case PIGEON__CLIENT_FRAME__OP_EDIT:
        return edit(l, f->edit);
    case PIGEON__CLIENT_FRAME__OP_REACT:
        return react(l, f->react);
    case PIGEON__CLIENT_FRAME__OP_CREATE:
        return create(l, f->create);
    case PIGEON__CLIENT_FRAME__OP_INVITE:
        return invite(l, f->invite);
    case PIGEON__CLIENT_FRAME__OP_JOIN:
        return conv(l, "conv", f->join->conv);
    case PIGEON__CLIENT_FRAME__OP_LEAVE:
        return conv(l, "conv", f->leave->conv);
    case PIGEON__CLIENT_FRAME__OP_KICK:
        return on_member(l, f->kick->conv, f->kick->user, true);
    case PIGEON__CLIENT_FRAME__OP_ROLE:
        return on_member(l, f->role->conv, f->role->user, true);
    case PIGEON__CLIENT_FRAME__OP_MUTE:
        return on_member(l, f->mute->conv, f->mute->user, false);
    case PIGEON__CLIENT_FRAME__OP_UPDATE:
        return update(l, f->update);
    case PIGEON__CLIENT_FRAME__OP_PING:
        return 0;
    case PIGEON__CLIENT_FRAME__OP_MEMBERS:
        return conv(l, "conv", f->members->conv);
    case PIGEON__CLIENT_FRAME__OP_RECEIPTS:
        return on_message(l, f->receipts->conv, f->receipts->seq);
    case PIGEON__CLIENT_FRAME__OP_INFO:
        return conv(l, "conv", f->info->conv);
    case PIGEON__CLIENT_FRAME__OP_HELLO:
        return bad(l, "hello", "was said already");
    case PIGEON__CLIENT_FRAME__OP__NOT_SET:
    case _PIGEON__CLIENT_FRAME__OP__CASE_IS_INT_SIZE:
    default:
        return bad(l, "frame", "no operation, or an unknown one");
    }
}

int gw_check_frame(const Pigeon__ClientFrame *f, const struct gw_check_limits *limits, char ret_problem[GW_PROBLEM_BYTES])
{
    struct look look = {limits, ret_problem};
    int e = operation(&look, f);
    return e ? e : client_id(&look, f);
}
