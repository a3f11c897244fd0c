/*
 * Random messages of any type of the schema, and the list of all its types. What they hold survives both encodings:
 * numbers below 2^53, valid UTF-8, known enum words.
 */
#ifndef PGN_TESTS_UNIT_COMMON_PROTO_RANDOM_MESSAGE_H
#define PGN_TESTS_UNIT_COMMON_PROTO_RANDOM_MESSAGE_H

#include "tests/unit/common/test.h"

#include "common/base/alloc.h"
#include "common/proto/json_field.h"
#include "common/proto/pb.h"

enum { ALL_TYPES_MAX = 200 };

static const ProtobufCMessageDescriptor *all_types[ALL_TYPES_MAX];
static size_t all_types_count;

static inline void add_type(const ProtobufCMessageDescriptor *type)
{
    for (size_t i = 0; i < all_types_count; i++)
        if (all_types[i] == type)
            return;
    assert_true(all_types_count < ALL_TYPES_MAX);
    all_types[all_types_count++] = type;
    for (unsigned i = 0; i < type->n_fields; i++)
        if (type->fields[i].type == PROTOBUF_C_TYPE_MESSAGE)
            add_type(type->fields[i].descriptor);
}

/* Everything that can be reached from what is sent. */
static inline void find_all_types(void)
{
    static const ProtobufCMessageDescriptor *const roots[] = {
        &pigeon__client_frame__descriptor,    &pigeon__server_frame__descriptor,
        &pigeon__batch__descriptor,           &pigeon__commit_batch__descriptor,
        &pigeon__batch_result__descriptor,    &pigeon__events__descriptor,
        &pigeon__store_up__descriptor,        &pigeon__policy_changed__descriptor,
        &pigeon__op_request__descriptor,      &pigeon__reply__descriptor,
        &pigeon__conv_request__descriptor,    &pigeon__session_request__descriptor,
        &pigeon__dir_request__descriptor,     &pigeon__admin_request__descriptor,
        &pigeon__presence_events__descriptor, &pigeon__presence_request__descriptor,
        &pigeon__gateway_control__descriptor, &pigeon__node_load__descriptor,
    };
    for (size_t i = 0; i < PGN_COUNT(roots); i++)
        add_type(roots[i]);
}

static ProtobufCMessage *random_message(const ProtobufCMessageDescriptor *type, struct pgn_arena *arena, int depth);

static inline char *random_text(struct pgn_arena *arena)
{
    static const char *const pieces[] = {
        "a", "hello", " ", "\"", "\\", "\n", "\x01", "\x7f", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x91\x8d", "/"};
    char text[128] = "";

    for (uint64_t n = pgn_random_below(8); n > 0; n--)
        strcat(text, pieces[pgn_random_below(PGN_COUNT(pieces))]);
    return pgn_arena_strdup(arena, text);
}

static inline void random_integer(ProtobufCType type, void *at)
{
    uint64_t v = pgn_random_below(3) ? pgn_random_below(1ull << 53) >> pgn_random_below(53) : 0;

    if (json_field_size(type) == 8)
        *(uint64_t *)at = v;
    else if (type == PROTOBUF_C_TYPE_BOOL)
        *(protobuf_c_boolean *)at = (int)(v & 1);
    else
        *(uint32_t *)at = (uint32_t)v;
}

static inline void random_value(const ProtobufCFieldDescriptor *f, void *at, struct pgn_arena *arena, int depth)
{
    const ProtobufCEnumDescriptor *words = f->descriptor;
    ProtobufCBinaryData *bytes = at;

    if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
        *(ProtobufCMessage **)at = random_message(f->descriptor, arena, depth - 1);
    } else if (f->type == PROTOBUF_C_TYPE_STRING) {
        *(char **)at = random_text(arena);
    } else if (f->type == PROTOBUF_C_TYPE_BYTES) {
        bytes->len = pgn_random_below(40);
        bytes->data = pgn_arena_alloc(arena, bytes->len);
        pgn_random(bytes->data, bytes->len);
    } else if (f->type == PROTOBUF_C_TYPE_ENUM) {
        *(int *)at = words->values[pgn_random_below(words->n_values)].value;
    } else if (f->type == PROTOBUF_C_TYPE_DOUBLE) {
        *(double *)at = (double)(int64_t)pgn_random_below(1ull << 60) / 1e7 - 1e9;
    } else {
        random_integer(f->type, at);
    }
}

static inline void random_list(const ProtobufCFieldDescriptor *f, uint8_t *base, struct pgn_arena *arena, int depth)
{
    size_t count = pgn_random_below(4), size = json_field_size(f->type);
    uint8_t *values;

    if (count == 0)
        return;
    values = pgn_arena_alloc(arena, count * size);
    memset(values, 0, count * size);
    for (size_t i = 0; i < count; i++)
        random_value(f, values + i * size, arena, depth);
    *(size_t *)(void *)(base + f->quantifier_offset) = count;
    *(uint8_t **)(void *)(base + f->offset) = values;
}

static ProtobufCMessage *random_message(const ProtobufCMessageDescriptor *type, struct pgn_arena *arena, int depth)
{
    ProtobufCMessage *m = pgn_arena_alloc(arena, type->sizeof_message);
    uint8_t *base = (uint8_t *)m;

    protobuf_c_message_init(type, m);
    for (unsigned k = 0, first = (unsigned)pgn_random_below(type->n_fields + 1); k < type->n_fields; k++) {
        const ProtobufCFieldDescriptor *f = &type->fields[(first + k) % type->n_fields];
        uint32_t *chosen = (uint32_t *)(void *)(base + f->quantifier_offset);
        if (f->type == PROTOBUF_C_TYPE_MESSAGE && depth <= 0)
            continue;
        if (f->label == PROTOBUF_C_LABEL_REPEATED) {
            random_list(f, base, arena, depth);
        } else if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
            if (*chosen || pgn_random_below(8) == 0)
                continue;
            *chosen = f->id;
            random_value(f, base + f->offset, arena, depth);
        } else if (pgn_random_below(3)) {
            random_value(f, base + f->offset, arena, depth);
        }
    }
    return m;
}

#endif
