/* Frames: both encodings say the same, nothing that a server sends breaks the reader, texts name their message. */
#include "loadtest/frame.h"
#include "loadtest/ws.h"

#include "common/base/alloc.h"
#include "common/proto/json_map.h"
#include "common/proto/pb.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char page[] =
    "{\"id\":10,\"ok\":{\"fetch\":{\"messages\":[{\"conv\":\"d:a:b\",\"seq\":7,\"from\":\"a\",\"kind\":\"text\",\"body\":{\"text\":"
    "\"pl:9:1:2:33:xx\"}},{\"conv\":\"d:a:b\",\"seq\":8,\"kind\":\"text\",\"body\":{\"text\":\"a \\\"quoted\\\" one\"}}],\"more\":true}}}";

static struct ld_frame frame;

static void take(const char *json)
{
    static const struct ld_codec codec = {false};
    ld_take(&codec, json, strlen(json), &frame);
}

/* The same frame in protobuf. */
static void take_proto(const char *json)
{
    static const struct ld_codec codec = {true};
    struct pgn_arena *arena = pgn_arena_new(4096);
    struct pgn_buf packed = {0};
    ProtobufCMessage *message = NULL;
    char problem[128];
    assert_int_equal(pgn_json_decode(json, strlen(json), &pigeon__server_frame__descriptor, arena, &message, problem, sizeof problem), 0);
    pgn_pb_pack(message, &packed);
    ld_take(&codec, packed.data, packed.len, &frame);
    pgn_buf_release(&packed);
    pgn_arena_free(&arena);
}

static void each(const char *json, void (*check)(void))
{
    take(json);
    check();
    take_proto(json);
    check();
}

static void check_sent(void)
{
    assert_int_equal(frame.what, LD_OK_SEND);
    assert_int_equal(frame.id, 81);
    assert_int_equal(ld_id_kind(frame.id), LD_ASK_SEND);
    assert_int_equal(ld_id_argument(frame.id), 10);
    assert_int_equal(frame.seq, 43);
    assert_true(ld_is(frame.conv, "d:a:b"));
}

static void check_page(void)
{
    assert_int_equal(frame.what, LD_OK_FETCH);
    assert_true(frame.more);
    assert_int_equal(frame.message_count, 2);
    assert_int_equal(frame.messages[0].seq, 7);
    assert_true(ld_is(frame.messages[0].text, "pl:9:1:2:33:xx"));
    assert_int_equal(frame.messages[1].seq, 8);
}

static void check_sync(void)
{
    assert_int_equal(frame.what, LD_OK_SYNC);
    assert_false(frame.more);
    assert_true(ld_is(frame.cursor, "99"));
    assert_int_equal(frame.conv_count, 1);
    assert_int_equal(frame.convs[0].last_seq, 5);
}

static void check_error(void)
{
    assert_int_equal(frame.what, LD_ERROR);
    assert_true(ld_is(frame.code, "rate_limited"));
    assert_true(frame.retry);
    assert_int_equal(frame.retry_after_ms, 120);
}

static void check_message(void)
{
    assert_int_equal(frame.what, LD_MESSAGE);
    assert_int_equal(frame.message.seq, 3);
    assert_true(ld_is(frame.message.conv, "cabc"));
    assert_true(ld_is(frame.message.text, "hi"));
}

static void check_bye(void)
{
    assert_int_equal(frame.what, LD_BYE);
    assert_true(ld_is(frame.code, "restarting"));
    assert_int_equal(frame.retry_after_ms, 700);
}

static void both_encodings_say_the_same(void **state)
{
    (void)state;
    each("{\"id\":81,\"ok\":{\"send\":{\"conv\":\"d:a:b\",\"seq\":43,\"message_id\":\"x\",\"sent_at\":1790000000000}}}", check_sent);
    each(page, check_page);
    each("{\"id\":5,\"ok\":{\"sync\":{\"convs\":[{\"conv\":\"d:a:b\",\"kind\":\"direct\",\"last_seq\":5,\"unread\":0,\"last_message\":{"
         "\"conv\":\"no\","
         "\"seq\":77}}],\"cursor\":\"99\",\"more\":false}}}",
         check_sync);
    each("{\"id\":1,\"error\":{\"code\":\"rate_limited\",\"text\":\"wait\",\"retry\":true,\"retry_after_ms\":120}}", check_error);
    each("{\"message\":{\"conv\":\"cabc\",\"seq\":3,\"mentions\":[\"a\",\"b\"],\"body\":{\"text\":\"hi\"},\"reactions\":[{\"emoji\":\"x\","
         "\"users\":[]}]}}",
         check_message);
    each("{\"bye\":{\"code\":\"restarting\",\"retry_after_ms\":700}}", check_bye);
}

static void order_and_space_do_not_matter(void **state)
{
    (void)state;
    take(" { \"ok\" : { \"send\" : { \"unknown\" : [ { \"a\" : [ ] } , -1.5e3 , null , true ] , \"seq\" : 43 , \"conv\" : \"d:a:b\" } } , "
         "\"id\" : 81 }");
    check_sent();
}

static void cut_anywhere_is_malformed(void **state)
{
    static const struct ld_codec codec = {false};
    (void)state;
    for (size_t len = 0; len < strlen(page); len++) {
        char *copy = pgn_memdup(page, len + 1); /* so that a reader that goes too far is seen */
        char *exact = malloc(len ? len : 1);
        assert_non_null(exact);
        memcpy(exact, copy, len);
        ld_take(&codec, exact, len, &frame);
        assert_int_equal(frame.what, LD_MALFORMED);
        free(exact);
        free(copy);
    }
}

static void nonsense_is_malformed(void **state)
{
    static const char *const nonsense[] = {"",
                                           "[]",
                                           "{]",
                                           "{\"id\":x}",
                                           "{\"id\"}",
                                           "{} {}",
                                           "{\"a\":\"",
                                           "{\"a\":{",
                                           "{\"message\":[1]}",
                                           "{\"ok\":{\"fetch\":{\"more\":1}}}",
                                           "\"\\\"",
                                           "{,}",
                                           "{\"ok\":{\"sync\":{\"convs\":{}}}}"};
    (void)state;
    for (size_t i = 0; i < PGN_COUNT(nonsense); i++) {
        take(nonsense[i]);
        assert_int_equal(frame.what, LD_MALFORMED);
    }
    char deep[400];
    memset(deep, '[', sizeof deep - 1);
    memcpy(deep, "{\"a\":", 5);
    deep[sizeof deep - 1] = 0;
    take(deep);
    assert_int_equal(frame.what, LD_MALFORMED);
}

static void texts_name_their_message(void **state)
{
    struct ld_mark in = {UINT32_MAX, 12345, 678, UINT64_C(123456789012)}, out;
    char text[512];
    (void)state;
    assert_int_equal(ld_text_put(text, 100, &in), 100);
    assert_true(ld_text_get(text, 100, &out));
    assert_true(in.run == out.run && in.sender == out.sender && in.number == out.number && in.intended_us == out.intended_us);
    for (size_t cut = 0; cut < 3; cut++)
        assert_false(ld_text_get(text, cut, &out));
    assert_false(ld_text_get("pl:1:2:3", 8, &out));
    assert_false(ld_text_get("pl:1:2:3:99999999999999999999999:x", 34, &out));
    assert_false(ld_text_get("hello", 5, &out));
}

static void websocket_frames(void **state)
{
    static const size_t lengths[] = {0, 1, 7, 8, 125, 126, 65535, 65536};
    (void)state;
    for (size_t i = 0; i < PGN_COUNT(lengths); i++) {
        struct pgn_buf out = {0};
        struct ld_ws_in in;
        uint8_t *payload = pgn_calloc(lengths[i] + 1, 1);
        memset(payload, 0x5a, lengths[i]);
        ld_ws_frame(&out, LD_WS_TEXT, payload, lengths[i], 0);
        out.data[1] &= 0x7f; /* as a server would send it: not masked. The mask was zero: cut it out */
        size_t head = lengths[i] < 126 ? 2 : lengths[i] < 65536 ? 4 : 10;
        memmove(out.data + head, out.data + head + 4, lengths[i]);
        out.len -= 4;
        for (size_t cut = 0; cut < head; cut++)
            assert_int_equal(ld_ws_next(out.data, cut, &in), 0);
        assert_int_equal(ld_ws_next(out.data, out.len, &in), out.len);
        assert_int_equal(in.len, lengths[i]);
        assert_memory_equal(in.payload, payload, lengths[i]);
        free(payload);
        pgn_buf_release(&out);
    }
    struct ld_ws_in in;
    assert_int_equal(ld_ws_next((const uint8_t *)"\x81\x80", 2, &in), -1);  /* masked by a server */
    assert_int_equal(ld_ws_next((const uint8_t *)"\xc1\x01x", 3, &in), -1); /* a reserved bit */
}

static void upgrade_answers(void **state)
{
    static const char good[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\nrest";
    static const char refused[] = "HTTP/1.1 429 Too Many Requests\r\n\r\n";
    int status;
    (void)state;
    assert_int_equal(ld_ws_upgraded((const uint8_t *)good, sizeof good - 1, &status), sizeof good - 1 - 4);
    assert_int_equal(ld_ws_upgraded((const uint8_t *)good, 30, &status), 0);
    assert_int_equal(ld_ws_upgraded((const uint8_t *)refused, sizeof refused - 1, &status), -1);
    assert_int_equal(status, 429);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_encodings_say_the_same),
        cmocka_unit_test(order_and_space_do_not_matter),
        cmocka_unit_test(cut_anywhere_is_malformed),
        cmocka_unit_test(nonsense_is_malformed),
        cmocka_unit_test(texts_name_their_message),
        cmocka_unit_test(websocket_frames),
        cmocka_unit_test(upgrade_answers),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(frame.messages);
    free(frame.convs);
    return failed;
}
