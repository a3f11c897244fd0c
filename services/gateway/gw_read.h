/* The reading side of a connection (gw_conn.h), from bytes to whole messages or packets, by state. Loop's thread. */
#ifndef GW_READ_H
#define GW_READ_H

#include <stddef.h>
#include <stdint.h>

struct gw_conn;

/* Bytes that were read from its socket; changed in place. May close the connection. */
void gw_read(struct gw_conn *c, uint8_t *data, size_t len);

#endif
