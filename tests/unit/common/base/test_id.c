#include "tests/unit/common/test.h"

#include "common/base/compiler.h"
#include "common/base/id.h"

#define TEN "0123456789"

static void users(void **state)
{
    static const char *const good[] = {"a", "0", "alice", "a-b_c", TEN TEN TEN "ab"};
    static const char *const bad[] = {"", "-a", "_a", "Alice", "a b", "a.b", "a*", "a>", "a:b", "\xc3\xa4", TEN TEN TEN "abc", "a\n"};

    (void)state;
    for (size_t i = 0; i < PGN_COUNT(good); i++)
        assert_true(pgn_user_valid(good[i]));
    for (size_t i = 0; i < PGN_COUNT(bad); i++)
        assert_false(pgn_user_valid(bad[i]));
    assert_false(pgn_user_valid(NULL));
}

static void devices_and_client_ids(void **state)
{
    char id[PGN_CLIENT_ID_MAX + 2];

    (void)state;
    assert_true(pgn_device_valid("Web-7f_A"));
    assert_true(pgn_device_valid("-"));
    assert_false(pgn_device_valid(""));
    assert_false(pgn_device_valid("a.b"));
    assert_false(pgn_device_valid(TEN TEN TEN "abc"));
    assert_false(pgn_device_valid(NULL));
    assert_true(pgn_client_id_valid("!~"));
    assert_false(pgn_client_id_valid("a b"));
    assert_false(pgn_client_id_valid("\x7f"));
    assert_false(pgn_client_id_valid("\xc3\xa4"));
    assert_false(pgn_client_id_valid(""));
    memset(id, 'x', sizeof(id));
    id[PGN_CLIENT_ID_MAX + 1] = 0;
    assert_false(pgn_client_id_valid(id));
    id[PGN_CLIENT_ID_MAX] = 0;
    assert_true(pgn_client_id_valid(id));
}

static void direct_conversations(void **state)
{
    char conv[PGN_CONV_MAX + 1], a[PGN_USER_MAX + 1], b[PGN_USER_MAX + 1];
    static const char *const bad[] = {"d:", "d:a", "d:a:", "d::a", "d:b:a", "d:a:b:c", "d:A:b", "d:a:-", "d:a:b ", "e:a:b", ""};

    (void)state;
    pgn_conv_direct("bob", "alice", conv);
    assert_string_equal(conv, "d:alice:bob");
    assert_true(pgn_conv_valid(conv) && pgn_conv_is_direct(conv));
    assert_true(pgn_conv_users(conv, a, b));
    assert_string_equal(a, "alice");
    assert_string_equal(b, "bob");
    assert_true(pgn_conv_peer(conv, "bob", a));
    assert_string_equal(a, "alice");
    assert_false(pgn_conv_peer(conv, "carol", a));
    pgn_conv_direct("eve", "eve", conv);
    assert_true(pgn_conv_peer(conv, "eve", a));
    assert_string_equal(a, "eve");
    pgn_conv_direct(TEN TEN TEN "ab", TEN TEN TEN "aa", conv);
    assert_int_equal(strlen(conv), PGN_CONV_MAX);
    assert_true(pgn_conv_users(conv, a, b));
    assert_string_equal(b, TEN TEN TEN "ab");
    for (size_t i = 0; i < PGN_COUNT(bad); i++)
        assert_false(pgn_conv_valid(bad[i]));
    assert_false(pgn_conv_valid("d:a:" TEN TEN TEN "abc"));
    assert_false(pgn_conv_valid(NULL));
}

static void groups(void **state)
{
    char conv[PGN_CONV_MAX + 1], other[PGN_CONV_MAX + 1];

    (void)state;
    pgn_conv_group_new(conv);
    pgn_conv_group_new(other);
    assert_string_not_equal(conv, other);
    assert_int_equal(strlen(conv), 17);
    assert_true(pgn_conv_valid(conv));
    assert_false(pgn_conv_is_direct(conv));
    assert_false(pgn_conv_users(conv, other, other));
    conv[16] = 0;
    assert_false(pgn_conv_valid(conv));
    assert_false(pgn_conv_valid("c0123456789abcde."));
    assert_false(pgn_conv_valid("c0123456789abcdef0"));
}

static void ulids_rise_and_hold_the_time(void **state)
{
    static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    char last[PGN_ULID_LEN + 1] = "", now[PGN_ULID_LEN + 1];
    uint64_t ms = 1469918176385, held;

    (void)state;
    pgn_ulid(ms, now);
    assert_memory_equal(now, "01ARYZ6S41", 10); /* the specification's example */
    for (int i = 0; i < 100000; i++) {
        if (pgn_random_below(1000) == 0)
            ms += 1 + pgn_random_below(5);
        pgn_ulid(ms, now);
        assert_true(strcmp(now, last) > 0);
        memcpy(last, now, sizeof(last));
    }
    held = 0;
    for (int i = 0; i < 10; i++)
        held = held * 32 + (uint64_t)(strchr(alphabet, now[i]) - alphabet);
    assert_true(held == ms);
    assert_int_equal(strspn(now, alphabet), PGN_ULID_LEN);
}

static void tokens_are_hashed(void **state)
{
    static const uint8_t blake2b_256_abc[] = {0xbd, 0xdd, 0x81, 0x3c, 0x63, 0x42, 0x39, 0x72, 0x31, 0x71, 0xef,
                                              0x3f, 0xee, 0x98, 0x57, 0x9b, 0x94, 0x96, 0x4e, 0x3b, 0xb1, 0xcb,
                                              0x3e, 0x42, 0x72, 0x62, 0xc8, 0xc0, 0x68, 0xd5, 0x23, 0x19};
    char token[PGN_TOKEN_LEN + 1], other[PGN_TOKEN_LEN + 1];
    uint8_t hash[PGN_HASH_BYTES];

    (void)state;
    pgn_token_new(token);
    pgn_token_new(other);
    assert_int_equal(strlen(token), PGN_TOKEN_LEN);
    assert_string_not_equal(token, other);
    pgn_token_hash("abc", hash);
    assert_memory_equal(hash, blake2b_256_abc, sizeof(hash));
}

static void hashes_spread(void **state)
{
    int seen[16] = {0};
    char key[16];

    (void)state;
    for (int i = 0; i < 16000; i++) {
        snprintf(key, sizeof(key), "user%d", i);
        seen[pgn_partition(pgn_hash(key, strlen(key)), 16)]++;
    }
    for (int i = 0; i < 16; i++)
        assert_in_range(seen[i], 800, 1200);
    assert_true(pgn_hash("abc", 3) == 0x78af5f94892f3950u); /* XXH3-64, seed 0: partitions must agree between processes */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(users),         cmocka_unit_test(devices_and_client_ids),       cmocka_unit_test(direct_conversations),
        cmocka_unit_test(groups),        cmocka_unit_test(ulids_rise_and_hold_the_time), cmocka_unit_test(tokens_are_hashed),
        cmocka_unit_test(hashes_spread),
    };
    test_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
