#include "tests/unit/common/proto/random_message.h"

enum { ROUNDS = 200 };

static struct pgn_arena *arena;
static struct pgn_buf packed, again;

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
    pgn_buf_release(&packed);
    pgn_buf_release(&again);
    return 0;
}

static void every_type_goes_round(void **state)
{
    (void)state;
    assert_true(all_types_count > 90);
    for (size_t t = 0; t < all_types_count; t++) {
        for (int round = 0; round < ROUNDS; round++) {
            ProtobufCMessage *m = random_message(all_types[t], arena, 4);
            pgn_buf_clear(&packed);
            pgn_buf_clear(&again);
            pgn_pb_pack(m, &packed);
            m = pgn_pb_unpack(all_types[t], arena, packed.data, packed.len);
            if (!m)
                fail_msg("%s was refused", all_types[t]->name);
            pgn_pb_pack(m, &again);
            assert_int_equal(packed.len, again.len);
            if (packed.len)
                assert_memory_equal(packed.data, again.data, packed.len);
            pgn_arena_reset(arena);
        }
    }
}

static bool text_taken(const char *text, size_t len)
{
    uint8_t wire[64] = {0x0a, (uint8_t)len}; /* Code.code */

    memcpy(wire + 2, text, len);
    return pgn_pb_unpack(&pigeon__code__descriptor, arena, wire, len + 2) != NULL;
}

/* protobuf-c would merge them, at a cost that grows with the square of their number. */
static void parts_that_come_twice_are_refused(void **state)
{
    static const uint8_t twice[] = {0x22, 0x02, 0x0a, 0x00, 0x22, 0x02, 0x0a, 0x00}; /* Send.body, Send.body */

    (void)state;
    assert_non_null(pgn_pb_unpack(&pigeon__send__descriptor, arena, twice, sizeof twice / 2));
    assert_null(pgn_pb_unpack(&pigeon__send__descriptor, arena, twice, sizeof twice));
}

static void strings_are_checked(void **state)
{
    (void)state;
    assert_true(text_taken("", 0));
    assert_true(text_taken("\xc3\xa4", 2));
    assert_false(text_taken("\xc3", 1));
    assert_false(text_taken("\xed\xa0\x80", 3));
    assert_false(text_taken("a\0b", 3));
    assert_false(text_taken("\0", 1));
    /* nested, and in a list: Watch.users of ClientFrame.watch */
    assert_non_null(pgn_pb_unpack(&pigeon__client_frame__descriptor, arena, "\x42\x06\x0a\x01\x61\x0a\x01\x62", 8));
    assert_null(pgn_pb_unpack(&pigeon__client_frame__descriptor, arena, "\x42\x06\x0a\x01\x61\x0a\x01\xff", 8));
    /* the same in a field that the schema does not know: nobody's string */
    assert_non_null(pgn_pb_unpack(&pigeon__code__descriptor, arena, "\xfa\x01\x01\xff", 4));
}

/* Body.operation.body.operation and so on, n messages deep. */
static void nest(struct pgn_buf *out, int levels)
{
    static uint8_t wire[1 << 20];
    size_t at = sizeof(wire);

    for (int i = 1; i < levels; i++) {
        size_t len = sizeof(wire) - at, v = len;
        uint8_t head[12];
        size_t n = 0;
        /* both Body.operation (7) and Operation.body (3); which depends on the level */
        head[n++] = (uint8_t)(((levels - i) % 2 ? 7 : 3) << 3 | 2);
        for (; v >= 0x80; v >>= 7)
            head[n++] = (uint8_t)(v | 0x80);
        head[n++] = (uint8_t)v;
        at -= n;
        memcpy(wire + at, head, n);
    }
    pgn_buf_clear(out);
    pgn_buf_append(out, wire + at, sizeof(wire) - at);
}

static void nesting_is_limited(void **state)
{
    Pigeon__Body *body;
    int levels = 0;

    (void)state;
    nest(&packed, 32);
    body = PGN_PB_UNPACK(Pigeon__Body, pigeon__body, arena, packed.data, packed.len);
    assert_non_null(body);
    for (; body; body = body->operation ? body->operation->body : NULL)
        levels += 1 + (body->operation != NULL);
    assert_int_equal(levels, 32);
    nest(&packed, 33);
    assert_null(pgn_pb_unpack(&pigeon__body__descriptor, arena, packed.data, packed.len));
    nest(&packed, 100000);
    assert_null(pgn_pb_unpack(&pigeon__body__descriptor, arena, packed.data, packed.len));
}

static void malformed_is_refused(void **state)
{
    static const struct {
        const char *wire;
        size_t len;
    } bad[] = {
        {"\x0a", 1}, /* no length */
        {"\x0a\x05"
         "a",
         3},         /* cut off */
        {"\x0b", 1}, /* a group */
        {"\x0c", 1},
        {"\x0f", 1},
        {"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 11}, /* varint too long */
        {"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11}, /* length 2^64-1 */
        {"\x00\x00", 2},                                      /* field number 0 */
    };

    (void)state;
    for (size_t i = 0; i < PGN_COUNT(bad); i++)
        if (pgn_pb_unpack(&pigeon__code__descriptor, arena, bad[i].wire, bad[i].len))
            fail_msg("bad[%zu] was taken", i);
    assert_non_null(pgn_pb_unpack(&pigeon__code__descriptor, arena, NULL, 0));
}

/* Damaged encodings are refused or read as something that can be written again; never a crash. */
static void damage_is_survived(void **state)
{
    size_t taken = 0;

    (void)state;
    for (int round = 0; round < 100000; round++) {
        const ProtobufCMessageDescriptor *type = all_types[pgn_random_below(all_types_count)];
        ProtobufCMessage *m;
        pgn_buf_clear(&packed);
        pgn_pb_pack(random_message(type, arena, 3), &packed);
        if (!packed.len)
            continue;
        for (uint64_t n = 1 + pgn_random_below(3); n > 0; n--)
            packed.data[pgn_random_below(packed.len)] = (uint8_t)pgn_random_below(256);
        m = pgn_pb_unpack(type, arena, packed.data, packed.len - pgn_random_below(2));
        if (m) {
            taken++;
            pgn_buf_clear(&again);
            pgn_pb_pack(m, &again);
        }
        pgn_arena_reset(arena);
    }
    assert_in_range(taken, 1000, 99000);
}

#define PB_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PB_TEST(every_type_goes_round), PB_TEST(parts_that_come_twice_are_refused),
        PB_TEST(strings_are_checked),   PB_TEST(nesting_is_limited),
        PB_TEST(malformed_is_refused),  PB_TEST(damage_is_survived),
    };
    test_seed();
    find_all_types();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
