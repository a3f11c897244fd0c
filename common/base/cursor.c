#include "common/base/cursor.h"

const uint8_t *pgn_cursor_take(struct pgn_cursor *c, size_t len)
{
    const uint8_t *p = c->at;

    if (c->bad || len > pgn_cursor_left(c)) {
        c->bad = true;
        return NULL;
    }
    c->at += len;
    return p;
}

static uint64_t big_endian(struct pgn_cursor *c, size_t len)
{
    const uint8_t *p = pgn_cursor_take(c, len);
    uint64_t v = 0;

    if (!p)
        return 0;
    for (size_t i = 0; i < len; i++)
        v = v << 8 | p[i];
    return v;
}

uint8_t pgn_cursor_u8(struct pgn_cursor *c)
{
    return (uint8_t)big_endian(c, 1);
}

uint16_t pgn_cursor_u16be(struct pgn_cursor *c)
{
    return (uint16_t)big_endian(c, 2);
}

uint32_t pgn_cursor_u32be(struct pgn_cursor *c)
{
    return (uint32_t)big_endian(c, 4);
}

uint64_t pgn_cursor_u64be(struct pgn_cursor *c)
{
    return big_endian(c, 8);
}
