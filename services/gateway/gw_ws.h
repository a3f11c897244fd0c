/*
 * RFC 6455 framing, server side: from bytes to whole messages, and heads of frames to write. Pure: no socket, no clock.
 *
 * Strict: frames must be masked, RSV bits zero (no extension is ever agreed), lengths in their shortest form, control frames
 * whole and at most 125 bytes; text is checked for UTF-8 while it comes in, across fragments.
 * A connection between two messages holds nothing: state is made when a message is cut by the end of what was read, and given back
 * at its end. One owner, one loop.
 */
#ifndef GW_WS_H
#define GW_WS_H

#include "common/base/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum gw_ws_opcode {
    GW_WS_CONTINUATION = 0,
    GW_WS_TEXT = 1,
    GW_WS_BINARY = 2,
    GW_WS_CLOSE = 8,
    GW_WS_PING = 9,
    GW_WS_PONG = 10,
};

/* Close codes of RFC 6455, section 7.4.1, that we send. */
enum {
    GW_WS_NORMAL = 1000,
    GW_WS_GOING_AWAY = 1001,
    GW_WS_PROTOCOL = 1002,
    GW_WS_UNSUPPORTED = 1003,
    GW_WS_BAD_DATA = 1007,
    GW_WS_TOO_BIG = 1009
};

enum { GW_WS_HEAD_MAX = 10, GW_WS_CONTROL_MAX = 125 };

struct gw_ws_partial;
struct gw_ws { /* zeroed: between messages */
    struct gw_ws_partial *partial;
};

enum gw_ws_result {
    GW_WS_MORE,    /* all bytes are used up */
    GW_WS_MESSAGE, /* message is filled; call again for what follows */
    GW_WS_BROKEN,  /* message->close_code says why; nothing more can be read */
};

struct gw_ws_message {
    enum gw_ws_opcode opcode; /* text or binary: a whole message; close, ping, pong */
    uint8_t *data;            /* unmasked, not terminated, never NULL; valid until the next call, and no longer than the input */
    size_t len;
    uint16_t close_code; /* opcode close: the peer's, 0 when it gave none. After GW_WS_BROKEN: the one to send */
};

/* Reads on at *at, moves it. The input is unmasked in place. limit: bytes of a message over all its fragments. */
enum gw_ws_result gw_ws_next(struct gw_ws *ws, uint8_t **at, const uint8_t *end, size_t limit, struct gw_ws_message *message);
void gw_ws_release(struct gw_ws *ws);
size_t gw_ws_held_bytes(const struct gw_ws *ws); /* memory held for a cut message */

/* Writes the head of a whole, unmasked frame; returns its length. */
size_t gw_ws_head(uint8_t out[GW_WS_HEAD_MAX], enum gw_ws_opcode opcode, size_t len);
/* Whether a peer may say this code in a close frame. */
bool gw_ws_close_code_valid(uint16_t code);

#endif
