#include "common/base/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* 0: as it is. 'u': \u00XX. Others: a backslash and this letter. */
static const char escapes[256] = {
    ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r', ['"'] = '"',  ['\\'] = '\\', [0] = 'u',    [1] = 'u',
    [2] = 'u',    [3] = 'u',    [4] = 'u',    [5] = 'u',    [6] = 'u',    [7] = 'u',    [0x0b] = 'u',  [0x0e] = 'u', [0x0f] = 'u',
    [0x10] = 'u', [0x11] = 'u', [0x12] = 'u', [0x13] = 'u', [0x14] = 'u', [0x15] = 'u', [0x16] = 'u',  [0x17] = 'u', [0x18] = 'u',
    [0x19] = 'u', [0x1a] = 'u', [0x1b] = 'u', [0x1c] = 'u', [0x1d] = 'u', [0x1e] = 'u', [0x1f] = 'u',
};

static void comma(struct pgn_json *j)
{
    if (j->need_comma)
        pgn_buf_append_byte(j->out, ',');
    j->need_comma = true;
}

static void literal(struct pgn_json *j, const char *text)
{
    comma(j);
    pgn_buf_append_str(j->out, text);
}

void pgn_json_object(struct pgn_json *j)
{
    literal(j, "{");
    j->need_comma = false;
}

void pgn_json_object_end(struct pgn_json *j)
{
    pgn_buf_append_byte(j->out, '}');
    j->need_comma = true;
}

void pgn_json_array(struct pgn_json *j)
{
    literal(j, "[");
    j->need_comma = false;
}

void pgn_json_array_end(struct pgn_json *j)
{
    pgn_buf_append_byte(j->out, ']');
    j->need_comma = true;
}

static uint8_t *escape(uint8_t *to, uint8_t c)
{
    static const char hex[] = "0123456789abcdef";

    *to++ = '\\';
    *to++ = (uint8_t)escapes[c];
    if (escapes[c] == 'u') {
        *to++ = '0';
        *to++ = '0';
        *to++ = (uint8_t)hex[c >> 4];
        *to++ = (uint8_t)hex[c & 15];
    }
    return to;
}

/* A bit set in each byte that needs an escape: below 0x20, a quote, a backslash (and perhaps in bytes above such a one). */
static uint64_t special(uint64_t word)
{
    const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
    uint64_t quote = word ^ ones * '"', backslash = word ^ ones * '\\';

    return ((word - ones * 0x20) | (quote - ones) | (backslash - ones)) & ~word & highs;
}

static const uint8_t *plain_end(const uint8_t *p, const uint8_t *end)
{
    uint64_t word;

    for (; end - p >= 8; p += 8) {
        memcpy(&word, p, 8);
        if (special(word))
            break;
    }
    while (p < end && !escapes[*p])
        p++;
    return p;
}

/* A quoted string in one pass: pieces without escapes are copied whole. There is room for it without escapes. */
static void quoted(struct pgn_buf *out, const char *s, size_t len)
{
    const uint8_t *p = (const uint8_t *)s, *end = p + len;

    out->data[out->len++] = '"';
    for (;;) {
        const uint8_t *stop = plain_end(p, end);
        if (stop > p)
            memcpy(out->data + out->len, p, (size_t)(stop - p));
        out->len += (size_t)(stop - p);
        if (stop == end)
            break;
        pgn_buf_reserve(out, (size_t)(end - stop) + 8);
        out->len = (size_t)(escape(out->data + out->len, *stop) - out->data);
        p = stop + 1;
    }
    out->data[out->len++] = '"';
}

/* With the comma before it, and `more` bytes reserved behind it. */
static void member(struct pgn_json *j, const char *s, size_t len, size_t more)
{
    pgn_buf_reserve(j->out, len + 3 + more);
    if (j->need_comma)
        j->out->data[j->out->len++] = ',';
    quoted(j->out, s, len);
}

void pgn_json_key(struct pgn_json *j, const char *key)
{
    member(j, key, strlen(key), 1);
    pgn_buf_append_byte(j->out, ':');
    j->need_comma = false;
}

void pgn_json_strn(struct pgn_json *j, const char *s, size_t len)
{
    member(j, s, len, 0);
    j->need_comma = true;
}

void pgn_json_str(struct pgn_json *j, const char *s)
{
    pgn_json_strn(j, s, strlen(s));
}

void pgn_json_u64(struct pgn_json *j, uint64_t v)
{
    comma(j);
    pgn_buf_append_u64(j->out, v);
}

void pgn_json_i64(struct pgn_json *j, int64_t v)
{
    comma(j);
    if (v < 0)
        pgn_buf_append_byte(j->out, '-');
    pgn_buf_append_u64(j->out, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

void pgn_json_f64(struct pgn_json *j, double v)
{
    char text[32];

    if (!isfinite(v)) {
        pgn_json_null(j);
        return;
    }
    if (v == 0)
        v = 0;                                      /* no "-0" */
    for (int digits = 15; digits <= 17; digits++) { /* the shortest that reads back as the same number */
        snprintf(text, sizeof(text), "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    literal(j, text);
}

void pgn_json_bool(struct pgn_json *j, bool v)
{
    literal(j, v ? "true" : "false");
}

void pgn_json_null(struct pgn_json *j)
{
    literal(j, "null");
}

bool pgn_json_depth_ok(const char *text, size_t len, int limit)
{
    int depth = 0;
    bool in_string = false;

    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > limit)
                return false;
        } else if (c == '}' || c == ']') {
            depth--;
        }
    }
    return true;
}
