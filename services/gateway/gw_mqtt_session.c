/* What storage keeps of MQTT sessions; see gw_mqtt_session.h. SUBSCRIBE is in gw_mqtt_subscribe.c. */
#include "services/gateway/gw_mqtt_session.h"

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/random.h"
#include "common/proto/rpc.h"
#include "common/proto/subjects.h"
#include "common/svc/log.h"
#include "services/gateway/gw_hello.h"
#include "services/gateway/gw_mqtt_catchup.h"
#include "services/gateway/gw_mqtt_login.h"
#include "services/gateway/gw_mqtt_out.h"
#include "services/gateway/gw_mqtt_subscribe.h"
#include "services/gateway/gw_ops.h"
#include "services/gateway/gw_request.h"
#include "services/gateway/gw_user.h"

#include <stdlib.h>
#include <string.h>

enum { TIMEOUT_MS = 5000, SAVE_MS = 10000 };
static char inbox_all[] = "inbox/#";

/* A request about a stored session under way. */
struct asked {
    struct gateway *gw;
    uint32_t slot, generation;
    uint32_t number;
    gw_mqtt_saved *done;
};

static struct asked *asked_new(const struct gw_conn *c)
{
    struct asked *a = pgn_calloc(1, sizeof *a);
    a->gw = c->gw;
    a->slot = c->slot;
    a->generation = c->generation;
    return a;
}

/* No other connection has it, of whichever gateway. */
static uint64_t holder_of(const struct gw_conn *c)
{
    const char *instance = c->gw->svc->instance;
    return pgn_hash(instance, strlen(instance)) ^ ((uint64_t)c->generation << 32 | c->slot);
}

/* ---- writing ---- */

static void on_saved(void *ctx, const struct pgn_rpc_result *r)
{
    struct asked *a = ctx;
    struct gw_conn *c = gw_conn_find(a->gw, a->slot, a->generation);
    bool live = c && c->state == GW_LIVE;
    if (r->error && r->error != PGN_E_CONFLICT)
        pgn_log_limited(PGN_WARN, 10000, "an MQTT session could not be stored: %s", r->text);
    if (live && r->error == PGN_E_CONFLICT) { /* another gateway's connection has taken over, and this one has not heard of it yet */
        gw_conn_replaced_elsewhere(c);
    } else if (live) {
        if (r->error)
            c->mqtt->moved = true; /* again with the next heartbeat */
        else
            c->mqtt->taken = true;
        if (a->done)
            a->done(c, a->number, r->error);
    }
    free(a);
}

static void call(struct gateway *gw, const Pigeon__MqttRequest *q, pgn_rpc_done *done, void *ctx)
{
    pgn_rpc_call(gw->bus, PGN_SUBJ_STO_MQTT, q, TIMEOUT_MS,
                 q->what_case == PIGEON__MQTT_REQUEST__WHAT_GET ? PIGEON__REPLY__PAYLOAD_MQTT : PIGEON__REPLY__PAYLOAD__NOT_SET, NULL, done,
                 ctx);
}

static void set_life(struct gw_mqtt *m, uint32_t life)
{
    m->life[0] = (uint8_t)(life >> 16);
    m->life[1] = (uint8_t)(life >> 8);
    m->life[2] = (uint8_t)life;
}

/* Filters and life, as storage keeps them. */
static void pack_state(const struct gw_conn *c, struct pgn_buf *out)
{
    const struct gw_mqtt *m = c->mqtt;
    size_t count = gw_mqtt_subs_count(m->subs, UINT8_MAX) + 1, n = 0;
    Pigeon__MqttState state = PIGEON__MQTT_STATE__INIT;
    Pigeon__MqttFilter *rows = pgn_calloc(count, sizeof *rows), **list = pgn_calloc(count, sizeof(Pigeon__MqttFilter *));
    if (m->inbox) {
        pigeon__mqtt_filter__init(&rows[n]);
        rows[n].filter = inbox_all;
        rows[n].options = m->inbox & ~(unsigned)GW_MQTT_SUBSCRIBED;
        list[n] = &rows[n];
        n++;
    }
    for (struct gw_mqtt_sub *s = m->subs; s; s = s->next, n++) {
        pigeon__mqtt_filter__init(&rows[n]);
        rows[n].filter = s->text;
        rows[n].options = s->options;
        rows[n].identifier = s->identifier;
        list[n] = &rows[n];
    }
    state.filters = list;
    state.n_filters = n;
    state.life = gw_mqtt_life(m);
    state.holder = holder_of(c);
    pgn_pb_pack(&state, out);
    free(rows);
    free(list);
}

/* Stores s with the state of the session, as this connection's. */
static void put(struct gw_conn *c, Pigeon__MqttSession *s, pgn_rpc_done *done, struct asked *asked)
{
    Pigeon__MqttRequest q = PIGEON__MQTT_REQUEST__INIT;
    struct pgn_buf state = {0};
    pack_state(c, &state);
    s->holder = holder_of(c);
    s->state = (ProtobufCBinaryData){state.len, state.data};
    q.what_case = PIGEON__MQTT_REQUEST__WHAT_PUT;
    q.put = s;
    c->mqtt->stored = true;
    gw_count(GW_M_MQTT_SAVED, 1);
    call(c->gw, &q, done, asked);
    pgn_buf_release(&state);
}

/* connected: it does not run out until its connection has ended; the first one takes it from whichever connection had it. */
static void save(struct gw_conn *c, bool connected, uint32_t number, gw_mqtt_saved *done)
{
    struct gw_mqtt *m = c->mqtt;
    Pigeon__MqttSession s = PIGEON__MQTT_SESSION__INIT;
    char cursor[GW_CURSOR_BYTES] = "0";
    uint64_t at = gw_mqtt_cursor(m);
    if (at)
        gw_ops_cursor(at, cursor);
    s.user = c->user->id;
    s.device = c->device;
    s.begin = connected && !m->taken;
    s.cursor = cursor;
    s.expires_at = connected || m->expiry_s == GW_MQTT_NEVER ? 0 : pgn_wall_ms() + (uint64_t)m->expiry_s * 1000;
    struct asked *a = asked_new(c);
    a->number = number;
    a->done = done;
    m->moved = false;
    put(c, &s, on_saved, a);
}

void gw_mqtt_session_save(struct gw_conn *c, uint32_t number, gw_mqtt_saved *done)
{
    save(c, true, number, done);
}

void gw_mqtt_session_moved(struct gw_conn *c)
{
    struct gw_mqtt *m = c->mqtt;
    if (m->moved || !m->stored || !gw_mqtt_persistent(m))
        return;
    m->moved = true;
    if (!pgn_timer_running(&c->timer) || c->timer.due_ms > pgn_loop_now_ms(c->gw->loop) + SAVE_MS)
        pgn_timer_start_coarse(c->gw->loop, &c->timer, SAVE_MS);
}

void gw_mqtt_session_due(struct gw_conn *c)
{
    if (c->mqtt->moved)
        save(c, true, 0, NULL);
}

/* holder: removed only if this connection has it still; 0: whoever has it. */
static void remove_it(struct gw_conn *c, char *user, char *device, uint64_t holder, pgn_rpc_done *done)
{
    Pigeon__MqttRequest q = PIGEON__MQTT_REQUEST__INIT;
    Pigeon__MqttSession s = PIGEON__MQTT_SESSION__INIT;
    s.user = user;
    s.device = device;
    s.holder = holder;
    q.what_case = PIGEON__MQTT_REQUEST__WHAT_REMOVE;
    q.remove = &s;
    call(c->gw, &q, done, asked_new(c));
}

void gw_mqtt_session_end(struct gw_conn *c)
{
    struct gw_mqtt *m = c->mqtt;
    gw_mqtt_catchup_stop(c);
    if (gw_mqtt_persistent(m))
        save(c, false, 0, NULL);
    else if (m->stored)
        remove_it(c, c->user->id, c->device, holder_of(c), on_saved);
}

/* ---- before the session ---- */

/* With what storage had: on to the session itself. */
static void go_on(struct gw_conn *c)
{
    struct gw_mqtt_login *l = c->mqtt->more->login;
    struct pgn_arena *arena = pgn_arena_new(1024);
    Pigeon__Session *s = PGN_PB_UNPACK(Pigeon__Session, pigeon__session, arena, l->session.data, l->session.len);
    pgn_buf_release(&l->session);
    if (s)
        gw_hello_accept(c, &(struct gw_hello_token){.hash = l->hash}, s);
    else
        gw_mqtt_refuse(c, PGN_E_INTERNAL, NULL);
    pgn_arena_free(&arena);
}

static struct gw_conn *still_checked(struct asked *a)
{
    struct gw_conn *c = gw_conn_find(a->gw, a->slot, a->generation);
    free(a);
    return c && c->state == GW_CHECK && c->mqtt->more && c->mqtt->more->login ? c : NULL;
}

static void on_begun(void *ctx, const struct pgn_rpc_result *r)
{
    struct gw_conn *c = still_checked(ctx);
    if (c && r->error) {
        gw_mqtt_refuse(c, PGN_E_UNAVAILABLE, NULL);
    } else if (c) {
        c->mqtt->taken = c->mqtt->stored;
        go_on(c);
    }
}

/*
 * A new session. What an earlier one of this device left under packet ids is not its own: its keys have another life. One that outlives
 * its connection is stored before it publishes, else a PUBLISH repeated after a crash of this gateway would be new; without a cursor yet.
 */
static void begin_new(struct gw_conn *c, char *user, char *device)
{
    struct gw_mqtt *m = c->mqtt;
    Pigeon__MqttSession s = PIGEON__MQTT_SESSION__INIT;
    pgn_random(m->life, sizeof m->life);
    if (!gw_mqtt_persistent(m)) {
        if (m->clean)
            remove_it(c, user, device, 0, on_begun);
        else
            go_on(c);
        return;
    }
    s.user = user;
    s.device = device;
    s.begin = true;
    put(c, &s, on_begun, asked_new(c));
}

static void take_filter(struct gw_mqtt *m, const Pigeon__MqttFilter *f)
{
    struct gw_mqtt_parsed parsed;
    struct gw_mqtt_str text = gw_mqtt_str_of(f->filter);
    if (gw_mqtt_parse_filter(text, &parsed) == GW_MQTT_SUCCESS)
        (void)gw_mqtt_subscribe_put(m, text, &parsed, (uint8_t)f->options, f->identifier);
}

static void take_state(struct gw_mqtt *m, const Pigeon__MqttSession *s)
{
    struct pgn_arena *arena = pgn_arena_new(1024);
    Pigeon__MqttState *state = PGN_PB_UNPACK(Pigeon__MqttState, pigeon__mqtt_state, arena, s->state.data, s->state.len);
    for (size_t i = 0; state && i < state->n_filters; i++)
        take_filter(m, state->filters[i]);
    if (state)
        set_life(m, state->life);
    pgn_arena_free(&arena);
}

static void on_got(void *ctx, const struct pgn_rpc_result *r)
{
    struct gw_conn *c = still_checked(ctx);
    if (!c)
        return;
    if (r->error) {
        gw_mqtt_refuse(c, PGN_E_UNAVAILABLE, NULL);
        return;
    }
    const Pigeon__MqttSession *s = r->reply->mqtt;
    struct gw_mqtt_login *l = c->mqtt->more->login;
    if (*s->user && (!s->expires_at || s->expires_at > pgn_wall_ms())) {
        l->present = true;
        l->cursor = *s->cursor ? strtoull(s->cursor, NULL, 10) : UINT64_MAX; /* it never had a filter: nothing was missed */
        c->mqtt->stored = true;
        take_state(c->mqtt, s);
        go_on(c);
        return;
    }
    struct pgn_arena *arena = pgn_arena_new(1024);
    const Pigeon__Session *who = PGN_PB_UNPACK(Pigeon__Session, pigeon__session, arena, l->session.data, l->session.len);
    if (who)
        begin_new(c, who->user, who->device);
    else
        gw_mqtt_refuse(c, PGN_E_INTERNAL, NULL);
    pgn_arena_free(&arena);
}

/* The connection that this one takes the place of says first how far it came; at its end it has the session no more. */
static void save_older(struct gateway *gw, const Pigeon__Session *s)
{
    const struct gw_user *u = gw_user_find(gw, s->user);
    for (struct gw_conn *c = u ? u->conns : NULL; c; c = c->next_of_user)
        if (c->mqtt && strcmp(c->device, s->device) == 0 && gw_mqtt_persistent(c->mqtt) && c->mqtt->stored)
            save(c, true, 0, NULL);
}

void gw_mqtt_session_begin(struct gw_conn *c, const Pigeon__Session *s)
{
    struct gw_mqtt_login *l = c->mqtt->more->login;
    pgn_pb_pack(s, &l->session);
    if (c->mqtt->clean) {
        begin_new(c, s->user, s->device);
        return;
    }
    save_older(c->gw, s);
    Pigeon__MqttRequest q = PIGEON__MQTT_REQUEST__INIT;
    Pigeon__MqttSession get = PIGEON__MQTT_SESSION__INIT;
    get.user = s->user;
    get.device = s->device;
    q.what_case = PIGEON__MQTT_REQUEST__WHAT_GET;
    q.get = &get;
    call(c->gw, &q, on_got, asked_new(c));
}

void gw_mqtt_session_resume(struct gw_conn *c)
{
    if (gw_mqtt_persistent(c->mqtt)) {
        save(c, true, 0, NULL);
    } else { /* it ends with this connection */
        remove_it(c, c->user->id, c->device, 0, on_saved);
        c->mqtt->stored = false;
    }
    gw_mqtt_subscribe_watch(c);
    if (c->state == GW_LIVE && gw_mqtt_has_inbox(c->mqtt))
        gw_mqtt_fall_behind(c, 0);
}
