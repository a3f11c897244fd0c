/* The MQTT codec: every packet whole, cut at every place, and malformed in every way; what is written, byte by byte. */
#include "services/gateway/gw_mqtt_encode.h"

#include "common/base/buf.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { LIMIT = 4000 };

static void put_varint(struct pgn_buf *b, size_t v)
{
    do {
        pgn_buf_append_byte(b, (uint8_t)((v & 0x7f) | (v > 0x7f ? 0x80 : 0)));
        v >>= 7;
    } while (v);
}

/*
 * Bytes from a line of text: pairs of hex digits; 'text' as it is; `text` behind its length in two bytes; {...} behind its length
 * as a variable byte integer, like properties; what follows | until ; or the end likewise, like a packet's remaining length.
 */
static const char *build(struct pgn_buf *b, const char *s, const char *until)
{
    while (*s && !strchr(until, *s)) {
        if (*s == ' ' || *s == ';') {
            s++;
        } else if (*s == '\'' || *s == '`') {
            const char *close = strchr(s + 1, *s);
            size_t len = (size_t)(close - s) - 1;
            if (*s == '`') {
                pgn_buf_append_byte(b, (uint8_t)(len >> 8));
                pgn_buf_append_byte(b, (uint8_t)len);
            }
            pgn_buf_append(b, s + 1, len);
            s = close + 1;
        } else if (*s == '{' || *s == '|') {
            struct pgn_buf inner = {0};
            bool packet = *s == '|';
            s = build(&inner, s + 1, packet ? ";" : "}");
            put_varint(b, inner.len);
            pgn_buf_append(b, inner.data, inner.len);
            pgn_buf_release(&inner);
            s += *s == '}';
        } else {
            unsigned byte = 0;
            assert_int_equal(sscanf(s, "%2x", &byte), 1);
            assert_true(isxdigit((unsigned char)s[1]));
            pgn_buf_append_byte(b, (uint8_t)byte);
            s += 2;
        }
    }
    return s;
}

static char line[65536];
static size_t used;

static void say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    used += (size_t)vsnprintf(line + used, sizeof line - used, format, args);
    va_end(args);
}

static void say_str(const char *name, struct gw_mqtt_str s)
{
    if (s.data && (s.len || !strcmp(name, "id")))
        say(" %s=%.*s", name, (int)s.len, s.data);
}

static void say_props(const struct gw_mqtt_props *p)
{
    if (gw_mqtt_has(p, GW_MQTT_P_SESSION_EXPIRY))
        say(" expiry=%u", p->session_expiry_s);
    if (gw_mqtt_has(p, GW_MQTT_P_MESSAGE_EXPIRY))
        say(" age=%u", p->message_expiry_s);
    if (p->will_delay_s)
        say(" delay=%u", p->will_delay_s);
    if (p->maximum_packet != UINT32_MAX)
        say(" max=%u", p->maximum_packet);
    if (p->receive_maximum != UINT16_MAX)
        say(" window=%u", p->receive_maximum);
    if (p->alias_maximum)
        say(" aliases=%u", p->alias_maximum);
    if (p->alias)
        say(" alias=%u", p->alias);
    if (p->subscription_id)
        say(" sub=%u", p->subscription_id);
    say("%s%s%s", p->payload_utf8 ? " utf8" : "", p->request_problem ? "" : " quiet", p->request_response ? " resp" : "");
    say_str("type", p->content_type);
    say_str("answer", p->response_topic);
    say_str("corr", p->correlation);
    say_str("why", p->reason);
    struct pgn_cursor user = p->user;
    struct gw_mqtt_str name, value;
    while (gw_mqtt_user_next(&user, &name, &value))
        say(" %.*s:%.*s", (int)name.len, name.data, (int)value.len, value.data);
}

static enum gw_mqtt_reason say_connect(const struct gw_mqtt_packet *p)
{
    struct gw_mqtt_connect c;
    enum gw_mqtt_reason reason = gw_mqtt_read_connect(p, &c);
    say("connect %u", c.version);
    if (reason)
        return reason;
    say("%s keep=%u", c.clean_start ? " clean" : "", c.keep_alive_s);
    say_str("id", c.client_id);
    say_str("user", c.user);
    say_str("password", c.password);
    say_props(&c.props);
    if (c.has_will) {
        say(" will %u%s", c.will.qos, c.will.retain ? "r" : "");
        say_str("topic", c.will.topic);
        say_str("payload", c.will.payload);
        say_props(&c.will.props);
    }
    return reason;
}

static enum gw_mqtt_reason say_publish(const struct gw_mqtt_packet *p, uint8_t version)
{
    struct gw_mqtt_publish m;
    enum gw_mqtt_reason reason = gw_mqtt_read_publish(p, version, &m);
    if (reason)
        return reason;
    say("publish %u%s%s #%u", m.qos, m.dup ? "d" : "", m.retain ? "r" : "", m.id);
    say_str("topic", m.topic);
    say_str("payload", m.payload);
    say_props(&m.props);
    return reason;
}

static enum gw_mqtt_reason say_ack(const struct gw_mqtt_packet *p, uint8_t version)
{
    struct gw_mqtt_ack a;
    enum gw_mqtt_reason reason = gw_mqtt_read_ack(p, version, &a);
    if (reason)
        return reason;
    say("ack%u #%u %02x", p->type, a.id, a.reason);
    say_props(&a.props);
    return reason;
}

static enum gw_mqtt_reason say_filters(const struct gw_mqtt_packet *p, uint8_t version)
{
    struct gw_mqtt_subscribe s;
    enum gw_mqtt_reason reason =
        p->type == GW_MQTT_SUBSCRIBE ? gw_mqtt_read_subscribe(p, version, &s) : gw_mqtt_read_unsubscribe(p, version, &s);
    if (reason)
        return reason;
    say("%s #%u", p->type == GW_MQTT_SUBSCRIBE ? "subscribe" : "unsubscribe", s.id);
    struct gw_mqtt_filter f;
    size_t n = 0;
    for (; gw_mqtt_filter_next(&s, &f); n++) {
        say(" %.*s/%u", (int)f.filter.len, f.filter.data, f.qos);
        say("%s%s", f.no_local ? "n" : "", f.retain_as_published ? "p" : "");
        if (f.retain_handling)
            say("h%u", f.retain_handling);
    }
    assert_int_equal(n, s.count);
    say_props(&s.props);
    return reason;
}

static enum gw_mqtt_reason say_packet(const struct gw_mqtt_packet *p, uint8_t version)
{
    struct gw_mqtt_disconnect d;
    enum gw_mqtt_reason reason = GW_MQTT_SUCCESS;
    switch (p->type) {
    case GW_MQTT_CONNECT:
        return say_connect(p);
    case GW_MQTT_PUBLISH:
        return say_publish(p, version);
    case GW_MQTT_SUBSCRIBE:
    case GW_MQTT_UNSUBSCRIBE:
        return say_filters(p, version);
    case GW_MQTT_PINGREQ:
        reason = gw_mqtt_read_pingreq(p, version);
        if (!reason)
            say("ping");
        return reason;
    case GW_MQTT_DISCONNECT:
        reason = gw_mqtt_read_disconnect(p, version, &d);
        if (reason)
            return reason;
        say("disconnect %02x", d.reason);
        say_props(&d.props);
        return reason;
    case GW_MQTT_AUTH:
        say("auth");
        return reason;
    default:
        return say_ack(p, version);
    }
}

/* Reads the input in pieces of `step` bytes; what came out as a line, and "!81" where it broke. */
static const char *run(const struct pgn_buf *in, uint8_t version, size_t step, size_t limit)
{
    struct gw_mqtt_stream s = {NULL};
    bool stop = false;
    used = 0;
    line[0] = 0;
    for (size_t from = 0; from < in->len && !stop; from += step) {
        size_t n = in->len - from < step ? in->len - from : step;
        uint8_t *piece = malloc(n), *at = piece; /* of the exact size, so that ASan sees a read past it */
        memcpy(piece, in->data + from, n);
        struct gw_mqtt_packet p;
        enum gw_mqtt_result r;
        while (!stop && (r = gw_mqtt_next(&s, &at, piece + n, limit, &p)) != GW_MQTT_MORE) {
            enum gw_mqtt_reason reason = r == GW_MQTT_BROKEN ? p.reason : say_packet(&p, version);
            stop = reason != GW_MQTT_SUCCESS;
            if (stop)
                say("!%02x", reason);
            else
                say(", ");
        }
        if (!stop)
            assert_ptr_equal(at, piece + n);
        assert_true(gw_mqtt_held_bytes(&s) < limit * 2 + 512);
        free(piece);
    }
    gw_mqtt_stream_release(&s);
    return line;
}

/* The same answer whole and cut at every size. */
static void expect(uint8_t version, const char *bytes, const char *wanted)
{
    struct pgn_buf b = {0};
    build(&b, bytes, "");
    for (size_t step = 1; step <= b.len; step++)
        if (strcmp(run(&b, version, step, LIMIT), wanted) != 0)
            fail_msg("%s, in pieces of %zu:\n  %s\nwanted\n  %s", bytes, step, line, wanted);
    pgn_buf_release(&b);
}

#define CONNECT_3 "10| `MQTT` 04 "
#define CONNECT_5 "10| `MQTT` 05 "

static void test_every_packet_of_3(void **state)
{
    (void)state;
    expect(GW_MQTT_3,
           CONNECT_3 "02 003c `me` ;" CONNECT_3 "c2 0000 `` `anna` `secret` ;" CONNECT_3 "f4 0001 `x` `u/bob` `gone` `anna` `pw`;"
                     "30| `u/bob` 'hello' ; 3b| `c/1` 0102 'yes'; 34| `c/1` 0007; 40|0001; 50|0002; 62|0003; 70|0004;"
                     "82| 0005 `inbox/#` 01 `presence/bob` 02; a2| 0006 `inbox/#` `+`; c0|; e0|",
           "connect 4 clean keep=60 id=me, connect 4 clean keep=0 id= user=anna password=secret, "
           "connect 4 keep=1 id=x user=anna password=pw will 2r topic=u/bob payload=gone, "
           "publish 0 #0 topic=u/bob payload=hello, publish 1dr #258 topic=c/1 payload=yes, publish 2 #7 topic=c/1, "
           "ack4 #1 00, ack5 #2 00, ack6 #3 00, ack7 #4 00, subscribe #5 inbox/#/1 presence/bob/2, "
           "unsubscribe #6 inbox/#/0 +/0, ping, disconnect 00, ");
}

static void test_every_packet_of_5(void **state)
{
    (void)state;
    expect(GW_MQTT_5,
           CONNECT_5 "02 003c {} `me` ;" CONNECT_5 "46 0001 {11 00000e10 17 00 19 01 21 0010 22 0005 26 `k` `v` 26 `k` `w` 27 00010000} ``"
                     " {01 01 02 00000009 03 `text/plain` 08 `r/1` 09 `c` 18 0000001e} `u/bob` `bye` `token`;"
                     "32| `u/bob` 0001 {01 01 02 00000005 03 `t` 08 `r` 09 `z` 23 0002 26 `client_id` `7`} 'x'; 30| `` {23 0001} 'y';"
                     "40|0001; 40|0001 87; 50|0002 10 {}; 62|0003 92 {1f `no`}; 70|0004 00 {26 `a` `b`};"
                     "82| 0005 {0b 8001 26 `a` `b`} `inbox/#` 2d `$share/g/x` 11; a2| 0006 {26 `a` `b`} `inbox/#`;"
                     "c0|; e0|; e0| 04; e0| 00 {11 00000001 1f `w`}; f0| 19 {15 `m`}",
           "connect 5 clean keep=60 id=me, "
           "connect 5 clean keep=1 id= password=token expiry=3600 max=65536 window=16 aliases=5 quiet resp k:v k:w "
           "will 0 topic=u/bob payload=bye age=9 delay=30 utf8 type=text/plain answer=r/1 corr=c, "
           "publish 1 #1 topic=u/bob payload=x age=5 alias=2 utf8 type=t answer=r corr=z client_id:7, "
           "publish 0 #0 payload=y alias=1, "
           "ack4 #1 00, ack4 #1 87, ack5 #2 10, ack6 #3 92 why=no, ack7 #4 00 a:b, "
           "subscribe #5 inbox/#/1nph2 $share/g/x/1h1 sub=128 a:b, unsubscribe #6 inbox/#/0 a:b, ping, disconnect 00, disconnect 04, "
           "disconnect 00 expiry=1 why=w, auth, ");
}

static void test_framing_refuses(void **state)
{
    (void)state;
    static const struct {
        const char *bytes, *wanted;
    } rows[] = {
        {"00 00", "!81"},                     /* type 0 */
        {"11| `MQTT` 04 02 0000 `x`", "!81"}, /* reserved flags */
        {"41| 0001", "!81"},
        {"60| 0001", "!81"},
        {"80| 0001 `a` 00", "!81"},
        {"83| 0001 `a` 00", "!81"},
        {"a0| 0001 `a`", "!81"},
        {"c1|", "!81"},
        {"e4|", "!81"},
        {"f1|", "!81"},
        {"36| `a` 0001 {}", "!81"},
        {"38| `a` {}", "!81"},
        {"3e| `a` 0001 {}", "!81"}, /* QoS 3, DUP with QoS 0 */
        {"20| 0000", "!82"},
        {"90| 0001 00", "!82"},
        {"b0| 0001", "!82"},
        {"d0|", "!82"}, /* a server's */
        {"30 ffffffff01", "!81"},
        {"30 80808080", "!81"},
        {"10 ffffffff", "!81"}, /* five bytes of length */
        {"30 ffffff7f 00", "!95"},
        {"30 a11f 00", "!95"},
        {"30 9e1f", "!95"},
        {"30 9d1f", ""}, /* LIMIT counts the head */
        {"c0|; 00 00", "ping, !81"},
    };
    for (size_t i = 0; i < PGN_COUNT(rows); i++)
        expect(GW_MQTT_5, rows[i].bytes, rows[i].wanted);
}

/* 3.1.1 does not ask for the shortest form of a length, 5.0 does (1.5.5-1). */
static void test_padded_length(void **state)
{
    (void)state;
    expect(GW_MQTT_3, "c0 80808000", "ping, ");
    expect(GW_MQTT_5, "c0 8000", "!81");
    expect(GW_MQTT_5, "40 8200 0001", "!81");
    expect(GW_MQTT_5, "10 8e00 `MQTT` 05 02 0000 {} `x`", "connect 5!81");
    expect(GW_MQTT_3, "10 8d00 `MQTT` 04 02 0000 `x`", "connect 4 clean keep=0 id=x, ");
}

static void test_connect_refused(void **state)
{
    (void)state;
    static const struct {
        const char *bytes, *wanted;
    } rows[] = {
        {"10|", "connect 0!81"},
        {"10| `MQTT`", "connect 0!81"},
        {"10| `MQIsdp` 03 02 003c `x`", "connect 4!84"},
        {"10| `HTTP` 04 02 003c `x`", "connect 0!84"},
        {"10| `MQTT` 03 02 003c `x`", "connect 4!84"},
        {"10| `MQTT` 06 02 003c {} `x`", "connect 5!84"},
        {"10| `MQTT` 84 02 003c `x`", "connect 5!84"}, /* a bridge of mosquitto */
        {CONNECT_3 "03 0000 `x`", "connect 4!81"},     /* reserved bit */
        {CONNECT_3 "0a 0000 `x`", "connect 4!81"},     /* QoS of a will that is not there */
        {CONNECT_3 "22 0000 `x`", "connect 4!81"},
        {CONNECT_3 "1e 0000 `x` `a` `b`", "connect 4!81"},   /* its QoS 3 */
        {CONNECT_3 "42 0000 `x` `pw`", "connect 4!81"},      /* a password without a user */
        {CONNECT_3 "00 0000 ``", "connect 4!85"},            /* no client id for a session to be kept */
        {CONNECT_3 "02 0000", "connect 4!81"},               /* no client id at all */
        {CONNECT_3 "82 0000 `x`", "connect 4!81"},           /* no user name */
        {CONNECT_3 "c2 0000 `x` `u`", "connect 4!81"},       /* no password */
        {CONNECT_3 "02 0000 `x` 00", "connect 4!81"},        /* something behind it */
        {CONNECT_3 "02 0000 0002 c328", "connect 4!81"},     /* not UTF-8 */
        {CONNECT_3 "02 0000 0003 eda080", "connect 4!81"},   /* a surrogate */
        {CONNECT_3 "02 0000 0002 c080", "connect 4!81"},     /* overlong */
        {CONNECT_3 "02 0000 0001 00", "connect 4!81"},       /* U+0000 */
        {CONNECT_3 "82 0000 `x` 0001 ff", "connect 4!81"},   /* the user name */
        {CONNECT_3 "06 0000 `x` `a/#` `b`", "connect 4!90"}, /* a will to a filter */
        {CONNECT_3 "06 0000 `x` `` `b`", "connect 4!90"},    /* to nobody */
        {CONNECT_3 "06 0000 `x` `a`", "connect 4!81"},       /* without payload */
        {CONNECT_5 "02 0000 {} `x` `y`", "connect 5!81"},
        {CONNECT_5 "02 0000 {15 `m` 16 `d`} `x`", "connect 5!8c"},
        {CONNECT_5 "02 0000 {16 `d`} `x`", "connect 5!82"}, /* authentication data without method */
        {CONNECT_5 "02 0000 {21 0000} `x`", "connect 5!82"},
        {CONNECT_5 "02 0000 {27 00000000} `x`", "connect 5!82"},
        {CONNECT_5 "02 0000 {17 02} `x`", "connect 5!82"},
        {CONNECT_5 "02 0000 {19 02} `x`", "connect 5!82"},
        {CONNECT_5 "02 0000 {11 00000001 11 00000001} `x`", "connect 5!82"}, /* twice */
        {CONNECT_5 "02 0000 {18 00000001} `x`", "connect 5!81"},             /* a will's property */
        {CONNECT_5 "06 0000 {} `x` {11 00000001} `a` `b`", "connect 5!81"},  /* and the other way round */
        {CONNECT_5 "06 0000 {} `x` {01 02} `a` `b`", "connect 5!82"},
        {CONNECT_5 "06 0000 {} `x` {08 `#`} `a` `b`", "connect 5!82"},
        {CONNECT_5 "02 0000 {12 `x`} `x`", "connect 5!81"}, /* a server's */
        {CONNECT_5 "02 0000 {7f} `x`", "connect 5!81"},     /* nobody's */
        {CONNECT_5 "02 0000 {ff01 00} `x`", "connect 5!81"},
        {CONNECT_5 "02 0000 {9100 00000001} `x`", "connect 5!81"}, /* an id of two bytes */
        {CONNECT_5 "02 0000 {11 0000} `x`", "connect 5!81"},       /* cut */
        {CONNECT_5 "02 0000 {26 `a`} `x`", "connect 5!81"},
        {CONNECT_5 "02 0000 {26 `a` 0001 ff} `x`", "connect 5!81"},
        {CONNECT_5 "02 0000 7f `x`", "connect 5!81"},     /* longer than the packet */
        {CONNECT_5 "02 0000 ffffffff01", "connect 5!81"}, /* a length of five bytes */
        {CONNECT_5 "02 0000 8000 `x`", "connect 5!81"},   /* not the shortest */
        {CONNECT_5 "02 0000", "connect 5!81"},
    };
    for (size_t i = 0; i < PGN_COUNT(rows); i++)
        expect(GW_MQTT_5, rows[i].bytes, rows[i].wanted);
}

static void test_packets_refused(void **state)
{
    (void)state;
    static const struct {
        uint8_t version;
        const char *bytes, *wanted;
    } rows[] = {
        {3, "30|", "!81"},
        {3, "30| 00", "!81"},
        {3, "30| 0005 'abc'", "!81"},
        {3, "32| `a` 00", "!81"},
        {3, "32| `a` 0000 'x'", "!82"}, /* packet id 0 */
        {3, "30| `` 'x'", "!82"},
        {3, "30| `a/+` 'x'", "!90"},
        {3, "30| `a/#` 'x'", "!90"},
        {3, "30| 0003 'a' 00 'b'", "!81"},
        {3, "30| 0001 ff", "!81"},
        {5, "30| `a`", "!81"}, /* no properties */
        {5, "30| `` {} 'x'", "!82"},
        {5, "30| `a` {23 0000} 'x'", "!94"},
        {5, "30| `a` {23 0001 23 0001} 'x'", "!82"},
        {5, "30| `a` {0b 01} 'x'", "!82"}, /* a subscription id from a client */
        {5, "30| `a` {0b 8000} 'x'", "!81"},
        {5, "30| `a` {01 02} 'x'", "!82"},
        {5, "30| `a` {08 `a/+`} 'x'", "!82"},
        {5, "30| `a` {1f `x`} 'x'", "!81"},
        {5, "30| `a` {03 0002 c328} 'x'", "!81"},
        {3, "40| 00", "!81"},
        {3, "40| 0000", "!82"},
        {3, "40| 0001 00", "!81"}, /* 3.1.1 has no reason */
        {5, "40| 0001 00 {} 00", "!81"},
        {5, "40| 0001 01", "!82"}, /* no reason of a PUBACK */
        {5, "40| 0001 92", "!82"},
        {5, "62| 0001 87", "!82"},
        {5, "40| 0001 00 {11 00000001}", "!81"},
        {3, "82|", "!81"},
        {3, "82| 0001", "!82"}, /* no filter */
        {3, "82| 0000 `a` 00", "!82"},
        {3, "82| 0001 `a`", "!81"}, /* no options */
        {3, "82| 0001 `a` 04", "!81"},
        {3, "82| 0001 `a` 03", "!82"},
        {5, "82| 0001 {} `a` 03", "!82"},
        {5, "82| 0001 {} `a` 30", "!82"}, /* retain handling 3 */
        {5, "82| 0001 {} `a` 40", "!81"},
        {5, "82| 0001 {} `$share/g/a` 04", "!82"}, /* no local on a shared one */
        {5, "82| 0001 {0b 00} `a` 00", "!82"},
        {5, "82| 0001 {} `a#` 00", "!8f"},
        {5, "82| 0001 {} `` 00", "!8f"},
        {5, "82| 0001 {} `a#` 00 `b`", "!81"}, /* malformed goes first */
        {5, "82| 0001 {} `a` 00 0001 ff 00", "!81"},
        {3, "a2| 0001", "!82"},
        {3, "a2| 0001 `a` 00", "!81"},
        {5, "a2| 0001 {0b 01} `a`", "!81"},
        {5, "a2| 0001 {} `a/#/b`", "!8f"},
        {3, "c0| 00", "!81"},
        {3, "e0| 00", "!81"},
        {5, "e0| 8e", "!82"}, /* a server's reason */
        {5, "e0| 00 {1c `x`}", "!81"},
        {5, "e0| 00 {} 00", "!81"},
    };
    for (size_t i = 0; i < PGN_COUNT(rows); i++)
        expect(rows[i].version == 3 ? GW_MQTT_3 : GW_MQTT_5, rows[i].bytes, rows[i].wanted);
}

/* Each packet cut short, with a length that says so: never read past, and nothing is found that was not sent. */
static void test_short_bodies(void **state)
{
    (void)state;
    static const char *const rows[] = {
        CONNECT_5 "c6 003c {11 00000e10 26 `k` `v`} `me` {18 00000001} `u/bob` `bye` `anna` `token`",
        CONNECT_3 "c6 003c `me` `u/bob` `bye` `anna` `token`",
        "82| 0005 {0b 8001} `inbox/#` 01",
        "a2| 0005 {26 `a` `b`} `inbox/#`",
    };
    for (size_t i = 0; i < PGN_COUNT(rows); i++) {
        struct pgn_buf b = {0}, cut = {0};
        build(&b, rows[i], "");
        for (uint8_t len = 0; len + 2u < b.len; len++) {
            pgn_buf_clear(&cut);
            pgn_buf_append_byte(&cut, b.data[0]);
            pgn_buf_append_byte(&cut, len);
            pgn_buf_append(&cut, b.data + 2, len);
            const char *said = run(&cut, GW_MQTT_5, cut.len, LIMIT);
            if (!strstr(said, "!81") && !strstr(said, "!82")) /* without its filter a SUBSCRIBE is well formed */
                fail_msg("%s, first %u bytes: %s", rows[i], len, said);
        }
        pgn_buf_release(&b);
        pgn_buf_release(&cut);
    }
}

static void test_caps(void **state)
{
    (void)state;
    for (size_t n = GW_MQTT_MAX_PROPS; n <= GW_MQTT_MAX_PROPS + 1; n++) {
        struct pgn_buf text = {0}, b = {0};
        pgn_buf_append_str(&text, "e0| 00 {");
        for (size_t i = 0; i < n; i++)
            pgn_buf_append_str(&text, "26 `` ``");
        pgn_buf_append_str(&text, "}");
        build(&b, pgn_buf_cstr(&text), "");
        assert_true((strstr(run(&b, GW_MQTT_5, b.len, LIMIT), "!97") != NULL) == (n > GW_MQTT_MAX_PROPS));
        pgn_buf_release(&b);
        pgn_buf_release(&text);
    }
    for (size_t n = GW_MQTT_MAX_FILTERS; n <= GW_MQTT_MAX_FILTERS + 1; n++) {
        struct pgn_buf text = {0}, b = {0};
        pgn_buf_append_str(&text, "a2| 0001 {}");
        for (size_t i = 0; i < n; i++)
            pgn_buf_append_str(&text, "`a`");
        build(&b, pgn_buf_cstr(&text), "");
        assert_true((strstr(run(&b, GW_MQTT_5, b.len, LIMIT), "!97") != NULL) == (n > GW_MQTT_MAX_FILTERS));
        pgn_buf_release(&b);
        pgn_buf_release(&text);
    }
}

/* The limit counts the whole packet; memory of a cut one is given back. */
static void test_limit_and_memory(void **state)
{
    (void)state;
    struct pgn_buf b = {0};
    build(&b, "30| `a` {} '0123456789'; c0|", "");
    size_t whole = b.len - 2;
    for (size_t step = 1; step <= b.len; step++) {
        assert_string_equal(run(&b, GW_MQTT_5, step, whole), "publish 0 #0 topic=a payload=0123456789, ping, ");
        assert_string_equal(run(&b, GW_MQTT_5, step, whole - 1), "!95");
    }
    struct gw_mqtt_stream s = {NULL};
    struct gw_mqtt_packet p;
    uint8_t *at = b.data;
    assert_int_equal(gw_mqtt_next(&s, &at, b.data + 5, LIMIT, &p), GW_MQTT_MORE);
    assert_true(gw_mqtt_held_bytes(&s) > 0);
    assert_int_equal(gw_mqtt_next(&s, &at, b.data + b.len, LIMIT, &p), GW_MQTT_PACKET);
    assert_int_equal(gw_mqtt_next(&s, &at, b.data + b.len, LIMIT, &p), GW_MQTT_PACKET);
    assert_true(p.body >= b.data && p.body <= b.data + b.len); /* not copied */
    assert_int_equal(gw_mqtt_held_bytes(&s), 0);
    assert_int_equal(gw_mqtt_next(&s, &at, b.data + b.len, LIMIT, &p), GW_MQTT_MORE);
    assert_int_equal(gw_mqtt_held_bytes(&s), 0);
    gw_mqtt_stream_release(&s);
    pgn_buf_release(&b);
}

static struct gw_mqtt_str str(const char *s)
{
    return (struct gw_mqtt_str){s, s ? strlen(s) : 0};
}

/* What was written is exactly these bytes; then it is gone. */
static void wrote(struct pgn_buf *b, const char *bytes)
{
    struct pgn_buf wanted = {0};
    build(&wanted, bytes, "");
    assert_int_equal(b->len, wanted.len);
    assert_memory_equal(b->data, wanted.data, wanted.len);
    pgn_buf_release(&wanted);
    pgn_buf_release(b);
}

static void test_connack(void **state)
{
    (void)state;
    struct pgn_buf b = {0};
    struct gw_mqtt_connack c = {.session_present = true};
    assert_true(gw_mqtt_write_connack(&b, GW_MQTT_3, &c));
    wrote(&b, "20| 0100");
    assert_true(gw_mqtt_write_connack(&b, GW_MQTT_5, &c));
    wrote(&b, "20| 0100 {}");
    c = (struct gw_mqtt_connack){.session_present = true, .reason = GW_MQTT_BAD_LOGIN, .text = str("no")};
    assert_true(gw_mqtt_write_connack(&b, GW_MQTT_3, &c));
    wrote(&b, "20| 0004");
    assert_true(gw_mqtt_write_connack(&b, GW_MQTT_5, &c));
    wrote(&b, "20| 0086 {1f `no`}");
    static const uint8_t codes[][2] = {{0x84, 1}, {0x85, 2}, {0x88, 3}, {0x89, 3}, {0x8b, 3},
                                       {0x97, 3}, {0x9f, 3}, {0x86, 4}, {0x87, 5}, {0x8a, 5}};
    for (size_t i = 0; i < PGN_COUNT(codes); i++) {
        c.reason = (enum gw_mqtt_reason)codes[i][0];
        assert_true(gw_mqtt_write_connack(&b, GW_MQTT_3, &c));
        assert_int_equal(b.data[3], codes[i][1]);
        pgn_buf_clear(&b);
    }
    c.reason = GW_MQTT_MALFORMED;
    assert_false(gw_mqtt_write_connack(&b, GW_MQTT_3, &c));
    assert_int_equal(b.len, 0);
    c = (struct gw_mqtt_connack){.tell_session_expiry = true,
                                 .tell_keep_alive = true,
                                 .session_expiry_s = 3600,
                                 .keep_alive_s = 60,
                                 .no_retain = true,
                                 .no_wildcard = true,
                                 .no_subscription_id = true,
                                 .no_shared = true,
                                 .receive_maximum = 64,
                                 .alias_maximum = 16,
                                 .maximum_packet = 65536,
                                 .client_id = str("m-1")};
    assert_true(gw_mqtt_write_connack(&b, GW_MQTT_5, &c));
    wrote(&b, "20| 0000 {11 00000e10 21 0040 25 00 27 00010000 12 `m-1` 22 0010 28 00 29 00 2a 00 13 003c}");
}

static void test_answers(void **state)
{
    (void)state;
    struct pgn_buf b = {0};
    const uint8_t codes[] = {0, 1, 0x8f, 0x80};
    gw_mqtt_write_suback(&b, GW_MQTT_3, 0x102, codes, 4);
    wrote(&b, "90| 0102 00 01 80 80");
    gw_mqtt_write_suback(&b, GW_MQTT_5, 0x102, codes, 4);
    wrote(&b, "90| 0102 00 00 01 8f 80");
    gw_mqtt_write_unsuback(&b, GW_MQTT_3, 3, codes, 1);
    wrote(&b, "b0| 0003");
    gw_mqtt_write_unsuback(&b, GW_MQTT_5, 3, codes, 2);
    wrote(&b, "b0| 0003 00 00 01");
    gw_mqtt_write_pingresp(&b);
    wrote(&b, "d0|");
    gw_mqtt_write_ack(&b, GW_MQTT_3, GW_MQTT_PUBREL, 9, GW_MQTT_SUCCESS, str("left out"));
    wrote(&b, "62| 0009");
    gw_mqtt_write_ack(&b, GW_MQTT_5, GW_MQTT_PUBACK, 9, GW_MQTT_SUCCESS, str(NULL));
    wrote(&b, "40| 0009");
    gw_mqtt_write_ack(&b, GW_MQTT_5, GW_MQTT_PUBREC, 9, GW_MQTT_NOT_AUTHORIZED, str(NULL));
    wrote(&b, "50| 0009 87");
    gw_mqtt_write_ack(&b, GW_MQTT_5, GW_MQTT_PUBCOMP, 9, GW_MQTT_ID_NOT_FOUND, str("no"));
    wrote(&b, "70| 0009 92 {1f `no`}");
    assert_false(gw_mqtt_write_disconnect(&b, GW_MQTT_3, GW_MQTT_TAKEN_OVER, str(NULL)));
    assert_int_equal(b.len, 0);
    assert_true(gw_mqtt_write_disconnect(&b, GW_MQTT_5, GW_MQTT_TAKEN_OVER, str(NULL)));
    wrote(&b, "e0| 8e");
    assert_true(gw_mqtt_write_disconnect(&b, GW_MQTT_5, GW_MQTT_SUCCESS, str(NULL)));
    wrote(&b, "e0|");
    assert_true(gw_mqtt_write_disconnect(&b, GW_MQTT_5, GW_MQTT_MALFORMED, str("why")));
    wrote(&b, "e0| 81 {1f `why`}");
}

static void test_publish_bytes(void **state)
{
    (void)state;
    struct pgn_buf b = {0};
    struct gw_mqtt_pair user[] = {{str("from"), str("bob")}, {str("seq"), str("7")}};
    struct gw_mqtt_out m = {.topic = str("inbox/u/bob"),
                            .payload = str("hi"),
                            .qos = 1,
                            .id = 0x0102,
                            .payload_utf8 = true,
                            .content_type = str("text/plain"),
                            .user = user,
                            .users = 2,
                            .alias = 3};
    pgn_buf_append_str(&b, "before");
    size_t at = gw_mqtt_write_publish(&b, GW_MQTT_5, &m);
    assert_memory_equal(b.data, "before", 6);
    pgn_buf_drop_front(&b, 6);
    assert_memory_equal(b.data + at, "\1\2", 2);
    gw_mqtt_patch_id(b.data, at, 0xfffe);
    gw_mqtt_patch_dup(b.data);
    wrote(&b, "3a| `inbox/u/bob` fffe {01 01 23 0003 03 `text/plain` 26 `from` `bob` 26 `seq` `7`} 'hi'");
    m.retain = true;
    at = gw_mqtt_write_publish(&b, GW_MQTT_3, &m);
    assert_memory_equal(b.data + at, "\1\2", 2);
    wrote(&b, "33| `inbox/u/bob` 0102 'hi'");
    m.qos = 0;
    assert_int_equal(gw_mqtt_write_publish(&b, GW_MQTT_3, &m), 0);
    wrote(&b, "31| `inbox/u/bob` 'hi'");
}

/* Round trips around the places where a length takes another byte: of the packet and of its properties. */
static void test_publish_round_trip(void **state)
{
    (void)state;
    static char text[20000];
    memset(text, 'x', sizeof text);
    static const size_t sizes[] = {0, 1, 100, 110, 120, 127, 128, 129, 16300, 16360, 16383, 16384, 16385, 19999};
    for (size_t i = 0; i < PGN_COUNT(sizes); i++)
        for (size_t near = 0; near < 30; near++)
            for (int in_props = 0; in_props < 2; in_props++) {
                size_t len = sizes[i] > near ? sizes[i] - near : 0;
                struct gw_mqtt_pair user = {str("k"), {text, in_props ? len : 2}};
                struct gw_mqtt_out m = {
                    .topic = str("a/b"), .payload = {text, in_props ? 2 : len}, .qos = 2, .id = 7, .user = &user, .users = 1};
                struct pgn_buf b = {0};
                size_t id_at = gw_mqtt_write_publish(&b, GW_MQTT_5, &m);
                assert_int_equal(b.data[id_at + 1], 7);
                struct gw_mqtt_stream s = {NULL};
                struct gw_mqtt_packet p;
                struct gw_mqtt_publish got;
                struct gw_mqtt_str value;
                uint8_t *at = b.data;
                assert_int_equal(gw_mqtt_next(&s, &at, b.data + b.len, b.len, &p), GW_MQTT_PACKET);
                assert_ptr_equal(at, b.data + b.len);
                assert_int_equal(gw_mqtt_read_publish(&p, GW_MQTT_5, &got), GW_MQTT_SUCCESS);
                assert_true(gw_mqtt_user_find(&got.props, "k", &value));
                assert_false(gw_mqtt_user_find(&got.props, "kk", &value));
                assert_int_equal(value.len, user.value.len);
                assert_int_equal(got.payload.len, m.payload.len);
                assert_int_equal(got.id, 7);
                pgn_buf_release(&b);
            }
}

static void test_filters(void **state)
{
    (void)state;
    static const char *const valid[] = {"a",   "/",      "//",  "a/b",          "#",      "+",        "a/#", "+/+", "a/+/b", "/+",
                                        "+/#", "$SYS/#", "a b", "$share/g/a/#", "$share", "$sharex/a"};
    static const char *const invalid[] = {"",          "a#",          "a/#/b",      "#/a",       "a+",         "+a/b",
                                          "a/b+/c",    "##",          "++",         "a/##",      "$share/",    "$share/g",
                                          "$share/g/", "$share/g#/a", "$share/+/a", "$share//a", "$share/g/a#"};
    for (size_t i = 0; i < PGN_COUNT(valid); i++)
        if (!gw_mqtt_filter_valid(str(valid[i])))
            fail_msg("%s is valid", valid[i]);
    for (size_t i = 0; i < PGN_COUNT(invalid); i++)
        if (gw_mqtt_filter_valid(str(invalid[i])))
            fail_msg("%s is not valid", invalid[i]);
    assert_true(gw_mqtt_filter_shared(str("$share/g/a")));
    assert_false(gw_mqtt_filter_shared(str("$shar/g/a")));
    assert_true(gw_mqtt_topic_valid(str("a/b")));
    assert_false(gw_mqtt_topic_valid(str("a/+")));
}

static void test_matching(void **state)
{
    (void)state;
    static const struct {
        const char *filter, *topic;
        bool matches;
    } rows[] = {
        {"a/b", "a/b", true},       {"a/b", "a/c", false},  {"a/b", "a", false},      {"a", "a/b", false},
        {"a/#", "a", true},         {"a/#", "a/b/c", true}, {"a/#", "ab", false},     {"#", "a/b", true},
        {"#", "/", true},           {"+", "a", true},       {"+", "a/b", false},      {"+/+", "/a", true},
        {"/+", "/a", true},         {"+", "/a", false},     {"a/+/c", "a/b/c", true}, {"a/+/c", "a//c", true},
        {"a/+", "a/", true},        {"a/+", "a", false},    {"#", "$SYS/x", false},   {"+/x", "$SYS/x", false},
        {"$SYS/#", "$SYS/x", true}, {"a/+/#", "a/b", true}, {"a/+/#", "a", false},    {"inbox/u/+", "inbox/u/bob", true},
        {"+/#", "a", true},         {"A", "a", false},      {"a/b/#", "a", false},    {"a/", "a", false},
        {"a", "a/", false},
    };
    for (size_t i = 0; i < PGN_COUNT(rows); i++)
        if (gw_mqtt_filter_matches(str(rows[i].filter), str(rows[i].topic)) != rows[i].matches)
            fail_msg("%s and %s", rows[i].filter, rows[i].topic);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_packet_of_3),
        cmocka_unit_test(test_every_packet_of_5),
        cmocka_unit_test(test_framing_refuses),
        cmocka_unit_test(test_padded_length),
        cmocka_unit_test(test_connect_refused),
        cmocka_unit_test(test_packets_refused),
        cmocka_unit_test(test_short_bodies),
        cmocka_unit_test(test_caps),
        cmocka_unit_test(test_limit_and_memory),
        cmocka_unit_test(test_connack),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_publish_bytes),
        cmocka_unit_test(test_publish_round_trip),
        cmocka_unit_test(test_filters),
        cmocka_unit_test(test_matching),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
