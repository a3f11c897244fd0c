/* The own commit of a group change; see msg_commit.h. */
#include "services/message/msg_commit.h"

#include "common/base/error.h"
#include "common/base/id.h"
#include "common/proto/message_client.h"
#include "common/proto/subjects.h"
#include "services/message/msg_metrics.h"

#include <string.h>

enum {
    TRY_MS = 2000, /* then asked again: the request or its answer was lost */
    PAUSE_MS = 100,
    STALE_MAX = 16,
};

/* ---- the commit ---- */

void msg_commit_ok(struct msg_op *op, uint64_t version)
{
    Pigeon__Ok ok = PIGEON__OK__INIT;
    Pigeon__Changed changed = PIGEON__CHANGED__INIT;
    changed.conv = pgn_arena_strdup(op->arena, op->conv);
    changed.version = version;
    if (op->change && op->change->op == PIGEON__OP__created) {
        ok.result_case = PIGEON__OK__RESULT_CREATE;
        ok.create = &changed;
    } else {
        ok.result_case = PIGEON__OK__RESULT_CHANGED;
        ok.changed = &changed;
    }
    msg_op_ok(op, &ok);
}

static void send_commit(struct msg_op *op);

static void try_again(struct msg_op *op)
{
    if (msg_op_left_ms(op) > PAUSE_MS)
        msg_op_pause(op, PAUSE_MS, send_commit);
    else
        msg_op_fail(op, op->doubt ? PGN_E_UNCERTAIN : PGN_E_UNAVAILABLE, NULL);
}

/* Somebody changed the group meanwhile: all is checked anew. */
static void on_stale(struct msg_op *op)
{
    MSG_COUNT(STALE, 1);
    msg_policies_drop(op->service->policies, op->conv);
    if (++op->stale > STALE_MAX)
        msg_op_fail(op, PGN_E_CONFLICT, "too many change this group at once: try again");
    else
        op->again(op);
}

static void on_result(struct msg_op *op, const Pigeon__ItemResult *r)
{
    if (r->error == 0)
        msg_commit_ok(op, r->version);
    else if (r->error == PGN_E_STALE)
        on_stale(op);
    else if (r->error == PGN_E_UNAVAILABLE || r->error == PGN_E_BUSY)
        try_again(op);
    else
        msg_op_fail_later(op, r->error, r->text, r->retry_after_ms);
}

static void on_answer(void *ctx, int error, const struct pgn_bus_msg *msg)
{
    struct msg_op *op = ctx;
    op->calling = false;
    if (error == PGN_E_TIMEOUT)
        op->doubt = true;
    if (error == PGN_E_TOO_LARGE) {
        msg_op_fail(op, error, NULL);
        return;
    }
    if (error) {
        try_again(op);
        return;
    }
    Pigeon__BatchResult *result = PGN_PB_UNPACK(Pigeon__BatchResult, pigeon__batch_result, op->arena, msg->data, msg->len);
    if (!result || result->n_results != 1) {
        op->doubt = true;
        try_again(op);
        return;
    }
    on_result(op, result->results[0]);
}

static void send_commit(struct msg_op *op)
{
    uint64_t left = msg_op_left_ms(op);
    op->calling = true;
    pgn_bus_request(op->service->bus, PGN_SUBJ_COMMIT, op->packed.data, op->packed.len, left < TRY_MS ? left + 1 : TRY_MS, on_answer, op);
}

static void commit_change(struct msg_op *op, uint64_t version, Pigeon__ItemResult *refusal)
{
    Pigeon__CommitBatch batch = PIGEON__COMMIT_BATCH__INIT;
    Pigeon__CommitItem item = PIGEON__COMMIT_ITEM__INIT, *items = &item;
    char *subject = msg_op_text(op, PGN_SUBJ_CONV "%s", op->conv);
    uint32_t row = 0;
    op->change->client_id = op->client_id;
    item.index = 1;
    item.conv = pgn_arena_strdup(op->arena, op->conv);
    item.version = version;
    item.user = op->request->user;
    item.device = op->request->device;
    item.what_case = PIGEON__COMMIT_ITEM__WHAT_CHANGE;
    item.change = op->change;
    item.refusal = refusal;
    item.n_subjects = 1;
    item.subjects = &row;
    batch.batch = 1;
    batch.n_items = 1;
    batch.items = &items;
    batch.n_subjects = 1;
    batch.subjects = &subject;
    pgn_buf_clear(&op->packed);
    pgn_pb_pack(&batch, &op->packed);
    send_commit(op);
}

void msg_commit(struct msg_op *op, uint64_t version, msg_op_step *again)
{
    op->again = again;
    commit_change(op, version, NULL);
}

void msg_commit_refused(struct msg_op *op, int error, const char *text)
{
    Pigeon__ItemResult refusal = PIGEON__ITEM_RESULT__INIT;
    const Pigeon__ClientFrame *frame = op->request->frame;
    if (!*pgn_message_client_id(frame)) {
        msg_op_fail(op, error, text);
        return;
    }
    op->change = msg_op_alloc(op, sizeof *op->change);
    pigeon__group_change__init(op->change);
    op->change->op = frame->op_case == PIGEON__CLIENT_FRAME__OP_CREATE ? PIGEON__OP__created : PIGEON__OP__updated;
    refusal.error = error;
    refusal.text = pgn_arena_strdup(op->arena, text ? text : pgn_error_info(error)->text);
    commit_change(op, 0, &refusal);
}

/* ---- checks that need storage ---- */

/* Why one of them cannot be added, from the direct conversation with him. */
static void explain(struct msg_op *op)
{
    if (msg_op_renew(op, explain))
        return;
    const struct msg_policy *p = op->want.policy;
    const struct msg_member *m = msg_policy_member(p, op->refused);
    if (!p->found)
        msg_commit_refused(op, PGN_E_NOT_FOUND, msg_op_text(op, "no user %s", op->refused));
    else if (m && m->flags & MSG_MEMBER_BLOCKS_OTHER)
        msg_commit_refused(op, PGN_E_FORBIDDEN, msg_op_text(op, "%s has blocked you", op->refused));
    else
        msg_commit_refused(op, PGN_E_FORBIDDEN, msg_op_text(op, "%s is in as many groups as one may be", op->refused));
}

static void on_blocks(struct msg_op *op, const Pigeon__Reply *reply)
{
    if (reply->strings->n_values == 0) {
        op->checked(op);
        return;
    }
    char conv[PGN_CONV_MAX + 1];
    op->refused = reply->strings->values[0];
    if (!pgn_user_valid(op->refused)) {
        msg_op_fail(op, PGN_E_INTERNAL, NULL);
        return;
    }
    pgn_conv_direct(op->user, op->refused, conv);
    msg_op_policy(op, conv, explain);
}

void msg_commit_check_blocks(struct msg_op *op, char **users, size_t count, msg_op_step *next)
{
    Pigeon__ConvRequest request = PIGEON__CONV_REQUEST__INIT;
    Pigeon__BlockedBy blocked = PIGEON__BLOCKED_BY__INIT;
    op->checked = next;
    blocked.user = op->request->user;
    blocked.users = users;
    blocked.n_users = count;
    blocked.max_groups = (uint32_t)op->service->config->limits_user_groups;
    request.what_case = PIGEON__CONV_REQUEST__WHAT_BLOCKED_BY;
    request.blocked_by = &blocked;
    msg_op_call(op, PGN_SUBJ_STO_CONV, &request, PIGEON__REPLY__PAYLOAD_STRINGS, on_blocks);
}

static void on_groups(struct msg_op *op, const Pigeon__Reply *reply)
{
    if (reply->strings->n_values >= (size_t)op->service->config->limits_user_groups)
        msg_commit_refused(op, PGN_E_FORBIDDEN, "you are in as many groups as you may be: leave one first");
    else
        op->checked(op);
}

void msg_commit_check_groups(struct msg_op *op, msg_op_step *next)
{
    Pigeon__ConvRequest request = PIGEON__CONV_REQUEST__INIT;
    Pigeon__CommonConvs routes = PIGEON__COMMON_CONVS__INIT;
    op->checked = next;
    routes.user = op->request->user;
    request.what_case = PIGEON__CONV_REQUEST__WHAT_ROUTES;
    request.routes = &routes;
    msg_op_call(op, PGN_SUBJ_STO_CONV, &request, PIGEON__REPLY__PAYLOAD_STRINGS, on_groups);
}
