/* From the bus to sockets; see gw_event.h. */
#include "services/gateway/gw_event.h"

#include "common/base/alloc.h"
#include "common/base/cursor.h"
#include "common/base/error.h"
#include "common/proto/subjects.h"
#include "common/svc/log.h"
#include "services/gateway/gw_conn.h"
#include "services/gateway/gw_hello.h"
#include "services/gateway/gw_loss.h"
#include "services/gateway/gw_mqtt_catchup.h"
#include "services/gateway/gw_mqtt_out.h"
#include "services/gateway/gw_user.h"

#include <stdlib.h>
#include <string.h>

/* Tags of Events.events and Event.users on the wire. */
enum { EVENTS_EVENTS = 1 << 3 | 2, EVENT_USERS = 11 << 3 | 2 };

/* An event on its way: its frame, and the device that is not to get it. */
struct news {
    Pigeon__ServerFrame frame;
    struct gw_shared shared;
    const char *skip_user, *skip_device; /* NULL: nobody */
    struct gw_mqtt_forms forms;          /* the same as MQTT packets */
    uint64_t commit;
};

static void skip(struct news *n, const char *user, const char *device)
{
    if (!*user || !*device)
        return;
    n->skip_user = user;
    n->skip_device = device;
}

/* The frame of an event; false for those that are not for clients. */
static bool make_news(const Pigeon__Event *e, struct news *n)
{
    *n = (struct news){.frame = PIGEON__SERVER_FRAME__INIT, .commit = e->commit};
    n->shared.source = &n->frame;
    switch (e->what_case) {
    case PIGEON__EVENT__WHAT_MESSAGE:
        n->frame.what_case = PIGEON__SERVER_FRAME__WHAT_MESSAGE;
        n->frame.message = e->message;
        skip(n, e->message->from, e->message->device);
        return true;
    case PIGEON__EVENT__WHAT_MARK:
        n->frame.what_case = PIGEON__SERVER_FRAME__WHAT_MARK;
        n->frame.mark = e->mark;
        skip(n, e->mark->user, e->skip_device);
        return true;
    case PIGEON__EVENT__WHAT_TYPING:
        n->frame.what_case = PIGEON__SERVER_FRAME__WHAT_TYPING;
        n->frame.typing = e->typing;
        skip(n, e->typing->user, e->skip_device);
        return true;
    case PIGEON__EVENT__WHAT_PRESENCE:
        n->frame.what_case = PIGEON__SERVER_FRAME__WHAT_PRESENCE;
        n->frame.presence = e->presence;
        return true;
    case PIGEON__EVENT__WHAT_CHANGED:
        n->frame.what_case = PIGEON__SERVER_FRAME__WHAT_CHANGED;
        n->frame.changed = e->changed;
        return true;
    case PIGEON__EVENT__WHAT_MEMBERSHIP:
    case PIGEON__EVENT__WHAT_REVOKED:
    case PIGEON__EVENT__WHAT_HIDDEN:
    case PIGEON__EVENT__WHAT__NOT_SET:
    case _PIGEON__EVENT__WHAT__CASE_IS_INT_SIZE:
    default:
        return false;
    }
}

static void release(struct news *n)
{
    gw_shared_release(&n->shared);
    gw_mqtt_forms_release(&n->forms);
}

static void to_conn(struct news *n, struct gw_conn *c)
{
    if (c->mqtt)
        gw_mqtt_event(c, &n->frame, &n->forms, n->commit);
    else if (gw_conn_push(c, gw_shared_get(&n->shared, c->encoding), true))
        gw_count(GW_M_DELIVERIES, 1);
}

/*
 * Whether this device of the sender's knows the event already: a message when it was told the number. What an older connection of
 * the device had sent, stored only after the device was back, nobody has told it.
 */
static bool knows(const struct news *n, struct gw_conn *c)
{
    if (n->frame.what_case != PIGEON__SERVER_FRAME__WHAT_MESSAGE)
        return true;
    if (!c->own_told)
        return false;
    c->own_told--;
    return true;
}

static void to_user(struct news *n, const struct gw_user *u)
{
    bool own = n->skip_user && strcmp(n->skip_user, u->id) == 0;
    for (struct gw_conn *c = u->conns, *next; c; c = next) {
        next = c->next_of_user; /* a slow client may be closed by this */
        if (!own || strcmp(n->skip_device, c->device) != 0 || !knows(n, c))
            to_conn(n, c);
    }
}

static void malformed(const struct pgn_bus_msg *msg)
{
    pgn_log_limited(PGN_WARN, 1000, "malformed event on the bus: %s", msg->subject);
}

static Pigeon__Events *decode(struct gateway *gw, const struct pgn_bus_msg *msg)
{
    Pigeon__Events *events = PGN_PB_UNPACK(Pigeon__Events, pigeon__events, gw->arena, msg->data, msg->len);
    if (!events)
        malformed(msg);
    else
        gw_count(GW_M_EVENTS, (int64_t)events->n_events);
    return events;
}

static void note_commit(struct gateway *gw, const Pigeon__Event *e)
{
    if (e->commit > gw->newest_commit)
        gw->newest_commit = e->commit;
}

/*
 * The group's message that tells of this was published before the group was followed; others may have been since. `changed` makes a client
 * of our own protocol sync. An MQTT client cannot: its session asks storage, behind the subscription.
 */
static void join(struct gw_user *u, const Pigeon__Membership *m, uint64_t commit)
{
    bool followed = gw_user_is_in(u, m->conv);
    gw_user_join(u, m->conv, m->first_seq);
    for (struct gw_conn *c = u->conns; c && !followed; c = c->next_of_user)
        if (c->mqtt && c->state == GW_LIVE)
            gw_mqtt_joined(c, commit);
}

static void membership(struct gw_user *u, const Pigeon__Membership *m, uint64_t commit)
{
    u->routes_clock++;
    if (m->joined)
        join(u, m, commit);
    else
        gw_user_part(u, m->conv);
    Pigeon__Changed changed = PIGEON__CHANGED__INIT;
    changed.conv = m->conv;
    changed.version = m->version;
    Pigeon__Event e = PIGEON__EVENT__INIT;
    e.what_case = PIGEON__EVENT__WHAT_CHANGED;
    e.changed = &changed;
    struct news n;
    if (make_news(&e, &n))
        to_user(&n, u);
    release(&n);
}

static bool names_session(const Pigeon__Revoked *r, const uint8_t hash[PGN_HASH_BYTES])
{
    for (size_t i = 0; i < r->n_sessions; i++)
        if (r->sessions[i].len == PGN_HASH_BYTES && memcmp(r->sessions[i].data, hash, PGN_HASH_BYTES) == 0)
            return true;
    return r->n_sessions == 0;
}

/* u may go with its last session. */
static void revoked(struct gw_user *u, const Pigeon__Revoked *r)
{
    for (struct gw_conn *c = u->conns, *next; c; c = next) {
        next = c->next_of_user;
        if (!names_session(r, c->hash))
            continue;
        gw_count(GW_M_REVOKED, 1);
        gw_conn_bye(c, *r->code ? r->code : "kicked", 0, (uint16_t)pgn_error_info(PGN_E_UNAUTHENTICATED)->ws_close);
    }
}

/* Ends the watches of one who has been blocked; a client sees what it sees of a user who leaves. */
static void hidden(struct gw_user *u, const Pigeon__Hidden *h)
{
    Pigeon__Presence gone = PIGEON__PRESENCE__INIT;
    Pigeon__Event e = PIGEON__EVENT__INIT;
    struct news n;
    gone.user = h->user;
    gone.state = PIGEON__STATE__offline;
    e.what_case = PIGEON__EVENT__WHAT_PRESENCE;
    e.presence = &gone;
    if (!make_news(&e, &n))
        return;
    for (struct gw_conn *c = u->conns, *next; c; c = next) {
        next = c->next_of_user;
        struct gw_topic *t = gw_topic_get(u->gw, PGN_SUBJ_PRESENCE, h->user, false);
        if (!t || !gw_topic_has(t, &c->watches))
            continue;
        gw_topic_leave(t, &c->watches);
        to_conn(&n, c);
    }
    release(&n);
}

/* u may be gone afterwards. n: NULL for what is not for clients. */
static void for_user(struct gw_user *u, const Pigeon__Event *e, struct news *n)
{
    if (e->what_case == PIGEON__EVENT__WHAT_MEMBERSHIP)
        membership(u, e->membership, e->commit);
    else if (e->what_case == PIGEON__EVENT__WHAT_REVOKED)
        revoked(u, e->revoked);
    else if (e->what_case == PIGEON__EVENT__WHAT_HIDDEN)
        hidden(u, e->hidden);
    else if (n)
        to_user(n, u);
}

static void for_users(struct gateway *gw, const Pigeon__Event *e)
{
    struct news n;
    note_commit(gw, e);
    bool news = make_news(e, &n);
    for (size_t k = 0; k < e->n_users; k++) {
        struct gw_user *u = gw_user_find(gw, e->users[k]);
        if (u)
            for_user(u, e, news ? &n : NULL);
    }
    if (news)
        release(&n);
}

/* A length and so many bytes behind it (protobuf's wire type 2). */
static bool take_bytes(struct pgn_cursor *c, struct pgn_cursor *ret)
{
    size_t len = 0;
    for (unsigned shift = 0; shift < 28; shift += 7) {
        uint8_t b = pgn_cursor_u8(c);
        len |= (size_t)(b & 0x7f) << shift;
        if (b & 0x80)
            continue;
        const uint8_t *at = pgn_cursor_take(c, len);
        if (at)
            *ret = pgn_cursor_of(at, len);
        return at != NULL;
    }
    return false;
}

/* Whether one of the event's users is here, if they stand in front as storage writes them; else true: it must be looked into. */
static bool concerns(const struct gateway *gw, struct pgn_cursor event)
{
    struct pgn_cursor name;
    bool named = false;
    while (pgn_cursor_left(&event) && *event.at == EVENT_USERS) {
        named = true;
        (void)pgn_cursor_u8(&event);
        if (!take_bytes(&event, &name) || pgn_map_get(gw->users, name.at, pgn_cursor_left(&name)))
            return true;
    }
    return !named;
}

void gw_event_on_users(void *ctx, const struct pgn_bus_msg *msg)
{
    struct gateway *gw = ctx;
    struct pgn_cursor all = pgn_cursor_of(msg->data, msg->len), one;
    while (pgn_cursor_left(&all)) {
        if (pgn_cursor_u8(&all) != EVENTS_EVENTS || !take_bytes(&all, &one)) {
            malformed(msg);
            break;
        }
        gw_count(GW_M_EVENTS, 1);
        if (!concerns(gw, one))
            continue;
        Pigeon__Event *e = PGN_PB_UNPACK(Pigeon__Event, pigeon__event, gw->arena, one.at, pgn_cursor_left(&one));
        if (e)
            for_users(gw, e);
        else
            malformed(msg);
    }
    pgn_arena_reset(gw->arena);
}

static bool from_before(const struct news *n, const struct gw_member *m)
{
    return n->frame.what_case == PIGEON__SERVER_FRAME__WHAT_MESSAGE && n->frame.message->seq < m->first_seq;
}

/* A slow client that is closed leaves the list that is being walked: so it is walked backwards, and re-read at each step. */
static void to_members(struct news *n, struct gw_topic *t)
{
    for (uint32_t i = t->count; i-- > 0;) {
        if (i >= t->count)
            continue;
        if (t->presence)
            to_conn(n, t->members[i].owner);
        else if (!from_before(n, &t->members[i]))
            to_user(n, t->members[i].owner);
    }
}

static void remember(struct gw_topic *t, const Pigeon__Event *e)
{
    if (!t->presence || e->what_case != PIGEON__EVENT__WHAT_PRESENCE)
        return;
    if (!t->last)
        t->last = pgn_calloc(1, sizeof *t->last);
    pgn_buf_clear(t->last);
    pgn_pb_pack(e, t->last);
}

void gw_event_on_topic(void *ctx, const struct pgn_bus_msg *msg)
{
    struct gw_topic *t = ctx;
    struct gateway *gw = t->gw;
    Pigeon__Events *events = decode(gw, msg);
    gw_topic_hold(t); /* its members may go while it is walked */
    for (size_t i = 0; events && i < events->n_events; i++) {
        const Pigeon__Event *e = events->events[i];
        struct news n;
        note_commit(gw, e);
        if (t->holds > 1)
            remember(t, e);
        if (make_news(e, &n)) {
            to_members(&n, t);
            release(&n);
        }
    }
    gw_topic_let_go(t);
    pgn_arena_reset(gw->arena);
}

void gw_event_replay(const struct gw_topic *t, struct gw_conn *c)
{
    if (!t->last)
        return;
    struct pgn_arena *arena = pgn_arena_new(1024);
    Pigeon__Event *e = PGN_PB_UNPACK(Pigeon__Event, pigeon__event, arena, t->last->data, t->last->len);
    struct news n;
    if (e && make_news(e, &n)) {
        to_conn(&n, c);
        release(&n);
    }
    pgn_arena_free(&arena);
}

/* ---- losses ---- */

static void lost(struct gw_conn *c)
{
    c->own_told = 0; /* the events may be among what was lost */
    if (c->mqtt && c->state == GW_LIVE)
        gw_mqtt_lost(c); /* its client cannot sync */
}

void gw_event_lost_for(const struct gw_user *u, const struct gw_conn *but)
{
    for (struct gw_conn *c = u->conns; c; c = c->next_of_user) {
        if (c == but)
            continue;
        gw_loss_own(c);
        lost(c);
    }
}

void gw_event_loss(struct gateway *gw)
{
    uint32_t it = 0;
    gw_loss_everybody(gw);
    for (struct gw_conn *c; (c = gw_conn_next(gw, &it)) != NULL;)
        lost(c);
    gw_count(GW_M_BUS_LOSSES, 1);
    gw_hello_check_all(gw);
}

void gw_event_store(struct gateway *gw, const char *epoch, uint64_t commit)
{
    size_t len = strnlen(epoch, sizeof gw->epoch - 1);
    bool same = strlen(gw->epoch) == len && memcmp(gw->epoch, epoch, len) == 0;
    if (same || !len) {
        if (commit > gw->newest_commit)
            gw->newest_commit = commit;
        return;
    }
    bool first = !gw->epoch[0];
    memcpy(gw->epoch, epoch, len);
    gw->epoch[len] = 0;
    gw->newest_commit = commit;
    if (!first)
        gw_event_loss(gw);
}

static void on_store_up(void *ctx, const struct pgn_bus_msg *msg)
{
    struct gateway *gw = ctx;
    Pigeon__StoreUp *up = PGN_PB_UNPACK(Pigeon__StoreUp, pigeon__store_up, gw->arena, msg->data, msg->len);
    if (up) {
        gw_event_store(gw, up->epoch, up->commit);
        gw_event_loss(gw);
    }
    pgn_arena_reset(gw->arena);
}

int gw_event_start(struct gateway *gw)
{
    return pgn_bus_subscribe(gw->bus, PGN_SUBJ_STORE_UP, NULL, on_store_up, gw, &gw->store_up);
}

void gw_event_stop(struct gateway *gw)
{
    pgn_bus_unsubscribe(&gw->store_up);
}
