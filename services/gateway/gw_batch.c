/* Batches on the bus; see gw_batch.h. */
#include "services/gateway/gw_batch.h"

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/fault.h"
#include "common/base/id.h"
#include "common/proto/message_client.h"
#include "common/proto/subjects.h"
#include "common/svc/log.h"
#include "services/gateway/gw_conn.h"
#include "services/gateway/gw_limits.h"
#include "services/gateway/gw_ops.h"
#include "services/gateway/gw_user.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TICK_MIN_MS = 20, STOPPED_MS = 1000 /* a tick that is so late: the process was stopped, or starved */ };

/* Partitions are looked at while anything is open. */
static uint64_t tick_ms(const struct gateway *gw)
{
    uint64_t ms = (uint64_t)gw->config->gateway_resend_ms / 4;
    return ms < TICK_MIN_MS ? TICK_MIN_MS : ms > GW_PAUSE_MS ? GW_PAUSE_MS : ms;
}

/* ---- out ---- */

static int publish(void *ctx, const struct pgn_buf *batch)
{
    struct gateway *gw = ctx;
    char reply[128];
    if (!pgn_bus_connected(gw->bus))
        return PGN_E_UNAVAILABLE;
    snprintf(reply, sizeof reply, "%s.b", pgn_bus_inbox(gw->bus));
    int e = pgn_bus_publish(gw->bus, PGN_SUBJ_BATCH, reply, batch->data, batch->len);
    if (!e) {
        gw_count(GW_M_BATCHES, 1);
        gw_count(GW_M_BATCH_BYTES, (int64_t)batch->len);
    }
    return e;
}

static void resent(void *ctx, size_t items)
{
    (void)ctx;
    gw_count(GW_M_RESENT, (int64_t)items);
    pgn_log_limited(PGN_WARN, 5000, "no answer to a batch in time: sent again, items: %zu", items);
}

void gw_batch_flush(struct gateway *gw)
{
    if (!gw->items_open)
        return;
    uint64_t now_ms = pgn_loop_now_ms(gw->loop), next_ms = 0;
    for (int64_t i = 0; i < gw->config->gateway_partitions; i++) {
        uint64_t at_ms = gw_part_flush(&gw->parts[i], now_ms);
        if (at_ms && (!next_ms || at_ms < next_ms))
            next_ms = at_ms;
    }
    if (next_ms)
        pgn_timer_start(gw->loop, &gw->gather_timer, next_ms - now_ms);
}

/* The turn's end that follows flushes. */
static void gathered(struct pgn_timer *t)
{
    (void)t;
}

/* The conversation that an operation is about; for a send to a user the direct one. */
static const char *conv_of(const char *user, const Pigeon__ClientFrame *f, char direct[PGN_CONV_MAX + 1])
{
    switch ((int)f->op_case) {
    case PIGEON__CLIENT_FRAME__OP_SEND:
        if (f->send->to->to_case == PIGEON__TARGET__TO_CONV)
            return f->send->to->conv;
        pgn_conv_direct(user, f->send->to->user, direct);
        return direct;
    case PIGEON__CLIENT_FRAME__OP_RECALL:
        return f->recall->conv;
    case PIGEON__CLIENT_FRAME__OP_EDIT:
        return f->edit->conv;
    case PIGEON__CLIENT_FRAME__OP_REACT:
        return f->react->conv;
    default:
        return f->mark->conv;
    }
}

/* key: the retry key of what has none of its own; a send brings one. */
static void fill(Pigeon__BatchItem *b, const Pigeon__ClientFrame *f, char key[PGN_CLIENT_ID_MAX + 1])
{
    if (f->op_case != PIGEON__CLIENT_FRAME__OP_SEND && f->op_case != PIGEON__CLIENT_FRAME__OP_MARK) {
        const char *own = pgn_message_client_id(f);
        if (*own)
            memcpy(key, own, strlen(own) + 1); /* gw_check knows its length */
        else
            pgn_ulid(pgn_wall_ms(), key);
        b->client_id = key;
    }
    switch ((int)f->op_case) {
    case PIGEON__CLIENT_FRAME__OP_SEND:
        b->what_case = PIGEON__BATCH_ITEM__WHAT_SEND;
        b->send = f->send;
        return;
    case PIGEON__CLIENT_FRAME__OP_RECALL:
        b->what_case = PIGEON__BATCH_ITEM__WHAT_RECALL;
        b->recall = f->recall;
        return;
    case PIGEON__CLIENT_FRAME__OP_EDIT:
        b->what_case = PIGEON__BATCH_ITEM__WHAT_EDIT;
        b->edit = f->edit;
        return;
    case PIGEON__CLIENT_FRAME__OP_REACT:
        b->what_case = PIGEON__BATCH_ITEM__WHAT_REACT;
        b->react = f->react;
        return;
    default:
        b->what_case = PIGEON__BATCH_ITEM__WHAT_MARK;
        b->mark = f->mark;
        return;
    }
}

/* Into its partition; c NULL: nobody is answered. */
static int take(struct gateway *gw, char *user, char *device, struct gw_conn *c, const Pigeon__ClientFrame *f)
{
    char direct[PGN_CONV_MAX + 1], key[PGN_CLIENT_ID_MAX + 1];
    const char *conv = conv_of(user, f, direct);
    Pigeon__BatchItem b = PIGEON__BATCH_ITEM__INIT;
    b.user = user;
    b.device = device;
    fill(&b, f, key);
    struct gw_item *item = gw_item_new(pigeon__batch_item__get_packed_size(&b));
    pigeon__batch_item__pack(&b, item->data);
    item->id = f->id;
    item->op = (uint8_t)f->op_case;
    item->slot = c ? c->slot : UINT32_MAX;
    item->generation = c ? c->generation : 0;
    item->read_us = gw->turn_us ? gw->turn_us : pgn_mono_us();
    item->deadline_ms = pgn_loop_now_ms(gw->loop) + (uint64_t)gw->config->gateway_send_timeout_ms;
    uint32_t n = pgn_partition(pgn_hash(conv, strlen(conv)), (uint32_t)gw->config->gateway_partitions);
    int e = gw_part_add(&gw->parts[n], item);
    if (e) {
        free(item);
        return e;
    }
    if (gw->items_open++ == 0 && !pgn_timer_running(&gw->part_timer))
        pgn_timer_start(gw->loop, &gw->part_timer, tick_ms(gw));
    gw_count(f->op_case == PIGEON__CLIENT_FRAME__OP_MARK ? GW_M_MARKS : GW_M_SENDS, 1);
    return 0;
}

void gw_batch_take(struct gw_conn *c, const Pigeon__ClientFrame *f)
{
    int e = take(c->gw, c->user->id, c->device, c, f);
    if (e)
        gw_conn_error(c, f->id, e, NULL, gw_limits_retry_ms(GW_LOAD_MESSAGES));
    else
        c->items_open++;
}

void gw_batch_take_as(struct gateway *gw, char *user, char *device, const Pigeon__ClientFrame *f)
{
    if (take(gw, user, device, NULL, f) != 0)
        gw_count(GW_M_OVERLOADED, 1);
}

/* ---- back ---- */

static void answer_ok(struct gw_conn *c, const struct gw_item *item, const Pigeon__ItemResult *r)
{
    Pigeon__Ok ok = PIGEON__OK__INIT;
    Pigeon__Sent nothing = PIGEON__SENT__INIT, *sent = r->sent ? r->sent : &nothing;
    if (r->sent && c->own_told < UINT16_MAX)
        c->own_told++;
    switch (item->op) {
    case PIGEON__CLIENT_FRAME__OP_SEND:
        ok.result_case = PIGEON__OK__RESULT_SEND;
        ok.send = sent;
        break;
    case PIGEON__CLIENT_FRAME__OP_RECALL:
        ok.result_case = PIGEON__OK__RESULT_RECALL;
        ok.recall = sent;
        break;
    case PIGEON__CLIENT_FRAME__OP_EDIT:
        ok.result_case = PIGEON__OK__RESULT_EDIT;
        ok.edit = sent;
        break;
    case PIGEON__CLIENT_FRAME__OP_REACT:
        ok.result_case = PIGEON__OK__RESULT_REACT;
        ok.react = sent;
        break;
    default:
        break;
    }
    gw_ops_ok(c, item->id, &ok);
}

static void measure(const struct gw_item *item, int error)
{
    if (item->op == PIGEON__CLIENT_FRAME__OP_MARK)
        return;
    if (!error) {
        gw_count(GW_M_SENDS_OK, 1);
        pgn_metric_observe(&gw_metrics[GW_M_SEND_SECONDS], pgn_mono_us() - item->read_us);
    } else {
        gw_count(error == PGN_E_UNCERTAIN ? GW_M_SENDS_UNCERTAIN : GW_M_SENDS_REFUSED, 1);
    }
}

static void answer_take(void *ctx, struct gw_item *item, int error, const char *text, uint64_t retry_after_ms, const Pigeon__ItemResult *r)
{
    struct gateway *gw = ctx;
    struct gw_conn *c = gw_conn_find(gw, item->slot, item->generation);
    PGN_FAULT_POINT("gateway-before-ack");
    gw->items_open--;
    measure(item, error);
    if (c) {
        c->items_open--;
        if (error)
            gw_conn_error(c, item->id, error, text, retry_after_ms);
        else
            answer_ok(c, item, r);
    }
    free(item);
}

static void on_result(void *ctx, const struct pgn_bus_msg *msg)
{
    struct gateway *gw = ctx;
    if (!msg->len)
        return; /* NATS: nobody is there to take the batch; it is sent again */
    Pigeon__BatchResult *b = PGN_PB_UNPACK(Pigeon__BatchResult, pigeon__batch_result, gw->arena, msg->data, msg->len);
    uint64_t number = b ? b->batch % GW_PART_MAX : GW_PART_MAX;
    if (!b || number >= (uint64_t)gw->config->gateway_partitions)
        pgn_log_limited(PGN_WARN, 1000, "malformed answer to a batch");
    else
        for (size_t i = 0; i < b->n_results; i++)
            gw_part_result(&gw->parts[number], b->batch, b->results[i], pgn_loop_now_ms(gw->loop));
    pgn_arena_reset(gw->arena);
}

static void on_tick(struct pgn_timer *t)
{
    struct gateway *gw = PGN_CONTAINER(t, struct gateway, part_timer);
    uint64_t now_ms = pgn_loop_now_ms(gw->loop), late_ms = now_ms - t->due_ms;
    if (late_ms >= STOPPED_MS)
        pgn_log_limited(PGN_WARN, 1000, "this process did not run for %" PRIu64 " ms: sends under way get as much longer, items: %" PRIu32,
                        late_ms, gw->items_open);
    for (int64_t i = 0; gw->items_open && i < gw->config->gateway_partitions; i++) {
        if (late_ms >= STOPPED_MS)
            gw_part_defer(&gw->parts[i], late_ms);
        gw_part_tick(&gw->parts[i], now_ms);
    }
    if (gw->items_open)
        pgn_timer_start(gw->loop, &gw->part_timer, tick_ms(gw));
}

int gw_batch_start(struct gateway *gw)
{
    char subject[128];
    gw->part_ops = (struct gw_part_ops){publish, answer_take, resent, gw, (uint64_t)gw->config->gateway_resend_ms};
    gw->parts = pgn_calloc((size_t)gw->config->gateway_partitions, sizeof *gw->parts);
    for (uint32_t i = 0; i < gw->config->gateway_partitions; i++)
        gw_part_init(&gw->parts[i], i, &gw->part_ops);
    gw->part_timer.on_due = on_tick;
    gw->gather_timer.on_due = gathered;
    snprintf(subject, sizeof subject, "%s.b", pgn_bus_inbox(gw->bus));
    return pgn_bus_subscribe(gw->bus, subject, NULL, on_result, gw, &gw->results);
}

void gw_batch_stop(struct gateway *gw)
{
    pgn_timer_stop(&gw->part_timer);
    pgn_timer_stop(&gw->gather_timer);
    pgn_bus_unsubscribe(&gw->results);
    for (int64_t i = 0; gw->parts && i < gw->config->gateway_partitions; i++)
        gw_part_release(&gw->parts[i]);
    free(gw->parts);
    gw->parts = NULL;
}
