/*
 * Wills: kept in memory, sent like any publish when a connection ends without DISCONNECT (MQTT 5.0, 3.1.2.5), in 5.0 after its will delay
 * unless the same device is back by then, at whichever gateway. A gateway that is killed takes its wills with it. Loop's thread.
 */
#ifndef GW_MQTT_WILL_H
#define GW_MQTT_WILL_H

#include "services/gateway/gw_mqtt.h"

struct gw_mqtt_held_will;
enum gw_mqtt_reason gw_mqtt_will_take(struct gw_conn *c, const struct gw_mqtt_will *will) PGN_MUST_USE; /* from CONNECT */
void gw_mqtt_will_free(struct gw_mqtt_held_will **w);
void gw_mqtt_will_fire(struct gw_conn *c);    /* the connection ends */
void gw_mqtt_will_cancel(struct gw_conn *c);  /* the device is back */
void gw_mqtt_will_goes_on(struct gw_conn *c); /* its session goes on at another gateway: no will that has a delay */
/* The device came to another gateway then (our clock): no will of an older connection that still waits for its delay. */
void gw_mqtt_will_came_elsewhere(struct gateway *gw, const char *user, const char *device, uint64_t at_ms);
void gw_mqtt_will_init(struct gateway *gw);
void gw_mqtt_will_stop(struct gateway *gw);

#endif
