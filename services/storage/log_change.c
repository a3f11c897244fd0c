/*
 * Changes of a group: members come, go and change, in one commit with the numbered message that tells of it. The rules
 * (who may do what) are the message service's; here is only what keeps the rows true.
 */
#include "common/base/error.h"
#include "services/storage/log_internal.h"

#include <stdlib.h>
#include <string.h>

enum { NAMED_MAX = 100 }; /* users that the operation's message names */

static void membership_publish(struct sto_doing *d, const char *user, const struct sto_member_row *row)
{
    Pigeon__Membership membership = PIGEON__MEMBERSHIP__INIT;
    Pigeon__Changed changed = PIGEON__CHANGED__INIT;
    Pigeon__Event event = PIGEON__EVENT__INIT;

    membership.conv = changed.conv = d->head->conv;
    membership.version = changed.version = d->head->st.version;
    membership.joined = !row->gone;
    membership.first_seq = row->first_seq;
    event.commit = d->change;
    event.what_case = PIGEON__EVENT__WHAT_MEMBERSHIP;
    event.membership = &membership;
    sto_effects_user(d->c->effects, user, &event);
    event.what_case = PIGEON__EVENT__WHAT_CHANGED;
    event.changed = &changed;
    sto_effects_user(d->c->effects, user, &event);
}

void sto_memberships_publish(struct sto_doing *d, const Pigeon__GroupChange *change)
{
    for (size_t i = 0; i < change->n_members; i++) {
        struct sto_member_row row;

        if (pgn_user_valid(change->members[i]->user) && sto_member_get(d, change->members[i]->user, &row) == 0)
            membership_publish(d, change->members[i]->user, &row);
    }
}

static bool adds_members(Pigeon__Op op)
{
    return op == PIGEON__OP__created || op == PIGEON__OP__invited || op == PIGEON__OP__joined;
}

bool sto_members_came(struct sto_doing *d, uint64_t seq)
{
    enum { LOOK_MAX = 256 };
    const struct sto_state_row *st = &d->head->st;
    struct sto_msg_row row;

    if (st->kind == STO_DIRECT)
        return false;
    if (st->last_seq - seq > LOOK_MAX)
        return true;
    for (uint64_t s = seq + 1; s <= st->last_seq; s++) {
        struct sto_key key = sto_key_msg(d->head->num, s);
        struct pgn_buf *value = &d->c->log->value;

        if (sto_txn_get(&d->c->txn, STO_CF_MSG, &key, value) != 0 || !sto_msg_row_get(sto_slice_buf(value), &row))
            return true;
        const Pigeon__Message *m = sto_message_unpack(d->c->arena, row.message);
        if (!m || (m->body && m->body->operation && adds_members(m->body->operation->op)))
            return true;
    }
    return false;
}

static void member_add(struct sto_doing *d, const Pigeon__MemberChange *in, bool history, struct sto_member_row *row)
{
    struct sto_state_row *st = &d->head->st;

    memset(row, 0, sizeof *row);
    row->role = in->role ? (uint8_t)in->role : PIGEON__ROLE__member;
    row->first_seq = history ? 1 : st->last_seq + 1;
    row->marks.read = row->marks.delivered = st->last_seq; /* what was before does not count as unread */
    row->marks.read_ops = st->ops;
    row->joined_at = d->c->now_ms;
    st->members++;
    sto_user_conv_put(d, in->user, row->first_seq, false);
}

static void member_remove(struct sto_doing *d, const Pigeon__MemberChange *in, struct sto_member_row *row)
{
    row->gone = true;
    d->head->st.members--;
    sto_user_conv_put(d, in->user, row->first_seq, true);
}

/* One member; row is what was stored (gone when nothing was). The commit number is the one that sto_append will give. */
static void member_change(struct sto_doing *d, const Pigeon__GroupChange *change, const Pigeon__MemberChange *in, bool history,
                          struct sto_member_row *row)
{
    struct sto_key key = sto_key_member(d->head->num, in->user);
    const struct sto_kv_put *before = sto_txn_peek(&d->c->txn, STO_CF_MAIN, &key);

    if (before && !sto_member_row_get(before->value, row)) /* named twice */
        return;
    if (in->remove) {
        if (row->gone)
            return;
        member_remove(d, in, row);
    } else if (adds_members(change->op)) {
        if (!row->gone)
            return;
        member_add(d, in, history, row);
    } else if (row->gone) {
        return;
    } else if (change->op == PIGEON__OP__muted) {
        row->muted_until = in->muted_until;
    } else if (in->role) {
        row->role = (uint8_t)in->role;
    }
    row->change = d->c->log->n.commit + 1;
    sto_member_put(d, in->user, row);
}

/* The stored row, which lives until the next read, and its settings (NULL: none). */
static int conv_row_get(struct sto_doing *d, struct sto_conv_row *ret_row, const Pigeon__Settings **ret_settings)
{
    struct sto_key key = sto_key_conv(d->head->conv);
    struct pgn_buf *value = &d->c->log->value;
    int error = sto_txn_get(&d->c->txn, STO_CF_MAIN, &key, value);

    if (error)
        return error;
    if (!sto_conv_row_get(sto_slice_buf(value), ret_row))
        return PGN_E_CORRUPT;
    *ret_settings = PGN_PB_UNPACK(Pigeon__Settings, pigeon__settings, d->c->arena, ret_row->settings.data, ret_row->settings.len);
    return 0;
}

/* Title and settings; also tells whether new members see what was before. */
static int conv_update(struct sto_doing *d, const Pigeon__GroupChange *change, bool *ret_history)
{
    struct pgn_buf *out = &d->c->log->row, packed = {0};
    struct sto_key key = sto_key_conv(d->head->conv);
    const Pigeon__Settings *old;
    struct sto_conv_row row;
    int error = conv_row_get(d, &row, &old);

    if (error)
        return error;
    *ret_history = change->settings ? change->settings->history : old && old->history;
    if (!change->title[0] && !change->settings)
        return 0;
    if (change->title[0])
        row.title = sto_slice_of(change->title, strlen(change->title));
    if (change->settings) {
        pgn_pb_pack(change->settings, &packed);
        row.settings = packed.len ? sto_slice_buf(&packed) : sto_slice_of("", 0);
    }
    pgn_buf_clear(out);
    sto_conv_row_put(out, &row);
    sto_txn_put(&d->c->txn, STO_CF_MAIN, &key, sto_slice_buf(out));
    pgn_buf_release(&packed);
    return 0;
}

static int change_check(struct sto_doing *d, const Pigeon__GroupChange *change)
{
    if (pgn_conv_is_direct(d->head->conv))
        return sto_refuse(d, PGN_E_INVALID, "not a group");
    if (!pgn_client_id_valid(change->client_id))
        return sto_refuse(d, PGN_E_INVALID, "client_id is 1 to 64 printable characters");
    if (change->op < PIGEON__OP__created || change->op > PIGEON__OP__updated)
        return sto_refuse(d, PGN_E_INVALID, "not a change of a group");
    if (change->op == PIGEON__OP__created && d->head->num != 0)
        return sto_refuse(d, PGN_E_CONFLICT, "the group exists already");
    for (size_t i = 0; i < change->n_members; i++) {
        const Pigeon__MemberChange *m = change->members[i];

        if (!pgn_user_valid(m->user) || (unsigned)m->role > PIGEON__ROLE__owner)
            return sto_refuse(d, PGN_E_INVALID, "malformed member");
        if (!m->remove && adds_members(change->op) && !sto_people_get(d->c->log->people, m->user).exists)
            return sto_refuse(d, PGN_E_NOT_FOUND, "no such user");
    }
    return 0;
}

/* Reads all rows first: whatever fails, fails before anything was changed. */
static int members_read(struct sto_doing *d, const Pigeon__GroupChange *change, struct sto_member_row *rows)
{
    for (size_t i = 0; i < change->n_members; i++) {
        int error = PGN_E_NOT_FOUND;

        memset(&rows[i], 0, sizeof rows[i]);
        if (d->head->num != 0)
            error = sto_member_get(d, change->members[i]->user, &rows[i]);
        if (error == PGN_E_NOT_FOUND)
            rows[i].gone = true;
        else if (error)
            return error;
    }
    return 0;
}

static void append_operation(struct sto_doing *d, const Pigeon__GroupChange *change)
{
    Pigeon__Message m = PIGEON__MESSAGE__INIT;
    Pigeon__Body body = PIGEON__BODY__INIT;
    Pigeon__Operation op = PIGEON__OPERATION__INIT;
    char *users[NAMED_MAX];

    for (size_t i = 0; i < change->n_members && op.n_users < NAMED_MAX; i++)
        if (change->op != PIGEON__OP__created || strcmp(change->members[i]->user, d->item->user) != 0)
            users[op.n_users++] = change->members[i]->user;
    op.op = change->op;
    op.users = users;
    op.title = change->title;
    if (change->op == PIGEON__OP__role_changed && change->n_members)
        op.role = change->members[0]->role;
    if (change->op == PIGEON__OP__muted)
        op.until = change->n_members ? change->members[0]->muted_until : change->muted_until;
    body.operation = &op;
    m.client_id = change->client_id;
    m.kind = PIGEON__KIND__operation;
    m.body = &body;
    sto_append(d, &m);
}

/* Who does it has seen it; a member who just came keeps this one unread (operations don't count). */
static void mark_own(struct sto_doing *d)
{
    struct sto_member_row row;

    if (sto_member_get(d, d->item->user, &row) != 0 || row.gone)
        return;
    row.marks.read = row.marks.delivered = d->head->st.last_seq;
    row.marks.read_ops = d->head->st.ops;
    sto_member_put(d, d->item->user, &row);
}

/* A new picture of the group is one more use of its file there. What was a picture once stays readable, as what was sent does. */
static int avatar_link(struct sto_doing *d, const Pigeon__GroupChange *change)
{
    char *id = change->settings ? change->settings->avatar : NULL;
    Pigeon__Body body = PIGEON__BODY__INIT;
    Pigeon__File file = PIGEON__FILE__INIT;
    const Pigeon__Settings *old;
    struct sto_conv_row row;

    if (!id || !id[0])
        return 0;
    if (change->op != PIGEON__OP__created) {
        int error = conv_row_get(d, &row, &old);

        if (error || (old && strcmp(old->avatar, id) == 0))
            return error;
    }
    file.file_id = id;
    body.file = &file;
    return sto_files_link(d, &body, d->item->user, true);
}

int sto_group_change(struct sto_doing *d, const Pigeon__GroupChange *change)
{
    struct sto_member_row *rows;
    bool history = change->settings && change->settings->history;
    int error = change_check(d, change);

    if (error)
        return error;
    rows = pgn_calloc(change->n_members + 1, sizeof *rows);
    if ((error = members_read(d, change, rows)) != 0 || (error = avatar_link(d, change)) != 0)
        goto out;
    if (change->op == PIGEON__OP__created)
        sto_conv_create(d, STO_GROUP, change->title, change->settings);
    else if ((error = conv_update(d, change, &history)) != 0)
        goto out;
    if (change->op == PIGEON__OP__muted && change->n_members == 0)
        d->head->st.muted_until = change->muted_until;
    for (size_t i = 0; i < change->n_members; i++)
        member_change(d, change, change->members[i], history, &rows[i]);
    d->head->st.version++;
    d->result->version = d->head->st.version;
    append_operation(d, change); /* counts the commit number up to the one that the rows have */
    mark_own(d);
    sto_effects_policy(d->c->effects, d->head->conv, d->head->st.version);
    sto_memberships_publish(d, change);
    sto_publish_changed(d, d->head->st.version);
out:
    free(rows);
    return error;
}
