/*
 * imload's client of Centrifugo's bidirectional protocol: JSON commands in WebSocket frames (RFC 6455), one reply or push a line.
 * A sender's loop is closed by the reply to its publish.
 */
#include "tests/bench/imload/imload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { UPGRADING, LOGGING, SUBSCRIBING, TALKING, TEXT = 0x81, CLOSE = 0x88, PING = 0x89, PONG = 0x8A };

/* Masked with zeros: the server does the same work, we less. */
static void frame(struct user *u, uint8_t opcode, const char *text, size_t n)
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

static void start(struct user *u)
{
    char s[256];
    int n = snprintf(s, sizeof s,
                     "GET /connection/websocket HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
                     set.host);
    buf_add(&u->out, s, (size_t)n);
    u->step = UPGRADING;
    flush(u);
}

static void channel_of(char *out, size_t size, int id)
{
    if (set.mode == FANOUT)
        snprintf(out, size, "fan");
    else
        snprintf(out, size, "u%d", id + set.first);
}

static void command(struct user *u, const char *format, const char *argument)
{
    char s[1024], tail[900];
    snprintf(tail, sizeof tail, "%s%s%s", format, argument, argument[0] ? "\"}}" : "}}");
    int n = snprintf(s, sizeof s, "{\"id\":%u,%s", ++u->next_packet, tail);
    frame(u, TEXT, s, (size_t)n);
}

static void log_in(struct user *u)
{
    if (set.password)
        command(u, "\"connect\":{\"token\":\"", password_of(u));
    else
        command(u, "\"connect\":{", "");
    u->step = LOGGING;
    flush(u);
}

static void send_message(struct user *u, int to, uint64_t when)
{
    static const char filling[] =
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
    char s[512], channel[32], ts[64];
    int stamped = stamp(ts, u, when), fill = set.body - stamped;
    if (fill < 0)
        fill = 0;
    if (fill > (int)sizeof filling - 1)
        fill = sizeof filling - 1;
    channel_of(channel, sizeof channel, to);
    int n = snprintf(s, sizeof s, "{\"id\":%u,\"publish\":{\"channel\":\"%s\",\"data\":\"%s%.*s\"}}", ++u->next_packet, channel, ts, fill,
                     filling);
    frame(u, TEXT, s, (size_t)n);
}

static void ping(struct user *u)
{
    (void)u; /* the server pings, the client answers */
}

static int line(struct user *u, const char *text, size_t n)
{
    if (n == 2 && !memcmp(text, "{}", 2)) {
        frame(u, TEXT, "{}", 2);
        return 0;
    }
    if (memmem(text, n, "\"error\"", 7) || memmem(text, n, "\"disconnect\"", 12)) {
        fprintf(stderr, "centrifugo: %.*s\n", (int)n, text);
        errno = EACCES;
        lose(u, "refused");
        return -1;
    }
    if (memmem(text, n, "\"push\"", 6)) {
        message_read(u, text, n);
        return 0;
    }
    if (u->step == LOGGING && !only_writes(u)) {
        char channel[32];
        channel_of(channel, sizeof channel, u->id);
        u->step = SUBSCRIBING;
        command(u, "\"subscribe\":{\"channel\":\"", channel);
    } else if (u->step == LOGGING || u->step == SUBSCRIBING) {
        u->step = TALKING;
        user_ready(u);
    } else {
        message_acked(u);
    }
    return 0;
}

static int payload(struct user *u, uint8_t opcode, const char *text, size_t n)
{
    if (opcode == PING)
        frame(u, PONG, text, n);
    if (opcode == CLOSE) {
        errno = ECONNRESET;
        lose(u, "closed by the server");
        return -1;
    }
    while (opcode == TEXT && n) {
        const char *end = memchr(text, '\n', n);
        size_t len = end ? (size_t)(end - text) : n;
        if (len && line(u, text, len) < 0)
            return -1;
        text += len + (end != NULL);
        n -= len + (end != NULL);
    }
    return 0;
}

static int read_frames(struct user *u)
{
    size_t at = 0;
    if (u->step == UPGRADING) {
        char *end = memmem(u->in.data, u->in.len, "\r\n\r\n", 4);
        if (!end)
            return 0;
        if (u->in.len < 12 || memcmp(u->in.data + 9, "101", 3) != 0) {
            errno = EPROTO;
            lose(u, "upgrade refused");
            return -1;
        }
        at = (size_t)(end - u->in.data) + 4;
        log_in(u);
    }
    for (;;) {
        const uint8_t *p = (const uint8_t *)u->in.data + at;
        size_t have = u->in.len - at, head = 2, len;
        if (have < 2)
            break;
        len = p[1] & 127;
        if (len == 126) {
            head = 4;
            len = have < 4 ? SIZE_MAX / 2 : (size_t)p[2] << 8 | p[3];
        } else if (len == 127) {
            head = 10;
            len = have < 10 ? SIZE_MAX / 2 : (size_t)p[6] << 24 | (size_t)p[7] << 16 | (size_t)p[8] << 8 | p[9];
        }
        if (have < head + len)
            break;
        if (payload(u, p[0], (const char *)p + head, len) < 0)
            return -1;
        at += head + len;
    }
    if (u->out.len)
        flush(u);
    if (u->state == DEAD)
        return -1;
    buf_drop_front(&u->in, at);
    return 0;
}

const struct protocol im_centrifugo = {"centrifugo", start, read_frames, send_message, ping, NULL};
