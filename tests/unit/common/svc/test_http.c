/* The HTTP module over real sockets. */
#include "common/base/alloc.h"
#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/svc/http.h"
#include "common/svc/http_internal.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct pgn_http *http;
static struct pgn_buf answer;

/* Sends a request and reads until the server closes. */
static const char *ask(const char *request)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(pgn_http_port(http)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(write(fd, request, strlen(request)), (ssize_t)strlen(request));
    pgn_buf_clear(&answer);
    char piece[4096];
    ssize_t n;
    while ((n = read(fd, piece, sizeof(piece))) > 0)
        pgn_buf_append(&answer, piece, (size_t)n);
    close(fd);
    return pgn_buf_cstr(&answer);
}

static void expect(const char *request, const char *status, const char *part)
{
    const char *text = ask(request);
    if (strncmp(text, status, strlen(status)) != 0 || !strstr(text, part))
        print_message("asked: %s\nanswered: %s\n", request, text);
    assert_memory_equal(text, status, strlen(status));
    assert_non_null(strstr(text, part));
}

static void on_echo(struct pgn_http_request *req, void *ctx)
{
    (void)ctx;
    char q[32] = "";
    struct pgn_buf body = {0}, out = {0};
    bool has = pgn_http_query(req, "q", q, sizeof(q));
    int error = pgn_http_body(req, &body);
    if (error) {
        pgn_http_answer_error(req, error, NULL, 0);
    } else {
        pgn_buf_printf(&out, "%s %s q=%s%s body=", pgn_http_method(req), pgn_http_path(req), has ? "" : "none", q);
        pgn_buf_append(&out, body.data, body.len);
        pgn_http_set_header(req, "X-Test", "yes");
        pgn_http_set_header(req, "X-Bad", "a\r\nSet-Cookie: x");
        pgn_http_answer(req, 200, "text/plain", out.data, out.len);
    }
    pgn_buf_release(&body);
    pgn_buf_release(&out);
}

static void on_file(struct pgn_http_request *req, void *ctx)
{
    if (pgn_http_answer_file(req, ctx, "text/plain"))
        pgn_http_answer_error(req, PGN_E_NOT_FOUND, NULL, 0);
}

static void on_limited(struct pgn_http_request *req, void *ctx)
{
    (void)ctx;
    pgn_http_answer_error(req, PGN_E_RATE_LIMITED, "slow \"down\"", 1500);
    pgn_http_answer(req, 200, NULL, "twice", 5);
}

static void on_silent(struct pgn_http_request *req, void *ctx)
{
    (void)req;
    (void)ctx;
}

static char file_path[64];

static int setup(void **state)
{
    (void)state;
    struct pgn_http_options options = {.address = "127.0.0.1", .port = 0, .threads = 2, .body_limit = 100};
    struct pgn_buf problem = {0};
    assert_int_equal(pgn_http_new(&options, &http, &problem), 0);
    assert_true(pgn_http_port(http) > 0);
    snprintf(file_path, sizeof(file_path), "%s/pigeon-test-XXXXXX", "/tmp");
    int fd = mkstemp(file_path);
    assert_int_equal(write(fd, "0123456789", 10), 10);
    close(fd);
    pgn_http_handle(http, "/v1/", on_echo, NULL);
    pgn_http_handle(http, "/v1/limited", on_limited, NULL);
    pgn_http_handle(http, "/silent", on_silent, NULL);
    pgn_http_handle(http, "/file", on_file, file_path);
    static char missing[] = "/nonexistent/file";
    pgn_http_handle(http, "/missing", on_file, missing);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    pgn_http_free(&http);
    pgn_buf_release(&answer);
    unlink(file_path);
    return 0;
}

#define END " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

static void test_routes(void **state)
{
    (void)state;
    expect("GET /v1/a%20b?x=1&q=%C3%A4+b" END, "HTTP/1.1 200 OK\r\n", "\r\n\r\nGET /v1/a b q=\xc3\xa4 b body=");
    expect("GET /v1/a?q=%zz" END, "HTTP/1.1 200", "q=none");
    expect("GET /v1/a?q=0123456789012345678901234567890123456789" END, "HTTP/1.1 200", "q=none");
    expect("GET /v1/limited/x" END, "HTTP/1.1 429",
           "{\"error\":{\"code\":\"rate_limited\",\"text\":\"slow \\\"down\\\"\",\"retry\":true,\"retry_after_ms\":1500}}");
    expect("GET /v1/limited" END, "HTTP/1.1 429", "Retry-After: 2\r\n");
    expect("GET /v1/limitedx" END, "HTTP/1.1 200", "");
    expect("GET /v2" END, "HTTP/1.1 404", "not_found");
    expect("GET /silent" END, "HTTP/1.1 500", "internal");
    expect("GET /v1/a" END, "HTTP/1.1 200", "X-Test: yes\r\n");
    assert_null(strstr(ask("GET /v1/a" END), "Set-Cookie"));
    expect("GET /v1/a" END, "HTTP/1.1 200", "Cache-Control: no-store\r\n");
    const char *head = ask("HEAD /v1/a" END);
    assert_non_null(strstr(head, "Content-Length: "));
    assert_null(strstr(head, "body="));
}

static void test_paths(void **state)
{
    (void)state;
    char out[64];
    const char *const wrong[] = {"",        "x",           "/a%2fb", "/a%2Fb", "/a%00b",   "/a%",   "/a%4",  "/%zz",
                                 "/a/../b", "/a/..",       "/./a",   "/a/.",   "/a//b",    "//a",   "/a\\b", "/a%5cb",
                                 "/a%0ab",  "/%2e%2e/etc", "/a%25b", "/%ff",   "http://x", "/a\x01"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_false(pgn_http_decode_path(wrong[i], out, sizeof(out)));
    assert_true(pgn_http_decode_path("/a/b/?x=..", out, sizeof(out)));
    assert_string_equal(out, "/a/b/");
    assert_true(pgn_http_decode_path("/v1/convs/d:a:b/...", out, sizeof(out)));
    assert_true(pgn_http_decode_path("/", out, sizeof(out)));
    assert_false(pgn_http_decode_path("/0123456789012345678901234567890123456789012345678901234567890123", out, sizeof(out)));
    expect("GET /v1/../etc/passwd" END, "HTTP/1.1 400", "invalid");
    expect("GET /v1/%2e%2e/etc" END, "HTTP/1.1 400", "invalid");
    expect("GET /v1//a" END, "HTTP/1.1 400", "invalid");
}

static void test_body(void **state)
{
    (void)state;
    expect("POST /v1/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.1 200", "body=hello");
    expect("POST /v1/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
           "HTTP/1.1 200", "body=abcde");
    struct pgn_buf large = {0};
    pgn_buf_append_str(&large, "POST /v1/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 101\r\n\r\n");
    for (int i = 0; i < 101; i++)
        pgn_buf_append_byte(&large, 'x');
    expect(pgn_buf_cstr(&large), "HTTP/1.1 413", "too_large");
    pgn_buf_clear(&large);
    pgn_buf_append_str(&large, "POST /v1/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n");
    for (int i = 0; i < 101; i++)
        pgn_buf_append_byte(&large, 'x');
    pgn_buf_append_str(&large, "\r\n0\r\n\r\n");
    expect(pgn_buf_cstr(&large), "HTTP/1.1 413", "too_large");
    pgn_buf_release(&large);
}

#define RANGE(value) "GET /file HTTP/1.1\r\nHost: x\r\nConnection: close\r\nRange: " value "\r\n\r\n"

static void test_file(void **state)
{
    (void)state;
    expect("GET /file" END, "HTTP/1.1 200", "\r\n\r\n0123456789");
    expect("GET /missing" END, "HTTP/1.1 404", "not_found");
    expect(RANGE("bytes=2-4"), "HTTP/1.1 206", "\r\n\r\n234");
    expect(RANGE("bytes=2-4"), "HTTP/1.1 206", "Content-Range: bytes 2-4/10\r\n");
    expect(RANGE("bytes=7-"), "HTTP/1.1 206", "\r\n\r\n789");
    expect(RANGE("bytes=-3"), "HTTP/1.1 206", "\r\n\r\n789");
    expect(RANGE("bytes=-30"), "HTTP/1.1 206", "\r\n\r\n0123456789");
    expect(RANGE("bytes=9-100"), "HTTP/1.1 206", "\r\n\r\n9");
    expect(RANGE("bytes=10-"), "HTTP/1.1 416", "Content-Range: bytes */10\r\n");
    expect(RANGE("bytes=4-2"), "HTTP/1.1 200", "0123456789");
    expect(RANGE("bytes=0-1,3-4"), "HTTP/1.1 200", "0123456789");
    expect(RANGE("lines=1-2"), "HTTP/1.1 200", "0123456789");
}

static void test_start(void **state)
{
    (void)state;
    struct pgn_http *other = NULL;
    struct pgn_buf problem = {0};
    struct pgn_http_options taken = {.address = "127.0.0.1", .port = pgn_http_port(http), .threads = 1};
    assert_int_equal(pgn_http_new(&taken, &other, &problem), PGN_E_BUSY);
    assert_true(problem.len > 0);
    pgn_buf_clear(&problem);
    struct pgn_http_options open = {.address = "0.0.0.0", .port = 0, .threads = 1};
    int error = pgn_http_new(&open, &other, &problem);
    if (error) {
        assert_int_equal(error, PGN_E_INVALID);
        assert_non_null(strstr(pgn_buf_cstr(&problem), "loopback"));
    } else {
        pgn_http_free(&other); /* a civetweb that has the fixes */
    }
    pgn_buf_release(&problem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_routes), cmocka_unit_test(test_paths), cmocka_unit_test(test_body),
        cmocka_unit_test(test_file),   cmocka_unit_test(test_start),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
