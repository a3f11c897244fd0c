/* A store that may be away at the start is opened beside the loop, again and again. And who of several services takes commits. */
#include "common/base/alloc.h"
#include "common/base/error.h"
#include "common/io/mailbox.h"
#include "common/svc/log.h"
#include "services/storage/metrics.h"
#include "services/storage/service.h"
#include "services/storage/store_open.h"

#include <stdlib.h>

enum { AGAIN_MS = 2000, NEWS_MAX = 16 };

/* ---- opening ---- */

struct sto_opening {
    struct pgn_job job;
    struct pgn_timer again;
    struct sto_service *service;
    struct pgn_workers *worker;
    struct sto_store *store;
    struct pgn_buf problem;
    int error;
    bool busy, ending;
};

static void opening_run(struct pgn_job *job)
{
    struct sto_opening *o = PGN_CONTAINER(job, struct sto_opening, job);

    pgn_buf_clear(&o->problem);
    o->error = sto_store_open(o->service->svc->config, &o->service->faults, &o->store, &o->problem);
    if (!o->error)
        sto_store_look(o->store);
}

static void opening_done(struct pgn_job *job)
{
    struct sto_opening *o = PGN_CONTAINER(job, struct sto_opening, job);
    struct sto_service *s = o->service;
    const char *problem = o->problem.len ? pgn_buf_cstr(&o->problem) : pgn_error_info(o->error)->text;

    o->busy = false;
    s->store = o->store;
    if (o->ending || s->draining) {
        sto_drain_check(s);
    } else if (!o->error) {
        if (sto_service_begin(s) != 0)
            pgn_svc_fail(s->svc, 1);
    } else if (o->error == PGN_E_UNAVAILABLE || o->error == PGN_E_UNCERTAIN || o->error == PGN_E_IO) {
        pgn_log_limited(PGN_WARN, 30000, "%s; trying again every %d s", problem, AGAIN_MS / 1000);
        pgn_timer_start(s->svc->loop, &o->again, AGAIN_MS);
    } else {
        pgn_log(PGN_ERR, "%s", problem);
        pgn_svc_fail(s->svc, 1);
    }
}

static void opening_try(struct sto_opening *o)
{
    o->busy = true;
    if (pgn_workers_submit(o->worker, &o->job) == 0)
        return;
    o->busy = false; /* never: there is at most this one job */
    pgn_timer_start(o->service->svc->loop, &o->again, AGAIN_MS);
}

static void again_due(struct pgn_timer *t)
{
    opening_try(PGN_CONTAINER(t, struct sto_opening, again));
}

void sto_opening_start(struct sto_service *s)
{
    struct sto_opening *o = pgn_calloc(1, sizeof *o);

    o->service = s;
    o->worker = pgn_workers_new(s->svc->loop, "opening", 1, 2);
    o->job.run = opening_run;
    o->job.done = opening_done;
    o->again.on_due = again_due;
    s->opening = o;
    opening_try(o);
}

bool sto_opening_busy(const struct sto_service *s)
{
    return s->opening && s->opening->busy;
}

void sto_opening_free(struct sto_service *s)
{
    struct sto_opening *o = s->opening;

    if (!o)
        return;
    o->ending = true;
    pgn_timer_stop(&o->again);
    pgn_workers_free(&o->worker);
    pgn_buf_release(&o->problem);
    free(o);
    s->opening = NULL;
}

/* ---- the writer ---- */

struct news {
    struct pgn_mail mail;
    struct sto_service *service;
    bool active;
};

static void on_news(struct pgn_mail *mail)
{
    struct news *n = PGN_CONTAINER(mail, struct news, mail);
    struct sto_service *s = n->service;

    if (s->commits && !s->draining && n->active != s->writer) {
        s->writer = n->active;
        sto_gauge(STO_M_WRITER, n->active);
        if (n->active && sto_writer_subscribe(s) != 0)
            pgn_svc_fail(s->svc, 1);
        else if (n->active)
            sto_announce(s); /* what the one before published last may be lost */
        else
            pgn_bus_unsubscribe(&s->commit_sub);
    }
    free(n);
}

static void on_active(void *ctx, bool active) /* keeper's thread */
{
    struct sto_service *s = ctx;
    struct news *n = pgn_calloc(1, sizeof *n);

    n->mail.on_loop = on_news;
    n->service = s;
    n->active = active;
    pgn_mailbox_post_wait(s->news, &n->mail);
}

void sto_writer_start(struct sto_service *s)
{
    s->news = pgn_mailbox_new(s->svc->loop, NEWS_MAX);
    s->store->ops->lease_watch(s->store, on_active, s);
}

void sto_writer_stop(struct sto_service *s)
{
    if (s->news && s->store)
        s->store->ops->lease_watch(s->store, NULL, NULL);
}
