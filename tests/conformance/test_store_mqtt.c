/* What MQTT needs of a store: its clients' sessions, and forgetting a retry key. On every store. */
#include "tests/conformance/support/store_kit.h"

#include "common/base/clock.h"

#include <stdio.h>
#include <string.h>

/* ---- sessions ---- */

static void log_in(struct kit *k, const char *user, const char *device, uint8_t token)
{
    Pigeon__SessionRequest request = PIGEON__SESSION_REQUEST__INIT;
    Pigeon__Session session = PIGEON__SESSION__INIT;
    uint8_t *hash = pgn_arena_alloc(k->arena, PGN_HASH_BYTES);

    memset(hash, token, PGN_HASH_BYTES);
    session.hash = (ProtobufCBinaryData){PGN_HASH_BYTES, hash};
    session.user = pgn_arena_strdup(k->arena, user);
    session.device = pgn_arena_strdup(k->arena, device);
    request.what_case = PIGEON__SESSION_REQUEST__WHAT_CREATE;
    request.create = &session;
    assert_int_equal(kit_session(k, &request), 0);
}

static void log_out(struct kit *k, const char *user, const char *device)
{
    Pigeon__SessionRequest request = PIGEON__SESSION_REQUEST__INIT;
    Pigeon__SessionRevoke revoke = PIGEON__SESSION_REVOKE__INIT;

    revoke.user = pgn_arena_strdup(k->arena, user);
    revoke.device = pgn_arena_strdup(k->arena, device);
    request.what_case = PIGEON__SESSION_REQUEST__WHAT_REVOKE;
    request.revoke = &revoke;
    assert_int_equal(kit_session(k, &request), 0);
}

static Pigeon__MqttSession *session_of(struct kit *k, const char *user, const char *device, uint64_t expires_at, const char *cursor)
{
    Pigeon__MqttSession *s = pgn_arena_alloc(k->arena, sizeof *s);

    pigeon__mqtt_session__init(s);
    s->user = pgn_arena_strdup(k->arena, user);
    s->device = pgn_arena_strdup(k->arena, device);
    s->expires_at = expires_at;
    s->cursor = pgn_arena_strdup(k->arena, cursor);
    s->state = (ProtobufCBinaryData){4, (uint8_t *)pgn_arena_strdup(k->arena, "\x01\x02\xff\x03")};
    return s;
}

static int put(struct kit *k, Pigeon__MqttSession *s)
{
    Pigeon__MqttRequest request = PIGEON__MQTT_REQUEST__INIT;

    request.what_case = PIGEON__MQTT_REQUEST__WHAT_PUT;
    request.put = s;
    return kit_mqtt(k, &request);
}

/* "" when there is none. */
static const char *cursor_of(struct kit *k, const char *user, const char *device)
{
    Pigeon__MqttRequest request = PIGEON__MQTT_REQUEST__INIT;

    request.what_case = PIGEON__MQTT_REQUEST__WHAT_GET;
    request.get = session_of(k, user, device, 0, "");
    assert_int_equal(kit_mqtt(k, &request), 0);
    assert_int_equal(k->reply.payload_case, PIGEON__REPLY__PAYLOAD_MQTT);
    return k->reply.mqtt->user[0] ? k->reply.mqtt->cursor : "";
}

static void a_session_is_kept_and_given_back(void **state)
{
    struct kit *k = kit_of(state);
    Pigeon__MqttRequest request = PIGEON__MQTT_REQUEST__INIT;
    uint64_t later = pgn_wall_ms() + 3600 * 1000;

    kit_users(k, "alice", "bob", NULL);
    log_in(k, "alice", "pump", 1);
    log_in(k, "bob", "pump", 2);
    assert_string_equal(cursor_of(k, "alice", "pump"), "");
    assert_int_equal(put(k, session_of(k, "alice", "pump", later, "12")), 0);
    assert_int_equal(put(k, session_of(k, "bob", "pump", 0, "7")), 0);
    assert_int_equal(put(k, session_of(k, "alice", "pump", later, "15")), 0); /* the newer one counts */
    if (kit_durable())
        kit_reopen(k);
    assert_string_equal(cursor_of(k, "alice", "pump"), "15");
    assert_int_equal(k->reply.mqtt->expires_at, later);
    assert_string_equal(k->reply.mqtt->device, "pump");
    assert_int_equal(k->reply.mqtt->state.len, 4);
    assert_memory_equal(k->reply.mqtt->state.data, "\x01\x02\xff\x03", 4);
    request.what_case = PIGEON__MQTT_REQUEST__WHAT_REMOVE;
    request.remove = session_of(k, "alice", "pump", 0, "");
    assert_int_equal(kit_mqtt(k, &request), 0);
    assert_int_equal(kit_mqtt(k, &request), 0); /* twice is no fault */
    assert_string_equal(cursor_of(k, "alice", "pump"), "");
    assert_string_equal(cursor_of(k, "bob", "pump"), "7");
}

/* What a connection asks: a put with its state, or a get or removal without. */
static int as_holder(struct kit *k, Pigeon__MqttRequest__WhatCase what, uint64_t holder, bool begin, const char *cursor)
{
    Pigeon__MqttRequest request = PIGEON__MQTT_REQUEST__INIT;
    Pigeon__MqttState state = PIGEON__MQTT_STATE__INIT;
    struct pgn_buf packed = {0};

    request.what_case = what;
    request.get = session_of(k, "alice", "pump", 0, cursor); /* one of the union's */
    request.get->holder = state.holder = holder;
    request.get->begin = begin;
    pgn_pb_pack(&state, &packed);
    request.get->state = (ProtobufCBinaryData){packed.len, packed.data};
    int error = kit_mqtt(k, &request);
    pgn_buf_release(&packed);
    return error;
}

static void a_session_is_its_last_holders(void **state)
{
    struct kit *k = kit_of(state);
    const Pigeon__MqttRequest__WhatCase get = PIGEON__MQTT_REQUEST__WHAT_GET, put_it = PIGEON__MQTT_REQUEST__WHAT_PUT;

    kit_users(k, "alice", NULL);
    log_in(k, "alice", "pump", 1);
    assert_int_equal(as_holder(k, put_it, 1, false, "1"), PGN_E_CONFLICT); /* there is none to go on with */
    assert_int_equal(as_holder(k, put_it, 1, true, "1"), 0);
    assert_int_equal(as_holder(k, put_it, 1, false, "2"), 0);
    assert_int_equal(as_holder(k, get, 2, false, ""), 0); /* to look at it changes nothing */
    assert_string_equal(k->reply.mqtt->cursor, "2");
    assert_int_equal(as_holder(k, put_it, 1, false, "2"), 0);
    assert_int_equal(as_holder(k, put_it, 2, true, "2"), 0); /* another connection takes it over */
    if (kit_durable())
        kit_reopen(k);
    assert_int_equal(as_holder(k, put_it, 1, false, "3"), PGN_E_CONFLICT);
    assert_int_equal(as_holder(k, PIGEON__MQTT_REQUEST__WHAT_REMOVE, 1, false, ""), PGN_E_CONFLICT);
    assert_string_equal(cursor_of(k, "alice", "pump"), "2");
    assert_int_equal(as_holder(k, put_it, 2, false, "4"), 0);
    assert_int_equal(as_holder(k, put_it, 3, true, "5"), 0); /* begun anew */
    assert_int_equal(as_holder(k, put_it, 2, false, "6"), PGN_E_CONFLICT);
    assert_int_equal(as_holder(k, PIGEON__MQTT_REQUEST__WHAT_REMOVE, 3, false, ""), 0);
    assert_int_equal(as_holder(k, put_it, 3, false, "7"), PGN_E_CONFLICT); /* removed is removed */
    assert_string_equal(cursor_of(k, "alice", "pump"), "");
}

static void who_is_not_logged_in_keeps_nothing(void **state)
{
    struct kit *k = kit_of(state);

    kit_users(k, "alice", NULL);
    log_in(k, "alice", "pump", 1);
    assert_int_equal(put(k, session_of(k, "alice", "valve", 0, "1")), PGN_E_UNAUTHENTICATED);
    assert_int_equal(put(k, session_of(k, "nobody", "pump", 0, "1")), PGN_E_UNAUTHENTICATED);
    assert_string_equal(cursor_of(k, "alice", "valve"), "");
    assert_int_equal(put(k, session_of(k, "alice", "pump", 0, "1")), 0);
    log_in(k, "alice", "pump", 2); /* again: the client goes on where it was */
    assert_string_equal(cursor_of(k, "alice", "pump"), "1");
    log_out(k, "alice", "pump");
    assert_string_equal(cursor_of(k, "alice", "pump"), "");
    log_in(k, "alice", "pump", 3);
    assert_string_equal(cursor_of(k, "alice", "pump"), "");
}

static void a_disabled_user_keeps_nothing(void **state)
{
    struct kit *k = kit_of(state);
    Pigeon__DirRequest request = PIGEON__DIR_REQUEST__INIT;
    Pigeon__UserPatch patch = PIGEON__USER_PATCH__INIT;
    Pigeon__User values = PIGEON__USER__INIT;
    static char name[] = "alice", disabled[] = "disabled";
    static char *fields[] = {disabled};

    kit_users(k, "alice", NULL);
    log_in(k, "alice", "pump", 1);
    assert_int_equal(put(k, session_of(k, "alice", "pump", 0, "1")), 0);
    patch.user = name;
    patch.values = &values;
    patch.fields = fields;
    patch.n_fields = 1;
    request.what_case = PIGEON__DIR_REQUEST__WHAT_USER_PATCH;
    request.user_patch = &patch;
    values.disabled = true;
    assert_int_equal(kit_dir(k, &request), 0);
    assert_string_equal(cursor_of(k, "alice", "pump"), "");
    assert_int_equal(put(k, session_of(k, "alice", "pump", 0, "1")), PGN_E_UNAUTHENTICATED);
}

static void a_session_that_is_over_is_gone(void **state)
{
    struct kit *k = kit_of(state);

    kit_users(k, "alice", NULL);
    log_in(k, "alice", "pump", 1);
    assert_int_equal(put(k, session_of(k, "alice", "pump", pgn_wall_ms() - 1, "1")), 0);
    assert_string_equal(cursor_of(k, "alice", "pump"), "");
    if (kit_durable())
        kit_reopen(k);
    assert_string_equal(cursor_of(k, "alice", "pump"), "");
}

static void what_is_not_valid_is_refused(void **state)
{
    struct kit *k = kit_of(state);
    Pigeon__MqttRequest nothing = PIGEON__MQTT_REQUEST__INIT;
    Pigeon__MqttSession *large;

    kit_users(k, "alice", NULL);
    log_in(k, "alice", "pump", 1);
    assert_int_equal(put(k, session_of(k, "alice", "no device", 0, "1")), PGN_E_INVALID);
    assert_int_equal(put(k, session_of(k, "ALICE", "pump", 0, "1")), PGN_E_INVALID);
    assert_int_equal(put(k, session_of(k, "alice", "", 0, "1")), PGN_E_INVALID);
    assert_int_equal(put(k, session_of(k, "alice", "pump", 0, "1x")), PGN_E_INVALID);
    assert_int_equal(put(k, session_of(k, "alice", "pump", 0, "123456789012345678901")), PGN_E_INVALID);
    assert_int_equal(put(k, session_of(k, "alice", "pump", UINT64_MAX, "1")), PGN_E_INVALID);
    large = session_of(k, "alice", "pump", 0, "1");
    large->state.data = pgn_arena_alloc(k->arena, 16385);
    memset(large->state.data, 7, 16385);
    large->state.len = 16385;
    assert_int_equal(put(k, large), PGN_E_TOO_LARGE);
    large->state.len = 16384;
    assert_int_equal(put(k, large), 0);
    assert_int_equal(kit_mqtt(k, &nothing), PGN_E_INVALID);
    assert_string_equal(cursor_of(k, "alice", "pump"), "1");
}

static void there_are_as_many_as_devices(void **state)
{
    enum { DEVICES = 100 };
    struct kit *k = kit_of(state);
    char device[16];
    int left = 0;

    kit_users(k, "alice", NULL);
    for (int i = 0; i <= DEVICES; i++) { /* one more than there may be */
        snprintf(device, sizeof device, "d%d", i);
        log_in(k, "alice", device, (uint8_t)i);
        assert_int_equal(put(k, session_of(k, "alice", device, 0, "1")), 0);
    }
    for (int i = 0; i <= DEVICES; i++) {
        snprintf(device, sizeof device, "d%d", i);
        left += cursor_of(k, "alice", device)[0] != 0;
    }
    assert_int_equal(left, DEVICES);
}

/* ---- retry keys ---- */

static void release(struct kit *k, const char *user, const char *client_id)
{
    Pigeon__CommitItem *item = kit_item(k, user, "", 0);

    item->n_subjects = 0;
    item->what_case = PIGEON__COMMIT_ITEM__WHAT_RELEASE;
    item->release = pgn_arena_alloc(k->arena, sizeof *item->release);
    pigeon__mqtt_release__init(item->release);
    item->release->user = item->user;
    item->release->device = item->device;
    item->release->client_id = pgn_arena_strdup(k->arena, client_id);
}

static int release_now(struct kit *k, const char *user, const char *client_id)
{
    release(k, user, client_id);
    assert_int_equal(kit_commit(k), 0);
    return k->results[0].error;
}

static uint64_t seq_of(struct kit *k, const char *conv, const char *client_id)
{
    assert_int_equal(kit_send(k, "alice", conv, client_id, "x"), 0);
    return k->results[0].sent->seq;
}

static void a_released_key_is_new(void **state)
{
    struct kit *k = kit_of(state);

    kit_users(k, "alice", "bob", NULL);
    const char *conv = kit_direct(k, "alice", "bob");
    assert_int_equal(release_now(k, "alice", "mq2-7"), 0); /* never used: no fault */
    assert_int_equal(k->effects.event_count, 0);
    assert_int_equal(seq_of(k, conv, "mq2-7"), 1);
    assert_int_equal(seq_of(k, conv, "mq2-8"), 2);
    assert_int_equal(release_now(k, "bob", "mq2-7"), 0); /* another's key */
    if (kit_durable())
        kit_reopen(k);
    assert_int_equal(seq_of(k, conv, "mq2-7"), 1); /* the retry is found until then */
    assert_int_equal(release_now(k, "alice", "mq2-7"), 0);
    assert_int_equal(release_now(k, "alice", "mq2-7"), 0);
    if (kit_durable())
        kit_reopen(k);
    assert_int_equal(seq_of(k, conv, "mq2-7"), 3);
    assert_int_equal(seq_of(k, conv, "mq2-7"), 3);
    assert_int_equal(seq_of(k, conv, "mq2-8"), 2); /* the others stay */
    if (kit_durable())
        kit_reopen(k);
    assert_int_equal(seq_of(k, conv, "mq2-7"), 3);
    assert_int_equal(release_now(k, "alice", ""), PGN_E_INVALID);
    assert_int_equal(release_now(k, "ALICE", "mq2-8"), PGN_E_INVALID);
    assert_int_equal(kit_fetch(k, conv, 0, 0, 10, 1)->n_messages, 3);
}

static void a_release_is_in_order_with_its_commit(void **state)
{
    struct kit *k = kit_of(state);

    kit_users(k, "alice", "bob", NULL);
    const char *conv = kit_direct(k, "alice", "bob");
    for (uint64_t round = 0; round < 2; round++) {
        kit_text(k, "alice", conv, 0, "mq2-1", "first");
        kit_text(k, "alice", conv, 0, "mq2-1", "first");
        release(k, "alice", "mq2-1");
        kit_text(k, "alice", conv, 0, "mq2-1", "second");
        kit_text(k, "alice", conv, 0, "mq2-1", "second");
        release(k, "alice", "mq2-1");
        assert_int_equal(kit_commit(k), 0);
        assert_int_equal(k->results[0].sent->seq, 2 * round + 1);
        assert_int_equal(k->results[1].sent->seq, 2 * round + 1);
        assert_int_equal(k->results[2].error, 0);
        assert_int_equal(k->results[3].sent->seq, 2 * round + 2);
        assert_int_equal(k->results[4].sent->seq, 2 * round + 2);
        assert_int_equal(k->results[5].error, 0);
    }
    assert_int_equal(seq_of(k, conv, "mq2-1"), 5);
}

int main(void)
{
    static const struct CMUnitTest mqtt[] = {
        KIT_TEST(a_session_is_kept_and_given_back),      KIT_TEST(a_session_is_its_last_holders),
        KIT_TEST(who_is_not_logged_in_keeps_nothing),    KIT_TEST(a_disabled_user_keeps_nothing),
        KIT_TEST(a_session_that_is_over_is_gone),        KIT_TEST(what_is_not_valid_is_refused),
        KIT_TEST(there_are_as_many_as_devices),          KIT_TEST(a_released_key_is_new),
        KIT_TEST(a_release_is_in_order_with_its_commit),
    };

    KIT_RUN(mqtt);
}
