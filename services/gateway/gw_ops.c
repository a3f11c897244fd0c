/* Operations of clients; see gw_ops.h. Requests to the message service are in gw_request.c. */
#include "services/gateway/gw_ops.h"

#include "common/base/error.h"
#include "common/base/json.h"
#include "common/proto/json_map.h"
#include "services/gateway/gw_batch.h"
#include "services/gateway/gw_check.h"
#include "services/gateway/gw_conn.h"
#include "services/gateway/gw_hello.h"
#include "services/gateway/gw_limits.h"
#include "services/gateway/gw_loss.h"
#include "services/gateway/gw_request.h"
#include "services/gateway/gw_user.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum { MALFORMED_MAX = 10, DEPTH_MAX = 32, REFUSED_MAX = 2000, FLOOD_RETRY_MS = 5000 };

/* Where an operation goes, and from which load on it is refused. */
enum way { UNKNOWN, PING, BATCH, REQUEST, TYPING, WATCH, UNWATCH };
#define OP(name) PIGEON__CLIENT_FRAME__OP_##name
static const struct {
    enum way way;
    enum gw_load_level level;
} ops[] = {
    [OP(SEND)] = {BATCH, GW_LOAD_MESSAGES},      [OP(RECALL)] = {BATCH, GW_LOAD_MESSAGES},   [OP(EDIT)] = {BATCH, GW_LOAD_MESSAGES},
    [OP(REACT)] = {BATCH, GW_LOAD_MESSAGES},     [OP(MARK)] = {BATCH, GW_LOAD_MESSAGES},     [OP(FETCH)] = {REQUEST, GW_LOAD_HISTORY},
    [OP(SYNC)] = {REQUEST, GW_LOAD_HISTORY},     [OP(TYPING)] = {TYPING, GW_LOAD_PRESENCE},  [OP(WATCH)] = {WATCH, GW_LOAD_PRESENCE},
    [OP(UNWATCH)] = {UNWATCH, GW_LOAD_PRESENCE}, [OP(STATUS)] = {REQUEST, GW_LOAD_PRESENCE}, [OP(CREATE)] = {REQUEST, GW_LOAD_PRESENCE},
    [OP(INVITE)] = {REQUEST, GW_LOAD_PRESENCE},  [OP(JOIN)] = {REQUEST, GW_LOAD_PRESENCE},   [OP(LEAVE)] = {REQUEST, GW_LOAD_PRESENCE},
    [OP(KICK)] = {REQUEST, GW_LOAD_PRESENCE},    [OP(ROLE)] = {REQUEST, GW_LOAD_PRESENCE},   [OP(MUTE)] = {REQUEST, GW_LOAD_PRESENCE},
    [OP(UPDATE)] = {REQUEST, GW_LOAD_PRESENCE},  [OP(PING)] = {PING, GW_LOAD_MESSAGES + 1},  [OP(MEMBERS)] = {REQUEST, GW_LOAD_HISTORY},
    [OP(RECEIPTS)] = {REQUEST, GW_LOAD_HISTORY}, [OP(INFO)] = {REQUEST, GW_LOAD_HISTORY},
};

void gw_ops_ok(struct gw_conn *c, uint64_t id, const Pigeon__Ok *ok)
{
    Pigeon__ServerFrame f = PIGEON__SERVER_FRAME__INIT;
    Pigeon__Ok copy = *ok;
    f.id = id;
    f.what_case = PIGEON__SERVER_FRAME__WHAT_OK;
    f.ok = &copy;
    gw_conn_answer(c, &f);
}

void gw_ops_cursor(uint64_t cursor, char ret_text[GW_CURSOR_BYTES])
{
    if (cursor)
        snprintf(ret_text, GW_CURSOR_BYTES, "%llu", (unsigned long long)cursor);
    else
        ret_text[0] = 0;
}

static void malformed(struct gw_conn *c, uint64_t id, const char *text)
{
    gw_count(GW_M_MALFORMED, 1);
    gw_conn_error(c, id, PGN_E_INVALID, text, 0);
    if (++c->malformed >= MALFORMED_MAX)
        gw_conn_close(c, (uint16_t)pgn_error_info(PGN_E_INVALID)->ws_close);
}

/* The id of a JSON object that is no operation, so that its sender knows which; 0: it has none. */
static uint64_t id_of(const uint8_t *data, size_t len)
{
    if (!pgn_json_depth_ok((const char *)data, len, DEPTH_MAX))
        return 0;
    json_t *root = json_loadb((const char *)data, len, 0, NULL);
    json_int_t id = json_integer_value(json_object_get(root, "id"));
    json_decref(root);
    return id > 0 ? (uint64_t)id : 0;
}

static void ping(struct gw_conn *c, uint64_t id)
{
    Pigeon__Pong pong = PIGEON__PONG__INIT;
    Pigeon__Ok ok = PIGEON__OK__INIT;
    char cursor[GW_CURSOR_BYTES];
    uint64_t newest = c->gw->newest_commit;
    gw_ops_cursor(gw_loss_must_sync(c) && newest ? newest : c->cursor, cursor);
    pong.cursor = cursor;
    ok.result_case = PIGEON__OK__RESULT_PING;
    ok.ping = &pong;
    gw_ops_ok(c, id, &ok);
}

static void unwatch(struct gw_conn *c, const Pigeon__ClientFrame *f)
{
    Pigeon__Ok ok = PIGEON__OK__INIT;
    gw_request_unwatch(c, f->unwatch);
    gw_ops_ok(c, f->id, &ok);
}

/* A rate says no. Who goes on regardless, thousands of times, is sent away: saying no costs too. */
static void refuse_rate(struct gw_conn *c, uint64_t id, uint32_t wait_ms)
{
    gw_conn_error(c, id, PGN_E_RATE_LIMITED, NULL, wait_ms);
    if (++c->refused >= REFUSED_MAX)
        gw_conn_bye(c, "overloaded", FLOOD_RETRY_MS, (uint16_t)pgn_error_info(PGN_E_RATE_LIMITED)->ws_close);
}

/* A frame whose form is wrong counts as an operation. */
static void refuse_form(struct gw_conn *c, uint64_t id, int error, const char *problem)
{
    uint32_t wait_ms = gw_limits_op(c->user, pgn_loop_now_ms(c->gw->loop));
    if (wait_ms)
        refuse_rate(c, id, wait_ms);
    else
        gw_conn_error(c, id, error, problem, 0);
}

/* The user's buckets and the node's load: false when it was refused. */
static bool within_limits(struct gw_conn *c, const Pigeon__ClientFrame *f)
{
    uint64_t now_ms = pgn_loop_now_ms(c->gw->loop);
    bool message = ops[f->op_case].way == BATCH && f->op_case != OP(MARK);
    uint32_t wait_ms = message ? gw_limits_message(c->user, now_ms) : gw_limits_op(c->user, now_ms);
    if (wait_ms) {
        refuse_rate(c, f->id, wait_ms);
        return false;
    }
    c->refused = 0;
    if (c->gw->load_level >= ops[f->op_case].level) {
        gw_conn_error(c, f->id, PGN_E_OVERLOADED, NULL, gw_limits_retry_ms((enum gw_load_level)c->gw->load_level));
        return false;
    }
    return true;
}

static void session_frame(struct gw_conn *c, const Pigeon__ClientFrame *f)
{
    const struct pgn_config *config = c->gw->config;
    struct gw_check_limits limits = {(size_t)config->limits_body_bytes, (size_t)config->limits_watch_users};
    char problem[GW_PROBLEM_BYTES];
    int e = gw_check_frame(f, &limits, problem);
    if (!e && !f->id && f->op_case != OP(TYPING)) {
        memcpy(problem, "id: a number from 1", 20);
        e = PGN_E_INVALID;
    }
    if (e) {
        refuse_form(c, f->id, e, problem);
        return;
    }
    if (!within_limits(c, f))
        return;
    if (f->op_case == OP(PING))
        gw_conn_beat(c);
    else if (f->op_case != OP(SYNC)) /* part of coming in */
        gw_conn_act(c);
    switch (ops[f->op_case].way) {
    case PING:
        ping(c, f->id);
        return;
    case BATCH:
        gw_batch_take(c, f);
        return;
    case REQUEST:
        gw_request(c, f);
        return;
    case TYPING:
        gw_request_typing(c, f);
        return;
    case WATCH:
        gw_request_watch(c, f);
        return;
    case UNWATCH:
        unwatch(c, f);
        return;
    case UNKNOWN:
        return; /* gw_check_frame knows no such */
    }
}

static void first_frame(struct gw_conn *c, const Pigeon__ClientFrame *f)
{
    if (f->op_case == OP(HELLO)) {
        gw_hello_start(c, f->id, f->hello);
        return;
    }
    gw_count(GW_M_HELLOS_REFUSED, 1);
    gw_conn_error(c, f->id, PGN_E_UNAUTHENTICATED, "the first frame must be hello", 0);
    gw_conn_close(c, (uint16_t)pgn_error_info(PGN_E_UNAUTHENTICATED)->ws_close);
}

void gw_ops_frame(struct gw_conn *c, enum gw_ws_opcode opcode, const uint8_t *data, size_t len)
{
    struct gateway *gw = c->gw;
    ProtobufCMessage *m = NULL;
    char problem[160];
    bool json = c->encoding == GW_JSON;
    if ((opcode == GW_WS_TEXT) != json) {
        gw_count(GW_M_MALFORMED, 1);
        gw_conn_close(c, GW_WS_UNSUPPORTED);
        return;
    }
    if (json) {
        int e = pgn_json_decode((const char *)data, len, &pigeon__client_frame__descriptor, gw->arena, &m, problem, sizeof problem);
        if (e)
            m = NULL;
    } else if ((m = pgn_pb_unpack(&pigeon__client_frame__descriptor, gw->arena, data, len)) == NULL) {
        memcpy(problem, "not a ClientFrame", 18);
    }
    const Pigeon__ClientFrame *f = (const Pigeon__ClientFrame *)m;
    if (f && !f->id && f->op_case == PIGEON__CLIENT_FRAME__OP__NOT_SET) {
        memcpy(problem, "an empty frame", 15);
        m = NULL;
    }
    if (!m)
        malformed(c, json ? id_of(data, len) : 0, problem);
    else if (c->state == GW_HELLO)
        first_frame(c, f);
    else
        session_frame(c, f);
    pgn_arena_reset(gw->arena);
}
