/* Who may do what; see msg_rules.h. The table is the whole of it, but for what stands in the special cases below. */
#include "services/message/msg_rules.h"

#include "common/base/error.h"
#include "common/base/id.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    WRITES = 1,     /* not while muted, not to who blocked him, not to a disabled account */
    GROUP_ONLY = 2, /* a direct conversation has no members to change */
    STRANGERS = 4,  /* membership is not needed */
};

static const struct rule {
    const char *name;
    unsigned flags;
    Pigeon__Role least;
} rules[MSG_ACTIONS] = {
    [MSG_SEND] = {"send", WRITES, PIGEON__ROLE__role_unset},
    [MSG_RECALL] = {"recall", 0, PIGEON__ROLE__role_unset}, /* taking back is always allowed */
    [MSG_EDIT] = {"edit", WRITES, PIGEON__ROLE__role_unset},
    [MSG_REACT] = {"react", WRITES, PIGEON__ROLE__role_unset},
    [MSG_MARK] = {"mark", 0, PIGEON__ROLE__role_unset},
    [MSG_TYPING] = {"typing", WRITES, PIGEON__ROLE__role_unset},
    [MSG_FETCH] = {"fetch", 0, PIGEON__ROLE__role_unset},
    [MSG_MEMBERS] = {"members", 0, PIGEON__ROLE__role_unset},
    [MSG_RECEIPTS] = {"receipts", 0, PIGEON__ROLE__role_unset},
    [MSG_INFO] = {"info", 0, PIGEON__ROLE__role_unset},
    [MSG_INVITE] = {"invite", GROUP_ONLY, PIGEON__ROLE__role_unset}, /* see special() */
    [MSG_JOIN] = {"join", GROUP_ONLY | STRANGERS, PIGEON__ROLE__role_unset},
    [MSG_LEAVE] = {"leave", GROUP_ONLY, PIGEON__ROLE__role_unset},
    [MSG_KICK] = {"kick", GROUP_ONLY, PIGEON__ROLE__admin},
    [MSG_ROLE] = {"role", GROUP_ONLY, PIGEON__ROLE__owner},
    [MSG_MUTE] = {"mute", GROUP_ONLY, PIGEON__ROLE__admin},
    [MSG_UPDATE] = {"update", GROUP_ONLY, PIGEON__ROLE__admin},
};

static int refuse(struct msg_verdict *v, int error, const char *format, ...) PGN_PRINTF(3, 4);
static int refuse(struct msg_verdict *v, int error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(v->text, sizeof v->text, format, args);
    va_end(args);
    return error;
}

static int refuse_muted(struct msg_verdict *v, uint64_t until_ms, const char *whom)
{
    time_t t = (time_t)(until_ms / 1000);
    struct tm tm;
    char when[32] = "later";
    if (until_ms < 253402300800000u && gmtime_r(&t, &tm)) /* year 9999 */
        strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return refuse(v, PGN_E_FORBIDDEN, "%s muted until %s", whom, when);
}

static int not_found(const struct msg_policy *p, const char *user, struct msg_verdict *v)
{
    char peer[PGN_USER_MAX + 1];
    if (pgn_conv_is_direct(p->conv) && pgn_conv_peer(p->conv, user, peer))
        return refuse(v, PGN_E_NOT_FOUND, "no user %s", peer);
    if (pgn_conv_is_direct(p->conv))
        return refuse(v, PGN_E_FORBIDDEN, "not a member of %s", p->conv);
    return refuse(v, PGN_E_NOT_FOUND, "no conversation %s", p->conv);
}

static int check_peer(const struct msg_policy *p, const char *user, struct msg_verdict *v)
{
    for (uint32_t i = 0; i < p->members_count; i++) {
        const struct msg_member *other = &p->members[i];
        const char *name = msg_policy_name(p, other);
        if (strcmp(name, user) == 0)
            continue;
        if (other->flags & MSG_MEMBER_BLOCKS_OTHER)
            return refuse(v, PGN_E_FORBIDDEN, "%s has blocked you", name);
        if (other->flags & MSG_MEMBER_DISABLED)
            return refuse(v, PGN_E_FORBIDDEN, "%s's account is disabled", name);
    }
    return 0;
}

static int check_write(const struct msg_policy *p, const char *user, const struct msg_member *m, uint64_t now_ms, struct msg_verdict *v)
{
    if (p->direct)
        return check_peer(p, user, v);
    uint64_t until = msg_policy_muted_until(p, m);
    if (until > now_ms)
        return refuse_muted(v, until, "you are");
    if (p->muted_until > now_ms && m->role < PIGEON__ROLE__admin)
        return refuse_muted(v, p->muted_until, "the group is");
    return 0;
}

static const char *role_word(Pigeon__Role role)
{
    return role >= PIGEON__ROLE__owner ? "the owner" : "an administrator";
}

/* What a role in the table cannot say. */
static int special(const struct msg_policy *p, const struct msg_member *m, enum msg_action action, struct msg_verdict *v)
{
    if (action == MSG_INVITE && m->role < PIGEON__ROLE__admin && !p->members_invite)
        return refuse(v, PGN_E_FORBIDDEN, "only an administrator may invite here");
    if (action == MSG_LEAVE && m->role == PIGEON__ROLE__owner && p->members_count > 1)
        return refuse(v, PGN_E_FORBIDDEN, "the owner must hand the group over before leaving");
    return 0;
}

int msg_rules_check(const struct msg_policy *p, const char *user, enum msg_action action, uint64_t now_ms, struct msg_verdict *v)
{
    const struct rule *rule = &rules[action];
    if (!p->found)
        return not_found(p, user, v);
    const struct msg_member *m = msg_policy_member(p, user);
    if (!m && !(rule->flags & STRANGERS))
        return refuse(v, PGN_E_FORBIDDEN, "not a member of %s", p->conv);
    if (m && m->flags & MSG_MEMBER_DISABLED)
        return refuse(v, PGN_E_FORBIDDEN, "your account is disabled");
    if (p->direct && rule->flags & GROUP_ONLY)
        return refuse(v, PGN_E_INVALID, "%s is for groups, and this is a direct conversation", rule->name);
    if (action == MSG_JOIN && !m && !p->open)
        return refuse(v, PGN_E_FORBIDDEN, "this group is not open: ask a member to invite you");
    if (!m)
        return 0;
    if (m->role < rule->least)
        return refuse(v, PGN_E_FORBIDDEN, "only %s may do this", role_word(rule->least));
    int e = special(p, m, action, v);
    if (!e && rule->flags & WRITES)
        e = check_write(p, user, m, now_ms, v);
    return e;
}

int msg_rules_target(const struct msg_policy *p, const char *user, enum msg_action action, const char *target, struct msg_verdict *v)
{
    const struct msg_member *m = msg_policy_member(p, user), *t = msg_policy_member(p, target);
    if (!m)
        return refuse(v, PGN_E_FORBIDDEN, "not a member of %s", p->conv);
    if (!t)
        return refuse(v, PGN_E_NOT_FOUND, "%s is not a member of %s", target, p->conv);
    if (t == m)
        return refuse(v, PGN_E_INVALID, action == MSG_KICK ? "to go yourself, leave" : "not to yourself");
    if (t->role >= m->role)
        return refuse(v, PGN_E_FORBIDDEN, "%s is %s", target, role_word((Pigeon__Role)t->role));
    return 0;
}

int msg_rules_mentions(const struct msg_policy *p, const char *user, char *const *mentions, size_t count, struct msg_verdict *v)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(mentions[i], "all") == 0 && !p->direct) {
            const struct msg_member *m = msg_policy_member(p, user);
            if (!m || m->role < PIGEON__ROLE__admin)
                return refuse(v, PGN_E_FORBIDDEN, "only an administrator may mention all");
        } else if (!pgn_user_valid(mentions[i])) {
            return refuse(v, PGN_E_INVALID, "a mention is not a user id");
        } else if (!msg_policy_member(p, mentions[i])) {
            return refuse(v, PGN_E_INVALID, "mentions %s, who is not a member of %s", mentions[i], p->conv);
        }
    }
    return 0;
}

bool msg_rules_own_only(const struct msg_policy *p, const char *user, enum msg_action action)
{
    if (action == MSG_EDIT)
        return true;
    const struct msg_member *m = msg_policy_member(p, user);
    return action == MSG_RECALL && (p->direct || !m || m->role < PIGEON__ROLE__admin);
}
