/* Deliveries and their window; see gw_mqtt_out.h. */
#include "services/gateway/gw_mqtt_out.h"

#include "common/base/alloc.h"
#include "services/gateway/gw_mqtt_catchup.h"
#include "services/gateway/gw_mqtt_session.h"
#include "services/gateway/gw_user.h"

#include <stdlib.h>
#include <string.h>

enum { WINDOW_FIRST = 4, IDS_MAX = 16 };

/* Deliveries in the order of their going; acknowledged ones stay until all before them are. */
struct gw_mqtt_window {
    uint16_t head, count, cap;
    struct flight {
        uint64_t commit;
        uint16_t id;
        bool acked;
    } flights[]; /* from head, count of them */
};

/* ---- the window ---- */

size_t gw_mqtt_room(const struct gw_conn *c)
{
    const struct gw_mqtt *m = c->mqtt;
    size_t used = m->window ? m->window->count : 0;
    if (gw_outq_bytes(c->out) >= (size_t)c->gw->config->limits_queue_bytes || used >= m->receive_max)
        return 0;
    return m->receive_max - used;
}

static struct gw_mqtt_window *make_place(struct gw_mqtt *m)
{
    struct gw_mqtt_window *w = m->window;
    if (w && w->head + w->count < w->cap)
        return w;
    if (w && w->head >= w->cap / 2) {
        memmove(w->flights, w->flights + w->head, w->count * sizeof *w->flights);
        w->head = 0;
        return w;
    }
    uint16_t cap = (uint16_t)(w ? w->cap * 2 : WINDOW_FIRST);
    w = pgn_realloc(w, sizeof *w + cap * sizeof *w->flights);
    if (!m->window)
        w->head = w->count = 0;
    w->cap = cap;
    m->window = w;
    return w;
}

/* Identifiers are given in turn, without 0, so those of a window follow one another: the place of one is its distance from the first. */
static uint16_t next_id(uint16_t id)
{
    return id == UINT16_MAX ? 1 : (uint16_t)(id + 1);
}

static struct flight *flight_of(struct gw_mqtt_window *w, uint16_t id)
{
    if (!w || !w->count || !id)
        return NULL;
    uint16_t first = w->flights[w->head].id, place = (uint16_t)(id >= first ? id - first : id - first - 1);
    return place < w->count ? &w->flights[w->head + place] : NULL;
}

static uint16_t fly(struct gw_mqtt *m, uint64_t commit)
{
    _Static_assert(GW_MQTT_WINDOW_MAX < UINT16_MAX, "identifiers of a window are unlike");
    m->next_id = next_id(m->next_id);
    struct gw_mqtt_window *w = make_place(m);
    w->flights[w->head + w->count++] = (struct flight){commit, m->next_id, false};
    return m->next_id;
}

void gw_mqtt_acked(struct gw_conn *c, uint16_t id)
{
    struct gw_mqtt *m = c->mqtt;
    struct gw_mqtt_window *w = m->window;
    struct flight *f = flight_of(w, id);
    bool moved = false;
    if (f)
        f->acked = true;
    while (w && w->count && w->flights[w->head].acked) {
        w->head++;
        w->count--;
        moved = true;
    }
    if (w && !w->count) {
        free(w);
        m->window = NULL;
    }
    if (moved)
        gw_mqtt_session_moved(c);
    if (moved && m->behind)
        gw_mqtt_catchup_room(c);
}

uint64_t gw_mqtt_cursor(const struct gw_mqtt *m)
{
    const struct gw_mqtt_window *w = m->window;
    uint64_t cursor = m->seen;
    for (uint16_t i = 0; w && i < w->count; i++) { /* events of one group commit may come in another order than their numbers */
        const struct flight *f = &w->flights[w->head + i];
        if (!f->acked && f->commit && f->commit <= cursor)
            cursor = f->commit - 1;
    }
    return cursor;
}

/* ---- what is subscribed ---- */

/* Where an event stands, and what of this session matches it. */
struct match {
    struct gw_mqtt_shape shape;
    bool found;
    uint32_t ids[IDS_MAX];
};

static void find(const struct gw_mqtt *m, enum gw_mqtt_place place, const char *name, struct match *ret)
{
    *ret = (struct match){.shape = {.in_conv = place == GW_MQTT_IN_CONV, .version = m->version}};
    if (m->inbox && place != GW_MQTT_PRESENCE) {
        ret->found = true;
        ret->shape.qos = m->inbox & GW_MQTT_OPT_QOS;
    }
    for (const struct gw_mqtt_sub *s = m->subs; s; s = s->next) {
        if (!gw_mqtt_sub_matches(s, place, name))
            continue;
        uint8_t qos = s->options & GW_MQTT_OPT_QOS;
        ret->found = true;
        ret->shape.qos = qos > ret->shape.qos ? qos : ret->shape.qos;
        if (s->identifier && ret->shape.id_count < IDS_MAX)
            ret->ids[ret->shape.id_count++] = s->identifier;
    }
    ret->shape.ids = ret->ids;
}

static void find_message(const struct gw_conn *c, const Pigeon__Message *message, struct match *ret)
{
    bool direct = pgn_conv_is_direct(message->conv), own = direct && strcmp(message->from, c->user->id) == 0;
    if (direct && !own)
        find(c->mqtt, GW_MQTT_FROM_USER, message->from, ret);
    else
        find(c->mqtt, GW_MQTT_IN_CONV, message->conv, ret);
}

/* ---- going out ---- */

/* A packet larger than the client takes is dropped, as if it had been delivered (MQTT 5.0, 3.1.2.11.4). */
static bool too_large(const struct gw_mqtt *m, size_t len)
{
    if (gw_mqtt_fits(m, len))
        return false;
    gw_count(GW_M_MQTT_TOO_LARGE, 1);
    return true;
}

static void push(struct gw_conn *c, const uint8_t *packet, size_t len, size_t id_at, uint64_t commit)
{
    struct gw_frame *f = c->mqtt->ws ? gw_frame_new(GW_WS_BINARY, packet, len) : gw_frame_raw(packet, len);
    if (id_at)
        gw_mqtt_patch_id(f->data + f->len - len, id_at, fly(c->mqtt, commit));
    if (gw_conn_push(c, f, true))
        gw_count(GW_M_DELIVERIES, 1);
    gw_frame_unref(&f);
}

static void deliver(struct gw_conn *c, const Pigeon__Message *message, const struct match *found, struct gw_mqtt_forms *forms,
                    uint64_t commit)
{
    struct gw_mqtt *m = c->mqtt;
    if (found->shape.id_count && m->version == GW_MQTT_5) {
        struct pgn_buf *b = gw_mqtt_scratch();
        size_t id_at = gw_mqtt_write_message(b, message, &found->shape);
        if (!too_large(m, b->len))
            push(c, b->data, b->len, id_at, commit);
        return;
    }
    const struct gw_mqtt_form *form = gw_mqtt_form_get(forms, message, &found->shape);
    if (too_large(m, form->packet->len))
        return;
    if (form->id_at || m->ws)
        push(c, form->packet->data, form->packet->len, form->id_at, commit);
    else if (gw_conn_push(c, form->packet, true))
        gw_count(GW_M_DELIVERIES, 1);
}

static void note(struct gw_conn *c, uint64_t commit)
{
    struct gw_mqtt *m = c->mqtt;
    if (m->behind || commit <= m->seen)
        return;
    m->seen = commit;
    if (!m->window)
        gw_mqtt_session_moved(c);
}

void gw_mqtt_event(struct gw_conn *c, const Pigeon__ServerFrame *f, struct gw_mqtt_forms *forms, uint64_t commit)
{
    struct gw_mqtt *m = c->mqtt;
    if (f->what_case == PIGEON__SERVER_FRAME__WHAT_PRESENCE)
        gw_mqtt_presence(c, f->presence, false);
    if (f->what_case != PIGEON__SERVER_FRAME__WHAT_MESSAGE || c->state != GW_LIVE)
        return;
    struct match found;
    find_message(c, f->message, &found);
    if (found.found && commit <= c->cursor)
        return; /* catching up has delivered it */
    /* Of QoS 0 too while the session is behind: storage has it in its order, and would have it once more. */
    if (found.found && (m->behind || (found.shape.qos && gw_mqtt_room(c) == 0))) {
        gw_mqtt_fall_behind(c, commit);
        return;
    }
    note(c, commit);
    if (found.found)
        deliver(c, f->message, &found, forms, commit);
}

void gw_mqtt_missed(struct gw_conn *c, const Pigeon__Message *message, uint64_t commit)
{
    struct gw_mqtt_forms forms = {0};
    struct match found;
    find_message(c, message, &found);
    if (found.found)
        deliver(c, message, &found, &forms, commit);
    gw_mqtt_forms_release(&forms);
}

void gw_mqtt_presence(struct gw_conn *c, const Pigeon__Presence *p, bool retained)
{
    struct gw_mqtt *m = c->mqtt;
    struct match found;
    struct pgn_buf *b = gw_mqtt_scratch();
    find(m, GW_MQTT_PRESENCE, p->user, &found);
    if (!found.found)
        return;
    gw_mqtt_write_presence(b, p, &found.shape, retained);
    if (!too_large(m, b->len))
        push(c, b->data, b->len, 0, 0);
}
