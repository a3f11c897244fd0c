#include "tests/unit/common/test.h"

#include "common/base/compiler.h"
#include "common/base/utf8.h"

/* Decodes by the definition: bit patterns first, then what RFC 3629 forbids. */
static bool naive(const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len;) {
        uint32_t c = p[i], least = 0;
        size_t more = 0;
        if (c >= 0x80 && c < 0xc0)
            return false;
        if (c >= 0xf8)
            return false;
        if (c >= 0xf0)
            c &= 0x07, more = 3, least = 0x10000;
        else if (c >= 0xe0)
            c &= 0x0f, more = 2, least = 0x800;
        else if (c >= 0xc0)
            c &= 0x1f, more = 1, least = 0x80;
        if (i + more >= len)
            return false;
        for (size_t k = 1; k <= more; k++) {
            if ((p[i + k] & 0xc0) != 0x80)
                return false;
            c = c << 6 | (p[i + k] & 0x3f);
        }
        if (c < least || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
            return false;
        i += more + 1;
    }
    return true;
}

static void all_short_sequences(void **state)
{
    (void)state;
    for (uint32_t v = 0; v < 1u << 24; v++) {
        uint8_t s[3] = {(uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
        if (pgn_utf8_valid(s, 3) != naive(s, 3))
            fail_msg("%02x %02x %02x", s[0], s[1], s[2]);
    }
    for (uint32_t v = 0; v < 1u << 16; v++) {
        uint8_t s[2] = {(uint8_t)(v >> 8), (uint8_t)v};
        assert_int_equal(pgn_utf8_valid(s, 2), naive(s, 2));
        assert_int_equal(pgn_utf8_valid(s, 1), naive(s, 1));
    }
    for (uint32_t v = 0; v < 16u * 64 * 4 * 4; v++) { /* four bytes: every first byte from f0, edges of the others */
        static const uint8_t edge[] = {0x7f, 0x80, 0xbf, 0xc0};
        uint8_t s[4] = {(uint8_t)(0xf0 + v % 16), (uint8_t)(0x80 + v / 16 % 64), edge[v / 1024 % 4], edge[v / 4096]};
        assert_int_equal(pgn_utf8_valid(s, 4), naive(s, 4));
    }
}

static void known_vectors(void **state)
{
    static const struct {
        const char *text;
        bool good;
    } vectors[] = {
        {"", true},
        {"plain, longer than eight bytes", true},
        {"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5", true},
        {"\xf0\x9f\x91\x8d thumbs up", true},
        {"\xef\xbf\xbd\xef\xbf\xbf\xf4\x8f\xbf\xbf", true},
        {"\xf4\x90\x80\x80", false},         /* above U+10FFFF */
        {"\xed\xa0\x80", false},             /* surrogate */
        {"\xed\xa0\xbd\xed\xb1\x8d", false}, /* CESU-8 */
        {"\xc0\x80", false},                 /* overlong zero */
        {"\xc0\xaf", false},                 /* overlong slash */
        {"\xe0\x80\xaf", false},
        {"\xf0\x80\x80\xaf", false},
        {"\xf8\x88\x80\x80\x80", false}, /* five bytes */
        {"\xfe", false},
        {"\x80", false},
        {"\xe2\x82", false}, /* cut off */
        {"12345678\xff", false},
        {"\xe2\x28\xa1", false},
    };

    (void)state;
    for (size_t i = 0; i < PGN_COUNT(vectors); i++)
        assert_int_equal(pgn_utf8_valid(vectors[i].text, strlen(vectors[i].text)), vectors[i].good);
}

/* In pieces cut anywhere the answer is that for the whole. */
static void pieces_are_as_the_whole(void **state)
{
    (void)state;
    for (int round = 0; round < 200000; round++) {
        uint8_t s[12];
        size_t len = pgn_random_below(sizeof(s) + 1), cut = pgn_random_below(len + 1), cut2 = cut + pgn_random_below(len - cut + 1);
        uint32_t st = 0;
        static const uint8_t likely[] = {'a', 0xc3, 0xe2, 0x82, 0xac, 0xf0, 0x9f, 0x91, 0x8d, 0xed, 0xa0, 0x80};
        bool good;
        for (size_t i = 0; i < len; i++)
            s[i] = pgn_random_below(8) ? likely[pgn_random_below(sizeof(likely))] : (uint8_t)pgn_random_below(256);
        good =
            pgn_utf8_check(&st, s, cut) && pgn_utf8_check(&st, s + cut, cut2 - cut) && pgn_utf8_check(&st, s + cut2, len - cut2) && st == 0;
        assert_int_equal(good, naive(s, len));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_short_sequences),
        cmocka_unit_test(known_vectors),
        cmocka_unit_test(pieces_are_as_the_whole),
    };
    test_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
