/*
 * SUBSCRIBE and UNSUBSCRIBE. A filter of the inbox counts at once; one of presence is a watch, which the rules may refuse. SUBACK comes
 * when everything is answered, and the session, when it is persistent, is stored. Loop's thread.
 */
#ifndef GW_MQTT_SUBSCRIBE_H
#define GW_MQTT_SUBSCRIBE_H

#include "services/gateway/gw_mqtt.h"

struct gw_mqtt_asked;
void gw_mqtt_asked_free(struct gw_mqtt_asked **list);

enum gw_mqtt_reason gw_mqtt_on_subscribe(struct gw_conn *c, const struct gw_mqtt_packet *p);
enum gw_mqtt_reason gw_mqtt_on_unsubscribe(struct gw_conn *c, const struct gw_mqtt_packet *p);
/* A watch was answered: list NULL when error is not 0. */
void gw_mqtt_watched(struct gw_conn *c, uint32_t number, int error, const Pigeon__PresenceList *list);
/* Whether the user's presence is subscribed: behind gw_mqtt_watched it may not be, if UNSUBSCRIBE came before the answer. */
bool gw_mqtt_watches(const struct gw_conn *c, const char *user);

/* Puts a filter into the session's list; false when there was none of this text. Its form is known to be right. */
bool gw_mqtt_subscribe_put(struct gw_mqtt *m, struct gw_mqtt_str filter, const struct gw_mqtt_parsed *parsed, uint8_t options,
                           uint32_t identifier);
bool gw_mqtt_has_inbox(const struct gw_mqtt *m); /* whether a filter of the inbox is subscribed */
void gw_mqtt_subscribe_watch(struct gw_conn *c); /* watches all of presence that the session has subscribed */
void gw_mqtt_subscribe_due(struct gw_conn *c);   /* a heartbeat: watches it when that has failed */

#endif
