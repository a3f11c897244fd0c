#include "common/base/buf.h"

#include "common/base/alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUF_MIN = 128 };

void pgn_buf_release(struct pgn_buf *b)
{
    free(b->data);
    *b = (struct pgn_buf){0};
}

void pgn_buf_reserve(struct pgn_buf *b, size_t more)
{
    size_t need, cap;

    if (b->cap - b->len >= more)
        return;
    if (__builtin_add_overflow(b->len, more, &need))
        abort();
    cap = b->cap < BUF_MIN ? BUF_MIN : b->cap + b->cap / 2;
    if (cap < need)
        cap = need;
    b->data = pgn_realloc(b->data, cap);
    b->cap = cap;
}

void pgn_buf_append(struct pgn_buf *b, const void *data, size_t len)
{
    if (len == 0)
        return;
    pgn_buf_reserve(b, len);
    memcpy(b->data + b->len, data, len);
    b->len += len;
}

void pgn_buf_append_str(struct pgn_buf *b, const char *s)
{
    pgn_buf_append(b, s, strlen(s));
}

void pgn_buf_append_byte(struct pgn_buf *b, uint8_t byte)
{
    pgn_buf_reserve(b, 1);
    b->data[b->len++] = byte;
}

void pgn_buf_append_u64(struct pgn_buf *b, uint64_t v)
{
    char digits[20];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    pgn_buf_append(b, digits + at, sizeof(digits) - at);
}

void pgn_buf_printf(struct pgn_buf *b, const char *format, ...)
{
    va_list args, again;
    int len;

    va_start(args, format);
    va_copy(again, args);
    len = vsnprintf(NULL, 0, format, args);
    if (len < 0)
        abort(); /* a broken format: a bug */
    pgn_buf_reserve(b, (size_t)len + 1);
    vsnprintf((char *)b->data + b->len, (size_t)len + 1, format, again);
    b->len += (size_t)len;
    va_end(again);
    va_end(args);
}

void pgn_buf_drop_front(struct pgn_buf *b, size_t len)
{
    if (len >= b->len) {
        b->len = 0;
        return;
    }
    memmove(b->data, b->data + len, b->len - len);
    b->len -= len;
}

const char *pgn_buf_cstr(struct pgn_buf *b)
{
    pgn_buf_reserve(b, 1);
    b->data[b->len] = 0;
    return (const char *)b->data;
}
