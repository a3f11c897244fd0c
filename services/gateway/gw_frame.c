/* Shared frames and queues of them; see gw_frame.h. */
#include "services/gateway/gw_frame.h"

#include "common/base/alloc.h"
#include "common/proto/json_map.h"

#include <stdlib.h>
#include <string.h>

enum { QUEUE_FIRST = 4 };

static struct gw_frame *make(const void *head, size_t head_len, const void *payload, size_t len)
{
    struct gw_frame *f = pgn_malloc(sizeof *f + head_len + len);
    f->refs = 1;
    f->len = (uint32_t)(head_len + len);
    if (head_len)
        memcpy(f->data, head, head_len);
    if (len)
        memcpy(f->data + head_len, payload, len);
    return f;
}

struct gw_frame *gw_frame_new(enum gw_ws_opcode opcode, const void *payload, size_t len)
{
    uint8_t head[GW_WS_HEAD_MAX];
    return make(head, gw_ws_head(head, opcode, len), payload, len);
}

struct gw_frame *gw_frame_raw(const void *bytes, size_t len)
{
    return make(NULL, 0, bytes, len);
}

struct gw_frame *gw_frame_ref(struct gw_frame *f)
{
    f->refs++;
    return f;
}

void gw_frame_unref(struct gw_frame **f)
{
    if (*f && --(*f)->refs == 0)
        free(*f);
    *f = NULL;
}

struct gw_frame *gw_shared_get(struct gw_shared *s, enum gw_encoding encoding)
{
    static struct pgn_buf scratch; /* of the one loop; keeps its memory */
    if (s->frames[encoding])
        return s->frames[encoding];
    pgn_buf_clear(&scratch);
    if (encoding == GW_JSON)
        pgn_json_encode(&s->source->base, &scratch);
    else
        pgn_pb_pack(s->source, &scratch);
    s->frames[encoding] = gw_frame_new(encoding == GW_JSON ? GW_WS_TEXT : GW_WS_BINARY, scratch.data, scratch.len);
    if (scratch.cap > 1 << 20)
        pgn_buf_release(&scratch);
    return s->frames[encoding];
}

void gw_shared_release(struct gw_shared *s)
{
    for (size_t i = 0; i < GW_ENCODINGS; i++)
        gw_frame_unref(&s->frames[i]);
}

static void grow(struct gw_outq **q)
{
    struct gw_outq *old = *q;
    if (old->head >= old->cap / 2) {
        memmove(old->frames, old->frames + old->head, old->count * sizeof(struct gw_frame *));
        old->head = 0;
        return;
    }
    uint32_t cap = old->cap * 2;
    *q = pgn_realloc(old, sizeof *old + cap * sizeof(struct gw_frame *));
    (*q)->cap = cap;
}

void gw_outq_push(struct gw_outq **q, struct gw_frame *f, uint64_t now_ms)
{
    if (!*q) {
        *q = pgn_malloc(sizeof **q + QUEUE_FIRST * sizeof(struct gw_frame *));
        **q = (struct gw_outq){.cap = QUEUE_FIRST, .waiting_ms = (uint32_t)now_ms};
    }
    if ((*q)->head + (*q)->count == (*q)->cap)
        grow(q);
    (*q)->frames[(*q)->head + (*q)->count++] = gw_frame_ref(f);
    (*q)->bytes += f->len;
}

int gw_outq_iov(const struct gw_outq *q, struct iovec *iov, int max)
{
    if (!q)
        return 0;
    int n = 0;
    for (; n < max && (uint32_t)n < q->count; n++) {
        struct gw_frame *f = q->frames[q->head + (uint32_t)n];
        size_t skip = n == 0 ? q->sent : 0;
        iov[n] = (struct iovec){f->data + skip, f->len - skip};
    }
    return n;
}

void gw_outq_sent(struct gw_outq **qp, size_t bytes, uint64_t now_ms)
{
    struct gw_outq *q = *qp;
    if (!q || !bytes)
        return;
    q->waiting_ms = (uint32_t)now_ms;
    q->bytes -= bytes;
    bytes += q->sent;
    while (q->count && bytes >= q->frames[q->head]->len) {
        bytes -= q->frames[q->head]->len;
        gw_frame_unref(&q->frames[q->head]);
        q->head++;
        q->count--;
    }
    q->sent = (uint32_t)bytes;
    if (!q->count)
        gw_outq_free(qp);
}

void gw_outq_cut(struct gw_outq **qp)
{
    struct gw_outq *q = *qp;
    uint32_t keep = q && q->sent ? 1 : 0;
    while (q && q->count > keep) {
        struct gw_frame **last = &q->frames[q->head + --q->count];
        q->bytes -= (*last)->len;
        gw_frame_unref(last);
    }
    if (q && !q->count)
        gw_outq_free(qp);
}

void gw_outq_free(struct gw_outq **qp)
{
    struct gw_outq *q = *qp;
    if (!q)
        return;
    for (uint32_t i = 0; i < q->count; i++)
        gw_frame_unref(&q->frames[q->head + i]);
    free(q);
    *qp = NULL;
}
