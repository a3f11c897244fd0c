/* Answering a request. */
#include "common/base/error.h"
#include "common/base/json.h"
#include "common/svc/http_internal.h"
#include "common/svc/log.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE_BYTES = 65536 };

static bool one_line(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            return false;
    return true;
}

void pgn_http_set_header(struct pgn_http_request *req, const char *name, const char *value)
{
    if (!one_line(name) || !one_line(value)) {
        pgn_log(PGN_ERR, "http: a header was left out that would have broken the answer of %s", req->path);
        return;
    }
    if (strcasecmp(name, "Cache-Control") == 0)
        req->has_cache_control = true;
    pgn_buf_printf(&req->headers, "%s: %s\r\n", name, value);
}

static bool head_only(const struct pgn_http_request *req)
{
    return strcmp(req->info->request_method, "HEAD") == 0;
}

static const char *reason(struct pgn_http_request *req, int status)
{
    const char *text = mg_get_response_code_text(req->conn, status);
    return text ? text : "Status";
}

/* False when the request has been answered before, or the peer is gone. */
static bool write_head(struct pgn_http_request *req, int status, const char *content_type, uint64_t len)
{
    if (req->status) {
        pgn_log(PGN_ERR, "http: a handler answered %s twice", req->path);
        return false;
    }
    req->status = status;
    struct pgn_buf head = {0};
    pgn_buf_printf(&head, "HTTP/1.1 %d %s\r\n", status, reason(req, status));
    if (status != 204 && status != 304)
        pgn_buf_printf(&head, "Content-Length: %" PRIu64 "\r\n", len);
    if (content_type)
        pgn_buf_printf(&head, "Content-Type: %s\r\n", content_type);
    pgn_buf_append_str(&head, "Connection: close\r\nX-Content-Type-Options: nosniff\r\n");
    if (!req->has_cache_control)
        pgn_buf_append_str(&head, "Cache-Control: no-store\r\n");
    pgn_buf_append(&head, req->headers.data, req->headers.len);
    pgn_buf_append_str(&head, "\r\n");
    bool ok = mg_write(req->conn, head.data, head.len) == (int)head.len;
    pgn_buf_release(&head);
    return ok;
}

void pgn_http_answer(struct pgn_http_request *req, int status, const char *content_type, const void *body, size_t len)
{
    if (!write_head(req, status, content_type, len) || head_only(req) || len == 0)
        return;
    const char *at = body;
    while (len > 0) {
        size_t piece = len < PIECE_BYTES ? len : PIECE_BYTES;
        int n = mg_write(req->conn, at, piece);
        if (n <= 0)
            return;
        at += n;
        len -= (size_t)n;
    }
}

void pgn_http_answer_error(struct pgn_http_request *req, int error, const char *text, uint64_t retry_after_ms)
{
    const struct pgn_error_info *info = pgn_error_info(error);
    if (retry_after_ms > 0) {
        char seconds[24];
        snprintf(seconds, sizeof(seconds), "%" PRIu64, (retry_after_ms + 999) / 1000);
        pgn_http_set_header(req, "Retry-After", seconds);
    }
    struct pgn_buf body = {0};
    struct pgn_json j = pgn_json_on(&body);
    pgn_json_object(&j);
    pgn_json_key(&j, "error");
    pgn_json_object(&j);
    pgn_json_key(&j, "code");
    pgn_json_str(&j, info->wire);
    pgn_json_key(&j, "text");
    pgn_json_str(&j, text ? text : info->text);
    pgn_json_key(&j, "retry");
    pgn_json_bool(&j, info->retry);
    if (retry_after_ms > 0) {
        pgn_json_key(&j, "retry_after_ms");
        pgn_json_u64(&j, retry_after_ms);
    }
    pgn_json_object_end(&j);
    pgn_json_object_end(&j);
    pgn_http_answer(req, info->http_status, "application/json", body.data, body.len);
    pgn_buf_release(&body);
}

static bool parse_number(const char **at, uint64_t *ret)
{
    if (**at < '0' || **at > '9')
        return false;
    char *end;
    *ret = strtoull(*at, &end, 10);
    *at = end;
    return true;
}

enum range { RANGE_NONE, RANGE_PART, RANGE_BEYOND };

/* One range of bytes (RFC 9110, 14.1.2); several, or nonsense, are as none. [*first, *end) on RANGE_PART. */
static enum range parse_range(const char *header, uint64_t size, uint64_t *ret_first, uint64_t *ret_end)
{
    if (!header || strncmp(header, "bytes=", 6) != 0)
        return RANGE_NONE;
    const char *at = header + 6;
    uint64_t first, last;
    if (*at == '-') {
        at++;
        if (!parse_number(&at, &last) || *at)
            return RANGE_NONE;
        if (last == 0 || size == 0)
            return RANGE_BEYOND;
        *ret_first = last < size ? size - last : 0;
        *ret_end = size;
        return RANGE_PART;
    }
    if (!parse_number(&at, &first) || *at++ != '-')
        return RANGE_NONE;
    if (*at == 0)
        last = UINT64_MAX;
    else if (!parse_number(&at, &last) || *at || last < first)
        return RANGE_NONE;
    if (first >= size)
        return RANGE_BEYOND;
    *ret_first = first;
    *ret_end = last >= size ? size : last + 1;
    return RANGE_PART;
}

static void send_part(struct pgn_http_request *req, int fd, uint64_t first, uint64_t end)
{
    uint8_t *piece = malloc(PIECE_BYTES);
    while (piece && first < end) {
        uint64_t want = end - first < PIECE_BYTES ? end - first : PIECE_BYTES;
        ssize_t n = pread(fd, piece, want, (off_t)first);
        if (n <= 0 || mg_write(req->conn, piece, (size_t)n) != (int)n)
            break;
        first += (uint64_t)n;
    }
    free(piece);
}

int pgn_http_answer_file(struct pgn_http_request *req, const char *path, const char *content_type)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        if (fd >= 0)
            close(fd);
        return PGN_E_NOT_FOUND;
    }
    uint64_t size = (uint64_t)st.st_size, first = 0, end = size;
    char text[80];
    int status = 200;
    pgn_http_set_header(req, "Accept-Ranges", "bytes");
    switch (parse_range(pgn_http_header(req, "Range"), size, &first, &end)) {
    case RANGE_NONE:
        break;
    case RANGE_PART:
        status = 206;
        snprintf(text, sizeof(text), "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, first, end - 1, size);
        pgn_http_set_header(req, "Content-Range", text);
        break;
    case RANGE_BEYOND:
        status = 416;
        first = end = 0;
        snprintf(text, sizeof(text), "bytes */%" PRIu64, size);
        pgn_http_set_header(req, "Content-Range", text);
        break;
    }
    if (write_head(req, status, status == 416 ? NULL : content_type, end - first) && !head_only(req))
        send_part(req, fd, first, end);
    close(fd);
    return 0;
}
