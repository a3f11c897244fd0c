/* RFC 6455 framing; see gw_ws.h. */
#include "services/gateway/gw_ws.h"

#include "common/base/alloc.h"
#include "common/base/buf.h"
#include "common/base/cursor.h"
#include "common/base/utf8.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST = 2, MASK = 4, CLIENT_HEAD_MAX = FIRST + 8 + MASK };

struct head {
    bool fin;
    uint8_t opcode;
    uint8_t mask[MASK];
    uint64_t len;
};

/* What is kept while a message is not complete. */
struct gw_ws_partial {
    uint8_t raw[CLIENT_HEAD_MAX]; /* a head that is not complete */
    uint8_t raw_len;
    bool in_frame; /* head is complete, payload of head.len is being read */
    bool handed;   /* msg was handed out: empty at the next call */
    uint8_t open;  /* opcode of the data message that is being put together; 0: none */
    uint8_t control_len;
    uint32_t utf8;
    struct head head;
    uint64_t done; /* bytes of this frame's payload that were read */
    struct pgn_buf msg;
    uint8_t control[GW_WS_CONTROL_MAX];
};

static bool is_control(uint8_t opcode)
{
    return opcode >= GW_WS_CLOSE;
}

static size_t head_size(const uint8_t *raw)
{
    uint8_t len = raw[1] & 0x7f;
    return (size_t)FIRST + MASK + (len == 127 ? 8 : len == 126 ? 2 : 0);
}

/* What the first two bytes alone can break. */
static uint16_t check_first(const uint8_t *raw)
{
    uint8_t opcode = raw[0] & 0x0f, len = raw[1] & 0x7f;
    bool known = opcode <= GW_WS_BINARY || (opcode >= GW_WS_CLOSE && opcode <= GW_WS_PONG);
    bool rsv = raw[0] & 0x70, masked = raw[1] & 0x80, fin = raw[0] & 0x80;
    if (rsv || !known || !masked || (is_control(opcode) && (!fin || len > GW_WS_CONTROL_MAX)))
        return GW_WS_PROTOCOL;
    return 0;
}

/* Reads a complete head; 0 or a close code. */
static uint16_t read_head(const uint8_t *raw, size_t size, struct head *h)
{
    uint16_t broken = check_first(raw);
    if (broken)
        return broken;
    struct pgn_cursor c = pgn_cursor_of(raw, size);
    h->fin = pgn_cursor_u8(&c) & 0x80;
    h->opcode = raw[0] & 0x0f;
    h->len = pgn_cursor_u8(&c) & 0x7f;
    uint64_t least = 0;
    if (h->len == 126) {
        h->len = pgn_cursor_u16be(&c);
        least = 126;
    } else if (h->len == 127) {
        h->len = pgn_cursor_u64be(&c);
        least = 65536;
    }
    const uint8_t *mask = pgn_cursor_take(&c, MASK);
    if (!mask || c.bad || h->len < least || h->len >> 63)
        return GW_WS_PROTOCOL;
    memcpy(h->mask, mask, MASK);
    return 0;
}

/* phase: how many bytes of this frame came before. */
static void unmask(uint8_t *data, size_t len, const uint8_t mask[MASK], uint64_t phase)
{
    uint8_t key[8];
    for (size_t i = 0; i < sizeof key; i++)
        key[i] = mask[(phase + i) & 3];
    uint64_t key64;
    memcpy(&key64, key, sizeof key64);
    size_t i = 0;
    for (; i + 8 <= len; i += 8) {
        uint64_t word;
        memcpy(&word, data + i, sizeof word);
        word ^= key64;
        memcpy(data + i, &word, sizeof word);
    }
    for (; i < len; i++)
        data[i] ^= key[i & 7];
}

bool gw_ws_close_code_valid(uint16_t code)
{
    bool standard = code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006;
    return standard || (code >= 3000 && code <= 4999);
}

static enum gw_ws_result broken(struct gw_ws_message *m, uint16_t code)
{
    m->close_code = code;
    return GW_WS_BROKEN;
}

/* Gives out a control frame. */
static enum gw_ws_result control_message(struct gw_ws_message *m, uint8_t opcode, uint8_t *data, size_t len)
{
    *m = (struct gw_ws_message){.opcode = (enum gw_ws_opcode)opcode, .data = data, .len = len};
    if (opcode != GW_WS_CLOSE || len == 0)
        return GW_WS_MESSAGE;
    if (len == 1)
        return broken(m, GW_WS_PROTOCOL);
    m->close_code = (uint16_t)(data[0] << 8 | data[1]);
    if (!gw_ws_close_code_valid(m->close_code))
        return broken(m, GW_WS_PROTOCOL);
    if (!pgn_utf8_valid(data + 2, len - 2))
        return broken(m, GW_WS_BAD_DATA);
    return GW_WS_MESSAGE;
}

/* The usual case: a whole message that is one frame, all of it in the input. MORE: it is not that case, nothing was used. */
static enum gw_ws_result take_whole(uint8_t **at, const uint8_t *end, size_t limit, struct gw_ws_message *m)
{
    size_t have = (size_t)(end - *at);
    if (have < FIRST || have < head_size(*at))
        return GW_WS_MORE;
    struct head h;
    size_t size = head_size(*at);
    uint16_t code = read_head(*at, size, &h);
    if (code)
        return broken(m, code);
    if (h.opcode == GW_WS_CONTINUATION)
        return broken(m, GW_WS_PROTOCOL);
    if (!is_control(h.opcode) && h.len > limit)
        return broken(m, GW_WS_TOO_BIG);
    if (!h.fin || h.len > have - size)
        return GW_WS_MORE;
    uint8_t *data = *at + size;
    size_t len = (size_t)h.len;
    unmask(data, len, h.mask, 0);
    *at = data + len;
    if (is_control(h.opcode))
        return control_message(m, h.opcode, data, len);
    *m = (struct gw_ws_message){.opcode = (enum gw_ws_opcode)h.opcode, .data = data, .len = len};
    if (h.opcode == GW_WS_TEXT && !pgn_utf8_valid(data, len))
        return broken(m, GW_WS_BAD_DATA);
    return GW_WS_MESSAGE;
}

/* Gathers bytes of a head until it is complete, then checks it against the message that is open. 0 or a close code. */
static uint16_t gather_head(struct gw_ws_partial *p, uint8_t **at, const uint8_t *end, size_t limit)
{
    while (*at < end && !p->in_frame) {
        p->raw[p->raw_len++] = *(*at)++;
        if (p->raw_len < FIRST)
            continue;
        uint16_t code = check_first(p->raw);
        if (code)
            return code;
        p->in_frame = p->raw_len == head_size(p->raw);
    }
    if (!p->in_frame)
        return 0;
    uint16_t code = read_head(p->raw, p->raw_len, &p->head);
    p->raw_len = 0;
    p->done = 0;
    if (code)
        return code;
    if (is_control(p->head.opcode)) {
        p->control_len = 0;
        return 0;
    }
    if ((p->head.opcode == GW_WS_CONTINUATION) != (p->open != 0))
        return GW_WS_PROTOCOL;
    if (p->head.len > limit || p->msg.len > limit - p->head.len)
        return GW_WS_TOO_BIG;
    if (!p->open)
        p->open = p->head.opcode;
    return 0;
}

/* Takes what the input has of the frame's payload. 0 or a close code. */
static uint16_t gather_payload(struct gw_ws_partial *p, uint8_t **at, const uint8_t *end)
{
    uint64_t left = p->head.len - p->done;
    size_t take = (size_t)(end - *at);
    if (take > left)
        take = (size_t)left;
    uint8_t *data = *at;
    unmask(data, take, p->head.mask, p->done);
    *at += take;
    p->done += take;
    if (is_control(p->head.opcode)) {
        memcpy(p->control + p->control_len, data, take);
        p->control_len = (uint8_t)(p->control_len + take);
        return 0;
    }
    if (p->open == GW_WS_TEXT && !pgn_utf8_check(&p->utf8, data, take))
        return GW_WS_BAD_DATA;
    if (take)
        pgn_buf_append(&p->msg, data, take);
    return 0;
}

/* A frame is complete: gives out what it completes. MORE: read on. */
static enum gw_ws_result finish_frame(struct gw_ws_partial *p, struct gw_ws_message *m)
{
    p->in_frame = false;
    if (is_control(p->head.opcode))
        return control_message(m, p->head.opcode, p->control, p->control_len);
    if (!p->head.fin)
        return GW_WS_MORE;
    if (p->open == GW_WS_TEXT && p->utf8 != 0)
        return broken(m, GW_WS_BAD_DATA);
    *m = (struct gw_ws_message){.opcode = (enum gw_ws_opcode)p->open, .data = p->msg.len ? p->msg.data : p->control, .len = p->msg.len};
    p->open = 0;
    p->utf8 = 0;
    p->handed = true;
    return GW_WS_MESSAGE;
}

static bool is_empty(const struct gw_ws_partial *p)
{
    return !p->raw_len && !p->in_frame && !p->open;
}

enum gw_ws_result gw_ws_next(struct gw_ws *ws, uint8_t **at, const uint8_t *end, size_t limit, struct gw_ws_message *m)
{
    struct gw_ws_partial *p = ws->partial;
    if (p && p->handed) {
        p->handed = false;
        pgn_buf_release(&p->msg);
    }
    if (p && is_empty(p)) {
        gw_ws_release(ws);
        p = NULL;
    }
    if (*at == end)
        return GW_WS_MORE;
    if (!p) {
        enum gw_ws_result r = take_whole(at, end, limit, m);
        if (r != GW_WS_MORE)
            return r;
        p = ws->partial = pgn_calloc(1, sizeof *p);
    }
    for (;;) {
        uint16_t code = p->in_frame ? 0 : gather_head(p, at, end, limit);
        if (!code && p->in_frame)
            code = gather_payload(p, at, end);
        if (code)
            return broken(m, code);
        if (!p->in_frame || p->done < p->head.len)
            return GW_WS_MORE;
        enum gw_ws_result r = finish_frame(p, m);
        if (r != GW_WS_MORE || *at == end)
            return r;
    }
}

void gw_ws_release(struct gw_ws *ws)
{
    if (!ws->partial)
        return;
    pgn_buf_release(&ws->partial->msg);
    free(ws->partial);
    ws->partial = NULL;
}

size_t gw_ws_held_bytes(const struct gw_ws *ws)
{
    return ws->partial ? sizeof *ws->partial + ws->partial->msg.cap : 0;
}

size_t gw_ws_head(uint8_t out[GW_WS_HEAD_MAX], enum gw_ws_opcode opcode, size_t len)
{
    out[0] = (uint8_t)(0x80 | opcode);
    if (len < 126) {
        out[1] = (uint8_t)len;
        return 2;
    }
    if (len <= UINT16_MAX) {
        out[1] = 126;
        out[2] = (uint8_t)(len >> 8);
        out[3] = (uint8_t)len;
        return 4;
    }
    out[1] = 127;
    for (size_t i = 0; i < 8; i++)
        out[2 + i] = (uint8_t)((uint64_t)len >> (56 - 8 * i));
    return GW_WS_HEAD_MAX;
}
