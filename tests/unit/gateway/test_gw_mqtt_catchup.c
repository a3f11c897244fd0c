/* Sessions that are behind: services/gateway/gw_mqtt_catchup.h. No bus: what is asked is refused at once, and answers are given by hand. */
#include "services/gateway/gw_mqtt_catchup.h"

#include "services/gateway/gw_event.h"
#include "services/gateway/gw_limits.h"
#include "services/gateway/gw_loss.h"
#include "services/gateway/gw_mqtt_out.h"
#include "services/gateway/gw_mqtt_subscribe.h"
#include "services/gateway/gw_request.h"
#include "services/gateway/gw_user.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* One session of bob's, subscribed to inbox/#. */
struct bob {
    struct pgn_config config;
    struct gateway *gw;
    struct gw_user user;
    struct gw_conn conn;
};

static struct gw_conn *begin(struct bob *b, uint8_t qos)
{
    *b = (struct bob){.config = {.limits_queue_bytes = 65536}, .user = {.id = "bob"}};
    b->gw = calloc(1, sizeof *b->gw);
    b->gw->config = &b->config;
    b->gw->loop = pgn_loop_new();
    gw_mqtt_catchup_init(b->gw);
    b->user.gw = b->gw;
    b->user.conns = &b->conn;
    b->conn.gw = b->gw;
    b->conn.user = &b->user;
    b->conn.state = GW_LIVE;
    b->conn.ops_open = GW_CONN_OPS_MAX;
    gw_mqtt_new(&b->conn, false);
    b->conn.mqtt->version = GW_MQTT_5;
    b->conn.mqtt->receive_max = 10;
    b->conn.mqtt->inbox = (uint8_t)(GW_MQTT_SUBSCRIBED | qos);
    gw_loss_begin(&b->conn);
    return &b->conn;
}

static void end(struct bob *b)
{
    gw_mqtt_free(&b->conn);
    gw_outq_free(&b->conn.out);
    pgn_timer_stop(&b->gw->mqtt_timer);
    pgn_loop_free(&b->gw->loop);
    free(b->gw);
}

/* An answer to a sync: nothing has changed up to this commit. */
static void synced(struct gw_conn *c, uint64_t cursor)
{
    Pigeon__SyncPage page = PIGEON__SYNC_PAGE__INIT;
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)cursor);
    page.cursor = text;
    gw_mqtt_synced(c, &page);
}

/* A message of alice's from the bus. */
static void event(struct gw_conn *c, uint64_t commit)
{
    static char conv[] = "d:alice:bob", from[] = "alice", text[] = "hi";
    struct gw_mqtt_forms forms = {0};
    Pigeon__ServerFrame f = PIGEON__SERVER_FRAME__INIT;
    Pigeon__Message m = PIGEON__MESSAGE__INIT;
    Pigeon__Body body = PIGEON__BODY__INIT;
    body.text = text;
    m.conv = conv;
    m.from = from;
    m.seq = commit;
    m.kind = PIGEON__KIND__text;
    m.body = &body;
    f.what_case = PIGEON__SERVER_FRAME__WHAT_MESSAGE;
    f.message = &m;
    gw_mqtt_event(c, &f, &forms, commit);
    gw_mqtt_forms_release(&forms);
}

/* One that comes behind the sync of a round needs another round. */
static void test_a_loss_while_behind(void **state)
{
    struct bob b;
    struct gw_conn *c = begin(&b, 1);
    (void)state;
    gw_mqtt_fall_behind(c, 0);
    assert_true(c->mqtt->behind);
    gw_event_lost_for(&b.user, NULL);
    synced(c, 5);
    assert_true(c->mqtt->behind);
    gw_loss_mended(c, gw_loss_asked(b.gw)); /* as an answer to a sync says that was asked since */
    synced(c, 6);
    assert_false(c->mqtt->behind);
    assert_int_equal(c->mqtt->seen, 6);
    end(&b);
}

/* What comes from the bus while the session is behind comes from storage too: once is enough, and in its order. */
static void test_qos_0_while_behind(void **state)
{
    struct bob b;
    struct gw_conn *c = begin(&b, 0);
    (void)state;
    gw_mqtt_fall_behind(c, 0);
    event(c, 7);
    assert_null(c->out);
    synced(c, 6); /* which does not know of it */
    assert_true(c->mqtt->behind);
    synced(c, 7);
    assert_false(c->mqtt->behind);
    event(c, 8);
    assert_non_null(c->out);
    end(&b);
}

static void test_joined(void **state)
{
    static const char text[] = "inbox/u/alice";
    struct gw_mqtt_str filter = {text, sizeof text - 1};
    struct gw_mqtt_parsed parsed;
    struct bob b;
    struct gw_conn *c = begin(&b, 1);
    (void)state;
    c->mqtt->inbox = 0;
    assert_int_equal(gw_mqtt_parse_filter(filter, &parsed), GW_MQTT_SUCCESS);
    (void)gw_mqtt_subscribe_put(c->mqtt, filter, &parsed, 1, 0);
    gw_mqtt_joined(c, 4);
    assert_false(c->mqtt->behind); /* nothing of a group is for it */
    c->mqtt->inbox = GW_MQTT_SUBSCRIBED;
    c->mqtt->seen = 10; /* other events came earlier */
    gw_mqtt_joined(c, 4);
    assert_true(c->mqtt->behind);
    assert_int_equal(c->mqtt->seen, 3);
    synced(c, 10);
    assert_false(c->mqtt->behind);
    end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_loss_while_behind),
        cmocka_unit_test(test_qos_0_while_behind),
        cmocka_unit_test(test_joined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
