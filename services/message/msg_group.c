/*
 * Operations that change groups. Each is a function of the policy and the frame that makes a GroupChange, which msg_commit
 * commits; when storage says STALE it runs again on the new policy.
 */
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/id.h"
#include "services/message/msg_check.h"
#include "services/message/msg_commit.h"

#include <stdlib.h>
#include <string.h>

static Pigeon__GroupChange *change_new(struct msg_op *op, Pigeon__Op what, size_t members)
{
    Pigeon__GroupChange *c = msg_op_alloc(op, sizeof *c);
    pigeon__group_change__init(c);
    c->op = what;
    c->members = msg_op_alloc(op, members * sizeof *c->members + 1);
    op->change = c;
    return c;
}

static Pigeon__MemberChange *change_member(struct msg_op *op, char *user, Pigeon__Role role)
{
    Pigeon__MemberChange *m = msg_op_alloc(op, sizeof *m);
    pigeon__member_change__init(m);
    m->user = user;
    m->role = role;
    op->change->members[op->change->n_members++] = m;
    return m;
}

/* Rule first, then `allowed`; it is also where STALE comes back to. */
static void rule(struct msg_op *op, char *conv, enum msg_action action, msg_op_step *allowed)
{
    op->conv = conv;
    msg_op_rule(op, conv, action, allowed);
}

static bool refuse(struct msg_op *op, int error, const char *text)
{
    if (error)
        msg_op_fail(op, error, text);
    return error != 0;
}

/* By the policy. */
static void refuse_by_policy(struct msg_op *op, int error, const char *text)
{
    if (!msg_op_rule_renew(op))
        msg_op_fail(op, error, text);
}

/* All is as it was asked to be, by the policy. */
static void unchanged(struct msg_op *op)
{
    if (!msg_op_rule_renew(op))
        msg_commit_ok(op, op->want.policy->version);
}

static int by_name(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;
    return strcmp(*x, *y);
}

/* Sorts, and drops the same one twice and those that p has already (p NULL: the user himself). */
static size_t new_members(const struct msg_op *op, const struct msg_policy *p, char **users, size_t count)
{
    size_t kept = 0;
    if (count > 0)
        qsort(users, count, sizeof *users, by_name);
    for (size_t i = 0; i < count; i++) {
        bool known = p ? msg_policy_member(p, users[i]) != NULL : strcmp(users[i], op->user) == 0;
        if (!known && (kept == 0 || strcmp(users[i], users[kept - 1]) != 0))
            users[kept++] = users[i];
    }
    return kept;
}

static size_t members_limit(const struct msg_op *op)
{
    return (size_t)op->service->config->limits_group_members;
}

/* Those of one request: all of them go into one commit. */
static int check_users(const struct msg_op *op, char *const *users, size_t count, const char **ret_text)
{
    size_t limit = members_limit(op);
    return msg_check_users(users, count, limit < MSG_USERS_MAX ? limit : MSG_USERS_MAX, ret_text);
}

/* ---- create ---- */

/* The same for a repeated request, so that a retry finds the group that the first one made. */
static char *group_id(struct msg_op *op)
{
    static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567";
    uint8_t hash[PGN_HASH_BYTES];
    char *id = msg_op_alloc(op, 18);
    pgn_token_hash(msg_op_text(op, "create %s %s %s", op->user, op->request->device, op->client_id), hash);
    id[0] = 'c';
    for (size_t i = 0; i < 16; i++)
        id[1 + i] = digits[hash[i] & 31];
    id[17] = 0;
    return id;
}

static void create_again(struct msg_op *op)
{
    msg_op_fail(op, PGN_E_CONFLICT, NULL);
}

static void create_commit(struct msg_op *op)
{
    Pigeon__Create *create = op->request->frame->create;
    Pigeon__GroupChange *c = change_new(op, PIGEON__OP__created, create->n_members + 1);
    c->title = create->title;
    c->settings = create->settings;
    change_member(op, op->request->user, PIGEON__ROLE__owner);
    for (size_t i = 0; i < create->n_members; i++)
        change_member(op, create->members[i], PIGEON__ROLE__member);
    msg_commit(op, 0, create_again);
}

static void create_blocks(struct msg_op *op)
{
    Pigeon__Create *create = op->request->frame->create;
    if (create->n_members == 0)
        create_commit(op);
    else
        msg_commit_check_blocks(op, create->members, create->n_members, create_commit);
}

static int check_create(const struct msg_op *op, const Pigeon__Create *create, const char **ret_text)
{
    int e = msg_check_title(create->title, ret_text);
    if (!e)
        e = msg_check_settings(create->settings, ret_text);
    if (!e && create->n_members > 0)
        e = check_users(op, create->members, create->n_members, ret_text);
    if (e)
        return e;
    *ret_text = "kind must be group: a direct conversation is made by writing to a user";
    if (create->kind != PIGEON__CONV_KIND__group && create->kind != PIGEON__CONV_KIND__conv_kind_unset)
        return PGN_E_INVALID;
    *ret_text = "title is missing";
    return *create->title ? 0 : PGN_E_INVALID;
}

void msg_group_create(struct msg_op *op)
{
    Pigeon__Create *create = op->request->frame->create;
    const char *text = NULL;
    int e = check_create(op, create, &text);
    if (refuse(op, e, text))
        return;
    op->conv = group_id(op);
    create->n_members = new_members(op, NULL, create->members, create->n_members);
    if (create->n_members + 1 > members_limit(op))
        msg_op_fail(op, PGN_E_TOO_LARGE, "a group may not have that many members");
    else
        msg_commit_check_groups(op, create_blocks);
}

/* ---- invite ---- */

static void invite_allowed(struct msg_op *op);

static void invite_checked(struct msg_op *op)
{
    op->prepared = true;
    msg_group_invite(op); /* the policy may have changed while storage was asked */
}

static void invite_allowed(struct msg_op *op)
{
    Pigeon__Invite *invite = op->request->frame->invite;
    const struct msg_policy *p = op->want.policy;
    /* Those who are members already are put aside, not lost: a later round may find them gone. */
    char **users = msg_op_alloc(op, invite->n_users * sizeof *users);
    memcpy(users, invite->users, invite->n_users * sizeof *users);
    size_t count = new_members(op, p, users, invite->n_users);
    if (count == 0) {
        unchanged(op);
        return;
    }
    if (p->members_count + count > members_limit(op)) {
        refuse_by_policy(op, PGN_E_TOO_LARGE, "a group may not have that many members");
        return;
    }
    if (!op->prepared) {
        msg_commit_check_blocks(op, users, count, invite_checked);
        return;
    }
    change_new(op, PIGEON__OP__invited, count);
    for (size_t i = 0; i < count; i++)
        change_member(op, users[i], PIGEON__ROLE__member);
    msg_commit(op, p->version, msg_group_invite);
}

void msg_group_invite(struct msg_op *op)
{
    Pigeon__Invite *invite = op->request->frame->invite;
    const char *text = NULL;
    int e = check_users(op, invite->users, invite->n_users, &text);
    if (!refuse(op, e, text))
        rule(op, invite->conv, MSG_INVITE, invite_allowed);
}

/* ---- join, leave ---- */

static void join_checked(struct msg_op *op)
{
    op->prepared = true;
    msg_group_join(op);
}

static void join_allowed(struct msg_op *op)
{
    const struct msg_policy *p = op->want.policy;
    if (msg_policy_member(p, op->user)) {
        unchanged(op);
    } else if (p->members_count + 1 > members_limit(op)) {
        refuse_by_policy(op, PGN_E_FORBIDDEN, "the group is full");
    } else if (!op->prepared) {
        msg_commit_check_groups(op, join_checked);
    } else {
        change_new(op, PIGEON__OP__joined, 1);
        change_member(op, op->request->user, PIGEON__ROLE__member);
        msg_commit(op, p->version, msg_group_join);
    }
}

void msg_group_join(struct msg_op *op)
{
    rule(op, op->request->frame->join->conv, MSG_JOIN, join_allowed);
}

static void leave_allowed(struct msg_op *op)
{
    change_new(op, PIGEON__OP__left, 1);
    change_member(op, op->request->user, PIGEON__ROLE__role_unset)->remove = true;
    msg_commit(op, op->want.policy->version, msg_group_leave);
}

void msg_group_leave(struct msg_op *op)
{
    rule(op, op->request->frame->leave->conv, MSG_LEAVE, leave_allowed);
}

/* ---- kick, role, mute: about one member ---- */

static bool target_refused(struct msg_op *op, enum msg_action action, const char *target)
{
    struct msg_verdict verdict = {""};
    if (!pgn_user_valid(target))
        return refuse(op, PGN_E_INVALID, "user is not a user id");
    int e = msg_rules_target(op->want.policy, op->user, action, target, &verdict);
    if (e && !msg_op_rule_renew(op))
        msg_commit_refused(op, e, verdict.text);
    return e != 0;
}

static void kick_allowed(struct msg_op *op)
{
    Pigeon__Kick *kick = op->request->frame->kick;
    if (target_refused(op, MSG_KICK, kick->user))
        return;
    change_new(op, PIGEON__OP__kicked, 1);
    change_member(op, kick->user, PIGEON__ROLE__role_unset)->remove = true;
    msg_commit(op, op->want.policy->version, msg_group_kick);
}

void msg_group_kick(struct msg_op *op)
{
    rule(op, op->request->frame->kick->conv, MSG_KICK, kick_allowed);
}

static void role_allowed(struct msg_op *op)
{
    Pigeon__SetRole *role = op->request->frame->role;
    const struct msg_policy *p = op->want.policy;
    if (target_refused(op, MSG_ROLE, role->user))
        return;
    if (msg_policy_member(p, role->user)->role == role->role) {
        unchanged(op);
        return;
    }
    change_new(op, PIGEON__OP__role_changed, 2);
    change_member(op, role->user, role->role); /* first: the message names its role */
    if (role->role == PIGEON__ROLE__owner)
        change_member(op, op->request->user, PIGEON__ROLE__admin);
    msg_commit(op, p->version, msg_group_role);
}

void msg_group_role(struct msg_op *op)
{
    Pigeon__SetRole *role = op->request->frame->role;
    if (role->role < PIGEON__ROLE__member || role->role > PIGEON__ROLE__owner)
        msg_op_fail(op, PGN_E_INVALID, "role must be member, admin or owner");
    else
        rule(op, role->conv, MSG_ROLE, role_allowed);
}

static void mute_allowed(struct msg_op *op)
{
    Pigeon__Mute *mute = op->request->frame->mute;
    const struct msg_policy *p = op->want.policy;
    uint64_t until = mute->seconds ? pgn_wall_ms() + mute->seconds * 1000 : 0;
    if (!*mute->user) {
        change_new(op, PIGEON__OP__muted, 0)->muted_until = until;
    } else {
        if (target_refused(op, MSG_MUTE, mute->user))
            return;
        change_new(op, PIGEON__OP__muted, 1);
        change_member(op, mute->user, (Pigeon__Role)msg_policy_member(p, mute->user)->role)->muted_until = until;
    }
    msg_commit(op, p->version, msg_group_mute);
}

void msg_group_mute(struct msg_op *op)
{
    Pigeon__Mute *mute = op->request->frame->mute;
    if (mute->seconds > MSG_MUTE_MAX_S)
        msg_op_fail(op, PGN_E_INVALID, "nobody is muted for longer than ten years");
    else
        rule(op, mute->conv, MSG_MUTE, mute_allowed);
}

/* ---- update ---- */

static void update_allowed(struct msg_op *op)
{
    Pigeon__Update *update = op->request->frame->update;
    Pigeon__GroupChange *c = change_new(op, PIGEON__OP__updated, 0);
    c->title = update->title;
    c->settings = update->settings;
    msg_commit(op, op->want.policy->version, msg_group_update);
}

void msg_group_update(struct msg_op *op)
{
    Pigeon__Update *update = op->request->frame->update;
    const char *text = NULL;
    int e = msg_check_title(update->title, &text);
    if (!e)
        e = msg_check_settings(update->settings, &text);
    if (refuse(op, e, text))
        return;
    if (!*update->title && !update->settings)
        msg_op_fail(op, PGN_E_INVALID, "neither title nor settings");
    else
        rule(op, update->conv, MSG_UPDATE, update_allowed);
}
