/*
 * Frames to clients: encoded once, reference-counted, shared between all the sockets that get them; and the queue of them
 * that a connection has while its socket does not take them. Loop's thread.
 */
#ifndef GW_FRAME_H
#define GW_FRAME_H

#include "common/base/buf.h"
#include "common/base/compiler.h"
#include "common/proto/pb.h"
#include "services/gateway/gw_http.h"
#include "services/gateway/gw_ws.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

struct gw_frame {
    uint32_t refs;
    uint32_t len;
    uint8_t data[]; /* as it goes on the wire, head included */
};

/* One WebSocket frame; the caller owns one reference. */
struct gw_frame *gw_frame_new(enum gw_ws_opcode opcode, const void *payload, size_t len);
struct gw_frame *gw_frame_raw(const void *bytes, size_t len); /* without a head: HTTP answers */
struct gw_frame *gw_frame_ref(struct gw_frame *f);
void gw_frame_unref(struct gw_frame **f); /* takes NULL */

/* A server frame on its way to several sockets: encoded per subprotocol when the first one needs it. */
struct gw_shared {
    const Pigeon__ServerFrame *source; /* borrowed while shared */
    struct gw_frame *frames[GW_ENCODINGS];
};
/* Borrowed from shared. */
struct gw_frame *gw_shared_get(struct gw_shared *shared, enum gw_encoding encoding);
void gw_shared_release(struct gw_shared *shared);

/*
 * What waits for one socket. Not allocated while empty: pointers to it are NULL then, and every function takes that.
 * Bounded by its users (gw_conn.c), in bytes.
 */
struct gw_outq {
    uint32_t head, count, cap;
    uint32_t sent;       /* bytes of the first frame that are on the wire already */
    uint32_t waiting_ms; /* low bits of the loop's clock: when a byte was last taken, or the queue made */
    size_t bytes;
    struct gw_frame *frames[]; /* from head, count of them */
};
void gw_outq_push(struct gw_outq **q, struct gw_frame *f, uint64_t now_ms); /* takes a reference of its own */
/* The first frames as an iovec; returns how many. */
int gw_outq_iov(const struct gw_outq *q, struct iovec *iov, int max);
/* `bytes` of it are on the wire; frees the queue when nothing is left. */
void gw_outq_sent(struct gw_outq **q, size_t bytes, uint64_t now_ms);
void gw_outq_cut(struct gw_outq **q); /* drops all frames but one that is half on the wire */
void gw_outq_free(struct gw_outq **q);
static inline size_t gw_outq_bytes(const struct gw_outq *q)
{
    return q ? q->bytes : 0;
}

#endif
