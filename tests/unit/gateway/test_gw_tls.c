/* TLS without sockets: records against RFC 8448's trace and OpenSSL's limits, tickets' keys, suites. */
#include "services/gateway/gw_tls_conn.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct gw_tls_ciphers *ciphers;

static size_t from_hex(const char *hex, uint8_t *out, size_t max)
{
    size_t len;
    assert_int_equal(sodium_hex2bin(out, max, hex, strlen(hex), " ", &len, NULL), 0);
    return len;
}

/* RFC 8448, 3: application traffic secrets of client and server. */
static struct gw_tls_way way_of(bool server)
{
    uint8_t secret[32];
    struct gw_tls_way w;
    assert_int_equal(from_hex(server ? "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643"
                                     : "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5",
                              secret, sizeof secret),
                     32);
    assert_true(gw_tls_way_init(&w, 0x1301, secret, 32));
    return w;
}

static void test_keys(void **state)
{
    (void)state;
    uint8_t key[16], iv[12];
    struct gw_tls_way server = way_of(true), client = way_of(false);
    from_hex("9f02283b6c9c07efc26bb9f2ac92e356", key, sizeof key);
    from_hex("cf782b88dd83549aadf1e984", iv, sizeof iv);
    assert_memory_equal(server.key, key, 16);
    assert_memory_equal(server.iv, iv, 12);
    from_hex("17422dda596ed5d9acd890e3c63f5051", key, sizeof key);
    from_hex("5b78923dee08579033e523d9", iv, sizeof iv);
    assert_memory_equal(client.key, key, 16);
    assert_memory_equal(client.iv, iv, 12);
}

/* The client's first record of data, and the server's second record (a ticket was the first). */
static void test_trace(void **state)
{
    (void)state;
    uint8_t record[128], plain[128], out[128], type;
    size_t len, held;
    struct gw_tls_way client = way_of(false), server = way_of(true);
    for (uint8_t i = 0; i < 50; i++)
        plain[i] = i;
    len = from_hex(
        "17 03 03 00 43 a2 3f 70 54 b6 2c 94 d0 af fa fe 82 28 ba 55 cb ef ac ea 42 f9 14 aa 66 bc ab 3f 2b 98 19 a8 a5 b4 6b 39 5b d5 "
        "4a 9a 20 44 1e 2b 62 97 4e 1f 5a 62 92 a2 97 70 14 bd 1e 3d ea e6 3a ee bb 21 69 49 15 e4",
        record, sizeof record);
    assert_int_equal(gw_tls_record_length(record, len), (int)len);
    assert_int_equal(gw_tls_open(ciphers, &client, record, len, out, &type, &held), 0);
    assert_int_equal(type, GW_TLS_DATA);
    assert_int_equal(held, 50);
    assert_memory_equal(out, plain, 50);
    len = from_hex(
        "17 03 03 00 43 2e 93 7e 11 ef 4a c7 40 e5 38 ad 36 00 5f c4 a4 69 32 fc 32 25 d0 5f 82 aa 1b 36 e3 0e fa f9 7d 90 e6 df fc 60 "
        "2d cb 50 1a 59 a8 fc c4 9c 4b f2 e5 f0 a2 1c 00 47 c2 ab f3 32 54 0d d0 32 e1 67 c2 95 5d",
        record, sizeof record);
    server.number = 1;
    assert_int_equal(gw_tls_seal(ciphers, &server, GW_TLS_DATA, plain, 50, out), len);
    assert_memory_equal(out, record, len);
    assert_int_equal(server.number, 2);
}

/* A way there and the same way back, of each suite. */
static void pair(unsigned suite, struct gw_tls_way *a, struct gw_tls_way *b)
{
    uint8_t secret[48];
    for (uint8_t i = 0; i < 48; i++)
        secret[i] = (uint8_t)(i * 7 + suite);
    assert_true(gw_tls_way_init(a, suite, secret, suite == 0x1302 ? 48 : 32));
    *b = *a;
}

static void test_round_trips(void **state)
{
    (void)state;
    static uint8_t plain[GW_TLS_PLAIN_MAX], record[GW_TLS_RECORD_MAX], out[GW_TLS_RECORD_MAX];
    static const size_t lengths[] = {0, 1, 15, 16, 17, 1000, GW_TLS_PLAIN_MAX};
    memset(plain, 'x', sizeof plain);
    for (unsigned suite = 0x1301; suite <= 0x1303; suite++) {
        struct gw_tls_way a, b;
        pair(suite, &a, &b);
        for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
            uint8_t type;
            size_t held, n = gw_tls_seal(ciphers, &a, GW_TLS_DATA, plain, lengths[i], record);
            assert_int_equal(n, lengths[i] + GW_TLS_EXTRA);
            assert_int_equal(gw_tls_open(ciphers, &b, record, n, out, &type, &held), 0);
            assert_int_equal(held, lengths[i]);
            assert_memory_equal(out, plain, held);
            if (i == 3) {
                gw_tls_way_update(&a);
                assert_int_equal(a.number, 0);
                n = gw_tls_seal(ciphers, &a, GW_TLS_DATA, plain, 5, record);
                struct gw_tls_way old = b;
                assert_int_equal(gw_tls_open(ciphers, &old, record, n, out, &type, &held), GW_TLS_BAD_MAC);
                gw_tls_way_update(&b);
                assert_int_equal(gw_tls_open(ciphers, &b, record, n, out, &type, &held), 0);
            }
        }
    }
    struct gw_tls_way w;
    assert_false(gw_tls_way_init(&w, 0x1304, plain, 32));
    assert_false(gw_tls_way_init(&w, 0x1301, plain, 48));
    assert_false(gw_tls_way_init(&w, 0x1302, plain, 32));
}

/* Each touched bit is found; so is what stands in another place than it was sent in. */
static void test_touched(void **state)
{
    (void)state;
    uint8_t record[64], again[64], out[64], type;
    size_t held;
    for (unsigned suite = 0x1301; suite <= 0x1303; suite++) {
        struct gw_tls_way a, b;
        pair(suite, &a, &b);
        size_t n = gw_tls_seal(ciphers, &a, GW_TLS_DATA, "hello", 5, record);
        for (size_t bit = 0; bit < n * 8; bit++) {
            struct gw_tls_way w = b;
            memcpy(again, record, n);
            again[bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_int_not_equal(gw_tls_open(ciphers, &w, again, n, out, &type, &held), 0);
        }
        struct gw_tls_way w = b;
        w.number++;
        assert_int_equal(gw_tls_open(ciphers, &w, record, n, out, &type, &held), GW_TLS_BAD_MAC);
        w = b;
        assert_int_equal(gw_tls_open(ciphers, &w, record, n - 1, out, &type, &held), GW_TLS_BAD_MAC);
        assert_int_equal(gw_tls_open(ciphers, &b, record, n, out, &type, &held), 0);
    }
}

/* Padding is cut; nothing but padding is refused; more than 2^14 bytes are refused even when they are authentic. */
static void test_padding_and_size(void **state)
{
    (void)state;
    static uint8_t plain[GW_TLS_PLAIN_MAX], record[GW_TLS_RECORD_MAX + 64], out[GW_TLS_RECORD_MAX];
    struct gw_tls_way a, b;
    uint8_t type;
    size_t held, n;
    pair(0x1301, &a, &b);
    memcpy(plain, "hi\x15\0\0\0", 6);
    n = gw_tls_seal(ciphers, &a, 0, plain, 6, record); /* the type is one more zero */
    assert_int_equal(gw_tls_open(ciphers, &b, record, n, out, &type, &held), 0);
    assert_int_equal(type, GW_TLS_ALERT);
    assert_int_equal(held, 2);
    memset(plain, 0, sizeof plain);
    n = gw_tls_seal(ciphers, &a, 0, plain, 100, record);
    assert_int_equal(gw_tls_open(ciphers, &b, record, n, out, &type, &held), GW_TLS_UNEXPECTED);
    n = gw_tls_seal(ciphers, &a, 0, plain, 0, record);
    assert_int_equal(gw_tls_open(ciphers, &b, record, n, out, &type, &held), GW_TLS_UNEXPECTED);
    assert_int_equal(gw_tls_open(ciphers, &b, record, GW_TLS_RECORD_MAX + 1, out, &type, &held), GW_TLS_OVERFLOW);
    for (size_t len = 0; len < GW_TLS_EXTRA; len++)
        assert_int_not_equal(gw_tls_open(ciphers, &b, record, len, out, &type, &held), 0);
}

static void test_heads(void **state)
{
    (void)state;
    bool broken;
    assert_int_equal(gw_tls_record_length((const uint8_t *)"\x17\x03\x03\x00", 4), 0);
    assert_int_equal(gw_tls_record_length((const uint8_t *)"\x17\x03\x03\x00\x01", 5), 6);
    assert_int_equal(gw_tls_record_length((const uint8_t *)"\x16\x03\x01\x40\x00", 5), 16389);
    assert_int_equal(gw_tls_record_length((const uint8_t *)"\x17\x03\x03\x00\x00", 5), -1);
    assert_int_equal(gw_tls_record_length((const uint8_t *)"\x17\x03\x03\x48\x01", 5), -1);
    assert_int_equal(gw_tls_record_length((const uint8_t *)"\x13\x03\x03\x00\x01", 5), -1);
    assert_int_equal(gw_tls_record_length((const uint8_t *)"\x18\x03\x03\x00\x01", 5), -1);
    assert_int_equal(gw_tls_record_length((const uint8_t *)"GET /", 5), -1);
    assert_int_equal(gw_tls_whole((const uint8_t *)"\x17\x03\x03\x00\x01x\x17\x03\x03\x00\x02x", 12, &broken), 6);
    assert_false(broken);
    assert_int_equal(gw_tls_whole((const uint8_t *)"\x17\x03\x03\x00\x01xGET /", 11, &broken), 6);
    assert_true(broken);
}

static void test_worn(void **state)
{
    (void)state;
    struct gw_tls_way w = way_of(true);
    assert_false(gw_tls_way_worn(&w));
    w.number = (1 << 23) - 1;
    assert_false(gw_tls_way_worn(&w));
    w.number++;
    assert_true(gw_tls_way_worn(&w));
    gw_tls_way_update(&w);
    assert_false(gw_tls_way_worn(&w));
    gw_tls_way_wipe(&w);
    assert_int_equal(w.key[0] | w.secret[0] | w.iv[0], 0);
}

static void test_tickets(void **state)
{
    (void)state;
    uint8_t one[GW_TLS_MASTER] = {1}, two[GW_TLS_MASTER] = {2};
    struct gw_tls_ticket_key a, same, next, other;
    gw_tls_ticket_key(one, 1000, &a);
    gw_tls_ticket_key(one, 1000, &same);
    gw_tls_ticket_key(one, 1001, &next);
    gw_tls_ticket_key(two, 1000, &other);
    assert_memory_equal(&a, &same, sizeof a);
    assert_memory_not_equal(a.name, next.name, sizeof a.name);
    assert_memory_not_equal(a.cipher, next.cipher, sizeof a.cipher);
    assert_memory_not_equal(a.mac, next.mac, sizeof a.mac);
    assert_memory_not_equal(a.cipher, a.mac, sizeof a.mac);
    assert_memory_not_equal(a.name, other.name, sizeof a.name);
    assert_memory_not_equal(a.cipher, other.cipher, sizeof a.cipher);
}

static void test_suites(void **state)
{
    (void)state;
    assert_int_equal(strncmp(gw_tls_suites_13(false), "TLS_CHACHA20", 12), 0);
    assert_int_equal(strncmp(gw_tls_suites_13(true), "TLS_AES_128_GCM", 15), 0);
    for (int aes = 0; aes < 2; aes++) {
        SSL_CTX *x = SSL_CTX_new(TLS_server_method());
        assert_int_equal(SSL_CTX_set_ciphersuites(x, gw_tls_suites_13(aes)), 1);
        assert_int_equal(SSL_CTX_set_cipher_list(x, gw_tls_suites_12(aes)), 1);
        STACK_OF(SSL_CIPHER) *all = SSL_CTX_get_ciphers(x);
        assert_int_equal(sk_SSL_CIPHER_num(all), 9);
        for (int i = 0; i < sk_SSL_CIPHER_num(all); i++)
            assert_true(SSL_CIPHER_is_aead(sk_SSL_CIPHER_value(all, i)));
        SSL_CTX_free(x);
    }
}

static int start(void **state)
{
    (void)state;
    ciphers = gw_tls_ciphers_new();
    return ciphers ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    gw_tls_ciphers_free(&ciphers);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_trace),
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_touched),
        cmocka_unit_test(test_padding_and_size),
        cmocka_unit_test(test_heads),
        cmocka_unit_test(test_worn),
        cmocka_unit_test(test_tickets),
        cmocka_unit_test(test_suites),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
