/*
 * Protobuf from a peer: any bytes are refused, or become a message that packs and unpacks as itself and whose JSON a
 * foreign reader takes. The first byte chooses the type.
 */
#include "common/proto/json_map.h"
#include "common/proto/pb.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const ProtobufCMessageDescriptor *const types[] = {
    &pigeon__client_frame__descriptor,    &pigeon__server_frame__descriptor,
    &pigeon__batch__descriptor,           &pigeon__commit_batch__descriptor,
    &pigeon__batch_result__descriptor,    &pigeon__events__descriptor,
    &pigeon__op_request__descriptor,      &pigeon__reply__descriptor,
    &pigeon__presence_events__descriptor, &pigeon__conv_request__descriptor,
    &pigeon__session_request__descriptor, &pigeon__dir_request__descriptor,
    &pigeon__admin_request__descriptor,   &pigeon__presence_request__descriptor,
    &pigeon__policy_changed__descriptor,  &pigeon__store_up__descriptor,
    &pigeon__node_load__descriptor,       &pigeon__gateway_control__descriptor,
};

static void check_same(const ProtobufCMessage *m, struct pgn_arena *arena)
{
    struct pgn_buf first = {0}, second = {0};
    const void *again;

    pgn_pb_pack(m, &first);
    again = pgn_pb_unpack(m->descriptor, arena, first.data, first.len);
    if (!again)
        abort();
    pgn_pb_pack(again, &second);
    if (second.len != first.len || (first.len && memcmp(first.data, second.data, first.len) != 0))
        abort();
    pgn_buf_release(&first);
    pgn_buf_release(&second);
}

static void check_json(const ProtobufCMessage *m)
{
    struct pgn_buf text = {0};
    json_t *read;

    pgn_json_encode(m, &text);
    read = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, NULL);
    if (!read)
        abort();
    json_decref(read);
    pgn_buf_release(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pgn_arena *arena = pgn_arena_new(1024);

    if (size) {
        const ProtobufCMessageDescriptor *type = types[data[0] % PGN_COUNT(types)];
        const ProtobufCMessage *m = pgn_pb_unpack(type, arena, data + 1, size - 1);
        if (m) {
            check_same(m, arena);
            check_json(m);
        }
    }
    pgn_arena_free(&arena);
    return 0;
}
