/*
 * The message service: the rules. It keeps no state that it cannot rebuild; any number of instances run side by side in one
 * queue group. One loop thread owns everything.
 *
 *   msg_flow      batches: wait for policies, go on to storage, are answered
 *   msg_batch     sends, recalls, edits, reactions, marks: what becomes of each item, without I/O
 *   msg_ops       all other operations: one object each, from the bus message to its Reply
 *   msg_read      those that read (fetch, sync, members, receipts, info), watch, status, typing
 *   msg_group     those that change groups: own commits, checked again when storage says STALE
 *   msg_rules     who may do what          msg_check   the form of what clients ask
 *   msg_policies  cache of msg_policy
 */
#ifndef MSG_MSG_H
#define MSG_MSG_H

#include "common/base/alloc.h"
#include "common/base/list.h"
#include "common/bus/bus.h"
#include "common/io/loop.h"
#include "common/proto/pb.h"
#include "common/svc/svc.h"
#include "services/message/msg_policies.h"

enum {
    MSG_BATCHES_WAITING = 4096, /* for policies; more are answered `overloaded` */
    MSG_ITEMS_WAITING = 65536,
    MSG_OPS_OPEN = 8192,       /* more are answered `overloaded` */
    MSG_OP_DEADLINE_MS = 8000, /* the asker waits 10 s */
    MSG_RETRY_AFTER_MS = 1000, /* what the refused are told */
    MSG_TYPING_MEMBERS = 200,  /* larger groups hear nothing of typing */
    MSG_MARK_MEMBERS = 100,    /* in larger groups only the user's own devices hear of a mark */
    MSG_ARENAS_KEPT = 8,
    MSG_ARENA_BYTES = 65536,
};

struct msg_service {
    struct pgn_svc *svc;
    struct pgn_loop *loop;
    struct pgn_bus *bus;
    const struct pgn_config *config;
    struct msg_policies *policies;
    struct pgn_bus_sub *batch_sub, *op_sub, *store_sub, *policy_sub;
    struct pgn_node batches; /* waiting, struct flow of msg_flow.c */
    size_t batches_waiting, items_waiting;
    struct pgn_node ops; /* open, struct msg_op */
    size_t ops_open;
    struct pgn_node loads; /* requests for policies on their way */
    struct pgn_arena *arenas[MSG_ARENAS_KEPT];
    size_t arenas_kept;
    struct pgn_buf out; /* what is being packed */
    bool draining;
};

/* Arenas are kept for the next batch. */
struct pgn_arena *msg_arena_take(struct msg_service *s);
void msg_arena_give(struct msg_service *s, struct pgn_arena **arena);

/* Packs and publishes; an error is logged and counted, nobody waits for it. */
void msg_publish(struct msg_service *s, const char *subject, const void *message);

/* msg_flow.c */
void msg_batch_handle(void *service, const struct pgn_bus_msg *msg);
void msg_batches_end(struct msg_service *s); /* gives up all that wait */

/* msg_ops.c */
void msg_op_handle(void *service, const struct pgn_bus_msg *msg);
void msg_ops_end(struct msg_service *s);

/* Drained when nothing waits any more. */
void msg_service_idle(struct msg_service *s);

#endif
