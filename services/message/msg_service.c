/* The service's own: subscriptions, loading of policies, drain. */
#include "services/message/msg_service.h"
#include "common/base/error.h"
#include "common/proto/subjects.h"
#include "common/svc/log.h"
#include "services/message/msg.h"
#include "services/message/msg_metrics.h"

#include <stdlib.h>

enum { LOAD_TIMEOUT_MS = 2000 };

/* ---- arenas, publishing ---- */

struct pgn_arena *msg_arena_take(struct msg_service *s)
{
    return s->arenas_kept > 0 ? s->arenas[--s->arenas_kept] : pgn_arena_new(MSG_ARENA_BYTES);
}

void msg_arena_give(struct msg_service *s, struct pgn_arena **arena)
{
    if (s->arenas_kept == MSG_ARENAS_KEPT) {
        pgn_arena_free(arena);
        return;
    }
    pgn_arena_reset(*arena);
    s->arenas[s->arenas_kept++] = *arena;
    *arena = NULL;
}

void msg_publish(struct msg_service *s, const char *subject, const void *message)
{
    pgn_buf_clear(&s->out);
    pgn_pb_pack(message, &s->out);
    int e = pgn_bus_publish(s->bus, subject, NULL, s->out.data, s->out.len);
    if (e)
        pgn_log_limited(PGN_WARN, 5000, "could not publish: %s", pgn_error_info(e)->text);
}

/* ---- loading policies ---- */

struct load_call {
    struct pgn_node node; /* on service->loads */
    struct msg_service *service;
    struct msg_load *load;
};

static void on_policies(void *ctx, int error, const struct pgn_bus_msg *msg)
{
    struct load_call *call = ctx;
    struct msg_service *s = call->service;
    struct msg_load *load = call->load;
    struct pgn_arena *arena = msg_arena_take(s);
    pgn_list_remove(&call->node);
    free(call);
    Pigeon__Reply *reply = error ? NULL : PGN_PB_UNPACK(Pigeon__Reply, pigeon__reply, arena, msg->data, msg->len);
    if (reply && !reply->error && reply->payload_case == PIGEON__REPLY__PAYLOAD_POLICIES) {
        msg_policies_loaded(s->policies, load, reply->policies);
    } else {
        if (!error)
            error = reply && reply->error ? reply->error : PGN_E_INTERNAL;
        pgn_log_limited(PGN_WARN, 5000, "policies could not be loaded: %s", pgn_error_info(error)->text);
        msg_policies_load_failed(s->policies, load);
    }
    MSG_SET(POLICIES, msg_policies_count(s->policies));
    msg_arena_give(s, &arena);
}

static void load_policies(void *ctx, struct msg_load *load, char **convs, size_t count)
{
    struct msg_service *s = ctx;
    struct load_call *call = pgn_calloc(1, sizeof *call);
    Pigeon__ConvRequest request = PIGEON__CONV_REQUEST__INIT;
    Pigeon__PolicyGet get = PIGEON__POLICY_GET__INIT;
    call->service = s;
    call->load = load;
    pgn_list_append(&s->loads, &call->node);
    get.convs = convs;
    get.n_convs = count;
    request.what_case = PIGEON__CONV_REQUEST__WHAT_POLICY;
    request.policy = &get;
    pgn_buf_clear(&s->out);
    pgn_pb_pack(&request, &s->out);
    pgn_bus_request(s->bus, PGN_SUBJ_STO_CONV, s->out.data, s->out.len, LOAD_TIMEOUT_MS, on_policies, call);
}

static void loads_end(struct msg_service *s)
{
    PGN_LIST_EACH_SAFE (n, &s->loads) {
        struct load_call *call = PGN_CONTAINER(n, struct load_call, node);
        pgn_bus_forget(s->bus, call);
        pgn_list_remove(n);
        msg_policies_load_failed(s->policies, call->load);
        free(call);
    }
}

/* ---- news of storage ---- */

static void on_store_up(void *ctx, const struct pgn_bus_msg *msg)
{
    struct msg_service *s = ctx;
    struct pgn_arena *arena = msg_arena_take(s);
    Pigeon__StoreUp *up = PGN_PB_UNPACK(Pigeon__StoreUp, pigeon__store_up, arena, msg->data, msg->len);
    if (up) {
        msg_policies_epoch(s->policies, up->epoch);
        msg_policies_drop_all(s->policies); /* the same store again: what it published may have been lost all the same */
        msg_policies_flush(s->policies);
    }
    msg_arena_give(s, &arena);
}

static void on_policy_changed(void *ctx, const struct pgn_bus_msg *msg)
{
    struct msg_service *s = ctx;
    struct pgn_arena *arena = msg_arena_take(s);
    Pigeon__PolicyChanged *changed = PGN_PB_UNPACK(Pigeon__PolicyChanged, pigeon__policy_changed, arena, msg->data, msg->len);
    if (changed)
        msg_policies_changed(s->policies, changed);
    MSG_SET(POLICIES, msg_policies_count(s->policies));
    msg_arena_give(s, &arena);
}

/* ---- life ---- */

static int subscribe(struct msg_service *s)
{
    int e = pgn_bus_subscribe(s->bus, PGN_SUBJ_POLICY, NULL, on_policy_changed, s, &s->policy_sub);
    if (!e)
        e = pgn_bus_subscribe(s->bus, PGN_SUBJ_STORE_UP, NULL, on_store_up, s, &s->store_sub);
    if (!e)
        e = pgn_bus_subscribe(s->bus, PGN_SUBJ_BATCH, "message", msg_batch_handle, s, &s->batch_sub);
    if (!e)
        e = pgn_bus_subscribe(s->bus, PGN_SUBJ_OP, "message", msg_op_handle, s, &s->op_sub);
    return e;
}

int msg_service_init(struct pgn_svc *svc)
{
    struct msg_service *s = pgn_calloc(1, sizeof *s);
    svc->state = s;
    s->svc = svc;
    s->loop = svc->loop;
    s->bus = svc->bus;
    s->config = svc->config;
    pgn_list_init(&s->batches);
    pgn_list_init(&s->ops);
    pgn_list_init(&s->loads);
    struct msg_policies_options options = {
        .loop = s->loop,
        .limit = (size_t)s->config->message_policy_cache,
        .group_members = (size_t)s->config->limits_group_members,
        .load = load_policies,
        .ctx = s,
    };
    s->policies = msg_policies_new(&options);
    int e = subscribe(s);
    if (e) {
        pgn_log(PGN_ERR, "cannot subscribe: %s", pgn_error_info(e)->text);
        return e;
    }
    pgn_svc_ready(svc, true);
    return 0;
}

void msg_service_idle(struct msg_service *s)
{
    if (s->draining && s->batches_waiting == 0 && s->ops_open == 0)
        pgn_svc_drained(s->svc);
}

void msg_service_drain(struct pgn_svc *svc)
{
    struct msg_service *s = svc->state;
    s->draining = true;
    pgn_bus_unsubscribe(&s->batch_sub);
    pgn_bus_unsubscribe(&s->op_sub);
    msg_service_idle(s);
}

void msg_service_fini(struct pgn_svc *svc)
{
    struct msg_service *s = svc->state;
    if (!s)
        return;
    s->draining = false;
    if (s->batch_sub)
        pgn_bus_unsubscribe(&s->batch_sub);
    if (s->op_sub)
        pgn_bus_unsubscribe(&s->op_sub);
    if (s->policy_sub)
        pgn_bus_unsubscribe(&s->policy_sub);
    if (s->store_sub)
        pgn_bus_unsubscribe(&s->store_sub);
    msg_batches_end(s);
    msg_ops_end(s);
    loads_end(s);
    msg_policies_free(&s->policies);
    while (s->arenas_kept > 0)
        pgn_arena_free(&s->arenas[--s->arenas_kept]);
    pgn_buf_release(&s->out);
    free(s);
    svc->state = NULL;
}

void msg_service_bus_event(struct pgn_svc *svc, enum pgn_bus_event event)
{
    struct msg_service *s = svc->state;
    if (event == PGN_BUS_CONNECTED || event == PGN_BUS_LOST) /* news of policies may have been lost */
        msg_policies_drop_all(s->policies);
}

void msg_service_load(struct pgn_svc *svc, uint64_t *ret_connections, uint32_t *ret_queue)
{
    struct msg_service *s = svc->state;
    *ret_connections = 0;
    *ret_queue = (uint32_t)(s->batches_waiting + s->ops_open);
}
