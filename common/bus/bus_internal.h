/*
 * What the parts of the bus share: bus.c (connection and loop), bus_sub.c (subscriptions, delivery), bus_request.c.
 *
 * Threads: the loop's; nats.c's delivery thread (messages, end of a subscription); its callback thread (connection
 * events); its reconnect and timer threads (hooks attach, read, write). All but the loop's only set atomics and post mails.
 */
#ifndef PGN_BUS_BUS_INTERNAL_H
#define PGN_BUS_BUS_INTERNAL_H

#include "common/base/list.h"
#include "common/base/map.h"
#include "common/bus/bus.h"
#include "common/io/mailbox.h"

#include <nats/nats.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

struct pgn_bus {
    struct pgn_loop *loop;
    pthread_t thread; /* the loop's */
    natsConnection *nats;
    natsOptions *options;
    void (*on_event)(void *ctx, enum pgn_bus_event event);
    void *ctx;
    char inbox[96];

    /* Loop only. */
    struct pgn_io io; /* on our own duplicate of nats.c's socket, so that its closing cannot hit somebody else's descriptor */
    uint64_t io_epoch;
    bool io_on, backlog; /* backlog: the kernel's buffer is full, the loop waits for PGN_WRITE */
    bool connected, closing;
    struct pgn_hook hook;
    uint64_t hook_turn; /* the turn in which the hook ran last */
    uint64_t max_payload;
    struct pgn_map *requests; /* by number */
    uint64_t next_request;
    struct pgn_bus_sub *answers;
    struct pgn_node left; /* subscriptions that were given up while not connected: nats.c hears of it when it is */

    /* Any thread. The mailbox itself takes any number: what it may hold is bounded by pending_limit bytes. */
    struct pgn_mailbox *mailbox;
    size_t pending_limit;
    _Atomic size_t pending;
    _Atomic bool wants_write;
    _Atomic uint64_t attached_epoch, detached_epoch; /* sockets so far, and those of them that are gone */
    struct pgn_mail kick, lost;
    _Atomic bool kick_posted, lost_posted;
    _Atomic uint32_t live; /* the connection and its subscriptions: what may still call us */
    sem_t gone;            /* posted when live reaches zero */
};

struct pgn_bus_sub {
    struct pgn_mail end;  /* posted by nats.c's delivery thread behind the last message */
    struct pgn_node left; /* linked: dead, and nats.c does not know */
    struct pgn_bus *bus;
    natsSubscription *nats;
    pgn_bus_handler *handler;
    void *handler_ctx;
    bool dead;  /* unsubscribed; freed by `end` */
    bool ended; /* `end` came first */
};

void pgn_bus_post(struct pgn_bus *bus, struct pgn_mail *mail); /* any thread */
void pgn_bus_post_lost(struct pgn_bus *bus);                   /* any thread; once per burst */
void pgn_bus_drop_live(struct pgn_bus *bus);                   /* any thread; bus may be gone afterwards */

void pgn_bus_subs_connected(struct pgn_bus *bus); /* tells nats.c what was unsubscribed meanwhile */

void pgn_bus_answered(struct pgn_bus *bus, natsMsg *msg); /* a message to one of our request inboxes; borrowed */
int pgn_bus_requests_start(struct pgn_bus *bus) PGN_MUST_USE;
void pgn_bus_requests_end(struct pgn_bus *bus);

#endif
