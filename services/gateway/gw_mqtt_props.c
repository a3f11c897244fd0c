/* Strings, properties and topics of MQTT; see gw_mqtt_props.h. */
#include "services/gateway/gw_mqtt_props.h"

#include "common/base/utf8.h"

#include <string.h>

#define BIT(id) (UINT64_C(1) << (id))

const uint64_t gw_mqtt_props_of_connect = BIT(GW_MQTT_P_SESSION_EXPIRY) | BIT(GW_MQTT_P_AUTH_METHOD) | BIT(GW_MQTT_P_AUTH_DATA) |
                                          BIT(GW_MQTT_P_REQUEST_PROBLEM) | BIT(GW_MQTT_P_REQUEST_RESPONSE) |
                                          BIT(GW_MQTT_P_RECEIVE_MAXIMUM) | BIT(GW_MQTT_P_ALIAS_MAXIMUM) | BIT(GW_MQTT_P_USER) |
                                          BIT(GW_MQTT_P_MAXIMUM_PACKET);
const uint64_t gw_mqtt_props_of_will = BIT(GW_MQTT_P_PAYLOAD_FORMAT) | BIT(GW_MQTT_P_MESSAGE_EXPIRY) | BIT(GW_MQTT_P_CONTENT_TYPE) |
                                       BIT(GW_MQTT_P_RESPONSE_TOPIC) | BIT(GW_MQTT_P_CORRELATION) | BIT(GW_MQTT_P_WILL_DELAY) |
                                       BIT(GW_MQTT_P_USER);
/* The subscription id is here because a client that sends it commits a protocol error (3.3.4), not a malformed packet. */
const uint64_t gw_mqtt_props_of_publish = BIT(GW_MQTT_P_PAYLOAD_FORMAT) | BIT(GW_MQTT_P_MESSAGE_EXPIRY) | BIT(GW_MQTT_P_CONTENT_TYPE) |
                                          BIT(GW_MQTT_P_RESPONSE_TOPIC) | BIT(GW_MQTT_P_CORRELATION) | BIT(GW_MQTT_P_ALIAS) |
                                          BIT(GW_MQTT_P_SUBSCRIPTION_ID) | BIT(GW_MQTT_P_USER);
const uint64_t gw_mqtt_props_of_ack = BIT(GW_MQTT_P_REASON_STRING) | BIT(GW_MQTT_P_USER);
const uint64_t gw_mqtt_props_of_subscribe = BIT(GW_MQTT_P_SUBSCRIPTION_ID) | BIT(GW_MQTT_P_USER);
const uint64_t gw_mqtt_props_of_unsubscribe = BIT(GW_MQTT_P_USER);
const uint64_t gw_mqtt_props_of_disconnect = BIT(GW_MQTT_P_SESSION_EXPIRY) | BIT(GW_MQTT_P_REASON_STRING) | BIT(GW_MQTT_P_USER);

uint32_t gw_mqtt_varint(struct pgn_cursor *c)
{
    uint32_t v = 0;
    for (unsigned i = 0; i < 4; i++) {
        uint8_t byte = pgn_cursor_u8(c);
        v |= (uint32_t)(byte & 0x7f) << (7 * i);
        if (byte & 0x80)
            continue;
        if (i && !byte) /* 1.5.5-1: the shortest form */
            c->bad = true;
        return c->bad ? 0 : v;
    }
    c->bad = true;
    return 0;
}

struct gw_mqtt_str gw_mqtt_bytes(struct pgn_cursor *c)
{
    size_t len = pgn_cursor_u16be(c);
    const uint8_t *data = pgn_cursor_take(c, len);
    return data ? (struct gw_mqtt_str){(const char *)data, len} : (struct gw_mqtt_str){"", 0};
}

struct gw_mqtt_str gw_mqtt_text(struct pgn_cursor *c)
{
    struct gw_mqtt_str s = gw_mqtt_bytes(c);
    if (s.len && (memchr(s.data, 0, s.len) || !pgn_utf8_valid(s.data, s.len)))
        c->bad = true;
    return s;
}

void gw_mqtt_no_props(struct gw_mqtt_props *ret)
{
    *ret = (struct gw_mqtt_props){.maximum_packet = UINT32_MAX, .receive_maximum = UINT16_MAX, .request_problem = true};
}

/* A byte that must be 0 or 1. */
static bool read_bool(struct pgn_cursor *c, bool *wrong)
{
    uint8_t v = pgn_cursor_u8(c);
    *wrong |= v > 1;
    return v;
}

static uint32_t not_zero(uint32_t v, bool *wrong)
{
    *wrong |= v == 0;
    return v;
}

static struct gw_mqtt_str no_wildcards(struct gw_mqtt_str s, bool *wrong)
{
    *wrong |= !gw_mqtt_topic_valid(s);
    return s;
}

/* One property that may occur once. *wrong: its value is a protocol error; c->bad: it is malformed. */
static void read_prop(struct pgn_cursor *c, enum gw_mqtt_prop id, struct gw_mqtt_props *p, bool *wrong)
{
    switch (id) {
    case GW_MQTT_P_PAYLOAD_FORMAT:
        p->payload_utf8 = read_bool(c, wrong);
        break;
    case GW_MQTT_P_MESSAGE_EXPIRY:
        p->message_expiry_s = pgn_cursor_u32be(c);
        break;
    case GW_MQTT_P_CONTENT_TYPE:
        p->content_type = gw_mqtt_text(c);
        break;
    case GW_MQTT_P_RESPONSE_TOPIC:
        p->response_topic = no_wildcards(gw_mqtt_text(c), wrong);
        break;
    case GW_MQTT_P_CORRELATION:
        p->correlation = gw_mqtt_bytes(c);
        break;
    case GW_MQTT_P_SUBSCRIPTION_ID:
        p->subscription_id = not_zero(gw_mqtt_varint(c), wrong);
        break;
    case GW_MQTT_P_SESSION_EXPIRY:
        p->session_expiry_s = pgn_cursor_u32be(c);
        break;
    case GW_MQTT_P_AUTH_METHOD:
        p->auth_method = gw_mqtt_text(c);
        break;
    case GW_MQTT_P_AUTH_DATA:
        p->auth_data = gw_mqtt_bytes(c);
        break;
    case GW_MQTT_P_REQUEST_PROBLEM:
        p->request_problem = read_bool(c, wrong);
        break;
    case GW_MQTT_P_WILL_DELAY:
        p->will_delay_s = pgn_cursor_u32be(c);
        break;
    case GW_MQTT_P_REQUEST_RESPONSE:
        p->request_response = read_bool(c, wrong);
        break;
    case GW_MQTT_P_REASON_STRING:
        p->reason = gw_mqtt_text(c);
        break;
    case GW_MQTT_P_RECEIVE_MAXIMUM:
        p->receive_maximum = (uint16_t)not_zero(pgn_cursor_u16be(c), wrong);
        break;
    case GW_MQTT_P_ALIAS_MAXIMUM:
        p->alias_maximum = pgn_cursor_u16be(c);
        break;
    case GW_MQTT_P_ALIAS:
        p->alias = pgn_cursor_u16be(c);
        break;
    case GW_MQTT_P_MAXIMUM_PACKET:
        p->maximum_packet = not_zero(pgn_cursor_u32be(c), wrong);
        break;
    case GW_MQTT_P_ASSIGNED_CLIENT_ID: /* a server's; never allowed, see the sets */
    case GW_MQTT_P_SERVER_KEEP_ALIVE:
    case GW_MQTT_P_MAXIMUM_QOS:
    case GW_MQTT_P_RETAIN_AVAILABLE:
    case GW_MQTT_P_WILDCARD_AVAILABLE:
    case GW_MQTT_P_SUBSCRIPTION_ID_AVAILABLE:
    case GW_MQTT_P_SHARED_AVAILABLE:
    case GW_MQTT_P_USER: /* handled by the caller */
        c->bad = true;
        break;
    }
}

enum gw_mqtt_reason gw_mqtt_read_props(struct pgn_cursor *c, uint64_t allowed, struct gw_mqtt_props *ret)
{
    gw_mqtt_no_props(ret);
    size_t len = gw_mqtt_varint(c), count = 0;
    const uint8_t *block = pgn_cursor_take(c, len);
    if (!block)
        return GW_MQTT_MALFORMED;
    struct pgn_cursor in = ret->user = pgn_cursor_of(block, len);
    bool wrong = false;
    while (pgn_cursor_left(&in)) {
        uint32_t id = gw_mqtt_varint(&in);
        if (in.bad || id >= 64 || !(allowed & BIT(id)))
            return GW_MQTT_MALFORMED;
        if (++count > GW_MQTT_MAX_PROPS)
            return GW_MQTT_QUOTA;
        if (id == GW_MQTT_P_USER) {
            gw_mqtt_text(&in);
            gw_mqtt_text(&in);
        } else {
            wrong |= ret->present & BIT(id);
            read_prop(&in, (enum gw_mqtt_prop)id, ret, &wrong);
        }
        if (in.bad)
            return GW_MQTT_MALFORMED;
        ret->present |= BIT(id);
    }
    return wrong ? GW_MQTT_PROTOCOL_ERROR : GW_MQTT_SUCCESS;
}

bool gw_mqtt_user_next(struct pgn_cursor *user, struct gw_mqtt_str *ret_name, struct gw_mqtt_str *ret_value)
{
    struct gw_mqtt_props skipped;
    bool wrong = false;
    while (pgn_cursor_left(user) && !user->bad) {
        uint32_t id = gw_mqtt_varint(user);
        if (id != GW_MQTT_P_USER) {
            read_prop(user, (enum gw_mqtt_prop)id, &skipped, &wrong);
            continue;
        }
        *ret_name = gw_mqtt_bytes(user); /* was checked before */
        *ret_value = gw_mqtt_bytes(user);
        return !user->bad;
    }
    return false;
}

bool gw_mqtt_user_find(const struct gw_mqtt_props *p, const char *name, struct gw_mqtt_str *ret_value)
{
    if (!gw_mqtt_has(p, GW_MQTT_P_USER))
        return false;
    struct pgn_cursor user = p->user;
    struct gw_mqtt_str n, v;
    size_t len = strlen(name);
    while (gw_mqtt_user_next(&user, &n, &v)) {
        if (n.len != len || memcmp(n.data, name, len))
            continue;
        *ret_value = v;
        return true;
    }
    return false;
}

bool gw_mqtt_topic_valid(struct gw_mqtt_str topic)
{
    return topic.len && !memchr(topic.data, '+', topic.len) && !memchr(topic.data, '#', topic.len);
}

/* The end of the level that starts at `at`. */
static size_t level_end(struct gw_mqtt_str s, size_t at)
{
    const char *slash = memchr(s.data + at, '/', s.len - at);
    return slash ? (size_t)(slash - s.data) : s.len;
}

static bool levels_valid(struct gw_mqtt_str filter)
{
    if (!filter.len)
        return false;
    for (size_t at = 0;;) {
        size_t end = level_end(filter, at);
        struct gw_mqtt_str level = {filter.data + at, end - at};
        bool wild = level.len == 1 && (*level.data == '+' || *level.data == '#');
        if (level.len && !wild && !gw_mqtt_topic_valid(level))
            return false;
        if (level.len && *level.data == '#' && end != filter.len)
            return false;
        if (end == filter.len)
            return true;
        at = end + 1;
    }
}

bool gw_mqtt_filter_shared(struct gw_mqtt_str filter)
{
    return filter.len >= 7 && !memcmp(filter.data, "$share/", 7);
}

bool gw_mqtt_filter_valid(struct gw_mqtt_str filter)
{
    if (!gw_mqtt_filter_shared(filter))
        return levels_valid(filter);
    struct gw_mqtt_str name = {filter.data + 7, level_end(filter, 7) - 7};
    size_t used = 7 + name.len + 1;
    return gw_mqtt_topic_valid(name) && used <= filter.len && levels_valid((struct gw_mqtt_str){filter.data + used, filter.len - used});
}

bool gw_mqtt_filter_matches(struct gw_mqtt_str f, struct gw_mqtt_str t)
{
    if (!f.len || !t.len || (*t.data == '$' && (*f.data == '+' || *f.data == '#')))
        return false;
    for (size_t fa = 0, ta = 0;;) {
        size_t fe = level_end(f, fa), te = level_end(t, ta);
        if (fe - fa == 1 && f.data[fa] == '#')
            return true;
        bool any = fe - fa == 1 && f.data[fa] == '+';
        if (!any && (fe - fa != te - ta || memcmp(f.data + fa, t.data + ta, te - ta) != 0))
            return false;
        if (te == t.len)
            return fe == f.len || (f.len - fe == 2 && f.data[fe + 1] == '#'); /* a/# matches a */
        if (fe == f.len)
            return false;
        fa = fe + 1;
        ta = te + 1;
    }
}
