/*
 * The one bounds-checked reader for everything that comes from a peer. A read past the end sets `bad`,
 * returns zero and consumes nothing more; check once at the end. Borrowed memory; not thread-safe.
 */
#ifndef PGN_BASE_CURSOR_H
#define PGN_BASE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pgn_cursor {
    const uint8_t *at, *end;
    bool bad;
};

static inline struct pgn_cursor pgn_cursor_of(const void *data, size_t len)
{
    const uint8_t *p = data;
    return (struct pgn_cursor){p, p + len, false};
}
static inline size_t pgn_cursor_left(const struct pgn_cursor *c)
{
    return (size_t)(c->end - c->at);
}

const uint8_t *pgn_cursor_take(struct pgn_cursor *c, size_t len); /* NULL and bad when there are fewer */
uint8_t pgn_cursor_u8(struct pgn_cursor *c);
uint16_t pgn_cursor_u16be(struct pgn_cursor *c);
uint32_t pgn_cursor_u32be(struct pgn_cursor *c);
uint64_t pgn_cursor_u64be(struct pgn_cursor *c);

#endif
