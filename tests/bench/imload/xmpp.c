/* imload's XMPP client: just enough to log in and talk. Delivery closes the loop, for XMPP has no acknowledgement of its own. */
#include "tests/bench/imload/imload.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void write_text(struct user *u, const char *s)
{
    buf_add(&u->out, s, strlen(s));
    flush(u);
}

static void start(struct user *u)
{
    char s[256];
    snprintf(s, sizeof s,
             "<?xml version='1.0'?><stream:stream to='%s' xmlns='jabber:client' "
             "xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>",
             set.domain);
    write_text(u, s);
}

static void authenticate(struct user *u)
{
    char raw[512], encoded[800], s[1024];
    int n = snprintf(raw, sizeof raw, "%cu%d%c%s", 0, u->id + set.first, 0, password_of(u));
    base64(encoded, (uint8_t *)raw, (size_t)n);
    snprintf(s, sizeof s, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>%s</auth>", encoded);
    write_text(u, s);
}

static void send_message(struct user *u, int to, uint64_t when)
{
    static const char filling[] = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
    char ts[64], head[256];
    int n = stamp(ts, u, when);
    int h = snprintf(head, sizeof head, "<message type='chat' to='u%d@%s' id='m%u'><body>", to + set.first, set.domain, ++u->next_packet);
    buf_add(&u->out, head, (size_t)h);
    buf_add(&u->out, ts, (size_t)n);
    for (size_t left = n < set.body ? (size_t)(set.body - n) : 0, part; left; left -= part) {
        part = left < sizeof filling - 1 ? left : sizeof filling - 1;
        buf_add(&u->out, filling, part);
    }
    buf_add(&u->out, "</body></message>", 17);
}

static void ping(struct user *u)
{
    buf_add(&u->out, " ", 1);
}

static void leave(struct user *u)
{
    buf_add(&u->out, "</stream:stream>", 16);
}

/* One row a login step: the text that ends it, and what is written then. */
static const struct {
    const char *until, *until_too, *write;
    void (*action)(struct user *u);
} login[] = {
    {"</stream:features>", "</stream:features>", NULL, authenticate},
    {"<success", "<success", NULL, start},
    {"</stream:features>", "</stream:features>",
     "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>r</resource></bind></iq>", NULL},
    {"id='b'", "id=\"b\"", "<iq type='set' id='s'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq><presence/>", NULL},
    {"id='s'", "id=\"s\"", NULL, user_ready},
};
enum { LOGIN_STEPS = sizeof login / sizeof *login };

static int log_in(struct user *u)
{
    if (strstr(u->in.data, "<failure")) {
        errno = EACCES;
        lose(u, "login refused");
        return -1;
    }
    if (!strstr(u->in.data, login[u->step].until) && !strstr(u->in.data, login[u->step].until_too))
        return 0;
    int step = u->step++;
    if (u->step < LOGIN_STEPS)
        u->in.len = 0; /* after the last one missed messages follow at once */
    if (login[step].write)
        write_text(u, login[step].write);
    else
        login[step].action(u);
    return 0;
}

static int read_stanzas(struct user *u)
{
    u->in.data[u->in.len] = 0;
    if (u->step < LOGIN_STEPS && log_in(u) < 0)
        return -1;
    if (u->step < LOGIN_STEPS)
        return 0;
    size_t at = 0;
    for (char *end; (end = memmem(u->in.data + at, u->in.len - at, "</message>", 10));) {
        size_t stop = (size_t)(end - u->in.data) + 10;
        message_read(u, u->in.data + at, stop - at);
        if (set.mode == PAIRS && u->id % 2)
            message_acked(&load.user[u->id - 1]);
        at = stop;
    }
    return consumed(u, at);
}

const struct protocol im_xmpp = {"xmpp", start, read_stanzas, send_message, ping, leave};
