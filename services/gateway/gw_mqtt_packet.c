/* Framing of MQTT; see gw_mqtt_packet.h. */
#include "services/gateway/gw_mqtt_packet.h"

#include "common/base/alloc.h"
#include "common/base/buf.h"

#include <stdlib.h>
#include <string.h>

/* What is kept while a packet is not complete. */
struct gw_mqtt_partial {
    uint8_t head[GW_MQTT_HEAD_MAX];
    uint8_t head_len;
    bool handed; /* the packet was handed out: empty at the next call */
    struct pgn_buf body;
    size_t want;  /* length of the body, once the head is complete */
    bool in_body; /* the head is complete */
    struct gw_mqtt_packet packet;
};

static enum gw_mqtt_result broken(struct gw_mqtt_packet *p, enum gw_mqtt_reason reason)
{
    p->reason = reason;
    return GW_MQTT_BROKEN;
}

/* What the first byte alone says: 2.1.2, 2.1.3 and which packets only a server sends. */
static enum gw_mqtt_reason check_first(uint8_t first)
{
    uint8_t flags = first & 0x0f, qos = flags >> 1 & 3;
    bool dup = flags & 8;
    switch (first >> 4) {
    case GW_MQTT_PUBLISH:
        return qos == 3 || (dup && !qos) ? GW_MQTT_MALFORMED : GW_MQTT_SUCCESS;
    case GW_MQTT_PUBREL:
    case GW_MQTT_SUBSCRIBE:
    case GW_MQTT_UNSUBSCRIBE:
        return flags == 2 ? GW_MQTT_SUCCESS : GW_MQTT_MALFORMED;
    case GW_MQTT_CONNACK:
    case GW_MQTT_SUBACK:
    case GW_MQTT_UNSUBACK:
    case GW_MQTT_PINGRESP:
        return flags ? GW_MQTT_MALFORMED : GW_MQTT_PROTOCOL_ERROR;
    case 0:
        return GW_MQTT_MALFORMED;
    default:
        return flags ? GW_MQTT_MALFORMED : GW_MQTT_SUCCESS;
    }
}

/*
 * Reads the fixed header from up to n bytes. MORE: it is not complete. PACKET: *head_len and *body_len are set, and ret but for
 * its body; the length is within limit.
 */
static enum gw_mqtt_result read_head(const uint8_t *at, size_t n, size_t limit, size_t *head_len, size_t *body_len,
                                     struct gw_mqtt_packet *ret)
{
    if (!n)
        return GW_MQTT_MORE;
    enum gw_mqtt_reason reason = check_first(at[0]);
    if (reason)
        return broken(ret, reason);
    size_t len = 0, used = 1;
    for (;; used++) {
        if (used == GW_MQTT_HEAD_MAX)
            return broken(ret, GW_MQTT_MALFORMED); /* a length of five bytes */
        if (used == n)
            return GW_MQTT_MORE;
        len |= (size_t)(at[used] & 0x7f) << (7 * (used - 1));
        if (!(at[used] & 0x80))
            break;
    }
    bool padded = used > 1 && !at[used];
    used++;
    if (len > limit || used > limit - len)
        return broken(ret, GW_MQTT_TOO_LARGE);
    *head_len = used;
    *body_len = len;
    *ret = (struct gw_mqtt_packet){.type = at[0] >> 4, .flags = at[0] & 0x0f, .padded = padded, .body = at, .len = len};
    return GW_MQTT_PACKET;
}

/* The packet goes on behind the input: keeps what there is of it. */
static void keep(struct gw_mqtt_stream *s, const uint8_t *at, size_t n)
{
    struct gw_mqtt_partial *p = s->partial = pgn_calloc(1, sizeof *p);
    p->head_len = (uint8_t)n;
    memcpy(p->head, at, n);
}

/* Byte after byte until the head is complete. */
static enum gw_mqtt_result gather_head(struct gw_mqtt_partial *p, uint8_t **at, const uint8_t *end, size_t limit,
                                       struct gw_mqtt_packet *ret)
{
    size_t head_len;
    for (;;) {
        enum gw_mqtt_result r = read_head(p->head, p->head_len, limit, &head_len, &p->want, ret);
        if (r == GW_MQTT_PACKET) {
            p->packet = *ret;
            p->in_body = true;
        }
        if (r != GW_MQTT_MORE || *at == end)
            return r;
        p->head[p->head_len++] = *(*at)++;
    }
}

static enum gw_mqtt_result gather_body(struct gw_mqtt_partial *p, uint8_t **at, const uint8_t *end, struct gw_mqtt_packet *ret)
{
    size_t take = (size_t)(end - *at), left = p->want - p->body.len;
    if (take > left)
        take = left;
    if (take)
        pgn_buf_append(&p->body, *at, take);
    *at += take;
    if (take < left)
        return GW_MQTT_MORE;
    *ret = p->packet;
    ret->body = p->body.len ? p->body.data : p->head;
    p->handed = true;
    return GW_MQTT_PACKET;
}

enum gw_mqtt_result gw_mqtt_next(struct gw_mqtt_stream *s, uint8_t **at, const uint8_t *end, size_t limit, struct gw_mqtt_packet *ret)
{
    if (s->partial && s->partial->handed)
        gw_mqtt_stream_release(s);
    if (*at == end)
        return GW_MQTT_MORE;
    if (!s->partial) {
        size_t have = (size_t)(end - *at), head_len, body_len;
        enum gw_mqtt_result r = read_head(*at, have, limit, &head_len, &body_len, ret);
        if (r == GW_MQTT_BROKEN)
            return r;
        if (r == GW_MQTT_PACKET && body_len <= have - head_len) {
            ret->body = *at + head_len;
            *at += head_len + body_len;
            return r;
        }
        size_t kept = r == GW_MQTT_PACKET ? head_len : have;
        keep(s, *at, kept);
        *at += kept;
    }
    if (!s->partial->in_body) {
        enum gw_mqtt_result r = gather_head(s->partial, at, end, limit, ret);
        if (r != GW_MQTT_PACKET)
            return r;
    }
    return gather_body(s->partial, at, end, ret);
}

void gw_mqtt_stream_release(struct gw_mqtt_stream *s)
{
    if (!s->partial)
        return;
    pgn_buf_release(&s->partial->body);
    free(s->partial);
    s->partial = NULL;
}

size_t gw_mqtt_held_bytes(const struct gw_mqtt_stream *s)
{
    return s->partial ? sizeof *s->partial + s->partial->body.cap : 0;
}
