#include "common/io/worker.h"

#include "common/base/alloc.h"
#include "common/base/error.h"

#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pgn_workers {
    char name[16];
    struct pgn_mailbox *done; /* unbounded: every mail in it is a job that was let in by the limit */
    size_t limit;
    int threads;
    pthread_t *ids;
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct pgn_node jobs; /* from here on under lock; linked by mail.node */
    size_t waiting;
    bool ending;
};

static void on_done(struct pgn_mail *mail)
{
    struct pgn_job *job = PGN_CONTAINER(mail, struct pgn_job, mail);
    job->done(job);
}

/* The next job, or NULL when the pool ends and all are done. */
static struct pgn_job *next_job(struct pgn_workers *w)
{
    struct pgn_job *job = NULL;

    pthread_mutex_lock(&w->lock);
    while (pgn_list_empty(&w->jobs) && !w->ending)
        pthread_cond_wait(&w->work, &w->lock);
    if (!pgn_list_empty(&w->jobs)) {
        job = PGN_CONTAINER(w->jobs.next, struct pgn_job, mail.node);
        pgn_list_remove(&job->mail.node);
        w->waiting--;
    }
    pthread_mutex_unlock(&w->lock);
    return job;
}

static void *thread_main(void *arg)
{
    struct pgn_workers *w = arg;
    struct pgn_job *job;

    pthread_setname_np(pthread_self(), w->name);
    while ((job = next_job(w))) {
        job->run(job);
        job->mail.on_loop = on_done;
        pgn_mailbox_post_wait(w->done, &job->mail);
    }
    return NULL;
}

/* Signals are the loop thread's: workers start with all of them blocked. */
static void start_threads(struct pgn_workers *w)
{
    sigset_t all, old;
    int error = 0;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    for (int i = 0; i < w->threads && !error; i++)
        error = pthread_create(&w->ids[i], NULL, thread_main, w);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (error) {
        fprintf(stderr, "pthread_create: %s\n", strerror(error));
        abort();
    }
}

struct pgn_workers *pgn_workers_new(struct pgn_loop *loop, const char *name, int threads, size_t limit)
{
    struct pgn_workers *w = pgn_calloc(1, sizeof(*w));

    snprintf(w->name, sizeof(w->name), "%s", name);
    w->done = pgn_mailbox_new(loop, SIZE_MAX);
    w->limit = limit;
    w->threads = threads;
    w->ids = pgn_calloc((size_t)threads, sizeof(*w->ids));
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->work, NULL);
    pgn_list_init(&w->jobs);
    start_threads(w);
    return w;
}

int pgn_workers_submit(struct pgn_workers *w, struct pgn_job *job)
{
    int r = PGN_E_FULL;

    pthread_mutex_lock(&w->lock);
    if (w->waiting < w->limit && !w->ending) {
        pgn_list_append(&w->jobs, &job->mail.node);
        w->waiting++;
        pthread_cond_signal(&w->work);
        r = 0;
    }
    pthread_mutex_unlock(&w->lock);
    return r;
}

size_t pgn_workers_waiting(const struct pgn_workers *w)
{
    struct pgn_workers *m = (struct pgn_workers *)(uintptr_t)w; /* only its lock changes */
    size_t waiting;

    pthread_mutex_lock(&m->lock);
    waiting = m->waiting;
    pthread_mutex_unlock(&m->lock);
    return waiting;
}

void pgn_workers_free(struct pgn_workers **w)
{
    struct pgn_workers *p = *w;

    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->ending = true;
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    for (int i = 0; i < p->threads; i++)
        pthread_join(p->ids[i], NULL);
    pgn_mailbox_free(&p->done);
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->work);
    free(p->ids);
    free(p);
    *w = NULL;
}
