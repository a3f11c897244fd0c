/*
 * The listening sockets: HTTP for WebSockets (behind Nginx), and, where their ports are set, those that pass Nginx by: the same over TLS,
 * MQTT, MQTT over TLS. Several gateways may share a port (SO_REUSEPORT). Loop's thread.
 */
#ifndef GW_LISTEN_H
#define GW_LISTEN_H

#include "services/gateway/gateway.h"

void gw_listen_init(struct gateway *gw);              /* nothing is open; before all else of this header */
int gw_listen_start(struct gateway *gw) PGN_MUST_USE; /* PGN_E_INVALID, PGN_E_BUSY, PGN_E_IO after logging why */
void gw_listen_stop(struct gateway *gw);

#endif
