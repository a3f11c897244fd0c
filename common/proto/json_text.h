/*
 * Reading JSON text (RFC 8259) piece by piece, for the JSON mapping, without building a tree. Private to it; not thread-safe.
 * Borrowed text, not zero-terminated. Every function leaves `at` behind what it read; false: not well-formed, and `at` is where.
 */
#ifndef PGN_PROTO_JSON_TEXT_H
#define PGN_PROTO_JSON_TEXT_H

#include "common/base/alloc.h"
#include "common/base/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_text {
    const char *at, *end;
    int depth; /* brackets that may still be opened; -1: one too many was */
};

struct json_number {
    bool integer, too_big; /* too_big: an integer beyond 64 bits, or a real that is no finite double */
    int64_t i;             /* of an integer */
    double d;              /* of both */
};

/* The next character that is not white space, unread; 0 at the end. */
char json_text_peek(struct json_text *t);
/* Reads this character behind white space. */
bool json_text_take(struct json_text *t, char c) PGN_MUST_USE;
/* An opening bracket, counted; json_text_more takes the closing one. */
bool json_text_open(struct json_text *t, char c) PGN_MUST_USE;
/* In a list or object: a comma (more is true; not before the first element) or the closing bracket. */
bool json_text_more(struct json_text *t, bool first, char closing, bool *ret_more) PGN_MUST_USE;
/* Into the arena, zero-terminated, escapes resolved; no zero characters, valid UTF-8. */
bool json_text_string(struct json_text *t, struct pgn_arena *arena, char **ret_s, size_t *ret_len) PGN_MUST_USE;
bool json_text_number(struct json_text *t, struct pgn_arena *arena, struct json_number *ret_n) PGN_MUST_USE;
bool json_text_word(struct json_text *t, const char *word) PGN_MUST_USE; /* true, false, null */
bool json_text_skip(struct json_text *t) PGN_MUST_USE;                   /* a whole value */

#endif
