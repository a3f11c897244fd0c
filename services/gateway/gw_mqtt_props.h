/*
 * What MQTT 3.1.1 and 5.0 packets are made of: reason codes, strings, variable byte integers, properties, and the rules for topic
 * names and filters. Pure: no socket, no clock, no memory of its own. Strings are borrowed from the packet, not terminated.
 * Sources: MQTT 5.0, sections 1.5 (data types), 2.2.2 (properties), 2.4 (reason codes), 4.7 (topics).
 */
#ifndef GW_MQTT_PROPS_H
#define GW_MQTT_PROPS_H

#include "common/base/cursor.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reason codes of MQTT 5.0 (2.4). For 3.1.1 the same are used inside; what goes out is chosen by gw_mqtt_encode.h. */
enum gw_mqtt_reason {
    GW_MQTT_SUCCESS = 0x00, /* also: normal disconnection, granted QoS 0 */
    GW_MQTT_GRANTED_1 = 0x01,
    GW_MQTT_GRANTED_2 = 0x02,
    GW_MQTT_WITH_WILL = 0x04, /* DISCONNECT: the will is to be sent */
    GW_MQTT_NO_MATCHING = 0x10,
    GW_MQTT_NO_SUBSCRIPTION = 0x11,
    GW_MQTT_UNSPECIFIED = 0x80,
    GW_MQTT_MALFORMED = 0x81,
    GW_MQTT_PROTOCOL_ERROR = 0x82,
    GW_MQTT_IMPLEMENTATION = 0x83, /* implementation specific error */
    GW_MQTT_BAD_VERSION = 0x84,
    GW_MQTT_BAD_CLIENT_ID = 0x85,
    GW_MQTT_BAD_LOGIN = 0x86,
    GW_MQTT_NOT_AUTHORIZED = 0x87,
    GW_MQTT_UNAVAILABLE = 0x88,
    GW_MQTT_BUSY = 0x89,
    GW_MQTT_BANNED = 0x8a,
    GW_MQTT_SHUTTING_DOWN = 0x8b,
    GW_MQTT_BAD_AUTH_METHOD = 0x8c,
    GW_MQTT_KEEP_ALIVE_TIMEOUT = 0x8d,
    GW_MQTT_TAKEN_OVER = 0x8e,
    GW_MQTT_BAD_FILTER = 0x8f,
    GW_MQTT_BAD_TOPIC = 0x90,
    GW_MQTT_ID_IN_USE = 0x91,
    GW_MQTT_ID_NOT_FOUND = 0x92,
    GW_MQTT_RECEIVE_MAXIMUM = 0x93,
    GW_MQTT_BAD_ALIAS = 0x94,
    GW_MQTT_TOO_LARGE = 0x95,
    GW_MQTT_RATE_TOO_HIGH = 0x96,
    GW_MQTT_QUOTA = 0x97,
    GW_MQTT_ADMINISTRATIVE = 0x98,
    GW_MQTT_BAD_PAYLOAD = 0x99,
    GW_MQTT_NO_RETAIN = 0x9a,
    GW_MQTT_NO_QOS = 0x9b,
    GW_MQTT_USE_OTHER = 0x9c,
    GW_MQTT_MOVED = 0x9d,
    GW_MQTT_NO_SHARED = 0x9e,
    GW_MQTT_CONNECTION_RATE = 0x9f,
    GW_MQTT_NO_SUBSCRIPTION_ID = 0xa1,
    GW_MQTT_NO_WILDCARD = 0xa2,
};

struct gw_mqtt_str {
    const char *data; /* NULL: absent; may be non-NULL and empty */
    size_t len;
};

enum gw_mqtt_prop {
    GW_MQTT_P_PAYLOAD_FORMAT = 0x01,
    GW_MQTT_P_MESSAGE_EXPIRY = 0x02,
    GW_MQTT_P_CONTENT_TYPE = 0x03,
    GW_MQTT_P_RESPONSE_TOPIC = 0x08,
    GW_MQTT_P_CORRELATION = 0x09,
    GW_MQTT_P_SUBSCRIPTION_ID = 0x0b,
    GW_MQTT_P_SESSION_EXPIRY = 0x11,
    GW_MQTT_P_ASSIGNED_CLIENT_ID = 0x12,
    GW_MQTT_P_SERVER_KEEP_ALIVE = 0x13,
    GW_MQTT_P_AUTH_METHOD = 0x15,
    GW_MQTT_P_AUTH_DATA = 0x16,
    GW_MQTT_P_REQUEST_PROBLEM = 0x17,
    GW_MQTT_P_WILL_DELAY = 0x18,
    GW_MQTT_P_REQUEST_RESPONSE = 0x19,
    GW_MQTT_P_REASON_STRING = 0x1f,
    GW_MQTT_P_RECEIVE_MAXIMUM = 0x21,
    GW_MQTT_P_ALIAS_MAXIMUM = 0x22,
    GW_MQTT_P_ALIAS = 0x23,
    GW_MQTT_P_MAXIMUM_QOS = 0x24,
    GW_MQTT_P_RETAIN_AVAILABLE = 0x25,
    GW_MQTT_P_USER = 0x26,
    GW_MQTT_P_MAXIMUM_PACKET = 0x27,
    GW_MQTT_P_WILDCARD_AVAILABLE = 0x28,
    GW_MQTT_P_SUBSCRIPTION_ID_AVAILABLE = 0x29,
    GW_MQTT_P_SHARED_AVAILABLE = 0x2a,
};

enum { GW_MQTT_MAX_PROPS = 64 }; /* of one packet, user properties included; more: GW_MQTT_QUOTA */

/* Properties of a packet; what is absent has the standard's default. 3.1.1: all absent. */
struct gw_mqtt_props {
    uint64_t present;          /* see gw_mqtt_has */
    struct pgn_cursor user;    /* for gw_mqtt_user_next; the whole block */
    uint32_t session_expiry_s; /* 0; UINT32_MAX: never */
    uint32_t message_expiry_s; /* only when present */
    uint32_t will_delay_s;     /* 0 */
    uint32_t maximum_packet;   /* UINT32_MAX */
    uint32_t subscription_id;  /* 0: none */
    uint16_t receive_maximum;  /* 65535 */
    uint16_t alias_maximum;    /* 0 */
    uint16_t alias;            /* 0: none */
    bool payload_utf8;         /* false */
    bool request_problem;      /* true */
    bool request_response;     /* false */
    struct gw_mqtt_str content_type, response_topic, correlation, auth_method, auth_data, reason;
};

static inline bool gw_mqtt_has(const struct gw_mqtt_props *p, enum gw_mqtt_prop id)
{
    return p->present >> id & 1;
}
/* User properties in their order: copy p->user, call until false. */
bool gw_mqtt_user_next(struct pgn_cursor *user, struct gw_mqtt_str *ret_name, struct gw_mqtt_str *ret_value);
/* The first user property of this name; false when there is none. */
bool gw_mqtt_user_find(const struct gw_mqtt_props *p, const char *name, struct gw_mqtt_str *ret_value);

/* ---- for the decoder ---- */

/* Variable byte integer, at most 4 bytes. c->bad when it is cut, longer, or not in its shortest form. */
uint32_t gw_mqtt_varint(struct pgn_cursor *c);
/* UTF-8 string of 1.5.4: strict, no U+0000. c->bad when it is not. */
struct gw_mqtt_str gw_mqtt_text(struct pgn_cursor *c);
struct gw_mqtt_str gw_mqtt_bytes(struct pgn_cursor *c); /* binary data of 1.5.6 */
/* Which properties a packet may have, as a set for gw_mqtt_read_props. */
extern const uint64_t gw_mqtt_props_of_connect, gw_mqtt_props_of_will, gw_mqtt_props_of_publish, gw_mqtt_props_of_ack,
    gw_mqtt_props_of_subscribe, gw_mqtt_props_of_unsubscribe, gw_mqtt_props_of_disconnect;
void gw_mqtt_no_props(struct gw_mqtt_props *ret); /* the defaults */
/* Reads length and properties. Returns GW_MQTT_SUCCESS or what to refuse the packet with. */
enum gw_mqtt_reason gw_mqtt_read_props(struct pgn_cursor *c, uint64_t allowed, struct gw_mqtt_props *ret);

/* ---- topics ---- */

/* A name to publish to: not empty, no wildcards. (Being UTF-8 is gw_mqtt_text's to check.) */
bool gw_mqtt_topic_valid(struct gw_mqtt_str topic);
/* A filter's syntax (4.7.1): wildcards fill whole levels, # is the last. Of a shared subscription (4.8.2): $share/<name>/<filter>. */
bool gw_mqtt_filter_valid(struct gw_mqtt_str filter);
bool gw_mqtt_filter_shared(struct gw_mqtt_str filter);
/* Both valid. A filter that starts with a wildcard does not match a topic that starts with $ (4.7.2). Not for shared ones. */
bool gw_mqtt_filter_matches(struct gw_mqtt_str filter, struct gw_mqtt_str topic);

#endif
