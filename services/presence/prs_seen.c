#include "services/presence/prs_seen.h"

#include "common/base/alloc.h"
#include "common/proto/storage_client.h"
#include "common/svc/log.h"
#include "services/presence/prs_metrics.h"

#include <stdlib.h>
#include <string.h>

enum { BATCH = 1000, EVERY_MS = 5000, TIMEOUT_MS = 5000 };

struct prs_seen {
    struct pgn_loop *loop;
    struct pgn_bus *bus;
    struct prs_user **users; /* marked `saving`; those under way come first */
    size_t count, cap, sent;
    bool sent_seen[BATCH], sent_status[BATCH];
    struct pgn_timer timer;
    void (*flushed)(void *ctx);
    void *flushed_ctx;
    bool dead; /* freed by the answer that is under way */
};

static void send_batch(struct prs_seen *s);

static void on_due(struct pgn_timer *t)
{
    send_batch(PGN_CONTAINER(t, struct prs_seen, timer));
}

struct prs_seen *prs_seen_new(struct pgn_loop *loop, struct pgn_bus *bus)
{
    struct prs_seen *s = pgn_calloc(1, sizeof(*s));
    s->loop = loop;
    s->bus = bus;
    s->timer.on_due = on_due;
    return s;
}

void prs_seen_free(struct prs_seen **seenp)
{
    struct prs_seen *s = *seenp;
    if (!s)
        return;
    *seenp = NULL;
    pgn_timer_stop(&s->timer);
    free(s->users);
    s->users = NULL;
    if (s->sent > 0)
        s->dead = true;
    else
        free(s);
}

void prs_seen_add(struct prs_seen *s, struct prs_user *u)
{
    if (u->saving)
        return;
    u->saving = true;
    if (s->count == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 64;
        s->users = pgn_realloc(s->users, s->cap * sizeof(struct prs_user *));
    }
    s->users[s->count++] = u;
    if (s->sent == 0 && !pgn_timer_running(&s->timer))
        pgn_timer_start(s->loop, &s->timer, EVERY_MS);
}

/* What was under way has been written, or not; who changed again meanwhile stays. */
static void settle_batch(struct prs_seen *s, bool written)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->count; i++) {
        struct prs_user *u = s->users[i];
        if (i < s->sent && !written) {
            u->seen_dirty = u->seen_dirty || s->sent_seen[i];
            u->status_dirty = u->status_dirty || s->sent_status[i];
        }
        u->saving = i >= s->sent || u->seen_dirty || u->status_dirty;
        if (u->saving)
            s->users[kept++] = u;
    }
    s->count = kept;
    s->sent = 0;
}

static void flush_ended(struct prs_seen *s)
{
    void (*flushed)(void *ctx) = s->flushed;
    s->flushed = NULL;
    if (flushed)
        flushed(s->flushed_ctx);
}

static void on_answer(void *ctx, const struct pgn_rpc_result *result)
{
    struct prs_seen *s = ctx;
    if (s->dead) {
        free(s);
        return;
    }
    size_t sent = s->sent;
    settle_batch(s, result->error == 0);
    if (result->error)
        pgn_log_limited(PGN_WARN, 10000, "storage does not take last-seen times: %s", result->text);
    else
        prs_count(PRS_SEEN, (int64_t)sent);
    bool more = s->count > 0 && !result->error && (s->flushed || s->count >= BATCH);
    if (more)
        send_batch(s);
    else if (s->count > 0)
        pgn_timer_start(s->loop, &s->timer, EVERY_MS);
    if (!more)
        flush_ended(s);
}

static void fill(struct prs_seen *s, size_t i, Pigeon__User *m)
{
    struct prs_user *u = s->users[i];
    static char none[] = "";
    pigeon__user__init(m);
    m->user = u->id;
    if (u->seen_dirty)
        m->last_seen = u->last_seen_ms;
    if (u->status_dirty) {
        m->status_state = (Pigeon__State)u->own;
        m->status_text = u->text ? u->text : none;
    }
    s->sent_seen[i] = u->seen_dirty;
    s->sent_status[i] = u->status_dirty;
    u->seen_dirty = u->status_dirty = false;
}

static void send_batch(struct prs_seen *s)
{
    pgn_timer_stop(&s->timer);
    s->sent = s->count < BATCH ? s->count : BATCH;
    if (s->sent == 0)
        return;
    Pigeon__User *rows = pgn_malloc(s->sent * sizeof(*rows)), **users = pgn_malloc(s->sent * sizeof(*users));
    for (size_t i = 0; i < s->sent; i++) {
        users[i] = &rows[i];
        fill(s, i, users[i]);
    }
    Pigeon__UserSeen seen = PIGEON__USER_SEEN__INIT;
    seen.users = users;
    seen.n_users = s->sent;
    Pigeon__DirRequest request = PIGEON__DIR_REQUEST__INIT;
    request.what_case = PIGEON__DIR_REQUEST__WHAT_SEEN;
    request.seen = &seen;
    pgn_storage_dir(s->bus, &request, TIMEOUT_MS, NULL, on_answer, s);
    free(users);
    free(rows);
}

void prs_seen_flush(struct prs_seen *s, void (*done)(void *ctx), void *ctx)
{
    s->flushed = done;
    s->flushed_ctx = ctx;
    if (s->count == 0)
        flush_ended(s);
    else if (s->sent == 0)
        send_batch(s);
}
