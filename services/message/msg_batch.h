/*
 * A batch (internal.proto) on its way: decoded into one arena, its policies collected, each item checked; what a rule refuses is
 * answered to the reply subject, the rest goes to storage as one CommitBatch under the same reply subject.
 * msg_batch_prepare, _decide and _build are free of I/O, for tests and measurement. Loop's thread.
 */
#ifndef MSG_BATCH_H
#define MSG_BATCH_H

#include "common/base/alloc.h"
#include "services/message/msg_policies.h"
#include "services/message/msg_rules.h"

struct msg_item {
    Pigeon__BatchItem *in;
    const char *conv; /* in the arena */
    enum msg_action action;
    int error; /* decided: refused */
    const char *text;
    /* The rules refuse it: storage answers so, unless it is the retry of what was stored before, or the policy is stale. Its text is
     * `text`. */
    int refusal;
    uint64_t retry_after_ms;
    struct msg_want want; /* holds the policy */
};

struct msg_batch {
    struct pgn_arena *arena;
    Pigeon__Batch *in;
    struct msg_item *items;
    size_t count;
    size_t refused;
};

struct msg_batch_limits {
    size_t body_bytes;
};

/* Form, conversation ids. False: not a batch at all. */
bool msg_batch_prepare(struct msg_batch *b, const void *data, size_t len, const struct msg_batch_limits *limits) PGN_MUST_USE;
/* Rules; every item without an error has its policy. */
void msg_batch_decide(struct msg_batch *b, uint64_t now_ms);
/* The commit of the first `count` items, without those that are refused; NULL when there are none. Lives in the arena. */
Pigeon__CommitBatch *msg_batch_commit(struct msg_batch *b, size_t count);
/*
 * Packs the commit of all items, or of as many as fit into `most` bytes (0: any number), at least one. The others are answered BUSY: the
 * gateway sends them again behind these. In a second message they could be stored without the first, or by another storage before it.
 * False: there is nothing to commit.
 */
bool msg_batch_pack(struct msg_batch *b, uint64_t most, struct pgn_buf *out);
/* The answers to those that are refused; NULL when there are none. */
Pigeon__BatchResult *msg_batch_refusals(struct msg_batch *b);
void msg_batch_refuse(struct msg_batch *b, struct msg_item *item, int error, const char *text);
void msg_batch_release(struct msg_batch *b); /* the policies; not the arena */

#endif
