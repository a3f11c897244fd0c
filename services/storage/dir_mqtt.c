/*
 * Persistent sessions of MQTT clients: the gateway's own, kept and given back as they are. One a device that is logged in, so there are
 * at most as many of a user's as devices; revoke_these in dir_sessions.c takes them away.
 */
#include "common/base/clock.h"
#include "common/base/error.h"
#include "services/storage/dir_internal.h"

#include <string.h>

enum { STATE_MAX = 16 * 1024, CURSOR_MAX = 20, SWEEP_MS = 60000, SWEEP_ROWS = 500 };

static int named(struct sto_asking *a, const Pigeon__MqttSession *in)
{
    return pgn_user_valid(in->user) && pgn_device_valid(in->device) ? 0 : sto_ask_error(a, PGN_E_INVALID, "malformed user or device");
}

/* out stays empty when there is none. */
static int find(struct sto_asking *a, const Pigeon__MqttSession *in, Pigeon__MqttSession *out)
{
    sqlite3_stmt *s = sto_sql_bind(a->dir, STO_SQL_MQTT_GET, "ssi", in->user, in->device, (int64_t)a->now_ms);
    bool row;
    int error = sto_sql_step(s, &row);

    if (!error && row) {
        out->user = pgn_arena_strdup(a->arena, in->user);
        out->device = pgn_arena_strdup(a->arena, in->device);
        out->expires_at = (uint64_t)sqlite3_column_int64(s, 0);
        out->cursor = sto_sql_text(a->arena, s, 1);
        out->state.len = (size_t)sqlite3_column_bytes(s, 2);
        out->state.data = (uint8_t *)sto_arena_text(a->arena, sqlite3_column_blob(s, 2), out->state.len);
        sqlite3_reset(s);
    }
    return error;
}

/* Whether the connection that asks has the session. */
static int held(struct sto_asking *a, const Pigeon__MqttSession *in)
{
    Pigeon__MqttSession there = PIGEON__MQTT_SESSION__INIT;

    if (!in->holder || in->begin)
        return 0;
    int error = find(a, in, &there);
    if (error)
        return error;
    const Pigeon__MqttState *state = PGN_PB_UNPACK(Pigeon__MqttState, pigeon__mqtt_state, a->arena, there.state.data, there.state.len);

    if (!there.user[0] || (state && state->holder && state->holder != in->holder))
        return sto_ask_error(a, PGN_E_CONFLICT, "another connection has the session now, or it is over");
    return 0;
}

static int get(struct sto_asking *a, const Pigeon__MqttSession *in)
{
    int error = named(a, in);

    if (error)
        return error;
    STO_NEW(a->arena, Pigeon__MqttSession, pigeon__mqtt_session, out);
    a->reply->payload_case = PIGEON__REPLY__PAYLOAD_MQTT;
    a->reply->mqtt = out;
    return find(a, in, out);
}

static int put_check(struct sto_asking *a, const Pigeon__MqttSession *in)
{
    int error = named(a, in);
    size_t cursor = strlen(in->cursor);

    if (error)
        return error;
    if (cursor > CURSOR_MAX || strspn(in->cursor, "0123456789") != cursor)
        return sto_ask_error(a, PGN_E_INVALID, "malformed cursor");
    if (in->expires_at > INT64_MAX)
        return sto_ask_error(a, PGN_E_INVALID, "expires_at is not a time");
    return in->state.len <= STATE_MAX ? 0 : sto_ask_error(a, PGN_E_TOO_LARGE, "the session's state is over 16 KiB");
}

static int put(struct sto_asking *a, const Pigeon__MqttSession *in)
{
    int changes = 0, error = put_check(a, in);

    if (!error && a->now_ms >= a->dir->mqtt_swept_ms + SWEEP_MS) {
        a->dir->mqtt_swept_ms = a->now_ms;
        error = sto_sql_run(a->dir, STO_SQL_MQTT_OLD, NULL, "ii", (int64_t)a->now_ms, (int64_t)SWEEP_ROWS);
    }
    if (!error)
        error = held(a, in);
    if (!error)
        error = sto_sql_run(a->dir, STO_SQL_MQTT_PUT, &changes, "ssisbi", in->user, in->device, (int64_t)in->expires_at, in->cursor,
                            in->state.data, in->state.len, (int64_t)a->now_ms);
    if (!error && changes == 0)
        return sto_ask_error(a, PGN_E_UNAUTHENTICATED, "the device is not logged in");
    return error;
}

static int take_away(struct sto_asking *a, const Pigeon__MqttSession *in)
{
    int error = named(a, in);

    if (!error)
        error = held(a, in);
    return error ? error : sto_sql_run(a->dir, STO_SQL_MQTT_DEL, NULL, "ss", in->user, in->device);
}

static int mqtt_do(struct sto_asking *a, const void *request)
{
    const Pigeon__MqttRequest *in = request;

    switch (in->what_case) {
    case PIGEON__MQTT_REQUEST__WHAT_GET:
        return get(a, in->get);
    case PIGEON__MQTT_REQUEST__WHAT_PUT:
        return put(a, in->put);
    case PIGEON__MQTT_REQUEST__WHAT_REMOVE:
        return take_away(a, in->remove);
    case PIGEON__MQTT_REQUEST__WHAT_RELEASE: /* the commit lane's */
    case PIGEON__MQTT_REQUEST__WHAT__NOT_SET:
    case _PIGEON__MQTT_REQUEST__WHAT__CASE_IS_INT_SIZE:
        break;
    }
    return sto_ask_error(a, PGN_E_INVALID, "unknown request");
}

int sto_dir_mqtt(struct sto_dir *dir, const Pigeon__MqttRequest *request, struct pgn_arena *arena, Pigeon__Reply *ret,
                 struct sto_effects *effects)
{
    struct sto_asking a = {dir, arena, ret, effects, "", pgn_wall_ms()};

    return sto_ask_atomic(&a, mqtt_do, request, request->what_case != PIGEON__MQTT_REQUEST__WHAT_GET);
}

int sto_dir_mqtt_clean(struct sto_dir *dir)
{
    int error = sto_sql_run(dir, STO_SQL_MQTT_OLD, NULL, "ii", (int64_t)pgn_wall_ms(), (int64_t)-1);

    return error ? error : sto_sql_run(dir, STO_SQL_MQTT_ORPHANS, NULL, "");
}
