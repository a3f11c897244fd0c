/* Requests to the message service; see gw_request.h. */
#include "services/gateway/gw_request.h"

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/id.h"
#include "common/proto/message_client.h"
#include "common/proto/subjects.h"
#include "services/gateway/gw_conn.h"
#include "services/gateway/gw_event.h"
#include "services/gateway/gw_hello.h"
#include "services/gateway/gw_limits.h"
#include "services/gateway/gw_loss.h"
#include "services/gateway/gw_mqtt_subscribe.h"
#include "services/gateway/gw_ops.h"
#include "services/gateway/gw_user.h"

#include <stdlib.h>
#include <string.h>

enum { TIMEOUT_MS = 10000, BUSY_RETRY_MS = 200 };

/* A request under way. */
struct op {
    struct gateway *gw;
    uint64_t id, start_us;
    uint32_t slot, generation;
    uint32_t loss_clock, routes_clock; /* when it was asked; loss_clock: of a sync */
    Pigeon__ClientFrame__OpCase kind;
    uint32_t held_count;
    struct gw_topic **held; /* of a watch: subscribed before it is asked, so that no change falls between */
};

static bool only_reads(Pigeon__ClientFrame__OpCase kind)
{
    return kind == PIGEON__CLIENT_FRAME__OP_FETCH || kind == PIGEON__CLIENT_FRAME__OP_SYNC || kind == PIGEON__CLIENT_FRAME__OP_WATCH ||
           kind == PIGEON__CLIENT_FRAME__OP_MEMBERS || kind == PIGEON__CLIENT_FRAME__OP_RECEIPTS || kind == PIGEON__CLIENT_FRAME__OP_INFO;
}

/* What there is until now this client has been told of; the user's others have not. */
static void join_synced(const struct gw_conn *c, const Pigeon__ConvState *s)
{
    gw_user_join(c->user, s->conv, s->last_seq + 1);
    gw_event_lost_for(c->user, c);
}

/* A sync answer tells the client's cursor, and in which groups the user is: what was missed before is mended by it. */
static void learn_from_sync(struct gw_conn *c, const struct op *op, const Pigeon__SyncPage *page)
{
    c->cursor = strtoull(page->cursor, NULL, 10);
    if (!page->more)
        gw_loss_mended(c, op->loss_clock);
    if (op->routes_clock != c->user->routes_clock) { /* the answer may be older than what events told since: ask once more */
        gw_hello_check_one(c);
        return;
    }
    for (size_t i = 0; i < page->n_convs; i++) {
        const Pigeon__ConvState *s = page->convs[i];
        if (s->kind != PIGEON__CONV_KIND__group)
            continue;
        if (s->gone)
            gw_user_part(c->user, s->conv);
        else if (!gw_user_is_in(c->user, s->conv))
            join_synced(c, s);
    }
}

static void learn_from_watch(struct gw_conn *c, const Pigeon__PresenceList *list)
{
    for (size_t i = 0; i < list->n_presence; i++) {
        struct gw_topic *t = gw_topic_get(c->gw, PGN_SUBJ_PRESENCE, list->presence[i]->user, false);
        if (!t || c->watches.count >= (uint64_t)c->gw->config->limits_watch_users)
            continue;
        if (c->mqtt && !gw_mqtt_watches(c, list->presence[i]->user))
            continue;
        gw_topic_join(t, c, &c->watches, 0);
        gw_event_replay(t, c);
    }
}

static void answer(struct gw_conn *c, const struct op *op, const struct pgn_rpc_result *r)
{
    c->ops_open--;
    if (r->error) {
        bool lost = r->error == PGN_E_TIMEOUT && only_reads(op->kind);
        gw_count(GW_M_OPS_FAILED, 1);
        gw_conn_error(c, op->id, lost ? PGN_E_UNAVAILABLE : r->error, lost || r->error == PGN_E_TIMEOUT ? NULL : r->text,
                      r->retry_after_ms);
        return;
    }
    const Pigeon__Ok *ok = r->reply->ok;
    if (ok->result_case == PIGEON__OK__RESULT_SYNC && c->state == GW_LIVE)
        learn_from_sync(c, op, ok->sync);
    gw_ops_ok(c, op->id, ok);
    if (ok->result_case == PIGEON__OK__RESULT_WATCH && c->state == GW_LIVE)
        learn_from_watch(c, ok->watch);
}

static void on_answer(void *ctx, const struct pgn_rpc_result *r)
{
    struct op *op = ctx;
    struct gateway *gw = op->gw;
    struct gw_conn *c = gw_conn_find(gw, op->slot, op->generation);
    gw->ops_open--;
    pgn_metric_observe(&gw_metrics[GW_M_OP_SECONDS], pgn_mono_us() - op->start_us);
    if (c)
        answer(c, op, r);
    for (uint32_t i = 0; i < op->held_count; i++)
        gw_topic_let_go(op->held[i]);
    free(op->held);
    free(op);
}

/* NULL when it was refused. */
static struct op *begin(struct gw_conn *c, const Pigeon__ClientFrame *f)
{
    struct gateway *gw = c->gw;
    if (c->ops_open >= GW_CONN_OPS_MAX) {
        gw_conn_error(c, f->id, PGN_E_RATE_LIMITED, "too many requests at once", BUSY_RETRY_MS);
        return NULL;
    }
    if (gw->ops_open >= GW_OPS_MAX) {
        gw_conn_error(c, f->id, PGN_E_OVERLOADED, NULL, gw_limits_retry_ms(GW_LOAD_HISTORY));
        return NULL;
    }
    struct op *op = pgn_calloc(1, sizeof *op);
    *op = (struct op){.gw = gw,
                      .id = f->id,
                      .start_us = pgn_mono_us(),
                      .slot = c->slot,
                      .generation = c->generation,
                      .loss_clock = f->op_case == PIGEON__CLIENT_FRAME__OP_SYNC ? gw_loss_asked(gw) : 0,
                      .routes_clock = c->user->routes_clock,
                      .kind = f->op_case};
    gw->ops_open++;
    c->ops_open++;
    gw_count(GW_M_OPS, 1);
    return op;
}

static void fill(Pigeon__OpRequest *q, struct gw_conn *c, const Pigeon__ClientFrame *f, Pigeon__ClientFrame *copy)
{
    *copy = *f;
    q->user = c->user->id;
    q->device = c->device;
    q->frame = copy;
}

static void ask(struct gw_conn *c, const Pigeon__ClientFrame *f, struct op *op)
{
    Pigeon__OpRequest q = PIGEON__OP_REQUEST__INIT;
    Pigeon__ClientFrame copy;
    char key[PGN_CLIENT_ID_MAX + 1] = "";
    fill(&q, c, f, &copy);
    const char *own = pgn_message_client_id(f);
    if (*own)
        memcpy(key, own, strlen(own) + 1); /* gw_check knows its length */
    else if (!only_reads(f->op_case))
        pgn_ulid(pgn_wall_ms(), key);
    q.client_id = key;
    pgn_message_op(c->gw->bus, &q, TIMEOUT_MS, NULL, on_answer, op);
}

void gw_request(struct gw_conn *c, const Pigeon__ClientFrame *f)
{
    struct op *op = begin(c, f);
    if (op)
        ask(c, f, op);
}

void gw_request_typing(struct gw_conn *c, const Pigeon__ClientFrame *f)
{
    Pigeon__OpRequest q = PIGEON__OP_REQUEST__INIT;
    Pigeon__ClientFrame copy;
    struct pgn_buf out = {0};
    if (!pgn_bus_connected(c->gw->bus))
        return; /* nobody would see it, and nats.c may let us wait */
    fill(&q, c, f, &copy);
    pgn_pb_pack(&q, &out);
    /* Best effort: one that is lost does no harm. */
    if (pgn_bus_publish(c->gw->bus, PGN_SUBJ_OP, NULL, out.data, out.len) == 0)
        gw_count(GW_M_OPS, 1);
    pgn_buf_release(&out);
}

void gw_request_watch(struct gw_conn *c, const Pigeon__ClientFrame *f)
{
    const Pigeon__Watch *w = f->watch;
    size_t limit = (size_t)c->gw->config->limits_watch_users;
    if (c->watches.count + w->n_users > limit) {
        gw_conn_error(c, f->id, PGN_E_INVALID, "users: more than one connection may watch; unwatch some", 0);
        return;
    }
    struct op *op = begin(c, f);
    if (!op)
        return;
    op->held = pgn_calloc(w->n_users, sizeof(struct gw_topic *));
    bool connected = pgn_bus_connected(c->gw->bus); /* else the request fails, and nats.c may let us wait */
    for (size_t i = 0; i < w->n_users; i++) {
        struct gw_topic *t = gw_topic_get(c->gw, PGN_SUBJ_PRESENCE, w->users[i], connected);
        if (!t)
            continue;
        gw_topic_hold(t);
        op->held[op->held_count++] = t;
    }
    ask(c, f, op);
}

void gw_request_unwatch(struct gw_conn *c, const Pigeon__Watch *w)
{
    for (size_t i = 0; i < w->n_users; i++) {
        struct gw_topic *t = gw_topic_get(c->gw, PGN_SUBJ_PRESENCE, w->users[i], false);
        if (t)
            gw_topic_leave(t, &c->watches);
    }
}
