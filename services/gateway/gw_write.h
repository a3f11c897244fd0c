/* The writing side of a connection (gw_conn.h): its queue, its bounds, what the WebSocket layer itself says. */
#ifndef GW_WRITE_H
#define GW_WRITE_H

#include "services/gateway/gw_conn.h"

enum { GW_WRITE_LOOK_MS = 5000 }; /* how often a client that does not read is looked at */

void gw_write_later(struct gw_conn *c);       /* at the turn's end */
bool gw_write_waits(const struct gw_conn *c); /* for its socket: frames, or records of TLS */
bool gw_write_stuck(const struct gw_conn *c, uint64_t now_ms);
void gw_write_give_up(struct gw_conn *c); /* it is too slow: drops what waits, says so, closes */
void gw_write_ping(struct gw_conn *c);
void gw_write_pong(struct gw_conn *c, const void *data, size_t len);
void gw_write_echo(struct gw_conn *c, enum gw_ws_opcode opcode, const void *data, size_t len); /* unbounded: for GW_ECHO only */
void gw_write_close(struct gw_conn *c, uint16_t code); /* the close frame; the state is the caller's */
void gw_write_accept(struct gw_conn *c, const struct gw_upgrade *up);
void gw_write_peer(int fd, char ret_address[GW_ADDRESS_MAX]); /* numeric; IPv4 without the mapping into IPv6 */

#endif
