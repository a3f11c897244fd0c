/* Batches from the bus to storage: waiting for policies, deadlines, overload; what becomes of the items is msg_batch.c's. */
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/fault.h"
#include "common/proto/subjects.h"
#include "common/svc/log.h"
#include "services/message/msg.h"
#include "services/message/msg_batch.h"
#include "services/message/msg_metrics.h"

#include <stdlib.h>

struct flow {
    struct msg_batch batch;
    struct msg_service *service;
    struct msg_waiter waiter;
    struct pgn_node node; /* on service->batches while waiting */
    struct pgn_timer deadline;
    char *reply; /* in the arena */
    uint64_t start_us;
};

/* ---- the end: answers and the commit ---- */

static int pass_on(struct flow *f)
{
    struct msg_service *s = f->service;
    if (!msg_batch_pack(&f->batch, pgn_bus_max_payload(s->bus), &s->out))
        return 0;
    PGN_FAULT_POINT("message-before-commit");
    return pgn_bus_publish(s->bus, PGN_SUBJ_COMMIT, f->reply, s->out.data, s->out.len);
}

static void refuse_rest(struct flow *f, int error, uint64_t retry_after_ms)
{
    for (size_t i = 0; i < f->batch.count; i++) {
        if (f->batch.items[i].error)
            continue;
        msg_batch_refuse(&f->batch, &f->batch.items[i], error, NULL);
        f->batch.items[i].retry_after_ms = retry_after_ms;
    }
}

static void flow_free(struct flow *f)
{
    struct msg_service *s = f->service;
    struct pgn_arena *arena = f->batch.arena;
    msg_batch_release(&f->batch);
    if (pgn_node_linked(&f->node)) {
        pgn_list_remove(&f->node);
        s->batches_waiting--;
        s->items_waiting -= f->batch.count;
        MSG_SET(BATCHES_WAITING, s->batches_waiting);
    }
    pgn_timer_stop(&f->deadline);
    msg_arena_give(s, &arena); /* f lives in it */
    msg_service_idle(s);
}

static void finish(struct flow *f)
{
    int e = pass_on(f);
    Pigeon__BatchResult *refusals = msg_batch_refusals(&f->batch);
    if (refusals)
        msg_publish(f->service, f->reply, refusals);
    MSG_COUNT(ITEMS_REFUSED, f->batch.refused);
    size_t passed = f->batch.count - f->batch.refused;
    if (e) {
        pgn_log_limited(PGN_WARN, 5000, "a batch could not be passed on: %s", pgn_error_info(e)->text);
        passed = 0; /* the gateway asks again */
    }
    MSG_COUNT(ITEMS_PASSED, passed);
    MSG_OBSERVE(BATCH_SECONDS, pgn_mono_us() - f->start_us);
    flow_free(f);
}

static void give_up(struct flow *f, int error)
{
    size_t refused = f->batch.refused;
    refuse_rest(f, error, error == PGN_E_OVERLOADED ? MSG_RETRY_AFTER_MS : 0);
    if (error == PGN_E_OVERLOADED)
        MSG_COUNT(ITEMS_OVERLOADED, f->batch.count - refused);
    else
        MSG_COUNT(ITEMS_UNAVAILABLE, f->batch.count - refused);
    finish(f);
}

/* ---- waiting ---- */

static void decide(struct flow *f)
{
    msg_batch_decide(&f->batch, pgn_wall_ms());
    finish(f);
}

static void on_ready(struct msg_waiter *w)
{
    decide(PGN_CONTAINER(w, struct flow, waiter));
}

/* Storage did not say in time: given back before the gateway asks again by itself. */
static void on_deadline(struct pgn_timer *t)
{
    give_up(PGN_CONTAINER(t, struct flow, deadline), PGN_E_UNAVAILABLE);
}

/* Gives each item its policy, or the place where it will be. */
static void find_policies(struct flow *f)
{
    struct msg_service *s = f->service;
    for (size_t i = 0; i < f->batch.count; i++) {
        struct msg_item *item = &f->batch.items[i];
        if (item->error)
            continue;
        struct msg_policy *p = msg_policies_get(s->policies, item->conv);
        if (p) {
            msg_policy_ref(p);
            item->want.policy = p;
        } else {
            msg_policies_want(s->policies, item->conv, &f->waiter, &item->want);
        }
    }
}

static void wait_for_policies(struct flow *f)
{
    struct msg_service *s = f->service;
    if (s->batches_waiting >= MSG_BATCHES_WAITING || s->items_waiting + f->batch.count > MSG_ITEMS_WAITING) {
        pgn_log_limited(PGN_WARN, 5000, "too many batches wait for storage: refused");
        give_up(f, PGN_E_OVERLOADED);
        msg_policies_flush(s->policies);
        return;
    }
    pgn_list_append(&s->batches, &f->node);
    s->batches_waiting++;
    s->items_waiting += f->batch.count;
    MSG_SET(BATCHES_WAITING, s->batches_waiting);
    pgn_timer_start(s->loop, &f->deadline, (uint64_t)s->config->gateway_resend_ms * 3 / 4);
    msg_policies_flush(s->policies);
}

void msg_batch_handle(void *service, const struct pgn_bus_msg *msg)
{
    struct msg_service *s = service;
    struct msg_batch_limits limits = {(size_t)s->config->limits_body_bytes};
    struct pgn_arena *arena = msg_arena_take(s);
    struct flow *f = pgn_arena_alloc(arena, sizeof *f);
    *f = (struct flow){.service = s, .start_us = pgn_mono_us()};
    f->batch.arena = arena;
    f->waiter.ready = on_ready;
    f->deadline.on_due = on_deadline;
    if (!msg->reply || !msg_batch_prepare(&f->batch, msg->data, msg->len, &limits)) {
        MSG_COUNT(MALFORMED, 1);
        pgn_log_limited(PGN_WARN, 5000, "a batch that could not be decoded");
        msg_arena_give(s, &arena);
        return;
    }
    f->reply = pgn_arena_strdup(arena, msg->reply);
    MSG_COUNT(BATCHES, 1);
    MSG_COUNT(ITEMS, f->batch.count);
    find_policies(f);
    if (f->waiter.missing == 0)
        decide(f);
    else
        wait_for_policies(f);
}

void msg_batches_end(struct msg_service *s)
{
    while (!pgn_list_empty(&s->batches))
        give_up(PGN_CONTAINER(s->batches.next, struct flow, node), PGN_E_UNAVAILABLE);
}
