/*
 * protobuf-c with Pigeon's buffers and arenas. Thread-safe.
 */
#ifndef PGN_PROTO_PB_H
#define PGN_PROTO_PB_H

#include "common/base/alloc.h"
#include "common/base/buf.h"
#include "common/base/compiler.h"

#include "client.pb-c.h"
#include "internal.pb-c.h"

/* Appends the encoding. */
void pgn_pb_pack(const void *message, struct pgn_buf *out);

/* Decodes into the arena; NULL when malformed. Strings are checked for UTF-8 and for zero bytes (NULL as well). */
void *pgn_pb_unpack(const ProtobufCMessageDescriptor *type, struct pgn_arena *arena, const void *data, size_t len) PGN_MUST_USE;
/* PGN_PB_UNPACK(Pigeon__Batch, pigeon__batch, arena, data, len) */
#define PGN_PB_UNPACK(ctype, prefix, arena, data, len) ((ctype *)pgn_pb_unpack(&prefix##__descriptor, arena, data, len))

#endif
