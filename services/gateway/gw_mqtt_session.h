/*
 * What storage keeps of a persistent session: filters and cursor (PGN_SUBJ_STO_MQTT). Written before SUBACK (gw_mqtt_subscribe.c), at the
 * connection's end, and each 10 s while the cursor moves. Loop's thread.
 */
#ifndef GW_MQTT_SESSION_H
#define GW_MQTT_SESSION_H

#include "services/gateway/gw_mqtt.h"

/* Before the session: takes what storage has of it, or has it removed; then gw_hello_accept. */
void gw_mqtt_session_begin(struct gw_conn *c, const Pigeon__Session *s);
void gw_mqtt_session_resume(struct gw_conn *c); /* after CONNACK: watches, and what was missed */
void gw_mqtt_session_end(struct gw_conn *c);

/* Writes it. done (may be NULL) is called unless the session has ended; error: 0 or PGN_E_*. */
typedef void gw_mqtt_saved(struct gw_conn *c, uint32_t number, int error);
void gw_mqtt_session_save(struct gw_conn *c, uint32_t number, gw_mqtt_saved *done);
void gw_mqtt_session_moved(struct gw_conn *c); /* the cursor moved */
void gw_mqtt_session_due(struct gw_conn *c);   /* a heartbeat: writes it when it moved */

#endif
