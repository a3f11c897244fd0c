/* MQTT packets to send; see gw_mqtt_encode.h. */
#include "services/gateway/gw_mqtt_encode.h"

#include <assert.h>
#include <string.h>

/* A packet is written behind room for the longest head; end() moves the body to where the head ends. */
struct packet {
    struct pgn_buf *b;
    size_t start, props;
};

static void u16(struct pgn_buf *b, uint16_t v)
{
    uint8_t bytes[2] = {(uint8_t)(v >> 8), (uint8_t)v};
    pgn_buf_append(b, bytes, sizeof bytes);
}

static void u32(struct pgn_buf *b, uint32_t v)
{
    u16(b, (uint16_t)(v >> 16));
    u16(b, (uint16_t)v);
}

static size_t put_varint(uint8_t out[4], size_t v)
{
    size_t n = 0;
    do {
        out[n] = (uint8_t)(v & 0x7f);
        v >>= 7;
        out[n] |= v ? 0x80 : 0;
        n++;
    } while (v);
    return n;
}

static void string(struct pgn_buf *b, struct gw_mqtt_str s)
{
    assert(s.len <= UINT16_MAX);
    u16(b, (uint16_t)s.len);
    pgn_buf_append(b, s.data, s.len);
}

static void begin(struct packet *p, struct pgn_buf *b)
{
    static const uint8_t room[GW_MQTT_HEAD_MAX];
    *p = (struct packet){.b = b, .start = b->len};
    pgn_buf_append(b, room, sizeof room);
}

/* Writes the head; returns its length. */
static size_t end(struct packet *p, enum gw_mqtt_type type, uint8_t flags)
{
    uint8_t head[GW_MQTT_HEAD_MAX] = {(uint8_t)(type << 4 | flags)};
    size_t body = p->b->len - p->start - GW_MQTT_HEAD_MAX;
    assert(body <= GW_MQTT_PACKET_MAX - GW_MQTT_HEAD_MAX);
    size_t head_len = 1 + put_varint(head + 1, body);
    uint8_t *at = p->b->data + p->start;
    memmove(at + head_len, at + GW_MQTT_HEAD_MAX, body);
    memcpy(at, head, head_len);
    p->b->len = p->start + head_len + body;
    return head_len;
}

/* Properties are written behind a length of one byte, which mostly will do. */
static void begin_props(struct packet *p)
{
    p->props = p->b->len;
    pgn_buf_append_byte(p->b, 0);
}

static void end_props(struct packet *p)
{
    uint8_t head[4];
    size_t len = p->b->len - p->props - 1, n = put_varint(head, len);
    pgn_buf_reserve(p->b, n);
    uint8_t *at = p->b->data + p->props;
    memmove(at + n, at + 1, len);
    memcpy(at, head, n);
    p->b->len += n - 1;
}

static void prop_bool(struct pgn_buf *b, enum gw_mqtt_prop id, bool v)
{
    pgn_buf_append_byte(b, (uint8_t)id);
    pgn_buf_append_byte(b, v);
}

static void prop_u16(struct pgn_buf *b, enum gw_mqtt_prop id, uint16_t v)
{
    pgn_buf_append_byte(b, (uint8_t)id);
    u16(b, v);
}

static void prop_u32(struct pgn_buf *b, enum gw_mqtt_prop id, uint32_t v)
{
    pgn_buf_append_byte(b, (uint8_t)id);
    u32(b, v);
}

static void prop_string(struct pgn_buf *b, enum gw_mqtt_prop id, struct gw_mqtt_str s)
{
    if (!s.data)
        return;
    pgn_buf_append_byte(b, (uint8_t)id);
    string(b, s);
}

/* 3.2.2.3 of 3.1.1; 0: it has no code for this. */
static uint8_t return_code(enum gw_mqtt_reason reason)
{
    static const struct {
        uint8_t reason, code;
    } codes[] = {{GW_MQTT_BAD_VERSION, 1},    {GW_MQTT_BAD_CLIENT_ID, 2}, {GW_MQTT_UNAVAILABLE, 3},     {GW_MQTT_BUSY, 3},
                 {GW_MQTT_SHUTTING_DOWN, 3},  {GW_MQTT_QUOTA, 3},         {GW_MQTT_CONNECTION_RATE, 3}, {GW_MQTT_BAD_LOGIN, 4},
                 {GW_MQTT_NOT_AUTHORIZED, 5}, {GW_MQTT_BANNED, 5}};
    for (size_t i = 0; i < PGN_COUNT(codes); i++)
        if (codes[i].reason == reason)
            return codes[i].code;
    return 0;
}

static void connack_props(struct pgn_buf *b, const struct gw_mqtt_connack *c)
{
    if (c->tell_session_expiry)
        prop_u32(b, GW_MQTT_P_SESSION_EXPIRY, c->session_expiry_s);
    if (c->receive_maximum)
        prop_u16(b, GW_MQTT_P_RECEIVE_MAXIMUM, c->receive_maximum);
    if (c->no_retain)
        prop_bool(b, GW_MQTT_P_RETAIN_AVAILABLE, false);
    if (c->maximum_packet)
        prop_u32(b, GW_MQTT_P_MAXIMUM_PACKET, c->maximum_packet);
    prop_string(b, GW_MQTT_P_ASSIGNED_CLIENT_ID, c->client_id);
    if (c->alias_maximum)
        prop_u16(b, GW_MQTT_P_ALIAS_MAXIMUM, c->alias_maximum);
    prop_string(b, GW_MQTT_P_REASON_STRING, c->text);
    if (c->no_wildcard)
        prop_bool(b, GW_MQTT_P_WILDCARD_AVAILABLE, false);
    if (c->no_subscription_id)
        prop_bool(b, GW_MQTT_P_SUBSCRIPTION_ID_AVAILABLE, false);
    if (c->no_shared)
        prop_bool(b, GW_MQTT_P_SHARED_AVAILABLE, false);
    if (c->tell_keep_alive)
        prop_u16(b, GW_MQTT_P_SERVER_KEEP_ALIVE, c->keep_alive_s);
}

bool gw_mqtt_write_connack(struct pgn_buf *b, uint8_t version, const struct gw_mqtt_connack *c)
{
    uint8_t code = version == GW_MQTT_5 ? (uint8_t)c->reason : return_code(c->reason);
    if (c->reason && !code)
        return false;
    struct packet p;
    begin(&p, b);
    pgn_buf_append_byte(b, c->session_present && !c->reason); /* 3.2.2-6: with a refusal always 0 */
    pgn_buf_append_byte(b, code);
    if (version == GW_MQTT_5) {
        begin_props(&p);
        connack_props(b, c);
        end_props(&p);
    }
    end(&p, GW_MQTT_CONNACK, 0);
    return true;
}

static void publish_props(struct pgn_buf *b, const struct gw_mqtt_out *m)
{
    if (m->payload_utf8)
        prop_bool(b, GW_MQTT_P_PAYLOAD_FORMAT, true);
    if (m->alias)
        prop_u16(b, GW_MQTT_P_ALIAS, m->alias);
    prop_string(b, GW_MQTT_P_CONTENT_TYPE, m->content_type);
    for (size_t i = 0; i < m->id_count; i++) {
        uint8_t id[4];
        pgn_buf_append_byte(b, GW_MQTT_P_SUBSCRIPTION_ID);
        pgn_buf_append(b, id, put_varint(id, m->ids[i]));
    }
    for (size_t i = 0; i < m->users; i++) {
        pgn_buf_append_byte(b, GW_MQTT_P_USER);
        string(b, m->user[i].name);
        string(b, m->user[i].value);
    }
}

size_t gw_mqtt_write_publish(struct pgn_buf *b, uint8_t version, const struct gw_mqtt_out *m)
{
    struct packet p;
    begin(&p, b);
    string(b, m->topic);
    size_t id_at = b->len - p.start - GW_MQTT_HEAD_MAX;
    if (m->qos)
        u16(b, m->id);
    if (version == GW_MQTT_5) {
        begin_props(&p);
        publish_props(b, m);
        end_props(&p);
    }
    pgn_buf_append(b, m->payload.data, m->payload.len);
    size_t head = end(&p, GW_MQTT_PUBLISH, (uint8_t)(m->dup << 3 | m->qos << 1 | m->retain));
    return m->qos ? head + id_at : 0;
}

void gw_mqtt_patch_id(uint8_t *packet, size_t at, uint16_t id)
{
    packet[at] = (uint8_t)(id >> 8);
    packet[at + 1] = (uint8_t)id;
}

void gw_mqtt_patch_dup(uint8_t *packet)
{
    packet[0] |= 8;
}

void gw_mqtt_write_ack(struct pgn_buf *b, uint8_t version, enum gw_mqtt_type type, uint16_t id, enum gw_mqtt_reason reason,
                       struct gw_mqtt_str text)
{
    assert(version == GW_MQTT_5 || reason < GW_MQTT_UNSPECIFIED);
    struct packet p;
    begin(&p, b);
    u16(b, id);
    bool say_text = version == GW_MQTT_5 && text.data;
    if (version == GW_MQTT_5 && (reason || say_text))
        pgn_buf_append_byte(b, (uint8_t)reason);
    if (say_text) {
        begin_props(&p);
        prop_string(b, GW_MQTT_P_REASON_STRING, text);
        end_props(&p);
    }
    end(&p, type, type == GW_MQTT_PUBREL ? 2 : 0);
}

void gw_mqtt_write_suback(struct pgn_buf *b, uint8_t version, uint16_t id, const uint8_t *codes, size_t count)
{
    struct packet p;
    begin(&p, b);
    u16(b, id);
    if (version == GW_MQTT_5)
        pgn_buf_append_byte(b, 0); /* no properties */
    for (size_t i = 0; i < count; i++)
        pgn_buf_append_byte(b, version == GW_MQTT_3 && codes[i] > GW_MQTT_UNSPECIFIED ? GW_MQTT_UNSPECIFIED : codes[i]);
    end(&p, GW_MQTT_SUBACK, 0);
}

void gw_mqtt_write_unsuback(struct pgn_buf *b, uint8_t version, uint16_t id, const uint8_t *codes, size_t count)
{
    struct packet p;
    begin(&p, b);
    u16(b, id);
    if (version == GW_MQTT_5) {
        pgn_buf_append_byte(b, 0);
        pgn_buf_append(b, codes, count);
    }
    end(&p, GW_MQTT_UNSUBACK, 0);
}

void gw_mqtt_write_pingresp(struct pgn_buf *b)
{
    static const uint8_t packet[] = {GW_MQTT_PINGRESP << 4, 0};
    pgn_buf_append(b, packet, sizeof packet);
}

bool gw_mqtt_write_disconnect(struct pgn_buf *b, uint8_t version, enum gw_mqtt_reason reason, struct gw_mqtt_str text)
{
    if (version != GW_MQTT_5)
        return false;
    struct packet p;
    begin(&p, b);
    if (reason || text.data)
        pgn_buf_append_byte(b, (uint8_t)reason);
    if (text.data) {
        begin_props(&p);
        prop_string(b, GW_MQTT_P_REASON_STRING, text);
        end_props(&p);
    }
    end(&p, GW_MQTT_DISCONNECT, 0);
    return true;
}
