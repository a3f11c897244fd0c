/* Wills; see gw_mqtt_will.h. */
#include "services/gateway/gw_mqtt_will.h"

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "services/gateway/gw_batch.h"
#include "services/gateway/gw_check.h"
#include "services/gateway/gw_limits.h"
#include "services/gateway/gw_mqtt_publish.h"
#include "services/gateway/gw_user.h"

#include <stdlib.h>
#include <string.h>

enum { WAITING_MAX = 10000 };

struct gw_mqtt_held_will {
    struct pgn_node node; /* in the gateway's list while it waits for its delay */
    struct pgn_timer timer;
    struct gateway *gw;
    uint64_t since_ms; /* when its connection came; set while it waits */
    uint32_t delay_s;
    char user[PGN_USER_MAX + 1], device[PGN_DEVICE_MAX + 1];
    size_t len;
    uint8_t data[]; /* a packed Send */
};

void gw_mqtt_will_free(struct gw_mqtt_held_will **w)
{
    if (*w) {
        pgn_timer_stop(&(*w)->timer);
        pgn_list_remove(&(*w)->node);
    }
    free(*w);
    *w = NULL;
}

enum gw_mqtt_reason gw_mqtt_will_take(struct gw_conn *c, const struct gw_mqtt_will *will)
{
    struct gw_mqtt_draft d;
    const char *problem;
    struct gw_check_limits limits = {(size_t)c->gw->config->limits_body_bytes, 0};
    char check[GW_PROBLEM_BYTES], key[PGN_CLIENT_ID_MAX + 1];
    if (will->retain && c->mqtt->version == GW_MQTT_5)
        return GW_MQTT_NO_RETAIN;
    enum gw_mqtt_reason reason = gw_mqtt_draft(c, will->topic, will->payload, &will->props, &d, &problem);
    if (reason)
        return reason;
    pgn_ulid(pgn_wall_ms(), key);
    d.send.client_id = key;
    if (gw_check_frame(&d.frame, &limits, check) != 0)
        return GW_MQTT_BAD_PAYLOAD;
    size_t len = pigeon__send__get_packed_size(&d.send);
    struct gw_mqtt_held_will *w = pgn_calloc(1, sizeof *w + len);
    w->gw = c->gw;
    w->delay_s = will->props.will_delay_s;
    w->len = pigeon__send__pack(&d.send, w->data);
    gw_mqtt_more(c->mqtt)->will = w;
    return GW_MQTT_SUCCESS;
}

/* It counts against the user's rate when the user is here; over it, or on a busy node, it is dropped: it is nobody's answer. */
static void say(struct gw_mqtt_held_will *w)
{
    struct gateway *gw = w->gw;
    struct pgn_arena *arena = pgn_arena_new(1024);
    Pigeon__Send *send = PGN_PB_UNPACK(Pigeon__Send, pigeon__send, arena, w->data, w->len);
    struct gw_user *u = gw_user_find(gw, w->user);
    Pigeon__ClientFrame f = PIGEON__CLIENT_FRAME__INIT;
    f.id = gw_mqtt_ask(GW_MQTT_ASK_WILL, 0);
    f.op_case = PIGEON__CLIENT_FRAME__OP_SEND;
    f.send = send;
    if (send && gw->load_level < GW_LOAD_MESSAGES && (!u || gw_limits_message(u, pgn_loop_now_ms(gw->loop)) == 0)) {
        gw_batch_take_as(gw, w->user, w->device, &f);
        gw_count(GW_M_MQTT_WILLS, 1);
    }
    pgn_arena_free(&arena);
}

static void on_due(struct pgn_timer *t)
{
    struct gw_mqtt_held_will *w = PGN_CONTAINER(t, struct gw_mqtt_held_will, timer);
    w->gw->mqtt_wills_waiting--;
    say(w);
    gw_mqtt_will_free(&w);
}

void gw_mqtt_will_fire(struct gw_conn *c)
{
    struct gw_mqtt_held_will *w = c->mqtt->more ? c->mqtt->more->will : NULL;
    struct gateway *gw = c->gw;
    if (!w)
        return;
    c->mqtt->more->will = NULL;
    memcpy(w->user, c->user->id, strlen(c->user->id) + 1);
    memcpy(w->device, c->device, sizeof w->device);
    /* The delay ends with the session at the latest (3.1.3.2.2). */
    uint32_t delay_s = w->delay_s < c->mqtt->expiry_s ? w->delay_s : c->mqtt->expiry_s;
    if (!c->mqtt->said_bye && !gw->draining && delay_s && gw->mqtt_wills_waiting < WAITING_MAX) {
        uint64_t now_ms = pgn_mono_ms();
        gw->mqtt_wills_waiting++;
        w->since_ms = now_ms - ((uint32_t)now_ms - c->since_ms);
        w->timer.on_due = on_due;
        pgn_list_append(&gw->mqtt_wills, &w->node);
        pgn_timer_start(gw->loop, &w->timer, (uint64_t)delay_s * 1000);
        return;
    }
    if (!c->mqtt->said_bye && !gw->draining)
        say(w);
    gw_mqtt_will_free(&w);
}

void gw_mqtt_will_cancel(struct gw_conn *c)
{
    if (!c->gw->mqtt_wills_waiting)
        return;
    PGN_LIST_EACH_SAFE (n, &c->gw->mqtt_wills) {
        struct gw_mqtt_held_will *w = PGN_CONTAINER(n, struct gw_mqtt_held_will, node);
        if (strcmp(w->user, c->user->id) != 0 || strcmp(w->device, c->device) != 0)
            continue;
        c->gw->mqtt_wills_waiting--;
        if (c->mqtt->clean) /* the session that it belongs to ends here: it is due */
            say(w);
        gw_mqtt_will_free(&w);
    }
}

void gw_mqtt_will_goes_on(struct gw_conn *c)
{
    struct gw_mqtt_more *more = c->mqtt->more;
    if (more && more->will && more->will->delay_s && c->mqtt->expiry_s)
        gw_mqtt_will_free(&more->will);
}

void gw_mqtt_will_came_elsewhere(struct gateway *gw, const char *user, const char *device, uint64_t at_ms)
{
    if (!gw->mqtt_wills_waiting)
        return;
    PGN_LIST_EACH_SAFE (n, &gw->mqtt_wills) {
        struct gw_mqtt_held_will *w = PGN_CONTAINER(n, struct gw_mqtt_held_will, node);
        if (w->since_ms >= at_ms || strcmp(w->user, user) != 0 || strcmp(w->device, device) != 0)
            continue;
        gw->mqtt_wills_waiting--;
        gw_mqtt_will_free(&w);
    }
}

void gw_mqtt_will_init(struct gateway *gw)
{
    pgn_list_init(&gw->mqtt_wills);
}

void gw_mqtt_will_stop(struct gateway *gw)
{
    PGN_LIST_EACH_SAFE (n, &gw->mqtt_wills) {
        struct gw_mqtt_held_will *w = PGN_CONTAINER(n, struct gw_mqtt_held_will, node);
        gw_mqtt_will_free(&w);
    }
}
