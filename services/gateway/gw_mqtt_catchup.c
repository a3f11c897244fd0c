/* Catching up from storage; see gw_mqtt_catchup.h. */
#include "services/gateway/gw_mqtt_catchup.h"

#include "common/base/alloc.h"
#include "common/base/error.h"
#include "services/gateway/gw_limits.h"
#include "services/gateway/gw_loss.h"
#include "services/gateway/gw_mqtt_out.h"
#include "services/gateway/gw_mqtt_session.h"
#include "services/gateway/gw_ops.h"
#include "services/gateway/gw_request.h"
#include "services/gateway/gw_user.h"

#include <stdlib.h>
#include <string.h>

enum { READING_MAX = 64, SYNC_LIMIT = 100, FETCH_LIMIT = 200, AGAIN_MS = 200 };

/* A conversation of this round, or one that was read in an earlier one: up to which number is known. */
struct part {
    uint64_t last; /* number of the last message; 0: not in this round */
    uint64_t read; /* delivered up to here; 0: from the cursor on */
    char conv[PGN_CONV_MAX + 1];
};

struct gw_mqtt_catchup {
    struct pgn_node node; /* in the gateway's list of those that wait */
    struct gw_conn *conn;
    struct pgn_map *parts;
    struct part *now; /* being read */
    size_t it;        /* in parts */
    uint64_t missed;  /* newest commit number that was not delivered */
    uint64_t next;    /* the cursor behind this round */
    bool in_round;    /* a sync was answered, its conversations are being read */
    bool more;        /* the sync has further pages */
    bool asked;       /* a request is under way */
};

static struct gw_mqtt_catchup *of(const struct gw_conn *c)
{
    return c->mqtt->more ? c->mqtt->more->catchup : NULL;
}

static const void *part_key(const void *value, size_t *ret_len)
{
    const struct part *p = value;
    *ret_len = strlen(p->conv);
    return p->conv;
}

static void step(struct gw_conn *c);

/* ---- whose turn it is ---- */

static void wait(struct gw_mqtt_catchup *k)
{
    struct gateway *gw = k->conn->gw;
    if (!pgn_node_linked(&k->node))
        pgn_list_append(&gw->mqtt_waiting, &k->node);
    if (!pgn_timer_running(&gw->mqtt_timer))
        pgn_timer_start(gw->loop, &gw->mqtt_timer, AGAIN_MS);
}

/* As many of those that wait as stood there: one that has to wait again comes behind them. */
static void go_on(struct gateway *gw)
{
    struct pgn_node *last = gw->mqtt_waiting.prev;
    while (gw->mqtt_reading < READING_MAX && !pgn_list_empty(&gw->mqtt_waiting)) {
        struct pgn_node *n = pgn_list_pop(&gw->mqtt_waiting);
        step(PGN_CONTAINER(n, struct gw_mqtt_catchup, node)->conn);
        if (n == last)
            return;
    }
}

static void on_timer(struct pgn_timer *t)
{
    struct gateway *gw = PGN_CONTAINER(t, struct gateway, mqtt_timer);
    go_on(gw);
    if (!pgn_list_empty(&gw->mqtt_waiting))
        pgn_timer_start(gw->loop, &gw->mqtt_timer, AGAIN_MS);
}

static void answered(struct gw_mqtt_catchup *k)
{
    if (!k->asked)
        return;
    k->asked = false;
    k->conn->gw->mqtt_reading--;
}

/* ---- asking ---- */

static void ask(struct gw_mqtt_catchup *k, enum gw_mqtt_kind kind, Pigeon__ClientFrame *f)
{
    f->id = gw_mqtt_ask(kind, 0);
    k->asked = true;
    k->conn->gw->mqtt_reading++;
    gw_request(k->conn, f); /* what is refused at once comes back as gw_mqtt_catchup_failed */
}

static void ask_sync(struct gw_mqtt_catchup *k)
{
    Pigeon__ClientFrame f = PIGEON__CLIENT_FRAME__INIT;
    Pigeon__Sync sync = PIGEON__SYNC__INIT;
    char cursor[GW_CURSOR_BYTES] = "0";
    if (k->conn->mqtt->seen)
        gw_ops_cursor(k->conn->mqtt->seen, cursor);
    sync.cursor = cursor;
    sync.limit = SYNC_LIMIT;
    f.op_case = PIGEON__CLIENT_FRAME__OP_SYNC;
    f.sync = &sync;
    ask(k, GW_MQTT_ASK_SYNC, &f);
}

static void ask_fetch(struct gw_mqtt_catchup *k, size_t room)
{
    Pigeon__ClientFrame f = PIGEON__CLIENT_FRAME__INIT;
    Pigeon__Fetch fetch = PIGEON__FETCH__INIT;
    char cursor[GW_CURSOR_BYTES] = "0";
    if (k->conn->mqtt->seen)
        gw_ops_cursor(k->conn->mqtt->seen, cursor);
    fetch.conv = k->now->conv;
    if (k->now->read)
        fetch.after = k->now->read;
    else
        fetch.since = cursor;
    fetch.limit = (uint32_t)(room < FETCH_LIMIT ? room : FETCH_LIMIT);
    f.op_case = PIGEON__CLIENT_FRAME__OP_FETCH;
    f.fetch = &fetch;
    ask(k, GW_MQTT_ASK_FETCH, &f);
}

/* The next conversation of this round of which something is not read. */
static struct part *next_part(struct gw_mqtt_catchup *k)
{
    struct part *p;
    while ((p = pgn_map_next(k->parts, &k->it)) != NULL) {
        if (p->last && p->read < p->last)
            return p;
        p->last = 0;
    }
    return NULL;
}

static void free_catchup(struct gw_mqtt_catchup *k)
{
    struct part *p;
    answered(k);
    pgn_list_remove(&k->node);
    for (size_t it = 0; (p = pgn_map_next(k->parts, &it)) != NULL;)
        free(p);
    pgn_map_free(&k->parts);
    k->conn->mqtt->more->catchup = NULL;
    free(k);
}

/* Everything that the sync named was delivered. */
static void end_round(struct gw_mqtt_catchup *k)
{
    struct gw_conn *c = k->conn;
    k->in_round = false;
    c->mqtt->seen = k->next;
    gw_mqtt_session_moved(c);
    if (k->more || k->missed > k->next || gw_loss_must_sync(c)) {
        step(c);
        return;
    }
    c->mqtt->behind = false; /* events up to c->cursor that are still on their way are known (gw_mqtt_event) */
    free_catchup(k);
    gw_mqtt_more_trim(c->mqtt);
}

/* One request further, when there is room and it is this session's turn. */
static void step(struct gw_conn *c)
{
    struct gw_mqtt_catchup *k = of(c);
    size_t room = gw_mqtt_room(c);
    if (!k || k->asked || c->state != GW_LIVE)
        return;
    if (k->in_round && !k->now && !(k->now = next_part(k))) {
        end_round(k);
        return;
    }
    if (room < (c->mqtt->receive_max + 1u) / 2) {
        if (!c->mqtt->window)
            wait(k); /* the queue is full, not the window: nobody will tell */
        return;
    }
    if (c->gw->mqtt_reading >= READING_MAX || c->gw->load_level >= GW_LOAD_HISTORY)
        wait(k);
    else if (k->in_round)
        ask_fetch(k, room);
    else
        ask_sync(k);
}

/* ---- answers ---- */

static void take_part(struct gw_mqtt_catchup *k, const Pigeon__ConvState *s)
{
    struct part *p = pgn_map_get_str(k->parts, s->conv);
    if (s->gone || !pgn_conv_valid(s->conv))
        return;
    if (!p) {
        p = pgn_calloc(1, sizeof *p);
        memcpy(p->conv, s->conv, strlen(s->conv) + 1);
        (void)pgn_map_put(k->parts, p);
    }
    p->last = s->last_seq;
}

void gw_mqtt_synced(struct gw_conn *c, const Pigeon__SyncPage *page)
{
    struct gw_mqtt_catchup *k = of(c);
    if (!k)
        return;
    answered(k);
    for (size_t i = 0; i < page->n_convs; i++)
        take_part(k, page->convs[i]);
    k->next = strtoull(page->cursor, NULL, 10);
    k->more = page->more;
    k->in_round = true;
    k->it = 0;
    k->now = NULL;
    struct gateway *gw = c->gw;
    step(c);
    go_on(gw);
}

/* What this device sent itself it knows; what was recalled says nothing any more. */
static bool wanted(const struct gw_conn *c, const Pigeon__Message *m)
{
    return !m->recalled && (strcmp(m->device, c->device) != 0 || strcmp(m->from, c->user->id) != 0);
}

void gw_mqtt_fetched(struct gw_conn *c, const Pigeon__Page *page)
{
    struct gw_mqtt_catchup *k = of(c);
    if (!k || !k->now)
        return;
    answered(k);
    size_t i = 0;
    for (; i < page->n_messages && gw_mqtt_room(c) > 0; i++) { /* large ones fill the queue before the window: the rest is read again */
        const Pigeon__Message *m = page->messages[i];
        if (wanted(c, m))
            gw_mqtt_missed(c, m, c->mqtt->seen + 1);
        k->now->read = m->seq;
    }
    gw_count(GW_M_MQTT_MISSED, (int64_t)i);
    if (!page->more && i == page->n_messages) {
        if (!k->now->read)
            k->now->read = k->now->last; /* what changed was no message */
        k->now->last = 0;
        k->now = NULL;
    }
    struct gateway *gw = c->gw;
    step(c);
    go_on(gw);
}

void gw_mqtt_catchup_failed(struct gw_conn *c, int error)
{
    struct gw_mqtt_catchup *k = of(c);
    if (!k)
        return;
    answered(k);
    if (k->now && (error == PGN_E_FORBIDDEN || error == PGN_E_NOT_FOUND)) { /* not a member any more */
        k->now->last = 0;
        k->now = NULL;
    }
    wait(k);
}

/* ---- beginning and end ---- */

void gw_mqtt_fall_behind(struct gw_conn *c, uint64_t commit)
{
    struct gw_mqtt *m = c->mqtt;
    struct gw_mqtt_catchup *k = of(c);
    if (!k) {
        k = gw_mqtt_more(m)->catchup = pgn_calloc(1, sizeof *k);
        k->conn = c;
        k->parts = pgn_map_new(part_key);
        gw_count(GW_M_MQTT_BEHIND, 1);
        m->behind = true;
    }
    if (commit > k->missed)
        k->missed = commit;
    if (commit && commit <= m->seen && !k->in_round)
        m->seen = commit - 1; /* events of one group commit may come in another order than their numbers */
    if (!pgn_node_linked(&k->node))
        step(c);
}

void gw_mqtt_lost(struct gw_conn *c)
{
    const struct gw_mqtt *m = c->mqtt;
    if (m->inbox & GW_MQTT_OPT_QOS || gw_mqtt_subs_count(m->subs, GW_MQTT_FROM_USER | GW_MQTT_IN_CONV))
        gw_mqtt_fall_behind(c, 0);
}

void gw_mqtt_joined(struct gw_conn *c, uint64_t commit)
{
    const struct gw_mqtt *m = c->mqtt;
    if (m->inbox || gw_mqtt_subs_count(m->subs, GW_MQTT_IN_CONV))
        gw_mqtt_fall_behind(c, commit);
}

void gw_mqtt_catchup_room(struct gw_conn *c)
{
    struct gw_mqtt_catchup *k = of(c);
    if (k && !pgn_node_linked(&k->node))
        step(c);
}

void gw_mqtt_catchup_stop(struct gw_conn *c)
{
    struct gw_mqtt_catchup *k = of(c);
    if (k)
        free_catchup(k);
}

void gw_mqtt_catchup_init(struct gateway *gw)
{
    pgn_list_init(&gw->mqtt_waiting);
    gw->mqtt_timer.on_due = on_timer;
}
