/* RFC 6455, client's side; see ws.h. */
#include "loadtest/ws.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

void ld_ws_upgrade(struct pgn_buf *out, const char *host, const char *path, const char *subprotocol)
{
    /* The key only proves that the other side knows WebSockets; one of its own for each socket would prove no more. */
    pgn_buf_printf(out,
                   "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                   "Sec-WebSocket-Key: cGlnZW9uLWxvYWQtMDAwMQ==\r\nSec-WebSocket-Protocol: %s\r\nUser-Agent: pigeon-load\r\n\r\n",
                   path, host, subprotocol);
}

int ld_ws_upgraded(const uint8_t *data, size_t len, int *ret_status)
{
    static const char accept[] = "\r\nsec-websocket-accept:";
    const uint8_t *end = memmem(data, len, "\r\n\r\n", 4);
    *ret_status = 0;
    if (!end)
        return len > 16384 ? -1 : 0;
    if (len > 12 && !memcmp(data, "HTTP/1.1 ", 9))
        *ret_status = (data[9] - '0') * 100 + (data[10] - '0') * 10 + (data[11] - '0');
    if (*ret_status != 101)
        return -1;
    for (const uint8_t *p = data; p + sizeof accept - 1 < end; p++)
        if (*p == '\r' && !strncasecmp((const char *)p, accept, sizeof accept - 1))
            return (int)(end - data) + 4;
    return -1;
}

void ld_ws_frame(struct pgn_buf *out, enum ld_ws_op op, const void *payload, size_t len, uint32_t mask)
{
    pgn_buf_reserve(out, len + 14);
    uint8_t *p = out->data + out->len;
    *p++ = (uint8_t)(0x80 | op);
    if (len < 126) {
        *p++ = (uint8_t)(0x80 | len);
    } else if (len < 65536) {
        *p++ = 0x80 | 126;
        *p++ = (uint8_t)(len >> 8);
        *p++ = (uint8_t)len;
    } else {
        *p++ = 0x80 | 127;
        for (int shift = 56; shift >= 0; shift -= 8)
            *p++ = (uint8_t)((uint64_t)len >> shift);
    }
    memcpy(p, &mask, 4);
    p += 4;
    const uint8_t *from = payload;
    uint64_t wide = (uint64_t)mask << 32 | mask, word;
    size_t i = 0;
    for (; i + 8 <= len; i += 8) {
        memcpy(&word, from + i, 8);
        word ^= wide;
        memcpy(p + i, &word, 8);
    }
    const uint8_t *key = (const uint8_t *)&mask;
    for (; i < len; i++)
        p[i] = from[i] ^ key[i & 3];
    out->len = (size_t)(p - out->data) + len;
}

int64_t ld_ws_next(const uint8_t *data, size_t len, struct ld_ws_in *ret)
{
    if (len < 2)
        return 0;
    size_t head = 2;
    uint64_t size = data[1] & 127;
    if (data[1] & 0x80 || data[0] & 0x70) /* a server never masks; no extension was asked for */
        return -1;
    if (size >= 126) {
        size_t bytes = size == 126 ? 2 : 8;
        if (len < 2 + bytes)
            return 0;
        size = 0;
        for (size_t i = 0; i < bytes; i++)
            size = size << 8 | data[2 + i];
        head += bytes;
    }
    if (size > LD_WS_FRAME_MAX)
        return -1;
    if (len < head + size)
        return 0;
    *ret = (struct ld_ws_in){(enum ld_ws_op)(data[0] & 15), (data[0] & 0x80) != 0, data + head, (size_t)size};
    return (int64_t)(head + size);
}
