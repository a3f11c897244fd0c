/* Reading a request. */
#include "common/base/error.h"
#include "common/svc/http_internal.h"

#include "common/base/utf8.h"

#include <string.h>

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* One byte, decoded, from *at on; -1 when the escape is broken. */
static int decode_byte(const char **at, const char *end, bool plus_is_space)
{
    char c = *(*at)++;
    if (c == '+' && plus_is_space)
        return ' ';
    if (c != '%')
        return (unsigned char)c;
    if (end - *at < 2 || hex((*at)[0]) < 0 || hex((*at)[1]) < 0)
        return -1;
    int v = hex((*at)[0]) * 16 + hex((*at)[1]);
    *at += 2;
    return v;
}

static bool segments_ok(const char *path)
{
    for (const char *p = path; *p == '/'; p += strcspn(p, "/")) {
        size_t len = strcspn(++p, "/");
        bool last = p[len] == 0;
        if ((len == 0 && !last) || (len == 1 && p[0] == '.') || (len == 2 && p[0] == '.' && p[1] == '.'))
            return false;
    }
    return true;
}

bool pgn_http_decode_path(const char *uri, char *out, size_t out_bytes)
{
    if (!uri || uri[0] != '/')
        return false;
    const char *at = uri, *end = uri + strcspn(uri, "?#");
    size_t len = 0;
    while (at < end) {
        bool escaped = *at == '%';
        int c = decode_byte(&at, end, false);
        if (c < 0x20 || c == 0x7f || c == '\\' || (escaped && (c == '/' || c == '%')) || len + 1 >= out_bytes)
            return false;
        out[len++] = (char)c;
    }
    out[len] = 0;
    return segments_ok(out) && pgn_utf8_valid(out, len);
}

const char *pgn_http_method(const struct pgn_http_request *req)
{
    return req->info->request_method;
}

const char *pgn_http_path(const struct pgn_http_request *req)
{
    return req->path;
}

const char *pgn_http_header(const struct pgn_http_request *req, const char *name)
{
    return mg_get_header(req->conn, name);
}

const char *pgn_http_peer(const struct pgn_http_request *req)
{
    return req->info->remote_addr;
}

static bool decode_value(const char *at, const char *end, char *out, size_t out_bytes)
{
    size_t len = 0;
    while (at < end) {
        int c = decode_byte(&at, end, true);
        if (c <= 0 || len + 1 >= out_bytes)
            return false;
        out[len++] = (char)c;
    }
    out[len] = 0;
    return pgn_utf8_valid(out, len);
}

bool pgn_http_query(const struct pgn_http_request *req, const char *name, char *out, size_t out_bytes)
{
    const char *at = req->info->query_string;
    size_t name_len = strlen(name);
    while (at && *at) {
        const char *end = at + strcspn(at, "&");
        if ((size_t)(end - at) > name_len && strncmp(at, name, name_len) == 0 && at[name_len] == '=')
            return decode_value(at + name_len + 1, end, out, out_bytes);
        at = *end ? end + 1 : end;
    }
    return false;
}

int64_t pgn_http_content_length(const struct pgn_http_request *req)
{
    return req->info->content_length;
}

int64_t pgn_http_read(struct pgn_http_request *req, void *out, size_t bytes)
{
    int n = mg_read(req->conn, out, bytes);
    return n < 0 ? PGN_E_IO : n;
}

int pgn_http_body(struct pgn_http_request *req, struct pgn_buf *ret_body)
{
    int64_t length = req->info->content_length;
    if (length > 0 && (uint64_t)length > req->body_limit)
        return PGN_E_TOO_LARGE;
    size_t start = ret_body->len;
    for (;;) {
        uint8_t piece[16384];
        int64_t n = pgn_http_read(req, piece, sizeof(piece));
        if (n < 0)
            return PGN_E_IO;
        if (n == 0)
            break;
        pgn_buf_append(ret_body, piece, (size_t)n);
        if (ret_body->len - start > req->body_limit)
            return PGN_E_TOO_LARGE;
    }
    return length > 0 && (uint64_t)length != ret_body->len - start ? PGN_E_IO : 0; /* the peer left half way */
}
