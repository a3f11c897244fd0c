/* Operations that read a conversation: a rule, then storage, whose answer goes to the asker as it is. */
#include "common/base/error.h"
#include "common/proto/subjects.h"
#include "services/message/msg_op.h"

enum {
    FETCH_DEFAULT = 50,
    FETCH_MAX = 200,
    SYNC_DEFAULT = 100,
    SYNC_MAX = 500,
    MEMBERS_DEFAULT = 200,
    MEMBERS_MAX = 1000,
    CURSOR_MAX = 32,
};

static uint32_t clamp(uint32_t limit, uint32_t none, uint32_t max)
{
    return limit == 0 ? none : limit > max ? max : limit;
}

static Pigeon__ConvRequest *request_new(struct msg_op *op, Pigeon__ConvRequest__WhatCase what)
{
    Pigeon__ConvRequest *r = msg_op_alloc(op, sizeof *r);
    pigeon__conv_request__init(r);
    r->what_case = what;
    return r;
}

static bool cursor_valid(const char *cursor)
{
    size_t n = 0;
    for (; cursor[n]; n++)
        if (cursor[n] < '0' || cursor[n] > '9' || n >= CURSOR_MAX)
            return false;
    return true;
}

/* ---- fetch ---- */

static void fetch_allowed(struct msg_op *op)
{
    const struct msg_policy *p = op->want.policy;
    const struct msg_member *m = msg_policy_member(p, op->user);
    Pigeon__ConvRequest *r = request_new(op, PIGEON__CONV_REQUEST__WHAT_FETCH);
    r->fetch = msg_op_alloc(op, sizeof *r->fetch);
    pigeon__fetch_conv__init(r->fetch);
    r->fetch->user = op->request->user;
    r->fetch->fetch = op->request->frame->fetch;
    r->fetch->first_seq = m->first_seq;
    msg_op_call_relay(op, PGN_SUBJ_STO_CONV, r);
}

void msg_read_fetch(struct msg_op *op)
{
    Pigeon__Fetch *f = op->request->frame->fetch;
    if ((f->after != 0) + (f->before != 0) + (*f->since != 0) > 1) {
        msg_op_fail(op, PGN_E_INVALID, "only one of after, before and since");
        return;
    }
    if (!cursor_valid(f->since)) {
        msg_op_fail(op, PGN_E_INVALID, "the cursor is none of ours");
        return;
    }
    f->limit = clamp(f->limit, FETCH_DEFAULT, FETCH_MAX);
    msg_op_rule(op, f->conv, MSG_FETCH, fetch_allowed);
}

/* ---- sync ---- */

void msg_read_sync(struct msg_op *op)
{
    Pigeon__ConvRequest *r = request_new(op, PIGEON__CONV_REQUEST__WHAT_SYNC);
    Pigeon__Sync *sync = op->request->frame->sync;
    if (!cursor_valid(sync->cursor)) {
        msg_op_fail(op, PGN_E_INVALID, "the cursor is none of ours");
        return;
    }
    sync->limit = clamp(sync->limit, SYNC_DEFAULT, SYNC_MAX);
    r->sync = msg_op_alloc(op, sizeof *r->sync);
    pigeon__sync_user__init(r->sync);
    r->sync->user = op->request->user;
    r->sync->sync = sync;
    msg_op_call_relay(op, PGN_SUBJ_STO_CONV, r);
}

/* ---- members, receipts, info ---- */

static void members_allowed(struct msg_op *op)
{
    Pigeon__ConvRequest *r = request_new(op, PIGEON__CONV_REQUEST__WHAT_MEMBERS);
    r->members = op->request->frame->members;
    r->members->limit = clamp(r->members->limit, MEMBERS_DEFAULT, MEMBERS_MAX);
    msg_op_call_relay(op, PGN_SUBJ_STO_CONV, r);
}

void msg_read_members(struct msg_op *op)
{
    msg_op_rule(op, op->request->frame->members->conv, MSG_MEMBERS, members_allowed);
}

static void receipts_allowed(struct msg_op *op)
{
    Pigeon__ConvRequest *r = request_new(op, PIGEON__CONV_REQUEST__WHAT_RECEIPTS);
    r->receipts = op->request->frame->receipts;
    msg_op_call_relay(op, PGN_SUBJ_STO_CONV, r);
}

void msg_read_receipts(struct msg_op *op)
{
    if (op->request->frame->receipts->seq == 0)
        msg_op_fail(op, PGN_E_INVALID, "seq is missing");
    else
        msg_op_rule(op, op->request->frame->receipts->conv, MSG_RECEIPTS, receipts_allowed);
}

static void info_allowed(struct msg_op *op)
{
    Pigeon__ConvRequest *r = request_new(op, PIGEON__CONV_REQUEST__WHAT_INFO);
    r->info = msg_op_alloc(op, sizeof *r->info);
    pigeon__info_conv__init(r->info);
    r->info->user = op->request->user;
    r->info->conv = op->request->frame->info->conv;
    msg_op_call_relay(op, PGN_SUBJ_STO_CONV, r);
}

void msg_read_info(struct msg_op *op)
{
    msg_op_rule(op, op->request->frame->info->conv, MSG_INFO, info_allowed);
}
