// needs: services/gateway
/*
 * RFC 6455: the same bytes, whole and in pieces, give the same messages or the same violation; memory stays bounded.
 * The first two bytes choose the size of the pieces and the limit; the rest is what the peer sent.
 */
#include "services/gateway/gw_ws.h"

#include "common/base/id.h"
#include "common/base/utf8.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    uint64_t hash;
    size_t messages;
    uint16_t broken;
};

static void see(struct seen *s, const struct gw_ws_message *m, size_t limit)
{
    uint64_t mix[4] = {s->hash, m->opcode, m->len ? pgn_hash(m->data, m->len) : 0, m->close_code};
    if (m->opcode == GW_WS_TEXT && !pgn_utf8_valid(m->data, m->len))
        abort();
    if (m->opcode >= GW_WS_CLOSE ? m->len > GW_WS_CONTROL_MAX : m->len > limit)
        abort();
    if (m->opcode == GW_WS_CLOSE && m->close_code && !gw_ws_close_code_valid(m->close_code))
        abort();
    s->hash = pgn_hash(mix, sizeof mix);
    s->messages++;
}

static struct seen run(const uint8_t *data, size_t size, size_t step, size_t limit)
{
    struct seen s = {0};
    struct gw_ws ws = {NULL};
    for (size_t from = 0; from < size && !s.broken; from += step) {
        size_t n = size - from < step ? size - from : step;
        uint8_t *piece = malloc(n), *at = piece;
        struct gw_ws_message m;
        enum gw_ws_result r;
        memcpy(piece, data + from, n);
        while ((r = gw_ws_next(&ws, &at, piece + n, limit, &m)) == GW_WS_MESSAGE)
            see(&s, &m, limit);
        if (r == GW_WS_BROKEN)
            s.broken = m.close_code;
        else if (at != piece + n || gw_ws_held_bytes(&ws) > 2 * limit + 1024)
            abort();
        free(piece);
    }
    gw_ws_release(&ws);
    return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    size_t step = 1 + data[0] % 64, limit = 1 + (size_t)data[1] * 16;
    struct seen whole = run(data + 2, size - 2, size, limit), cut = run(data + 2, size - 2, step, limit);
    /* Cut text may be found broken earlier, in the middle of a message, but the messages before it are the same. */
    if (whole.messages != cut.messages || whole.hash != cut.hash || (whole.broken && !cut.broken))
        abort();
    if (whole.broken != cut.broken && cut.broken != GW_WS_BAD_DATA)
        abort();
    return 0;
}
