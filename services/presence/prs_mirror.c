#include "services/presence/prs_mirror.h"

#include "common/base/alloc.h"
#include "common/base/error.h"
#include "common/base/id.h"
#include "common/io/worker.h"
#include "common/kv/kv.h"
#include "common/svc/log.h"
#include "services/presence/prs_metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PIECES = 256, EVERY_MS = 1000, REFRESH_TICKS = 5, REFRESH_PIECES = 16, TTL_MS = 600000, KEY_BYTES = 32, ARENA_BYTES = 65536 };

struct prs_mirror {
    struct pgn_loop *loop;
    struct prs_book *book;
    struct pgn_kv *kv; /* the worker's */
    struct pgn_workers *workers;
    bool dirty[PIECES];
    bool busy, restored;
    unsigned ticks, refresh_at;
    struct pgn_timer timer;
};

struct write_job {
    struct pgn_job job;
    struct prs_mirror *mirror;
    bool wanted[PIECES], failed[PIECES];
    struct pgn_buf piece[PIECES];
};

struct restore_job {
    struct pgn_job job;
    struct prs_mirror *mirror;
    int error;
    struct pgn_buf piece[PIECES];
    void (*done)(void *ctx, int error);
    void *ctx;
};

static void key_of(unsigned piece, char out[KEY_BYTES])
{
    snprintf(out, KEY_BYTES, "prs:piece:%u", piece);
}

static unsigned piece_of(const char *id)
{
    return pgn_partition(pgn_hash(id, strlen(id)), PIECES);
}

/* ---- writing ---- */

/* A piece is the concatenation of UserSeen messages of one user each: protobuf joins repeated fields. */
static void pack_user(struct write_job *w, const struct prs_user *u)
{
    struct pgn_buf *out = &w->piece[piece_of(u->id)];
    char id[PGN_USER_MAX + 1];
    Pigeon__User m = PIGEON__USER__INIT, *list[] = {&m};
    snprintf(id, sizeof(id), "%s", u->id);
    m.user = id;
    m.last_seen = u->last_seen_ms;
    m.status_state = (Pigeon__State)u->own;
    if (u->text)
        m.status_text = u->text;
    Pigeon__UserSeen one = PIGEON__USER_SEEN__INIT;
    one.users = list;
    one.n_users = 1;
    pgn_pb_pack(&one, out);
}

static void run_write(struct pgn_job *job)
{
    struct write_job *w = PGN_CONTAINER(job, struct write_job, job);
    for (unsigned i = 0; i < PIECES; i++) {
        if (!w->wanted[i])
            continue;
        char key[KEY_BYTES];
        key_of(i, key);
        const void *data = w->piece[i].len > 0 ? (const void *)w->piece[i].data : "";
        w->failed[i] = pgn_kv_set(w->mirror->kv, key, data, w->piece[i].len, TTL_MS) != 0;
    }
}

static void done_write(struct pgn_job *job)
{
    struct write_job *w = PGN_CONTAINER(job, struct write_job, job);
    bool failed = false;
    for (unsigned i = 0; i < PIECES; i++) {
        w->mirror->dirty[i] = w->mirror->dirty[i] || w->failed[i];
        failed = failed || w->failed[i];
        if (w->wanted[i])
            prs_count(w->failed[i] ? PRS_MIRROR_FAILED : PRS_MIRROR_WRITES, 1);
        pgn_buf_release(&w->piece[i]);
    }
    if (failed)
        pgn_log_limited(PGN_WARN, 60000, "Redis does not take presence; all goes on without");
    w->mirror->busy = false;
    free(w);
}

static void write_pieces(struct prs_mirror *m)
{
    struct write_job *w = pgn_calloc(1, sizeof(*w));
    w->mirror = m;
    w->job.run = run_write;
    w->job.done = done_write;
    memcpy(w->wanted, m->dirty, sizeof(w->wanted));
    size_t it = 0;
    const struct prs_user *u;
    while ((u = prs_book_next(m->book, &it)))
        if ((u->count > 0 || u->lingering) && w->wanted[piece_of(u->id)])
            pack_user(w, u);
    if (pgn_workers_submit(m->workers, &w->job) != 0) {
        for (unsigned i = 0; i < PIECES; i++)
            pgn_buf_release(&w->piece[i]);
        free(w);
        return;
    }
    memset(m->dirty, 0, sizeof(m->dirty));
    m->busy = true;
}

void prs_mirror_flush(struct prs_mirror *m)
{
    if (!m->busy && m->restored && memchr(m->dirty, 1, sizeof(m->dirty)))
        write_pieces(m);
}

static void on_tick(struct pgn_timer *t)
{
    struct prs_mirror *m = PGN_CONTAINER(t, struct prs_mirror, timer);
    pgn_timer_start(m->loop, t, EVERY_MS);
    if (++m->ticks % REFRESH_TICKS == 0 && prs_book_online(m->book) > 0) {
        for (unsigned i = 0; i < REFRESH_PIECES; i++)
            m->dirty[(m->refresh_at + i) % PIECES] = true;
        m->refresh_at = (m->refresh_at + REFRESH_PIECES) % PIECES;
    }
    prs_mirror_flush(m);
}

void prs_mirror_changed(struct prs_mirror *m, const struct prs_user *u)
{
    m->dirty[piece_of(u->id)] = true;
}

/* ---- reading back ---- */

static void run_restore(struct pgn_job *job)
{
    struct restore_job *r = PGN_CONTAINER(job, struct restore_job, job);
    char keys[PIECES][KEY_BYTES];
    const char *names[PIECES];
    for (unsigned i = 0; i < PIECES; i++) {
        key_of(i, keys[i]);
        names[i] = keys[i];
    }
    r->error = pgn_kv_get_many(r->mirror->kv, PIECES, names, r->piece);
}

static void restore_piece(struct prs_mirror *m, const struct pgn_buf *piece)
{
    if (piece->len == 0)
        return;
    struct pgn_arena *arena = pgn_arena_new(ARENA_BYTES);
    const Pigeon__UserSeen *kept = PGN_PB_UNPACK(Pigeon__UserSeen, pigeon__user_seen, arena, piece->data, piece->len);
    for (size_t i = 0; kept && i < kept->n_users; i++)
        prs_book_restore(m->book, kept->users[i]);
    pgn_arena_free(&arena);
}

static void done_restore(struct pgn_job *job)
{
    struct restore_job *r = PGN_CONTAINER(job, struct restore_job, job);
    struct prs_mirror *m = r->mirror;
    for (unsigned i = 0; i < PIECES; i++) {
        restore_piece(m, &r->piece[i]);
        pgn_buf_release(&r->piece[i]);
    }
    m->restored = true;
    pgn_timer_start(m->loop, &m->timer, EVERY_MS);
    r->done(r->ctx, r->error);
    free(r);
}

void prs_mirror_restore(struct prs_mirror *m, void (*done)(void *ctx, int error), void *ctx)
{
    struct restore_job *r = pgn_calloc(1, sizeof(*r));
    r->mirror = m;
    r->done = done;
    r->ctx = ctx;
    r->job.run = run_restore;
    r->job.done = done_restore;
    int error = pgn_workers_submit(m->workers, &r->job);
    if (error)
        abort(); /* the queue is empty at start */
}

struct prs_mirror *prs_mirror_new(struct pgn_loop *loop, struct prs_book *book, const struct prs_mirror_options *o)
{
    struct prs_mirror *m = pgn_calloc(1, sizeof(*m));
    m->loop = loop;
    m->book = book;
    m->kv = pgn_kv_new(o->host, o->port, o->user, o->password, o->timeout_ms);
    m->workers = pgn_workers_new(loop, "prs-redis", 1, 4);
    m->timer.on_due = on_tick;
    return m;
}

void prs_mirror_free(struct prs_mirror **mirrorp)
{
    struct prs_mirror *m = *mirrorp;
    if (!m)
        return;
    *mirrorp = NULL;
    pgn_workers_free(&m->workers);
    pgn_timer_stop(&m->timer); /* a restore that has just ended starts it */
    pgn_kv_free(&m->kv);
    free(m);
}
