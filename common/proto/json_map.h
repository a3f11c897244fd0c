/*
 * The JSON mapping of the schema, through protobuf-c's descriptors (rules: docs/PROTOCOL.md). Thread-safe.
 */
#ifndef PGN_PROTO_JSON_MAP_H
#define PGN_PROTO_JSON_MAP_H

#include "common/base/alloc.h"
#include "common/base/buf.h"
#include "common/base/compiler.h"

#include <protobuf-c/protobuf-c.h>

/* Appends one JSON object. */
void pgn_json_encode(const ProtobufCMessage *message, struct pgn_buf *out);

/*
 * Parses one JSON object into a message of this type. All memory comes from the arena and lives as long.
 * Unknown fields are skipped; null is absent; a wrong type, an unknown enum word, a number out of range, two members of
 * one oneof, invalid UTF-8 or more than 32 levels are PGN_E_SYNTAX, and ret_problem (at least 128 bytes, always set on
 * failure) says where and what.
 */
int pgn_json_decode(const char *text, size_t len, const ProtobufCMessageDescriptor *type, struct pgn_arena *arena,
                    ProtobufCMessage **ret_message, char *ret_problem, size_t problem_bytes) PGN_MUST_USE;

#endif
