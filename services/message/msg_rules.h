/*
 * Who may do what: pure functions of a policy, a user and a time. Nothing is loaded, changed or sent here.
 * Every refusal has a text for people. Any thread.
 */
#ifndef MSG_RULES_H
#define MSG_RULES_H

#include "common/base/compiler.h"
#include "services/message/msg_policy.h"

#include <stdint.h>

enum msg_action {
    MSG_SEND,
    MSG_RECALL,
    MSG_EDIT,
    MSG_REACT,
    MSG_MARK,
    MSG_TYPING,
    MSG_FETCH,
    MSG_MEMBERS,
    MSG_RECEIPTS,
    MSG_INFO,
    MSG_INVITE,
    MSG_JOIN,
    MSG_LEAVE,
    MSG_KICK,
    MSG_ROLE,
    MSG_MUTE,
    MSG_UPDATE,
    MSG_ACTIONS
};

struct msg_verdict {
    char text[200]; /* of a refusal */
};

/*
 * May this user do this here? 0, or PGN_E_NOT_FOUND (no such group; no such user), PGN_E_FORBIDDEN, PGN_E_INVALID (a group's
 * operation on a direct conversation). now_ms: wall clock, for mutes.
 */
int msg_rules_check(const struct msg_policy *p, const char *user, enum msg_action action, uint64_t now_ms,
                    struct msg_verdict *ret_verdict) PGN_MUST_USE;

/* For kick, role and mute of one member, after msg_rules_check: may user do it to target? PGN_E_NOT_FOUND when target is no member. */
int msg_rules_target(const struct msg_policy *p, const char *user, enum msg_action action, const char *target,
                     struct msg_verdict *ret_verdict) PGN_MUST_USE;

/* Mentions: members only, and "all" only by administrators of a group. PGN_E_INVALID, PGN_E_FORBIDDEN. */
int msg_rules_mentions(const struct msg_policy *p, const char *user, char *const *mentions, size_t count,
                       struct msg_verdict *ret_verdict) PGN_MUST_USE;

/* A recall must be of one's own message, but for a group's administrators. */
bool msg_rules_own_only(const struct msg_policy *p, const char *user, enum msg_action action);

#endif
