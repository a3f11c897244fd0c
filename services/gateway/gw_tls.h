/*
 * TLS of client sockets (RFC 8446; TLS 1.2 for those who know no better). A connection from a TLS listener has one gw_tls; gw_conn.c reads
 * and gw_write.c writes through it where they would have called recv and sendmsg. Loop's thread.
 *
 * OpenSSL does the handshakes, over memory: one recv a turn, whole records only, one send a turn. When a TLS 1.3 handshake is done its
 * traffic secrets are taken over by gw_tls_record.c and the OpenSSL object is freed, as with kernel TLS: a silent socket costs some 300
 * bytes instead of 14 KB. TLS 1.2 sockets, and all with gateway.tls_own_records off, keep theirs.
 *
 * Handshakes wait in a queue, answered a turn for at most gateway.tls_turn_us, so that a storm delays itself and not the traffic. A waiting
 * one costs the bytes of its first message. At most limits.tls_handshakes are open, GW_TLS_STARTED of them begun; the oldest begun gives
 * way after GW_TLS_SLOW_MS.
 */
#ifndef GW_TLS_H
#define GW_TLS_H

#include "services/gateway/gw_conn.h"

#include <sys/uio.h>

enum { GW_TLS_STARTED = 1024, GW_TLS_SLOW_MS = 5000 };

/* gateway.tls is made when there is a TLS listener. PGN_E_INVALID, PGN_E_IO after logging why. */
int gw_tls_start(struct gateway *gw) PGN_MUST_USE;
void gw_tls_stop(struct gateway *gw);       /* after the last connection is gone */
bool gw_tls_full(const struct gateway *gw); /* no further handshake now */
void gw_tls_turn(struct gateway *gw);       /* the turn's share of handshakes; before all else of its end */

void gw_tls_new(struct gw_conn *c, bool mqtt); /* sets c->tls */
void gw_tls_end(struct gw_conn *c);            /* says goodbye when it can, frees; the socket is still open. Takes c->tls NULL */

/* As recv: bytes; 0 at the end; -1 with errno, EAGAIN also when there is nothing to be read but TLS's own. ret has GW_READ_BYTES bytes. */
ssize_t gw_tls_recv(struct gw_conn *c, uint8_t *ret);
/* As sendmsg, without blocking: bytes taken, which may still wait here (gw_tls_waiting). count may be 0: only what waits. */
ssize_t gw_tls_send(struct gw_conn *c, const struct iovec *iov, int count);
bool gw_tls_waiting(const struct gw_conn *c); /* something that was taken is not on the wire. False without TLS */
/* How long the socket has taken nothing of what waits here. 0 without TLS, when nothing waits, and before the handshake is done. */
uint32_t gw_tls_stands_ms(const struct gw_conn *c, uint64_t now_ms);
bool gw_tls_ended(const struct gw_conn *c); /* the peer has said goodbye: to be closed after what is written. False without TLS */
void gw_tls_bye(struct gw_conn *c);         /* close_notify, before our side is shut down. Nothing without TLS */

#endif
