/* Subscriptions, and the way of a message from nats.c's delivery thread to its handler on the loop. */
#include "common/bus/bus_internal.h"

#include "common/base/alloc.h"
#include "common/base/error.h"

#include <stdlib.h>

enum { MESSAGE_OVERHEAD = 256 }; /* bytes that nats.c and we spend on a waiting message, besides its data */

struct delivery {
    struct pgn_mail mail;
    struct pgn_bus_sub *sub;
    natsMsg *msg;
};

/*
 * natsMsg_Destroy hands every message to nats.c's garbage collector, whose thread wakes up for it: a context switch a
 * message when little is going on. What that thread then calls is exported, though in no header.
 */
void natsMsg_free(void *msg) __attribute__((weak));

static void free_msg(natsMsg *msg)
{
    if (natsMsg_free)
        natsMsg_free(msg);
    else
        natsMsg_Destroy(msg);
}

static size_t weight(natsMsg *msg)
{
    return (size_t)natsMsg_GetDataLength(msg) + MESSAGE_OVERHEAD;
}

static void deliver(struct pgn_mail *mail)
{
    struct delivery *d = PGN_CONTAINER(mail, struct delivery, mail);
    struct pgn_bus_sub *sub = d->sub;
    struct pgn_bus *bus = sub->bus;
    atomic_fetch_sub(&bus->pending, weight(d->msg));
    if (!sub->dead && !bus->closing) {
        if (sub == bus->answers) {
            pgn_bus_answered(bus, d->msg);
        } else {
            struct pgn_bus_msg msg = {
                .subject = natsMsg_GetSubject(d->msg),
                .reply = natsMsg_GetReply(d->msg),
                .data = natsMsg_GetData(d->msg),
                .len = (size_t)natsMsg_GetDataLength(d->msg),
            };
            sub->handler(sub->handler_ctx, &msg);
        }
    }
    free_msg(d->msg);
    free(d);
}

/* On the delivery thread. */
static void on_message(natsConnection *nats, natsSubscription *nats_sub, natsMsg *msg, void *closure)
{
    (void)nats;
    (void)nats_sub;
    struct pgn_bus_sub *sub = closure;
    struct pgn_bus *bus = sub->bus;
    size_t bytes = weight(msg);
    if (atomic_fetch_add(&bus->pending, bytes) + bytes > bus->pending_limit) {
        atomic_fetch_sub(&bus->pending, bytes);
        free_msg(msg);
        pgn_bus_post_lost(bus);
        return;
    }
    struct delivery *d = pgn_malloc(sizeof(*d));
    *d = (struct delivery){.mail.on_loop = deliver, .sub = sub, .msg = msg};
    pgn_bus_post(bus, &d->mail);
}

static void end_on_loop(struct pgn_mail *mail)
{
    struct pgn_bus_sub *sub = PGN_CONTAINER(mail, struct pgn_bus_sub, end);
    sub->ended = true;
    if (!sub->dead && !sub->bus->closing)
        return; /* nats.c closed the connection by itself; the owner still holds on to sub */
    if (!sub->dead || pgn_node_linked(&sub->left))
        natsSubscription_Destroy(sub->nats);
    pgn_list_remove(&sub->left);
    free(sub);
}

/* On the delivery thread, behind the last message. */
static void on_complete(void *closure)
{
    struct pgn_bus_sub *sub = closure;
    struct pgn_bus *bus = sub->bus;
    pgn_bus_post(bus, &sub->end);
    pgn_bus_drop_live(bus);
}

int pgn_bus_subscribe(struct pgn_bus *bus, const char *subject, const char *queue, pgn_bus_handler *handler, void *ctx,
                      struct pgn_bus_sub **ret_sub)
{
    struct pgn_bus_sub *sub = pgn_calloc(1, sizeof(*sub));
    *sub = (struct pgn_bus_sub){.end.on_loop = end_on_loop, .bus = bus, .handler = handler, .handler_ctx = ctx};
    natsStatus s;
    if (queue)
        s = natsConnection_QueueSubscribe(&sub->nats, bus->nats, subject, queue, on_message, sub);
    else
        s = natsConnection_Subscribe(&sub->nats, bus->nats, subject, on_message, sub);
    if (s != NATS_OK) {
        free(sub);
        return s == NATS_INVALID_SUBJECT || s == NATS_INVALID_ARG ? PGN_E_INVALID : PGN_E_UNAVAILABLE;
    }
    atomic_fetch_add(&bus->live, 1);
    /* Our own bound (pending_limit) holds for all subscriptions together; nats.c's only mirrors it. */
    int bytes_limit = bus->pending_limit > INT32_MAX ? -1 : (int)bus->pending_limit;
    (void)natsSubscription_SetPendingLimits(sub->nats, -1, bytes_limit);
    s = natsSubscription_SetOnCompleteCB(sub->nats, on_complete, sub);
    if (s != NATS_OK) {
        /* nats.c has just closed the connection for good. sub may be in a mail, and no end will come: never freed. */
        sub->dead = true;
        natsSubscription_Destroy(sub->nats);
        pgn_bus_drop_live(bus);
        return PGN_E_UNAVAILABLE;
    }
    *ret_sub = sub;
    return 0;
}

/* nats.c holds its lock while it tries a server, up to PGN_NATS_CONNECT_MS: the loop does not wait for that. */
void pgn_bus_unsubscribe(struct pgn_bus_sub **sub)
{
    struct pgn_bus_sub *s = *sub;
    if (!s)
        return;
    *sub = NULL;
    s->dead = true;
    if (!s->bus->connected && !s->ended) {
        pgn_list_append(&s->bus->left, &s->left);
        return;
    }
    natsSubscription *nats = s->nats;
    if (s->ended)
        free(s);
    natsSubscription_Destroy(nats); /* s is freed by `end`, when all messages that are under way have come */
}

void pgn_bus_subs_connected(struct pgn_bus *bus)
{
    for (struct pgn_node *n; (n = pgn_list_pop(&bus->left)) != NULL;)
        natsSubscription_Destroy(PGN_CONTAINER(n, struct pgn_bus_sub, left)->nats); /* freed by `end`, as above */
}
