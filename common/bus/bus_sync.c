#include "common/bus/bus_sync.h"

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/list.h"
#include "common/bus/nats_options.h"

#include <nats/nats.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAUSE_MS = 50 };

struct pgn_bus_sync {
    natsConnection *nats;
    natsOptions *options;
    pthread_mutex_t lock; /* of follows */
    struct pgn_node follows;
};
struct follow {
    struct pgn_node node;
    natsSubscription *sub;
    pgn_bus_sync_handler *handler;
    void *ctx;
};

static natsStatus set_options(natsOptions *o, const char *url, const char *tls_ca, const char *name, const char *user, const char *password)
{
    natsStatus s = pgn_nats_options(o, url, tls_ca, name, user, password);
    if (user) {
        char inbox[96];
        snprintf(inbox, sizeof(inbox), "_INBOX.%.40s", user);
        PGN_NATS_TRY(s, natsOptions_SetCustomInboxPrefix(o, inbox));
    }
    PGN_NATS_TRY(s, natsOptions_SetSendAsap(o, true));
    return s;
}

int pgn_bus_sync_new(const char *url, const char *tls_ca, const char *name, const char *user, const char *password, uint64_t timeout_ms,
                     struct pgn_bus_sync **ret_bus)
{
    struct pgn_bus_sync *bus = pgn_calloc(1, sizeof(*bus));
    pthread_mutex_init(&bus->lock, NULL);
    pgn_list_init(&bus->follows);
    natsStatus s = natsOptions_Create(&bus->options);
    PGN_NATS_TRY(s, set_options(bus->options, url, tls_ca, name, user, password));
    if (s != NATS_OK) {
        pgn_bus_sync_free(&bus);
        return PGN_E_INVALID;
    }
    uint64_t end = pgn_mono_ms() + timeout_ms;
    while (natsConnection_Connect(&bus->nats, bus->options) != NATS_OK) {
        if (pgn_mono_ms() >= end) {
            pgn_bus_sync_free(&bus);
            return PGN_E_UNAVAILABLE;
        }
        nats_Sleep(PAUSE_MS);
    }
    *ret_bus = bus;
    return 0;
}

static void on_follow_end(void *closure)
{
    free(closure);
}

void pgn_bus_sync_free(struct pgn_bus_sync **busp)
{
    struct pgn_bus_sync *bus = *busp;
    if (!bus)
        return;
    *busp = NULL;
    if (bus->nats) {
        (void)natsConnection_FlushTimeout(bus->nats, PGN_NATS_CONNECT_MS);
        PGN_LIST_EACH_SAFE (n, &bus->follows) {
            struct follow *f = PGN_CONTAINER(n, struct follow, node);
            pgn_list_remove(n);
            natsSubscription_Destroy(f->sub); /* f is freed behind its last message */
        }
        natsConnection_Destroy(bus->nats);
    }
    natsOptions_Destroy(bus->options);
    pthread_mutex_destroy(&bus->lock);
    free(bus);
}

static int error_of(natsStatus s)
{
    if (s == NATS_OK)
        return 0;
    if (s == NATS_NO_RESPONDERS)
        return PGN_E_NO_RESPONDERS;
    if (s == NATS_TIMEOUT)
        return PGN_E_TIMEOUT;
    if (s == NATS_MAX_PAYLOAD)
        return PGN_E_TOO_LARGE;
    return s == NATS_INVALID_ARG || s == NATS_INVALID_SUBJECT ? PGN_E_INVALID : PGN_E_UNAVAILABLE;
}

static bool ready(const struct pgn_bus_sync *bus)
{
    return natsConnection_Status(bus->nats) == NATS_CONN_STATUS_CONNECTED;
}

int pgn_bus_sync_request(struct pgn_bus_sync *bus, const char *subject, const void *data, size_t len, uint64_t timeout_ms,
                         struct pgn_buf *ret_reply)
{
    if (len > INT32_MAX)
        return PGN_E_TOO_LARGE;
    if (!ready(bus))
        return PGN_E_UNAVAILABLE;
    natsMsg *reply = NULL;
    natsStatus s = natsConnection_Request(&reply, bus->nats, subject, data, (int)len, (int64_t)timeout_ms);
    if (s == NATS_OK)
        pgn_buf_append(ret_reply, natsMsg_GetData(reply), (size_t)natsMsg_GetDataLength(reply));
    natsMsg_Destroy(reply);
    return error_of(s);
}

int pgn_bus_sync_publish(struct pgn_bus_sync *bus, const char *subject, const void *data, size_t len)
{
    if (len > INT32_MAX)
        return PGN_E_TOO_LARGE;
    return error_of(natsConnection_Publish(bus->nats, subject, data, (int)len));
}

static void on_followed(natsConnection *nats, natsSubscription *sub, natsMsg *msg, void *closure)
{
    (void)nats;
    (void)sub;
    struct follow *f = closure;
    f->handler(f->ctx, natsMsg_GetSubject(msg), natsMsg_GetData(msg), (size_t)natsMsg_GetDataLength(msg));
    natsMsg_Destroy(msg);
}

int pgn_bus_sync_follow(struct pgn_bus_sync *bus, const char *subject, pgn_bus_sync_handler *handler, void *ctx)
{
    struct follow *f = pgn_calloc(1, sizeof(*f));
    f->handler = handler;
    f->ctx = ctx;
    natsStatus s = natsConnection_Subscribe(&f->sub, bus->nats, subject, on_followed, f);
    if (s != NATS_OK) {
        free(f);
        return error_of(s);
    }
    (void)natsSubscription_SetOnCompleteCB(f->sub, on_follow_end, f);
    pthread_mutex_lock(&bus->lock);
    pgn_list_append(&bus->follows, &f->node);
    pthread_mutex_unlock(&bus->lock);
    /* Whoever follows wants what comes from now on: the server must know before this returns. */
    return error_of(natsConnection_FlushTimeout(bus->nats, PGN_NATS_CONNECT_MS));
}
