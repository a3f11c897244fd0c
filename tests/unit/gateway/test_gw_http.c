/* Upgrade requests: what is taken, and how everything else is refused. */
#include "services/gateway/gw_http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { LIMIT = 4096 };
#define GOOD_KEY      "dGhlIHNhbXBsZSBub25jZQ=="
#define HEADERS       "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: " GOOD_KEY "\r\nSec-WebSocket-Version: 13\r\n"
#define REQUEST(more) "GET /v1/ws HTTP/1.1\r\nHost: chat.example\r\n" HEADERS more "\r\n"

static struct gw_upgrade up;
static struct gw_http_refusal refusal;
static size_t used;

/* 101, 0 for more, or the refusal's status. From memory of the exact size, kept until the next call. */
static int parse(const char *text)
{
    static char *copy;
    size_t len = strlen(text);
    free(copy);
    copy = malloc(len ? len : 1);
    memcpy(copy, text, len);
    enum gw_http_result r = gw_http_parse(copy, len, LIMIT, &up, &used, &refusal);
    return r == GW_HTTP_MORE ? 0 : r == GW_HTTP_UPGRADE ? 101 : refusal.status;
}

static void test_upgrade(void **state)
{
    (void)state;
    assert_int_equal(parse(REQUEST("")), 101);
    assert_int_equal(used, strlen(REQUEST("")));
    assert_int_equal(up.encoding, GW_JSON);
    assert_false(up.named);
    assert_null(up.origin.at);
    struct pgn_buf out = {0};
    gw_http_accept(&up, &out); /* the example of RFC 6455 */
    assert_non_null(strstr(pgn_buf_cstr(&out), "101 Switching Protocols\r\n"));
    assert_non_null(strstr(pgn_buf_cstr(&out), "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    assert_null(strstr(pgn_buf_cstr(&out), "Protocol:"));
    pgn_buf_release(&out);
}

static void test_what_follows_is_left(void **state)
{
    (void)state;
    assert_int_equal(parse(REQUEST("") "\x81\x80"), 101);
    assert_int_equal(used, strlen(REQUEST("")));
}

static void test_pieces(void **state)
{
    (void)state;
    const char *whole = REQUEST("Origin: https://chat.example\r\n");
    for (size_t n = 0; n < strlen(whole); n++) {
        char *part = strndup(whole, n);
        assert_int_equal(parse(part), 0);
        free(part);
    }
    assert_int_equal(parse(whole), 101);
}

static void test_subprotocols(void **state)
{
    (void)state;
    assert_int_equal(parse(REQUEST("Sec-WebSocket-Protocol: pigeon.v1.proto\r\n")), 101);
    assert_int_equal(up.encoding, GW_PROTO);
    assert_true(up.named);
    assert_int_equal(parse(REQUEST("Sec-WebSocket-Protocol: soap, pigeon.v1.json , pigeon.v1.proto\r\n")), 101);
    assert_int_equal(up.encoding, GW_JSON);
    assert_true(up.named);
    assert_int_equal(parse(REQUEST("Sec-WebSocket-Protocol: soap\r\nSec-WebSocket-Protocol: pigeon.v1.proto\r\n")), 101);
    assert_int_equal(up.encoding, GW_PROTO);
    assert_int_equal(parse(REQUEST("Sec-WebSocket-Protocol: soap\r\n")), 101);
    assert_int_equal(up.encoding, GW_JSON);
    assert_false(up.named);
}

static void test_lenient_where_http_is(void **state)
{
    (void)state;
    assert_int_equal(parse("GET /v1/ws?x=1 HTTP/1.1\r\nhost:a\r\nUPGRADE: h2c, WebSocket\r\nconnection: keep-alive, UPGRADE\r\n"
                           "sec-websocket-key:  " GOOD_KEY " \r\nSec-WebSocket-Version: 13\r\nContent-Length: 0\r\n\r\n"),
                     101);
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *request;
    } bad[] = {
        {404, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
        {404, "GET /v1/wsx HTTP/1.1\r\nHost: a\r\n\r\n"},
        {405, "POST /v1/ws HTTP/1.1\r\nHost: a\r\n\r\n"},
        {505, "GET /v1/ws HTTP/1.0\r\nHost: a\r\n\r\n"},
        {505, "GET /v1/ws HTTP/2.0\r\nHost: a\r\n\r\n"},
        {400, "GET /v1/ws\r\n\r\n"},
        {400, "GET /v1/ws HTTP/1.1 x\r\n\r\n"},
        {400, "GET /v1/ws FTP/1.1\r\n\r\n"},
        {400, "\x16\x03\x01\x02"}, /* TLS */
        {400, "\r\n\r\n"},
        {400, "GET /v1/ws HTTP/1.1\r\n" HEADERS "\r\n"}, /* no Host */
        {400, "GET /v1/ws HTTP/1.1\r\nHost: a\r\nHost: a\r\n" HEADERS "\r\n"},
        {400, "GET /v1/ws HTTP/1.1\r\nHost: a\nX: b\r\n" HEADERS "\r\n"}, /* bare LF */
        {400, "GET /v1/ws HTTP/1.1\r\nHost: a\r\n b\r\n" HEADERS "\r\n"}, /* folded */
        {400, "GET /v1/ws HTTP/1.1\r\nHost : a\r\n" HEADERS "\r\n"},      /* space before the colon */
        {400, "GET /v1/ws HTTP/1.1\r\nHost: a\x01\r\n" HEADERS "\r\n"},
        {400, "GET /v1/ws HTTP/1.1\r\n: a\r\n" HEADERS "\r\n"},
        {400, "GET /v1/ws HTTP/1.1\r\nHost: a\r\n\r\n"},
        {400, "GET /v1/ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n"},
        {426, "GET /v1/ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: " GOOD_KEY
              "\r\nSec-WebSocket-Version: 8\r\n\r\n"},
        {400, "GET /v1/ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\r\n"},
        {400, "GET /v1/ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: short==\r\n"
              "Sec-WebSocket-Version: 13\r\n\r\n"},
        {400, REQUEST("Sec-WebSocket-Key: " GOOD_KEY "\r\n")},
        {400, REQUEST("Content-Length: 5\r\n")},
        {400, REQUEST("Transfer-Encoding: chunked\r\n")},
        {400, REQUEST("Origin: a\r\nOrigin: b\r\n")},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int status = parse(bad[i].request);
        if (status != bad[i].status)
            fail_msg("%d instead of %d: %s", status, bad[i].status, bad[i].request);
        struct pgn_buf out = {0};
        gw_http_refuse(&refusal, 0, &out);
        assert_non_null(strstr(pgn_buf_cstr(&out), "\r\nConnection: close\r\n"));
        pgn_buf_release(&out);
    }
    assert_int_equal(parse("GET /v1/ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"), 426);
    assert_string_equal(refusal.header, "Sec-WebSocket-Version: 13");
}

static void test_caps(void **state)
{
    (void)state;
    char *big = calloc(1, LIMIT + 2);
    memset(big, 'A', LIMIT - 1);
    assert_int_equal(parse(big), 0);
    big[LIMIT - 1] = 'A';
    assert_int_equal(parse(big), 431);
    strcpy(big, "GET /v1/ws HTTP/1.1\r\nHost: a\r\n");
    for (int i = 0; i < GW_HTTP_HEADERS_MAX; i++)
        strcat(big, "X: y\r\n");
    strcat(big, "\r\n");
    assert_int_equal(parse(big), 431);
    free(big);
}

static struct gw_str str(const char *s)
{
    return (struct gw_str){s, s ? strlen(s) : 0};
}

static void test_origins(void **state)
{
    (void)state;
    static const struct {
        const char *origin, *host, *list;
        bool allowed;
    } rows[] = {
        {NULL, "a", "", true},
        {"https://chat.example", "chat.example", "", true},
        {"https://CHAT.example", "chat.example", "", true},
        {"https://chat.example", "chat.example:443", "", true},
        {"http://chat.example", "chat.example:80", "", true},
        {"http://localhost:8080", "localhost:8080", "", true},
        {"http://[::1]:8080", "[::1]:8080", "", true},
        {"http://localhost:8080", "localhost:8081", "", false},
        {"http://localhost:8080", "localhost", "", false},
        {"https://evil.example", "chat.example", "", false},
        {"https://chat.example.evil.example", "chat.example", "", false},
        {"https://evilchat.example", "chat.example", "", false},
        {"null", "chat.example", "", false},
        {"", "chat.example", "", false},
        {"file://", "chat.example", "", false},
        {"https://", "chat.example", "", false},
        {"ftp://chat.example", "chat.example", "", false},
        {"https://other.example", "chat.example", "x.example, other.example", true},
        {"https://other.example:8443", "chat.example", "other.example", false},
        {"https://other.example:8443", "chat.example", "https://other.example:8443", true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (gw_http_origin_allowed(str(rows[i].origin), str(rows[i].host), rows[i].list) != rows[i].allowed)
            fail_msg("origin %s, host %s, list %s", rows[i].origin ? rows[i].origin : "-", rows[i].host, rows[i].list);
}

static void test_client_address(void **state)
{
    (void)state;
    static const struct {
        const char *peer, *forwarded, *wanted;
    } rows[] = {
        {"127.0.0.1", NULL, "127.0.0.1"},
        {"127.0.0.1", "1.2.3.4", "1.2.3.4"},
        {"127.0.0.1", "6.6.6.6, 1.2.3.4", "1.2.3.4"}, /* what the client claimed stands in front */
        {"127.0.0.1", "1.2.3.4, 10.0.0.1", "1.2.3.4"},
        {"127.0.0.1", "10.0.0.1", "10.0.0.1"},
        {"127.0.0.1", "1.2.3.4, nonsense", "127.0.0.1"},
        {"127.0.0.1", "", "127.0.0.1"},
        {"127.0.0.1", "2001:db8::1", "2001:db8::1"},
        {"9.9.9.9", "1.2.3.4", "9.9.9.9"}, /* not a proxy of ours */
    };
    char got[GW_ADDRESS_MAX];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        gw_http_client_address(rows[i].peer, str(rows[i].forwarded), "127.0.0.1, 10.0.0.1", got);
        assert_string_equal(got, rows[i].wanted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_upgrade),
        cmocka_unit_test(test_what_follows_is_left),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_subprotocols),
        cmocka_unit_test(test_lenient_where_http_is),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_caps),
        cmocka_unit_test(test_origins),
        cmocka_unit_test(test_client_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
