#include "common/base/utf8.h"

#include <string.h>

/*
 * The state says what the next byte must be: bytes still missing in bits 0-7, its lowest and highest
 * value in bits 8-15 and 16-23. Zero is between characters.
 */
static uint32_t state_of(uint32_t missing, uint32_t low, uint32_t high)
{
    return missing | low << 8 | high << 16;
}

/* The state behind a first byte of 0x80 or more; 0 when no character begins with it. */
static uint32_t lead(uint8_t byte)
{
    if (byte < 0xc2 || byte > 0xf4)
        return 0;
    if (byte < 0xe0)
        return state_of(1, 0x80, 0xbf);
    if (byte < 0xf0)
        return state_of(2, byte == 0xe0 ? 0xa0 : 0x80, byte == 0xed ? 0x9f : 0xbf);
    return state_of(3, byte == 0xf0 ? 0x90 : 0x80, byte == 0xf4 ? 0x8f : 0xbf);
}

static const uint8_t *skip_ascii(const uint8_t *p, const uint8_t *end)
{
    uint64_t word;

    for (; end - p >= 8; p += 8) {
        memcpy(&word, p, 8);
        if (word & 0x8080808080808080u)
            break;
    }
    while (p < end && *p < 0x80)
        p++;
    return p;
}

bool pgn_utf8_check(uint32_t *state, const void *data, size_t len)
{
    const uint8_t *p = data, *end = p + len;
    uint32_t s = *state;

    while (p < end) {
        if (s == 0) {
            p = skip_ascii(p, end);
            if (p == end)
                break;
            s = lead(*p++);
            if (s == 0)
                return false;
            continue;
        }
        if (*p < (s >> 8 & 0xff) || *p > (s >> 16 & 0xff))
            return false;
        p++;
        s = (s & 0xff) == 1 ? 0 : state_of((s & 0xff) - 1, 0x80, 0xbf);
    }
    *state = s;
    return true;
}

bool pgn_utf8_valid(const void *data, size_t len)
{
    uint32_t state = 0;
    return pgn_utf8_check(&state, data, len) && state == 0;
}
