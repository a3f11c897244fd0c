/*
 * The JSON mapping: any text is refused with a reason, or becomes a message whose own text reads back as the same message.
 * What is taken, jansson takes too; and where no field is
 * known, the other way round. The first byte chooses the type.
 */
#include "common/base/error.h"
#include "common/base/json.h"
#include "common/base/utf8.h"
#include "common/proto/json_map.h"

#include "client.pb-c.h"
#include "internal.pb-c.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const ProtobufCMessageDescriptor *const types[] = {
    &pigeon__client_frame__descriptor,    &pigeon__server_frame__descriptor, &pigeon__reply__descriptor,
    &pigeon__session_request__descriptor, &pigeon__ping__descriptor,
};

static void compare_with_jansson(const char *text, size_t len, const ProtobufCMessageDescriptor *type, bool taken)
{
    json_error_t error;
    json_t *root = json_loadb(text, len, JSON_DECODE_INT_AS_REAL, &error);

    if (taken && !root && json_error_code(&error) != json_error_numeric_overflow)
        abort();
    /* jansson 2.14 overlooks a zero byte behind a word or number */
    if (!taken && json_is_object(root) && type->n_fields == 0 && pgn_json_depth_ok(text, len, 32) && !memchr(text, 0, len))
        abort();
    json_decref(root);
}

static void check_again(const struct pgn_buf *text, const ProtobufCMessageDescriptor *type, struct pgn_arena *arena)
{
    ProtobufCMessage *again = NULL;
    struct pgn_buf second = {0};
    char problem[128];

    if (pgn_json_decode((const char *)text->data, text->len, type, arena, &again, problem, sizeof(problem)) != 0)
        abort();
    pgn_json_encode(again, &second);
    if (second.len != text->len || memcmp(second.data, text->data, text->len) != 0)
        abort();
    pgn_buf_release(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pgn_arena *arena = pgn_arena_new(1024);
    struct pgn_buf text = {0};
    ProtobufCMessage *m = NULL;
    char problem[128] = "";

    if (size) {
        const ProtobufCMessageDescriptor *type = types[data[0] % PGN_COUNT(types)];
        int e = pgn_json_decode((const char *)data + 1, size - 1, type, arena, &m, problem, sizeof(problem));
        if ((e == 0) != (m != NULL) || (e != 0 && (e != PGN_E_SYNTAX || !*problem || !pgn_utf8_valid(problem, strlen(problem)))))
            abort();
        compare_with_jansson((const char *)data + 1, size - 1, type, e == 0);
        if (m) {
            pgn_json_encode(m, &text);
            check_again(&text, type, arena);
        }
    }
    pgn_buf_release(&text);
    pgn_arena_free(&arena);
    return 0;
}
