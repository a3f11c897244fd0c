/*
 * imload's client of Centrifugo's bidirectional protocol: JSON commands in WebSocket frames, one reply or push a line.
 * A sender's loop is closed by the reply to its publish.
 */
#include "tests/bench/imload/imload.h"

#include <stdio.h>
#include <string.h>

enum { LOGGING = WS_UPGRADING + 1, SUBSCRIBING, TALKING };

static void start(struct user *u)
{
    ws_start(u, "/connection/websocket");
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
    ws_frame(u, WS_TEXT, s, (size_t)n);
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
    char s[1024], channel[32], body[512];
    channel_of(channel, sizeof channel, to);
    stamped_body(body, sizeof body, u, when);
    int n = snprintf(s, sizeof s, "{\"id\":%u,\"publish\":{\"channel\":\"%s\",\"data\":\"%s\"}}", ++u->next_packet, channel, body);
    ws_frame(u, WS_TEXT, s, (size_t)n);
}

static void ping(struct user *u)
{
    (void)u; /* the server pings, the client answers */
}

static int line(struct user *u, const char *text, size_t n)
{
    if (n == 2 && !memcmp(text, "{}", 2)) {
        ws_frame(u, WS_TEXT, "{}", 2);
        return 0;
    }
    if (memmem(text, n, "\"error\"", 7) || memmem(text, n, "\"disconnect\"", 12))
        return refused(u, text, n);
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

static int lines(struct user *u, const char *text, size_t n)
{
    while (n) {
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
    return ws_read(u, log_in, lines);
}

const struct protocol im_centrifugo = {"centrifugo", start, read_frames, send_message, ping, NULL};
