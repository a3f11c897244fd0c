/* One row as a line of an export, and back. Rows that do not survive the way exactly go as bytes. */
#include "common/base/error.h"
#include "common/proto/json_map.h"
#include "services/storage/move_internal.h"

#include <stdlib.h>
#include <string.h>

#define NEW(arena, Type, prefix, name)                                                                                                     \
    Pigeon__##Type *name = pgn_arena_alloc(arena, sizeof *name);                                                                           \
    prefix##__init(name)

/* ---- helpers ---- */

static char *text_of(struct pgn_arena *arena, struct sto_slice s)
{
    char *text = pgn_arena_alloc(arena, s.len + 1);

    if (s.len)
        memcpy(text, s.data, s.len);
    text[s.len] = 0;
    return text;
}

static ProtobufCBinaryData bytes_of(struct pgn_arena *arena, struct sto_slice s)
{
    return (ProtobufCBinaryData){s.len, (uint8_t *)text_of(arena, s)};
}

static struct sto_slice slice_str(const char *text)
{
    return sto_slice_of(text, strlen(text));
}

struct named {
    uint64_t num;
    char conv[PGN_CONV_MAX + 1];
};

static const void *named_key(const void *value, size_t *ret_len)
{
    *ret_len = sizeof(uint64_t);
    return &((const struct named *)value)->num;
}

static bool on_number(void *ctx, struct sto_slice key, struct sto_slice value)
{
    if (key.len != 9 || value.len > PGN_CONV_MAX)
        return true;
    struct named *n = pgn_calloc(1, sizeof *n);
    n->num = sto_u64be((const uint8_t *)key.data + 1);
    memcpy(n->conv, value.data, value.len);
    pgn_map_put(ctx, n);
    return true;
}

struct pgn_map *sto_names_load(struct sto_kv *kv, struct sto_view *view)
{
    struct pgn_map *names = pgn_map_new(named_key);

    /* One that fails leaves numbers unnamed; the scan that follows fails as well. */
    (void)!kv->ops->scan(kv, view, STO_CF_MAIN, sto_slice_of("n", 1), sto_slice_of("o", 1), false, on_number, names);
    return names;
}

void sto_names_free(struct pgn_map **names)
{
    struct named *n;

    for (size_t it = 0; (n = pgn_map_next(*names, &it)) != NULL;) {
        pgn_map_remove(*names, &n->num, sizeof n->num);
        free(n);
    }
    pgn_map_free(names);
}

static char *name_of(const struct pgn_map *names, struct pgn_arena *arena, uint64_t num)
{
    const struct named *n = pgn_map_get(names, &num, sizeof num);

    return pgn_arena_strdup(arena, n ? n->conv : "");
}

static Pigeon__ExportMarks *marks_of(struct pgn_arena *arena, const struct sto_marks *m)
{
    NEW(arena, ExportMarks, pigeon__export_marks, marks);
    marks->read = m->read;
    marks->read_ops = m->read_ops;
    marks->delivered = m->delivered;
    marks->mentioned = m->mentioned;
    return marks;
}

static struct sto_marks marks_back(const Pigeon__ExportMarks *m)
{
    return m ? (struct sto_marks){m->read, m->read_ops, m->delivered, m->mentioned} : (struct sto_marks){0};
}

/* ---- rows of the log, to lines; false: not understood ---- */

struct row {
    const struct pgn_map *names;
    struct pgn_arena *arena;
    struct sto_slice key, value;
};

static bool conv_line(struct row *r, Pigeon__ExportLine *line)
{
    struct sto_conv_row row;

    if (!sto_conv_row_get(r->value, &row))
        return false;
    NEW(r->arena, ExportConv, pigeon__export_conv, c);
    c->num = row.num;
    c->conv = text_of(r->arena, sto_slice_of((const char *)r->key.data + 1, r->key.len - 1));
    c->kind = (Pigeon__ConvKind)row.kind;
    c->created_at = row.created_at;
    c->title = text_of(r->arena, row.title);
    if (row.settings.len)
        c->settings = PGN_PB_UNPACK(Pigeon__Settings, pigeon__settings, r->arena, row.settings.data, row.settings.len);
    line->what_case = PIGEON__EXPORT_LINE__WHAT_CONV;
    line->conv = c;
    return true;
}

static bool state_line(struct row *r, Pigeon__ExportLine *line)
{
    struct sto_state_row row;

    if (r->key.len != 9 || !sto_state_row_get(r->value, &row))
        return false;
    NEW(r->arena, ExportState, pigeon__export_state, s);
    s->num = sto_u64be((const uint8_t *)r->key.data + 1);
    s->conv = name_of(r->names, r->arena, s->num);
    s->kind = (Pigeon__ConvKind)row.kind;
    s->version = row.version;
    s->last_seq = row.last_seq;
    s->ops = row.ops;
    s->change = row.change;
    s->mention_all = row.mention_all;
    s->muted_until = row.muted_until;
    s->members = row.members;
    if (row.kind == STO_DIRECT) {
        s->first = marks_of(r->arena, &row.side[0]);
        s->second = marks_of(r->arena, &row.side[1]);
    }
    line->what_case = PIGEON__EXPORT_LINE__WHAT_STATE;
    line->state = s;
    return true;
}

static bool member_line(struct row *r, Pigeon__ExportLine *line)
{
    struct sto_member_row row;

    if (r->key.len < 10 || !sto_member_row_get(r->value, &row))
        return false;
    NEW(r->arena, ExportMember, pigeon__export_member, m);
    m->num = sto_u64be((const uint8_t *)r->key.data + 1);
    m->conv = name_of(r->names, r->arena, m->num);
    m->user = text_of(r->arena, sto_slice_of((const char *)r->key.data + 9, r->key.len - 9));
    m->role = (Pigeon__Role)row.role;
    m->gone = row.gone;
    m->first_seq = row.first_seq;
    m->muted_until = row.muted_until;
    m->joined_at = row.joined_at;
    m->change = row.change;
    m->marks = marks_of(r->arena, &row.marks);
    line->what_case = PIGEON__EXPORT_LINE__WHAT_MEMBER;
    line->member = m;
    return true;
}

static bool user_conv_line(struct row *r, Pigeon__ExportLine *line)
{
    struct sto_user_row row;

    if (r->key.len < 11 || !sto_user_row_get(r->value, &row))
        return false;
    NEW(r->arena, ExportUserConv, pigeon__export_user_conv, u);
    u->user = text_of(r->arena, sto_slice_of((const char *)r->key.data + 1, r->key.len - 10));
    u->num = sto_u64be((const uint8_t *)r->key.data + r->key.len - 8);
    u->conv = text_of(r->arena, row.conv);
    u->kind = (Pigeon__ConvKind)row.kind;
    u->gone = row.gone;
    u->first_seq = row.first_seq;
    line->what_case = PIGEON__EXPORT_LINE__WHAT_USER_CONV;
    line->user_conv = u;
    return true;
}

static bool file_line(struct row *r, Pigeon__ExportLine *line)
{
    char *text = text_of(r->arena, sto_slice_of((const char *)r->key.data + 1, r->key.len - 1));
    size_t file = strlen(text), user = file + 1 <= r->key.len - 1 ? strlen(text + file + 1) : 0;

    if (file + 1 + user + 1 >= r->key.len - 1)
        return false;
    NEW(r->arena, ExportFileLink, pigeon__export_file_link, f);
    f->file = text;
    f->user = text + file + 1;
    f->conv = text + file + 1 + user + 1;
    f->count = r->value.len == 4 ? sto_file_links_get(r->value) : 0;
    line->what_case = PIGEON__EXPORT_LINE__WHAT_FILE_LINK;
    line->file_link = f;
    return true;
}

static bool number_line(struct row *r, Pigeon__ExportLine *line)
{
    if (r->key.len != 9)
        return false;
    NEW(r->arena, ExportNumber, pigeon__export_number, n);
    n->num = sto_u64be((const uint8_t *)r->key.data + 1);
    n->conv = text_of(r->arena, r->value);
    line->what_case = PIGEON__EXPORT_LINE__WHAT_NUMBER;
    line->number = n;
    return true;
}

static bool meta_line(struct row *r, Pigeon__ExportLine *line)
{
    NEW(r->arena, ExportMeta, pigeon__export_meta, m);
    m->name = text_of(r->arena, sto_slice_of((const char *)r->key.data + 1, r->key.len - 1));
    m->value = bytes_of(r->arena, r->value);
    line->what_case = PIGEON__EXPORT_LINE__WHAT_META;
    line->meta = m;
    return true;
}

static bool main_line(struct row *r, Pigeon__ExportLine *line)
{
    switch (r->key.len ? *(const char *)r->key.data : 0) {
    case 'c':
        return conv_line(r, line);
    case 's':
        return state_line(r, line);
    case 'm':
        return member_line(r, line);
    case 'u':
        return user_conv_line(r, line);
    case 'f':
        return file_line(r, line);
    case 'n':
        return number_line(r, line);
    case '!':
        return meta_line(r, line);
    default:
        return false;
    }
}

static bool message_line(struct row *r, Pigeon__ExportLine *line)
{
    struct sto_msg_row row;

    if (r->key.len != 16 || !sto_msg_row_get(r->value, &row))
        return false;
    NEW(r->arena, ExportMessage, pigeon__export_message, m);
    m->num = sto_u64be(r->key.data);
    m->conv = name_of(r->names, r->arena, m->num);
    m->seq = sto_u64be((const uint8_t *)r->key.data + 8);
    m->commit = row.commit;
    m->ops = row.ops;
    m->n_edits = row.edits;
    m->edits = pgn_arena_alloc(r->arena, (row.edits + 1) * sizeof(uint64_t));
    memcpy(m->edits, row.edit, row.edits * sizeof(uint64_t));
    m->message = PGN_PB_UNPACK(Pigeon__Message, pigeon__message, r->arena, row.message.data, row.message.len);
    line->what_case = PIGEON__EXPORT_LINE__WHAT_MESSAGE;
    line->message = m;
    return m->message != NULL;
}

static bool retry_line(struct row *r, Pigeon__ExportLine *line)
{
    struct sto_retry_row row;

    if (!sto_retry_row_get(r->value, &row))
        return false;
    NEW(r->arena, ExportRetry, pigeon__export_retry, e);
    e->key = bytes_of(r->arena, r->key);
    e->num = row.num;
    e->conv = name_of(r->names, r->arena, row.num);
    e->seq = row.seq;
    e->at = row.at_s;
    line->what_case = PIGEON__EXPORT_LINE__WHAT_RETRY;
    line->retry = e;
    return true;
}

/* Does it come back as it was? */
static bool survives(struct pgn_arena *arena, const Pigeon__ExportLine *line, const struct sto_kv_put *row)
{
    struct pgn_buf text = {0}, key = {0}, value = {0};
    char problem[160];
    enum sto_cf cf = STO_CF_COUNT;

    sto_line_text(line, &text);
    const Pigeon__ExportLine *back = sto_line_parse(arena, (const char *)text.data, text.len, problem, sizeof problem);
    bool same = back && sto_line_to_row(back, &key, &value, &cf) && cf == row->cf && key.len == row->key.len &&
                value.len == row->value.len && memcmp(key.data, row->key.data, key.len) == 0 &&
                (value.len == 0 || memcmp(value.data, row->value.data, value.len) == 0);
    pgn_buf_release(&text);
    pgn_buf_release(&key);
    pgn_buf_release(&value);
    return same;
}

void sto_line_of_row(const struct pgn_map *names, struct pgn_arena *arena, const struct sto_kv_put *row, Pigeon__ExportLine *ret)
{
    struct row r = {names, arena, row->key, row->value};
    bool known = row->cf == STO_CF_MAIN ? main_line(&r, ret) : row->cf == STO_CF_MSG ? message_line(&r, ret) : retry_line(&r, ret);

    if (known && survives(arena, ret, row))
        return;
    NEW(arena, ExportRaw, pigeon__export_raw, raw);
    raw->part = (uint32_t)row->cf;
    raw->key = bytes_of(arena, row->key);
    raw->value = bytes_of(arena, row->value);
    ret->what_case = PIGEON__EXPORT_LINE__WHAT_RAW;
    ret->raw = raw;
}

/* ---- lines back to rows ---- */

static void key_set(struct pgn_buf *key, struct sto_key k)
{
    pgn_buf_append(key, k.data, k.len);
}

static void conv_back(const Pigeon__ExportConv *c, struct pgn_buf *value)
{
    struct pgn_buf settings = {0};

    if (c->settings)
        pgn_pb_pack(c->settings, &settings);
    struct sto_conv_row row = {c->num, c->created_at, (uint8_t)c->kind, slice_str(c->title), sto_slice_buf(&settings)};
    sto_conv_row_put(value, &row);
    pgn_buf_release(&settings);
}

static void state_back(const Pigeon__ExportState *s, struct pgn_buf *value)
{
    struct sto_state_row row = {.version = s->version,
                                .last_seq = s->last_seq,
                                .ops = s->ops,
                                .change = s->change,
                                .mention_all = s->mention_all,
                                .muted_until = s->muted_until,
                                .members = s->members,
                                .kind = (uint8_t)s->kind,
                                .side = {marks_back(s->first), marks_back(s->second)}};
    sto_state_row_put(value, &row);
}

static void member_back(const Pigeon__ExportMember *m, struct pgn_buf *value)
{
    struct sto_member_row row = {m->first_seq,         m->muted_until,   m->joined_at, m->change,
                                 marks_back(m->marks), (uint8_t)m->role, m->gone != 0};

    sto_member_row_put(value, &row);
}

static bool message_back(const Pigeon__ExportMessage *m, struct pgn_buf *value)
{
    struct pgn_buf packed = {0};
    struct sto_msg_row row = {.commit = m->commit, .ops = m->ops, .edits = (uint32_t)m->n_edits};

    if (m->n_edits > STO_EDITS_MAX || !m->message)
        return false;
    if (m->n_edits)
        memcpy(row.edit, m->edits, m->n_edits * sizeof(uint64_t));
    pgn_pb_pack(m->message, &packed);
    row.message = sto_slice_buf(&packed);
    sto_msg_row_put(value, &row);
    pgn_buf_release(&packed);
    return true;
}

/* Ids that are too long would end the process in the key's builder. */
static bool short_enough(const Pigeon__ExportLine *line)
{
    switch ((int)line->what_case) {
    case PIGEON__EXPORT_LINE__WHAT_CONV:
        return strlen(line->conv->conv) <= PGN_CONV_MAX;
    case PIGEON__EXPORT_LINE__WHAT_MEMBER:
        return strlen(line->member->user) <= PGN_USER_MAX;
    case PIGEON__EXPORT_LINE__WHAT_USER_CONV:
        return strlen(line->user_conv->user) <= PGN_USER_MAX;
    case PIGEON__EXPORT_LINE__WHAT_META:
        return strlen(line->meta->name) <= 64;
    case PIGEON__EXPORT_LINE__WHAT_FILE_LINK:
        return strlen(line->file_link->file) + strlen(line->file_link->user) + strlen(line->file_link->conv) < STO_KEY_MAX - 8;
    default:
        return true;
    }
}

static bool main_back(const Pigeon__ExportLine *line, struct pgn_buf *key, struct pgn_buf *value)
{
    uint8_t four[4];

    switch ((int)line->what_case) {
    case PIGEON__EXPORT_LINE__WHAT_CONV:
        key_set(key, sto_key_conv(line->conv->conv));
        conv_back(line->conv, value);
        return true;
    case PIGEON__EXPORT_LINE__WHAT_STATE:
        key_set(key, sto_key_state(line->state->num));
        state_back(line->state, value);
        return true;
    case PIGEON__EXPORT_LINE__WHAT_MEMBER:
        key_set(key, sto_key_member(line->member->num, line->member->user));
        member_back(line->member, value);
        return true;
    case PIGEON__EXPORT_LINE__WHAT_USER_CONV: {
        const Pigeon__ExportUserConv *u = line->user_conv;
        struct sto_user_row row = {(uint8_t)u->kind, u->gone != 0, slice_str(u->conv), u->first_seq};

        key_set(key, sto_key_user(u->user, u->num));
        sto_user_row_put(value, &row);
        return true;
    }
    case PIGEON__EXPORT_LINE__WHAT_FILE_LINK:
        key_set(key, sto_key_file(line->file_link->file, line->file_link->user, line->file_link->conv));
        if (line->file_link->count)
            pgn_buf_append(value, sto_file_links_put(four, line->file_link->count).data, sizeof four);
        return true;
    case PIGEON__EXPORT_LINE__WHAT_NUMBER:
        key_set(key, sto_key_num(line->number->num));
        pgn_buf_append_str(value, line->number->conv);
        return true;
    case PIGEON__EXPORT_LINE__WHAT_META:
        key_set(key, sto_key_meta(line->meta->name));
        pgn_buf_append(value, line->meta->value.data, line->meta->value.len);
        return true;
    default:
        return false;
    }
}

bool sto_line_to_row(const Pigeon__ExportLine *line, struct pgn_buf *key, struct pgn_buf *value, enum sto_cf *ret_cf)
{
    pgn_buf_clear(key);
    pgn_buf_clear(value);
    if (line->what_case == PIGEON__EXPORT_LINE__WHAT_MESSAGE) {
        *ret_cf = STO_CF_MSG;
        key_set(key, sto_key_msg(line->message->num, line->message->seq));
        return message_back(line->message, value);
    }
    if (line->what_case == PIGEON__EXPORT_LINE__WHAT_RETRY) {
        struct sto_retry_row row = {line->retry->num, line->retry->seq, line->retry->at};

        *ret_cf = STO_CF_RETRY;
        pgn_buf_append(key, line->retry->key.data, line->retry->key.len);
        sto_retry_row_put(value, &row);
        return true;
    }
    if (line->what_case == PIGEON__EXPORT_LINE__WHAT_RAW) {
        *ret_cf = (enum sto_cf)line->raw->part;
        pgn_buf_append(key, line->raw->key.data, line->raw->key.len);
        pgn_buf_append(value, line->raw->value.data, line->raw->value.len);
        return line->raw->part < STO_CF_COUNT && key->len > 0;
    }
    *ret_cf = STO_CF_MAIN;
    return short_enough(line) && main_back(line, key, value);
}

/* ---- text ---- */

void sto_line_text(const Pigeon__ExportLine *line, struct pgn_buf *out)
{
    pgn_json_encode(&line->base, out);
}

Pigeon__ExportLine *sto_line_parse(struct pgn_arena *arena, const char *text, size_t len, char *problem, size_t problem_bytes)
{
    ProtobufCMessage *message = NULL;

    if (pgn_json_decode(text, len, &pigeon__export_line__descriptor, arena, &message, problem, problem_bytes) != 0)
        return NULL;
    return (Pigeon__ExportLine *)message;
}
