/*
 * MQTT 3.1.1 and 5.0, server side: from a byte stream to packets, and from packets to what they say. Pure: no socket, no clock.
 *
 * Strict: reserved bits, lengths and UTF-8 are checked, a read never leaves the packet (pgn_cursor). Everything decoded is borrowed
 * from the input. A stream between two packets holds nothing: memory is made when a packet is cut by the end of what was read, and
 * given back at its end. One owner, one loop.
 * Errors: every function answers with the reason code that the standard has for what is wrong (MQTT 5.0, 4.13); the connection is
 * then to be closed: 5.0 after CONNACK or DISCONNECT with that code, 3.1.1 without a word (but for CONNACK, see gw_mqtt_encode.h).
 */
#ifndef GW_MQTT_PACKET_H
#define GW_MQTT_PACKET_H

#include "common/base/compiler.h"
#include "services/gateway/gw_mqtt_props.h"

enum gw_mqtt_type {
    GW_MQTT_CONNECT = 1,
    GW_MQTT_CONNACK = 2,
    GW_MQTT_PUBLISH = 3,
    GW_MQTT_PUBACK = 4,
    GW_MQTT_PUBREC = 5,
    GW_MQTT_PUBREL = 6,
    GW_MQTT_PUBCOMP = 7,
    GW_MQTT_SUBSCRIBE = 8,
    GW_MQTT_SUBACK = 9,
    GW_MQTT_UNSUBSCRIBE = 10,
    GW_MQTT_UNSUBACK = 11,
    GW_MQTT_PINGREQ = 12,
    GW_MQTT_PINGRESP = 13,
    GW_MQTT_DISCONNECT = 14,
    GW_MQTT_AUTH = 15, /* handed out undecoded: enhanced authentication is not supported */
};

enum { GW_MQTT_3 = 4, GW_MQTT_5 = 5 }; /* protocol levels: 3.1.1, 5.0 */
enum { GW_MQTT_HEAD_MAX = 5, GW_MQTT_PACKET_MAX = 268435455 + GW_MQTT_HEAD_MAX, GW_MQTT_MAX_FILTERS = 256 };

/* ---- framing ---- */

struct gw_mqtt_partial;
struct gw_mqtt_stream { /* zeroed: between packets */
    struct gw_mqtt_partial *partial;
};

enum gw_mqtt_result {
    GW_MQTT_MORE,   /* all bytes are used up */
    GW_MQTT_PACKET, /* packet is filled; call again for what follows */
    GW_MQTT_BROKEN, /* packet->reason says why; nothing more can be read */
};

struct gw_mqtt_packet {
    uint8_t type; /* one that a client may send */
    uint8_t flags;
    bool padded;         /* its length was not in the shortest form: fine in 3.1.1, malformed in 5.0 (the readers below check it) */
    const uint8_t *body; /* behind the fixed header, never NULL; valid until the next call, and no longer than the input */
    size_t len;
    enum gw_mqtt_reason reason; /* after GW_MQTT_BROKEN */
};

/* Reads on at *at, moves it. The input is not changed. limit: bytes of a whole packet, fixed header included (as Maximum Packet Size). */
enum gw_mqtt_result gw_mqtt_next(struct gw_mqtt_stream *s, uint8_t **at, const uint8_t *end, size_t limit, struct gw_mqtt_packet *ret);
void gw_mqtt_stream_release(struct gw_mqtt_stream *s);
size_t gw_mqtt_held_bytes(const struct gw_mqtt_stream *s); /* memory held for a cut packet */

/* ---- what packets say ---- */
/* version: GW_MQTT_3 or GW_MQTT_5, of the connection. GW_MQTT_SUCCESS, or the reason to close with; *ret is then undefined. */

struct gw_mqtt_will {
    struct gw_mqtt_str topic, payload;
    uint8_t qos;
    bool retain;
    struct gw_mqtt_props props;
};

struct gw_mqtt_connect {
    uint8_t version; /* how to answer: GW_MQTT_3 or GW_MQTT_5, set also when the packet is refused; 0: not MQTT, close without a word */
    bool clean_start, has_will;
    uint16_t keep_alive_s;                        /* 0: none */
    struct gw_mqtt_str client_id, user, password; /* client_id may be empty; user, password: data NULL when not given */
    struct gw_mqtt_will will;
    struct gw_mqtt_props props;
};
/* 3.1.1 with an empty client id needs a clean session: GW_MQTT_BAD_CLIENT_ID. An authentication method: GW_MQTT_BAD_AUTH_METHOD. */
enum gw_mqtt_reason gw_mqtt_read_connect(const struct gw_mqtt_packet *p, struct gw_mqtt_connect *ret) PGN_MUST_USE;

struct gw_mqtt_publish {
    uint8_t qos;
    bool dup, retain;
    uint16_t id;              /* 0 with QoS 0 */
    struct gw_mqtt_str topic; /* empty when props.alias stands for it; whether that alias is known is the caller's to check */
    struct gw_mqtt_str payload;
    struct gw_mqtt_props props;
};
enum gw_mqtt_reason gw_mqtt_read_publish(const struct gw_mqtt_packet *p, uint8_t version, struct gw_mqtt_publish *ret) PGN_MUST_USE;

struct gw_mqtt_ack {
    uint16_t id;
    enum gw_mqtt_reason reason; /* below 0x80: fine */
    struct gw_mqtt_props props;
};
/* PUBACK, PUBREC, PUBREL, PUBCOMP */
enum gw_mqtt_reason gw_mqtt_read_ack(const struct gw_mqtt_packet *p, uint8_t version, struct gw_mqtt_ack *ret) PGN_MUST_USE;

/* SUBSCRIBE and UNSUBSCRIBE: all filters are checked; then they are walked. */
struct gw_mqtt_subscribe {
    uint16_t id;
    uint16_t count; /* of filters, 1..GW_MQTT_MAX_FILTERS (more: GW_MQTT_QUOTA) */
    bool options;   /* each filter is followed by options: SUBSCRIBE */
    struct pgn_cursor filters;
    struct gw_mqtt_props props;
};
struct gw_mqtt_filter {
    struct gw_mqtt_str filter;
    uint8_t qos;
    uint8_t retain_handling; /* 0: send retained messages, 1: only for a new subscription, 2: don't */
    bool no_local, retain_as_published;
};
enum gw_mqtt_reason gw_mqtt_read_subscribe(const struct gw_mqtt_packet *p, uint8_t version, struct gw_mqtt_subscribe *ret) PGN_MUST_USE;
enum gw_mqtt_reason gw_mqtt_read_unsubscribe(const struct gw_mqtt_packet *p, uint8_t version, struct gw_mqtt_subscribe *ret) PGN_MUST_USE;
bool gw_mqtt_filter_next(struct gw_mqtt_subscribe *s, struct gw_mqtt_filter *ret); /* false: that was all */

struct gw_mqtt_disconnect {
    enum gw_mqtt_reason reason;
    struct gw_mqtt_props props; /* session_expiry_s only when present; that 0 may not become more is the caller's to check */
};
enum gw_mqtt_reason gw_mqtt_read_disconnect(const struct gw_mqtt_packet *p, uint8_t version, struct gw_mqtt_disconnect *ret) PGN_MUST_USE;
enum gw_mqtt_reason gw_mqtt_read_pingreq(const struct gw_mqtt_packet *p, uint8_t version) PGN_MUST_USE;

#endif
