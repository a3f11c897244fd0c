/* Rows of the running commit, and the events that tell of it. */
#include "common/base/error.h"
#include "services/storage/log_internal.h"

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

void sto_user_conv_put(struct sto_doing *d, const char *user, uint64_t first_seq, bool gone)
{
    struct sto_key key = sto_key_user(user, d->head->num);
    struct pgn_buf *out = &d->c->log->row;
    struct sto_user_row row = {d->head->st.kind, gone, {d->head->conv, strlen(d->head->conv)}, first_seq};

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

void sto_publish_changed(struct sto_doing *d, uint64_t version)
{
    Pigeon__Changed changed = PIGEON__CHANGED__INIT;
    Pigeon__Event event = PIGEON__EVENT__INIT;

    changed.conv = d->head->conv;
    changed.version = version;
    event.commit = d->change;
    event.what_case = PIGEON__EVENT__WHAT_CHANGED;
    event.changed = &changed;
    sto_publish(d, &event);
}
