/*
 * What deciding on one conversation takes: its kind, settings and members, compactly (some 25 bytes a member), looked up in
 * O(log n). Immutable once made, but for the cache's own fields; counted by references. Loop's thread.
 */
#ifndef MSG_POLICY_H
#define MSG_POLICY_H

#include "common/base/list.h"
#include "common/proto/pb.h"

#include <stdbool.h>
#include <stdint.h>

enum { MSG_MEMBER_BLOCKS_OTHER = 1, MSG_MEMBER_DISABLED = 2, MSG_MEMBER_MUTED = 4 };

struct msg_member {
    uint64_t first_seq; /* nothing below it may be read */
    uint32_t name;      /* offset into the policy's names */
    uint8_t role;       /* Pigeon__Role */
    uint8_t flags;
};

struct msg_policy {
    char *conv;
    size_t conv_len;
    bool found, stored, direct;
    bool open, history, members_invite;
    uint64_t version, muted_until;
    uint32_t members_count;
    struct msg_member *members; /* by user id */
    char *names;
    struct msg_muted {
        uint32_t member;
        uint64_t until;
    } * muted; /* few; by member */
    uint32_t muted_count;

    /* The cache's (msg_policies.c). */
    struct pgn_node lru;
    uint64_t loaded_ms;
    uint64_t asked; /* number of the request that brought it */
    uint32_t refs;
};

/* From what storage said; one reference. NULL when it contradicts itself (a duplicate member, an unknown kind). */
struct msg_policy *msg_policy_new(const Pigeon__Policy *from);
void msg_policy_ref(struct msg_policy *p);
void msg_policy_unref(struct msg_policy **p); /* frees the last one; NULL is fine */

const struct msg_member *msg_policy_member(const struct msg_policy *p, const char *user); /* NULL: no member */
const char *msg_policy_name(const struct msg_policy *p, const struct msg_member *m);
uint64_t msg_policy_muted_until(const struct msg_policy *p, const struct msg_member *m); /* wall ms; 0: not muted */

#endif
