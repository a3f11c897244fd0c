/* One message or one watermark: numbers, the sender's own marks, mentions, files. */
#include "common/base/error.h"
#include "services/storage/log_internal.h"
#include "services/storage/seq_redis.h"

#include <string.h>

/* ---- appending ---- */

void sto_answer_sent(struct sto_doing *d, uint64_t seq, const char *message_id, uint64_t sent_at, const char *conv)
{
    Pigeon__Sent *sent = pgn_arena_alloc(d->c->arena, sizeof *sent);

    pigeon__sent__init(sent);
    sent->conv = sto_chars(conv);
    sent->seq = seq;
    sent->message_id = sto_chars(message_id);
    sent->sent_at = sent_at;
    d->result->sent = sent;
}

static void retry_put(struct sto_doing *d, uint64_t seq)
{
    struct pgn_buf *out = &d->c->log->row;
    struct sto_retry_row row = {d->head->num, seq, (uint32_t)(d->c->now_ms / 1000)};

    pgn_buf_clear(out);
    sto_retry_row_put(out, &row);
    sto_txn_put(&d->c->txn, STO_CF_RETRY, &d->retry_key, sto_slice_buf(out));
}

void sto_append(struct sto_doing *d, Pigeon__Message *m)
{
    struct sto_log *log = d->c->log;
    struct sto_state_row *st = &d->head->st;
    char *id = pgn_arena_alloc(d->c->arena, PGN_ULID_LEN + 1);

    pgn_ulid(d->c->now_ms, id);
    d->change = ++log->n.commit;
    log->n.messages++;
    st->last_seq = sto_seq_next(d->item->conv, st->last_seq);
    st->ops += m->kind == PIGEON__KIND__operation;
    st->change = d->change;
    d->head->dirty = true;
    m->message_id = id;
    m->from = d->item->user;
    m->device = d->item->device;
    m->sent_at = d->c->now_ms;
    size_t len = protobuf_c_message_get_packed_size(&m->base);
    uint8_t *packed = pgn_arena_alloc(d->c->arena, len + 1);
    protobuf_c_message_pack(&m->base, packed);
    struct sto_msg_row row = {.commit = d->change, .ops = st->ops, .message = {packed, len}};
    struct sto_key key = sto_key_msg(d->head->num, st->last_seq);
    pgn_buf_clear(&log->row);
    sto_msg_row_put(&log->row, &row);
    sto_txn_put(&d->c->txn, STO_CF_MSG, &key, sto_slice_buf(&log->row));
    retry_put(d, st->last_seq);
    sto_answer_sent(d, st->last_seq, id, m->sent_at, d->item->conv);
    sto_publish_message(d, st->last_seq, d->change, row.message);
    d->c->effects->messages++;
}

/* Newest number that names a member, for the conversation list. */
static void mention(struct sto_doing *d, const Pigeon__Append *a)
{
    struct sto_state_row *st = &d->head->st;
    size_t n = a->n_mentions < STO_MENTIONS_MAX ? a->n_mentions : STO_MENTIONS_MAX;

    for (size_t i = 0; i < n; i++) {
        const char *user = a->mentions[i];
        struct sto_member_row member;

        if (strcmp(user, d->item->user) == 0)
            continue;
        if (st->kind == STO_DIRECT) {
            if (strcmp(user, d->head->a) == 0 || strcmp(user, d->head->b) == 0)
                st->side[strcmp(user, d->head->a) == 0 ? 0 : 1].mentioned = st->last_seq;
        } else if (strcmp(user, "all") == 0) {
            st->mention_all = st->last_seq;
        } else if (pgn_user_valid(user) && sto_member_get(d, user, &member) == 0 && !member.gone) {
            member.marks.mentioned = st->last_seq;
            sto_member_put(d, user, &member);
        }
    }
}

/* One more, or one less, of user's messages in this conversation shows the file. */
static int file_count(struct sto_doing *d, const char *id, const char *user, bool more)
{
    struct sto_key key = sto_key_file(id, user, d->head->conv);
    struct pgn_buf *value = &d->c->log->value;
    uint32_t count = 0;
    int error = sto_txn_get(&d->c->txn, STO_CF_MAIN, &key, value);

    if (error && error != PGN_E_NOT_FOUND)
        return error;
    if (!error)
        count = sto_file_links_get(sto_slice_buf(value));
    if (more ? count < UINT32_MAX : count > 0)
        count = more ? count + 1 : count - 1;
    uint8_t bytes[4];
    sto_txn_put(&d->c->txn, STO_CF_MAIN, &key, sto_file_links_put(bytes, count));
    return 0;
}

int sto_files_link(struct sto_doing *d, const Pigeon__Body *body, const char *user, bool more)
{
    const char *ids[2] = {NULL, NULL};
    int error = 0;

    if (body && body->file) {
        ids[0] = body->file->file_id;
        ids[1] = body->file->thumb_id;
    }
    for (size_t i = 0; !error && i < PGN_COUNT(ids); i++)
        if (ids[i] && ids[i][0] && strlen(ids[i]) <= 40)
            error = file_count(d, ids[i], user, more);
    return error;
}

/* The sender's row of a group, or nothing to get for a direct conversation. */
static int sender_get(struct sto_doing *d, struct sto_member_row *ret_member)
{
    memset(ret_member, 0, sizeof *ret_member);
    ret_member->first_seq = 1;
    if (d->head->st.kind == STO_DIRECT)
        return 0;
    int error = sto_member_get(d, d->item->user, ret_member);
    if (error == PGN_E_NOT_FOUND || (!error && ret_member->gone))
        return sto_refuse(d, PGN_E_FORBIDDEN, "not a member");
    return error;
}

int sto_item_append(struct sto_doing *d, const Pigeon__Append *a)
{
    struct sto_member_row member = {0};
    bool created = false;
    int error;

    if (!pgn_client_id_valid(a->client_id))
        return sto_refuse(d, PGN_E_INVALID, "client_id is 1 to 64 printable characters");
    if (d->head->num == 0) {
        if (!a->create_direct || !pgn_conv_is_direct(d->head->conv) || a->operation)
            return sto_refuse(d, PGN_E_NOT_FOUND, "no such conversation");
        created = true;
    } else {
        if ((error = sender_get(d, &member)) != 0)
            return error;
        if (a->operation && (error = sto_operation_apply(d, a, member.first_seq, d->head->st.last_seq + 1)) != 0)
            return error;
    }
    if ((error = sto_files_link(d, a->operation ? NULL : a->body, d->item->user, true)) != 0)
        return error; /* whatever fails, fails before anything is numbered */
    if (created) {
        sto_conv_create(d, STO_DIRECT, "", NULL);
        sto_user_conv_put(d, d->head->a, 1, false);
        sto_user_conv_put(d, d->head->b, 1, false);
    }
    Pigeon__Message m = PIGEON__MESSAGE__INIT;
    Pigeon__Body op_body = PIGEON__BODY__INIT;
    m.client_id = a->client_id;
    m.kind = a->operation ? PIGEON__KIND__operation : a->kind ? a->kind : PIGEON__KIND__text;
    m.body = a->body;
    m.reply_to = a->reply_to;
    m.mentions = a->mentions;
    m.n_mentions = a->n_mentions;
    if (a->operation) {
        op_body.operation = a->operation;
        m.body = &op_body;
    }
    sto_append(d, &m);
    struct sto_marks *own = sto_own_marks(d, &member);
    own->read = own->delivered = d->head->st.last_seq;
    own->read_ops = d->head->st.ops;
    if (d->head->st.kind == STO_GROUP)
        sto_member_put(d, d->item->user, &member);
    mention(d, a);
    if (created)
        sto_publish_changed(d, 0);
    return 0;
}

/* ---- watermarks ---- */

/* Operations among 1..seq; as they were (*ret_ops) where damage has taken that message. */
static int ops_until(struct sto_doing *d, uint64_t seq, uint64_t *ret_ops)
{
    const struct sto_state_row *st = &d->head->st;
    struct sto_key key = sto_key_msg(d->head->num, seq);
    struct sto_msg_row row;
    int error;

    if (seq == st->last_seq || st->ops == 0) {
        *ret_ops = st->ops;
        return 0;
    }
    if ((error = sto_txn_get(&d->c->txn, STO_CF_MSG, &key, &d->c->log->value)) != 0)
        return error == PGN_E_NOT_FOUND ? 0 : error;
    if (!sto_msg_row_get(sto_slice_buf(&d->c->log->value), &row))
        return PGN_E_CORRUPT;
    *ret_ops = row.ops;
    return 0;
}

static void publish_mark(struct sto_doing *d, const struct sto_marks *marks)
{
    Pigeon__MarkEvent mark = PIGEON__MARK_EVENT__INIT;
    Pigeon__Event event = PIGEON__EVENT__INIT;

    mark.conv = d->head->conv;
    mark.user = d->item->user;
    mark.read = marks->read;
    mark.delivered = marks->delivered;
    event.commit = d->change;
    event.what_case = PIGEON__EVENT__WHAT_MARK;
    event.mark = &mark;
    event.skip_device = d->item->device;
    sto_publish(d, &event);
}

int sto_item_mark(struct sto_doing *d, const Pigeon__Mark *in)
{
    struct sto_member_row member;
    struct sto_state_row *st = &d->head->st;
    uint64_t read = in->read < st->last_seq ? in->read : st->last_seq;
    uint64_t delivered = in->delivered < st->last_seq ? in->delivered : st->last_seq;
    uint64_t ops = 0;
    int error;

    if (d->head->num == 0)
        return sto_refuse(d, PGN_E_NOT_FOUND, "no such conversation");
    if ((error = sender_get(d, &member)) != 0)
        return error;
    struct sto_marks *own = sto_own_marks(d, &member);
    if (read > delivered)
        delivered = read;
    if (read <= own->read && delivered <= own->delivered)
        return 0; /* watermarks never go back */
    if (read > own->read) {
        ops = own->read_ops;
        if ((error = ops_until(d, read, &ops)) != 0)
            return error;
        own->read = read;
        own->read_ops = ops;
    }
    if (delivered > own->delivered)
        own->delivered = delivered;
    d->change = ++d->c->log->n.commit;
    if (st->kind == STO_GROUP) {
        member.change = d->change;
        sto_member_put(d, d->item->user, &member);
    } else {
        st->change = d->change;
        d->head->dirty = true;
    }
    publish_mark(d, own);
    return 0;
}
