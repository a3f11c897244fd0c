#include "common/proto/json_map.h"

#include "common/base/error.h"
#include "common/proto/json_field.h"
#include "common/proto/json_text.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

enum { MAX_DEPTH = 32, MAX_FIELDS = 64 };

static const int64_t safe_integer = (1ll << 53) - 1; /* what a JavaScript number holds */

/* The way from the outermost object to the value that is being read: for the problem's text. */
struct path {
    const struct path *outer;
    const char *name;
};

struct reader {
    struct json_text text;
    const char *start;
    struct pgn_arena *arena;
    char *problem;
    size_t problem_bytes;
};

static int read_message(struct reader *r, const struct path *path, const ProtobufCMessageDescriptor *type, ProtobufCMessage **ret_message);

/* ---- saying no ---- */

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

static int broken(struct reader *r)
{
    if (r->text.depth < 0)
        return refuse(r, NULL, "nested too deeply");
    snprintf(r->problem, r->problem_bytes, "not well-formed JSON (at byte %zu)", (size_t)(r->text.at - r->start));
    return PGN_E_SYNTAX;
}

/* ---- single values; at points to the member of the C struct ---- */

static bool is_unsigned(ProtobufCType type)
{
    return type == PROTOBUF_C_TYPE_UINT64 || type == PROTOBUF_C_TYPE_FIXED64 || type == PROTOBUF_C_TYPE_UINT32 ||
           type == PROTOBUF_C_TYPE_FIXED32;
}

static bool begins_number(struct reader *r)
{
    char c = json_text_peek(&r->text);
    return c == '-' || (c >= '0' && c <= '9');
}

static int read_integer(struct reader *r, const struct path *path, ProtobufCType type, void *at)
{
    bool wide = json_field_size(type) == sizeof(int64_t);
    int64_t low = is_unsigned(type) ? 0 : wide ? -safe_integer : INT32_MIN;
    int64_t high = wide ? safe_integer : is_unsigned(type) ? UINT32_MAX : INT32_MAX;
    struct json_number n;

    if (!begins_number(r))
        return refuse(r, path, "not an integer");
    if (!json_text_number(&r->text, r->arena, &n))
        return broken(r);
    if (!n.integer)
        return refuse(r, path, "not an integer");
    if (n.too_big || n.i < low || n.i > high)
        return refuse(r, path, "out of range");
    if (wide)
        *(int64_t *)at = n.i;
    else
        *(uint32_t *)at = (uint32_t)n.i;
    return 0;
}

static int read_number(struct reader *r, const struct path *path, ProtobufCType type, void *at)
{
    struct json_number n;

    if (!begins_number(r))
        return refuse(r, path, "not a number");
    if (!json_text_number(&r->text, r->arena, &n))
        return broken(r);
    if (n.too_big)
        return refuse(r, path, "out of range");
    if (type == PROTOBUF_C_TYPE_FLOAT)
        *(float *)at = (float)n.d;
    else
        *(double *)at = n.d;
    return 0;
}

static int read_bool(struct reader *r, const struct path *path, protobuf_c_boolean *ret)
{
    char c = json_text_peek(&r->text);

    if (c != 't' && c != 'f')
        return refuse(r, path, "not true or false");
    if (!json_text_word(&r->text, c == 't' ? "true" : "false"))
        return broken(r);
    *ret = c == 't';
    return 0;
}

static int read_string(struct reader *r, const struct path *path, char **ret_s, size_t *ret_len)
{
    if (json_text_peek(&r->text) != '"')
        return refuse(r, path, "not a string");
    return json_text_string(&r->text, r->arena, ret_s, ret_len) ? 0 : broken(r);
}

static int read_enum(struct reader *r, const struct path *path, const ProtobufCEnumDescriptor *type, int *ret)
{
    const ProtobufCEnumValue *word;
    size_t len;
    char *s;
    int e = read_string(r, path, &s, &len);

    if (e)
        return e;
    word = protobuf_c_enum_descriptor_get_value_by_name(type, s);
    if (!word)
        return refuse(r, path, "not one of the words of this field");
    *ret = word->value;
    return 0;
}

static int read_bytes(struct reader *r, const struct path *path, ProtobufCBinaryData *ret)
{
    size_t len, room;
    char *s;
    int e = read_string(r, path, &s, &len);

    if (e)
        return e;
    room = len / 4 * 3 + 3;
    ret->data = pgn_arena_alloc(r->arena, room);
    if (sodium_base642bin(ret->data, room, s, len, NULL, &ret->len, NULL, sodium_base64_VARIANT_ORIGINAL) != 0)
        return refuse(r, path, "not base64");
    return 0;
}

static int read_value(struct reader *r, const struct path *path, const ProtobufCFieldDescriptor *f, void *at)
{
    size_t len;

    switch (f->type) {
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_DOUBLE:
        return read_number(r, path, f->type, at);
    case PROTOBUF_C_TYPE_BOOL:
        return read_bool(r, path, at);
    case PROTOBUF_C_TYPE_ENUM:
        return read_enum(r, path, f->descriptor, at);
    case PROTOBUF_C_TYPE_STRING:
        return read_string(r, path, at, &len);
    case PROTOBUF_C_TYPE_BYTES:
        return read_bytes(r, path, at);
    case PROTOBUF_C_TYPE_MESSAGE:
        return read_message(r, path, f->descriptor, at);
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
    return read_integer(r, path, f->type, at);
}

/* ---- fields ---- */

/* Room for one more value of this size behind count; doubles in the arena. */
static uint8_t *list_room(struct reader *r, uint8_t *values, size_t count, size_t size)
{
    uint8_t *more;

    if (count & (count - 1) || count == 1) /* full at 0, 2, 4, 8, ... */
        return values;
    more = pgn_arena_alloc(r->arena, (count ? count * 2 : 2) * size);
    if (count)
        memcpy(more, values, count * size);
    return more;
}

static int read_list(struct reader *r, const struct path *path, const ProtobufCFieldDescriptor *f, uint8_t *base)
{
    size_t count = 0, size = json_field_size(f->type);
    uint8_t *values = NULL;
    bool more;
    int e;

    if (json_text_peek(&r->text) != '[')
        return refuse(r, path, "not a list");
    if (!json_text_open(&r->text, '['))
        return broken(r);
    for (;; count++) {
        if (!json_text_more(&r->text, count == 0, ']', &more))
            return broken(r);
        if (!more)
            break;
        values = list_room(r, values, count, size);
        memset(values + count * size, 0, size);
        if ((e = read_value(r, path, f, values + count * size)) != 0)
            return e;
    }
    *(size_t *)(void *)(base + f->quantifier_offset) = count;
    *(uint8_t **)(void *)(base + f->offset) = values;
    return 0;
}

static int read_field(struct reader *r, const struct path *path, const ProtobufCFieldDescriptor *f, uint8_t *base)
{
    uint32_t *chosen = (uint32_t *)(void *)(base + f->quantifier_offset);

    if (json_text_peek(&r->text) == 'n')
        return json_text_word(&r->text, "null") ? 0 : broken(r);
    if (f->label == PROTOBUF_C_LABEL_REPEATED)
        return read_list(r, path, f, base);
    if (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) {
        if (*chosen)
            return refuse(r, path, "excludes another field that is there too");
        *chosen = f->id;
    } else if (f->label == PROTOBUF_C_LABEL_OPTIONAL && f->type != PROTOBUF_C_TYPE_STRING && f->type != PROTOBUF_C_TYPE_MESSAGE) {
        *(protobuf_c_boolean *)(base + f->quantifier_offset) = 1; /* proto2: has_FIELD */
    }
    return read_value(r, path, f, base + f->offset);
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

/* The field of this name, or NULL. Most texts have the schema's order: the search goes on where it was. */
static const ProtobufCFieldDescriptor *field_of(const ProtobufCMessageDescriptor *type, const char *name, unsigned from)
{
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &type->fields[(from + i) % type->n_fields];
        if (f->name[0] == name[0] && strcmp(f->name, name) == 0)
            return f;
    }
    return NULL;
}

/* One "name": value. seen: the fields that were there before, by index. */
static int read_member(struct reader *r, const struct path *path, ProtobufCMessage *m, uint64_t *seen, unsigned *next)
{
    const ProtobufCFieldDescriptor *f;
    struct path here = {path, NULL};
    unsigned index;
    size_t len;
    char *name;

    if (!json_text_string(&r->text, r->arena, &name, &len) || !json_text_take(&r->text, ':'))
        return broken(r);
    f = field_of(m->descriptor, name, *next);
    if (!f)
        return json_text_skip(&r->text) ? 0 : broken(r);
    index = (unsigned)(f - m->descriptor->fields);
    here.name = f->name;
    if (index < MAX_FIELDS && (*seen >> index & 1))
        return refuse(r, &here, "there twice");
    *seen |= index < MAX_FIELDS ? 1ull << index : 0;
    *next = index + 1;
    return read_field(r, &here, f, (uint8_t *)m);
}

static int read_message(struct reader *r, const struct path *path, const ProtobufCMessageDescriptor *type, ProtobufCMessage **ret_message)
{
    ProtobufCMessage *m;
    uint64_t seen = 0;
    unsigned next = 0;
    bool more;
    int e;

    if (json_text_peek(&r->text) != '{')
        return refuse(r, path, "not an object");
    if (!json_text_open(&r->text, '{'))
        return broken(r);
    m = pgn_arena_alloc(r->arena, type->sizeof_message);
    protobuf_c_message_init(type, m);
    for (bool first = true;; first = false) {
        if (!json_text_more(&r->text, first, '}', &more))
            return broken(r);
        if (!more)
            break;
        if ((e = read_member(r, path, m, &seen, &next)) != 0)
            return e;
    }
    if ((e = check_required(r, path, m)) != 0)
        return e;
    *ret_message = m;
    return 0;
}

int pgn_json_decode(const char *text, size_t len, const ProtobufCMessageDescriptor *type, struct pgn_arena *arena,
                    ProtobufCMessage **ret_message, char *ret_problem, size_t problem_bytes)
{
    struct reader r = {.start = len ? text : "", .arena = arena, .problem = ret_problem, .problem_bytes = problem_bytes};
    ProtobufCMessage *m;
    int e;

    r.text = (struct json_text){r.start, r.start + len, MAX_DEPTH};
    e = read_message(&r, NULL, type, &m);
    if (e)
        return e;
    if (json_text_peek(&r.text) || r.text.at != r.text.end)
        return broken(&r); /* something behind the object */
    *ret_message = m;
    return 0;
}
