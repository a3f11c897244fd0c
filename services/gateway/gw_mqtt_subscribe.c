/* SUBSCRIBE and UNSUBSCRIBE; see gw_mqtt_subscribe.h. */
#include "services/gateway/gw_mqtt_subscribe.h"

#include "common/base/alloc.h"
#include "common/base/error.h"
#include "services/gateway/gw_mqtt_out.h"
#include "services/gateway/gw_mqtt_session.h"
#include "services/gateway/gw_request.h"

#include <stdlib.h>
#include <string.h>

enum { RESUME = 0 /* no packet id: the watches of a session that is resumed */ };
/* What of one session waits for answers; over it the connection is ended. limits.user_ops_burst lets fewer packets come at once. */
enum { ASKED_MAX = 256, ASKED_FILTERS_MAX = 4096 };

/* One that waits for answers. */
struct gw_mqtt_asked {
    struct gw_mqtt_asked *next;
    uint16_t id;
    uint16_t count;
    uint8_t waits; /* for storage, for presence */
    bool unsubscribe;
    uint32_t identifier;
    Pigeon__PresenceList *states; /* what presence said, in arena */
    struct pgn_arena *arena;
    struct row {
        uint8_t code, options;
        bool fresh;    /* there was no subscription of this filter */
        char *watched; /* of presence: the filter */
    } rows[];
};

static void free_asked(struct gw_mqtt_asked *a)
{
    for (uint16_t i = 0; i < a->count; i++)
        free(a->rows[i].watched);
    pgn_arena_free(&a->arena);
    free(a);
}

void gw_mqtt_asked_free(struct gw_mqtt_asked **list)
{
    for (struct gw_mqtt_asked *a; (a = *list) != NULL;) {
        *list = a->next;
        free_asked(a);
    }
}

static struct gw_mqtt_asked *find(struct gw_conn *c, uint32_t id)
{
    struct gw_mqtt_asked *a = c->mqtt->more ? c->mqtt->more->asked : NULL;
    while (a && a->id != id)
        a = a->next;
    return a;
}

static bool is_all(struct gw_mqtt_str filter)
{
    static const char all[] = "inbox/#";
    return filter.len == sizeof all - 1 && memcmp(filter.data, all, filter.len) == 0;
}

/* Whether this filter may come into the session's list. One that stands there already is replaced (MQTT 5.0, 3.8.4). */
static bool has_place(const struct gw_mqtt *m, struct gw_mqtt_str filter, bool presence)
{
    size_t max = presence ? GW_MQTT_WATCHES_MAX : GW_MQTT_FILTERS_MAX;
    uint8_t places = presence ? GW_MQTT_PRESENCE : GW_MQTT_FROM_USER | GW_MQTT_IN_CONV;
    return gw_mqtt_subs_count(m->subs, places) < max || gw_mqtt_sub_there(m->subs, filter) || (m->inbox && is_all(filter));
}

static const char *watched_user(const char *filter)
{
    return filter + sizeof "presence/" - 1;
}

/* ---- answering ---- */

static void unlink_asked(struct gw_conn *c, struct gw_mqtt_asked *a)
{
    struct gw_mqtt_asked **at = &c->mqtt->more->asked;
    while (*at != a)
        at = &(*at)->next;
    *at = a->next;
}

static void write_answer(struct gw_conn *c, const struct gw_mqtt_asked *a)
{
    uint8_t *codes = pgn_malloc(a->count);
    struct pgn_buf *b = gw_mqtt_scratch();
    for (uint16_t i = 0; i < a->count; i++)
        codes[i] = a->rows[i].code;
    if (a->unsubscribe)
        gw_mqtt_write_unsuback(b, c->mqtt->version, a->id, codes, a->count);
    else
        gw_mqtt_write_suback(b, c->mqtt->version, a->id, codes, a->count);
    if (gw_mqtt_fits(c->mqtt, b->len))
        (void)gw_mqtt_send(c, b, false);
    else
        gw_mqtt_close(c, GW_MQTT_TOO_LARGE, NULL);
    free(codes);
}

static const Pigeon__Presence *state_of(const Pigeon__PresenceList *list, const char *user)
{
    for (size_t i = 0; list && i < list->n_presence; i++)
        if (strcmp(list->presence[i]->user, user) == 0)
            return list->presence[i];
    return NULL;
}

/* The states of those who are watched now: retained (3.3.1.3), unless the filter's options say no. */
static void send_states(struct gw_conn *c, const struct gw_mqtt_asked *a)
{
    for (uint16_t i = 0; i < a->count; i++) {
        const struct row *r = &a->rows[i];
        uint8_t handling = (r->options & GW_MQTT_OPT_HANDLING) >> 4;
        const Pigeon__Presence *p = r->watched ? state_of(a->states, watched_user(r->watched)) : NULL;
        if (p && r->code < GW_MQTT_UNSPECIFIED && (handling == 0 || (handling == 1 && r->fresh)))
            gw_mqtt_presence(c, p, true);
    }
}

static void answered(struct gw_conn *c, struct gw_mqtt_asked *a)
{
    if (a->waits && --a->waits)
        return;
    unlink_asked(c, a);
    write_answer(c, a);
    send_states(c, a);
    free_asked(a);
    gw_mqtt_more_trim(c->mqtt);
}

/* ---- storage ---- */

static void on_stored(struct gw_conn *c, uint32_t id, int error)
{
    struct gw_mqtt_asked *a = find(c, id);
    if (error)
        gw_mqtt_close(c, GW_MQTT_BUSY, "storage does not answer: connect again");
    else if (a)
        answered(c, a);
}

/* Waits for what there is to wait for; else answers. */
static void begin(struct gw_conn *c, struct gw_mqtt_asked *a)
{
    struct gw_mqtt_more *more = gw_mqtt_more(c->mqtt);
    a->next = more->asked;
    more->asked = a;
    if (gw_mqtt_persistent(c->mqtt)) {
        a->waits++;
        gw_mqtt_session_save(c, a->id, on_stored);
    } else if (!a->waits) {
        answered(c, a);
    }
}

/* ---- presence ---- */

static void watch(struct gw_conn *c, uint32_t number, char **users, size_t count)
{
    Pigeon__ClientFrame f = PIGEON__CLIENT_FRAME__INIT;
    Pigeon__Watch w = PIGEON__WATCH__INIT;
    w.users = users;
    w.n_users = count;
    f.id = gw_mqtt_ask(GW_MQTT_ASK_WATCH, number);
    f.op_case = PIGEON__CLIENT_FRAME__OP_WATCH;
    f.watch = &w;
    gw_request_watch(c, &f);
}

static enum gw_mqtt_reason reason_of(int error)
{
    return error == PGN_E_FORBIDDEN || error == PGN_E_NOT_FOUND       ? GW_MQTT_NOT_AUTHORIZED
           : error == PGN_E_RATE_LIMITED || error == PGN_E_OVERLOADED ? GW_MQTT_QUOTA
                                                                      : GW_MQTT_IMPLEMENTATION;
}

static void settle_watch(struct gw_conn *c, const struct gw_mqtt_asked *a, struct row *r, int error, const Pigeon__PresenceList *list)
{
    struct gw_mqtt_parsed parsed;
    struct gw_mqtt_str filter = gw_mqtt_str_of(r->watched);
    if (!r->watched || gw_mqtt_parse_filter(filter, &parsed) != GW_MQTT_SUCCESS)
        return;
    if (error || !state_of(list, parsed.name))
        r->code = (uint8_t)(error ? reason_of(error) : GW_MQTT_NOT_AUTHORIZED);
    else if (!has_place(c->mqtt, filter, true)) /* others, asked for together with it, were answered first */
        r->code = GW_MQTT_QUOTA;
    else
        r->fresh = gw_mqtt_subscribe_put(c->mqtt, filter, &parsed, r->options, a->identifier);
}

static Pigeon__PresenceList *copy(struct pgn_arena *arena, const Pigeon__PresenceList *list)
{
    struct pgn_buf packed = {0};
    pgn_pb_pack(list, &packed);
    Pigeon__PresenceList *p = PGN_PB_UNPACK(Pigeon__PresenceList, pigeon__presence_list, arena, packed.data, packed.len);
    pgn_buf_release(&packed);
    return p;
}

/* What changed while the session was away; without an answer it is asked for again: the client has no reason to subscribe anew. */
static void resumed(struct gw_conn *c, int error, const Pigeon__PresenceList *list)
{
    for (size_t i = 0; list && i < list->n_presence; i++)
        gw_mqtt_presence(c, list->presence[i], true);
    if (!error || !pgn_error_info(error)->retry)
        return;
    gw_mqtt_more(c->mqtt)->unwatched = true;
    if (!pgn_timer_running(&c->timer) || c->timer.due_ms > pgn_loop_now_ms(c->gw->loop) + GW_MQTT_UNWATCHED_MS)
        pgn_timer_start_coarse(c->gw->loop, &c->timer, GW_MQTT_UNWATCHED_MS);
}

void gw_mqtt_watched(struct gw_conn *c, uint32_t number, int error, const Pigeon__PresenceList *list)
{
    struct gw_mqtt_asked *a = number == RESUME ? NULL : find(c, number);
    if (c->state == GW_LIVE && number == RESUME)
        resumed(c, error, list);
    if (!a || c->state != GW_LIVE)
        return;
    for (uint16_t i = 0; i < a->count; i++)
        settle_watch(c, a, &a->rows[i], error, list);
    if (list) {
        a->arena = pgn_arena_new(1024);
        a->states = copy(a->arena, list);
    }
    if (gw_mqtt_persistent(c->mqtt)) /* once more: with these */
        gw_mqtt_session_save(c, a->id, on_stored);
    else
        answered(c, a);
}

void gw_mqtt_subscribe_watch(struct gw_conn *c)
{
    size_t count = gw_mqtt_subs_count(c->mqtt->subs, GW_MQTT_PRESENCE), n = 0;
    char **users = pgn_calloc(count + 1, sizeof *users);
    for (struct gw_mqtt_sub *s = c->mqtt->subs; s; s = s->next)
        if (s->places & GW_MQTT_PRESENCE)
            users[n++] = s->text + sizeof "presence/" - 1;
    if (n)
        watch(c, RESUME, users, n);
    free(users);
}

void gw_mqtt_subscribe_due(struct gw_conn *c)
{
    struct gw_mqtt_more *more = c->mqtt->more;
    if (!more || !more->unwatched)
        return;
    more->unwatched = false;
    gw_mqtt_more_trim(c->mqtt);
    gw_mqtt_subscribe_watch(c);
}

bool gw_mqtt_watches(const struct gw_conn *c, const char *user)
{
    const struct gw_mqtt_sub *s = c->mqtt->subs;
    while (s && !gw_mqtt_sub_matches(s, GW_MQTT_PRESENCE, user))
        s = s->next;
    return s != NULL;
}

/* ---- SUBSCRIBE ---- */

bool gw_mqtt_subscribe_put(struct gw_mqtt *m, struct gw_mqtt_str filter, const struct gw_mqtt_parsed *parsed, uint8_t options,
                           uint32_t identifier)
{
    bool whole = is_all(filter), fresh = true;
    if (whole && !identifier) {
        fresh = !gw_mqtt_sub_remove(&m->subs, filter) && !m->inbox;
        m->inbox = GW_MQTT_SUBSCRIBED | options;
        return fresh;
    }
    bool was = whole && m->inbox;
    if (whole)
        m->inbox = 0;
    (void)gw_mqtt_sub_put(&m->subs, filter, parsed, options, identifier, &fresh);
    return fresh && !was;
}

bool gw_mqtt_has_inbox(const struct gw_mqtt *m)
{
    return m->inbox || gw_mqtt_subs_count(m->subs, GW_MQTT_FROM_USER | GW_MQTT_IN_CONV);
}

/* The first filter of the inbox: what was stored before it no session has missed, not one that has been kept for long either. */
static void begin_inbox(struct gw_conn *c)
{
    struct gw_mqtt *m = c->mqtt;
    if (!gw_mqtt_has_inbox(m) && !m->behind && c->gw->newest_commit > m->seen)
        m->seen = c->gw->newest_commit;
}

/* A filter of the inbox counts from now on; one of presence waits for its watch. */
static void take_filter(struct gw_conn *c, struct gw_mqtt_asked *a, struct row *r, const struct gw_mqtt_filter *f)
{
    struct gw_mqtt *m = c->mqtt;
    struct gw_mqtt_parsed parsed;
    enum gw_mqtt_reason reason = gw_mqtt_parse_filter(f->filter, &parsed);
    uint8_t qos = f->qos ? 1 : 0; /* 3.9.3: less than asked may be granted */
    bool presence = !reason && parsed.places == GW_MQTT_PRESENCE;
    if (presence)
        qos = 0;
    if (!reason && !has_place(m, f->filter, presence))
        reason = GW_MQTT_QUOTA;
    r->code = reason ? (uint8_t)reason : qos;
    r->options = (uint8_t)(qos | (f->no_local ? GW_MQTT_OPT_NO_LOCAL : 0) | (f->retain_as_published ? GW_MQTT_OPT_AS_PUBLISHED : 0) |
                           f->retain_handling << 4);
    if (reason)
        return;
    if (!presence) {
        begin_inbox(c);
        (void)gw_mqtt_subscribe_put(m, f->filter, &parsed, r->options, a->identifier);
        return;
    }
    r->watched = pgn_malloc(f->filter.len + 1);
    memcpy(r->watched, f->filter.data, f->filter.len);
    r->watched[f->filter.len] = 0;
}

static struct gw_mqtt_asked *asked_new(const struct gw_mqtt_subscribe *s)
{
    struct gw_mqtt_asked *a = pgn_calloc(1, sizeof *a + s->count * sizeof(struct row));
    a->id = s->id;
    a->count = s->count;
    a->unsubscribe = !s->options;
    a->identifier = s->props.subscription_id;
    return a;
}

static bool too_many(const struct gw_conn *c, uint16_t count)
{
    size_t packets = 1, filters = count;
    for (const struct gw_mqtt_asked *a = c->mqtt->more ? c->mqtt->more->asked : NULL; a; a = a->next) {
        packets++;
        filters += a->count;
    }
    return packets > ASKED_MAX || filters > ASKED_FILTERS_MAX;
}

/* Its identifier is that of one that still waits: nothing of it is done. 3.1.1 cannot say so to UNSUBSCRIBE. */
static enum gw_mqtt_reason refuse_id(struct gw_conn *c, const struct gw_mqtt_subscribe *s)
{
    if (!s->options && c->mqtt->version != GW_MQTT_5)
        return GW_MQTT_PROTOCOL_ERROR;
    struct gw_mqtt_asked *a = asked_new(s);
    for (uint16_t i = 0; i < a->count; i++)
        a->rows[i].code = GW_MQTT_ID_IN_USE;
    write_answer(c, a);
    free_asked(a);
    return GW_MQTT_SUCCESS;
}

enum gw_mqtt_reason gw_mqtt_on_subscribe(struct gw_conn *c, const struct gw_mqtt_packet *p)
{
    struct gw_mqtt_subscribe s;
    struct gw_mqtt_filter f;
    size_t users = 0;
    enum gw_mqtt_reason reason = gw_mqtt_read_subscribe(p, c->mqtt->version, &s);
    if (reason)
        return reason;
    if (too_many(c, s.count))
        return GW_MQTT_RATE_TOO_HIGH;
    if (find(c, s.id))
        return refuse_id(c, &s);
    struct gw_mqtt_asked *a = asked_new(&s);
    char **names = pgn_calloc(s.count, sizeof *names);
    for (uint16_t i = 0; i < a->count && gw_mqtt_filter_next(&s, &f); i++) {
        take_filter(c, a, &a->rows[i], &f);
        if (a->rows[i].watched)
            names[users++] = a->rows[i].watched + sizeof "presence/" - 1;
    }
    a->waits = users > 0;
    uint16_t id = a->id;
    begin(c, a);
    if (users)
        watch(c, id, names, users);
    free(names);
    return GW_MQTT_SUCCESS;
}

/* ---- UNSUBSCRIBE ---- */

/* A SUBSCRIBE of this filter may still wait for its watch. It will be answered as if it had been before; but nothing comes of it. */
static bool drop_asked(const struct gw_mqtt *m, struct gw_mqtt_str filter)
{
    bool any = false;
    for (struct gw_mqtt_asked *a = m->more ? m->more->asked : NULL; a; a = a->next)
        for (uint16_t i = 0; i < a->count; i++) {
            struct row *r = &a->rows[i];
            if (!r->watched || r->code >= GW_MQTT_UNSPECIFIED || strlen(r->watched) != filter.len ||
                memcmp(r->watched, filter.data, filter.len) != 0)
                continue;
            free(r->watched);
            r->watched = NULL;
            any = true;
        }
    return any;
}

static bool drop_watch(struct gw_conn *c, struct gw_mqtt_str filter, char *user)
{
    bool asked = drop_asked(c->mqtt, filter);
    if (!gw_mqtt_sub_remove(&c->mqtt->subs, filter))
        return asked;
    Pigeon__Watch w = PIGEON__WATCH__INIT;
    w.users = &user;
    w.n_users = 1;
    gw_request_unwatch(c, &w);
    return true;
}

static bool drop_filter(struct gw_conn *c, struct gw_mqtt_str filter)
{
    struct gw_mqtt *m = c->mqtt;
    struct gw_mqtt_parsed parsed;
    if (gw_mqtt_parse_filter(filter, &parsed) != GW_MQTT_SUCCESS)
        return false;
    if (parsed.places == GW_MQTT_PRESENCE)
        return drop_watch(c, filter, parsed.name);
    if (m->inbox && is_all(filter)) {
        m->inbox = 0;
        return true;
    }
    return gw_mqtt_sub_remove(&m->subs, filter);
}

enum gw_mqtt_reason gw_mqtt_on_unsubscribe(struct gw_conn *c, const struct gw_mqtt_packet *p)
{
    struct gw_mqtt_subscribe s;
    struct gw_mqtt_filter f;
    enum gw_mqtt_reason reason = gw_mqtt_read_unsubscribe(p, c->mqtt->version, &s);
    if (reason)
        return reason;
    if (too_many(c, s.count))
        return GW_MQTT_RATE_TOO_HIGH;
    if (find(c, s.id))
        return refuse_id(c, &s);
    struct gw_mqtt_asked *a = asked_new(&s);
    for (uint16_t i = 0; i < a->count && gw_mqtt_filter_next(&s, &f); i++)
        a->rows[i].code = drop_filter(c, f.filter) ? GW_MQTT_SUCCESS : GW_MQTT_NO_SUBSCRIPTION;
    begin(c, a);
    return GW_MQTT_SUCCESS;
}
