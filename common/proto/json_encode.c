#include "common/proto/json_map.h"

#include "common/base/json.h"
#include "common/proto/json_field.h"

#include "client.pb-c.h"

#include <sodium.h>
#include <string.h>

/* Fields that are left out when zero: those marked "sparse" in client.proto, by field number (below 64). */
#define BIT(number) (1ull << (number))
static const struct sparse {
    const ProtobufCMessageDescriptor *type;
    uint64_t numbers;
} sparse_table[] = {
    {&pigeon__message__descriptor, BIT(10) | BIT(12) | BIT(13)}, /* reply_to, edited_at, recalled */
    {&pigeon__server_frame__descriptor, BIT(1)},                 /* id */
    {&pigeon__conv_state__descriptor,                            /* gone, peer_read, peer_delivered, members, mentioned */
     BIT(11) | BIT(13) | BIT(14) | BIT(15) | BIT(17)},
    {&pigeon__operation__descriptor, BIT(2) | BIT(5) | BIT(7) | BIT(9)}, /* seq, on, role, until */
    {&pigeon__file__descriptor, BIT(5) | BIT(6) | BIT(7)},               /* width, height, duration_ms */
    {&pigeon__send__descriptor, BIT(5)},                                 /* reply_to */
    {&pigeon__error__descriptor, BIT(4)},                                /* retry_after_ms */
};

static uint64_t sparse_of(const ProtobufCMessageDescriptor *type)
{
    for (size_t i = 0; i < PGN_COUNT(sparse_table); i++)
        if (sparse_table[i].type == type)
            return sparse_table[i].numbers;
    return 0;
}

static void write_message(struct pgn_json *j, const ProtobufCMessage *m);

/* ---- single values; at points to the member of the C struct ---- */

static void write_enum(struct pgn_json *j, const ProtobufCEnumDescriptor *type, int value)
{
    const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(type, value);

    if (v)
        pgn_json_str(j, v->name);
    else
        pgn_json_i64(j, value); /* of a newer schema */
}

static void write_bytes(struct pgn_json *j, const ProtobufCBinaryData *data)
{
    size_t size = sodium_base64_ENCODED_LEN(data->len, sodium_base64_VARIANT_ORIGINAL);
    struct pgn_buf text = {0};

    pgn_buf_reserve(&text, size);
    sodium_bin2base64((char *)text.data, size, data->data, data->len, sodium_base64_VARIANT_ORIGINAL);
    pgn_json_str(j, (const char *)text.data);
    pgn_buf_release(&text);
}

static void write_value(struct pgn_json *j, const ProtobufCFieldDescriptor *f, const void *at)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        pgn_json_u64(j, *(const uint64_t *)at);
        break;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        pgn_json_u64(j, *(const uint32_t *)at);
        break;
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        pgn_json_i64(j, *(const int32_t *)at);
        break;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        pgn_json_i64(j, *(const int64_t *)at);
        break;
    case PROTOBUF_C_TYPE_FLOAT:
        pgn_json_f64(j, (double)*(const float *)at);
        break;
    case PROTOBUF_C_TYPE_DOUBLE:
        pgn_json_f64(j, *(const double *)at);
        break;
    case PROTOBUF_C_TYPE_BOOL:
        pgn_json_bool(j, *(const protobuf_c_boolean *)at);
        break;
    case PROTOBUF_C_TYPE_ENUM:
        write_enum(j, f->descriptor, *(const int *)at);
        break;
    case PROTOBUF_C_TYPE_STRING:
        pgn_json_str(j, *(char *const *)at);
        break;
    case PROTOBUF_C_TYPE_BYTES:
        write_bytes(j, at);
        break;
    case PROTOBUF_C_TYPE_MESSAGE:
        write_message(j, *(ProtobufCMessage *const *)at);
        break;
    }
}

/* ---- fields ---- */

static bool is_zero(const ProtobufCFieldDescriptor *f, const void *at)
{
    static const uint64_t zero;
    return memcmp(at, &zero, json_field_size(f->type)) == 0;
}

/* Whether a singular field outside of a oneof is written. */
static bool is_shown(const ProtobufCFieldDescriptor *f, const void *at, const uint8_t *base, uint64_t sparse)
{
    const char *s;

    if (f->type == PROTOBUF_C_TYPE_MESSAGE)
        return *(ProtobufCMessage *const *)at != NULL;
    if (f->type == PROTOBUF_C_TYPE_STRING) {
        s = *(char *const *)at;
        return s && *s;
    }
    if (f->label == PROTOBUF_C_LABEL_OPTIONAL) /* proto2: has_FIELD */
        return *(const protobuf_c_boolean *)(const void *)(base + f->quantifier_offset);
    if (f->type == PROTOBUF_C_TYPE_BYTES)
        return ((const ProtobufCBinaryData *)at)->len > 0;
    if (f->type == PROTOBUF_C_TYPE_ENUM || (f->id < 64 && (sparse & BIT(f->id))))
        return !is_zero(f, at);
    return true;
}

/* Whether this member of a oneof is the one that is set. */
static bool is_chosen(const ProtobufCFieldDescriptor *f, const void *at, const uint8_t *base)
{
    if (*(const uint32_t *)(const void *)(base + f->quantifier_offset) != f->id)
        return false;
    if (f->type == PROTOBUF_C_TYPE_MESSAGE || f->type == PROTOBUF_C_TYPE_STRING)
        return *(void *const *)at != NULL;
    return true;
}

static void write_repeated(struct pgn_json *j, const ProtobufCFieldDescriptor *f, const uint8_t *base)
{
    size_t count = *(const size_t *)(const void *)(base + f->quantifier_offset), size = json_field_size(f->type);
    const uint8_t *at = *(uint8_t *const *)(const void *)(base + f->offset);

    if (count == 0)
        return;
    pgn_json_key(j, f->name);
    pgn_json_array(j);
    for (size_t i = 0; i < count; i++)
        write_value(j, f, at + i * size);
    pgn_json_array_end(j);
}

static void write_message(struct pgn_json *j, const ProtobufCMessage *m)
{
    const ProtobufCMessageDescriptor *type = m->descriptor;
    const uint8_t *base = (const uint8_t *)m;
    uint64_t sparse = sparse_of(type);

    pgn_json_object(j);
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &type->fields[i];
        const void *at = base + f->offset;
        if (f->label == PROTOBUF_C_LABEL_REPEATED) {
            write_repeated(j, f, base);
        } else if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF ? is_chosen(f, at, base) : is_shown(f, at, base, sparse)) {
            pgn_json_key(j, f->name);
            write_value(j, f, at);
        }
    }
    pgn_json_object_end(j);
}

void pgn_json_encode(const ProtobufCMessage *message, struct pgn_buf *out)
{
    struct pgn_json j = pgn_json_on(out);
    write_message(&j, message);
}
