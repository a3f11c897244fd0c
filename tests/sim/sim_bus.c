/*
 * bus.h, and one NATS server. What holds: one connection's messages keep their order, on both ways; subscriptions travel
 * behind the publishes before them; a queue group's message goes to one of its members; nobody to take it: no responders.
 * What is lost: all that is under way when a connection breaks, what nobody subscribes, what a slow consumer drops (it is
 * told). While a connection is away its publishes are kept (nats.c's reconnect buffer) and sent before it is told of.
 */
#include "tests/sim/sim.h"

#include "common/base/alloc.h"
#include "common/base/error.h"
#include "common/base/id.h"
#include "common/base/list.h"
#include "common/base/map.h"
#include "common/base/random.h"
#include "common/bus/bus.h"
#include "common/io/mailbox.h"
#include "common/proto/subjects.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEPT_BYTES = 8 << 20, BUSES_MAX = SIM_PROCS_MAX };

struct message {
    unsigned refs;
    char *subject, *reply;
    size_t len;
    uint64_t hash; /* of the subject */
    uint8_t data[];
};

/* A line on its way to the server. */
struct line {
    struct pgn_node node;
    struct message *message;         /* PUB, or */
    struct pgn_bus_sub *sub, *unsub; /* SUB, UNSUB */
};

struct pgn_bus_sub {
    struct pgn_node node; /* on bus->subs */
    struct pgn_bus *bus;
    char *subject, *queue;
    uint64_t hash;
    pgn_bus_handler *handler;
    void *ctx;
    bool at_server, dead;
};

struct pgn_bus {
    struct pgn_bus *next;
    struct pgn_loop *loop;
    struct sim_proc *proc;
    uint32_t life;
    void (*on_event)(void *ctx, enum pgn_bus_event event);
    void *ctx;
    char inbox[96];
    bool connected; /* as far as the process knows */
    bool up;        /* as the server sees it */
    bool gone;      /* the process is dead */
    uint32_t epoch; /* counts connections: what belongs to an earlier one is lost */
    uint32_t sent_epoch;
    uint64_t to_server_us, to_client_us; /* when what was sent last arrives */
    struct pgn_node subs, out;
    size_t kept_bytes;
    struct pgn_hook hook;
    struct pgn_mailbox *mailbox;
    struct pgn_map *requests;
    uint64_t next_request;
};

static struct pgn_bus *buses[BUSES_MAX]; /* by process */
static struct pgn_bus *all_buses;        /* also those of dead processes that the server does not know to be dead yet */

/* ---- messages ---- */

static struct message *message_new(const char *subject, const char *reply, const void *data, size_t len)
{
    struct message *m = pgn_malloc(sizeof *m + len + 1);
    *m = (struct message){.refs = 1, .subject = pgn_strdup(subject), .reply = pgn_strdup(reply), .len = len};
    m->hash = pgn_hash(subject, strlen(subject));
    if (len)
        memcpy(m->data, data, len);
    return m;
}

static void message_unref(struct message *m)
{
    if (--m->refs)
        return;
    free(m->subject);
    free(m->reply);
    free(m);
}

/* ---- server to client ---- */

struct delivery {
    struct pgn_mail mail;
    struct pgn_bus *bus;
    struct pgn_bus_sub *sub; /* NULL: an answer to a request */
    struct message *message;
    uint32_t epoch;
    bool no_responders;
};
struct notice {
    struct pgn_mail mail;
    struct pgn_bus *bus;
    enum pgn_bus_event event;
};

static void answered(struct pgn_bus *bus, const struct message *m, bool no_responders);

static void handle(struct pgn_mail *mail)
{
    struct delivery *d = PGN_CONTAINER(mail, struct delivery, mail);
    const struct message *m = d->message;
    struct pgn_bus_msg view = {m->subject, m->reply, m->data, m->len};
    sim_trace_u64(m->hash);
    sim_trace(m->data, m->len);
    if (d->sub && strcmp(m->subject, PGN_SUBJ_STORE_UP) == 0)
        d->bus->proc->store_us = sim.now_us;
    if (!d->sub)
        answered(d->bus, m, d->no_responders);
    else if (!d->sub->dead)
        d->sub->handler(d->sub->ctx, &view);
    message_unref(d->message);
    free(d);
}

static void on_notice(struct pgn_mail *mail)
{
    struct notice *n = PGN_CONTAINER(mail, struct notice, mail);
    if (n->event == PGN_BUS_CONNECTED)
        n->bus->connected = true;
    if (n->event == PGN_BUS_DISCONNECTED)
        n->bus->connected = false;
    n->bus->on_event(n->bus->ctx, n->event);
    free(n);
}

static void notify(struct pgn_bus *bus, enum pgn_bus_event event)
{
    struct notice *n = pgn_calloc(1, sizeof *n);
    *n = (struct notice){.mail.on_loop = on_notice, .bus = bus, .event = event};
    pgn_mailbox_post_wait(bus->mailbox, &n->mail);
}

static void arrive_at_client(void *ctx, uint64_t arg)
{
    struct delivery *d = ctx;
    struct pgn_bus *bus = d->bus;
    (void)arg;
    if (bus->gone || d->epoch != bus->epoch) {
        sim.totals.lost++;
        message_unref(d->message);
        free(d);
        return;
    }
    if (sim_fault(sim.knobs.lost)) {
        sim_say("%s is slow: %s is dropped", sim_proc_name(bus->proc), d->message->subject);
        sim.totals.lost++;
        message_unref(d->message);
        free(d);
        notify(bus, PGN_BUS_LOST);
        return;
    }
    d->mail.on_loop = handle;
    pgn_mailbox_post_wait(bus->mailbox, &d->mail);
}

static void send_to_client(struct pgn_bus *bus, struct pgn_bus_sub *sub, struct message *m, bool no_responders)
{
    struct delivery *d = pgn_calloc(1, sizeof *d);
    uint64_t at = sim.now_us + sim_delay_us();
    *d = (struct delivery){.bus = bus, .sub = sub, .message = m, .epoch = bus->epoch, .no_responders = no_responders};
    m->refs++;
    bus->to_client_us = at > bus->to_client_us ? at : bus->to_client_us;
    sim_at(bus->to_client_us, arrive_at_client, d, 0);
}

/* ---- the server ---- */

static struct pgn_bus *owner_of_inbox(const char *subject)
{
    for (struct pgn_bus *b = all_buses; b; b = b->next)
        if (b->up && strncmp(subject, b->inbox, strlen(b->inbox)) == 0)
            return b;
    return NULL;
}

/* A request's answer; false when it is none. */
static bool route_answer(struct message *m, bool no_responders)
{
    if (strncmp(m->subject, "_INBOX.", 7) != 0)
        return false;
    struct pgn_bus *bus = owner_of_inbox(m->subject);
    if (!bus)
        return true; /* whoever asked is gone */
    if (strncmp(m->subject + strlen(bus->inbox), ".r.", 3) != 0)
        return false;
    send_to_client(bus, NULL, m, no_responders);
    return true;
}

static void route(struct message *m);

static void no_responders(const struct message *m)
{
    struct message *none = message_new(m->reply, NULL, "", 0);
    if (!route_answer(none, true))
        route(none);
    message_unref(none);
}

static void route(struct message *m)
{
    struct pgn_bus_sub *group[32];
    size_t group_count = 0, taken = 0;
    if (route_answer(m, false))
        return;
    for (struct pgn_bus *b = all_buses; b; b = b->next) {
        if (!b->up)
            continue;
        PGN_LIST_EACH (n, &b->subs) {
            struct pgn_bus_sub *s = PGN_CONTAINER(n, struct pgn_bus_sub, node);
            if (s->hash != m->hash || !s->at_server || strcmp(s->subject, m->subject) != 0)
                continue;
            taken++;
            if (s->queue && group_count < PGN_COUNT(group))
                group[group_count++] = s;
            else
                send_to_client(b, s, m, false);
        }
    }
    if (group_count) {
        struct pgn_bus_sub *s = group[sim_rand(group_count)];
        send_to_client(s->bus, s, m, false);
    }
    if (!taken && m->reply)
        no_responders(m);
}

struct flight {
    struct pgn_bus *bus;
    uint32_t epoch;
    struct pgn_node lines;
    size_t count;
};

static void arrive_at_server(void *ctx, uint64_t arg)
{
    struct flight *f = ctx;
    struct pgn_bus *bus = f->bus;
    bool lost = f->epoch != bus->epoch || !bus->up;
    (void)arg;
    if (bus->gone && !lost && sim_rand(2)) { /* what a dead process had written: the kernel sends it, or the power is off */
        f->count = sim_rand(f->count + 1);
        bus->up = false;
    }
    for (struct pgn_node *n; (n = pgn_list_pop(&f->lines)) != NULL;) {
        struct line *l = PGN_CONTAINER(n, struct line, node);
        bool here = !lost && f->count > 0;
        f->count -= f->count > 0;
        if (l->message) {
            if (here)
                route(l->message);
            else
                sim.totals.lost++;
            message_unref(l->message);
        } else if (l->sub && here) {
            l->sub->at_server = !l->sub->dead || l->sub->at_server;
        } else if (l->unsub) {
            pgn_list_remove(&l->unsub->node); /* at the server it is gone in any case: it died with the connection */
        }
        free(l);
    }
    free(f);
}

/* ---- client to server ---- */

static void flush(struct pgn_bus *bus)
{
    if (pgn_list_empty(&bus->out) || !bus->connected)
        return;
    struct flight *f = pgn_calloc(1, sizeof *f);
    uint64_t at = sim.now_us + sim_delay_us();
    f->bus = bus;
    f->epoch = bus->sent_epoch;
    pgn_list_init(&f->lines);
    for (struct pgn_node *n; (n = pgn_list_pop(&bus->out)) != NULL; f->count++)
        pgn_list_append(&f->lines, n);
    bus->kept_bytes = 0;
    bus->to_server_us = at > bus->to_server_us ? at : bus->to_server_us;
    sim_at(bus->to_server_us, arrive_at_server, f, 0);
}

static void on_turn(struct pgn_hook *hook)
{
    flush(PGN_CONTAINER(hook, struct pgn_bus, hook));
}

static struct line *line_new(struct pgn_bus *bus)
{
    struct line *l = pgn_calloc(1, sizeof *l);
    pgn_list_append(&bus->out, &l->node);
    sim_loop_wake(bus->loop);
    return l;
}

static bool subject_ok(const char *subject)
{
    for (const unsigned char *p = (const unsigned char *)subject; *p; p++)
        if (*p <= ' ' || *p == 0x7f || *p == '*' || *p == '>')
            return false;
    return *subject != 0;
}

int pgn_bus_publish(struct pgn_bus *bus, const char *subject, const char *reply, const void *data, size_t len)
{
    if (!subject_ok(subject) || (reply && !subject_ok(reply)))
        return PGN_E_INVALID;
    if (len > sim.knobs.max_payload)
        return PGN_E_TOO_LARGE;
    if (!bus->connected && bus->kept_bytes + len > KEPT_BYTES)
        return PGN_E_UNAVAILABLE;
    sim.totals.messages++;
    bus->kept_bytes += len;
    line_new(bus)->message = message_new(subject, reply, data, len);
    return 0;
}

int pgn_bus_subscribe(struct pgn_bus *bus, const char *subject, const char *queue, pgn_bus_handler *handler, void *ctx,
                      struct pgn_bus_sub **ret_sub)
{
    struct pgn_bus_sub *s = pgn_calloc(1, sizeof *s);
    *s = (struct pgn_bus_sub){.bus = bus, .subject = pgn_strdup(subject), .queue = pgn_strdup(queue), .handler = handler, .ctx = ctx};
    s->hash = pgn_hash(subject, strlen(subject));
    pgn_list_append(&bus->subs, &s->node);
    if (bus->connected)
        line_new(bus)->sub = s;
    *ret_sub = s;
    return 0;
}

/* It stays in memory: messages for it may be under way. */
void pgn_bus_unsubscribe(struct pgn_bus_sub **sub)
{
    struct pgn_bus_sub *s = *sub;
    if (!s)
        return;
    *sub = NULL;
    s->dead = true;
    if (s->bus->connected)
        line_new(s->bus)->unsub = s;
    else
        pgn_list_remove(&s->node);
}

/* ---- connections ---- */

struct reconnect {
    struct pgn_bus *bus;
    uint32_t epoch;
};

static void on_reconnect(void *ctx, uint64_t arg)
{
    struct reconnect *r = ctx;
    struct pgn_bus *bus = r->bus;
    (void)arg;
    if (!bus->gone && r->epoch == bus->epoch && !bus->up) {
        bus->epoch++;
        bus->up = true;
        bus->sent_epoch = bus->epoch;
        bus->to_server_us = bus->to_client_us = sim.now_us;
        PGN_LIST_EACH_SAFE (n, &bus->subs) {
            struct pgn_bus_sub *s = PGN_CONTAINER(n, struct pgn_bus_sub, node);
            s->at_server = !s->dead;
        }
        notify(bus, PGN_BUS_CONNECTED);
    }
    free(r);
}

static void connect_in(struct pgn_bus *bus, uint64_t us)
{
    struct reconnect *r = pgn_calloc(1, sizeof *r);
    *r = (struct reconnect){bus, bus->epoch};
    sim_at(sim.now_us + us, on_reconnect, r, 0);
}

/* The process hears of it a little later; what it publishes until then is lost. */
static void cut(struct pgn_bus *bus, uint64_t for_us)
{
    if (!bus || bus->gone || !bus->up)
        return;
    sim_say("the connection of %s to the bus breaks for %" PRIu64 " ms", sim_proc_name(bus->proc), for_us / SIM_MS);
    sim.totals.cuts++;
    bus->up = false;
    bus->epoch++;
    PGN_LIST_EACH_SAFE (n, &bus->subs) {
        PGN_CONTAINER(n, struct pgn_bus_sub, node)->at_server = false;
    }
    notify(bus, PGN_BUS_DISCONNECTED);
    connect_in(bus, for_us);
}

void sim_bus_cut(struct sim_proc *p, uint64_t for_us)
{
    cut(buses[p->number], for_us);
}

void sim_bus_restart(void)
{
    uint64_t down = sim_rand(3 * SIM_S);
    sim_say("the bus is wiped");
    for (int i = 0; i < BUSES_MAX; i++)
        cut(buses[i], down + sim_rand(500 * SIM_MS));
}

static void forget_gone(void *ctx, uint64_t arg)
{
    struct pgn_bus *bus = ctx, **at = &all_buses;
    (void)arg;
    bus->up = false;
    while (*at != bus)
        at = &(*at)->next;
    *at = bus->next;
}

/* The server sees the end of the connection behind what was still in it; a power cut it notices later. */
void sim_bus_gone(struct sim_proc *p)
{
    struct pgn_bus *bus = buses[p->number];
    if (!bus)
        return;
    bus->gone = true;
    buses[p->number] = NULL;
    uint64_t end = bus->to_server_us > sim.now_us ? bus->to_server_us : sim.now_us;
    sim_at(end + 1 + (sim_rand(5) ? sim_delay_us() : sim_rand(SIM_S)), forget_gone, bus, 0);
}

int pgn_bus_new(struct pgn_loop *loop, const struct pgn_bus_options *options, struct pgn_bus **ret_bus)
{
    struct pgn_bus *bus = pgn_calloc(1, sizeof *bus);
    struct sim_proc *p = options->ctx;
    uint64_t random[2];
    bus->loop = loop;
    bus->proc = p;
    bus->life = p->life;
    bus->on_event = options->on_event;
    bus->ctx = options->ctx;
    bus->mailbox = pgn_mailbox_new(loop, SIZE_MAX);
    bus->hook.on_turn = on_turn;
    pgn_hook_add(loop, &bus->hook);
    pgn_list_init(&bus->subs);
    pgn_list_init(&bus->out);
    pgn_random(random, sizeof random);
    snprintf(bus->inbox, sizeof bus->inbox, "_INBOX.%.40s.%016" PRIx64, options->user, random[0]);
    bus->next_request = random[1] >> 16;
    buses[p->number] = bus;
    bus->next = all_buses;
    all_buses = bus;
    connect_in(bus, 500 + sim_delay_us());
    *ret_bus = bus;
    return 0;
}

void pgn_bus_free(struct pgn_bus **bus)
{
    *bus = NULL;
}

bool pgn_bus_connected(const struct pgn_bus *bus)
{
    return bus->connected;
}

const char *pgn_bus_inbox(const struct pgn_bus *bus)
{
    return bus->inbox;
}

uint64_t pgn_bus_max_payload(const struct pgn_bus *bus)
{
    (void)bus;
    return sim.knobs.max_payload;
}

size_t pgn_bus_pending(const struct pgn_bus *bus)
{
    (void)bus;
    return 0;
}

void pgn_bus_write_last(struct pgn_bus *bus)
{
    pgn_hook_remove(&bus->hook);
    pgn_hook_add(bus->loop, &bus->hook);
}

/* ---- requests ---- */

struct request {
    uint64_t number;
    struct pgn_bus *bus;
    struct pgn_timer timer;
    int error;
    pgn_bus_answer *answer;
    void *ctx;
};

static const void *request_key(const void *value, size_t *ret_len)
{
    const struct request *r = value;
    *ret_len = sizeof r->number;
    return &r->number;
}

static void finish(struct request *r, int error, const struct pgn_bus_msg *msg)
{
    pgn_bus_answer *answer = r->answer;
    void *ctx = r->ctx;
    pgn_timer_stop(&r->timer);
    pgn_map_remove(r->bus->requests, &r->number, sizeof r->number);
    free(r);
    answer(ctx, error, msg);
}

static void on_request_due(struct pgn_timer *t)
{
    struct request *r = PGN_CONTAINER(t, struct request, timer);
    finish(r, r->error, NULL);
}

static void answered(struct pgn_bus *bus, const struct message *m, bool no_responders)
{
    uint64_t number = strtoull(strrchr(m->subject, '.') + 1, NULL, 16);
    struct request *r = bus->requests ? pgn_map_get(bus->requests, &number, sizeof number) : NULL;
    struct pgn_bus_msg view = {m->subject, m->reply, m->data, m->len};
    if (r)
        finish(r, no_responders ? PGN_E_NO_RESPONDERS : 0, no_responders ? NULL : &view);
}

void pgn_bus_request(struct pgn_bus *bus, const char *subject, const void *data, size_t len, uint64_t deadline_ms, pgn_bus_answer *answer,
                     void *ctx)
{
    struct request *r = pgn_calloc(1, sizeof *r);
    char reply[sizeof bus->inbox + 24];
    if (!bus->requests)
        bus->requests = pgn_map_new(request_key);
    *r = (struct request){.number = bus->next_request++, .bus = bus, .error = PGN_E_TIMEOUT, .answer = answer, .ctx = ctx};
    r->timer.on_due = on_request_due;
    (void)pgn_map_put(bus->requests, r);
    snprintf(reply, sizeof reply, "%s.r.%" PRIx64, bus->inbox, r->number);
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
    while (bus->requests && (r = pgn_map_next(bus->requests, &it)) != NULL) {
        if (r->ctx != ctx)
            continue;
        pgn_timer_stop(&r->timer);
        pgn_map_remove(bus->requests, &r->number, sizeof r->number);
        free(r);
    }
}
