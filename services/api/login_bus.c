#include "services/api/login_bus.h"

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/io/worker.h"
#include "common/proto/rpc.h"
#include "common/proto/subjects.h"
#include "common/svc/log.h"
#include "services/api/auth.h"
#include "services/api/limit.h"
#include "services/api/session.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* Two passwords are computed at once, whoever asks: the others of the threads talk to storage and Redis meanwhile. */
enum { THREADS = 4, WAITING_MAX = 128, STALE_MS = 8000, RETRY_MS = 2000, ARENA_BYTES = 2048 };

struct api_login_bus {
    struct api *api;
    struct pgn_bus *bus;
    struct pgn_bus_sub *sub;
    struct pgn_workers *workers;
    atomic_bool ending;
};

struct login {
    struct pgn_job job;
    struct api_login_bus *logins;
    struct pgn_arena *arena;
    Pigeon__LoginRequest *request;
    char *reply;
    uint64_t came_ms;
    struct pgn_buf answer;
};

/* ---- a thread ---- */

static int log_in(struct api_call *call, const Pigeon__LoginRequest *in, char token[PGN_TOKEN_LEN + 1])
{
    Pigeon__Session session = PIGEON__SESSION__INIT;
    Pigeon__User *user;
    int e;

    if (!*in->address || strlen(in->address) >= sizeof call->address)
        return api_fail_field(call, "address", "missing or too long");
    if (!*in->device)
        return api_fail_field(call, "device", "missing");
    memcpy(call->address, in->address, strlen(in->address) + 1);
    if ((e = api_limit(call, API_LIMIT_ADDRESS, call->address)) || (e = api_login_prove(call, in->user, in->password, in->device, &user)))
        return e;
    if (user->must_change_password)
        return api_fail(call, PGN_E_FORBIDDEN, "the password must be changed first: log in on the web page and choose another");
    return api_session_make(call, user, in->device, &session, token);
}

static void run(struct pgn_job *job)
{
    struct login *l = PGN_CONTAINER(job, struct login, job);
    struct api_call call = {.api = l->logins->api, .arena = l->arena};
    Pigeon__Reply reply = PIGEON__REPLY__INIT;
    Pigeon__LoginOk ok = PIGEON__LOGIN_OK__INIT;
    char token[PGN_TOKEN_LEN + 1];
    int e;

    if (atomic_load(&l->logins->ending))
        e = api_fail(&call, PGN_E_UNAVAILABLE, NULL);
    else if (pgn_mono_ms() > l->came_ms + STALE_MS) /* who asked has given up */
        e = api_fail(&call, PGN_E_OVERLOADED, NULL);
    else
        e = log_in(&call, l->request, token);
    sodium_memzero(l->request->password, strlen(l->request->password));
    if (e) {
        const char *text = call.problem.text;
        bool ours = pgn_error_info(e)->http_status == 500; /* what it was is for the log only */

        if (ours)
            pgn_log(PGN_ERR, "a login over the bus: %s: %s", pgn_error_info(e)->name, text);
        pgn_rpc_pack_error(&l->answer, e, ours || !*text ? NULL : text, call.problem.retry_after_ms);
        return;
    }
    ok.token = token;
    reply.payload_case = PIGEON__REPLY__PAYLOAD_LOGIN;
    reply.login = &ok;
    pgn_pb_pack(&reply, &l->answer);
    sodium_memzero(token, sizeof token);
}

/* ---- loop ---- */

static void done(struct pgn_job *job)
{
    struct login *l = PGN_CONTAINER(job, struct login, job);

    if (pgn_bus_publish(l->logins->bus, l->reply, NULL, l->answer.data, l->answer.len) != 0)
        pgn_log_limited(PGN_WARN, 10000, "the answer to a login could not be published");
    sodium_memzero(l->answer.data, l->answer.len);
    pgn_buf_release(&l->answer);
    pgn_arena_free(&l->arena);
    free(l->reply);
    free(l);
}

static void refuse(struct login *l, int error)
{
    pgn_rpc_pack_error(&l->answer, error, NULL, error == PGN_E_OVERLOADED ? RETRY_MS : 0);
    done(&l->job);
}

static void on_login(void *ctx, const struct pgn_bus_msg *msg)
{
    struct login *l;

    if (!msg->reply)
        return;
    l = pgn_calloc(1, sizeof *l);
    l->logins = ctx;
    l->job.run = run;
    l->job.done = done;
    l->came_ms = pgn_mono_ms();
    l->arena = pgn_arena_new(ARENA_BYTES);
    l->reply = pgn_strdup(msg->reply);
    l->request = PGN_PB_UNPACK(Pigeon__LoginRequest, pigeon__login_request, l->arena, msg->data, msg->len);
    if (!l->request)
        refuse(l, PGN_E_INVALID);
    else if (pgn_workers_submit(l->logins->workers, &l->job) != 0)
        refuse(l, PGN_E_OVERLOADED);
}

int api_login_bus_new(struct api *api, struct pgn_svc *svc, struct api_login_bus **ret_logins)
{
    struct api_login_bus *b = pgn_calloc(1, sizeof *b);

    b->api = api;
    b->bus = svc->bus;
    b->workers = pgn_workers_new(svc->loop, "login", THREADS, WAITING_MAX);
    int e = pgn_bus_subscribe(b->bus, PGN_SUBJ_LOGIN, "api", on_login, b, &b->sub);
    if (e)
        api_login_bus_free(&b);
    *ret_logins = b;
    return e;
}

void api_login_bus_free(struct api_login_bus **logins)
{
    struct api_login_bus *b = *logins;

    if (!b)
        return;
    atomic_store(&b->ending, true);
    if (b->sub)
        pgn_bus_unsubscribe(&b->sub);
    pgn_workers_free(&b->workers);
    free(b);
    *logins = NULL;
}
