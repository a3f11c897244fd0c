/* Upgrade requests: parsing and answers; see gw_http.h. */
#include "services/gateway/gw_http.h"

#include "common/base/cursor.h"

#include <openssl/evp.h>
#include <openssl/sha.h>

#include <string.h>
#include <strings.h>

static const char GUID[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
static const char PATH[] = "/v1/ws", MQTT_PATH[] = "/mqtt", MQTT_PROTOCOL[] = "mqtt";
static const char *const PROTOCOLS[GW_ENCODINGS] = {"pigeon.v1.json", "pigeon.v1.proto"};

enum { KEY_LEN = 24 }; /* base64 of 16 bytes */

/* What is gathered while the headers are read. */
struct request {
    struct gw_upgrade *up;
    struct gw_str version;
    unsigned hosts, keys, origins, versions;
    bool upgrade, connection, body;
};

static bool refuse(struct gw_http_refusal *r, int status, const char *text, const char *header)
{
    *r = (struct gw_http_refusal){status, text, header};
    return false;
}

static bool str_is(struct gw_str s, const char *word)
{
    return s.len == strlen(word) && strncasecmp(s.at, word, s.len) == 0;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

static struct gw_str trim(struct gw_str s)
{
    while (s.len && is_space(s.at[0])) {
        s.at++;
        s.len--;
    }
    while (s.len && is_space(s.at[s.len - 1]))
        s.len--;
    return s;
}

/* Cuts the next element off a comma-separated list; false at its end. */
static bool list_next(struct gw_str *list, struct gw_str *ret_item)
{
    while (list->len) {
        const char *comma = memchr(list->at, ',', list->len);
        size_t len = comma ? (size_t)(comma - list->at) : list->len;
        *ret_item = trim((struct gw_str){list->at, len});
        size_t skip = comma ? len + 1 : len;
        list->at += skip;
        list->len -= skip;
        if (ret_item->len)
            return true;
    }
    return false;
}

static bool list_has(struct gw_str list, const char *word)
{
    struct gw_str item;
    while (list_next(&list, &item))
        if (str_is(item, word))
            return true;
    return false;
}

/* RFC 9110 tchar. */
static bool is_token(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c && strchr("!#$%&'*+-.^_`|~", c));
}

/* Takes a line up to its CRLF. False: none, or a bare CR or LF, or a control byte in it. */
static bool take_line(struct pgn_cursor *c, struct gw_str *ret_line)
{
    const uint8_t *start = c->at;
    for (const uint8_t *p = start; p + 1 < c->end; p++) {
        if (p[0] == '\r' && p[1] == '\n') {
            *ret_line = (struct gw_str){(const char *)start, (size_t)(p - start)};
            return pgn_cursor_take(c, ret_line->len + 2) != NULL;
        }
        if ((*p < 0x20 && *p != '\t') || *p == 0x7f)
            return false;
    }
    return false;
}

/* The route for the test suite of the framing; builds for use have none. */
static bool is_echo(struct gw_str path)
{
#ifdef PGN_TEST_FAULTS
    return path.len == 5 && memcmp(path.at, "/echo", 5) == 0;
#else
    (void)path;
    return false;
#endif
}

/* "GET /v1/ws?anything HTTP/1.1" */
static bool request_line(struct gw_str line, struct gw_upgrade *up, struct gw_http_refusal *r)
{
    const char *end = line.at + line.len;
    const char *target = memchr(line.at, ' ', line.len);
    const char *version = target ? memchr(target + 1, ' ', (size_t)(end - target - 1)) : NULL;
    if (!version || memchr(version + 1, ' ', (size_t)(end - version - 1)))
        return refuse(r, 400, "malformed request line", NULL);
    struct gw_str method = {line.at, (size_t)(target - line.at)};
    struct gw_str path = {target + 1, (size_t)(version - target - 1)};
    struct gw_str http = {version + 1, (size_t)(end - version - 1)};
    if (http.len != 8 || memcmp(http.at, "HTTP/", 5) != 0)
        return refuse(r, 400, "malformed request line", NULL);
    if (memcmp(http.at, "HTTP/1.1", 8) != 0)
        return refuse(r, 505, "HTTP/1.1 is spoken here", NULL);
    const char *query = memchr(path.at, '?', path.len);
    if (query)
        path.len = (size_t)(query - path.at);
    up->echo = is_echo(path);
    up->mqtt = path.len == sizeof MQTT_PATH - 1 && memcmp(path.at, MQTT_PATH, path.len) == 0;
    if (!up->echo && !up->mqtt && (path.len != sizeof PATH - 1 || memcmp(path.at, PATH, path.len) != 0))
        return refuse(r, 404, "only /v1/ws and /mqtt are served here", NULL);
    if (method.len != 3 || memcmp(method.at, "GET", 3) != 0)
        return refuse(r, 405, "only GET", "Allow: GET");
    return true;
}

/* The first of the asked subprotocols that we know decides. */
static void choose_protocol(struct gw_upgrade *up, struct gw_str list)
{
    struct gw_str item;
    if (up->mqtt) {
        while (!up->named && list_next(&list, &item))
            up->named = item.len == sizeof MQTT_PROTOCOL - 1 && memcmp(item.at, MQTT_PROTOCOL, item.len) == 0;
        return;
    }
    while (!up->named && list_next(&list, &item))
        for (size_t i = 0; i < GW_ENCODINGS; i++)
            if (item.len == strlen(PROTOCOLS[i]) && memcmp(item.at, PROTOCOLS[i], item.len) == 0) {
                up->encoding = (enum gw_encoding)i;
                up->named = true;
                break;
            }
}

static void keep_header(struct request *q, struct gw_str name, struct gw_str value)
{
    if (str_is(name, "Host")) {
        q->hosts++;
        q->up->host = value;
    } else if (str_is(name, "Origin")) {
        q->origins++;
        q->up->origin = value;
    } else if (str_is(name, "Upgrade")) {
        q->upgrade |= list_has(value, "websocket");
    } else if (str_is(name, "Connection")) {
        q->connection |= list_has(value, "upgrade");
    } else if (str_is(name, "Sec-WebSocket-Key")) {
        q->keys++;
        q->up->key = value;
    } else if (str_is(name, "Sec-WebSocket-Version")) {
        q->versions++;
        q->version = value;
    } else if (str_is(name, "Sec-WebSocket-Protocol")) {
        choose_protocol(q->up, value);
    } else if (str_is(name, "X-Forwarded-For")) {
        q->up->forwarded_for = value;
    } else if (str_is(name, "Transfer-Encoding") || (str_is(name, "Content-Length") && !str_is(value, "0"))) {
        q->body = true;
    }
}

static bool header_line(struct request *q, struct gw_str line, struct gw_http_refusal *r)
{
    const char *colon = memchr(line.at, ':', line.len);
    if (!colon || colon == line.at)
        return refuse(r, 400, "malformed header", NULL);
    struct gw_str name = {line.at, (size_t)(colon - line.at)};
    for (size_t i = 0; i < name.len; i++)
        if (!is_token((unsigned char)name.at[i]))
            return refuse(r, 400, "malformed header", NULL);
    struct gw_str value = trim((struct gw_str){colon + 1, line.len - name.len - 1});
    keep_header(q, name, value);
    return true;
}

static bool key_valid(struct gw_str key)
{
    if (key.len != KEY_LEN || memcmp(key.at + KEY_LEN - 2, "==", 2) != 0)
        return false;
    for (size_t i = 0; i < KEY_LEN - 2; i++) {
        unsigned char c = (unsigned char)key.at[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '+' || c == '/'))
            return false;
    }
    return true;
}

/* Everything was read: is it an upgrade that we take? */
static bool check(const struct request *q, struct gw_http_refusal *r)
{
    if (q->hosts != 1 || q->up->host.len == 0)
        return refuse(r, 400, "exactly one Host header is needed", NULL);
    if (q->body)
        return refuse(r, 400, "a body is not taken here", NULL);
    if (!q->upgrade || !q->connection)
        return refuse(r, 400, "a WebSocket upgrade is needed here", NULL);
    if (q->versions != 1 || !str_is(q->version, "13"))
        return refuse(r, 426, "Sec-WebSocket-Version 13 is spoken here", "Sec-WebSocket-Version: 13");
    if (q->keys != 1 || !key_valid(q->up->key))
        return refuse(r, 400, "Sec-WebSocket-Key must be 16 bytes in base64", NULL);
    if (q->origins > 1)
        return refuse(r, 400, "more than one Origin header", NULL);
    if (q->up->mqtt && !q->up->named)
        return refuse(r, 400, "the subprotocol of /mqtt is mqtt", NULL);
    return true;
}

static bool parse_whole(struct pgn_cursor *c, struct gw_upgrade *up, struct gw_http_refusal *r)
{
    struct request q = {.up = up};
    struct gw_str line;
    if (!take_line(c, &line))
        return refuse(r, 400, "malformed request line", NULL);
    if (!request_line(line, up, r))
        return false;
    for (unsigned i = 0;; i++) {
        if (!take_line(c, &line))
            return refuse(r, 400, "malformed header", NULL);
        if (line.len == 0)
            return check(&q, r);
        if (i == GW_HTTP_HEADERS_MAX)
            return refuse(r, 431, "too many headers", NULL);
        if (!header_line(&q, line, r))
            return false;
    }
}

enum gw_http_result gw_http_parse(const char *data, size_t len, size_t limit, struct gw_upgrade *ret_upgrade, size_t *ret_used,
                                  struct gw_http_refusal *ret_refusal)
{
    size_t seen = len < limit ? len : limit;
    const char *end = memmem(data, seen, "\r\n\r\n", 4);
    if (!end) {
        if (len < limit) {
            /* What cannot become a request is refused at once: TLS to the plain port, a scanner's binary. */
            if (len && (unsigned char)data[0] >= 'A' && (unsigned char)data[0] <= 'Z')
                return GW_HTTP_MORE;
            if (!len)
                return GW_HTTP_MORE;
            refuse(ret_refusal, 400, "malformed request line", NULL);
            return GW_HTTP_REFUSED;
        }
        refuse(ret_refusal, 431, "the request is too large", NULL);
        return GW_HTTP_REFUSED;
    }
    size_t used = (size_t)(end - data) + 4;
    struct gw_upgrade up = {.encoding = GW_JSON};
    struct pgn_cursor c = pgn_cursor_of(data, used);
    if (!parse_whole(&c, &up, ret_refusal))
        return GW_HTTP_REFUSED;
    *ret_upgrade = up;
    *ret_used = used;
    return GW_HTTP_UPGRADE;
}

/* ---- origins and addresses ---- */

/* host and port of "host", "host:port", "[v6]:port"; an absent port is the scheme's. */
struct authority {
    struct gw_str host;
    struct gw_str port;
};

static bool authority_of(struct gw_str s, const char *default_port, struct authority *ret)
{
    *ret = (struct authority){s, {default_port, strlen(default_port)}};
    const char *from = s.at;
    size_t left = s.len;
    if (left && *from == '[') {
        const char *close = memchr(from, ']', left);
        if (!close)
            return false;
        left -= (size_t)(close - from);
        from = close;
    }
    const char *colon = left ? memchr(from, ':', left) : NULL;
    if (colon) {
        ret->host.len = (size_t)(colon - s.at);
        ret->port = (struct gw_str){colon + 1, s.len - ret->host.len - 1};
    }
    return ret->host.len > 0 && ret->port.len > 0;
}

static bool authority_equal(struct authority a, struct authority b)
{
    return a.host.len == b.host.len && strncasecmp(a.host.at, b.host.at, a.host.len) == 0 && a.port.len == b.port.len &&
           memcmp(a.port.at, b.port.at, a.port.len) == 0;
}

/* Cuts "https://" or "http://" off; NULL when it is neither, else the scheme's port. */
static const char *cut_scheme(struct gw_str *s)
{
    static const struct {
        const char *scheme, *port;
    } schemes[] = {{"https://", "443"}, {"http://", "80"}};
    for (size_t i = 0; i < PGN_COUNT(schemes); i++) {
        size_t n = strlen(schemes[i].scheme);
        if (s->len > n && strncasecmp(s->at, schemes[i].scheme, n) == 0) {
            s->at += n;
            s->len -= n;
            return schemes[i].port;
        }
    }
    return NULL;
}

bool gw_http_origin_allowed(struct gw_str origin, struct gw_str host, const char *list)
{
    if (!origin.at)
        return true;
    const char *port = cut_scheme(&origin);
    struct authority from, other;
    if (!port || !authority_of(origin, port, &from))
        return false;
    if (authority_of(host, port, &other) && authority_equal(from, other))
        return true;
    struct gw_str rest = {list, strlen(list)}, item;
    while (list_next(&rest, &item)) {
        const char *item_port = cut_scheme(&item);
        if (authority_of(item, item_port ? item_port : port, &other) && authority_equal(from, other))
            return true;
    }
    return false;
}

bool gw_http_address_listed(const char *address, size_t len, const char *list)
{
    struct gw_str rest = {list, strlen(list)}, item;
    while (list_next(&rest, &item))
        if (item.len == len && memcmp(item.at, address, len) == 0)
            return true;
    return false;
}

static bool address_like(struct gw_str s)
{
    if (s.len == 0 || s.len >= GW_ADDRESS_MAX)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.at[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == '.' || c == ':'))
            return false;
    }
    return true;
}

void gw_http_client_address(const char *peer, struct gw_str forwarded_for, const char *trusted, char ret_address[GW_ADDRESS_MAX])
{
    struct gw_str best = {peer, strnlen(peer, GW_ADDRESS_MAX - 1)};
    while (forwarded_for.at && gw_http_address_listed(best.at, best.len, trusted)) {
        size_t cut = forwarded_for.len;
        while (cut && forwarded_for.at[cut - 1] != ',')
            cut--;
        struct gw_str last = trim((struct gw_str){forwarded_for.at + cut, forwarded_for.len - cut});
        if (!address_like(last))
            break;
        best = last;
        if (cut == 0)
            break;
        forwarded_for.len = cut - 1;
    }
    memcpy(ret_address, best.at, best.len);
    ret_address[best.len] = 0;
}

/* ---- answers ---- */

void gw_http_accept(const struct gw_upgrade *up, struct pgn_buf *out)
{
    char text[KEY_LEN + sizeof GUID];
    unsigned char sha[SHA_DIGEST_LENGTH], base64[32];
    memcpy(text, up->key.at, KEY_LEN);
    memcpy(text + KEY_LEN, GUID, sizeof GUID);
    SHA1((const unsigned char *)text, KEY_LEN + sizeof GUID - 1, sha);
    EVP_EncodeBlock(base64, sha, sizeof sha);
    pgn_buf_append_str(out, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ");
    pgn_buf_append_str(out, (const char *)base64);
    if (up->named) {
        pgn_buf_append_str(out, "\r\nSec-WebSocket-Protocol: ");
        pgn_buf_append_str(out, up->mqtt ? MQTT_PROTOCOL : PROTOCOLS[up->encoding]);
    }
    pgn_buf_append_str(out, "\r\n\r\n");
}

static const char *reason(int status)
{
    switch (status) {
    case 400:
        return "Bad Request";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 408:
        return "Request Timeout";
    case 426:
        return "Upgrade Required";
    case 429:
        return "Too Many Requests";
    case 431:
        return "Request Header Fields Too Large";
    case 503:
        return "Service Unavailable";
    case 505:
        return "HTTP Version Not Supported";
    default:
        return "Error";
    }
}

void gw_http_refuse(const struct gw_http_refusal *refusal, unsigned retry_after_s, struct pgn_buf *out)
{
    pgn_buf_append_str(out, "HTTP/1.1 ");
    pgn_buf_append_u64(out, (uint64_t)refusal->status);
    pgn_buf_append_byte(out, ' ');
    pgn_buf_append_str(out, reason(refusal->status));
    pgn_buf_append_str(out, "\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ");
    pgn_buf_append_u64(out, strlen(refusal->text) + 1);
    if (refusal->header) {
        pgn_buf_append_str(out, "\r\n");
        pgn_buf_append_str(out, refusal->header);
    }
    if (retry_after_s) {
        pgn_buf_append_str(out, "\r\nRetry-After: ");
        pgn_buf_append_u64(out, retry_after_s);
    }
    pgn_buf_append_str(out, "\r\n\r\n");
    pgn_buf_append_str(out, refusal->text);
    pgn_buf_append_byte(out, '\n');
}
