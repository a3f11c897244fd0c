/* Subscriptions of MQTT sessions, and messages as packets: services/gateway/gw_mqtt_subs.h, gw_mqtt_forms.h. */
#include "services/gateway/gw_mqtt.h"
#include "services/gateway/gw_mqtt_forms.h"
#include "services/gateway/gw_mqtt_subs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct gw_mqtt_str str(const char *s)
{
    return (struct gw_mqtt_str){s, strlen(s)};
}

static void test_filters(void **state)
{
    enum { BOTH = GW_MQTT_FROM_USER | GW_MQTT_IN_CONV };
    static const struct {
        const char *filter;
        int reason, places;
        const char *name;
    } rows[] = {
        {"inbox/#", 0, BOTH, ""},
        {"inbox/+/+", 0, BOTH, ""},
        {"inbox/+/#", 0, BOTH, ""},
        {"inbox/u/+", 0, GW_MQTT_FROM_USER, ""},
        {"inbox/u/#", 0, GW_MQTT_FROM_USER, ""},
        {"inbox/c/+", 0, GW_MQTT_IN_CONV, ""},
        {"inbox/u/bob", 0, GW_MQTT_FROM_USER, "bob"},
        {"inbox/+/bob", 0, BOTH, "bob"},
        {"inbox/c/c234567abcdefghij", 0, GW_MQTT_IN_CONV, "c234567abcdefghij"},
        {"inbox/c/d:alice:bob", 0, GW_MQTT_IN_CONV, "d:alice:bob"},
        {"presence/bob", 0, GW_MQTT_PRESENCE, "bob"},
        {"presence/+", GW_MQTT_NOT_AUTHORIZED, 0, NULL},
        {"presence/#", GW_MQTT_NOT_AUTHORIZED, 0, NULL},
        {"presence", GW_MQTT_NOT_AUTHORIZED, 0, NULL},
        {"presence/bob/x", GW_MQTT_NOT_AUTHORIZED, 0, NULL},
        {"presence/Bob", GW_MQTT_BAD_FILTER, 0, NULL},
        {"inbox/u/Bob Smith", GW_MQTT_BAD_FILTER, 0, NULL},
        {"inbox/c/nonsense", GW_MQTT_BAD_FILTER, 0, NULL},
        {"inbox/u/", GW_MQTT_BAD_FILTER, 0, NULL},
        {"inbox", GW_MQTT_NOT_AUTHORIZED, 0, NULL},
        {"inbox/u", GW_MQTT_NOT_AUTHORIZED, 0, NULL},
        {"inbox/u/bob/x", GW_MQTT_NOT_AUTHORIZED, 0, NULL},
        {"#", GW_MQTT_NOT_AUTHORIZED, 0, NULL},
        {"+/u/bob", GW_MQTT_NOT_AUTHORIZED, 0, NULL},
        {"u/bob", GW_MQTT_NOT_AUTHORIZED, 0, NULL},
        {"/inbox/#", GW_MQTT_NOT_AUTHORIZED, 0, NULL},
        {"inbox/#/x", GW_MQTT_BAD_FILTER, 0, NULL},
        {"", GW_MQTT_BAD_FILTER, 0, NULL},
        {"$share/g/inbox/#", GW_MQTT_NO_SHARED, 0, NULL},
    };
    (void)state;
    for (size_t i = 0; i < PGN_COUNT(rows); i++) {
        struct gw_mqtt_parsed p;
        enum gw_mqtt_reason r = gw_mqtt_parse_filter(str(rows[i].filter), &p);
        if ((int)r != rows[i].reason)
            fail_msg("%s: 0x%02x", rows[i].filter, r);
        if (!r) {
            assert_int_equal(p.places, rows[i].places);
            assert_string_equal(p.name, rows[i].name);
        }
    }
}

static struct gw_mqtt_sub *put(struct gw_mqtt_sub **list, const char *filter, uint8_t options, bool *ret_new)
{
    struct gw_mqtt_parsed p;
    assert_int_equal(gw_mqtt_parse_filter(str(filter), &p), 0);
    return gw_mqtt_sub_put(list, str(filter), &p, options, 7, ret_new);
}

static void test_lists(void **state)
{
    struct gw_mqtt_sub *list = NULL;
    bool fresh;
    (void)state;
    struct gw_mqtt_sub *users = put(&list, "inbox/u/+", 1, &fresh);
    assert_true(fresh);
    struct gw_mqtt_sub *one = put(&list, "inbox/c/c234567abcdefghij", 1, &fresh);
    assert_true(fresh);
    assert_ptr_equal(put(&list, "inbox/u/+", 0, &fresh), users); /* replaced */
    assert_false(fresh);
    assert_int_equal(users->options, 0);
    assert_true(gw_mqtt_sub_matches(users, GW_MQTT_FROM_USER, "anybody"));
    assert_false(gw_mqtt_sub_matches(users, GW_MQTT_IN_CONV, "c234567abcdefghij"));
    assert_true(gw_mqtt_sub_matches(one, GW_MQTT_IN_CONV, "c234567abcdefghij"));
    assert_false(gw_mqtt_sub_matches(one, GW_MQTT_IN_CONV, "c234567abcdefghik"));
    assert_int_equal(gw_mqtt_subs_count(list, GW_MQTT_FROM_USER | GW_MQTT_IN_CONV), 2);
    assert_true(gw_mqtt_sub_there(list, str("inbox/u/+")));
    assert_true(gw_mqtt_sub_remove(&list, str("inbox/u/+")));
    assert_false(gw_mqtt_sub_there(list, str("inbox/u/+")));
    assert_false(gw_mqtt_sub_remove(&list, str("inbox/u/+")));
    assert_int_equal(gw_mqtt_subs_count(list, UINT8_MAX), 1);
    gw_mqtt_subs_free(&list);
    assert_null(list);
}

/* ---- packets ---- */

static Pigeon__Message a_message(Pigeon__Body *body)
{
    static char conv[] = "d:alice:bob", from[] = "alice", id[] = "01J", text[] = "hi";
    Pigeon__Message m = PIGEON__MESSAGE__INIT;
    pigeon__body__init(body);
    body->text = text;
    m.conv = conv;
    m.from = from;
    m.message_id = id;
    m.seq = 43;
    m.sent_at = 1790000000000;
    m.kind = PIGEON__KIND__text;
    m.body = body;
    return m;
}

static void test_forms_are_shared(void **state)
{
    static const uint8_t v3[] = {0x32, 2 + 13 + 2 + 2, 0, 13, 'i', 'n', 'b', 'o', 'x', '/', 'u', '/', 'a', 'l', 'i', 'c', 'e', 0, 0, 'h',
                                 'i'};
    struct gw_mqtt_forms forms = {0};
    Pigeon__Body body;
    Pigeon__Message m = a_message(&body);
    struct gw_mqtt_shape shape = {.version = GW_MQTT_3, .qos = 1};
    (void)state;
    const struct gw_mqtt_form *f = gw_mqtt_form_get(&forms, &m, &shape);
    assert_int_equal(f->packet->len, sizeof v3);
    assert_memory_equal(f->packet->data, v3, sizeof v3);
    assert_int_equal(f->id_at, 2 + 2 + 13);
    assert_ptr_equal(gw_mqtt_form_get(&forms, &m, &shape), f); /* the same bytes for the next */
    shape.qos = 0;
    const struct gw_mqtt_form *g = gw_mqtt_form_get(&forms, &m, &shape);
    assert_ptr_not_equal(f, g);
    assert_int_equal(g->id_at, 0);
    assert_int_equal(g->packet->len, sizeof v3 - 2);
    shape.in_conv = true;
    const struct gw_frame *conv = gw_mqtt_form_get(&forms, &m, &shape)->packet;
    assert_non_null(memmem(conv->data, conv->len, "inbox/c/d:alice:bob", 19));
    gw_mqtt_forms_release(&forms);
}

static void test_properties(void **state)
{
    static const uint32_t ids[] = {7, 300};
    struct gw_mqtt_shape shape = {.version = GW_MQTT_5, .qos = 1, .ids = ids, .id_count = 2};
    struct pgn_buf b = {0};
    Pigeon__Body body;
    Pigeon__Message m = a_message(&body);
    (void)state;
    assert_true(gw_mqtt_write_message(&b, &m, &shape) > 0);
    assert_non_null(memmem(b.data, b.len, "\x0b\x07\x0b\xac\x02", 5)); /* both identifiers */
    assert_non_null(memmem(b.data, b.len,
                           "\x26\x00\x03seq\x00\x02"
                           "43",
                           10));
    assert_non_null(memmem(b.data, b.len, "\x26\x00\x04kind\x00\x04text", 13));
    assert_null(memmem(b.data, b.len, "application/json", 16));
    pgn_buf_clear(&b);
    m.kind = PIGEON__KIND__custom;
    (void)gw_mqtt_write_message(&b, &m, &shape);
    assert_non_null(memmem(b.data, b.len, "application/json", 16));
    assert_non_null(memmem(b.data, b.len, "{\"text\":\"hi\"", 12));
    pgn_buf_release(&b);
}

static void test_presence(void **state)
{
    static const uint32_t ids[] = {300};
    static char alice[] = "alice";
    struct gw_mqtt_shape shape = {.version = GW_MQTT_5, .ids = ids, .id_count = 1};
    struct pgn_buf b = {0};
    Pigeon__Presence p = PIGEON__PRESENCE__INIT;
    (void)state;
    p.user = alice;
    p.state = PIGEON__STATE__online;
    gw_mqtt_write_presence(&b, &p, &shape, true);
    assert_int_equal(b.data[0], 0x31);
    assert_non_null(memmem(b.data, b.len, "\x0b\xac\x02", 3));
    pgn_buf_release(&b);
}

/* P1: what a silent session adds to a connection. */
static void test_sizes(void **state)
{
    (void)state;
    print_message("sizeof: connection %zu, of MQTT %zu, what few have %zu\n", sizeof(struct gw_conn), sizeof(struct gw_mqtt),
                  sizeof(struct gw_mqtt_more));
    assert_true(sizeof(struct gw_mqtt) <= 56);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_filters),    cmocka_unit_test(test_lists),    cmocka_unit_test(test_forms_are_shared),
        cmocka_unit_test(test_properties), cmocka_unit_test(test_presence), cmocka_unit_test(test_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
