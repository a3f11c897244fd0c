/* imload's MQTT 3.1.1 client. */
#include "tests/bench/imload/imload.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { CONNACK = 2, PUBLISH = 3, PUBACK = 4, SUBACK = 9, LONGEST = 1 << 17 };

static void packet(struct user *u, uint8_t type, const void *body, size_t n)
{
    uint8_t head[5] = {type};
    size_t len = 1, left = n;
    do {
        head[len++] = (uint8_t)((left & 127) | (left > 127 ? 128 : 0));
        left >>= 7;
    } while (left);
    buf_add(&u->out, head, len);
    buf_add(&u->out, body, n);
}

static size_t string(uint8_t *at, const char *s, size_t n)
{
    at[0] = (uint8_t)(n >> 8);
    at[1] = (uint8_t)n;
    memcpy(at + 2, s, n);
    return n + 2;
}

/* A name or topic with the user's number in the place of %d. */
static size_t formatted(uint8_t *at, const char *format, int id)
{
    char s[192];
    const char *place = strstr(format, "%d");
    int n = place ? snprintf(s, sizeof s, "%.*s%d%s", (int)(place - format), format, id + set.first, place + 2)
                  : snprintf(s, sizeof s, "%s", format);
    return string(at, s, (size_t)n);
}

static void start(struct user *u)
{
    uint8_t head[] = {0, 4, 'M', 'Q', 'T', 'T', 4, (uint8_t)(set.resume ? 0xC0 : 0xC2), 0xFF, 0xFF}, b[1024];
    const char *password = password_of(u);
    memcpy(b, head, sizeof head);
    size_t n = sizeof head;
    n += formatted(b + n, "u%d", u->id);
    n += formatted(b + n, set.login, u->id);
    n += string(b + n, password, strlen(password));
    packet(u, 0x10, b, n);
    flush(u);
}

static void subscribe(struct user *u)
{
    uint8_t b[256] = {0, 1};
    size_t n = 2;
    n += formatted(b + n, set.mode == FANOUT ? set.filter : set.inbox, u->id);
    b[n++] = (uint8_t)set.qos;
    packet(u, 0x82, b, n);
    flush(u);
}

static void send_message(struct user *u, int to, uint64_t when)
{
    static uint8_t b[LONGEST];
    size_t n = formatted(b, set.mode == FANOUT ? set.post : set.outbox, to);
    if (set.qos) {
        u->next_packet = u->next_packet % 60000 + 1;
        b[n++] = (uint8_t)(u->next_packet >> 8);
        b[n++] = (uint8_t)u->next_packet;
    }
    int body = stamp((char *)b + n, u, when);
    if (body < set.body) {
        memset(b + n + body, 'x', (size_t)(set.body - body));
        body = set.body;
    }
    packet(u, (uint8_t)(0x30 | set.qos << 1), b, n + (size_t)body);
}

static int handle(struct user *u, uint8_t type, const uint8_t *p, size_t n)
{
    if (type >> 4 == CONNACK) {
        if (n < 2 || p[1]) {
            errno = EACCES;
            lose(u, "login refused");
            return -1;
        }
        if (only_writes(u) || (set.mode == RESYNC && (p[0] & 1)))
            user_ready(u); /* a session that was there has its subscription */
        else
            subscribe(u);
    } else if (type >> 4 == SUBACK) {
        if (n < 3 || p[2] & 0x80) {
            errno = EACCES;
            lose(u, "subscription refused");
            return -1;
        }
        user_ready(u);
    } else if (type >> 4 == PUBLISH) {
        size_t topic = (size_t)p[0] << 8 | p[1];
        message_read(u, (const char *)p + 2 + topic, n - 2 - topic);
        if (type & 6)
            packet(u, 0x40, p + 2 + topic, 2);
        else if (set.mode == PAIRS && !set.qos)
            message_acked(&load.user[u->id - 1]);
    } else if (type >> 4 == PUBACK) {
        message_acked(u);
    }
    return 0;
}

static int read_packets(struct user *u)
{
    size_t at = 0;
    for (;;) {
        const uint8_t *p = (const uint8_t *)u->in.data + at;
        size_t have = u->in.len - at, len = 0, head = 1;
        bool whole = false;
        for (int shift = 0; head < have && head < 5 && !whole; shift += 7) {
            len |= (size_t)(p[head] & 127) << shift;
            whole = !(p[head++] & 128);
        }
        if (!whole || have < head + len)
            break;
        if (handle(u, p[0], p + head, len) < 0 || u->state == DEAD) /* an answer that could not be sent: the buffer is gone */
            return -1;
        at += head + len;
    }
    return consumed(u, at);
}

static void ping(struct user *u)
{
    packet(u, 0xC0, "", 0);
}

static void leave(struct user *u)
{
    packet(u, 0xE0, "", 0);
}

const struct protocol im_mqtt = {"mqtt", start, read_packets, send_message, ping, leave};
