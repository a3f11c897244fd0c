/*
 * One operation that is not in a batch, from its bus message to its Reply. All of it lives in one arena. Exactly one of these
 * is true at any time: it runs, it waits for a policy, it waits for an answer of a service, it pauses before it asks again.
 * It ends by exactly one of msg_op_ok, _fail or _relay, which frees it. Loop's thread.
 */
#ifndef MSG_OP_H
#define MSG_OP_H

#include "services/message/msg.h"
#include "services/message/msg_rules.h"

struct msg_op;
typedef void msg_op_step(struct msg_op *op);
typedef void msg_op_answer(struct msg_op *op, const Pigeon__Reply *reply);

struct msg_op {
    struct msg_service *service;
    struct pgn_arena *arena;
    struct pgn_node node; /* on service->ops */
    Pigeon__OpRequest *request;
    const char *user;
    char *client_id; /* valid, made here when the request had none */
    char *reply;     /* NULL: nobody wants to know */
    uint64_t start_us, deadline_ms;
    struct pgn_timer timer; /* the deadline while waiting for a policy, or a pause */

    /* Waiting for a policy. */
    struct msg_waiter waiter;
    struct msg_want want;
    msg_op_step *have_policy, *rule_next, *after_pause;
    enum msg_action rule_action;
    uint64_t asked; /* requests for policies before it began */

    /* Waiting for an answer. */
    const char *subject;
    struct pgn_buf packed; /* what was asked, kept for asking again */
    bool calling, relay;
    Pigeon__Reply__PayloadCase payload;
    msg_op_answer *answered;

    /* Own commits (msg_group.c). */
    const char *conv;
    msg_op_step *again, *checked;
    Pigeon__GroupChange *change;
    unsigned stale;      /* how often */
    bool doubt;          /* a commit went unanswered */
    bool prepared;       /* what was asked once need not be asked again after STALE */
    const char *refused; /* a user who cannot be added */
};

/* Ends. text NULL: the error table's. */
void msg_op_ok(struct msg_op *op, Pigeon__Ok *ok); /* NULL: an empty one */
void msg_op_fail(struct msg_op *op, int error, const char *text);
void msg_op_fail_later(struct msg_op *op, int error, const char *text, uint64_t retry_after_ms);
void msg_op_relay(struct msg_op *op, const void *reply, size_t len); /* a packed Reply */

/* Steps. Each calls the next one or ends the operation; nothing may follow it in the caller. */
void msg_op_policy(struct msg_op *op, const char *conv, msg_op_step *next); /* op->want.policy is there in next; it may say found = false */
void msg_op_rule(struct msg_op *op, const char *conv, enum msg_action action, msg_op_step *next); /* the same, and the rule allows it */
/*
 * About to refuse by op->want.policy, or to answer by it without asking storage: one that was asked for before the operation began is
 * loaded anew and next called again (true). Who asks at the same time shares the load, all others go on with what is remembered.
 */
bool msg_op_renew(struct msg_op *op, msg_op_step *next) PGN_MUST_USE;
bool msg_op_rule_renew(struct msg_op *op) PGN_MUST_USE; /* the same behind msg_op_rule: back to its check */
void msg_op_call(struct msg_op *op, const char *subject, const void *request, Pigeon__Reply__PayloadCase payload, msg_op_answer *next);
void msg_op_call_relay(struct msg_op *op, const char *subject, const void *request); /* the answer goes to the asker as it is */
void msg_op_pause(struct msg_op *op, uint64_t pause_ms, msg_op_step *next);
uint64_t msg_op_left_ms(const struct msg_op *op);

/* Memory of the operation. */
void *msg_op_alloc(struct msg_op *op, size_t bytes);
char *msg_op_text(struct msg_op *op, const char *format, ...) PGN_PRINTF(2, 3);

/* The operations: read the frame, end the operation sooner or later. */
void msg_read_fetch(struct msg_op *op);
void msg_read_sync(struct msg_op *op);
void msg_read_members(struct msg_op *op);
void msg_read_receipts(struct msg_op *op);
void msg_read_info(struct msg_op *op);
void msg_live_typing(struct msg_op *op);
void msg_live_watch(struct msg_op *op);
void msg_live_unwatch(struct msg_op *op);
void msg_live_status(struct msg_op *op);
void msg_group_create(struct msg_op *op);
void msg_group_invite(struct msg_op *op);
void msg_group_join(struct msg_op *op);
void msg_group_leave(struct msg_op *op);
void msg_group_kick(struct msg_op *op);
void msg_group_role(struct msg_op *op);
void msg_group_mute(struct msg_op *op);
void msg_group_update(struct msg_op *op);

#endif
