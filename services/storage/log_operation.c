/* Recall, edit and react: what they do to the message that they are about, in the same commit. */
#include "common/base/error.h"
#include "services/storage/log_internal.h"

#include <string.h>

/* Takes the new body out of an earlier edit's own message. */
static int edit_erase(struct sto_doing *d, uint64_t seq)
{
    struct sto_txn *txn = &d->c->txn;
    struct pgn_buf *value = &d->c->log->value, *out = &d->c->log->row;
    struct sto_key key = sto_key_msg(d->head->num, seq);
    struct sto_msg_row row;
    int error = sto_txn_get(txn, STO_CF_MSG, &key, value);

    if (error)
        return error == PGN_E_NOT_FOUND ? 0 : error; /* damage has taken it */
    Pigeon__Message *m = sto_msg_row_get(sto_slice_buf(value), &row) ? sto_message_unpack(d->c->arena, row.message) : NULL;
    if (!m)
        return PGN_E_CORRUPT;
    if (m->body && m->body->operation)
        m->body->operation->body = NULL;
    struct pgn_buf packed = {0};
    pgn_pb_pack(m, &packed);
    row.message = sto_slice_buf(&packed);
    pgn_buf_clear(out);
    sto_msg_row_put(out, &row);
    sto_txn_put(txn, STO_CF_MSG, &key, sto_slice_buf(out));
    pgn_buf_release(&packed);
    return 0;
}

static int recall(struct sto_doing *d, struct sto_msg_row *row, Pigeon__Message *m)
{
    for (uint32_t i = 0; i < row->edits; i++) {
        int error = edit_erase(d, row->edit[i]);

        if (error)
            return error;
    }
    int error = sto_files_link(d, m->body, m->from, false);
    if (error)
        return error;
    row->edits = 0;
    m->recalled = true;
    m->body = NULL;
    m->n_mentions = 0;
    m->n_reactions = 0;
    return 0;
}

static int edit(struct sto_doing *d, struct sto_msg_row *row, Pigeon__Message *m, Pigeon__Body *body, uint64_t op_seq)
{
    if (m->kind != PIGEON__KIND__text)
        return sto_refuse(d, PGN_E_INVALID, "only messages of kind text can be edited");
    if (row->edits == STO_EDITS_MAX)
        return sto_refuse(d, PGN_E_TOO_LARGE, "edited too often");
    row->edit[row->edits++] = op_seq;
    m->body = body;
    m->edited_at = d->c->now_ms;
    return 0;
}

static size_t user_at(const Pigeon__Reaction *r, const char *user)
{
    size_t i = 0;

    while (i < r->n_users && strcmp(r->users[i], user) != 0)
        i++;
    return i;
}

static Pigeon__Reaction *reaction_add(struct sto_doing *d, Pigeon__Message *m, char *emoji)
{
    Pigeon__Reaction *r = pgn_arena_alloc(d->c->arena, sizeof *r);
    Pigeon__Reaction **all = pgn_arena_alloc(d->c->arena, (m->n_reactions + 1) * sizeof(Pigeon__Reaction *));

    pigeon__reaction__init(r);
    r->emoji = emoji;
    if (m->n_reactions)
        memcpy((void *)all, (void *)m->reactions, m->n_reactions * sizeof(Pigeon__Reaction *));
    all[m->n_reactions++] = r;
    m->reactions = all;
    return r;
}

static int react(struct sto_doing *d, Pigeon__Message *m, const Pigeon__Operation *op)
{
    size_t at = 0, user;

    if (!op->emoji[0] || strlen(op->emoji) > 64)
        return sto_refuse(d, PGN_E_INVALID, "emoji is 1 to 64 bytes");
    while (at < m->n_reactions && strcmp(m->reactions[at]->emoji, op->emoji) != 0)
        at++;
    Pigeon__Reaction *r = at < m->n_reactions ? m->reactions[at] : NULL;
    if (!op->on) {
        if (!r || (user = user_at(r, d->item->user)) == r->n_users)
            return 0;
        memmove((void *)(r->users + user), (void *)(r->users + user + 1), (r->n_users - user - 1) * sizeof(char *));
        if (--r->n_users == 0)
            m->reactions[at] = m->reactions[--m->n_reactions];
        return 0;
    }
    if (!r && m->n_reactions == STO_REACTION_KINDS_MAX)
        return sto_refuse(d, PGN_E_TOO_LARGE, "too many different reactions");
    if (r && user_at(r, d->item->user) < r->n_users)
        return 0;
    if (r && r->n_users == STO_REACTION_USERS_MAX)
        return sto_refuse(d, PGN_E_TOO_LARGE, "too many reactions");
    if (!r)
        r = reaction_add(d, m, op->emoji);
    char **users = pgn_arena_alloc(d->c->arena, (r->n_users + 1) * sizeof(char *));
    if (r->n_users)
        memcpy((void *)users, (void *)r->users, r->n_users * sizeof(char *));
    users[r->n_users++] = d->item->user;
    r->users = users;
    return 0;
}

int sto_operation_apply(struct sto_doing *d, const Pigeon__Append *append, uint64_t first_seq, uint64_t op_seq)
{
    const Pigeon__Operation *op = append->operation;
    struct pgn_buf *value = &d->c->log->value, *out = &d->c->log->row;
    struct sto_key key = sto_key_msg(d->head->num, op->seq);
    struct sto_msg_row row;
    int error;

    if (op->op != PIGEON__OP__recall && op->op != PIGEON__OP__edit && op->op != PIGEON__OP__react)
        return sto_refuse(d, PGN_E_INVALID, "not an operation on a message");
    if (op->op == PIGEON__OP__edit && !op->body)
        return sto_refuse(d, PGN_E_INVALID, "edit without a body");
    if (op->seq == 0 || op->seq < first_seq || op->seq > d->head->st.last_seq)
        return sto_refuse(d, PGN_E_NOT_FOUND, "no such message");
    if ((error = sto_txn_get(&d->c->txn, STO_CF_MSG, &key, value)) != 0)
        return error;
    /* The strings of m live in the arena: value may be used again. */
    Pigeon__Message *m = sto_msg_row_get(sto_slice_buf(value), &row) ? sto_message_unpack(d->c->arena, row.message) : NULL;
    if (!m)
        return PGN_E_CORRUPT;
    if (m->kind == PIGEON__KIND__operation)
        return sto_refuse(d, PGN_E_INVALID, "this is an operation, not a message");
    if (append->own_target && strcmp(m->from, d->item->user) != 0)
        return sto_refuse(d, PGN_E_FORBIDDEN, "somebody else's message");
    if (m->recalled)
        return sto_refuse(d, PGN_E_CONFLICT, "the message was recalled");
    if (op->op == PIGEON__OP__recall)
        error = recall(d, &row, m);
    else if (op->op == PIGEON__OP__edit)
        error = edit(d, &row, m, op->body, op_seq);
    else
        error = react(d, m, op);
    if (error)
        return error;
    struct pgn_buf packed = {0};
    pgn_pb_pack(m, &packed);
    row.message = sto_slice_buf(&packed);
    pgn_buf_clear(out);
    sto_msg_row_put(out, &row);
    sto_txn_put(&d->c->txn, STO_CF_MSG, &key, sto_slice_buf(out));
    pgn_buf_release(&packed);
    return 0;
}
