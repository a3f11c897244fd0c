/* The RFC 6455 codec: every way to be whole, cut, and malformed. */
#include "services/gateway/gw_ws.h"

#include "common/base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { LIMIT = 1000 };

/* Appends a client's frame. first: FIN, RSV and opcode. */
static void frame(struct pgn_buf *b, uint8_t first, const void *payload, size_t len)
{
    static const uint8_t mask[4] = {0x11, 0x22, 0x33, 0x44};
    pgn_buf_append_byte(b, first);
    if (len < 126) {
        pgn_buf_append_byte(b, (uint8_t)(0x80 | len));
    } else {
        pgn_buf_append_byte(b, 0x80 | 126);
        pgn_buf_append_byte(b, (uint8_t)(len >> 8));
        pgn_buf_append_byte(b, (uint8_t)len);
    }
    pgn_buf_append(b, mask, sizeof mask);
    for (size_t i = 0; i < len; i++)
        pgn_buf_append_byte(b, (uint8_t)(((const uint8_t *)payload)[i] ^ mask[i % 4]));
}

static void text(struct pgn_buf *b, uint8_t first, const char *s)
{
    frame(b, first, s, strlen(s));
}

/* Reads the input in pieces of `step` bytes; what came out as a line: "T:hello C:1000 P: !1002". Frees the input. */
static const char *run_limit(struct pgn_buf *in, size_t step, size_t limit)
{
    static char out[8192];
    static const char names[] = {[GW_WS_TEXT] = 'T', [GW_WS_BINARY] = 'B', [GW_WS_CLOSE] = 'C', [GW_WS_PING] = 'P', [GW_WS_PONG] = 'O'};
    struct gw_ws ws = {NULL};
    size_t used = 0;
    bool broken = false;
    out[0] = 0;
    for (size_t from = 0; from < in->len && !broken; from += step) {
        size_t n = in->len - from < step ? in->len - from : step;
        uint8_t *piece = malloc(n), *at = piece; /* of the exact size, so that ASan sees a read past it */
        memcpy(piece, in->data + from, n);
        struct gw_ws_message m;
        enum gw_ws_result r;
        while ((r = gw_ws_next(&ws, &at, piece + n, limit, &m)) == GW_WS_MESSAGE) {
            used += (size_t)snprintf(out + used, sizeof out - used, "%c:", names[m.opcode]);
            if (m.opcode == GW_WS_CLOSE)
                used += (size_t)snprintf(out + used, sizeof out - used, "%u ", m.close_code);
            else
                used += (size_t)snprintf(out + used, sizeof out - used, "%.*s ", (int)m.len, m.len ? (char *)m.data : "");
        }
        if (r == GW_WS_BROKEN) {
            snprintf(out + used, sizeof out - used, "!%u", m.close_code);
            broken = true;
        } else {
            assert_ptr_equal(at, piece + n);
        }
        free(piece);
    }
    gw_ws_release(&ws);
    return out;
}

/* The same answer whole and cut at every size; then the input is gone. */
static void expect(struct pgn_buf *in, const char *wanted)
{
    for (size_t step = 1; step <= in->len; step++)
        assert_string_equal(run_limit(in, step, LIMIT), wanted);
    pgn_buf_release(in);
}

static void test_whole_messages(void **state)
{
    (void)state;
    struct pgn_buf b = {0};
    text(&b, 0x81, "hello");
    text(&b, 0x82, "\x01\x02");
    text(&b, 0x81, "");
    text(&b, 0x89, "ping");
    text(&b, 0x8a, "");
    expect(&b, "T:hello B:\x01\x02 T: P:ping O: ");
}

static void test_fragments_with_control_between(void **state)
{
    (void)state;
    struct pgn_buf b = {0};
    text(&b, 0x01, "he");
    text(&b, 0x89, "p");
    text(&b, 0x00, "");
    text(&b, 0x00, "ll");
    text(&b, 0x80, "o");
    text(&b, 0x81, "next");
    expect(&b, "P:p T:hello T:next ");
}

static void test_utf8_across_fragments(void **state)
{
    (void)state;
    struct pgn_buf b = {0};
    text(&b, 0x01, "\xe4");
    text(&b, 0x00, "\xbd");
    text(&b, 0x80, "\xa0");
    expect(&b, "T:\xe4\xbd\xa0 ");
    text(&b, 0x01, "\xe4\xbd");
    text(&b, 0x80, "x");
    expect(&b, "!1007");
    text(&b, 0x01, "\xe4\xbd");
    text(&b, 0x80, "");
    expect(&b, "!1007");
    text(&b, 0x81, "\xed\xa0\x80"); /* a surrogate */
    expect(&b, "!1007");
    text(&b, 0x82, "\xff");
    expect(&b, "B:\xff ");
}

static void test_broken_utf8_is_seen_before_the_end(void **state)
{
    (void)state;
    struct pgn_buf b = {0};
    text(&b, 0x01, "a\xff"); /* not final: nothing more need come */
    expect(&b, "!1007");
}

static void test_close(void **state)
{
    (void)state;
    static const struct {
        uint16_t code;
        bool valid;
    } codes[] = {{0, false},    {999, false},  {1000, true}, {1001, true}, {1003, true},  {1004, false},
                 {1005, false}, {1006, false}, {1007, true}, {1011, true}, {1015, false}, {1016, false},
                 {2000, false}, {2999, false}, {3000, true}, {4999, true}, {5000, false}, {65535, false}};
    struct pgn_buf b = {0};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        uint8_t payload[4] = {(uint8_t)(codes[i].code >> 8), (uint8_t)codes[i].code, 'o', 'k'};
        char wanted[32];
        snprintf(wanted, sizeof wanted, codes[i].valid ? "C:%u " : "!1002", codes[i].code);
        frame(&b, 0x88, payload, sizeof payload);
        expect(&b, wanted);
        assert_int_equal(gw_ws_close_code_valid(codes[i].code), codes[i].valid);
    }
    frame(&b, 0x88, "", 0);
    expect(&b, "C:0 ");
    frame(&b, 0x88, "\x03", 1);
    expect(&b, "!1002");
    frame(&b, 0x88, "\x03\xe8\xff", 3);
    expect(&b, "!1007");
}

static void test_violations(void **state)
{
    (void)state;
    static const uint8_t firsts[] = {0x83, 0x84, 0x87, 0x8b, 0x8f, /* reserved opcodes */
                                     0xc1, 0xa1, 0x91,             /* RSV bits */
                                     0x08, 0x09, 0x0a,             /* control frames cut into fragments */
                                     0x80, 0x00};                  /* continues nothing */
    struct pgn_buf b = {0};
    for (size_t i = 0; i < sizeof firsts; i++) {
        text(&b, firsts[i], "x");
        expect(&b, "!1002");
    }
    text(&b, 0x01, "a");
    text(&b, 0x81, "b"); /* a new message inside of one */
    expect(&b, "!1002");
    pgn_buf_append(&b, "\x81\x05hello", 7); /* not masked */
    expect(&b, "!1002");
}

static void test_lengths(void **state)
{
    (void)state;
    struct pgn_buf b = {0};
    char big[300];
    memset(big, 'x', sizeof big);
    big[200] = 0;
    text(&b, 0x82, big);
    char wanted[310];
    snprintf(wanted, sizeof wanted, "B:%s ", big);
    expect(&b, wanted);
    text(&b, 0x89, big); /* control frame over 125 */
    expect(&b, "!1002");
    pgn_buf_append(&b, "\x81\xfe\x00\x7d\1\1\1\1", 8); /* 125 in two bytes */
    expect(&b, "!1002");
    pgn_buf_append(&b, "\x81\xff\0\0\0\0\0\0\xff\xff\1\1\1\1", 14); /* 65535 in eight */
    expect(&b, "!1002");
    pgn_buf_append(&b, "\x81\xff\x80\0\0\0\0\1\0\0\1\1\1\1", 14); /* top bit */
    expect(&b, "!1002");
    pgn_buf_append(&b, "\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\1\1\1\1", 14); /* too much is refused by its head */
    expect(&b, "!1009");
}

static void test_limit_over_fragments(void **state)
{
    (void)state;
    struct pgn_buf b = {0};
    text(&b, 0x82, "0123456789");
    assert_string_equal(run_limit(&b, 3, 10), "B:0123456789 ");
    assert_string_equal(run_limit(&b, 100, 9), "!1009");
    pgn_buf_clear(&b);
    text(&b, 0x02, "012345");
    text(&b, 0x00, "6789");
    text(&b, 0x80, "");
    assert_string_equal(run_limit(&b, 5, 10), "B:0123456789 ");
    assert_string_equal(run_limit(&b, 5, 9), "!1009");
    pgn_buf_release(&b);
}

static void test_nothing_is_held_between_messages(void **state)
{
    (void)state;
    struct pgn_buf b = {0};
    struct gw_ws ws = {NULL};
    struct gw_ws_message m;
    text(&b, 0x81, "hello");
    uint8_t *at = b.data;
    assert_int_equal(gw_ws_next(&ws, &at, b.data + 4, LIMIT, &m), GW_WS_MORE);
    assert_true(gw_ws_held_bytes(&ws) > 0);
    assert_int_equal(gw_ws_next(&ws, &at, b.data + b.len, LIMIT, &m), GW_WS_MESSAGE);
    assert_int_equal(gw_ws_next(&ws, &at, b.data + b.len, LIMIT, &m), GW_WS_MORE);
    assert_int_equal(gw_ws_held_bytes(&ws), 0);
    pgn_buf_release(&b);
}

static void test_heads(void **state)
{
    (void)state;
    uint8_t h[GW_WS_HEAD_MAX];
    assert_int_equal(gw_ws_head(h, GW_WS_TEXT, 125), 2);
    assert_memory_equal(h, "\x81\x7d", 2);
    assert_int_equal(gw_ws_head(h, GW_WS_BINARY, 126), 4);
    assert_memory_equal(h, "\x82\x7e\x00\x7e", 4);
    assert_int_equal(gw_ws_head(h, GW_WS_BINARY, 65535), 4);
    assert_int_equal(gw_ws_head(h, GW_WS_TEXT, 65536), 10);
    assert_memory_equal(h, "\x81\x7f\0\0\0\0\0\1\0\0", 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_messages),
        cmocka_unit_test(test_fragments_with_control_between),
        cmocka_unit_test(test_utf8_across_fragments),
        cmocka_unit_test(test_broken_utf8_is_seen_before_the_end),
        cmocka_unit_test(test_close),
        cmocka_unit_test(test_violations),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_limit_over_fragments),
        cmocka_unit_test(test_nothing_is_held_between_messages),
        cmocka_unit_test(test_heads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
