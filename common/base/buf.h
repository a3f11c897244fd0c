/*
 * A growing byte buffer. Embedded by its owner; not thread-safe.
 * Invariant: data[0..len) is valid and data[len] may be written when cap > len; a zeroed struct is an empty buffer.
 */
#ifndef PGN_BASE_BUF_H
#define PGN_BASE_BUF_H

#include "common/base/compiler.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

struct pgn_buf {
    uint8_t *data;
    size_t len, cap;
};

void pgn_buf_release(struct pgn_buf *b);              /* frees the memory; b is empty again */
void pgn_buf_reserve(struct pgn_buf *b, size_t more); /* room for more bytes behind len */
void pgn_buf_append(struct pgn_buf *b, const void *data, size_t len);
void pgn_buf_append_str(struct pgn_buf *b, const char *s);
void pgn_buf_append_byte(struct pgn_buf *b, uint8_t byte);
void pgn_buf_append_u64(struct pgn_buf *b, uint64_t v);                           /* decimal digits */
void pgn_buf_printf(struct pgn_buf *b, const char *format, ...) PGN_PRINTF(2, 3); /* for text for people; never for JSON */
void pgn_buf_drop_front(struct pgn_buf *b, size_t len);                           /* moves the rest to the front */
const char *pgn_buf_cstr(struct pgn_buf *b);                                      /* zero-terminated view, valid until the next change */
static inline void pgn_buf_clear(struct pgn_buf *b)
{
    b->len = 0;
}

#endif
