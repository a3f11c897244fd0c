/*
 * The cache of policies: least recently used out, loaded from storage on demand, dropped by PolicyChanged, by a new epoch of
 * the store and by age. Those who need policies that are not here wait; a load that fails is tried again as long as
 * somebody waits. Loop's thread. Limits: message.policy_cache (a group of 64 members counts as two, and so on).
 *
 * A stale policy does no harm to writes (storage compares versions), and allows reads for no longer than MSG_POLICY_AGE_MS. By one from
 * before it began no operation is refused: it is loaded anew first (msg_op_renew). Refusals in batches go through storage, too.
 */
#ifndef MSG_POLICIES_H
#define MSG_POLICIES_H

#include "common/io/loop.h"
#include "services/message/msg_policy.h"

enum {
    MSG_POLICY_AGE_MS = 300000,
    MSG_LOAD_RETRY_MS = 100,
    MSG_RENEW_MEMBERS_MS = 100, /* so many members put off a renewal by a millisecond */
};

struct msg_policies;
struct msg_load; /* one request on its way */

struct msg_policies_options {
    struct pgn_loop *loop;
    size_t limit;         /* cost of what is kept */
    size_t group_members; /* the largest group: bounds how many groups one request asks for */
    /* Asks storage for these; ends with msg_policies_loaded or _load_failed, never before it returns. */
    void (*load)(void *ctx, struct msg_load *load, char **convs, size_t count);
    void *ctx;
};

struct msg_policies *msg_policies_new(const struct msg_policies_options *options);
void msg_policies_free(struct msg_policies **c); /* nobody waits any more, no load is on its way */

/* Requests so far: a policy whose `asked` is greater was read by storage after now. */
uint64_t msg_policies_asked(const struct msg_policies *c);

/* A policy that is here and young enough, or NULL. Borrowed until the next turn of anything; msg_policy_ref keeps it. */
struct msg_policy *msg_policies_get(struct msg_policies *c, const char *conv);

/* Who waits: ready is called when the last of the wants is filled, never before msg_policies_flush returns. */
struct msg_waiter {
    unsigned missing;
    void (*ready)(struct msg_waiter *w);
};
struct msg_want {
    struct pgn_node node;
    struct msg_waiter *waiter;
    struct msg_policy *policy; /* a reference, once filled; may say found = false */
};
void msg_policies_want(struct msg_policies *c, const char *conv, struct msg_waiter *waiter, struct msg_want *want);
/*
 * The same for who has this policy, of any age, and wants it as it is now. A group that was loaded just now waits a little, the longer the
 * larger it is: who is refused again and again cannot keep storage busy with its members.
 */
void msg_policies_renew(struct msg_policies *c, const struct msg_policy *old, struct msg_waiter *waiter, struct msg_want *want);
void msg_want_release(struct msg_want *want);    /* stops waiting, or drops the reference; harmless on a zeroed one */
void msg_policies_flush(struct msg_policies *c); /* sends the requests for all that is wanted since */

/* Answers of storage. */
void msg_policies_loaded(struct msg_policies *c, struct msg_load *load, const Pigeon__PolicyList *list);
void msg_policies_load_failed(struct msg_policies *c, struct msg_load *load);

/* News. */
void msg_policies_changed(struct msg_policies *c, const Pigeon__PolicyChanged *changed);
void msg_policies_epoch(struct msg_policies *c, const char *epoch); /* another one than before: everything is dropped */
void msg_policies_drop(struct msg_policies *c, const char *conv);
void msg_policies_drop_all(struct msg_policies *c); /* news may have been lost */

size_t msg_policies_count(const struct msg_policies *c);

#endif
