/* Partitions; see gw_part.h. */
#include "services/gateway/gw_part.h"

#include "common/base/alloc.h"
#include "common/base/error.h"

#include <stdlib.h>

static struct gw_item *item_of(struct pgn_node *n)
{
    return PGN_CONTAINER(n, struct gw_item, node);
}

void gw_part_init(struct gw_part *p, uint32_t number, const struct gw_part_ops *ops)
{
    *p = (struct gw_part){.number = number, .ops = ops};
    pgn_list_init(&p->queue);
    pgn_list_init(&p->flying);
}

static void free_all(struct pgn_node *head)
{
    PGN_LIST_EACH_SAFE (n, head) {
        pgn_list_remove(n);
        free(item_of(n));
    }
}

void gw_part_release(struct gw_part *p)
{
    free_all(&p->queue);
    free_all(&p->flying);
    p->queued = p->flying_count = 0;
    p->batch = 0;
}

struct gw_item *gw_item_new(size_t len)
{
    struct gw_item *item = pgn_malloc(sizeof *item + len);
    *item = (struct gw_item){.len = (uint32_t)len};
    return item;
}

int gw_part_add(struct gw_part *p, struct gw_item *item)
{
    if (p->queued >= GW_PART_QUEUE)
        return PGN_E_OVERLOADED;
    item->index = ++p->next_index;
    pgn_list_append(&p->queue, &item->node);
    p->queued++;
    return 0;
}

static size_t varint(uint8_t *out, uint64_t v)
{
    size_t n = 0;
    for (; v >= 0x80; v >>= 7)
        out[n++] = (uint8_t)(v | 0x80);
    out[n++] = (uint8_t)v;
    return n;
}

/* Batch.items (field 2): the packed item, and its index (BatchItem, field 1) behind it. */
static void append_item(struct pgn_buf *out, const struct gw_item *item)
{
    uint8_t index[8] = {0x08}, head[12] = {0x12};
    size_t index_len = 1 + varint(index + 1, item->index);
    size_t head_len = 1 + varint(head + 1, item->len + index_len);
    pgn_buf_append(out, head, head_len);
    pgn_buf_append(out, item->data, item->len);
    pgn_buf_append(out, index, index_len);
}

/* Gives back all that is in flight to the front of the queue, in order. */
static void take_back(struct gw_part *p, bool unanswered)
{
    for (struct pgn_node *n = p->flying.prev, *before = n->prev; n != &p->flying; n = before, before = n->prev) {
        struct gw_item *item = item_of(n);
        item->doubt |= unanswered && !item->again;
        item->again = false;
        pgn_list_remove(n);
        pgn_list_prepend(&p->queue, n);
        p->queued++;
    }
    p->flying_count = 0;
    p->batch = 0;
}

static void leave(struct gw_part *p, struct gw_item *item)
{
    pgn_list_remove(&item->node);
    if (p->flying_count)
        p->flying_count--;
}

/* The bus does not take this batch: one item at a time, and none that is too large by itself. */
static void too_large(struct gw_part *p)
{
    if (p->flying_count == 1) {
        struct gw_item *item = item_of(p->flying.next);
        leave(p, item);
        p->ops->answer_take(p->ops->ctx, item, PGN_E_TOO_LARGE, NULL, 0, NULL);
    }
    p->alone = p->flying_count > 1;
    take_back(p, false);
}

uint64_t gw_part_flush(struct gw_part *p, uint64_t now_ms)
{
    static struct pgn_buf out; /* of the one loop; keeps its memory */
    if (p->batch || !p->queued || now_ms < p->pause_until_ms)
        return 0;
    if (p->queued < p->expected && now_ms < p->gather_until_ms)
        return p->gather_until_ms;
    p->batch = ++p->batches * GW_PART_MAX + p->number;
    uint8_t head[12] = {0x08}; /* Batch.batch */
    pgn_buf_clear(&out);
    pgn_buf_append(&out, head, 1 + varint(head + 1, p->batch));
    while (p->queued && p->flying_count < (p->alone ? 1 : GW_BATCH_ITEMS)) {
        struct gw_item *item = item_of(p->queue.next);
        if (p->flying_count && out.len + item->len > GW_BATCH_BYTES)
            break;
        append_item(&out, item);
        pgn_list_remove(&item->node);
        pgn_list_append(&p->flying, &item->node);
        p->queued--;
        p->flying_count++;
    }
    p->sent_ms = now_ms;
    p->sent_items = p->flying_count;
    int e = p->ops->publish(p->ops->ctx, &out);
    if (e == PGN_E_TOO_LARGE) {
        too_large(p);
    } else if (e) {
        take_back(p, false);
        p->pause_until_ms = now_ms + GW_PAUSE_MS;
    } else {
        p->alone = false;
    }
    return 0;
}

/* The item in flight with this index: answers come in order, so it is near the front. */
static struct gw_item *find(struct pgn_node *head, uint32_t index)
{
    PGN_LIST_EACH (n, head) {
        if (item_of(n)->index == index)
            return item_of(n);
    }
    return NULL;
}

static bool try_again(const struct gw_item *item, int error)
{
    if (error == PGN_E_STALE)
        return item->stale < GW_STALE_MAX;
    return error == PGN_E_UNAVAILABLE || error == PGN_E_NO_RESPONDERS || error == PGN_E_BUSY;
}

static void answer_refusal(struct gw_part *p, struct gw_item *item, const Pigeon__ItemResult *r)
{
    if (item->doubt) {
        p->ops->answer_take(p->ops->ctx, item, PGN_E_UNCERTAIN, NULL, 0, NULL);
        return;
    }
    p->ops->answer_take(p->ops->ctx, item, r->error, r->text, r->retry_after_ms, NULL);
}

/* When all items of the batch are answered: those that go again come first in the next one. */
static void finish_batch(struct gw_part *p, uint64_t now_ms)
{
    PGN_LIST_EACH (n, &p->flying) {
        if (!item_of(n)->again)
            return;
    }
    uint64_t wait_ms = (now_ms - p->sent_ms) / GW_GATHER_SHARE;
    p->expected = p->queued + p->sent_items;
    p->gather_until_ms = p->flying_count ? 0 : now_ms + (wait_ms < GW_GATHER_MS_MAX ? wait_ms : GW_GATHER_MS_MAX);
    take_back(p, false);
}

/* An answer to a batch that was given up: only that it was stored is news. */
static void late_result(struct gw_part *p, const Pigeon__ItemResult *r)
{
    if (r->error)
        return;
    struct gw_item *item = find(&p->flying, r->index);
    if (item) {
        leave(p, item);
    } else if ((item = find(&p->queue, r->index)) != NULL) {
        pgn_list_remove(&item->node);
        p->queued--;
    }
    if (item)
        p->ops->answer_take(p->ops->ctx, item, 0, NULL, 0, r);
}

void gw_part_result(struct gw_part *p, uint64_t batch, const Pigeon__ItemResult *r, uint64_t now_ms)
{
    if (batch != p->batch) {
        late_result(p, r);
        if (p->batch)
            finish_batch(p, now_ms);
        return;
    }
    struct gw_item *item = find(&p->flying, r->index);
    if (!item) {
        finish_batch(p, now_ms); /* its time was up; when that holds for all of the batch, this is its end */
        return;
    }
    if (item->again)
        return;
    if (r->error && try_again(item, r->error)) {
        item->again = true;
        if (r->error == PGN_E_STALE)
            item->stale++;
        else
            p->pause_until_ms = now_ms + GW_PAUSE_MS;
    } else {
        leave(p, item);
        if (r->error)
            answer_refusal(p, item, r);
        else
            p->ops->answer_take(p->ops->ctx, item, 0, NULL, 0, r);
    }
    finish_batch(p, now_ms);
}

/* Tells the clients whose time is up. */
static void expire(struct gw_part *p, struct pgn_node *head, bool flying, uint64_t now_ms)
{
    PGN_LIST_EACH_SAFE (n, head) {
        struct gw_item *item = item_of(n);
        if (now_ms < item->deadline_ms)
            continue;
        pgn_list_remove(n);
        if (flying)
            p->flying_count--;
        else
            p->queued--;
        bool doubt = item->doubt || (flying && !item->again);
        p->ops->answer_take(p->ops->ctx, item, doubt ? PGN_E_UNCERTAIN : PGN_E_UNAVAILABLE, NULL, 0, NULL);
    }
}

static void defer(struct pgn_node *head, uint64_t ms)
{
    PGN_LIST_EACH (n, head)
        item_of(n)->deadline_ms += ms;
}

void gw_part_defer(struct gw_part *p, uint64_t stopped_ms)
{
    defer(&p->queue, stopped_ms);
    defer(&p->flying, stopped_ms);
}

void gw_part_tick(struct gw_part *p, uint64_t now_ms)
{
    expire(p, &p->queue, false, now_ms);
    expire(p, &p->flying, true, now_ms);
    if (p->batch && now_ms >= p->sent_ms + p->ops->resend_ms) {
        if (p->ops->resent && p->flying_count)
            p->ops->resent(p->ops->ctx, p->flying_count);
        take_back(p, true);
    }
    (void)gw_part_flush(p, now_ms);
}
