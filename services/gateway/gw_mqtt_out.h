/*
 * Deliveries: events as PUBLISH packets, made once for all sessions that can share the bytes, and the window of those that their client has
 * not acknowledged. A delivery of QoS 1 that does not fit into the window (the client's receive maximum, at most GW_MQTT_WINDOW_MAX), or
 * behind limits.queue_bytes, is not kept: the session falls behind (gw_mqtt_catchup.h). With QoS 0 it is dropped, but while the session
 * is behind it comes in its turn like all others. Loop's thread.
 */
#ifndef GW_MQTT_OUT_H
#define GW_MQTT_OUT_H

#include "services/gateway/gw_frame.h"
#include "services/gateway/gw_mqtt.h"
#include "services/gateway/gw_mqtt_forms.h"

/* An event from the bus. commit 0: it is not stored. */
void gw_mqtt_event(struct gw_conn *c, const Pigeon__ServerFrame *f, struct gw_mqtt_forms *forms, uint64_t commit);
/* One message out of storage, into a window that has room; commit: none of the session's cursors passes it before it is acknowledged. */
void gw_mqtt_missed(struct gw_conn *c, const Pigeon__Message *message, uint64_t commit);
/* The state of one who is watched. retained: it stands since before, and is sent because of a SUBSCRIBE. */
void gw_mqtt_presence(struct gw_conn *c, const Pigeon__Presence *p, bool retained);

void gw_mqtt_acked(struct gw_conn *c, uint16_t id);
size_t gw_mqtt_room(const struct gw_conn *c); /* deliveries of QoS 1 that may go out */
/* Everything up to this commit number is delivered and acknowledged. */
uint64_t gw_mqtt_cursor(const struct gw_mqtt *m);

#endif
