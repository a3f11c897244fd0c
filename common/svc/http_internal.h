/* What the parts of the HTTP module share: http.c (server, routes), http_request.c (reading), http_answer.c. */
#ifndef PGN_SVC_HTTP_INTERNAL_H
#define PGN_SVC_HTTP_INTERNAL_H

#include "common/svc/http.h"

#include <civetweb.h>

enum { PGN_HTTP_PATH_MAX = 2048 };

struct pgn_http_request {
    struct mg_connection *conn;
    const struct mg_request_info *info;
    uint64_t body_limit;
    char path[PGN_HTTP_PATH_MAX];
    struct pgn_buf headers; /* lines set before the answer */
    bool has_cache_control;
    int status; /* 0: not answered yet */
};

/*
 * The path of a request line, decoded once. False for what no honest client sends: a host in it, broken escapes, control
 * bytes, encoded slashes, backslashes, empty or dot segments.
 */
bool pgn_http_decode_path(const char *uri, char *out, size_t out_bytes);

#endif
