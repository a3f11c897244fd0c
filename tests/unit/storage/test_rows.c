/* Keys and rows of the message log: what is written is read again, and nothing else is understood. */
#include "services/storage/rows.h"

#include "common/base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static int key_cmp(const struct sto_key *a, const struct sto_key *b)
{
    size_t n = a->len < b->len ? a->len : b->len;
    int c = memcmp(a->data, b->data, n);

    return c ? c : (a->len > b->len) - (a->len < b->len);
}

static void keys_are_in_order(void **state)
{
    struct sto_key a = sto_key_msg(1, 255), b = sto_key_msg(1, 256), c = sto_key_msg(2, 1);
    struct sto_key members = sto_key_member(7, ""), bob = sto_key_member(7, "bob"), after = sto_key_after(&members);
    struct sto_key next = sto_key_member(8, "alice");

    (void)state;
    assert_true(key_cmp(&a, &b) < 0 && key_cmp(&b, &c) < 0);
    assert_true(key_cmp(&members, &bob) < 0 && key_cmp(&bob, &after) < 0 && key_cmp(&after, &next) <= 0);
    assert_int_equal(sto_u64be(a.data + 8), 255);
}

static void nobody_is_among_anothers_conversations(void **state)
{
    struct sto_key from = sto_key_user("bob", 0), to = sto_key_user("bob", UINT64_MAX), other = sto_key_user("bobby", 5);

    (void)state;
    assert_true(key_cmp(&other, &from) < 0 || key_cmp(&other, &to) > 0);
}

static void the_key_behind_a_prefix(void **state)
{
    struct sto_key k = {.data = {1, 0xff, 0xff}, .len = 3}, after = sto_key_after(&k);

    (void)state;
    assert_int_equal(after.len, 1);
    assert_int_equal(after.data[0], 2);
}

static void rows_come_back(void **state)
{
    struct pgn_buf out = {0};
    struct sto_state_row direct = {
        .kind = STO_DIRECT, .version = 3, .last_seq = UINT64_MAX, .ops = 7, .change = 1u << 31, .side = {{1, 2, 3, 4}, {5, 6, 7, 8}}};
    struct sto_state_row group = {.kind = STO_GROUP, .version = 9, .last_seq = 300, .mention_all = 11, .muted_until = 12, .members = 10000};
    struct sto_state_row got;
    struct sto_member_row member = {3, 4, 5, 6, {7, 8, 9, 10}, 2, true}, member_got;
    struct sto_user_row user = {STO_GROUP, false, {"cabcdefghijklmnop", 17}, 300}, user_got;
    struct sto_msg_row msg = {.commit = 1, .ops = 2, .edits = 2, .edit = {5, 600}, .message = {"packed", 6}}, msg_got;

    (void)state;
    sto_state_row_put(&out, &direct);
    assert_true(sto_state_row_get(sto_slice_buf(&out), &got));
    assert_memory_equal(&got, &direct, sizeof got);
    pgn_buf_clear(&out);
    sto_state_row_put(&out, &group);
    assert_true(sto_state_row_get(sto_slice_buf(&out), &got));
    assert_int_equal(got.members, 10000);
    assert_int_equal(got.mention_all, 11);
    pgn_buf_clear(&out);
    sto_member_row_put(&out, &member);
    assert_true(sto_member_row_get(sto_slice_buf(&out), &member_got));
    assert_true(member_got.gone);
    assert_int_equal(member_got.role, 2);
    assert_int_equal(member_got.marks.mentioned, 10);
    pgn_buf_clear(&out);
    sto_user_row_put(&out, &user);
    assert_true(sto_user_row_get(sto_slice_buf(&out), &user_got));
    assert_int_equal(user_got.first_seq, 300);
    assert_true(sto_user_row_get(sto_slice_of(out.data, out.len - 2), &user_got)); /* as older releases wrote it */
    assert_int_equal(user_got.first_seq, 0);
    pgn_buf_clear(&out);
    sto_msg_row_put(&out, &msg);
    assert_true(sto_msg_row_get(sto_slice_buf(&out), &msg_got));
    assert_int_equal(msg_got.edits, 2);
    assert_int_equal(msg_got.edit[1], 600);
    assert_int_equal(msg_got.message.len, 6);
    pgn_buf_release(&out);
}

/* Whatever the bytes are: no decoder reads past them (the sanitizers look) or gives back more than there is. */
static void random_bytes_do_no_harm(void **state)
{
    uint8_t bytes[40];

    (void)state;
    pgn_random_seed_for_tests(4711);
    for (int i = 0; i < 20000; i++) {
        size_t len = (size_t)pgn_random_below(sizeof bytes);
        uint8_t *exact = test_malloc(len + 1);
        struct sto_slice s = {exact, len};
        struct sto_conv_row conv;
        struct sto_state_row st;
        struct sto_member_row member;
        struct sto_user_row user;
        struct sto_msg_row msg;
        struct sto_retry_row retry;

        pgn_random(bytes, sizeof bytes);
        memcpy(exact, bytes, len);
        if (len)
            exact[0] = 1; /* the format that there is */
        if (sto_conv_row_get(s, &conv))
            assert_true(conv.title.len + conv.settings.len <= len);
        if (sto_user_row_get(s, &user))
            assert_true(user.conv.len <= len);
        if (sto_msg_row_get(s, &msg))
            assert_true(msg.message.len <= len && msg.edits <= STO_EDITS_MAX);
        (void)sto_state_row_get(s, &st);
        (void)sto_member_row_get(s, &member);
        (void)sto_retry_row_get(s, &retry);
        test_free(exact);
    }
}

static void varints_have_their_length(void **state)
{
    static const uint64_t values[] = {0, 1, 127, 128, 16383, 16384, UINT32_MAX, UINT64_MAX};
    struct pgn_buf out = {0};

    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        pgn_buf_clear(&out);
        sto_put_varint(&out, values[i]);
        assert_int_equal(out.len, sto_varint_len(values[i]));
    }
    pgn_buf_release(&out);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_in_order),       cmocka_unit_test(nobody_is_among_anothers_conversations),
        cmocka_unit_test(the_key_behind_a_prefix), cmocka_unit_test(rows_come_back),
        cmocka_unit_test(random_bytes_do_no_harm), cmocka_unit_test(varints_have_their_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
