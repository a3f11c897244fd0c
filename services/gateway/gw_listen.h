/* The listening socket: several gateways may share a port (SO_REUSEPORT). */
#ifndef GW_LISTEN_H
#define GW_LISTEN_H

#include "services/gateway/gateway.h"

int gw_listen_start(struct gateway *gw) PGN_MUST_USE; /* PGN_E_INVALID, PGN_E_BUSY, PGN_E_IO after logging why */
void gw_listen_stop(struct gateway *gw);

#endif
