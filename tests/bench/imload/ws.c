/* The client's side of WebSocket (RFC 6455) for imload: the upgrade, frames in and out. */
#include "tests/bench/imload/imload.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { CLOSE = 0x88, PING = 0x89, PONG = 0x8A };

/* Masked with zeros: the server does the same work, we less. */
void ws_frame(struct user *u, uint8_t opcode, const char *text, size_t n)
{
    uint8_t head[8] = {opcode};
    size_t len = 2;
    if (n < 126) {
        head[1] = (uint8_t)(0x80 | n);
    } else {
        head[1] = 0x80 | 126;
        head[2] = (uint8_t)(n >> 8);
        head[3] = (uint8_t)n;
        len = 4;
    }
    buf_add(&u->out, head, len);
    buf_add(&u->out, "\0\0\0\0", 4);
    buf_add(&u->out, text, n);
}

void ws_start(struct user *u, const char *path)
{
    char s[512];
    int n = snprintf(s, sizeof s,
                     "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
                     path, set.host);
    buf_add(&u->out, s, (size_t)n);
    u->step = WS_UPGRADING;
    flush(u);
}

static int payload(struct user *u, uint8_t opcode, const char *text, size_t n, ws_text_fn *on_text)
{
    if (opcode == PING)
        ws_frame(u, PONG, text, n);
    if (opcode == CLOSE) {
        errno = ECONNRESET;
        lose(u, "closed by the server");
        return -1;
    }
    return opcode == WS_TEXT ? on_text(u, text, n) : 0;
}

/* Bytes of a frame's head, and its payload's length; a head that is not all there makes the payload endless. */
static size_t head_of(const uint8_t *p, size_t have, size_t *ret_len)
{
    size_t len = p[1] & 127;
    if (len < 126) {
        *ret_len = len;
        return 2;
    }
    if (have < (len == 126 ? 4 : 10))
        *ret_len = SIZE_MAX / 2;
    else
        *ret_len = len == 126 ? (size_t)p[2] << 8 | p[3] : (size_t)p[6] << 24 | (size_t)p[7] << 16 | (size_t)p[8] << 8 | p[9];
    return len == 126 ? 4 : 10;
}

/* The upgrade's answer: its length, 0 when it is not all there, -1 when it is a refusal. */
static int answer(struct user *u)
{
    const char *end = memmem(u->in.data, u->in.len, "\r\n\r\n", 4);
    if (!end)
        return 0;
    if (u->in.len < 12 || memcmp(u->in.data + 9, "101", 3) != 0) {
        errno = EPROTO;
        lose(u, "upgrade refused");
        return -1;
    }
    return (int)(end - u->in.data) + 4;
}

int ws_read(struct user *u, void (*opened)(struct user *u), ws_text_fn *on_text)
{
    size_t at = 0;
    if (u->step == WS_UPGRADING) {
        int n = answer(u);
        if (n <= 0)
            return n;
        at = (size_t)n;
        opened(u);
    }
    while (u->state != DEAD && u->in.len - at >= 2) { /* dead: an answer could not be sent, and the buffer is gone */
        const uint8_t *p = (const uint8_t *)u->in.data + at;
        size_t have = u->in.len - at, len, head = head_of(p, have, &len);
        if (have < head + len)
            break;
        if (payload(u, p[0], (const char *)p + head, len, on_text) < 0)
            return -1;
        at += head + len;
    }
    return consumed(u, at);
}
