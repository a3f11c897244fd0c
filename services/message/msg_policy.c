/* One conversation's policy; see msg_policy.h. */
#include "services/message/msg_policy.h"

#include "common/base/alloc.h"

#include <stdlib.h>
#include <string.h>

static int by_user(const void *a, const void *b)
{
    const Pigeon__PolicyMember *const *x = a, *const *y = b;
    return strcmp((*x)->user, (*y)->user);
}

/* Fills members, names and muted from the sorted list; false on a duplicate. */
static bool fill_members(struct msg_policy *p, Pigeon__PolicyMember *const *sorted, size_t count)
{
    size_t bytes = 0, muted = 0, at = 0;
    for (size_t i = 0; i < count; i++) {
        bytes += strlen(sorted[i]->user) + 1;
        muted += sorted[i]->muted_until != 0;
    }
    p->members = pgn_calloc(count, sizeof *p->members);
    p->names = pgn_malloc(bytes);
    p->muted = muted ? pgn_calloc(muted, sizeof *p->muted) : NULL;
    for (size_t i = 0; i < count; i++) {
        const Pigeon__PolicyMember *from = sorted[i];
        struct msg_member *m = &p->members[p->members_count];
        size_t len = strlen(from->user) + 1;
        if (i > 0 && strcmp(from->user, sorted[i - 1]->user) == 0) {
            if (p->direct)
                continue; /* notes to oneself: both sides are one */
            return false;
        }
        memcpy(p->names + at, from->user, len);
        m->name = (uint32_t)at;
        at += len;
        m->first_seq = from->first_seq;
        m->role = (uint8_t)from->role;
        m->flags = (uint8_t)((from->blocks_other ? MSG_MEMBER_BLOCKS_OTHER : 0) | (from->disabled ? MSG_MEMBER_DISABLED : 0) |
                             (from->muted_until ? MSG_MEMBER_MUTED : 0));
        if (from->muted_until)
            p->muted[p->muted_count++] = (struct msg_muted){p->members_count, from->muted_until};
        p->members_count++;
    }
    return true;
}

struct msg_policy *msg_policy_new(const Pigeon__Policy *from)
{
    struct msg_policy *p = pgn_calloc(1, sizeof *p);
    p->refs = 1;
    p->conv = pgn_strdup(from->conv);
    p->conv_len = strlen(from->conv);
    p->found = from->found;
    p->stored = from->stored;
    p->direct = from->kind == PIGEON__CONV_KIND__direct;
    p->version = from->version;
    p->muted_until = from->muted_until;
    if (from->settings) {
        p->open = from->settings->open;
        p->history = from->settings->history;
        p->members_invite = from->settings->members_invite;
    }
    if (!from->found)
        return p;
    Pigeon__PolicyMember **sorted = pgn_calloc(from->n_members, sizeof *sorted);
    if (from->n_members > 0)
        memcpy(sorted, from->members, from->n_members * sizeof *sorted);
    qsort(sorted, from->n_members, sizeof *sorted, by_user);
    bool ok = (p->direct || from->kind == PIGEON__CONV_KIND__group) && fill_members(p, sorted, from->n_members);
    free(sorted);
    if (!ok)
        msg_policy_unref(&p);
    return p;
}

void msg_policy_ref(struct msg_policy *p)
{
    p->refs++;
}

void msg_policy_unref(struct msg_policy **policy)
{
    struct msg_policy *p = *policy;
    *policy = NULL;
    if (!p || --p->refs > 0)
        return;
    free(p->conv);
    free(p->members);
    free(p->names);
    free(p->muted);
    free(p);
}

const struct msg_member *msg_policy_member(const struct msg_policy *p, const char *user)
{
    size_t low = 0, high = p->members_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int c = strcmp(user, p->names + p->members[mid].name);
        if (c == 0)
            return &p->members[mid];
        if (c < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}

const char *msg_policy_name(const struct msg_policy *p, const struct msg_member *m)
{
    return p->names + m->name;
}

uint64_t msg_policy_muted_until(const struct msg_policy *p, const struct msg_member *m)
{
    if (!(m->flags & MSG_MEMBER_MUTED))
        return 0;
    uint32_t index = (uint32_t)(m - p->members);
    for (uint32_t i = 0; i < p->muted_count; i++)
        if (p->muted[i].member == index)
            return p->muted[i].until;
    return 0;
}
