/* Hello and re-checks; see gw_hello.h. */
#include "services/gateway/gw_hello.h"

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/random.h"
#include "common/proto/storage_client.h"
#include "services/gateway/gw_conn.h"
#include "services/gateway/gw_event.h"
#include "services/gateway/gw_limits.h"
#include "services/gateway/gw_loss.h"
#include "services/gateway/gw_mqtt_login.h"
#include "services/gateway/gw_ops.h"
#include "services/gateway/gw_presence.h"
#include "services/gateway/gw_user.h"

#include <stdlib.h>
#include <string.h>

enum {
    CHECK_MAX = 64,    /* tokens of one request: with 500 groups each the answer stays below NATS' megabyte */
    CHECKS_OPEN = 4,   /* re-checks in flight; hellos go at once */
    TIMEOUT_MS = 5000, /* of one */
    AGAIN_MS = 1000,   /* after one failed */
    TOKEN_MAX = 256,
    CURSOR_DIGITS = 20,
};

/* One token under way. */
struct entry {
    struct pgn_node node;
    uint32_t slot, generation;
    uint64_t id; /* of the hello frame; unused in a re-check */
    uint64_t cursor;
    uint32_t routes_clock;
    uint8_t hash[PGN_HASH_BYTES];
    char device[PGN_DEVICE_MAX + 1]; /* "" : any */
};

/* A connection whose session is to be checked again. */
struct later {
    struct pgn_node node;
    uint32_t slot, generation;
};

/* One request. */
struct check {
    struct gateway *gw;
    bool again; /* a re-check */
    uint32_t count;
    struct entry *entries[CHECK_MAX];
};

static void refuse(struct gw_conn *c, uint64_t id, int error, const char *text, uint64_t retry_after_ms)
{
    if (c->mqtt) {
        gw_mqtt_refuse(c, error, text);
        return;
    }
    gw_count(GW_M_HELLOS_REFUSED, 1);
    gw_conn_error(c, id, error, text, retry_after_ms);
    gw_conn_close(c, (uint16_t)pgn_error_info(error)->ws_close);
}

/* ---- asking ---- */

static void on_checked(void *ctx, const struct pgn_rpc_result *result);

static void ask(struct check *check)
{
    Pigeon__SessionRequest request = PIGEON__SESSION_REQUEST__INIT;
    Pigeon__SessionCheck body = PIGEON__SESSION_CHECK__INIT;
    ProtobufCBinaryData hashes[CHECK_MAX];
    for (uint32_t i = 0; i < check->count; i++)
        hashes[i] = (ProtobufCBinaryData){PGN_HASH_BYTES, check->entries[i]->hash};
    body.n_hashes = check->count;
    body.hashes = hashes;
    body.routes = true;
    request.what_case = PIGEON__SESSION_REQUEST__WHAT_CHECK;
    request.check = &body;
    pgn_storage_session(check->gw->bus, &request, TIMEOUT_MS, NULL, on_checked, check);
}

static struct check *make_check(struct gateway *gw, bool again)
{
    struct check *check = pgn_calloc(1, sizeof *check);
    check->gw = gw;
    check->again = again;
    return check;
}

void gw_hello_start(struct gw_conn *c, uint64_t id, const Pigeon__Hello *hello)
{
    struct gateway *gw = c->gw;
    size_t token_len = strlen(hello->token), cursor_len = strlen(hello->cursor);
    if (gw->load_level >= GW_LOAD_LOGINS || gw->draining) {
        refuse(c, id, PGN_E_OVERLOADED, NULL, gw_limits_retry_ms(GW_LOAD_LOGINS));
        return;
    }
    if (!token_len || token_len > TOKEN_MAX) {
        refuse(c, id, PGN_E_UNAUTHENTICATED, token_len ? NULL : "token: missing", 0);
        return;
    }
    if (*hello->device && !pgn_device_valid(hello->device)) {
        refuse(c, id, PGN_E_INVALID, "device: 1-32 of A-Z a-z 0-9 _ -", 0);
        return;
    }
    if (cursor_len > CURSOR_DIGITS || strspn(hello->cursor, "0123456789") != cursor_len) {
        refuse(c, id, PGN_E_INVALID, "cursor: not one of ours", 0);
        return;
    }
    struct entry *e = pgn_calloc(1, sizeof *e);
    e->slot = c->slot;
    e->generation = c->generation;
    e->id = id;
    e->cursor = strtoull(hello->cursor, NULL, 10);
    memcpy(e->device, hello->device, strlen(hello->device) + 1);
    pgn_token_hash(hello->token, e->hash);
    pgn_list_append(&gw->hellos, &e->node);
    if (c->state != GW_CHECK)
        gw_conn_move(c, GW_CHECK);
}

static void go_on(struct gateway *gw);

void gw_hello_flush(struct gateway *gw)
{
    while (!pgn_list_empty(&gw->hellos)) {
        struct check *check = make_check(gw, false);
        while (check->count < CHECK_MAX && !pgn_list_empty(&gw->hellos)) {
            struct pgn_node *n = gw->hellos.next;
            pgn_list_remove(n);
            check->entries[check->count++] = PGN_CONTAINER(n, struct entry, node);
        }
        ask(check);
    }
    go_on(gw);
}

/* ---- answers to hellos ---- */

static bool still_valid(const Pigeon__Session *s)
{
    return *s->user && (!s->expires_at || s->expires_at > pgn_wall_ms());
}

static void answer_hello(struct gw_conn *c, uint64_t id)
{
    Pigeon__HelloOk hello = PIGEON__HELLO_OK__INIT;
    Pigeon__Ok ok = PIGEON__OK__INIT;
    Pigeon__ServerFrame f = PIGEON__SERVER_FRAME__INIT;
    char cursor[GW_CURSOR_BYTES] = "";
    char server[128] = "";
    gw_ops_cursor(c->cursor, cursor);
    strncpy(server, c->gw->config->node_name, sizeof server - 1);
    hello.user = c->user->id;
    hello.device = c->device;
    hello.cursor = cursor;
    hello.heartbeat_s = (uint32_t)c->gw->config->gateway_heartbeat_s;
    hello.server = server;
    hello.time = pgn_wall_ms();
    ok.result_case = PIGEON__OK__RESULT_HELLO;
    ok.hello = &hello;
    f.id = id;
    f.what_case = PIGEON__SERVER_FRAME__WHAT_OK;
    f.ok = &ok;
    gw_conn_answer(c, &f);
}

void gw_hello_accept(struct gw_conn *c, const struct gw_hello_token *token, const Pigeon__Session *s)
{
    struct gateway *gw = c->gw;
    memcpy(c->device, s->device, strlen(s->device) + 1);
    memcpy(c->hash, token->hash, sizeof c->hash);
    c->expires_s = s->expires_at / 1000 > UINT32_MAX ? UINT32_MAX : (uint32_t)(s->expires_at / 1000);
    /* A cursor from before the store was restored is none: any other answer makes the client sync. */
    c->cursor = token->cursor > gw->newest_commit ? gw->newest_commit : token->cursor;
    gw_loss_begin(c);
    bool known = gw_user_find(gw, s->user) != NULL;
    int error = gw_user_attach(gw, c, s->user);
    if (error) {
        refuse(c, token->id, error, error == PGN_E_RATE_LIMITED ? "too many devices of this user are online" : NULL,
               error == PGN_E_RATE_LIMITED ? 30000 : 1000);
        return;
    }
    if (!known)
        (void)gw_user_set_groups(c->user, s);
    /* Only from now on is the session heard of: what happened between storage's answer and the subscription shows asking again. */
    gw_hello_check_one(c);
    gw_conn_move(c, GW_LIVE);
    gw_presence_note(c, true);
    gw_count(GW_M_HELLOS, 1);
    if (c->mqtt)
        gw_mqtt_accepted(c);
    else
        answer_hello(c, token->id);
    gw_conn_resume(c);
}

static void finish_hello(struct gateway *gw, const struct entry *e, const struct pgn_rpc_result *result, const Pigeon__Session *s)
{
    struct gw_conn *c = gw_conn_find(gw, e->slot, e->generation);
    if (!c || c->state != GW_CHECK)
        return;
    if (result->error) {
        refuse(c, e->id, PGN_E_UNAVAILABLE, NULL, AGAIN_MS + pgn_random_below(AGAIN_MS));
    } else if (!s || !still_valid(s) || !pgn_device_valid(s->device)) {
        refuse(c, e->id, PGN_E_UNAUTHENTICATED, NULL, 0);
    } else if (s->must_change_password) {
        refuse(c, e->id, PGN_E_FORBIDDEN, "change your password first", 0);
    } else if (*e->device && strcmp(e->device, s->device) != 0) {
        refuse(c, e->id, PGN_E_FORBIDDEN, "device: the token belongs to another one", 0);
    } else if (c->mqtt) {
        gw_mqtt_checked(c, e->hash, s);
    } else {
        gw_hello_accept(c, &(struct gw_hello_token){e->id, e->cursor, e->hash}, s);
    }
}

/* ---- answers to re-checks ---- */

/*
 * Groups that were not followed: what was published of them until now the user's clients have to sync. Up to which commit that is, tells
 * the next answer, which is asked for behind the subscriptions.
 */
static void found_groups(struct gw_conn *c)
{
    gw_event_lost_for(c->user, NULL);
    gw_hello_check_one(c);
}

static void finish_again(struct gateway *gw, const struct entry *e, const Pigeon__Session *s)
{
    struct gw_conn *c = gw_conn_find(gw, e->slot, e->generation);
    if (!c || c->state != GW_LIVE)
        return;
    if (!s || !still_valid(s) || strcmp(s->user, c->user->id) != 0) {
        gw_count(GW_M_REVOKED, 1);
        gw_conn_bye(c, "kicked", 0, (uint16_t)pgn_error_info(PGN_E_UNAUTHENTICATED)->ws_close);
        return;
    }
    if (c->user->routes_clock != e->routes_clock)
        gw_hello_check_one(c); /* the answer may be older than what the events told */
    else if (gw_user_set_groups(c->user, s))
        found_groups(c);
}

/* The next connection to check again: those that were named, then all. */
static struct gw_conn *next_again(struct gateway *gw)
{
    struct gw_conn *c;
    for (struct pgn_node *n; (n = pgn_list_pop(&gw->check_later)) != NULL;) {
        struct later *l = PGN_CONTAINER(n, struct later, node);
        c = gw_conn_find(gw, l->slot, l->generation);
        free(l);
        if (c && c->state == GW_LIVE)
            return c;
    }
    while (gw->check_again && (c = gw_conn_next(gw, &gw->check_next)) != NULL)
        if (c->state == GW_LIVE)
            return c;
    gw->check_again = false;
    return NULL;
}

/* The next request of a re-check; false when there is nothing more to ask. */
static bool ask_again(struct gateway *gw)
{
    struct check *check = make_check(gw, true);
    struct gw_conn *c;
    while (check->count < CHECK_MAX && (c = next_again(gw)) != NULL) {
        struct entry *e = pgn_calloc(1, sizeof *e);
        e->slot = c->slot;
        e->generation = c->generation;
        e->routes_clock = c->user->routes_clock;
        memcpy(e->hash, c->hash, sizeof e->hash);
        check->entries[check->count++] = e;
    }
    if (!check->count) {
        free(check);
        return false;
    }
    gw->checks_open++;
    ask(check);
    return true;
}

static void go_on(struct gateway *gw)
{
    while ((gw->check_again || !pgn_list_empty(&gw->check_later)) && gw->checks_open < CHECKS_OPEN && !pgn_timer_running(&gw->check_timer))
        if (!ask_again(gw))
            return;
}

void gw_hello_check_one(struct gw_conn *c)
{
    struct later *l = pgn_calloc(1, sizeof *l);
    l->slot = c->slot;
    l->generation = c->generation;
    pgn_list_append(&c->gw->check_later, &l->node);
}

void gw_hello_check_all(struct gateway *gw)
{
    gw->check_next = 0;
    gw->check_again = true;
    go_on(gw);
}

static void on_check_timer(struct pgn_timer *t)
{
    struct gateway *gw = PGN_CONTAINER(t, struct gateway, check_timer);
    if (gw->storage_seen)
        go_on(gw);
    else
        gw_hello_probe(gw);
}

/* ---- */

static void on_checked(void *ctx, const struct pgn_rpc_result *result)
{
    struct check *check = ctx;
    struct gateway *gw = check->gw;
    Pigeon__SessionChecked *checked = result->error ? NULL : result->reply->checked;
    if (checked && checked->n_sessions != check->count)
        checked = NULL;
    if (checked) {
        gw_event_store(gw, checked->epoch, checked->commit);
    } else if (check->again) {
        gw->check_next = 0;
        gw->check_again = true;
        pgn_timer_start(gw->loop, &gw->check_timer, AGAIN_MS);
    }
    for (uint32_t i = 0; i < check->count; i++) {
        const Pigeon__Session *s = checked ? checked->sessions[i] : NULL;
        if (!check->again)
            finish_hello(gw, check->entries[i], result, s);
        else if (checked)
            finish_again(gw, check->entries[i], s);
        free(check->entries[i]);
    }
    if (check->again)
        gw->checks_open--;
    free(check);
    go_on(gw);
}

static void on_probed(void *ctx, const struct pgn_rpc_result *result)
{
    struct gateway *gw = ctx;
    if (result->error) {
        pgn_timer_start(gw->loop, &gw->check_timer, AGAIN_MS / 4);
        return;
    }
    gw->storage_seen = true;
    gw_event_store(gw, result->reply->checked->epoch, result->reply->checked->commit);
    if (!gw->draining)
        pgn_svc_ready(gw->svc, true);
}

void gw_hello_probe(struct gateway *gw)
{
    Pigeon__SessionRequest request = PIGEON__SESSION_REQUEST__INIT;
    Pigeon__SessionCheck body = PIGEON__SESSION_CHECK__INIT;
    request.what_case = PIGEON__SESSION_REQUEST__WHAT_CHECK;
    request.check = &body;
    pgn_storage_session(gw->bus, &request, TIMEOUT_MS, NULL, on_probed, gw);
}

void gw_hello_init(struct gateway *gw)
{
    pgn_list_init(&gw->hellos);
    pgn_list_init(&gw->check_later);
    gw->check_timer.on_due = on_check_timer;
}

void gw_hello_stop(struct gateway *gw)
{
    pgn_timer_stop(&gw->check_timer);
    PGN_LIST_EACH_SAFE (n, &gw->hellos) {
        pgn_list_remove(n);
        free(PGN_CONTAINER(n, struct entry, node));
    }
    PGN_LIST_EACH_SAFE (n, &gw->check_later) {
        pgn_list_remove(n);
        free(PGN_CONTAINER(n, struct later, node));
    }
}
