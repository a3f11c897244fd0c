#include "services/presence/prs_loader.h"

#include "common/base/alloc.h"
#include "common/base/error.h"
#include "common/proto/storage_client.h"
#include "common/svc/log.h"
#include "services/presence/prs_metrics.h"

#include <stdlib.h>
#include <string.h>

enum { BATCH = 500, GATHER_MS = 5, PAUSE_MS = 500, TIMEOUT_MS = 5000 };

struct prs_loader {
    struct pgn_loop *loop;
    struct pgn_bus *bus;
    struct prs_book *book;
    void (*on_loaded)(void *ctx);
    void *ctx;
    struct pgn_node queue; /* users, by their node; what is asked stays at its front until the answer */
    size_t asked;          /* of them; 0: no request is under way */
    struct prs_user *batch[BATCH];
    struct pgn_timer timer;
    bool dead; /* freed by the answer that is under way */
};

static void send_batch(struct prs_loader *l);

static void on_due(struct pgn_timer *t)
{
    send_batch(PGN_CONTAINER(t, struct prs_loader, timer));
}

struct prs_loader *prs_loader_new(struct pgn_loop *loop, struct pgn_bus *bus, struct prs_book *book, void (*on_loaded)(void *ctx),
                                  void *ctx)
{
    struct prs_loader *l = pgn_calloc(1, sizeof(*l));
    l->loop = loop;
    l->bus = bus;
    l->book = book;
    l->on_loaded = on_loaded;
    l->ctx = ctx;
    pgn_list_init(&l->queue);
    l->timer.on_due = on_due;
    return l;
}

void prs_loader_free(struct prs_loader **loaderp)
{
    struct prs_loader *l = *loaderp;
    if (!l)
        return;
    *loaderp = NULL;
    pgn_timer_stop(&l->timer);
    PGN_LIST_EACH_SAFE (n, &l->queue) {
        pgn_list_remove(n);
    }
    if (l->asked > 0)
        l->dead = true;
    else
        free(l);
}

static int by_id(const void *a, const void *b)
{
    const struct prs_user *const *x = a, *const *y = b;
    return strcmp((*x)->id, (*y)->id);
}

static int id_vs_user(const void *key, const void *element)
{
    const struct prs_user *const *u = element;
    return strcmp(key, (*u)->id);
}

/* Users of the batch are in the queue, so none of them is forgotten meanwhile. */
static void finish_batch(struct prs_loader *l, const Pigeon__UserList *list)
{
    size_t count = l->asked;
    l->asked = 0;
    prs_count(PRS_LOADED, (int64_t)count);
    const Pigeon__User *found[BATCH] = {0};
    for (size_t i = 0; list && i < list->n_users; i++) {
        struct prs_user **at = bsearch(list->users[i]->user, l->batch, count, sizeof(struct prs_user *), id_vs_user);
        if (at)
            found[at - l->batch] = list->users[i];
    }
    for (size_t i = 0; i < count; i++) {
        pgn_list_remove(&l->batch[i]->node);
        prs_book_loaded(l->book, l->batch[i], found[i]);
    }
}

/* Without a storage that knows the question, everybody is as if new. */
static bool final_error(int error)
{
    return error == PGN_E_INVALID || error == PGN_E_SYNTAX || error == PGN_E_INTERNAL;
}

static void on_answer(void *ctx, const struct pgn_rpc_result *result)
{
    struct prs_loader *l = ctx;
    if (l->dead) {
        free(l);
        return;
    }
    const Pigeon__UserList *list = NULL;
    if (!result->error && result->reply->payload_case == PIGEON__REPLY__PAYLOAD_USERS)
        list = result->reply->users;
    if (result->error) {
        prs_count(PRS_LOADS_FAILED, 1);
        pgn_log_limited(PGN_WARN, 10000, "storage does not tell about users: %s", result->text);
    }
    if (result->error && !final_error(result->error)) {
        l->asked = 0;
        pgn_timer_start(l->loop, &l->timer, PAUSE_MS);
        return;
    }
    finish_batch(l, list);
    if (!pgn_list_empty(&l->queue))
        send_batch(l);
    l->on_loaded(l->ctx);
}

static void send_batch(struct prs_loader *l)
{
    pgn_timer_stop(&l->timer);
    char *ids[BATCH];
    PGN_LIST_EACH (n, &l->queue) {
        if (l->asked == BATCH)
            break;
        l->batch[l->asked++] = PGN_CONTAINER(n, struct prs_user, node);
    }
    if (l->asked == 0)
        return;
    qsort(l->batch, l->asked, sizeof(struct prs_user *), by_id);
    for (size_t i = 0; i < l->asked; i++)
        ids[i] = l->batch[i]->id;
    Pigeon__Strings names = PIGEON__STRINGS__INIT;
    names.values = ids;
    names.n_values = l->asked;
    Pigeon__DirRequest request = PIGEON__DIR_REQUEST__INIT;
    request.what_case = PIGEON__DIR_REQUEST__WHAT_USERS_GET;
    request.users_get = &names;
    pgn_storage_dir(l->bus, &request, TIMEOUT_MS, NULL, on_answer, l);
}

void prs_loader_add(struct prs_loader *l, struct prs_user *u)
{
    u->queued = true;
    pgn_list_append(&l->queue, &u->node);
    if (l->asked == 0 && !pgn_timer_running(&l->timer))
        pgn_timer_start(l->loop, &l->timer, GATHER_MS);
}
