/* Requests: numbered inboxes below one wildcard subscription, a table by number, deadlines by the loop's timers. */
#include "common/bus/bus_internal.h"

#include "common/base/alloc.h"
#include "common/base/error.h"
#include "common/base/random.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct request {
    uint64_t number;
    struct pgn_bus *bus;
    struct pgn_timer timer;
    int error; /* when the timer is due: PGN_E_TIMEOUT, or why it could not be sent */
    pgn_bus_answer *answer;
    void *ctx;
};

static const void *key_of(const void *value, size_t *ret_len)
{
    const struct request *r = value;
    *ret_len = sizeof(r->number);
    return &r->number;
}

static void finish(struct request *r, int error, const struct pgn_bus_msg *msg)
{
    pgn_timer_stop(&r->timer);
    pgn_map_remove(r->bus->requests, &r->number, sizeof(r->number));
    pgn_bus_answer *answer = r->answer;
    void *ctx = r->ctx;
    free(r);
    answer(ctx, error, msg);
}

static void on_due(struct pgn_timer *t)
{
    struct request *r = PGN_CONTAINER(t, struct request, timer);
    finish(r, r->error, NULL);
}

void pgn_bus_answered(struct pgn_bus *bus, natsMsg *msg)
{
    const char *subject = natsMsg_GetSubject(msg), *dot = strrchr(subject, '.');
    char *end;
    uint64_t number = dot ? strtoull(dot + 1, &end, 16) : 0;
    struct request *r = dot && *end == 0 ? pgn_map_get(bus->requests, &number, sizeof(number)) : NULL;
    if (!r)
        return; /* too late, or answered twice */
    if (natsMsg_IsNoResponders(msg)) {
        finish(r, PGN_E_NO_RESPONDERS, NULL);
        return;
    }
    struct pgn_bus_msg view = {
        .subject = subject,
        .reply = natsMsg_GetReply(msg),
        .data = natsMsg_GetData(msg),
        .len = (size_t)natsMsg_GetDataLength(msg),
    };
    finish(r, 0, &view);
}

void pgn_bus_request(struct pgn_bus *bus, const char *subject, const void *data, size_t len, uint64_t deadline_ms, pgn_bus_answer *answer,
                     void *ctx)
{
    struct request *r = pgn_calloc(1, sizeof(*r));
    *r = (struct request){.number = bus->next_request++, .bus = bus, .error = PGN_E_TIMEOUT, .answer = answer, .ctx = ctx};
    r->timer.on_due = on_due;
    (void)pgn_map_put(bus->requests, r);
    char reply[sizeof(bus->inbox) + 24];
    snprintf(reply, sizeof(reply), "%s.r.%" PRIx64, bus->inbox, r->number);
    int error = bus->connected ? pgn_bus_publish(bus, subject, reply, data, len) : PGN_E_UNAVAILABLE;
    if (error) {
        r->error = error;
        deadline_ms = 0;
    }
    pgn_timer_start(bus->loop, &r->timer, deadline_ms);
}

void pgn_bus_forget(struct pgn_bus *bus, const void *ctx)
{
    size_t it = 0;
    struct request *r;
    while ((r = pgn_map_next(bus->requests, &it))) {
        if (r->ctx != ctx)
            continue;
        pgn_timer_stop(&r->timer);
        pgn_map_remove(bus->requests, &r->number, sizeof(r->number));
        free(r);
    }
}

static void no_handler(void *ctx, const struct pgn_bus_msg *msg)
{
    (void)ctx;
    (void)msg; /* deliver() knows bus->answers */
}

int pgn_bus_requests_start(struct pgn_bus *bus)
{
    bus->requests = pgn_map_new(key_of);
    pgn_random(&bus->next_request, sizeof(bus->next_request));
    bus->next_request >>= 16;
    char subject[sizeof(bus->inbox) + 8];
    snprintf(subject, sizeof(subject), "%s.r.*", bus->inbox);
    return pgn_bus_subscribe(bus, subject, NULL, no_handler, NULL, &bus->answers);
}

void pgn_bus_requests_end(struct pgn_bus *bus)
{
    /* A callback may ask again: that ends as well, but whoever never stops is forgotten. */
    size_t budget = 8 * pgn_map_count(bus->requests);
    while (pgn_map_count(bus->requests) > 0) {
        size_t it = 0;
        struct request *r = pgn_map_next(bus->requests, &it);
        if (budget > 0) {
            budget--;
            finish(r, PGN_E_UNAVAILABLE, NULL);
        } else {
            pgn_bus_forget(bus, r->ctx);
        }
    }
    pgn_map_free(&bus->requests);
}
