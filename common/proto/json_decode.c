#include "common/proto/json_map.h"

#include "common/base/error.h"
#include "common/base/json.h"
#include "common/proto/json_field.h"

#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

enum { MAX_DEPTH = 32 };

static const json_int_t safe_integer = (1ll << 53) - 1; /* what a JavaScript number holds */

/* The way from the outermost object to the value that is being read: for the problem's text. */
struct path {
    const struct path *outer;
    const char *name;
};

struct reader {
    struct pgn_arena *arena;
    char *problem;
    size_t problem_bytes;
};

static int read_message(struct reader *r, const struct path *path, json_t *object, const ProtobufCMessageDescriptor *type,
                        ProtobufCMessage **ret_message);

static size_t path_text(const struct path *path, char *to, size_t bytes)
{
    size_t at;
    int n;

    if (!path)
        return 0;
    at = path_text(path->outer, to, bytes);
    if (at >= bytes)
        return bytes;
    n = snprintf(to + at, bytes - at, "%s%s", at ? "." : "", path->name);
    return n < 0 ? bytes : at + (size_t)n;
}

/* Only names of the schema go into the text, nothing that the peer wrote. */
static int refuse(struct reader *r, const struct path *path, const char *what)
{
    char where[96] = "";

    path_text(path, where, sizeof(where));
    snprintf(r->problem, r->problem_bytes, "%s%s%s", where, *where ? ": " : "", what);
    return PGN_E_SYNTAX;
}

/* ---- single values; at points to the member of the C struct ---- */

static bool is_unsigned(ProtobufCType type)
{
    return type == PROTOBUF_C_TYPE_UINT64 || type == PROTOBUF_C_TYPE_FIXED64 || type == PROTOBUF_C_TYPE_UINT32 ||
           type == PROTOBUF_C_TYPE_FIXED32;
}

static int read_integer(struct reader *r, const struct path *path, json_t *v, ProtobufCType type, void *at)
{
    bool wide = json_field_size(type) == sizeof(int64_t);
    json_int_t n = json_integer_value(v);
    json_int_t low = is_unsigned(type) ? 0 : wide ? -safe_integer : INT32_MIN;
    json_int_t high = wide ? safe_integer : is_unsigned(type) ? UINT32_MAX : INT32_MAX;

    if (!json_is_integer(v))
        return refuse(r, path, "not an integer");
    if (n < low || n > high)
        return refuse(r, path, "out of range");
    if (wide)
        *(int64_t *)at = n;
    else
        *(uint32_t *)at = (uint32_t)n;
    return 0;
}

static int read_number(struct reader *r, const struct path *path, json_t *v, ProtobufCType type, void *at)
{
    double n = json_number_value(v);

    if (!json_is_number(v))
        return refuse(r, path, "not a number");
    if (type == PROTOBUF_C_TYPE_FLOAT)
        *(float *)at = (float)n;
    else
        *(double *)at = n;
    return 0;
}

static int read_enum(struct reader *r, const struct path *path, json_t *v, const ProtobufCEnumDescriptor *type, int *ret)
{
    const ProtobufCEnumValue *word;

    if (!json_is_string(v))
        return refuse(r, path, "not a string");
    word = protobuf_c_enum_descriptor_get_value_by_name(type, json_string_value(v));
    if (!word)
        return refuse(r, path, "not one of the words of this field");
    *ret = word->value;
    return 0;
}

static int read_string(struct reader *r, const struct path *path, json_t *v, char **ret)
{
    size_t len = json_string_length(v);

    if (!json_is_string(v))
        return refuse(r, path, "not a string");
    *ret = pgn_arena_alloc(r->arena, len + 1);
    memcpy(*ret, json_string_value(v), len + 1); /* jansson refused bad UTF-8 and zero characters */
    return 0;
}

static int read_bytes(struct reader *r, const struct path *path, json_t *v, ProtobufCBinaryData *ret)
{
    size_t len = json_string_length(v), room = len / 4 * 3 + 3;

    if (!json_is_string(v))
        return refuse(r, path, "not a string");
    ret->data = pgn_arena_alloc(r->arena, room);
    if (sodium_base642bin(ret->data, room, json_string_value(v), len, NULL, &ret->len, NULL, sodium_base64_VARIANT_ORIGINAL) != 0)
        return refuse(r, path, "not base64");
    return 0;
}

static int read_value(struct reader *r, const struct path *path, json_t *v, const ProtobufCFieldDescriptor *f, void *at)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_DOUBLE:
        return read_number(r, path, v, f->type, at);
    case PROTOBUF_C_TYPE_BOOL:
        if (!json_is_boolean(v))
            return refuse(r, path, "not true or false");
        *(protobuf_c_boolean *)at = json_is_true(v);
        return 0;
    case PROTOBUF_C_TYPE_ENUM:
        return read_enum(r, path, v, f->descriptor, at);
    case PROTOBUF_C_TYPE_STRING:
        return read_string(r, path, v, at);
    case PROTOBUF_C_TYPE_BYTES:
        return read_bytes(r, path, v, at);
    case PROTOBUF_C_TYPE_MESSAGE:
        return read_message(r, path, v, f->descriptor, at);
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        break;
    }
    return read_integer(r, path, v, f->type, at);
}

/* ---- fields ---- */

static int read_list(struct reader *r, const struct path *path, json_t *list, const ProtobufCFieldDescriptor *f, uint8_t *base)
{
    size_t count = json_array_size(list), size = json_field_size(f->type);
    uint8_t *values;

    if (!json_is_array(list))
        return refuse(r, path, "not a list");
    if (count == 0)
        return 0;
    values = pgn_arena_alloc(r->arena, count * size);
    memset(values, 0, count * size);
    for (size_t i = 0; i < count; i++) {
        int e = read_value(r, path, json_array_get(list, i), f, values + i * size);
        if (e)
            return e;
    }
    *(size_t *)(void *)(base + f->quantifier_offset) = count;
    *(uint8_t **)(void *)(base + f->offset) = values;
    return 0;
}

static int read_field(struct reader *r, const struct path *path, json_t *v, const ProtobufCFieldDescriptor *f, uint8_t *base)
{
    uint32_t *chosen = (uint32_t *)(void *)(base + f->quantifier_offset);

    if (json_is_null(v))
        return 0;
    if (f->label == PROTOBUF_C_LABEL_REPEATED)
        return read_list(r, path, v, f, base);
    if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
        if (*chosen)
            return refuse(r, path, "excludes another field that is there too");
        *chosen = f->id;
    } else if (f->label == PROTOBUF_C_LABEL_OPTIONAL && f->type != PROTOBUF_C_TYPE_STRING && f->type != PROTOBUF_C_TYPE_MESSAGE) {
        *(protobuf_c_boolean *)(base + f->quantifier_offset) = 1; /* proto2: has_FIELD */
    }
    return read_value(r, path, v, f, base + f->offset);
}

/* proto2: what is required and would be NULL is refused, so that nobody needs to check. */
static int check_required(struct reader *r, const struct path *path, const ProtobufCMessage *m)
{
    for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
        struct path here = {path, f->name};
        if (f->label != PROTOBUF_C_LABEL_REQUIRED || (f->type != PROTOBUF_C_TYPE_STRING && f->type != PROTOBUF_C_TYPE_MESSAGE))
            continue;
        if (!*(void *const *)(const void *)((const uint8_t *)m + f->offset))
            return refuse(r, &here, "missing");
    }
    return 0;
}

static int read_message(struct reader *r, const struct path *path, json_t *object, const ProtobufCMessageDescriptor *type,
                        ProtobufCMessage **ret_message)
{
    ProtobufCMessage *m;
    const char *key;
    json_t *v;

    if (!json_is_object(object))
        return refuse(r, path, "not an object");
    m = pgn_arena_alloc(r->arena, type->sizeof_message);
    protobuf_c_message_init(type, m);
    json_object_foreach(object, key, v)
    {
        const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field_by_name(type, key);
        struct path here = {path, f ? f->name : NULL};
        int e = f ? read_field(r, &here, v, f, (uint8_t *)m) : 0;
        if (e)
            return e;
    }
    if (check_required(r, path, m) != 0)
        return PGN_E_SYNTAX;
    *ret_message = m;
    return 0;
}

int pgn_json_decode(const char *text, size_t len, const ProtobufCMessageDescriptor *type, struct pgn_arena *arena,
                    ProtobufCMessage **ret_message, char *ret_problem, size_t problem_bytes)
{
    struct reader r = {arena, ret_problem, problem_bytes};
    json_error_t error;
    json_t *root;
    int e;

    if (!pgn_json_depth_ok(text, len, MAX_DEPTH))
        return refuse(&r, NULL, "nested too deeply");
    root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
    if (!root) {
        snprintf(ret_problem, problem_bytes, "not well-formed JSON (at byte %d)", error.position);
        return PGN_E_SYNTAX;
    }
    e = read_message(&r, NULL, root, type, ret_message);
    json_decref(root);
    return e;
}
