/*
 * What MQTT clients publish: to u/<user> and c/<conv>, sends like any other. QoS 1 is answered after the commit. QoS 2 is sent under the
 * key mq2-<life of the session>-<packet id>, so that storage finds a PUBLISH that is repeated; PUBREL has storage forget the key, and only
 * then the packet id means something new (MQTT 5.0, 4.3.3). There is no table of packet ids here. Loop's thread.
 */
#ifndef GW_MQTT_PUBLISH_H
#define GW_MQTT_PUBLISH_H

#include "services/gateway/gw_mqtt.h"

/* A send out of a publish or a will. Everything is the arena's; NULL with *ret_reason, and a text in problem, when it cannot be one. */
struct gw_mqtt_draft {
    Pigeon__ClientFrame frame;
    Pigeon__Send send;
    Pigeon__Target to;
    Pigeon__Body body;
};
/* What the publish says; topic: with aliases resolved. client_id is left empty. */
enum gw_mqtt_reason gw_mqtt_draft(struct gw_conn *c, struct gw_mqtt_str topic, struct gw_mqtt_str payload,
                                  const struct gw_mqtt_props *props, struct gw_mqtt_draft *ret, const char **ret_problem);

enum gw_mqtt_reason gw_mqtt_on_publish(struct gw_conn *c, const struct gw_mqtt_packet *p);
void gw_mqtt_published(struct gw_conn *c, uint64_t id);
void gw_mqtt_not_published(struct gw_conn *c, uint64_t id, int error, const char *text);
void gw_mqtt_release(struct gw_conn *c, uint16_t id); /* PUBREL */

#endif
