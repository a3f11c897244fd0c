/* The own commit of a group change, and the checks before it that need storage. Loop's thread. */
#ifndef MSG_COMMIT_H
#define MSG_COMMIT_H

#include "services/message/msg_op.h"

/*
 * Commits op->change to the group op->conv, checked against this version of its policy. STALE: the policy is dropped and `again`
 * called (which checks anew and commits again); no answer: asked again under the same key. Ends the operation with `changed`
 * (or `create`).
 */
void msg_commit(struct msg_op *op, uint64_t version, msg_op_step *again);
/*
 * The rules refuse the operation. Under a key of the client's own it may be the repetition of one that was allowed and stored, whose answer
 * was lost (who left is no member any more): storage is asked, and answers as the first time. Ends the operation. op->conv is set.
 */
void msg_commit_refused(struct msg_op *op, int error, const char *text);
void msg_commit_ok(struct msg_op *op, uint64_t version); /* the answer, also when nothing had to change */

/* Ends the operation when one of them does not exist, has blocked the user, or is in as many groups as one may be. */
void msg_commit_check_blocks(struct msg_op *op, char **users, size_t count, msg_op_step *next);
/* Ends the operation when the user is in as many groups as he may be. */
void msg_commit_check_groups(struct msg_op *op, msg_op_step *next);

#endif
