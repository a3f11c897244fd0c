/*
 * Catching up: what a session missed while it was away, while its window was full, while the bus lost something, or in a group before that
 * was followed, is read from storage and delivered like live messages: sync{cursor} says which conversations changed, fetch{since} reads
 * them, as much at a time as the window takes. Until nothing is missing the session is `behind`, and live events for it are not kept. At
 * least once. All sessions together ask at most READING_MAX times at once; the others wait in a list. Loop's thread.
 */
#ifndef GW_MQTT_CATCHUP_H
#define GW_MQTT_CATCHUP_H

#include "services/gateway/gw_mqtt.h"

/* The event of this commit number was not delivered. 0: nothing is known to be missing, but something may be. */
void gw_mqtt_fall_behind(struct gw_conn *c, uint64_t commit);
void gw_mqtt_lost(struct gw_conn *c); /* the bus may have lost something */
/* The user is in a group since this commit, and the group is followed from now on: what was said in it before, no event brings. */
void gw_mqtt_joined(struct gw_conn *c, uint64_t commit);
void gw_mqtt_catchup_room(struct gw_conn *c); /* the window has room again */
void gw_mqtt_synced(struct gw_conn *c, const Pigeon__SyncPage *page);
void gw_mqtt_fetched(struct gw_conn *c, const Pigeon__Page *page);
void gw_mqtt_catchup_failed(struct gw_conn *c, int error);
void gw_mqtt_catchup_stop(struct gw_conn *c); /* the connection ends; harmless when it is not behind */
void gw_mqtt_catchup_init(struct gateway *gw);

#endif
