/* What is not stored: typing, presence, own status. */
#include "common/base/error.h"
#include "common/base/id.h"
#include "common/proto/subjects.h"
#include "services/message/msg_check.h"
#include "services/message/msg_metrics.h"
#include "services/message/msg_op.h"

#include <stdlib.h>
#include <string.h>

/* ---- typing ---- */

/* One event. */
static void to_user(struct msg_service *s, char *user, Pigeon__Events *events)
{
    char subject[PGN_USER_SUBJECT_BYTES];
    events->events[0]->n_users = 1;
    events->events[0]->users = &user;
    pgn_user_subject(pgn_user_subject_number(user), subject);
    msg_publish(s, subject, events);
}

static void typing_allowed(struct msg_op *op)
{
    const struct msg_policy *p = op->want.policy;
    Pigeon__Events events = PIGEON__EVENTS__INIT;
    Pigeon__Event event = PIGEON__EVENT__INIT, *list = &event;
    Pigeon__TypingEvent typing = PIGEON__TYPING_EVENT__INIT;
    char peer[PGN_USER_MAX + 1];
    typing.conv = p->conv;
    typing.user = op->request->user;
    event.what_case = PIGEON__EVENT__WHAT_TYPING;
    event.typing = &typing;
    event.skip_device = op->request->device;
    events.n_events = 1;
    events.events = &list;
    if (!p->direct && p->members_count <= MSG_TYPING_MEMBERS)
        msg_publish(op->service, msg_op_text(op, PGN_SUBJ_CONV "%s", p->conv), &events);
    else if (p->direct && pgn_conv_peer(p->conv, op->user, peer) && strcmp(peer, op->user) != 0)
        to_user(op->service, peer, &events);
    MSG_COUNT(TYPING, 1);
    msg_op_ok(op, NULL);
}

void msg_live_typing(struct msg_op *op)
{
    msg_op_rule(op, op->request->frame->typing->conv, MSG_TYPING, typing_allowed);
}

/* ---- presence ---- */

static void watch_answer(struct msg_op *op, const Pigeon__Reply *reply)
{
    Pigeon__Ok ok = PIGEON__OK__INIT;
    ok.result_case = PIGEON__OK__RESULT_WATCH;
    ok.watch = reply->presence;
    msg_op_ok(op, &ok);
}

static int by_name(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;
    return strcmp(*x, *y);
}

/* Asks presence for those who neither block the user nor are unknown. */
static void watch_allowed(struct msg_op *op, const Pigeon__Reply *reply)
{
    Pigeon__Watch *watch = op->request->frame->watch;
    Pigeon__Strings *hidden = reply->strings;
    Pigeon__PresenceRequest request = PIGEON__PRESENCE_REQUEST__INIT;
    size_t kept = 0;
    if (hidden->n_values > 0)
        qsort(hidden->values, hidden->n_values, sizeof *hidden->values, by_name);
    for (size_t i = 0; i < watch->n_users; i++)
        if (hidden->n_values == 0 || !bsearch(&watch->users[i], hidden->values, hidden->n_values, sizeof *hidden->values, by_name))
            watch->users[kept++] = watch->users[i];
    watch->n_users = kept;
    if (kept == 0) {
        Pigeon__Ok ok = PIGEON__OK__INIT;
        Pigeon__PresenceList none = PIGEON__PRESENCE_LIST__INIT;
        ok.result_case = PIGEON__OK__RESULT_WATCH;
        ok.watch = &none;
        msg_op_ok(op, &ok);
        return;
    }
    request.what_case = PIGEON__PRESENCE_REQUEST__WHAT_QUERY;
    request.query = watch;
    msg_op_call(op, PGN_SUBJ_PRS_QUERY, &request, PIGEON__REPLY__PAYLOAD_PRESENCE, watch_answer);
}

void msg_live_watch(struct msg_op *op)
{
    Pigeon__Watch *watch = op->request->frame->watch;
    Pigeon__ConvRequest request = PIGEON__CONV_REQUEST__INIT;
    Pigeon__BlockedBy blocked = PIGEON__BLOCKED_BY__INIT;
    const char *text = NULL;
    int e = msg_check_users(watch->users, watch->n_users, (size_t)op->service->config->limits_watch_users, &text);
    if (e) {
        msg_op_fail(op, e, text);
        return;
    }
    blocked.user = op->request->user;
    blocked.users = watch->users;
    blocked.n_users = watch->n_users;
    request.what_case = PIGEON__CONV_REQUEST__WHAT_BLOCKED_BY;
    request.blocked_by = &blocked;
    msg_op_call(op, PGN_SUBJ_STO_CONV, &request, PIGEON__REPLY__PAYLOAD_STRINGS, watch_allowed);
}

/* The gateway's own business; a REST caller has no watch list. */
void msg_live_unwatch(struct msg_op *op)
{
    msg_op_ok(op, NULL);
}

/* ---- status ---- */

static void status_answer(struct msg_op *op, const Pigeon__Reply *reply)
{
    (void)reply;
    msg_op_ok(op, NULL);
}

void msg_live_status(struct msg_op *op)
{
    Pigeon__PresenceRequest request = PIGEON__PRESENCE_REQUEST__INIT;
    Pigeon__SetStatus set = PIGEON__SET_STATUS__INIT;
    const char *text = NULL;
    int e = msg_check_status(op->request->frame->status, &text);
    if (e) {
        msg_op_fail(op, e, text);
        return;
    }
    set.user = op->request->user;
    set.status = op->request->frame->status;
    request.what_case = PIGEON__PRESENCE_REQUEST__WHAT_STATUS;
    request.status = &set;
    msg_op_call(op, PGN_SUBJ_PRS_QUERY, &request, PIGEON__REPLY__PAYLOAD__NOT_SET, status_answer);
}
