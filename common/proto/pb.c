#include "common/proto/pb.h"

#include "common/base/utf8.h"

#include <stdbool.h>
#include <string.h>

enum { MAX_DEPTH = 32, MAX_FIELD = (1 << 29) - 1 };

void pgn_pb_pack(const void *message, struct pgn_buf *out)
{
    size_t size = protobuf_c_message_get_packed_size(message);

    if (size == 0)
        return; /* out may have no memory yet */
    pgn_buf_reserve(out, size);
    out->len += protobuf_c_message_pack(message, out->data + out->len);
}

/* ---- checks before protobuf-c sees it: it recurses without a limit and takes any bytes for a string ---- */

enum wire_type { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

static bool varint(const uint8_t **at, const uint8_t *end, uint64_t *ret_v)
{
    const uint8_t *p = *at;
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 70 && p < end; shift += 7) {
        v |= shift < 64 ? (uint64_t)(*p & 0x7f) << shift : 0;
        if (!(*p++ & 0x80)) {
            *at = p;
            *ret_v = v;
            return true;
        }
    }
    return false;
}

/* The field of this number, or NULL. Numbers are dense in our schema: the guess is nearly always right. */
static const ProtobufCFieldDescriptor *field_of(const ProtobufCMessageDescriptor *type, uint64_t number)
{
    if (number >= 1 && number <= type->n_fields && type->fields[number - 1].id == number)
        return &type->fields[number - 1];
    return protobuf_c_message_descriptor_get_field(type, (unsigned)number);
}

static bool wire_ok(const ProtobufCMessageDescriptor *type, const uint8_t *p, const uint8_t *end, int depth);

static bool bytes_ok(const ProtobufCFieldDescriptor *f, const uint8_t *data, size_t len, int depth)
{
    if (f && f->type == PROTOBUF_C_TYPE_STRING)
        return pgn_utf8_valid(data, len) && !(len && memchr(data, 0, len));
    if (f && f->type == PROTOBUF_C_TYPE_MESSAGE)
        return depth < MAX_DEPTH && wire_ok(f->descriptor, data, data + len, depth + 1);
    return true;
}

/*
 * A part that comes twice: protobuf-c would merge the two, and copy all their lists for that. Thousands in one frame would cost
 * hundreds of megabytes, and no encoder writes any. *seen: the parts that were there before, by number.
 */
static bool twice(const ProtobufCFieldDescriptor *f, uint64_t *seen)
{
    if (!f || f->type != PROTOBUF_C_TYPE_MESSAGE || f->label == PROTOBUF_C_LABEL_REPEATED || f->id > 63)
        return false;
    bool before = *seen >> f->id & 1;
    *seen |= 1ull << f->id;
    return before;
}

static bool wire_ok(const ProtobufCMessageDescriptor *type, const uint8_t *p, const uint8_t *end, int depth)
{
    const ProtobufCFieldDescriptor *f;
    uint64_t tag, v, seen = 0;

    while (p < end) {
        if (!varint(&p, end, &tag) || tag >> 3 < 1 || tag >> 3 > MAX_FIELD)
            return false;
        switch ((unsigned)tag & 7) {
        case WIRE_VARINT:
            if (!varint(&p, end, &v))
                return false;
            break;
        case WIRE_64:
        case WIRE_32:
            v = (tag & 7) == WIRE_64 ? 8 : 4;
            if ((size_t)(end - p) < v)
                return false;
            p += v;
            break;
        case WIRE_BYTES:
            f = field_of(type, tag >> 3);
            if (!varint(&p, end, &v) || v > (size_t)(end - p) || twice(f, &seen) || !bytes_ok(f, p, (size_t)v, depth))
                return false;
            p += v;
            break;
        default: /* groups are not of proto3 */
            return false;
        }
    }
    return true;
}

/* ---- decoding into an arena ---- */

static void *arena_alloc(void *arena, size_t bytes)
{
    return pgn_arena_alloc(arena, bytes);
}

static void arena_keep(void *arena, void *data)
{
    (void)arena, (void)data; /* freed with the arena */
}

void *pgn_pb_unpack(const ProtobufCMessageDescriptor *type, struct pgn_arena *arena, const void *data, size_t len)
{
    ProtobufCAllocator in_arena = {arena_alloc, arena_keep, arena};
    const uint8_t *p = data;

    if (len && !wire_ok(type, p, p + len, 1))
        return NULL;
    return protobuf_c_message_unpack(type, &in_arena, len, p);
}
