/* A request's context: body, query, answers; see call.h. */
#include "services/api/call.h"

#include "common/base/error.h"
#include "common/base/utf8.h"
#include "common/proto/json_map.h"
#include "services/api/limit.h"

#include <stdio.h>
#include <string.h>

enum { QUERY_MAX = 2048, READ_CHUNK = 16384 };

int api_fail(struct api_call *call, int error, const char *text)
{
    return pgn_rpc_fail(&call->problem, error, text);
}

int api_fail_field(struct api_call *call, const char *name, const char *what)
{
    char text[160];
    snprintf(text, sizeof text, "%s: %s", name, what);
    return api_fail(call, PGN_E_INVALID, text);
}

char *api_strdup(struct api_call *call, const char *s)
{
    return pgn_arena_strdup(call->arena, s ? s : "");
}

/* ---- body ---- */

static int read_all(struct api_call *call, struct pgn_buf *body)
{
    int64_t expected = pgn_http_content_length(call->req);
    if (expected > (int64_t)call->body_limit)
        return api_fail(call, PGN_E_TOO_LARGE, NULL);
    for (;;) {
        pgn_buf_reserve(body, READ_CHUNK);
        int64_t n = pgn_http_read(call->req, body->data + body->len, READ_CHUNK);
        if (n < 0)
            return api_fail(call, PGN_E_INVALID, "the body did not come whole");
        if (n == 0)
            break;
        body->len += (size_t)n;
        if (body->len > call->body_limit)
            return api_fail(call, PGN_E_TOO_LARGE, NULL);
    }
    if (expected > 0 && (int64_t)body->len < expected)
        return api_fail(call, PGN_E_INVALID, "the body did not come whole");
    return 0;
}

int api_read_body(struct api_call *call, const ProtobufCMessageDescriptor *type, ProtobufCMessage **ret_message)
{
    struct pgn_buf body = {0};
    char problem[128] = "";
    int e = read_all(call, &body);
    if (!e && body.len == 0)
        pgn_buf_append_str(&body, "{}");
    if (!e && pgn_json_decode((const char *)body.data, body.len, type, call->arena, ret_message, problem, sizeof problem))
        e = api_fail(call, PGN_E_INVALID, problem);
    pgn_buf_release(&body);
    return e;
}

/* ---- query ---- */

/* 1: there, 0: absent, negative: unusable. */
static int query(struct api_call *call, const char *name, char out[QUERY_MAX])
{
    if (!pgn_http_query(call->req, name, out, QUERY_MAX))
        return 0;
    if (!pgn_utf8_valid(out, strlen(out)))
        return api_fail_field(call, name, "not UTF-8");
    return 1;
}

int api_query_u64(struct api_call *call, const char *name, uint64_t min, uint64_t max, uint64_t def, uint64_t *ret_value)
{
    char text[QUERY_MAX];
    int there = query(call, name, text);
    if (there < 0)
        return there;
    if (!there) {
        *ret_value = def;
        return 0;
    }
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 16 || text[digits])
        return api_fail_field(call, name, "not a whole number in range");
    uint64_t v = 0;
    for (size_t i = 0; i < digits; i++)
        v = v * 10 + (uint64_t)(text[i] - '0');
    if (v < min || v > max)
        return api_fail_field(call, name, "out of range");
    *ret_value = v;
    return 0;
}

/* Characters of valid UTF-8. */
static size_t chars_of(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

int api_query_text(struct api_call *call, const char *name, size_t max_chars, char **ret_text)
{
    char text[QUERY_MAX];
    int there = query(call, name, text);
    if (there < 0)
        return there;
    if (there && chars_of(text) > max_chars)
        return api_fail_field(call, name, "too long");
    *ret_text = api_strdup(call, there ? text : "");
    return 0;
}

int api_query_user(struct api_call *call, const char *name, char **ret_user)
{
    char *text;
    int e = api_query_text(call, name, QUERY_MAX, &text);
    if (e)
        return e;
    if (*text && !pgn_user_valid(text))
        return api_fail_field(call, name, "not a user id");
    *ret_user = text;
    return 0;
}

/* ---- checks ---- */

int api_check_text(struct api_call *call, const char *field, const char *text, size_t max_chars, bool control_ok)
{
    if (!text)
        return 0;
    if (chars_of(text) > max_chars)
        return api_fail_field(call, field, "too long");
    for (const char *p = text; *p && !control_ok; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return api_fail_field(call, field, "control characters are not allowed");
    return 0;
}

int api_check_user(struct api_call *call, const char *field, const char *user)
{
    if (!user || !*user)
        return api_fail_field(call, field, "missing");
    return pgn_user_valid(user) ? 0 : api_fail_field(call, field, "1 to 32 of a-z 0-9 _ -, beginning with a letter or digit");
}

bool api_file_id_valid(const char *id)
{
    return strspn(id, "0123456789abcdef") == API_FILE_ID_LEN && !id[API_FILE_ID_LEN];
}

/* ---- answers ---- */

int api_answer(struct api_call *call, int status, const void *message)
{
    struct pgn_buf out = {0};
    pgn_json_encode(message, &out);
    call->status = status;
    pgn_http_answer(call->req, status, "application/json", out.data, out.len);
    pgn_buf_release(&out);
    return 0;
}

int api_answer_empty(struct api_call *call, int status)
{
    call->status = status;
    pgn_http_answer(call->req, status, NULL, NULL, 0);
    return 0;
}

int api_answer_text(struct api_call *call, int status, const char *text)
{
    call->status = status;
    pgn_http_answer(call->req, status, "text/plain; charset=utf-8", text, strlen(text));
    return 0;
}

int api_read_error(struct api_call *call, int error)
{
    return error == PGN_E_TIMEOUT ? api_fail(call, PGN_E_UNAVAILABLE, NULL) : error;
}

int api_limit(struct api_call *call, int kind, const char *key)
{
    uint64_t wait_ms;
    if (api_limit_take(call->api->limits, (enum api_limit_kind)kind, key, &wait_ms))
        return 0;
    api_fail(call, PGN_E_RATE_LIMITED, NULL);
    call->problem.retry_after_ms = wait_ms;
    return PGN_E_RATE_LIMITED;
}
