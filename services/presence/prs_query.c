#include "services/presence/prs_query.h"

#include "common/base/alloc.h"
#include "common/base/error.h"
#include "common/base/id.h"
#include "common/proto/rpc.h"
#include "common/svc/log.h"
#include "services/presence/prs_metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WAIT_MS = 2000, WAITING_MAX = 1000, ARENA_BYTES = 8192 };

struct prs_queries {
    struct pgn_loop *loop;
    struct pgn_bus *bus;
    struct prs_book *book;
    struct prs_gateways *gateways;
    struct pgn_node waiting; /* bounded by WAITING_MAX: a query over it is answered with what is known */
    size_t waiting_count;
};

struct query {
    struct pgn_node node;
    struct prs_queries *queries;
    struct pgn_timer timer;
    struct pgn_arena *arena; /* of the request, and of reply and this struct */
    const char *reply;
    const Pigeon__Watch *watch;
};

struct prs_queries *prs_queries_new(struct pgn_loop *loop, struct pgn_bus *bus, struct prs_book *book, struct prs_gateways *gateways)
{
    struct prs_queries *q = pgn_calloc(1, sizeof(*q));
    *q = (struct prs_queries){.loop = loop, .bus = bus, .book = book, .gateways = gateways};
    pgn_list_init(&q->waiting);
    return q;
}

void prs_queries_free(struct prs_queries **queriesp)
{
    struct prs_queries *q = *queriesp;
    if (!q)
        return;
    *queriesp = NULL;
    PGN_LIST_EACH_SAFE (n, &q->waiting) {
        struct query *query = PGN_CONTAINER(n, struct query, node);
        pgn_timer_stop(&query->timer);
        struct pgn_arena *arena = query->arena;
        pgn_arena_free(&arena);
    }
    free(q);
}

/* ---- answering ---- */

static void send_buf(struct prs_queries *q, const char *subject, struct pgn_buf *out)
{
    int error = pgn_bus_publish(q->bus, subject, NULL, out->data, out->len);
    if (error)
        pgn_log_limited(PGN_WARN, 1000, "an answer could not be sent: %s", pgn_error_info(error)->text);
    pgn_buf_release(out);
}

static void send_error(struct prs_queries *q, const char *subject, int error, const char *text)
{
    struct pgn_buf out = {0};
    prs_count(error ? PRS_QUERIES_REFUSED : PRS_QUERIES, 1);
    pgn_rpc_pack_error(&out, error, text, 0);
    send_buf(q, subject, &out);
}

static void send_reply(struct prs_queries *q, const char *subject, const Pigeon__Reply *reply)
{
    struct pgn_buf out = {0};
    prs_count(PRS_QUERIES, 1);
    pgn_pb_pack(reply, &out);
    send_buf(q, subject, &out);
}

static void answer_watch(struct prs_queries *q, struct pgn_arena *arena, const char *subject, const Pigeon__Watch *watch)
{
    size_t count = watch->n_users;
    Pigeon__Presence *rows = pgn_arena_alloc(arena, count * sizeof(*rows)), **list = pgn_arena_alloc(arena, count * sizeof(*list));
    for (size_t i = 0; i < count; i++) {
        list[i] = &rows[i];
        pigeon__presence__init(list[i]);
        rows[i].user = watch->users[i];
        rows[i].state = PIGEON__STATE__offline;
        const struct prs_user *u = prs_book_find(q->book, watch->users[i]);
        if (!u || !u->loaded)
            continue;
        rows[i].state = prs_user_visible(u);
        rows[i].last_seen = prs_user_last_seen(u);
        if (u->text)
            rows[i].text = u->text;
    }
    Pigeon__PresenceList presence = PIGEON__PRESENCE_LIST__INIT;
    presence.presence = list;
    presence.n_presence = count;
    Pigeon__Reply reply = PIGEON__REPLY__INIT;
    reply.payload_case = PIGEON__REPLY__PAYLOAD_PRESENCE;
    reply.presence = &presence;
    send_reply(q, subject, &reply);
}

/* ---- queries that wait ---- */

static bool all_loaded(struct prs_queries *q, const Pigeon__Watch *watch)
{
    for (size_t i = 0; i < watch->n_users; i++) {
        const struct prs_user *u = prs_book_find(q->book, watch->users[i]);
        if (u && !u->loaded)
            return false;
    }
    return true;
}

static void finish(struct query *query)
{
    struct prs_queries *q = query->queries;
    pgn_timer_stop(&query->timer);
    pgn_list_remove(&query->node);
    q->waiting_count--;
    struct pgn_arena *arena = query->arena;
    answer_watch(q, arena, query->reply, query->watch);
    pgn_arena_free(&arena);
}

static void on_due(struct pgn_timer *t)
{
    finish(PGN_CONTAINER(t, struct query, timer));
}

void prs_queries_loaded(struct prs_queries *q)
{
    PGN_LIST_EACH_SAFE (n, &q->waiting) {
        struct query *query = PGN_CONTAINER(n, struct query, node);
        if (all_loaded(q, query->watch))
            finish(query);
    }
}

/* Takes the arena. */
static void wait_for_users(struct prs_queries *q, struct pgn_arena *arena, const char *reply, const Pigeon__Watch *watch)
{
    struct query *query = pgn_arena_alloc(arena, sizeof(*query));
    *query = (struct query){.queries = q, .arena = arena, .reply = pgn_arena_strdup(arena, reply), .watch = watch};
    query->timer.on_due = on_due;
    pgn_list_append(&q->waiting, &query->node);
    q->waiting_count++;
    pgn_timer_start(q->loop, &query->timer, WAIT_MS);
}

/* True: all is known, or not worth waiting for. Users who are not in memory are asked for. */
static bool look_up(struct prs_queries *q, const Pigeon__Watch *watch)
{
    bool known = true;
    bool full = prs_book_known(q->book) > prs_book_online(q->book) + 2 * PRS_IDLE_MAX; /* storage is away, and many are asked about */
    for (size_t i = 0; i < watch->n_users; i++) {
        if (!pgn_user_valid(watch->users[i]))
            continue;
        const struct prs_user *u = full ? prs_book_find(q->book, watch->users[i]) : prs_book_want(q->book, watch->users[i]);
        known = known && (!u || u->loaded);
    }
    return known || q->waiting_count >= WAITING_MAX;
}

/* ---- requests ---- */

static void set_status(struct prs_queries *q, const char *reply, const Pigeon__SetStatus *m)
{
    const Pigeon__Status *status = m->status;
    if (!pgn_user_valid(m->user) || !status)
        send_error(q, reply, PGN_E_INVALID, "a status has a user");
    else if ((int)status->state < PIGEON__STATE__state_unset || (int)status->state > PIGEON__STATE__invisible)
        send_error(q, reply, PGN_E_INVALID, "state: online, away, busy or invisible");
    else if (strlen(status->text) > PRS_TEXT_MAX)
        send_error(q, reply, PGN_E_TOO_LARGE, "the status text is longer than 512 bytes");
    else {
        prs_book_set_status(q->book, prs_book_want(q->book, m->user), status->state, status->text);
        send_error(q, reply, 0, "");
    }
}

static void answer_stats(struct prs_queries *q, const char *reply)
{
    char text[4][48], *values[4];
    const char *const names[4] = {"users_online", "users_known", "devices", "gateways"};
    const size_t figures[4] = {prs_book_online(q->book), prs_book_known(q->book), prs_book_devices(q->book),
                               prs_gateways_count(q->gateways)};
    for (int i = 0; i < 4; i++) {
        snprintf(text[i], sizeof(text[i]), "%s=%zu", names[i], figures[i]);
        values[i] = text[i];
    }
    Pigeon__Strings strings = PIGEON__STRINGS__INIT;
    strings.values = values;
    strings.n_values = 4;
    Pigeon__Reply m = PIGEON__REPLY__INIT;
    m.payload_case = PIGEON__REPLY__PAYLOAD_STRINGS;
    m.strings = &strings;
    send_reply(q, reply, &m);
}

/* True: the arena was taken. */
static bool handle(struct prs_queries *q, struct pgn_arena *arena, const char *reply, const Pigeon__PresenceRequest *request)
{
    switch (request->what_case) {
    case PIGEON__PRESENCE_REQUEST__WHAT_QUERY:
        if (request->query->n_users > PRS_QUERY_USERS_MAX) {
            send_error(q, reply, PGN_E_TOO_LARGE, "at most 1000 users in one query");
        } else if (look_up(q, request->query)) {
            answer_watch(q, arena, reply, request->query);
        } else {
            wait_for_users(q, arena, reply, request->query);
            return true;
        }
        break;
    case PIGEON__PRESENCE_REQUEST__WHAT_STATUS:
        set_status(q, reply, request->status);
        break;
    case PIGEON__PRESENCE_REQUEST__WHAT_STATS:
        answer_stats(q, reply);
        break;
    case PIGEON__PRESENCE_REQUEST__WHAT__NOT_SET:
    default:
        send_error(q, reply, PGN_E_INVALID, "not a request that presence knows");
        break;
    }
    return false;
}

void prs_queries_request(struct prs_queries *q, const struct pgn_bus_msg *msg)
{
    if (!msg->reply)
        return;
    struct pgn_arena *arena = pgn_arena_new(ARENA_BYTES);
    const Pigeon__PresenceRequest *request = PGN_PB_UNPACK(Pigeon__PresenceRequest, pigeon__presence_request, arena, msg->data, msg->len);
    bool taken = false;
    if (request)
        taken = handle(q, arena, msg->reply, request);
    else
        send_error(q, msg->reply, PGN_E_SYNTAX, NULL);
    if (!taken)
        pgn_arena_free(&arena);
}
