/*
 * Operations of clients: decoded, checked for form and limits, then sent on their way: into a partition's batch, as a request
 * to the message service, or answered here (ping). Loop's thread.
 */
#ifndef GW_OPS_H
#define GW_OPS_H

#include "services/gateway/gateway.h"
#include "services/gateway/gw_ws.h"

/* One message of a client in state GW_HELLO or GW_LIVE. May close the connection. */
void gw_ops_frame(struct gw_conn *c, enum gw_ws_opcode opcode, const uint8_t *data, size_t len);

/* A cursor as clients see it: decimal digits, "" for 0. */
enum { GW_CURSOR_BYTES = 21 };
void gw_ops_cursor(uint64_t cursor, char ret_text[GW_CURSOR_BYTES]);

/* Answers ok; the frame's id is set here. */
void gw_ops_ok(struct gw_conn *c, uint64_t id, const Pigeon__Ok *ok);

#endif
