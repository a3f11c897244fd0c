/*
 * The client's side of RFC 6455: handshake, masked frames out, frames in. Works on buffers, no sockets.
 */
#ifndef LOADTEST_WS_H
#define LOADTEST_WS_H

#include "common/base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ld_ws_op { LD_WS_MORE = 0, LD_WS_TEXT = 1, LD_WS_BINARY = 2, LD_WS_CLOSE = 8, LD_WS_PING = 9, LD_WS_PONG = 10 };

void ld_ws_upgrade(struct pgn_buf *out, const char *host, const char *path, const char *subprotocol);
/* Bytes that the answer's head takes, 0 while it is incomplete, -1 when it is no 101; *ret_status is its HTTP status. */
int ld_ws_upgraded(const uint8_t *data, size_t len, int *ret_status);

/* Appends one whole masked frame. */
void ld_ws_frame(struct pgn_buf *out, enum ld_ws_op op, const void *payload, size_t len, uint32_t mask);

struct ld_ws_in {
    enum ld_ws_op op;
    bool final;
    const uint8_t *payload;
    size_t len;
};
enum { LD_WS_FRAME_MAX = 64 << 20 };
/* Bytes that the next frame takes (0: incomplete, -1: broken); payload points into data. */
int64_t ld_ws_next(const uint8_t *data, size_t len, struct ld_ws_in *ret_frame);

#endif
