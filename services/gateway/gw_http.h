/*
 * The HTTP/1.1 side of a WebSocket: parses and checks an upgrade request, writes the answer. Pure: no socket, no clock.
 * Strict where leniency has hurt others: lines end in CRLF, no folded headers, no control bytes, no body, no doubled Host or key.
 */
#ifndef GW_HTTP_H
#define GW_HTTP_H

#include "common/base/buf.h"
#include "common/base/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gw_str { /* borrowed from the request, not terminated; at NULL: absent */
    const char *at;
    size_t len;
};

enum gw_encoding { GW_JSON, GW_PROTO, GW_ENCODINGS };
enum { GW_HTTP_HEADERS_MAX = 64, GW_ADDRESS_MAX = 46 };

struct gw_upgrade {
    struct gw_str key, host, origin, forwarded_for; /* the last X-Forwarded-For */
    enum gw_encoding encoding;
    bool named; /* a subprotocol that we know was asked for: name it in the answer */
    bool mqtt;  /* path /mqtt, subprotocol mqtt */
    bool echo;  /* test builds only: the echo route of tests/autobahn */
};

/* What to answer instead of 101. */
struct gw_http_refusal {
    int status;
    const char *text;   /* constant, for people */
    const char *header; /* a further header line without CRLF, or NULL */
};

enum gw_http_result { GW_HTTP_MORE, GW_HTTP_UPGRADE, GW_HTTP_REFUSED };

/* The request at the beginning of data. MORE: it is not complete, and below limit. UPGRADE: ret_used bytes were it. */
enum gw_http_result gw_http_parse(const char *data, size_t len, size_t limit, struct gw_upgrade *ret_upgrade, size_t *ret_used,
                                  struct gw_http_refusal *ret_refusal);

/* Whether a page of this origin may connect: none (not a browser), the host asked for itself, or a host in the list
 * ("chat.example.org, other.example.org:8443"). Default ports are the scheme's. */
bool gw_http_origin_allowed(struct gw_str origin, struct gw_str host, const char *list);

/* Whether this address stands in a list of addresses separated by commas. */
bool gw_http_address_listed(const char *address, size_t len, const char *list);

/* The client's address: the peer's own, or, when that is a trusted proxy, the last one in X-Forwarded-For that is no trusted proxy. */
void gw_http_client_address(const char *peer, struct gw_str forwarded_for, const char *trusted, char ret_address[GW_ADDRESS_MAX]);

/* Appends the answer 101. */
void gw_http_accept(const struct gw_upgrade *upgrade, struct pgn_buf *out);
/* Appends the refusal; the connection is closed after it. retry_after_s 0: not said. */
void gw_http_refuse(const struct gw_http_refusal *refusal, unsigned retry_after_s, struct pgn_buf *out);

#endif
