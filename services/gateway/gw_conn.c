/* Sockets of clients: states, time. What comes in goes to gw_read.c, what goes out is in gw_write.c. See gw_conn.h. */
#include "services/gateway/gw_conn.h"

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/svc/log.h"
#include "services/gateway/gw_limits.h"
#include "services/gateway/gw_mqtt.h"
#include "services/gateway/gw_presence.h"
#include "services/gateway/gw_read.h"
#include "services/gateway/gw_slots.h"
#include "services/gateway/gw_tls.h"
#include "services/gateway/gw_user.h"
#include "services/gateway/gw_write.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    CLOSE_MS = 2000, /* for the peer's close frame */
    FLUSH_MS = 3000, /* to take what was said last */
};

enum timeout { NONE, KEEP, HELLO_TIME, HEARTBEAT, CLOSE_TIME, FLUSH_TIME };
#define TO(state) (1u << (state))

/* The states: what stops them in the end, and where they may lead. */
static const struct {
    const char *name;
    enum timeout timeout;
    unsigned next;
} states[GW_STATES] = {
    [GW_UPGRADE] = {"upgrade", HELLO_TIME, TO(GW_HELLO) | TO(GW_ECHO) | TO(GW_FLUSH) | TO(GW_CLOSED)},
    [GW_HELLO] = {"hello", KEEP, TO(GW_CHECK) | TO(GW_CLOSING) | TO(GW_FLUSH) | TO(GW_CLOSED)},
    [GW_CHECK] = {"check", NONE, TO(GW_LIVE) | TO(GW_CLOSING) | TO(GW_FLUSH) | TO(GW_CLOSED)},
    [GW_ECHO] = {"echo", NONE, TO(GW_CLOSING) | TO(GW_FLUSH) | TO(GW_CLOSED)},
    [GW_LIVE] = {"live", HEARTBEAT, TO(GW_CLOSING) | TO(GW_FLUSH) | TO(GW_CLOSED)},
    [GW_CLOSING] = {"closing", CLOSE_TIME, TO(GW_FLUSH) | TO(GW_CLOSED)},
    [GW_FLUSH] = {"flush", FLUSH_TIME, TO(GW_CLOSED)},
    [GW_CLOSED] = {"closed", NONE, 0},
};

static void on_ready(struct pgn_io *io, uint32_t events);
static void on_due(struct pgn_timer *t);

static uint64_t heartbeat_ms(const struct gw_conn *c)
{
    return (uint64_t)c->gw->config->gateway_heartbeat_s * 1000;
}

static void set_timeout(struct gw_conn *c, enum timeout timeout)
{
    uint64_t ms = 0;
    switch (timeout) {
    case KEEP:
        return;
    case NONE:
        pgn_timer_stop(&c->timer);
        return;
    case HELLO_TIME:
        ms = (uint64_t)c->gw->config->gateway_hello_timeout_ms;
        break;
    case HEARTBEAT:
        ms = heartbeat_ms(c) * 3 / 2;
        break;
    case CLOSE_TIME:
        ms = CLOSE_MS;
        break;
    case FLUSH_TIME:
        ms = FLUSH_MS;
        break;
    }
    pgn_timer_start_coarse(c->gw->loop, &c->timer, ms);
}

static void free_held(struct gw_conn *c)
{
    if (!c->held)
        return;
    pgn_buf_release(c->held);
    free(c->held);
    c->held = NULL;
}

/* A session ends: nothing is delivered to it any more. */
static void end_session(struct gw_conn *c)
{
    c->gw->sessions--;
    if (c->mqtt)
        gw_mqtt_end(c);
    gw_presence_note(c, false);
    gw_user_detach(c);
    gw_topic_leave_all(&c->watches);
}

static void bury(struct gw_conn *c)
{
    struct gateway *gw = c->gw;
    pgn_io_remove(gw->loop, &c->io);
    gw_tls_end(c);
    close(c->io.fd);
    gw_ws_release(&c->ws);
    gw_outq_free(&c->out);
    gw_slot_give(gw, c);
    gw->connections--;
    c->next_grave = gw->graves;
    gw->graves = c;
}

void gw_conn_move(struct gw_conn *c, enum gw_conn_state state)
{
    enum gw_conn_state old = (enum gw_conn_state)c->state;
    assert(states[old].next & TO(state));
    c->state = (uint8_t)state;
    if (old == GW_LIVE)
        end_session(c);
    if (state == GW_LIVE) {
        c->gw->sessions++;
        c->heard_ms = (uint32_t)pgn_loop_now_ms(c->gw->loop);
        c->since_ms = (uint32_t)pgn_mono_ms();
    }
    if (state >= GW_LIVE)
        gw_address_leave(&c->address);
    if (state > GW_LIVE)
        free_held(c);
    if (old == GW_CHECK && state != GW_CLOSED) /* gw_read.c's hold() may have stopped it: what is left unread would make the end a reset */
        pgn_io_want(c->gw->loop, &c->io, c->io.events | PGN_READ);
    set_timeout(c, states[state].timeout);
    if (state == GW_CLOSED)
        bury(c);
}

void gw_conn_new(const struct gw_listener *from, int fd, struct gw_address *address)
{
    struct gateway *gw = from->gw;
    struct gw_conn *c = pgn_calloc(1, sizeof *c);
    c->io = (struct pgn_io){fd, PGN_READ, on_ready};
    c->timer.on_due = on_due;
    c->gw = gw;
    c->address = address;
    if (from->mqtt) {
        gw_mqtt_new(c, false);
        c->state = GW_HELLO; /* nothing to upgrade */
    }
    gw_slot_take(gw, c);
    gw->connections++;
    gw_count(GW_M_ACCEPTED, 1);
    if (from->tls)
        gw_tls_new(c, from->mqtt);
    set_timeout(c, states[GW_UPGRADE].timeout);
    if (pgn_io_add(gw->loop, &c->io) != 0)
        gw_conn_move(c, GW_CLOSED);
}

void gw_conn_bury(struct gateway *gw)
{
    while (gw->graves) {
        struct gw_conn *c = gw->graves;
        gw->graves = c->next_grave;
        gw_mqtt_free(c);
        free(c);
    }
}

void gw_conn_drop(struct gw_conn *c)
{
    if (c->state != GW_CLOSED)
        gw_conn_move(c, GW_CLOSED);
}

/* ---- time ---- */

static bool expired(const struct gw_conn *c)
{
    return c->expires_s && pgn_wall_ms() / 1000 >= c->expires_s;
}

static void look_at_mqtt(struct gw_conn *c, uint64_t silent_ms)
{
    uint64_t next = gw_mqtt_beat(c, silent_ms);
    if (gw_write_waits(c) && next > GW_WRITE_LOOK_MS)
        next = GW_WRITE_LOOK_MS;
    if (next)
        pgn_timer_start_coarse(c->gw->loop, &c->timer, next);
}

static void look_at_heartbeat(struct gw_conn *c)
{
    uint64_t beat = heartbeat_ms(c), now = pgn_loop_now_ms(c->gw->loop);
    uint64_t silent = (uint32_t)now - c->heard_ms;
    if (expired(c)) {
        gw_count(GW_M_REVOKED, 1);
        gw_conn_bye(c, "expired", 0, (uint16_t)pgn_error_info(PGN_E_UNAUTHENTICATED)->ws_close);
        return;
    }
    if (gw_write_stuck(c, now)) {
        gw_write_give_up(c);
        return;
    }
    if (c->mqtt) {
        look_at_mqtt(c, silent);
        return;
    }
    if (silent >= beat * 5 / 2) {
        gw_count(GW_M_DEAD, 1);
        gw_conn_drop(c);
        return;
    }
    if (silent >= beat * 3 / 2 && !c->pinged) {
        c->pinged = true;
        gw_write_ping(c);
    }
    uint64_t next = (c->pinged ? beat * 5 / 2 : beat * 3 / 2) - silent;
    if (gw_write_waits(c) && next > GW_WRITE_LOOK_MS)
        next = GW_WRITE_LOOK_MS;
    pgn_timer_start_coarse(c->gw->loop, &c->timer, next);
}

static void on_due(struct pgn_timer *t)
{
    struct gw_conn *c = PGN_CONTAINER(t, struct gw_conn, timer);
    static const struct gw_http_refusal late = {408, "no complete request in time", NULL};
    switch ((enum gw_conn_state)c->state) {
    case GW_UPGRADE:
        gw_conn_refuse_http(c, &late, 0);
        return;
    case GW_HELLO:
        gw_conn_error(c, 0, PGN_E_UNAUTHENTICATED, "no hello in time", 0);
        gw_conn_close(c, (uint16_t)pgn_error_info(PGN_E_UNAUTHENTICATED)->ws_close);
        return;
    case GW_LIVE:
        look_at_heartbeat(c);
        return;
    case GW_CHECK:
    case GW_ECHO:
    case GW_CLOSING:
    case GW_FLUSH:
    case GW_CLOSED:
    case GW_STATES:
        gw_conn_drop(c);
    }
}

void gw_conn_beat(struct gw_conn *c)
{
    if (!c->acted && !c->wants_write && c->state == GW_LIVE)
        pgn_io_want(c->gw->loop, &c->io, c->io.events | PGN_LATE);
    c->acted = false;
}

void gw_conn_act(struct gw_conn *c)
{
    c->acted = true;
    pgn_io_want(c->gw->loop, &c->io, c->io.events & ~(uint32_t)PGN_LATE);
}

/* ---- reading; the rest is in gw_read.c ---- */

void gw_conn_read(struct gw_conn *c)
{
    struct gateway *gw = c->gw;
    ssize_t n = c->tls ? gw_tls_recv(c, gw->read) : recv(c->io.fd, gw->read, sizeof gw->read, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        gw_conn_drop(c);
        return;
    }
    gw_count(GW_M_BYTES_IN, n);
    c->heard_ms = (uint32_t)pgn_loop_now_ms(gw->loop);
    c->pinged = false;
    gw_read(c, gw->read, (size_t)n);
}

static void on_ready(struct pgn_io *io, uint32_t events)
{
    struct gw_conn *c = PGN_CONTAINER(io, struct gw_conn, io);
    if (!c->gw->turn_us)
        c->gw->turn_us = pgn_mono_us();
    if (events & PGN_WRITE)
        gw_write_later(c);
    if (events & PGN_READ)
        gw_conn_read(c);
}
