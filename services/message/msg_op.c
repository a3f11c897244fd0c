/* Operations: their table, their life; see msg_op.h. */
#include "services/message/msg_op.h"

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/id.h"
#include "common/proto/rpc.h"
#include "common/svc/log.h"
#include "services/message/msg_commit.h"
#include "services/message/msg_metrics.h"

#include <stdarg.h>
#include <stdio.h>

enum { ASK_AGAIN_MS = 100, PAUSE_TEXT = 256 };

/* What is not here belongs into a batch, or to the gateway alone. */
static msg_op_step *const steps[] = {
    [PIGEON__CLIENT_FRAME__OP_FETCH] = msg_read_fetch,     [PIGEON__CLIENT_FRAME__OP_SYNC] = msg_read_sync,
    [PIGEON__CLIENT_FRAME__OP_MEMBERS] = msg_read_members, [PIGEON__CLIENT_FRAME__OP_RECEIPTS] = msg_read_receipts,
    [PIGEON__CLIENT_FRAME__OP_INFO] = msg_read_info,       [PIGEON__CLIENT_FRAME__OP_TYPING] = msg_live_typing,
    [PIGEON__CLIENT_FRAME__OP_WATCH] = msg_live_watch,     [PIGEON__CLIENT_FRAME__OP_UNWATCH] = msg_live_unwatch,
    [PIGEON__CLIENT_FRAME__OP_STATUS] = msg_live_status,   [PIGEON__CLIENT_FRAME__OP_CREATE] = msg_group_create,
    [PIGEON__CLIENT_FRAME__OP_INVITE] = msg_group_invite,  [PIGEON__CLIENT_FRAME__OP_JOIN] = msg_group_join,
    [PIGEON__CLIENT_FRAME__OP_LEAVE] = msg_group_leave,    [PIGEON__CLIENT_FRAME__OP_KICK] = msg_group_kick,
    [PIGEON__CLIENT_FRAME__OP_ROLE] = msg_group_role,      [PIGEON__CLIENT_FRAME__OP_MUTE] = msg_group_mute,
    [PIGEON__CLIENT_FRAME__OP_UPDATE] = msg_group_update,
};

/* ---- memory ---- */

void *msg_op_alloc(struct msg_op *op, size_t bytes)
{
    return pgn_arena_alloc(op->arena, bytes);
}

char *msg_op_text(struct msg_op *op, const char *format, ...)
{
    char text[PAUSE_TEXT];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return pgn_arena_strdup(op->arena, text);
}

/* ---- ends ---- */

static void op_free(struct msg_op *op)
{
    struct msg_service *s = op->service;
    struct pgn_arena *arena = op->arena;
    MSG_OBSERVE(OP_SECONDS, pgn_mono_us() - op->start_us);
    msg_want_release(&op->want);
    pgn_timer_stop(&op->timer);
    pgn_list_remove(&op->node);
    pgn_buf_release(&op->packed);
    s->ops_open--;
    MSG_SET(OPS_OPEN, s->ops_open);
    msg_arena_give(s, &arena); /* op lives in it */
    msg_service_idle(s);
}

void msg_op_ok(struct msg_op *op, Pigeon__Ok *ok)
{
    Pigeon__Reply reply = PIGEON__REPLY__INIT;
    Pigeon__Ok empty = PIGEON__OK__INIT;
    reply.payload_case = PIGEON__REPLY__PAYLOAD_OK;
    reply.ok = ok ? ok : &empty;
    if (op->reply)
        msg_publish(op->service, op->reply, &reply);
    op_free(op);
}

void msg_op_fail_later(struct msg_op *op, int error, const char *text, uint64_t retry_after_ms)
{
    struct pgn_buf *out = &op->service->out;
    MSG_COUNT(OPS_FAILED, 1);
    if (op->reply) {
        pgn_buf_clear(out);
        pgn_rpc_pack_error(out, error, text, retry_after_ms);
        int e = pgn_bus_publish(op->service->bus, op->reply, NULL, out->data, out->len);
        if (e)
            pgn_log_limited(PGN_WARN, 5000, "an answer could not be published: %s", pgn_error_info(e)->text);
    }
    op_free(op);
}

void msg_op_fail(struct msg_op *op, int error, const char *text)
{
    msg_op_fail_later(op, error, text, 0);
}

void msg_op_relay(struct msg_op *op, const void *reply, size_t len)
{
    int e = op->reply ? pgn_bus_publish(op->service->bus, op->reply, NULL, reply, len) : 0;
    if (e == PGN_E_TOO_LARGE) {
        msg_op_fail(op, e, "the answer is too large: ask for less");
        return;
    }
    op_free(op);
}

/* ---- waiting ---- */

uint64_t msg_op_left_ms(const struct msg_op *op)
{
    uint64_t now = pgn_mono_ms();
    return now < op->deadline_ms ? op->deadline_ms - now : 0;
}

static void on_deadline(struct pgn_timer *t)
{
    struct msg_op *op = PGN_CONTAINER(t, struct msg_op, timer);
    msg_op_fail(op, op->doubt ? PGN_E_UNCERTAIN : PGN_E_UNAVAILABLE, NULL);
}

static void on_policy(struct msg_waiter *w)
{
    struct msg_op *op = PGN_CONTAINER(w, struct msg_op, waiter);
    pgn_timer_stop(&op->timer);
    op->have_policy(op);
}

/* A policy is wanted. */
static void wait_policy(struct msg_op *op, msg_op_step *next)
{
    struct msg_service *s = op->service;
    op->waiter.ready = on_policy;
    op->have_policy = next;
    op->timer.on_due = on_deadline;
    pgn_timer_start(s->loop, &op->timer, msg_op_left_ms(op));
    msg_policies_flush(s->policies);
}

void msg_op_policy(struct msg_op *op, const char *conv, msg_op_step *next)
{
    struct msg_service *s = op->service;
    msg_want_release(&op->want);
    struct msg_policy *p = msg_policies_get(s->policies, conv);
    if (p) {
        msg_policy_ref(p);
        op->want.policy = p;
        next(op);
        return;
    }
    msg_policies_want(s->policies, conv, &op->waiter, &op->want);
    wait_policy(op, next);
}

bool msg_op_renew(struct msg_op *op, msg_op_step *next)
{
    struct msg_policy *old = op->want.policy;
    if (old->asked > op->asked)
        return false;
    msg_policies_renew(op->service->policies, old, &op->waiter, &op->want);
    msg_policy_unref(&old);
    wait_policy(op, next);
    return true;
}

static void on_rule(struct msg_op *op)
{
    struct msg_verdict verdict = {""};
    int e = msg_rules_check(op->want.policy, op->user, op->rule_action, pgn_wall_ms(), &verdict);
    if (!e)
        op->rule_next(op);
    else if (!msg_op_rule_renew(op))
        msg_commit_refused(op, e, verdict.text);
}

bool msg_op_rule_renew(struct msg_op *op)
{
    return msg_op_renew(op, on_rule);
}

void msg_op_rule(struct msg_op *op, const char *conv, enum msg_action action, msg_op_step *next)
{
    if (!pgn_conv_valid(conv)) {
        msg_op_fail(op, PGN_E_INVALID, "not a conversation id");
        return;
    }
    op->rule_action = action;
    op->rule_next = next;
    msg_op_policy(op, conv, on_rule);
}

static void on_pause_end(struct pgn_timer *t)
{
    struct msg_op *op = PGN_CONTAINER(t, struct msg_op, timer);
    op->after_pause(op);
}

void msg_op_pause(struct msg_op *op, uint64_t pause_ms, msg_op_step *next)
{
    op->after_pause = next;
    op->timer.on_due = on_pause_end;
    pgn_timer_start(op->service->loop, &op->timer, pause_ms);
}

static void ask(struct msg_op *op);

static void on_answer(void *ctx, int error, const struct pgn_bus_msg *msg)
{
    struct msg_op *op = ctx;
    op->calling = false;
    if (error == PGN_E_NO_RESPONDERS || error == PGN_E_UNAVAILABLE) {
        if (msg_op_left_ms(op) > ASK_AGAIN_MS)
            msg_op_pause(op, ASK_AGAIN_MS, ask);
        else
            msg_op_fail(op, error, NULL);
        return;
    }
    if (error) { /* these calls only read: a lost answer leaves no doubt */
        msg_op_fail(op, error == PGN_E_TIMEOUT ? PGN_E_UNAVAILABLE : error, NULL);
        return;
    }
    if (op->relay) {
        msg_op_relay(op, msg->data, msg->len);
        return;
    }
    Pigeon__Reply *reply = PGN_PB_UNPACK(Pigeon__Reply, pigeon__reply, op->arena, msg->data, msg->len);
    if (!reply)
        msg_op_fail(op, PGN_E_INTERNAL, "malformed answer");
    else if (reply->error)
        msg_op_fail_later(op, reply->error, reply->text, reply->retry_after_ms);
    else if (op->payload != PIGEON__REPLY__PAYLOAD__NOT_SET && reply->payload_case != op->payload)
        msg_op_fail(op, PGN_E_INTERNAL, "an answer of another kind than asked for");
    else
        op->answered(op, reply);
}

static void ask(struct msg_op *op)
{
    uint64_t left = msg_op_left_ms(op);
    op->calling = true;
    pgn_bus_request(op->service->bus, op->subject, op->packed.data, op->packed.len, left ? left : 1, on_answer, op);
}

void msg_op_call(struct msg_op *op, const char *subject, const void *request, Pigeon__Reply__PayloadCase payload, msg_op_answer *next)
{
    op->subject = subject;
    op->payload = payload;
    op->answered = next;
    op->relay = false;
    pgn_buf_clear(&op->packed);
    pgn_pb_pack(request, &op->packed);
    ask(op);
}

void msg_op_call_relay(struct msg_op *op, const char *subject, const void *request)
{
    op->subject = subject;
    op->relay = true;
    pgn_buf_clear(&op->packed);
    pgn_pb_pack(request, &op->packed);
    ask(op);
}

/* ---- beginnings ---- */

/* Too many are open: answered without becoming one. */
static void refuse_overload(struct msg_service *s, const struct pgn_bus_msg *msg)
{
    MSG_COUNT(OPS_OVERLOADED, 1);
    if (!msg->reply)
        return;
    pgn_buf_clear(&s->out);
    pgn_rpc_pack_error(&s->out, PGN_E_OVERLOADED, NULL, MSG_RETRY_AFTER_MS);
    if (pgn_bus_publish(s->bus, msg->reply, NULL, s->out.data, s->out.len))
        pgn_log_limited(PGN_WARN, 5000, "a refusal could not be published");
}

static struct msg_op *op_new(struct msg_service *s, const struct pgn_bus_msg *msg)
{
    struct pgn_arena *arena = msg_arena_take(s);
    struct msg_op *op = pgn_arena_alloc(arena, sizeof *op);
    *op = (struct msg_op){.service = s, .arena = arena, .start_us = pgn_mono_us(), .deadline_ms = pgn_mono_ms() + MSG_OP_DEADLINE_MS};
    op->asked = msg_policies_asked(s->policies);
    op->reply = msg->reply ? pgn_arena_strdup(arena, msg->reply) : NULL;
    pgn_list_append(&s->ops, &op->node);
    s->ops_open++;
    MSG_COUNT(OPS, 1);
    MSG_SET(OPS_OPEN, s->ops_open);
    return op;
}

static void start(struct msg_op *op)
{
    const Pigeon__OpRequest *r = op->request;
    op->user = r->user;
    if (!pgn_user_valid(r->user) || !pgn_device_valid(r->device)) {
        msg_op_fail(op, PGN_E_UNAUTHENTICATED, "no valid sender");
        return;
    }
    op->client_id = r->client_id;
    if (!pgn_client_id_valid(r->client_id)) {
        op->client_id = msg_op_alloc(op, PGN_ULID_LEN + 1);
        pgn_ulid(pgn_wall_ms(), op->client_id);
    }
    size_t which = r->frame ? (size_t)r->frame->op_case : 0;
    if (which >= PGN_COUNT(steps) || !steps[which])
        msg_op_fail(op, PGN_E_INVALID, "unknown operation");
    else
        steps[which](op);
}

void msg_op_handle(void *service, const struct pgn_bus_msg *msg)
{
    struct msg_service *s = service;
    if (s->ops_open >= MSG_OPS_OPEN) {
        refuse_overload(s, msg);
        return;
    }
    struct msg_op *op = op_new(s, msg);
    op->request = PGN_PB_UNPACK(Pigeon__OpRequest, pigeon__op_request, op->arena, msg->data, msg->len);
    if (op->request) {
        start(op);
        return;
    }
    MSG_COUNT(MALFORMED, 1);
    msg_op_fail(op, PGN_E_INVALID, NULL);
}

void msg_ops_end(struct msg_service *s)
{
    while (!pgn_list_empty(&s->ops)) {
        struct msg_op *op = PGN_CONTAINER(s->ops.next, struct msg_op, node);
        if (op->calling)
            pgn_bus_forget(s->bus, op);
        msg_op_fail(op, op->doubt ? PGN_E_UNCERTAIN : PGN_E_UNAVAILABLE, NULL);
    }
}
