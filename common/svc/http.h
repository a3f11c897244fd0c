/*
 * HTTP on civetweb's threads: health and metrics of every service, and the whole REST API of pigeon-api.
 * The only module that includes civetweb.h. Handlers run on civetweb's threads and may block.
 * On Debian 12's civetweb 1.15 (CVE-2025-55763, CVE-2025-9648) only loopback addresses are accepted, document_root is never set.
 */
#ifndef PGN_SVC_HTTP_H
#define PGN_SVC_HTTP_H

#include "common/base/buf.h"
#include "common/base/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pgn_http;
struct pgn_http_request; /* valid during the handler only */

/* Handles every path under a prefix. Must answer exactly once. */
typedef void pgn_http_handler(struct pgn_http_request *req, void *ctx);

struct pgn_http_options {
    const char *address;
    uint16_t port; /* 0: any free one, see pgn_http_port */
    int threads;
    uint64_t body_limit; /* bytes; larger bodies are answered 413 (pgn_http_body); streamed reads are not limited by it */
};
/* PGN_E_BUSY when the port is taken, PGN_E_INVALID when the address is not loopback and civetweb is too old; reason in ret_problem. */
int pgn_http_new(const struct pgn_http_options *options, struct pgn_http **ret_http, struct pgn_buf *ret_problem) PGN_MUST_USE;
uint16_t pgn_http_port(const struct pgn_http *http);
const char *pgn_http_library(void); /* civetweb's version, "1.15" */
/* The longest matching prefix wins. Before requests come is not required. */
void pgn_http_handle(struct pgn_http *http, const char *prefix, pgn_http_handler *handler, void *ctx);
void pgn_http_free(struct pgn_http **http); /* waits for running handlers */

/* Reading. Borrowed strings live as long as the request; NULL when absent. */
const char *pgn_http_method(const struct pgn_http_request *req);
const char *pgn_http_path(const struct pgn_http_request *req); /* decoded once, no query */
const char *pgn_http_header(const struct pgn_http_request *req, const char *name);
const char *pgn_http_peer(const struct pgn_http_request *req);
/* One decoded query value into out; false when absent, too long or badly encoded. */
bool pgn_http_query(const struct pgn_http_request *req, const char *name, char *out, size_t out_bytes);
int64_t pgn_http_content_length(const struct pgn_http_request *req);                    /* -1: unknown */
int pgn_http_body(struct pgn_http_request *req, struct pgn_buf *ret_body) PGN_MUST_USE; /* whole; PGN_E_TOO_LARGE, PGN_E_IO */
/* Streamed: bytes read, 0 at the end, PGN_E_IO when the peer left. */
int64_t pgn_http_read(struct pgn_http_request *req, void *out, size_t bytes);

/* Answering. */
void pgn_http_set_header(struct pgn_http_request *req, const char *name, const char *value); /* before the answer */
void pgn_http_answer(struct pgn_http_request *req, int status, const char *content_type, const void *body, size_t len);
void pgn_http_answer_error(struct pgn_http_request *req, int error, const char *text,
                           uint64_t retry_after_ms); /* JSON of the error table; text NULL: the table's */
int pgn_http_answer_file(struct pgn_http_request *req, const char *path, const char *content_type); /* with Range; 0 or PGN_E_NOT_FOUND */

#endif
