/* Who belongs to a conversation: policies for the message service, member pages, receipts. */
#include "common/base/error.h"
#include "services/storage/log_reader.h"

#include <string.h>

enum { MEMBERS_DEFAULT = 200, MEMBERS_MAX = 1000, RECEIPT_NAMES_MAX = 200 };

/* ---- policies ---- */

struct policing {
    struct sto_reader *r;
    Pigeon__Policy *policy;
    size_t cap;
};

static void policy_member_add(struct policing *p, char *user, const struct sto_member_row *row)
{
    STO_NEW(p->r->arena, Pigeon__PolicyMember, pigeon__policy_member, m);
    m->user = user;
    m->role = (Pigeon__Role)row->role;
    m->muted_until = row->muted_until;
    m->first_seq = row->first_seq;
    m->disabled = sto_people_get(p->r->log->people, user).disabled;
    p->policy->members[p->policy->n_members++] = m;
}

static bool policy_visit(void *ctx, struct sto_slice key, struct sto_slice value)
{
    struct policing *p = ctx;
    struct sto_member_row row;

    if (!sto_member_row_get(value, &row) || row.gone)
        return true;
    if (p->policy->n_members == p->cap)
        return false;
    policy_member_add(p, sto_arena_text(p->r->arena, (const char *)key.data + STO_MEMBER_KEY_USER, key.len - STO_MEMBER_KEY_USER), &row);
    return true;
}

static void policy_direct(struct policing *p, const char *a, const char *b)
{
    struct sto_people *people = p->r->log->people;
    struct sto_member_row row = {.role = PIGEON__ROLE__member, .first_seq = 1};

    p->policy->members = pgn_arena_alloc(p->r->arena, 2 * sizeof(Pigeon__PolicyMember *));
    policy_member_add(p, pgn_arena_strdup(p->r->arena, a), &row);
    if (strcmp(a, b) == 0)
        return;
    policy_member_add(p, pgn_arena_strdup(p->r->arena, b), &row);
    p->policy->members[0]->blocks_other = sto_people_blocks(people, a, b);
    p->policy->members[1]->blocks_other = sto_people_blocks(people, b, a);
}

static int policy_get(struct sto_reader *r, const char *conv, Pigeon__Policy *policy)
{
    struct policing p = {r, policy, 0};
    struct sto_found found;
    char a[PGN_USER_MAX + 1], b[PGN_USER_MAX + 1];
    int error = pgn_conv_valid(conv) ? sto_find(r, conv, &found) : PGN_E_NOT_FOUND;

    policy->conv = sto_arena_text(r->arena, conv, strlen(conv));
    if (error && error != PGN_E_NOT_FOUND)
        return error;
    policy->stored = !error;
    policy->last_seq = error ? 0 : found.st.last_seq;
    if (pgn_conv_users(conv, a, b)) {
        policy->kind = PIGEON__CONV_KIND__direct;
        policy->found = sto_people_direct(r->log->people, a, b, &policy->version);
        if (policy->found)
            policy_direct(&p, a, b);
        return 0;
    }
    if (error)
        return 0;
    policy->found = true;
    policy->kind = PIGEON__CONV_KIND__group;
    policy->version = found.version;
    policy->title = sto_arena_text(r->arena, found.conv.title.data, found.conv.title.len);
    policy->settings = sto_settings(r, found.conv.settings);
    policy->muted_until = found.st.muted_until;
    p.cap = found.st.members;
    policy->members = pgn_arena_alloc(r->arena, (p.cap + 1) * sizeof(Pigeon__PolicyMember *));
    return sto_scan_members(r, found.conv.num, "", policy_visit, &p);
}

int sto_read_policies(struct sto_reader *r, const Pigeon__PolicyGet *in, Pigeon__Reply *ret)
{
    STO_NEW(r->arena, Pigeon__PolicyList, pigeon__policy_list, list);
    list->policies = pgn_arena_alloc(r->arena, (in->n_convs + 1) * sizeof(Pigeon__Policy *));
    list->epoch = sto_chars(r->log->epoch);
    ret->payload_case = PIGEON__REPLY__PAYLOAD_POLICIES;
    ret->policies = list;
    for (size_t i = 0; i < in->n_convs; i++) {
        STO_NEW(r->arena, Pigeon__Policy, pigeon__policy, policy);
        int error = policy_get(r, in->convs[i], policy);

        if (error)
            return error;
        if (!sto_budget(r, 64 + 48 * policy->n_members) && i > 0)
            break; /* the rest is asked for again */
        list->policies[list->n_policies++] = policy;
    }
    return 0;
}

/* ---- members ---- */

struct membering {
    struct sto_reader *r;
    Pigeon__MembersPage *page;
    size_t limit;
    const char *after;
};

static Pigeon__MemberInfo *info_add(struct membering *m, char *user, const struct sto_marks *marks)
{
    char name[256];

    STO_NEW(m->r->arena, Pigeon__MemberInfo, pigeon__member_info, info);
    info->user = user;
    if (sto_people_name(m->r->log->people, user, name, sizeof name))
        info->name = pgn_arena_strdup(m->r->arena, name);
    info->read = marks->read;
    info->delivered = marks->delivered;
    m->page->members[m->page->n_members++] = info;
    return info;
}

static bool members_visit(void *ctx, struct sto_slice key, struct sto_slice value)
{
    struct membering *m = ctx;
    struct sto_member_row row;
    char *user = sto_arena_text(m->r->arena, (const char *)key.data + STO_MEMBER_KEY_USER, key.len - STO_MEMBER_KEY_USER);

    if (!sto_member_row_get(value, &row) || row.gone || strcmp(user, m->after) == 0)
        return true;
    if (m->page->n_members == m->limit) {
        m->page->more = true;
        return false;
    }
    Pigeon__MemberInfo *info = info_add(m, user, &row.marks);
    info->role = (Pigeon__Role)row.role;
    info->muted_until = row.muted_until;
    info->joined_at = row.joined_at;
    return true;
}

int sto_read_members(struct sto_reader *r, const Pigeon__Members *in, Pigeon__Reply *ret)
{
    struct sto_found found;
    struct membering m = {.r = r, .limit = in->limit ? in->limit : MEMBERS_DEFAULT, .after = in->after};

    if (!pgn_conv_valid(in->conv) || (in->after[0] && !pgn_user_valid(in->after)))
        return sto_reply_error(ret, PGN_E_INVALID, "malformed request");
    int error = sto_find(r, in->conv, &found);
    if (error)
        return error;
    STO_NEW(r->arena, Pigeon__MembersPage, pigeon__members_page, page);
    sto_reply_ok(r->arena, ret)->result_case = PIGEON__OK__RESULT_MEMBERS;
    ret->ok->members = page;
    m.page = page;
    if (m.limit > MEMBERS_MAX)
        m.limit = MEMBERS_MAX;
    page->members = pgn_arena_alloc(r->arena, (m.limit + 2) * sizeof(Pigeon__MemberInfo *));
    if (found.st.kind == STO_GROUP)
        return sto_scan_members(r, found.conv.num, in->after, members_visit, &m);
    const char *sides[2] = {found.a, found.b};
    for (int i = 0; i < (strcmp(found.a, found.b) == 0 ? 1 : 2); i++)
        if (strcmp(sides[i], in->after) > 0)
            info_add(&m, pgn_arena_strdup(r->arena, sides[i]), &found.st.side[i])->role = PIGEON__ROLE__member;
    return 0;
}

/* ---- receipts ---- */

struct receipting {
    struct sto_reader *r;
    Pigeon__ReceiptList *list;
    uint64_t seq;
    const char *author;
};

static void receipt_add(struct receipting *c, char *user, const struct sto_marks *marks)
{
    Pigeon__ReceiptList *l = c->list;

    if (strcmp(user, c->author) == 0)
        return;
    l->members++;
    if (marks->read >= c->seq) {
        l->read_count++;
        if (l->n_read < RECEIPT_NAMES_MAX)
            l->read[l->n_read++] = user;
    }
    if (marks->delivered >= c->seq) {
        l->delivered_count++;
        if (l->n_delivered < RECEIPT_NAMES_MAX)
            l->delivered[l->n_delivered++] = user;
    }
}

static bool receipt_visit(void *ctx, struct sto_slice key, struct sto_slice value)
{
    struct receipting *c = ctx;
    struct sto_member_row row;

    if (sto_member_row_get(value, &row) && !row.gone && row.first_seq <= c->seq)
        receipt_add(c, sto_arena_text(c->r->arena, (const char *)key.data + STO_MEMBER_KEY_USER, key.len - STO_MEMBER_KEY_USER),
                    &row.marks);
    return true;
}

int sto_read_receipts(struct sto_reader *r, const Pigeon__Receipts *in, Pigeon__Reply *ret)
{
    struct sto_found found;

    if (!pgn_conv_valid(in->conv))
        return sto_reply_error(ret, PGN_E_INVALID, "malformed request");
    int error = sto_find(r, in->conv, &found);
    if (error)
        return error;
    struct sto_key key = sto_key_msg(found.conv.num, in->seq);
    if ((error = r->log->kv->ops->get(r->log->kv, r->view, STO_CF_MSG, sto_key_slice(&key), &r->value)) != 0)
        return error == PGN_E_NOT_FOUND ? sto_reply_error(ret, error, "no such message") : error;
    const Pigeon__Message *m = sto_message_of(r, in->conv, in->seq, sto_slice_buf(&r->value));
    if (!m)
        return PGN_E_CORRUPT;
    STO_NEW(r->arena, Pigeon__ReceiptList, pigeon__receipt_list, list);
    sto_reply_ok(r->arena, ret)->result_case = PIGEON__OK__RESULT_RECEIPTS;
    ret->ok->receipts = list;
    list->read = pgn_arena_alloc(r->arena, RECEIPT_NAMES_MAX * sizeof(char *));
    list->delivered = pgn_arena_alloc(r->arena, RECEIPT_NAMES_MAX * sizeof(char *));
    struct receipting c = {r, list, in->seq, m->from};
    if (found.st.kind == STO_GROUP)
        return sto_scan_members(r, found.conv.num, "", receipt_visit, &c);
    receipt_add(&c, pgn_arena_strdup(r->arena, found.a), &found.st.side[0]);
    if (strcmp(found.a, found.b) != 0)
        receipt_add(&c, pgn_arena_strdup(r->arena, found.b), &found.st.side[1]);
    return 0;
}
