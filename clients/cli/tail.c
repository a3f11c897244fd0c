/*
 * tail: follows a conversation. Events on the bus only wake it; what it prints is read from the history after the last
 * number printed, so nothing is missed or shown twice whatever happens to the bus.
 */
#include "clients/cli/talk.h"

#include "common/base/alloc.h"
#include "common/base/id.h"
#include "common/proto/subjects.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { POLL_S = 5, PAGE = 200 };

struct waker {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool woken;
    const char *conv; /* only what names it is of interest: users share subjects */
};
static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

/* On nats.c's thread. */
static void on_event(void *ctx, const char *subject, const void *data, size_t len)
{
    struct waker *w = ctx;
    (void)subject;
    if (!memmem(data, len, w->conv, strlen(w->conv)))
        return;
    pthread_mutex_lock(&w->lock);
    w->woken = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

static void wait_event(struct waker *w)
{
    struct timespec until, slice;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += POLL_S;
    pthread_mutex_lock(&w->lock);
    while (!w->woken && !interrupted) {
        clock_gettime(CLOCK_MONOTONIC, &slice); /* in slices, so that Ctrl-C is noticed */
        if (slice.tv_sec >= until.tv_sec)
            break;
        slice.tv_nsec += 200000000;
        if (slice.tv_nsec >= 1000000000) {
            slice.tv_sec++;
            slice.tv_nsec -= 1000000000;
        }
        pthread_cond_timedwait(&w->wake, &w->lock, &slice);
    }
    w->woken = false;
    pthread_mutex_unlock(&w->lock);
}

/* Prints what comes after *last. */
static int put_new(struct cli *c, char *conv, uint64_t *last)
{
    for (bool more = true; more && !interrupted;) {
        Pigeon__Fetch fetch = PIGEON__FETCH__INIT;
        Pigeon__Page *page = NULL;
        fetch.conv = conv;
        fetch.after = *last;
        fetch.limit = PAGE;
        int code = cli_fetch(c, &fetch, &page);
        if (code)
            return code;
        for (size_t i = 0; i < page->n_messages; i++) {
            if (page->messages[i]->seq <= *last)
                continue;
            cli_put_chat(c, page->messages[i]);
            *last = page->messages[i]->seq;
        }
        more = page->more && page->n_messages;
        pgn_arena_reset(c->arena);
    }
    fflush(stdout);
    return CLI_OK;
}

/* The newest `count` messages; sets *last. */
static int put_last(struct cli *c, char *conv, uint64_t count, uint64_t *last)
{
    Pigeon__Fetch fetch = PIGEON__FETCH__INIT;
    Pigeon__Page *page = NULL;
    fetch.conv = conv;
    fetch.limit = (uint32_t)(count ? count : 1);
    int code = cli_fetch(c, &fetch, &page);
    for (size_t i = 0; !code && i < page->n_messages; i++) {
        if (count)
            cli_put_chat(c, page->messages[i]);
        *last = page->messages[i]->seq;
    }
    fflush(stdout);
    return code;
}

static int follow(struct cli *c, const char *conv, struct waker *w)
{
    char a[PGN_USER_MAX + 1], b[PGN_USER_MAX + 1], subject[128];
    if (pgn_conv_users(conv, a, b))
        pgn_user_subject(pgn_user_subject_number(a), subject);
    else
        snprintf(subject, sizeof subject, "%s%s", PGN_SUBJ_CONV, conv);
    struct pgn_rpc_problem problem = {0};
    w->conv = conv;
    int e = pgn_bus_sync_follow(c->bus, subject, on_event, w);
    return e ? cli_fail_read(c, e, &problem, "cannot follow the conversation") : CLI_OK;
}

int cli_tail(struct cli *c)
{
    static struct waker w = {.lock = PTHREAD_MUTEX_INITIALIZER};
    uint64_t show, last = 0;
    if (!cli_number(c, "last", 10, 0, PAGE, &show) || !cli_conv_ok(c, c->args[0]))
        return CLI_USAGE;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w.wake, &attr);
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    int code = cli_connect(c);
    if (!code)
        code = follow(c, c->args[0], &w);
    if (code)
        return code;
    char *conv = pgn_strdup(c->args[0]);
    code = put_last(c, conv, show, &last);
    while (!code && !interrupted) {
        wait_event(&w);
        code = put_new(c, conv, &last);
        if (code == CLI_DOWN || code == CLI_DOUBT) /* restarting: it was said; go on */
            code = CLI_OK;
    }
    free(conv);
    return code;
}
