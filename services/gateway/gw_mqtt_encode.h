/*
 * MQTT packets that a server sends, appended to a buffer whole. Pure. version: GW_MQTT_3 or GW_MQTT_5; what 3.1.1 has no place for
 * is left out. Strings longer than 65535 bytes are a bug of the caller; with data NULL they are absent.
 */
#ifndef GW_MQTT_ENCODE_H
#define GW_MQTT_ENCODE_H

#include "common/base/buf.h"
#include "services/gateway/gw_mqtt_packet.h"

struct gw_mqtt_connack {
    enum gw_mqtt_reason reason;
    bool session_present;
    bool tell_session_expiry, tell_keep_alive; /* whether the next two are said */
    uint32_t session_expiry_s;
    uint16_t keep_alive_s;
    bool no_retain, no_wildcard, no_subscription_id, no_shared; /* said when true */
    uint16_t receive_maximum, alias_maximum;                    /* 0: not said */
    uint32_t maximum_packet;                                    /* 0: not said */
    struct gw_mqtt_str client_id;                               /* that was assigned */
    struct gw_mqtt_str text;                                    /* reason string */
};
/* False, and nothing written, when 3.1.1 has no return code for the reason: close without a word. */
bool gw_mqtt_write_connack(struct pgn_buf *b, uint8_t version, const struct gw_mqtt_connack *c);

struct gw_mqtt_pair {
    struct gw_mqtt_str name, value;
};
struct gw_mqtt_out { /* a PUBLISH */
    struct gw_mqtt_str topic, payload;
    uint8_t qos;
    bool dup, retain;
    uint16_t id;       /* QoS 1 and 2; may be patched later */
    bool payload_utf8; /* property payload format; 5.0 only, like all that follows */
    uint16_t alias;    /* 0: none; the topic may then be empty */
    struct gw_mqtt_str content_type;
    const struct gw_mqtt_pair *user; /* user properties */
    size_t users;
    const uint32_t *ids; /* subscription identifiers */
    size_t id_count;
};
/* Returns where the packet id stands (two bytes, big endian), from the packet's first byte; 0 with QoS 0. */
size_t gw_mqtt_write_publish(struct pgn_buf *b, uint8_t version, const struct gw_mqtt_out *p);
/* Makes a copy of a QoS 1 or 2 PUBLISH this delivery's own. at: from gw_mqtt_write_publish. */
void gw_mqtt_patch_id(uint8_t *packet, size_t at, uint16_t id);
void gw_mqtt_patch_dup(uint8_t *packet); /* sent again */

/* PUBACK, PUBREC, PUBREL, PUBCOMP. 3.1.1 cannot say a reason: a failure must not be written to it. */
void gw_mqtt_write_ack(struct pgn_buf *b, uint8_t version, enum gw_mqtt_type type, uint16_t id, enum gw_mqtt_reason reason,
                       struct gw_mqtt_str text);
/* A code a filter; for 3.1.1 failures become 0x80. */
void gw_mqtt_write_suback(struct pgn_buf *b, uint8_t version, uint16_t id, const uint8_t *codes, size_t count);
void gw_mqtt_write_unsuback(struct pgn_buf *b, uint8_t version, uint16_t id, const uint8_t *codes, size_t count);
void gw_mqtt_write_pingresp(struct pgn_buf *b);
/* False, and nothing written, for 3.1.1: a server has no DISCONNECT there. */
bool gw_mqtt_write_disconnect(struct pgn_buf *b, uint8_t version, enum gw_mqtt_reason reason, struct gw_mqtt_str text);

#endif
