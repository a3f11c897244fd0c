// needs: services/gateway
/*
 * MQTT 3.1.1 and 5.0: the same bytes, whole and in pieces, give the same packets or the same violation; memory stays bounded; what is
 * decoded lies inside its packet; a PUBLISH that is written again reads the same.
 * The first three bytes choose the size of the pieces, the limit and the version; the rest is what the peer sent.
 */
#include "services/gateway/gw_mqtt_encode.h"

#include "common/base/buf.h"
#include "common/base/id.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    uint64_t hash;
    size_t packets;
    enum gw_mqtt_reason broken;
};

static const struct gw_mqtt_packet *inside; /* what strings must lie in */

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void mix(struct seen *s, uint64_t v)
{
    uint64_t both[2] = {s->hash, v};
    s->hash = pgn_hash(both, sizeof both);
}

static void see(struct seen *s, struct gw_mqtt_str v)
{
    const uint8_t *at = (const uint8_t *)v.data;
    mix(s, v.data ? v.len : SIZE_MAX);
    if (!v.len)
        return;
    require(at >= inside->body && at + v.len <= inside->body + inside->len);
    mix(s, pgn_hash(v.data, v.len));
}

static void see_props(struct seen *s, const struct gw_mqtt_props *p)
{
    const struct gw_mqtt_str strings[] = {p->content_type, p->response_topic, p->correlation, p->auth_method, p->auth_data, p->reason};
    const uint64_t numbers[] = {p->present,        p->session_expiry_s, p->message_expiry_s, p->will_delay_s,
                                p->maximum_packet, p->subscription_id,  p->receive_maximum,  p->alias_maximum,
                                p->alias,          p->payload_utf8,     p->request_problem,  p->request_response};
    for (size_t i = 0; i < PGN_COUNT(strings); i++)
        see(s, strings[i]);
    for (size_t i = 0; i < PGN_COUNT(numbers); i++)
        mix(s, numbers[i]);
    require(p->receive_maximum && p->maximum_packet);
    struct pgn_cursor user = p->user;
    struct gw_mqtt_str name, value;
    size_t n = 0;
    while (gw_mqtt_user_next(&user, &name, &value)) {
        see(s, name);
        see(s, value);
        n++;
    }
    require(!user.bad && n <= GW_MQTT_MAX_PROPS && (n > 0) == gw_mqtt_has(p, GW_MQTT_P_USER));
}

static bool same(struct gw_mqtt_str a, struct gw_mqtt_str b)
{
    return !a.data == !b.data && a.len == b.len && (!a.len || !memcmp(a.data, b.data, a.len));
}

/* Writes what was read and reads it again. */
static void round_trip(const struct gw_mqtt_publish *m, uint8_t version)
{
    struct gw_mqtt_pair user[GW_MQTT_MAX_PROPS];
    struct gw_mqtt_out out = {.topic = m->topic,
                              .payload = m->payload,
                              .qos = m->qos,
                              .dup = m->dup,
                              .retain = m->retain,
                              .id = m->id,
                              .payload_utf8 = m->props.payload_utf8,
                              .alias = m->props.alias,
                              .content_type = m->props.content_type,
                              .user = user};
    struct pgn_cursor c = m->props.user;
    while (gw_mqtt_user_next(&c, &user[out.users].name, &user[out.users].value))
        out.users++;
    struct pgn_buf b = {0};
    struct gw_mqtt_stream s = {NULL};
    struct gw_mqtt_packet p;
    struct gw_mqtt_publish again;
    size_t id_at = gw_mqtt_write_publish(&b, version, &out);
    uint8_t *at = b.data;
    require(gw_mqtt_next(&s, &at, b.data + b.len, b.len, &p) == GW_MQTT_PACKET && at == b.data + b.len);
    require(gw_mqtt_read_publish(&p, version, &again) == GW_MQTT_SUCCESS);
    require(same(again.topic, m->topic) && same(again.payload, m->payload) && same(again.props.content_type, m->props.content_type));
    require(again.qos == m->qos && again.dup == m->dup && again.retain == m->retain && again.id == m->id);
    require(again.props.alias == m->props.alias && again.props.payload_utf8 == m->props.payload_utf8);
    require(!m->qos == !id_at && (!id_at || (b.data[id_at] << 8 | b.data[id_at + 1]) == m->id));
    struct pgn_cursor other = again.props.user;
    struct gw_mqtt_str name, value;
    size_t n = 0;
    for (; gw_mqtt_user_next(&other, &name, &value); n++)
        require(n < out.users && same(name, user[n].name) && same(value, user[n].value));
    require(n == out.users);
    pgn_buf_release(&b);
}

static enum gw_mqtt_reason see_connect(struct seen *s, const struct gw_mqtt_packet *p)
{
    struct gw_mqtt_connect c;
    enum gw_mqtt_reason reason = gw_mqtt_read_connect(p, &c);
    mix(s, c.version);
    if (reason)
        return reason;
    require(c.version == GW_MQTT_3 || c.version == GW_MQTT_5);
    mix(s, (uint64_t)c.clean_start << 32 | (uint64_t)c.has_will << 16 | c.keep_alive_s);
    see(s, c.client_id);
    see(s, c.user);
    see(s, c.password);
    see_props(s, &c.props);
    if (!c.has_will)
        return reason;
    require(c.will.qos < 3 && gw_mqtt_topic_valid(c.will.topic));
    see(s, c.will.topic);
    see(s, c.will.payload);
    see_props(s, &c.will.props);
    return reason;
}

static enum gw_mqtt_reason see_filters(struct seen *s, const struct gw_mqtt_packet *p, uint8_t version)
{
    struct gw_mqtt_subscribe sub;
    struct gw_mqtt_filter f;
    enum gw_mqtt_reason reason =
        p->type == GW_MQTT_SUBSCRIBE ? gw_mqtt_read_subscribe(p, version, &sub) : gw_mqtt_read_unsubscribe(p, version, &sub);
    if (reason)
        return reason;
    size_t n = 0;
    for (; gw_mqtt_filter_next(&sub, &f); n++) {
        see(s, f.filter);
        mix(s, (uint64_t)f.qos << 8 | f.retain_handling);
        require(f.qos < 3 && f.retain_handling < 3 && gw_mqtt_filter_valid(f.filter));
        if (gw_mqtt_topic_valid(f.filter))
            require(gw_mqtt_filter_matches(f.filter, f.filter));
    }
    require(n == sub.count && n && sub.id && !sub.filters.bad);
    see_props(s, &sub.props);
    return reason;
}

static enum gw_mqtt_reason see_rest(struct seen *s, const struct gw_mqtt_packet *p, uint8_t version)
{
    struct gw_mqtt_disconnect d;
    struct gw_mqtt_publish m;
    struct gw_mqtt_ack a;
    enum gw_mqtt_reason reason;
    if (p->type == GW_MQTT_PINGREQ || p->type == GW_MQTT_AUTH)
        return p->type == GW_MQTT_AUTH ? GW_MQTT_SUCCESS : gw_mqtt_read_pingreq(p, version);
    if (p->type == GW_MQTT_PUBLISH) {
        if ((reason = gw_mqtt_read_publish(p, version, &m)) != GW_MQTT_SUCCESS)
            return reason;
        require(m.qos < 3 && !m.qos == !m.id && (m.topic.len || m.props.alias));
        see(s, m.topic);
        see(s, m.payload);
        see_props(s, &m.props);
        round_trip(&m, version);
    } else if (p->type == GW_MQTT_DISCONNECT) {
        if ((reason = gw_mqtt_read_disconnect(p, version, &d)) != GW_MQTT_SUCCESS)
            return reason;
        see_props(s, &d.props);
    } else {
        require(p->type >= GW_MQTT_PUBACK && p->type <= GW_MQTT_PUBCOMP);
        if ((reason = gw_mqtt_read_ack(p, version, &a)) != GW_MQTT_SUCCESS)
            return reason;
        mix(s, (uint64_t)a.id << 8 | (uint64_t)a.reason);
        see_props(s, &a.props);
    }
    return reason;
}

static enum gw_mqtt_reason see_packet(struct seen *s, const struct gw_mqtt_packet *p, uint8_t version)
{
    inside = p;
    s->packets++;
    mix(s, (uint64_t)p->type << 8 | p->flags);
    mix(s, p->len ? pgn_hash(p->body, p->len) : 0);
    if (p->type == GW_MQTT_CONNECT)
        return see_connect(s, p);
    if (p->type == GW_MQTT_SUBSCRIBE || p->type == GW_MQTT_UNSUBSCRIBE)
        return see_filters(s, p, version);
    return see_rest(s, p, version);
}

static struct seen run(const uint8_t *data, size_t size, size_t step, size_t limit, uint8_t version)
{
    struct seen s = {0};
    struct gw_mqtt_stream stream = {NULL};
    for (size_t from = 0; from < size && !s.broken; from += step) {
        size_t n = size - from < step ? size - from : step;
        uint8_t *piece = malloc(n), *at = piece;
        struct gw_mqtt_packet p;
        enum gw_mqtt_result r = GW_MQTT_MORE;
        memcpy(piece, data + from, n);
        while (!s.broken && (r = gw_mqtt_next(&stream, &at, piece + n, limit, &p)) == GW_MQTT_PACKET) {
            require(p.len < limit);
            s.broken = see_packet(&s, &p, version);
        }
        if (!s.broken && r == GW_MQTT_BROKEN) {
            require(p.reason == GW_MQTT_MALFORMED || p.reason == GW_MQTT_PROTOCOL_ERROR || p.reason == GW_MQTT_TOO_LARGE);
            s.broken = p.reason;
        }
        require(s.broken || (at == piece + n && gw_mqtt_held_bytes(&stream) <= 2 * limit + 512));
        free(piece);
    }
    gw_mqtt_stream_release(&stream);
    return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4)
        return 0;
    size_t step = 1 + data[0] % 64, limit = 2 + (size_t)data[1] * 16;
    uint8_t version = data[2] & 1 ? GW_MQTT_5 : GW_MQTT_3;
    struct seen whole = run(data + 3, size - 3, size, limit, version), cut = run(data + 3, size - 3, step, limit, version);
    require(whole.packets == cut.packets && whole.hash == cut.hash && whole.broken == cut.broken);
    return 0;
}
