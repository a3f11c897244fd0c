#include "tests/unit/common/proto/random_message.h"

#include "common/base/error.h"
#include "common/base/json.h"
#include "common/base/utf8.h"
#include "common/proto/json_map.h"

#include "api.pb-c.h"

#include <jansson.h>

enum { ROUNDS = 200 };

static struct pgn_arena *arena;
static struct pgn_buf text, packed, again;
static char problem[128];

static int setup(void **state)
{
    (void)state;
    arena = pgn_arena_new(4096);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    pgn_arena_free(&arena);
    pgn_buf_release(&text);
    pgn_buf_release(&packed);
    pgn_buf_release(&again);
    return 0;
}

static const char *encoded(const void *message)
{
    pgn_buf_clear(&text);
    pgn_json_encode(message, &text);
    return pgn_buf_cstr(&text);
}

static ProtobufCMessage *decoded(const char *json, const ProtobufCMessageDescriptor *type)
{
    ProtobufCMessage *m = NULL;
    int e;

    memset(problem, 0, sizeof(problem));
    e = pgn_json_decode(json, strlen(json), type, arena, &m, problem, sizeof(problem));
    if (e) {
        assert_int_equal(e, PGN_E_SYNTAX);
        assert_null(m);
        assert_true(strlen(problem) > 0);
        return NULL;
    }
    assert_ptr_equal(m->descriptor, type);
    return m;
}

static Pigeon__ClientFrame *frame_of(const char *json)
{
    return (Pigeon__ClientFrame *)decoded(json, &pigeon__client_frame__descriptor);
}

static Pigeon__ServerFrame *server_frame_of(const char *json)
{
    return (Pigeon__ServerFrame *)decoded(json, &pigeon__server_frame__descriptor);
}

/* ---- both ways ---- */

/* The same message written by jansson, spaced out and with \u escapes, reads as what is in `packed`. */
static void check_foreign_writer(const json_t *parsed, const ProtobufCMessageDescriptor *type)
{
    char *spaced = json_dumps(parsed, JSON_ENSURE_ASCII | JSON_INDENT(2));
    ProtobufCMessage *read = decoded(spaced, type);

    if (!read)
        fail_msg("%s: %s: %s", type->name, problem, spaced);
    pgn_buf_clear(&again);
    pgn_pb_pack(read, &again);
    assert_int_equal(packed.len, again.len);
    if (packed.len)
        assert_memory_equal(packed.data, again.data, packed.len);
    free(spaced);
}

static void every_type_goes_round(void **state)
{
    (void)state;
    assert_true(all_types_count > 90);
    for (size_t t = 0; t < all_types_count; t++) {
        for (int round = 0; round < ROUNDS; round++) {
            ProtobufCMessage *m = random_message(all_types[t], arena, 4), *read;
            json_t *parsed;
            pgn_buf_clear(&packed);
            pgn_buf_clear(&again);
            pgn_pb_pack(m, &packed);
            read = decoded(encoded(m), all_types[t]);
            if (!read)
                fail_msg("%s: %s: %s", all_types[t]->name, problem, encoded(m));
            pgn_pb_pack(read, &again);
            if (packed.len != again.len || (packed.len && memcmp(packed.data, again.data, packed.len)))
                fail_msg("%s is not the same: %s", all_types[t]->name, encoded(m));
            parsed = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, NULL);
            assert_non_null(parsed); /* another one's reader takes it too */
            check_foreign_writer(parsed, all_types[t]);
            json_decref(parsed);
            pgn_arena_reset(arena);
        }
    }
}

/* ---- writing: what docs/PROTOCOL.md shows, letter for letter ---- */

static void a_message_is_written_as_documented(void **state)
{
    Pigeon__Body body = PIGEON__BODY__INIT;
    Pigeon__Message m = PIGEON__MESSAGE__INIT;
    Pigeon__ServerFrame frame = PIGEON__SERVER_FRAME__INIT;
    char conv[] = "c9", id[] = "01A", from[] = "bob", device[] = "web", client_id[] = "7", hi[] = "hi", carol[] = "carol";
    char *mentions[] = {carol};

    (void)state;
    body.text = hi;
    m.conv = conv;
    m.seq = 43;
    m.message_id = id;
    m.from = from;
    m.device = device;
    m.client_id = client_id;
    m.sent_at = 1790000000000;
    m.kind = PIGEON__KIND__text;
    m.body = &body;
    frame.what_case = PIGEON__SERVER_FRAME__WHAT_MESSAGE;
    frame.message = &m;
    assert_string_equal(encoded(&frame),
                        "{\"message\":{\"conv\":\"c9\",\"seq\":43,\"message_id\":\"01A\",\"from\":\"bob\",\"device\":\"web\","
                        "\"client_id\":\"7\",\"sent_at\":1790000000000,\"kind\":\"text\",\"body\":{\"text\":\"hi\"}}}");
    m.reply_to = 42;
    m.edited_at = 5;
    m.recalled = 1;
    m.mentions = mentions;
    m.n_mentions = 1;
    m.body = NULL;
    assert_string_equal(encoded(&m), "{\"conv\":\"c9\",\"seq\":43,\"message_id\":\"01A\",\"from\":\"bob\",\"device\":\"web\","
                                     "\"client_id\":\"7\",\"sent_at\":1790000000000,\"kind\":\"text\",\"reply_to\":42,"
                                     "\"mentions\":[\"carol\"],\"edited_at\":5,\"recalled\":true}");
}

static void zeros_are_written_unless_sparse(void **state)
{
    Pigeon__ServerFrame frame = PIGEON__SERVER_FRAME__INIT;
    Pigeon__Ok ok = PIGEON__OK__INIT;
    Pigeon__Error error = PIGEON__ERROR__INIT;
    Pigeon__Bye bye = PIGEON__BYE__INIT;
    Pigeon__ConvState conv = PIGEON__CONV_STATE__INIT;
    Pigeon__File file = PIGEON__FILE__INIT;
    Pigeon__Operation op = PIGEON__OPERATION__INIT;
    Pigeon__Send send = PIGEON__SEND__INIT;
    Pigeon__Location location = PIGEON__LOCATION__INIT;
    Pigeon__Page page = PIGEON__PAGE__INIT;
    Pigeon__ClientFrame to_server = PIGEON__CLIENT_FRAME__INIT;

    (void)state;
    assert_string_equal(encoded(&frame), "{}");
    frame.id = 7;
    frame.what_case = PIGEON__SERVER_FRAME__WHAT_OK;
    frame.ok = &ok;
    assert_string_equal(encoded(&frame), "{\"id\":7,\"ok\":{}}");
    frame.what_case = PIGEON__SERVER_FRAME__WHAT_ERROR;
    frame.error = &error;
    assert_string_equal(encoded(&frame), "{\"id\":7,\"error\":{\"retry\":false}}");
    frame.id = 0;
    frame.what_case = PIGEON__SERVER_FRAME__WHAT_BYE;
    frame.bye = &bye;
    assert_string_equal(encoded(&frame), "{\"bye\":{\"retry_after_ms\":0}}");
    assert_string_equal(encoded(&conv), "{\"last_seq\":0,\"read_seq\":0,\"delivered_seq\":0,\"unread\":0,\"version\":0}");
    assert_string_equal(encoded(&file), "{\"size\":0}");
    assert_string_equal(encoded(&op), "{}");
    assert_string_equal(encoded(&send), "{}");
    assert_string_equal(encoded(&location), "{\"latitude\":0,\"longitude\":0}");
    assert_string_equal(encoded(&page), "{\"more\":false}");
    assert_string_equal(encoded(&to_server), "{\"id\":0}");
    conv.gone = 1;
    conv.peer_read = 1;
    conv.peer_delivered = 2;
    conv.members = 3;
    conv.mentioned = 4;
    conv.last_seq = 9;
    assert_string_equal(encoded(&conv), "{\"last_seq\":9,\"read_seq\":0,\"delivered_seq\":0,\"unread\":0,\"version\":0,\"gone\":true,"
                                        "\"peer_read\":1,\"peer_delivered\":2,\"members\":3,\"mentioned\":4}");
}

static void odd_values_are_written(void **state)
{
    Pigeon__Target to = PIGEON__TARGET__INIT;
    Pigeon__Session session = PIGEON__SESSION__INIT;
    Pigeon__Message m = PIGEON__MESSAGE__INIT;
    uint8_t hash[] = {0xfb, 0xff, 0xfe, 0x00};
    char empty[] = "";

    (void)state;
    to.to_case = PIGEON__TARGET__TO_USER;
    to.user = empty;
    assert_string_equal(encoded(&to), "{\"user\":\"\"}"); /* chosen, though empty */
    session.hash = (ProtobufCBinaryData){sizeof(hash), hash};
    assert_non_null(strstr(encoded(&session), "\"hash\":\"+//+AA==\""));
    m.kind = (Pigeon__Kind)77; /* a newer peer's */
    assert_non_null(strstr(encoded(&m), "\"kind\":77"));
}

/* ---- reading ---- */

static void a_send_is_read(void **state)
{
    Pigeon__ClientFrame *f = frame_of(
        " {\"send\" : {\"to\":{\"user\":\"bob\"},\"client_id\":\"7\",\"kind\":\"text\",\"body\":{\"text\":\"\\u00e4\\ud83d\\udc4d\"},"
        "\"reply_to\":null,\"mentions\":[\"a\",\"b\"],\"new_field\":{\"x\":[1]}},\"id\":9007199254740991}\n");

    (void)state;
    assert_non_null(f);
    assert_true(f->id == 9007199254740991u);
    assert_int_equal(f->op_case, PIGEON__CLIENT_FRAME__OP_SEND);
    assert_int_equal(f->send->to->to_case, PIGEON__TARGET__TO_USER);
    assert_string_equal(f->send->to->user, "bob");
    assert_int_equal(f->send->kind, PIGEON__KIND__text);
    assert_string_equal(f->send->body->text, "\xc3\xa4\xf0\x9f\x91\x8d");
    assert_int_equal(f->send->reply_to, 0);
    assert_int_equal(f->send->n_mentions, 2);
    assert_string_equal(f->send->mentions[1], "b");
    assert_null(f->send->body->file);
}

/* Every escape, at every place of the eight bytes that are looked at together. */
static void escapes_are_resolved(void **state)
{
    static const struct {
        const char *written, *meant; /* NULL: refused */
    } escapes[] = {
        {"\\\"", "\""},
        {"\\\\", "\\"},
        {"\\/", "/"},
        {"\\b\\f\\n\\r\\t", "\b\f\n\r\t"},
        {"\\u0041", "A"},
        {"\\u00E4", "\xc3\xa4"},
        {"\\u20ac", "\xe2\x82\xac"},
        {"\\uFFFF", "\xef\xbf\xbf"},
        {"\\ud83d\\udc4d", "\xf0\x9f\x91\x8d"},
        {"\\uDBFF\\uDFFF", "\xf4\x8f\xbf\xbf"},
        {"\xc3\xa4", "\xc3\xa4"},
        {"\x7f", "\x7f"},
        {"\\u0000", NULL},
        {"\\ud83d", NULL},
        {"\\udc4d", NULL},
        {"\\ud83d\\u0041", NULL},
        {"\\ud83dxx", NULL},
        {"\\ud83d \\udc4d", NULL},
        {"\\ud83d\\ud83d", NULL},
        {"\\u12g4", NULL},
        {"\\u12", NULL},
        {"\\x41", NULL},
        {"\\'", NULL},
        {"\\", NULL},
        {"\t", NULL},
        {"\x01", NULL},
        {"\x1f", NULL},
        {"\xc3", NULL},
        {"\xc3\\u0041\xa4", NULL},
    };

    (void)state;
    for (size_t i = 0; i < PGN_COUNT(escapes); i++) {
        for (int before = 0; before < 10; before++) {
            char json[128], want[64];
            Pigeon__ClientFrame *f;
            snprintf(json, sizeof(json), "{\"hello\":{\"token\":\"%.*s%s%.*s\"}}", before, "ghijklmnop", escapes[i].written, before,
                     "ghijklmnop");
            f = frame_of(json);
            if (!f != !escapes[i].meant)
                fail_msg("%s: %s", json, problem);
            snprintf(want, sizeof(want), "%.*s%s%.*s", before, "ghijklmnop", escapes[i].meant ? escapes[i].meant : "", before,
                     "ghijklmnop");
            if (f)
                assert_string_equal(f->hello->token, want);
        }
    }
    assert_int_equal(frame_of("{\"\\u0069d\":5}")->id, 5); /* in names too */
}

static void numbers_have_their_form(void **state)
{
    static const struct {
        const char *written;
        bool good;
        double meant;
    } numbers[] = {
        {"0", true, 0},
        {"-0", true, 0},
        {"-0.0", true, 0},
        {"1.5", true, 1.5},
        {"-12e2", true, -1200},
        {"1E+2", true, 100},
        {"25e-1", true, 2.5},
        {"1e-400", true, 0},
        {"1e400", false, 0},
        {"00", false, 0},
        {"-", false, 0},
        {"+1", false, 0},
        {".5", false, 0},
        {"1.", false, 0},
        {"1e", false, 0},
        {"1e+", false, 0},
        {"0x10", false, 0},
        {"1_0", false, 0},
        {"Infinity", false, 0},
        {"-Infinity", false, 0},
        {"1 2", false, 0},
        {"123456789012345678", true, 123456789012345678.0},
        {"-9223372036854775808", true, -9223372036854775808.0},
        {"9223372036854775808", false, 0},
    };

    (void)state;
    for (size_t i = 0; i < PGN_COUNT(numbers); i++) {
        char json[64];
        Pigeon__Location *l;
        snprintf(json, sizeof(json), "{\"latitude\":%s}", numbers[i].written);
        l = (void *)decoded(json, &pigeon__location__descriptor);
        if (!l != !numbers[i].good || (l && l->latitude != numbers[i].meant))
            fail_msg("%s: %s", json, problem);
    }
}

static void unknown_fields_are_checked_though_skipped(void **state)
{
    static const char *const good[] = {"{\"x\":{\"a\":[1,\"\\u00e4\",null,{}],\"b\":true},\"y\":-1e3}", "{\"x\":\"\",\"x\":1}", " { } "};
    static const char *const bad[] = {
        "{\"x\":[1,]}",  "{\"x\":{,}}",     "{\"x\":[1 2]}", "{\"x\":{\"a\"}}", "{\"x\":{1:2}}", "{\"x\":tru}",
        "{\"x\":truex}", "{\"x\":\"\\q\"}", "{\"x\":}",      "{\"x\":[}",       "{\"x\":]}",     "{\"x\"}",
        "{,}",           "{\"x\":1,}",      "{\"x\":\"a}",   "{\"x\":nul",      "{\"x\":[[]}",   "{\"x\":01}"};

    (void)state;
    for (size_t i = 0; i < PGN_COUNT(good); i++)
        if (!frame_of(good[i]))
            fail_msg("%s: %s", good[i], problem);
    for (size_t i = 0; i < PGN_COUNT(bad); i++)
        if (frame_of(bad[i]))
            fail_msg("%s was taken", bad[i]);
}

static void long_lists_are_read(void **state)
{
    Pigeon__Watch *w;
    char name[16];

    (void)state;
    for (int n = 0; n < 70; n++) {
        pgn_buf_clear(&text);
        pgn_buf_append_str(&text, "{\"users\":[");
        for (int i = 0; i < n; i++)
            pgn_buf_printf(&text, "%s\"u%d\"", i ? " , " : "", i);
        pgn_buf_append_str(&text, "]}");
        w = (void *)decoded(pgn_buf_cstr(&text), &pigeon__watch__descriptor);
        assert_int_equal(w->n_users, n);
        for (int i = 0; i < n; i++) {
            snprintf(name, sizeof(name), "u%d", i);
            assert_string_equal(w->users[i], name);
        }
    }
}

static void null_is_absent(void **state)
{
    Pigeon__ClientFrame *f = frame_of("{\"id\":1,\"hello\":null,\"ping\":{},\"send\":null}");

    (void)state;
    assert_non_null(f);
    assert_int_equal(f->op_case, PIGEON__CLIENT_FRAME__OP_PING);
    f = frame_of("{\"watch\":{\"users\":null}}");
    assert_int_equal(f->watch->n_users, 0);
    f = frame_of("{\"unknown\":1}");
    assert_int_equal(f->op_case, PIGEON__CLIENT_FRAME__OP__NOT_SET);
}

static void what_is_wrong_is_said(void **state)
{
    static const struct {
        const char *json, *problem; /* what the text must hold; NULL: anything */
    } bad[] = {
        {"", NULL},
        {"   ", NULL},
        {"[]", NULL},
        {"\"x\"", NULL},
        {"null", NULL},
        {"{", NULL},
        {"{}x", NULL},
        {"{} {}", NULL},
        {"{\"id\":1,\"id\":2}", NULL},
        {"{\"id\":\"1\"}", "id: "},
        {"{\"id\":1.5}", "id: "},
        {"{\"id\":-1}", "id: "},
        {"{\"id\":9007199254740992}", "id: "},
        {"{\"id\":99999999999999999999}", NULL},
        {"{\"id\":true}", "id: "},
        {"{\"id\":01}", NULL},
        {"{\"send\":[]}", "send: "},
        {"{\"send\":\"x\"}", "send: "},
        {"{\"send\":{\"body\":{\"text\":5}}}", "send.body.text: "},
        {"{\"send\":{\"body\":{\"file\":{\"width\":4294967296}}}}", "send.body.file.width: "},
        {"{\"send\":{\"kind\":\"nonsense\"}}", "send.kind: "},
        {"{\"send\":{\"kind\":1}}", "send.kind: "},
        {"{\"send\":{\"mentions\":\"a\"}}", "send.mentions: "},
        {"{\"send\":{\"mentions\":[null]}}", "send.mentions: "},
        {"{\"send\":{\"mentions\":[1]}}", "send.mentions: "},
        {"{\"send\":{\"to\":{\"user\":\"a\",\"conv\":\"b\"}}}", "send.to.conv: "},
        {"{\"ping\":{},\"hello\":{}}", "hello: "},
        {"{\"react\":{\"on\":1}}", "react.on: "},
        {"{\"react\":{\"on\":\"true\"}}", "react.on: "},
        {"{\"send\":{\"body\":{\"location\":{\"latitude\":\"1\"}}}}", "latitude: "},
        {"{\"hello\":{\"token\":\"a\\u0000b\"}}", NULL},
        {"{\"hello\":{\"token\":\"\\ud800\"}}", NULL},
        {"{\"hello\":{\"token\":\"\xff\"}}", NULL},
        {"{\"hello\":{\"token\":\"\xed\xa0\x80\"}}", NULL},
        {"{\"unknown\":\"\xff\"}", NULL},
        {"{\"hello\":{\"token\":\"\n\"}}", NULL},
        {"{'id':1}", NULL},
        {"{\"id\":NaN}", NULL},
        {"{\"id\":1,}", NULL},
        {"\xef\xbb\xbf{}", NULL},
    };

    (void)state;
    for (size_t i = 0; i < PGN_COUNT(bad); i++) {
        if (frame_of(bad[i].json))
            fail_msg("%s was taken", bad[i].json);
        if (bad[i].problem && !strstr(problem, bad[i].problem))
            fail_msg("%s: says only \"%s\"", bad[i].json, problem);
    }
}

static void bytes_are_base64(void **state)
{
    Pigeon__SessionCheck *check = (void *)decoded("{\"hashes\":[\"+//+AA==\",\"\"]}", &pigeon__session_check__descriptor);

    (void)state;
    assert_non_null(check);
    assert_int_equal(check->n_hashes, 2);
    assert_int_equal(check->hashes[0].len, 4);
    assert_memory_equal(check->hashes[0].data, "\xfb\xff\xfe\x00", 4);
    assert_int_equal(check->hashes[1].len, 0);
    assert_null(decoded("{\"hashes\":[\"a\"]}", &pigeon__session_check__descriptor));
    assert_null(decoded("{\"hashes\":[\"+//+AA\"]}", &pigeon__session_check__descriptor));
    assert_null(decoded("{\"hashes\":[\"!!!!\"]}", &pigeon__session_check__descriptor));
}

static void signed_numbers_have_their_range(void **state)
{
    Pigeon__ItemResult *r = (void *)decoded("{\"error\":-2147483648}", &pigeon__item_result__descriptor);

    (void)state;
    assert_int_equal(r->error, INT32_MIN);
    assert_null(decoded("{\"error\":2147483648}", &pigeon__item_result__descriptor));
    assert_null(decoded("{\"error\":-2147483649}", &pigeon__item_result__descriptor));
}

static const char *nested(const char *open, const char *close, int levels)
{
    pgn_buf_clear(&text);
    for (int i = 0; i < levels; i++)
        pgn_buf_append_str(&text, open);
    for (int i = 0; i < levels; i++)
        pgn_buf_append_str(&text, close);
    return pgn_buf_cstr(&text);
}

static void nesting_is_limited(void **state)
{
    (void)state;
    assert_non_null(frame_of(nested("{\"u\":[", "]}", 16)));
    assert_null(frame_of(nested("{\"u\":[", "]}", 17)));
    assert_string_equal(problem, "nested too deeply");
    assert_null(frame_of(nested("[", "]", 1000000)));
}

static void long_problems_are_cut(void **state)
{
    char small[16];
    ProtobufCMessage *m = NULL;
    const char *json = "{\"send\":{\"body\":{\"operation\":{\"body\":{\"operation\":{\"body\":{\"operation\":{\"body\":{\"operation\":{"
                       "\"body\":{\"text\":1}}}}}}}}}}}";

    (void)state;
    assert_int_equal(pgn_json_decode(json, strlen(json), &pigeon__client_frame__descriptor, arena, &m, small, sizeof(small)), PGN_E_SYNTAX);
    assert_int_equal(strlen(small), sizeof(small) - 1);
    assert_null(frame_of(json));
    assert_true(strlen(problem) < sizeof(problem));
}

/* Damaged text is refused with a reason, or read as something that can be written again; never a crash. */
static void damage_is_survived(void **state)
{
    size_t taken = 0;

    (void)state;
    for (int round = 0; round < 50000; round++) {
        static const char likely[] = "{}[]\",:0e-.\\u\xff\x80nft ";
        const ProtobufCMessageDescriptor *type = all_types[pgn_random_below(all_types_count)];
        ProtobufCMessage *m = NULL;
        encoded(random_message(type, arena, 3));
        for (uint64_t n = 1 + pgn_random_below(2); n > 0; n--)
            text.data[pgn_random_below(text.len)] = (uint8_t)likely[pgn_random_below(sizeof(likely) - 1)];
        if (pgn_json_decode((const char *)text.data, text.len, type, arena, &m, problem, sizeof(problem)) == 0) {
            taken++;
            encoded(m);
        } else {
            assert_true(pgn_utf8_valid(problem, strlen(problem)));
        }
        pgn_arena_reset(arena);
    }
    assert_in_range(taken, 500, 49500);
}

/* The REST bodies are proto2: "left out" is not "set to nothing". */
static void optional_fields_know_whether_they_were_there(void **state)
{
    Pigeon__ApiMemberPatch *p = (void *)decoded("{\"mute_seconds\":0}", &pigeon__api_member_patch__descriptor);
    Pigeon__ApiMePatch *me;
    Pigeon__ApiUser *user;

    (void)state;
    assert_true(p->has_mute_seconds);
    assert_false(p->has_role);
    assert_string_equal(encoded(p), "{\"mute_seconds\":0}");
    p = (void *)decoded("{\"mute_seconds\":null,\"role\":\"admin\"}", &pigeon__api_member_patch__descriptor);
    assert_false(p->has_mute_seconds);
    assert_true(p->has_role);
    assert_string_equal(encoded(p), "{\"role\":\"admin\"}");
    me = (void *)decoded("{\"name\":\"\"}", &pigeon__api_me_patch__descriptor);
    assert_string_equal(me->name, "");
    assert_null(me->about);
    user = (void *)decoded("{\"user\":\"a\"}", &pigeon__api_user__descriptor);
    assert_string_equal(user->user, "a");
    assert_null(decoded("{\"name\":\"A\"}", &pigeon__api_user__descriptor));
    assert_string_equal(problem, "user: missing");
    assert_null(decoded("{\"users\":[{\"user\":\"a\"},{}],\"more\":false}", &pigeon__api_users__descriptor));
    assert_string_equal(problem, "users.user: missing");
}

static void reading_what_servers_say(void **state)
{
    Pigeon__ServerFrame *f = server_frame_of("{\"bye\":{\"code\":\"restarting\",\"retry_after_ms\":5000}}");

    (void)state;
    assert_int_equal(f->what_case, PIGEON__SERVER_FRAME__WHAT_BYE);
    assert_int_equal(f->bye->retry_after_ms, 5000);
}

#define MAP_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MAP_TEST(every_type_goes_round),
        MAP_TEST(a_message_is_written_as_documented),
        MAP_TEST(zeros_are_written_unless_sparse),
        MAP_TEST(odd_values_are_written),
        MAP_TEST(a_send_is_read),
        MAP_TEST(null_is_absent),
        MAP_TEST(escapes_are_resolved),
        MAP_TEST(numbers_have_their_form),
        MAP_TEST(unknown_fields_are_checked_though_skipped),
        MAP_TEST(long_lists_are_read),
        MAP_TEST(what_is_wrong_is_said),
        MAP_TEST(bytes_are_base64),
        MAP_TEST(signed_numbers_have_their_range),
        MAP_TEST(nesting_is_limited),
        MAP_TEST(long_problems_are_cut),
        MAP_TEST(damage_is_survived),
        MAP_TEST(optional_fields_know_whether_they_were_there),
        MAP_TEST(reading_what_servers_say),
    };
    test_seed();
    find_all_types();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
