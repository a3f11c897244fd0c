#include "services/storage/rows.h"

#include <string.h>

enum { ROW_FORMAT = 1 };

/* ---- keys ---- */

static void key_add(struct sto_key *k, const void *data, size_t len)
{
    if (len > sizeof k->data - k->len)
        len = sizeof k->data - k->len; /* ids are validated before: they fit */
    memcpy(k->data + k->len, data, len);
    k->len += len;
}
static void key_add_str(struct sto_key *k, const char *s)
{
    key_add(k, s, strlen(s));
}
static void key_add_byte(struct sto_key *k, uint8_t byte)
{
    key_add(k, &byte, 1);
}
static void key_add_u64(struct sto_key *k, uint64_t v)
{
    uint8_t b[8];

    for (int i = 0; i < 8; i++)
        b[i] = (uint8_t)(v >> (56 - 8 * i));
    key_add(k, b, sizeof b);
}
static struct sto_key key_begin(char letter)
{
    struct sto_key k;

    k.data[0] = (uint8_t)letter;
    k.len = 1;
    return k;
}

struct sto_key sto_key_conv(const char *conv)
{
    struct sto_key k = key_begin('c');

    key_add_str(&k, conv);
    return k;
}

struct sto_key sto_key_state(uint64_t num)
{
    struct sto_key k = key_begin('s');

    key_add_u64(&k, num);
    return k;
}

struct sto_key sto_key_num(uint64_t num)
{
    struct sto_key k = key_begin('n');

    key_add_u64(&k, num);
    return k;
}

struct sto_key sto_key_member(uint64_t num, const char *user)
{
    struct sto_key k = key_begin('m');

    key_add_u64(&k, num);
    key_add_str(&k, user);
    return k;
}

struct sto_key sto_key_user(const char *user, uint64_t num)
{
    struct sto_key k = key_begin('u');

    key_add_str(&k, user);
    key_add_byte(&k, 0);
    key_add_u64(&k, num);
    return k;
}

struct sto_key sto_key_file_prefix(const char *file)
{
    struct sto_key k = key_begin('f');

    key_add_str(&k, file);
    key_add_byte(&k, 0);
    return k;
}

struct sto_key sto_key_file(const char *file, const char *user, const char *conv)
{
    struct sto_key k = sto_key_file_prefix(file);

    key_add_str(&k, user);
    key_add_byte(&k, 0);
    key_add_str(&k, conv);
    return k;
}

uint32_t sto_file_links_get(struct sto_slice value)
{
    const uint8_t *b = value.data;

    return value.len == 4 ? (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3] : 1;
}

struct sto_slice sto_file_links_put(uint8_t bytes[4], uint32_t count)
{
    for (int i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(count >> (24 - 8 * i));
    return sto_slice_of(bytes, 4);
}

struct sto_key sto_key_meta(const char *name)
{
    struct sto_key k = key_begin('!');

    key_add_str(&k, name);
    return k;
}

struct sto_key sto_key_msg(uint64_t num, uint64_t seq)
{
    struct sto_key k;

    k.len = 0;
    key_add_u64(&k, num);
    key_add_u64(&k, seq);
    return k;
}

struct sto_key sto_key_after(const struct sto_key *prefix)
{
    struct sto_key k = *prefix;

    while (k.len > 0 && k.data[k.len - 1] == 0xff)
        k.len--;
    if (k.len > 0)
        k.data[k.len - 1]++;
    return k;
}

uint64_t sto_u64be(const void *bytes)
{
    const uint8_t *p = bytes;
    uint64_t v = 0;

    for (int i = 0; i < 8; i++)
        v = v << 8 | p[i];
    return v;
}

/* ---- reading ---- */

struct reader {
    const uint8_t *at, *end;
    bool bad;
};

static struct reader reader_of(struct sto_slice value)
{
    struct reader r = {value.data, (const uint8_t *)value.data + value.len, false};

    if (value.len < 1 || *r.at++ != ROW_FORMAT)
        r.bad = true;
    return r;
}

static uint64_t get_varint(struct reader *r)
{
    uint64_t v = 0;

    for (unsigned shift = 0; !r->bad && shift < 64; shift += 7) {
        if (r->at >= r->end)
            break;
        uint8_t byte = *r->at++;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return v;
    }
    r->bad = true;
    return 0;
}

static struct sto_slice get_bytes(struct reader *r)
{
    uint64_t len = get_varint(r);
    struct sto_slice s = {r->at, (size_t)len};

    if (r->bad || len > (uint64_t)(r->end - r->at)) {
        r->bad = true;
        return (struct sto_slice){"", 0};
    }
    r->at += len;
    return s;
}

static void get_marks(struct reader *r, struct sto_marks *ret)
{
    ret->read = get_varint(r);
    ret->read_ops = get_varint(r);
    ret->delivered = get_varint(r);
    ret->mentioned = get_varint(r);
}

/* ---- writing ---- */

size_t sto_varint_len(uint64_t v)
{
    size_t n = 1;

    while (v >= 0x80) {
        v >>= 7;
        n++;
    }
    return n;
}

void sto_put_varint(struct pgn_buf *out, uint64_t v)
{
    pgn_buf_reserve(out, 10);
    uint8_t *p = out->data + out->len;
    while (v >= 0x80) {
        *p++ = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    *p++ = (uint8_t)v;
    out->len = (size_t)(p - out->data);
}

void sto_put_field(struct pgn_buf *out, uint32_t field, struct sto_slice bytes)
{
    sto_put_varint(out, (uint64_t)field << 3 | 2);
    sto_put_varint(out, bytes.len);
    pgn_buf_append(out, bytes.data, bytes.len);
}

void sto_put_field_u64(struct pgn_buf *out, uint32_t field, uint64_t v)
{
    if (v == 0)
        return;
    sto_put_varint(out, (uint64_t)field << 3);
    sto_put_varint(out, v);
}

static void put_bytes(struct pgn_buf *out, struct sto_slice s)
{
    sto_put_varint(out, s.len);
    pgn_buf_append(out, s.data, s.len);
}

static void put_marks(struct pgn_buf *out, const struct sto_marks *m)
{
    sto_put_varint(out, m->read);
    sto_put_varint(out, m->read_ops);
    sto_put_varint(out, m->delivered);
    sto_put_varint(out, m->mentioned);
}

/* ---- rows ---- */

void sto_conv_row_put(struct pgn_buf *out, const struct sto_conv_row *row)
{
    pgn_buf_append_byte(out, ROW_FORMAT);
    pgn_buf_append_byte(out, row->kind);
    sto_put_varint(out, row->num);
    sto_put_varint(out, row->created_at);
    put_bytes(out, row->title);
    put_bytes(out, row->settings);
}

bool sto_conv_row_get(struct sto_slice value, struct sto_conv_row *ret_row)
{
    struct reader r = reader_of(value);

    ret_row->kind = (uint8_t)get_varint(&r);
    ret_row->num = get_varint(&r);
    ret_row->created_at = get_varint(&r);
    ret_row->title = get_bytes(&r);
    ret_row->settings = get_bytes(&r);
    return !r.bad;
}

void sto_state_row_put(struct pgn_buf *out, const struct sto_state_row *row)
{
    pgn_buf_append_byte(out, ROW_FORMAT);
    pgn_buf_append_byte(out, row->kind);
    sto_put_varint(out, row->version);
    sto_put_varint(out, row->last_seq);
    sto_put_varint(out, row->ops);
    sto_put_varint(out, row->change);
    if (row->kind == STO_DIRECT) {
        put_marks(out, &row->side[0]);
        put_marks(out, &row->side[1]);
        return;
    }
    sto_put_varint(out, row->mention_all);
    sto_put_varint(out, row->muted_until);
    sto_put_varint(out, row->members);
}

bool sto_state_row_get(struct sto_slice value, struct sto_state_row *ret_row)
{
    struct reader r = reader_of(value);

    memset(ret_row, 0, sizeof *ret_row);
    ret_row->kind = (uint8_t)get_varint(&r);
    ret_row->version = get_varint(&r);
    ret_row->last_seq = get_varint(&r);
    ret_row->ops = get_varint(&r);
    ret_row->change = get_varint(&r);
    if (ret_row->kind == STO_DIRECT) {
        get_marks(&r, &ret_row->side[0]);
        get_marks(&r, &ret_row->side[1]);
    } else {
        ret_row->mention_all = get_varint(&r);
        ret_row->muted_until = get_varint(&r);
        ret_row->members = (uint32_t)get_varint(&r);
    }
    return !r.bad;
}

void sto_member_row_put(struct pgn_buf *out, const struct sto_member_row *row)
{
    pgn_buf_append_byte(out, ROW_FORMAT);
    pgn_buf_append_byte(out, (uint8_t)(row->role | (row->gone ? 0x40 : 0)));
    sto_put_varint(out, row->first_seq);
    sto_put_varint(out, row->muted_until);
    sto_put_varint(out, row->joined_at);
    sto_put_varint(out, row->change);
    put_marks(out, &row->marks);
}

bool sto_member_row_get(struct sto_slice value, struct sto_member_row *ret_row)
{
    struct reader r = reader_of(value);
    uint64_t flags = get_varint(&r);

    ret_row->role = (uint8_t)(flags & 0x3f);
    ret_row->gone = (flags & 0x40) != 0;
    ret_row->first_seq = get_varint(&r);
    ret_row->muted_until = get_varint(&r);
    ret_row->joined_at = get_varint(&r);
    ret_row->change = get_varint(&r);
    get_marks(&r, &ret_row->marks);
    return !r.bad;
}

void sto_user_row_put(struct pgn_buf *out, const struct sto_user_row *row)
{
    pgn_buf_append_byte(out, ROW_FORMAT);
    pgn_buf_append_byte(out, (uint8_t)(row->kind | (row->gone ? 0x40 : 0)));
    put_bytes(out, row->conv);
    sto_put_varint(out, row->first_seq);
}

bool sto_user_row_get(struct sto_slice value, struct sto_user_row *ret_row)
{
    struct reader r = reader_of(value);
    uint64_t flags = get_varint(&r);

    ret_row->kind = (uint8_t)(flags & 0x3f);
    ret_row->gone = (flags & 0x40) != 0;
    ret_row->conv = get_bytes(&r);
    ret_row->first_seq = r.at < r.end ? get_varint(&r) : 0;
    return !r.bad && ret_row->conv.len > 0 && ret_row->conv.len <= PGN_CONV_MAX;
}

void sto_msg_row_put(struct pgn_buf *out, const struct sto_msg_row *row)
{
    pgn_buf_append_byte(out, ROW_FORMAT);
    sto_put_varint(out, row->commit);
    sto_put_varint(out, row->ops);
    sto_put_varint(out, row->edits);
    for (uint32_t i = 0; i < row->edits; i++)
        sto_put_varint(out, row->edit[i]);
    pgn_buf_append(out, row->message.data, row->message.len);
}

bool sto_msg_row_get(struct sto_slice value, struct sto_msg_row *ret_row)
{
    struct reader r = reader_of(value);

    ret_row->commit = get_varint(&r);
    ret_row->ops = get_varint(&r);
    uint64_t edits = get_varint(&r);
    if (r.bad || edits > STO_EDITS_MAX)
        return false;
    ret_row->edits = (uint32_t)edits;
    for (uint32_t i = 0; i < ret_row->edits; i++)
        ret_row->edit[i] = get_varint(&r);
    ret_row->message = (struct sto_slice){r.at, (size_t)(r.end - r.at)};
    return !r.bad;
}

void sto_retry_row_put(struct pgn_buf *out, const struct sto_retry_row *row)
{
    pgn_buf_append_byte(out, ROW_FORMAT);
    sto_put_varint(out, row->num);
    sto_put_varint(out, row->seq);
    sto_put_varint(out, row->at_s);
}

bool sto_retry_row_get(struct sto_slice value, struct sto_retry_row *ret_row)
{
    struct reader r = reader_of(value);

    ret_row->num = get_varint(&r);
    ret_row->seq = get_varint(&r);
    ret_row->at_s = (uint32_t)get_varint(&r);
    return !r.bad;
}
