#include "services/presence/prs_peers.h"

#include "common/base/alloc.h"
#include "common/base/error.h"
#include "common/base/id.h"
#include "common/proto/pb.h"
#include "common/proto/subjects.h"
#include "common/svc/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_BYTES = 16384, CHUNK = 200 };

struct prs_peers {
    struct pgn_bus *bus;
    struct prs_book *book;
    const char *instance;
    struct pgn_arena *arena; /* of what is handled */
    struct pgn_bus_sub *sub;
};

struct prs_peers *prs_peers_new(struct pgn_bus *bus, struct prs_book *book, const char *instance)
{
    struct prs_peers *p = pgn_calloc(1, sizeof(*p));
    *p = (struct prs_peers){.bus = bus, .book = book, .instance = instance, .arena = pgn_arena_new(ARENA_BYTES)};
    return p;
}

void prs_peers_free(struct prs_peers **peersp)
{
    struct prs_peers *p = *peersp;
    if (!p)
        return;
    *peersp = NULL;
    pgn_bus_unsubscribe(&p->sub);
    pgn_arena_free(&p->arena);
    free(p);
}

/* ---- telling ---- */

static void publish(struct prs_peers *p, const struct prs_user *const *users, size_t count, bool ask)
{
    Pigeon__PresenceStatus rows[CHUNK], *list[CHUNK];
    Pigeon__Status statuses[CHUNK];
    char ids[CHUNK][PGN_USER_MAX + 1], instance[80];
    for (size_t i = 0; i < count; i++) {
        snprintf(ids[i], sizeof(ids[i]), "%s", users[i]->id);
        pigeon__status__init(&statuses[i]);
        statuses[i].state = (Pigeon__State)users[i]->own;
        if (users[i]->text)
            statuses[i].text = users[i]->text;
        pigeon__presence_status__init(&rows[i]);
        rows[i].user = ids[i];
        rows[i].status = &statuses[i];
        rows[i].stamp = users[i]->status_stamp;
        list[i] = &rows[i];
    }
    snprintf(instance, sizeof(instance), "%s", p->instance);
    Pigeon__PresenceStatuses m = PIGEON__PRESENCE_STATUSES__INIT;
    m.instance = instance;
    m.ask = ask;
    m.statuses = list;
    m.n_statuses = count;
    struct pgn_buf out = {0};
    pgn_pb_pack(&m, &out);
    int error = pgn_bus_publish(p->bus, PGN_SUBJ_PRS_STATUS, NULL, out.data, out.len);
    if (error)
        pgn_log_limited(PGN_WARN, 1000, "other instances could not be told: %s", pgn_error_info(error)->text);
    pgn_buf_release(&out);
}

void prs_peers_tell(struct prs_peers *p, const struct prs_user *u)
{
    publish(p, &u, 1, false);
}

void prs_peers_ask(struct prs_peers *p)
{
    publish(p, NULL, 0, true);
}

/* All statuses that were set at run time: the others have not necessarily heard of them. */
static void tell_all(struct prs_peers *p)
{
    const struct prs_user *chunk[CHUNK], *u;
    size_t it = 0, count = 0;
    while ((u = prs_book_next(p->book, &it))) {
        if (u->status_stamp == 0)
            continue;
        chunk[count++] = u;
        if (count == CHUNK) {
            publish(p, chunk, count, false);
            count = 0;
        }
    }
    if (count > 0)
        publish(p, chunk, count, false);
}

/* ---- hearing ---- */

static void hear(struct prs_peers *p, const Pigeon__PresenceStatus *s)
{
    if (!pgn_user_valid(s->user) || !s->status || strlen(s->status->text) > PRS_TEXT_MAX)
        return;
    prs_book_heard_status(p->book, prs_book_want(p->book, s->user), s->status->state, s->status->text, s->stamp);
}

static void on_statuses(void *ctx, const struct pgn_bus_msg *msg)
{
    struct prs_peers *p = ctx;
    const Pigeon__PresenceStatuses *m = PGN_PB_UNPACK(Pigeon__PresenceStatuses, pigeon__presence_statuses, p->arena, msg->data, msg->len);
    if (!m)
        pgn_log_limited(PGN_WARN, 10000, "what another instance says is malformed");
    if (m && strcmp(m->instance, p->instance) != 0) {
        for (size_t i = 0; i < m->n_statuses; i++)
            hear(p, m->statuses[i]);
        if (m->ask)
            tell_all(p);
    }
    pgn_arena_reset(p->arena);
}

int prs_peers_subscribe(struct prs_peers *p)
{
    return pgn_bus_subscribe(p->bus, PGN_SUBJ_PRS_STATUS, NULL, on_statuses, p, &p->sub);
}
