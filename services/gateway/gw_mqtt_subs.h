/*
 * Subscriptions of an MQTT session: filters below inbox/ and presence/<user>, taken apart once, so that an event is matched without
 * comparing texts where the filter names nobody. Pure: no socket, no clock. One owner.
 */
#ifndef GW_MQTT_SUBS_H
#define GW_MQTT_SUBS_H

#include "common/base/compiler.h"
#include "common/base/id.h"
#include "services/gateway/gw_mqtt_props.h"

enum { GW_MQTT_NAME_MAX = PGN_CONV_MAX };

/* Where an event stands: inbox/u/<name>, inbox/c/<name>, presence/<name>. */
enum gw_mqtt_place { GW_MQTT_FROM_USER = 1, GW_MQTT_IN_CONV = 2, GW_MQTT_PRESENCE = 4 };

/* Options of a subscription, in one byte: that of SUBSCRIBE (QoS in bits 0-1, no local 2, retain as published 3, retain handling 4-5). */
enum {
    GW_MQTT_OPT_QOS = 3,
    GW_MQTT_OPT_NO_LOCAL = 4,
    GW_MQTT_OPT_AS_PUBLISHED = 8,
    GW_MQTT_OPT_HANDLING = 0x30,
    GW_MQTT_SUBSCRIBED = 0x80
};

struct gw_mqtt_parsed {
    uint8_t places;                  /* enum gw_mqtt_place */
    char name[GW_MQTT_NAME_MAX + 1]; /* "" : any */
};
/* GW_MQTT_SUCCESS, or the reason to refuse the filter with (its syntax is checked here). */
enum gw_mqtt_reason gw_mqtt_parse_filter(struct gw_mqtt_str filter, struct gw_mqtt_parsed *ret) PGN_MUST_USE;

/* A list of them, in the order of their coming. */
struct gw_mqtt_sub {
    struct gw_mqtt_sub *next;
    uint32_t identifier; /* 0: none */
    uint8_t places, options;
    char text[]; /* the filter, as the client wrote it; name: behind its 0 */
};
const char *gw_mqtt_sub_name(const struct gw_mqtt_sub *s);
/* Makes one, or replaces that of the same text; *ret_new: whether there was none. */
struct gw_mqtt_sub *gw_mqtt_sub_put(struct gw_mqtt_sub **list, struct gw_mqtt_str text, const struct gw_mqtt_parsed *parsed,
                                    uint8_t options, uint32_t identifier, bool *ret_new);
bool gw_mqtt_sub_remove(struct gw_mqtt_sub **list, struct gw_mqtt_str text); /* false: there was none */
bool gw_mqtt_sub_there(const struct gw_mqtt_sub *list, struct gw_mqtt_str text);
void gw_mqtt_subs_free(struct gw_mqtt_sub **list);
size_t gw_mqtt_subs_count(const struct gw_mqtt_sub *list, uint8_t places);
bool gw_mqtt_sub_matches(const struct gw_mqtt_sub *s, enum gw_mqtt_place place, const char *name);

#endif
