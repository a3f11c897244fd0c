/*
 * The rules, held against the log alone: whoever wrote, invited, kicked or gave roles was allowed to at that number. They are the
 * message service's, decided on what it knew; that storage compares versions is what makes them hold in the log.
 */
#include "tests/sim/sim.h"

#include <inttypes.h>
#include <string.h>

struct roles {
    const char *conv;
    const Pigeon__Settings *settings;
    Pigeon__Role role[SIM_USERS]; /* unset: no member */
    int members;
};

static void set(struct roles *r, int user, Pigeon__Role role)
{
    if (user < 0)
        return;
    r->members += (role != PIGEON__ROLE__role_unset) - (r->role[user] != PIGEON__ROLE__role_unset);
    r->role[user] = role;
}

static void broken(const struct roles *r, const Pigeon__Message *m, const char *rule)
{
    sim_fail("rules: %s %" PRIu64 " by %s: %s", r->conv, m->seq, m->from, rule);
}

static void need(const struct roles *r, const Pigeon__Message *m, bool ok, const char *rule)
{
    if (!ok)
        broken(r, m, rule);
}

static void change(struct roles *r, const Pigeon__Message *m, const Pigeon__Operation *op, int actor)
{
    int target = op->n_users ? sim_user_number(op->users[0]) : -1;
    Pigeon__Role own = actor < 0 ? PIGEON__ROLE__role_unset : r->role[actor], its = target < 0 ? PIGEON__ROLE__role_unset : r->role[target];
    bool admin = own >= PIGEON__ROLE__admin;

    if (op->op == PIGEON__OP__created) {
        set(r, actor, PIGEON__ROLE__owner);
        for (size_t i = 0; i < op->n_users; i++)
            set(r, sim_user_number(op->users[i]), PIGEON__ROLE__member);
    } else if (op->op == PIGEON__OP__joined) {
        need(r, m, r->settings && r->settings->open, "joined a group that is not open");
        need(r, m, !own, "joined and was a member");
        set(r, actor, PIGEON__ROLE__member);
    } else if (op->op == PIGEON__OP__invited) {
        need(r, m, admin || (own && r->settings && r->settings->members_invite), "invited without the right to");
        for (size_t i = 0; i < op->n_users; i++) {
            need(r, m, sim_user_number(op->users[i]) >= 0 && !r->role[sim_user_number(op->users[i])], "invited a member");
            set(r, sim_user_number(op->users[i]), PIGEON__ROLE__member);
        }
    } else if (op->op == PIGEON__OP__kicked) {
        need(r, m, admin && its && its < own, "kicked without the right to");
        set(r, target, PIGEON__ROLE__role_unset);
    } else if (op->op == PIGEON__OP__left) {
        need(r, m, own && (own != PIGEON__ROLE__owner || r->members == 1), "left, and was no member or the owner");
        set(r, actor, PIGEON__ROLE__role_unset);
    } else if (op->op == PIGEON__OP__role_changed) {
        need(r, m, own == PIGEON__ROLE__owner && its && target != actor, "gave a role without the right to");
        set(r, target, op->role);
        if (op->role == PIGEON__ROLE__owner)
            set(r, actor, PIGEON__ROLE__admin);
    } else {
        need(r, m, own != PIGEON__ROLE__role_unset, "changed a message and was no member");
    }
}

void sim_check_rules(const char *conv, Pigeon__Message *const *log, uint64_t count, const Pigeon__Settings *settings)
{
    struct roles r = {.conv = conv, .settings = settings};
    for (uint64_t s = 1; s <= count; s++) {
        const Pigeon__Message *m = log[s];
        const Pigeon__Operation *op = m->kind == PIGEON__KIND__operation && m->body ? m->body->operation : NULL;
        int actor = sim_user_number(m->from);
        if (op)
            change(&r, m, op, actor);
        else
            need(&r, m, actor >= 0 && r.role[actor], "wrote and was no member");
    }
}
