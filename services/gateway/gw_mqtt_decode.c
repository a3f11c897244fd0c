/* What MQTT packets say; see gw_mqtt_packet.h. */
#include "services/gateway/gw_mqtt_packet.h"

#include <string.h>

enum { NO_LOCAL = 4, AS_PUBLISHED = 8 };

/* Starts to read a packet's body. */
static struct pgn_cursor open_body(const struct gw_mqtt_packet *p, uint8_t version)
{
    struct pgn_cursor c = pgn_cursor_of(p->body, p->len);
    c.bad = version == GW_MQTT_5 && p->padded;
    return c;
}

/* All was read, and nothing past the end. */
static enum gw_mqtt_reason at_end(const struct pgn_cursor *c)
{
    return c->bad || pgn_cursor_left(c) ? GW_MQTT_MALFORMED : GW_MQTT_SUCCESS;
}

static enum gw_mqtt_reason props_of(struct pgn_cursor *c, uint8_t version, uint64_t allowed, struct gw_mqtt_props *ret)
{
    if (version == GW_MQTT_5)
        return gw_mqtt_read_props(c, allowed, ret);
    gw_mqtt_no_props(ret);
    return GW_MQTT_SUCCESS;
}

static bool is(struct gw_mqtt_str s, const char *text)
{
    return s.len == strlen(text) && !memcmp(s.data, text, s.len);
}

/* ---- CONNECT ---- */

/* 3.1.2.1, 3.1.2.2: which protocol, and how one of ours would be told that it is not served. */
static enum gw_mqtt_reason read_protocol(struct pgn_cursor *c, struct gw_mqtt_connect *ret)
{
    struct gw_mqtt_str name = gw_mqtt_text(c);
    uint8_t level = pgn_cursor_u8(c);
    if (c->bad)
        return GW_MQTT_MALFORMED;
    if (is(name, "MQIsdp")) { /* 3.1 */
        ret->version = GW_MQTT_3;
        return GW_MQTT_BAD_VERSION;
    }
    if (!is(name, "MQTT"))
        return GW_MQTT_BAD_VERSION;
    ret->version = level >= GW_MQTT_5 ? GW_MQTT_5 : GW_MQTT_3;
    return level == GW_MQTT_3 || level == GW_MQTT_5 ? GW_MQTT_SUCCESS : GW_MQTT_BAD_VERSION;
}

/* 3.1.2.3 to 3.1.2.9. The bits of the will are set only when there is one; 3.1.1 has no password without a user. */
static bool flags_valid(uint8_t version, uint8_t flags)
{
    bool will = flags & 4, user = flags & 0x80, password = flags & 0x40;
    uint8_t qos = flags >> 3 & 3;
    if (flags & 1 || qos == 3 || (!will && flags & 0x38))
        return false;
    return version == GW_MQTT_5 || user || !password;
}

static enum gw_mqtt_reason read_will(struct pgn_cursor *c, uint8_t flags, uint8_t version, struct gw_mqtt_will *ret)
{
    enum gw_mqtt_reason reason = props_of(c, version, gw_mqtt_props_of_will, &ret->props);
    if (reason)
        return reason;
    ret->qos = flags >> 3 & 3;
    ret->retain = flags & 0x20;
    ret->topic = gw_mqtt_text(c);
    ret->payload = gw_mqtt_bytes(c);
    if (c->bad)
        return GW_MQTT_MALFORMED;
    return gw_mqtt_topic_valid(ret->topic) ? GW_MQTT_SUCCESS : GW_MQTT_BAD_TOPIC;
}

enum gw_mqtt_reason gw_mqtt_read_connect(const struct gw_mqtt_packet *p, struct gw_mqtt_connect *ret)
{
    struct pgn_cursor c = pgn_cursor_of(p->body, p->len);
    *ret = (struct gw_mqtt_connect){0};
    enum gw_mqtt_reason reason = read_protocol(&c, ret);
    if (reason)
        return reason;
    uint8_t version = ret->version, flags = pgn_cursor_u8(&c);
    ret->keep_alive_s = pgn_cursor_u16be(&c);
    if (c.bad || !flags_valid(version, flags) || (version == GW_MQTT_5 && p->padded))
        return GW_MQTT_MALFORMED;
    ret->clean_start = flags & 2;
    ret->has_will = flags & 4;
    reason = props_of(&c, version, gw_mqtt_props_of_connect, &ret->props);
    if (reason)
        return reason;
    ret->client_id = gw_mqtt_text(&c);
    if (ret->has_will && !c.bad && (reason = read_will(&c, flags, version, &ret->will)) != 0)
        return reason;
    if (flags & 0x80)
        ret->user = gw_mqtt_text(&c);
    if (flags & 0x40)
        ret->password = gw_mqtt_bytes(&c);
    if (at_end(&c))
        return GW_MQTT_MALFORMED;
    if (gw_mqtt_has(&ret->props, GW_MQTT_P_AUTH_METHOD))
        return GW_MQTT_BAD_AUTH_METHOD;
    if (gw_mqtt_has(&ret->props, GW_MQTT_P_AUTH_DATA)) /* without a method: 3.1.2.11.10 */
        return GW_MQTT_PROTOCOL_ERROR;
    return version == GW_MQTT_3 && !ret->client_id.len && !ret->clean_start ? GW_MQTT_BAD_CLIENT_ID : GW_MQTT_SUCCESS;
}

/* ---- PUBLISH and its answers ---- */

/* 3.3.2: what is well formed and still may not be said. */
static enum gw_mqtt_reason check_publish(const struct gw_mqtt_publish *m)
{
    bool aliased = gw_mqtt_has(&m->props, GW_MQTT_P_ALIAS);
    if ((m->qos && !m->id) || gw_mqtt_has(&m->props, GW_MQTT_P_SUBSCRIPTION_ID))
        return GW_MQTT_PROTOCOL_ERROR;
    if (aliased && !m->props.alias)
        return GW_MQTT_BAD_ALIAS;
    if (!m->topic.len)
        return aliased ? GW_MQTT_SUCCESS : GW_MQTT_PROTOCOL_ERROR;
    return gw_mqtt_topic_valid(m->topic) ? GW_MQTT_SUCCESS : GW_MQTT_BAD_TOPIC;
}

enum gw_mqtt_reason gw_mqtt_read_publish(const struct gw_mqtt_packet *p, uint8_t version, struct gw_mqtt_publish *ret)
{
    struct pgn_cursor c = open_body(p, version);
    ret->qos = p->flags >> 1 & 3;
    ret->dup = p->flags & 8;
    ret->retain = p->flags & 1;
    ret->topic = gw_mqtt_text(&c);
    ret->id = ret->qos ? pgn_cursor_u16be(&c) : 0;
    if (c.bad)
        return GW_MQTT_MALFORMED;
    enum gw_mqtt_reason reason = props_of(&c, version, gw_mqtt_props_of_publish, &ret->props);
    if (reason)
        return reason;
    ret->payload = (struct gw_mqtt_str){(const char *)c.at, pgn_cursor_left(&c)};
    return check_publish(ret);
}

/* The reasons that 3.4.2.1 to 3.7.2.1 list. */
static bool ack_reason_valid(uint8_t type, uint8_t reason)
{
    if (type == GW_MQTT_PUBREL || type == GW_MQTT_PUBCOMP)
        return reason == GW_MQTT_SUCCESS || reason == GW_MQTT_ID_NOT_FOUND;
    switch (reason) {
    case GW_MQTT_SUCCESS:
    case GW_MQTT_NO_MATCHING:
    case GW_MQTT_UNSPECIFIED:
    case GW_MQTT_IMPLEMENTATION:
    case GW_MQTT_NOT_AUTHORIZED:
    case GW_MQTT_BAD_TOPIC:
    case GW_MQTT_ID_IN_USE:
    case GW_MQTT_QUOTA:
    case GW_MQTT_BAD_PAYLOAD:
        return true;
    default:
        return false;
    }
}

/* A reason and properties that may be left out, from behind: 3.4.2.1, 3.14.2.1. */
static enum gw_mqtt_reason read_tail(struct pgn_cursor *c, uint8_t version, uint64_t allowed, uint8_t *ret_reason,
                                     struct gw_mqtt_props *ret_props)
{
    *ret_reason = GW_MQTT_SUCCESS;
    gw_mqtt_no_props(ret_props);
    if (c->bad)
        return GW_MQTT_MALFORMED;
    if (version == GW_MQTT_5 && pgn_cursor_left(c))
        *ret_reason = pgn_cursor_u8(c);
    if (version == GW_MQTT_5 && pgn_cursor_left(c)) {
        enum gw_mqtt_reason reason = gw_mqtt_read_props(c, allowed, ret_props);
        if (reason)
            return reason;
    }
    return at_end(c);
}

enum gw_mqtt_reason gw_mqtt_read_ack(const struct gw_mqtt_packet *p, uint8_t version, struct gw_mqtt_ack *ret)
{
    struct pgn_cursor c = open_body(p, version);
    ret->id = pgn_cursor_u16be(&c);
    uint8_t said;
    enum gw_mqtt_reason reason = read_tail(&c, version, gw_mqtt_props_of_ack, &said, &ret->props);
    if (reason)
        return reason;
    ret->reason = (enum gw_mqtt_reason)said;
    return ret->id && ack_reason_valid(p->type, said) ? GW_MQTT_SUCCESS : GW_MQTT_PROTOCOL_ERROR;
}

/* ---- SUBSCRIBE, UNSUBSCRIBE ---- */

/* 3.8.3.1. 3.1.1 knows only the QoS; its other bits are reserved. */
static enum gw_mqtt_reason check_options(uint8_t version, struct gw_mqtt_str filter, uint8_t options)
{
    if (options & (version == GW_MQTT_5 ? 0xc0 : 0xfc))
        return GW_MQTT_MALFORMED;
    bool shared = version == GW_MQTT_5 && gw_mqtt_filter_shared(filter);
    bool wrong = (options & 3) == 3 || (options >> 4 & 3) == 3 || (shared && options & NO_LOCAL);
    return wrong ? GW_MQTT_PROTOCOL_ERROR : GW_MQTT_SUCCESS;
}

/* Walks all filters of the copy c. A malformed one is said before a wrong one. */
static enum gw_mqtt_reason check_filters(struct pgn_cursor c, uint8_t version, struct gw_mqtt_subscribe *s)
{
    enum gw_mqtt_reason first = GW_MQTT_SUCCESS;
    for (s->count = 0; pgn_cursor_left(&c); s->count++) {
        if (s->count == GW_MQTT_MAX_FILTERS)
            return GW_MQTT_QUOTA;
        struct gw_mqtt_str filter = gw_mqtt_text(&c);
        uint8_t options = s->options ? pgn_cursor_u8(&c) : 0;
        if (c.bad)
            return GW_MQTT_MALFORMED;
        enum gw_mqtt_reason reason = check_options(version, filter, options);
        if (!reason && !gw_mqtt_filter_valid(filter))
            reason = GW_MQTT_BAD_FILTER;
        if (reason == GW_MQTT_MALFORMED)
            return reason;
        first = first ? first : reason;
    }
    return first;
}

static enum gw_mqtt_reason read_filters(const struct gw_mqtt_packet *p, uint8_t version, uint64_t allowed, struct gw_mqtt_subscribe *ret)
{
    struct pgn_cursor c = open_body(p, version);
    ret->id = pgn_cursor_u16be(&c);
    if (c.bad)
        return GW_MQTT_MALFORMED;
    enum gw_mqtt_reason reason = props_of(&c, version, allowed, &ret->props);
    if (reason)
        return reason;
    ret->filters = c;
    reason = check_filters(c, version, ret);
    if (reason)
        return reason;
    return ret->id && ret->count ? GW_MQTT_SUCCESS : GW_MQTT_PROTOCOL_ERROR;
}

enum gw_mqtt_reason gw_mqtt_read_subscribe(const struct gw_mqtt_packet *p, uint8_t version, struct gw_mqtt_subscribe *ret)
{
    ret->options = true;
    return read_filters(p, version, gw_mqtt_props_of_subscribe, ret);
}

enum gw_mqtt_reason gw_mqtt_read_unsubscribe(const struct gw_mqtt_packet *p, uint8_t version, struct gw_mqtt_subscribe *ret)
{
    ret->options = false;
    return read_filters(p, version, gw_mqtt_props_of_unsubscribe, ret);
}

bool gw_mqtt_filter_next(struct gw_mqtt_subscribe *s, struct gw_mqtt_filter *ret)
{
    if (!pgn_cursor_left(&s->filters))
        return false;
    struct gw_mqtt_str filter = gw_mqtt_bytes(&s->filters); /* all was checked before */
    uint8_t options = s->options ? pgn_cursor_u8(&s->filters) : 0;
    *ret = (struct gw_mqtt_filter){.filter = filter,
                                   .qos = options & 3,
                                   .retain_handling = options >> 4 & 3,
                                   .no_local = options & NO_LOCAL,
                                   .retain_as_published = options & AS_PUBLISHED};
    return true;
}

/* ---- DISCONNECT, PINGREQ ---- */

/* The reasons of 3.14.2.1 that a client may give. */
static bool leave_reason_valid(uint8_t reason)
{
    switch (reason) {
    case GW_MQTT_SUCCESS:
    case GW_MQTT_WITH_WILL:
    case GW_MQTT_UNSPECIFIED:
    case GW_MQTT_MALFORMED:
    case GW_MQTT_PROTOCOL_ERROR:
    case GW_MQTT_IMPLEMENTATION:
    case GW_MQTT_BAD_TOPIC:
    case GW_MQTT_RECEIVE_MAXIMUM:
    case GW_MQTT_BAD_ALIAS:
    case GW_MQTT_TOO_LARGE:
    case GW_MQTT_RATE_TOO_HIGH:
    case GW_MQTT_QUOTA:
    case GW_MQTT_ADMINISTRATIVE:
    case GW_MQTT_BAD_PAYLOAD:
        return true;
    default:
        return false;
    }
}

enum gw_mqtt_reason gw_mqtt_read_disconnect(const struct gw_mqtt_packet *p, uint8_t version, struct gw_mqtt_disconnect *ret)
{
    struct pgn_cursor c = open_body(p, version);
    uint8_t said;
    enum gw_mqtt_reason reason = read_tail(&c, version, gw_mqtt_props_of_disconnect, &said, &ret->props);
    if (reason)
        return reason;
    ret->reason = (enum gw_mqtt_reason)said;
    return leave_reason_valid(said) ? GW_MQTT_SUCCESS : GW_MQTT_PROTOCOL_ERROR;
}

enum gw_mqtt_reason gw_mqtt_read_pingreq(const struct gw_mqtt_packet *p, uint8_t version)
{
    struct pgn_cursor c = open_body(p, version);
    return at_end(&c);
}
