/* The group commit: retries, versions, numbers, watermarks, and one durable write. */
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/random.h"
#include "services/storage/log_internal.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

char *sto_chars(const char *constant)
{
    union {
        const char *in;
        char *out;
    } u = {constant};

    return u.out;
}

int sto_refuse(struct sto_doing *d, int error, const char *text)
{
    d->result->text = sto_chars(text);
    return error;
}

Pigeon__Message *sto_message_unpack(struct pgn_arena *arena, struct sto_slice packed)
{
    return PGN_PB_UNPACK(Pigeon__Message, pigeon__message, arena, packed.data, packed.len);
}

/* ---- rows of the running commit ---- */

int sto_member_get(struct sto_doing *d, const char *user, struct sto_member_row *ret_row)
{
    struct sto_log *log = d->c->log;
    struct sto_key key = sto_key_member(d->head->num, user);
    int error = sto_txn_get(&d->c->txn, STO_CF_MAIN, &key, &log->value);

    if (error)
        return error;
    return sto_member_row_get(sto_slice_buf(&log->value), ret_row) ? 0 : PGN_E_CORRUPT;
}

void sto_member_put(struct sto_doing *d, const char *user, const struct sto_member_row *row)
{
    struct sto_key key = sto_key_member(d->head->num, user);
    struct pgn_buf *out = &d->c->log->row;

    pgn_buf_clear(out);
    sto_member_row_put(out, row);
    sto_txn_put(&d->c->txn, STO_CF_MAIN, &key, sto_slice_buf(out));
}

void sto_user_conv_put(struct sto_doing *d, const char *user, bool gone)
{
    struct sto_key key = sto_key_user(user, d->head->num);
    struct pgn_buf *out = &d->c->log->row;
    struct sto_user_row row = {d->head->st.kind, gone, {d->head->conv, strlen(d->head->conv)}};

    pgn_buf_clear(out);
    sto_user_row_put(out, &row);
    sto_txn_put(&d->c->txn, STO_CF_MAIN, &key, sto_slice_buf(out));
}

static void conv_row_write(struct sto_doing *d, const struct sto_conv_row *row)
{
    struct sto_key key = sto_key_conv(d->head->conv);
    struct pgn_buf *out = &d->c->log->row;

    pgn_buf_clear(out);
    sto_conv_row_put(out, row);
    sto_txn_put(&d->c->txn, STO_CF_MAIN, &key, sto_slice_buf(out));
}

void sto_conv_create(struct sto_doing *d, uint8_t kind, const char *title, const Pigeon__Settings *settings)
{
    struct sto_log *log = d->c->log;
    struct pgn_buf packed = {0};
    struct sto_conv_row row = {.num = ++log->n.next_num, .created_at = d->c->now_ms, .kind = kind};

    if (settings)
        pgn_pb_pack(settings, &packed);
    row.title = sto_slice_of(title, strlen(title));
    row.settings = packed.len ? sto_slice_buf(&packed) : sto_slice_of("", 0);
    d->head->num = row.num;
    memset(&d->head->st, 0, sizeof d->head->st);
    d->head->st.kind = kind;
    d->head->dirty = true;
    log->n.convs++;
    conv_row_write(d, &row);
    struct sto_key name = sto_key_num(row.num);
    sto_txn_put(&d->c->txn, STO_CF_MAIN, &name, sto_slice_of(d->head->conv, strlen(d->head->conv)));
    pgn_buf_release(&packed);
}

struct sto_marks *sto_own_marks(struct sto_doing *d, struct sto_member_row *member)
{
    if (d->head->st.kind == STO_DIRECT)
        return &d->head->st.side[strcmp(d->item->user, d->head->a) == 0 ? 0 : 1];
    return &member->marks;
}

/* ---- publishing ---- */

void sto_publish(struct sto_doing *d, const Pigeon__Event *event)
{
    size_t len;
    const uint8_t *data = sto_effects_encode(d->c->effects, event, &len);

    for (size_t i = 0; i < d->item->n_subjects; i++)
        sto_effects_event(d->c->effects, d->batch->subjects[d->item->subjects[i]], data, len);
}

/* Wraps the packed message by hand: Event{commit = 1, message = 2 {conv = 1, seq = 2, ...}}. */
void sto_publish_message(struct sto_doing *d, uint64_t seq, uint64_t commit, struct sto_slice message)
{
    struct pgn_buf *out = &d->c->log->row;
    size_t conv_len = strlen(d->head->conv);
    size_t inner = 2 + conv_len + 1 + sto_varint_len(seq) + message.len; /* an id is shorter than 128 */

    pgn_buf_clear(out);
    sto_put_field_u64(out, 1, commit);
    sto_put_varint(out, 2 << 3 | 2);
    sto_put_varint(out, inner);
    sto_put_field(out, 1, sto_slice_of(d->head->conv, conv_len));
    sto_put_field_u64(out, 2, seq);
    pgn_buf_append(out, message.data, message.len);
    uint8_t *data = pgn_arena_alloc(d->c->arena, out->len);
    memcpy(data, out->data, out->len);
    for (size_t i = 0; i < d->item->n_subjects; i++)
        sto_effects_event(d->c->effects, d->batch->subjects[d->item->subjects[i]], data, out->len);
}

static void publish_changed(struct sto_doing *d)
{
    Pigeon__Changed changed = PIGEON__CHANGED__INIT;
    Pigeon__Event event = PIGEON__EVENT__INIT;

    changed.conv = d->head->conv;
    event.commit = d->change;
    event.what_case = PIGEON__EVENT__WHAT_CHANGED;
    event.changed = &changed;
    sto_publish(d, &event);
}

/* ---- appending ---- */

static void answer_sent(struct sto_doing *d, uint64_t seq, const char *message_id, uint64_t sent_at, const char *conv)
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
    st->last_seq++;
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
    answer_sent(d, st->last_seq, id, m->sent_at, d->item->conv);
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

static void files_link(struct sto_doing *d, const Pigeon__Body *body)
{
    const char *ids[2] = {NULL, NULL};

    if (body && body->file) {
        ids[0] = body->file->file_id;
        ids[1] = body->file->thumb_id;
    }
    for (size_t i = 0; i < PGN_COUNT(ids); i++) {
        if (!ids[i] || !ids[i][0] || strlen(ids[i]) > 40)
            continue;
        struct sto_key key = sto_key_file(ids[i], d->item->user, d->head->conv);
        sto_txn_put(&d->c->txn, STO_CF_MAIN, &key, sto_slice_of("", 0));
    }
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

static int append(struct sto_doing *d, const Pigeon__Append *a)
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
    if (created) {
        sto_conv_create(d, STO_DIRECT, "", NULL);
        sto_user_conv_put(d, d->head->a, false);
        sto_user_conv_put(d, d->head->b, false);
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
    files_link(d, a->operation && a->operation->op == PIGEON__OP__edit ? a->operation->body : a->body);
    if (created)
        publish_changed(d);
    return 0;
}

/* ---- watermarks ---- */

/* Operations among 1..seq. */
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
        return error;
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

static int mark(struct sto_doing *d, const Pigeon__Mark *in)
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

/* ---- retries ---- */

static void retry_key_of(const struct sto_log *log, const Pigeon__CommitItem *item, const char *client_id, struct sto_key *ret_key)
{
    uint8_t text[PGN_USER_MAX + PGN_DEVICE_MAX + PGN_CLIENT_ID_MAX + 3];
    size_t user = strlen(item->user) + 1, device = strlen(item->device) + 1, client = strlen(client_id) + 1;

    memcpy(text, item->user, user);
    memcpy(text + user, item->device, device);
    memcpy(text + user + device, client_id, client);
    crypto_shorthash_siphashx24(ret_key->data, text, user + device + client, log->retry_secret);
    ret_key->len = STO_RETRY_KEY_BYTES;
}

static const char *client_id_of(const Pigeon__CommitItem *item)
{
    if (item->what_case == PIGEON__COMMIT_ITEM__WHAT_APPEND)
        return item->append->client_id;
    if (item->what_case == PIGEON__COMMIT_ITEM__WHAT_CHANGE)
        return item->change->client_id;
    return "";
}

/* Whose id a number is; for a key that was used for another conversation before. */
static const char *conv_of_num(struct sto_doing *d, uint64_t num)
{
    struct sto_key name = sto_key_num(num);

    if (sto_txn_get(&d->c->txn, STO_CF_MAIN, &name, &d->c->log->value) != 0)
        return "";
    pgn_buf_append_byte(&d->c->log->value, 0);
    return pgn_arena_strdup(d->c->arena, (const char *)d->c->log->value.data);
}

/* Gives the first answer again, and publishes the message again: the first time may have been cut off by a crash. */
static int answer_retry(struct sto_doing *d, const struct sto_retry_row *retry)
{
    struct sto_key key = sto_key_msg(retry->num, retry->seq);
    struct pgn_buf *value = &d->c->log->value;
    struct sto_msg_row row;
    int error = sto_txn_get(&d->c->txn, STO_CF_MSG, &key, value);

    if (error)
        return error == PGN_E_NOT_FOUND ? PGN_E_CORRUPT : error;
    struct sto_slice copy = {pgn_arena_alloc(d->c->arena, value->len + 1), value->len};
    memcpy((void *)(uintptr_t)copy.data, value->data, value->len);
    Pigeon__Message *m = sto_msg_row_get(copy, &row) ? sto_message_unpack(d->c->arena, row.message) : NULL;
    if (!m)
        return PGN_E_CORRUPT;
    d->c->effects->dups++;
    bool same = d->head && d->head->num == retry->num;
    answer_sent(d, retry->seq, m->message_id, m->sent_at, same ? d->item->conv : conv_of_num(d, retry->num));
    if (!same)
        return 0;
    d->change = row.commit;
    d->result->version = d->head->st.kind == STO_GROUP ? d->head->st.version : d->item->version;
    if (d->item->what_case == PIGEON__COMMIT_ITEM__WHAT_CHANGE)
        sto_memberships_publish(d, d->item->change);
    sto_publish_message(d, retry->seq, row.commit, row.message);
    return 0;
}

/* Whether the item is a retry; then *ret_retry. stored: what the engine had under its key before this commit. */
static bool is_retry(struct sto_doing *d, const struct pgn_buf *stored, struct sto_retry_row *ret_retry)
{
    const struct sto_kv_put *p;

    if (d->retry_key.len == 0 || d->c->log->faults.dedup_off)
        return false;
    if (stored->len && sto_retry_row_get(sto_slice_buf(stored), ret_retry))
        return true;
    p = sto_txn_peek(&d->c->txn, STO_CF_RETRY, &d->retry_key);
    return p && sto_retry_row_get(p->value, ret_retry);
}

/* ---- items ---- */

static int item_check(struct sto_doing *d)
{
    const Pigeon__CommitItem *item = d->item;

    if (item->what_case == PIGEON__COMMIT_ITEM__WHAT__NOT_SET || !pgn_user_valid(item->user) || !pgn_conv_valid(item->conv) ||
        (item->device[0] && !pgn_device_valid(item->device)))
        return sto_refuse(d, PGN_E_INVALID, "malformed item");
    for (size_t i = 0; i < item->n_subjects; i++)
        if (item->subjects[i] >= d->batch->n_subjects)
            return sto_refuse(d, PGN_E_INVALID, "no such subject");
    return 0;
}

/* Compares the version that the item was checked against with the current one. */
static int version_check(struct sto_doing *d)
{
    uint64_t current = d->head->st.version;
    bool creates = d->item->what_case == PIGEON__COMMIT_ITEM__WHAT_CHANGE && d->item->change->op == PIGEON__OP__created;

    if (pgn_conv_is_direct(d->head->conv)) {
        if (!sto_people_direct(d->c->log->people, d->head->a, d->head->b, &current))
            return sto_refuse(d, PGN_E_NOT_FOUND, "no such user");
        if (strcmp(d->item->user, d->head->a) != 0 && strcmp(d->item->user, d->head->b) != 0)
            return sto_refuse(d, PGN_E_FORBIDDEN, "not a member");
    } else if (creates) {
        return 0;
    } else if (d->head->num == 0) {
        return sto_refuse(d, PGN_E_NOT_FOUND, "no such conversation");
    }
    d->result->version = current;
    if (current == d->item->version)
        return 0;
    struct sto_effects *e = d->c->effects;
    if (e->policy_count == 0 || strcmp(e->policies[e->policy_count - 1]->conv, d->head->conv) != 0)
        sto_effects_policy(e, d->head->conv, current);
    return PGN_E_STALE;
}

static int item_do(struct sto_doing *d, const struct pgn_buf *stored)
{
    struct sto_retry_row retry;
    int error = item_check(d);

    if (error)
        return error;
    if ((error = sto_head_get(d->c->log, &d->c->txn, d->item->conv, &d->head)) != 0)
        return error;
    if (is_retry(d, stored, &retry))
        return answer_retry(d, &retry);
    if ((error = version_check(d)) != 0)
        return error;
    switch (d->item->what_case) {
    case PIGEON__COMMIT_ITEM__WHAT_APPEND:
        return append(d, d->item->append);
    case PIGEON__COMMIT_ITEM__WHAT_MARK:
        return mark(d, d->item->mark);
    case PIGEON__COMMIT_ITEM__WHAT_CHANGE:
        return sto_group_change(d, d->item->change);
    case PIGEON__COMMIT_ITEM__WHAT__NOT_SET:
    case _PIGEON__COMMIT_ITEM__WHAT__CASE_IS_INT_SIZE:
        break;
    }
    return PGN_E_INVALID;
}

static void batch_do(struct sto_committing *c, struct sto_commit *commit, const struct sto_key *keys, const struct pgn_buf *stored)
{
    for (size_t i = 0; i < commit->batch->n_items; i++) {
        struct sto_doing d = {.c = c, .batch = commit->batch, .item = commit->batch->items[i], .result = &commit->results[i]};

        pigeon__item_result__init(d.result);
        d.result->index = d.item->index;
        d.retry_key = keys[i];
        d.result->error = item_do(&d, &stored[i]);
        if (d.result->error == PGN_E_CORRUPT || d.result->error == PGN_E_IO)
            d.result->text = sto_chars("the conversation cannot be read");
    }
}

/* ---- the commit ---- */

/* Retry keys of all items (len 0: none), and what the store has under them: one look for all. */
static int retries_find(struct sto_log *log, struct sto_commit *commits, size_t count, struct sto_key *keys, struct pgn_buf *stored,
                        size_t items, struct pgn_arena *arena)
{
    struct sto_slice *slices = pgn_arena_alloc(arena, items * sizeof *slices);
    size_t at = 0;

    for (size_t b = 0; b < count; b++)
        for (size_t i = 0; i < commits[b].batch->n_items; i++, at++) {
            const Pigeon__CommitItem *item = commits[b].batch->items[i];
            const char *client_id = client_id_of(item);

            keys[at].len = 0;
            if (pgn_client_id_valid(client_id) && pgn_user_valid(item->user) && strlen(item->device) <= PGN_DEVICE_MAX)
                retry_key_of(log, item, client_id, &keys[at]);
            slices[at] = keys[at].len ? sto_key_slice(&keys[at]) : sto_slice_of("", 0);
        }
    return log->kv->ops->get_many(log->kv, STO_CF_RETRY, items, slices, stored);
}

/* Heads that this commit has touched stand first in the list. */
static void heads_write(struct sto_committing *c)
{
    struct pgn_buf *out = &c->log->row;

    PGN_LIST_EACH (n, &c->log->lru) {
        struct sto_head *h = PGN_CONTAINER(n, struct sto_head, lru);

        if (h->round != c->log->round)
            break;
        if (!h->dirty)
            continue;
        struct sto_key key = sto_key_state(h->num);
        pgn_buf_clear(out);
        sto_state_row_put(out, &h->st);
        sto_txn_put(&c->txn, STO_CF_MAIN, &key, sto_slice_buf(out));
        h->dirty = false;
    }
}

static void counters_write(struct sto_committing *c)
{
    struct sto_key key = sto_key_meta("counters");
    struct pgn_buf *out = &c->log->row;

    pgn_buf_clear(out);
    sto_counters_put(out, &c->log->n);
    sto_txn_put(&c->txn, STO_CF_MAIN, &key, sto_slice_buf(out));
}

static int finish(struct sto_committing *c, void (*before_write)(void *ctx), void *ctx)
{
    struct sto_log *log = c->log;
    int error = 0;

    heads_write(c);
    if (c->txn.count) {
        counters_write(c);
        if (before_write)
            before_write(ctx);
        error = sto_txn_write(&c->txn, !log->faults.sync_off);
        if (!error && log->faults.uncertain_at && ++log->writes == log->faults.uncertain_at)
            error = PGN_E_UNCERTAIN; /* planted: as if the sync had failed behind the write */
    }
    if (error) {
        log->broken = true;
        sto_heads_drop(log);
        return error;
    }
    atomic_store(&log->messages, log->n.messages);
    atomic_store(&log->convs, log->n.convs);
    atomic_store(&log->committed, log->n.commit);
    return 0;
}

int sto_log_commit(struct sto_log *log, struct sto_commit *commits, size_t count, struct sto_effects *effects,
                   void (*before_write)(void *ctx), void *ctx)
{
    struct sto_committing c = {.log = log, .effects = effects, .arena = effects->arena, .now_ms = pgn_wall_ms()};
    size_t items = 0, at = 0;
    int error;

    if (log->broken)
        return PGN_E_UNAVAILABLE;
    sto_heads_trim(log);
    for (size_t b = 0; b < count; b++)
        items += commits[b].batch->n_items;
    struct sto_key *keys = pgn_arena_alloc(c.arena, (items + 1) * sizeof *keys);
    struct pgn_buf *stored = pgn_calloc(items + 1, sizeof *stored);
    sto_txn_begin(&c.txn, log->kv, c.arena);
    error = retries_find(log, commits, count, keys, stored, items, c.arena);
    if (error) {
        error = PGN_E_UNAVAILABLE;
    } else {
        for (size_t b = 0; b < count; at += commits[b].batch->n_items, b++)
            batch_do(&c, &commits[b], keys + at, stored + at);
        error = finish(&c, before_write, ctx);
    }
    sto_txn_end(&c.txn);
    for (size_t i = 0; i < items; i++)
        pgn_buf_release(&stored[i]);
    free(stored);
    return error;
}
