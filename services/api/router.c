/* Dispatch by the table of routes; see router.h. */
#include "services/api/router.h"

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/svc/log.h"
#include "services/api/address.h"
#include "services/api/limit.h"
#include "services/api/session.h"

#include <stdio.h>
#include <string.h>

enum { ARENA_CHUNK = 8192, ANONYMOUS_BODY = 16384, BODY = 1 << 20, DEFAULT_RETRY_MS = 1000, PARAM_BYTES = 128 };

/* ---- matching ---- */

static bool code_valid(const char *code)
{
    size_t n = strspn(code, "abcdefghijklmnopqrstuvwxyz0123456789");
    return !code[n] && n >= 8 && n <= 64;
}

static const struct param_kind {
    const char *word; /* as in patterns */
    bool (*valid)(const char *value);
} param_kinds[] = {
    {"{user}", pgn_user_valid},       {"{conv}", pgn_conv_valid}, {"{device}", pgn_device_valid},
    {"{file_id}", api_file_id_valid}, {"{code}", code_valid},
};

/* Length of the segment at s. */
static size_t segment(const char *s)
{
    return strcspn(s, "/");
}

static bool param_fits(const char *word, size_t word_len, const char *value, size_t len)
{
    char copy[PARAM_BYTES];
    if (len >= sizeof copy)
        return false;
    memcpy(copy, value, len);
    copy[len] = 0;
    for (size_t i = 0; i < PGN_COUNT(param_kinds); i++)
        if (strlen(param_kinds[i].word) == word_len && !memcmp(param_kinds[i].word, word, word_len))
            return param_kinds[i].valid(copy);
    return false;
}

/* Whether path has the pattern's form; params get the places in path. */
static bool fits(const char *pattern, const char *path, struct pgn_arena *arena, const char *params[API_PARAMS_MAX])
{
    int n = 0;
    while (*pattern == '/' && *path == '/') {
        size_t want = segment(++pattern), got = segment(++path);
        if (*pattern != '{') {
            if (want != got || memcmp(pattern, path, want))
                return false;
        } else {
            if (!param_fits(pattern, want, path, got))
                return false;
            char *copy = pgn_arena_alloc(arena, got + 1);
            memcpy(copy, path, got);
            copy[got] = 0;
            params[n++] = copy;
        }
        pattern += want;
        path += got;
    }
    return !*pattern && !*path;
}

enum api_match api_route_find(const struct api_route *routes, size_t count, const char *method, const char *path, struct pgn_arena *arena,
                              const char *params[API_PARAMS_MAX], char *allow, size_t allow_bytes, const struct api_route **ret_route)
{
    enum api_match match = API_NO_PATH;
    size_t len = 0;
    for (size_t i = 0; i < count; i++) {
        if (!fits(routes[i].pattern, path, arena, params))
            continue;
        if (!strcmp(routes[i].method, method)) {
            *ret_route = &routes[i];
            return API_MATCHED;
        }
        int n = snprintf(allow + len, allow_bytes - len, "%s%s", len ? ", " : "", routes[i].method);
        if (n > 0 && (size_t)n < allow_bytes - len)
            len += (size_t)n;
        match = API_NO_METHOD;
    }
    return match;
}

/* ---- dispatch ---- */

static void answer_error(struct api_call *call, int error)
{
    const struct pgn_error_info *info = pgn_error_info(error);
    uint64_t wait_ms = call->problem.retry_after_ms;
    if ((info->http_status == 429 || info->http_status == 503) && !wait_ms)
        wait_ms = DEFAULT_RETRY_MS;
    if (info->http_status == 401)
        pgn_http_set_header(call->req, "WWW-Authenticate", "Bearer");
    call->status = info->http_status;
    /* What a fault of ours was is for the log only. */
    const char *text = info->http_status == 500 ? NULL : call->problem.text;
    pgn_http_answer_error(call->req, error, text && *text ? text : NULL, wait_ms);
}

static void answer_no_method(struct api_call *call, const char *allow)
{
    Pigeon__ApiError answer = PIGEON__API_ERROR__INIT;
    Pigeon__Error error = PIGEON__ERROR__INIT;
    error.code = api_strdup(call, "invalid");
    error.text = api_strdup(call, "this path has no such method");
    answer.error = &error;
    pgn_http_set_header(call->req, "Allow", allow);
    api_answer(call, 405, &answer);
}

/* Who asks, and whether he may. */
static int admit(struct api_call *call, const struct api_route *route)
{
    int e = api_limit(call, API_LIMIT_ADDRESS, call->address);
    if (e || route->access == API_ANYONE)
        return e;
    e = api_session_find(call);
    if (e)
        return e;
    e = api_limit(call, API_LIMIT_OPS, call->session.user);
    if (e)
        return e;
    call->body_limit = BODY;
    if (call->session.must_change_password && route->access != API_PENDING)
        return api_fail(call, PGN_E_FORBIDDEN, "the password must be changed first");
    if (route->access == API_ADMIN && !call->session.admin)
        return api_fail(call, PGN_E_FORBIDDEN, "for administrators only");
    return 0;
}

static void route_call(struct api_call *call)
{
    const struct api_route *route;
    char allow[64] = "";
    const char *method = pgn_http_method(call->req);
    enum api_match match = api_route_find(api_routes, api_routes_count, method, pgn_http_path(call->req), call->arena, call->param, allow,
                                          sizeof allow, &route);
    int e;
    if (match == API_NO_METHOD) {
        answer_no_method(call, allow);
        return;
    }
    if (match == API_NO_PATH)
        e = api_fail(call, PGN_E_NOT_FOUND, "no such path");
    else if (!(e = admit(call, route)))
        e = route->handle(call);
    if (!e)
        return;
    if (pgn_error_info(e)->http_status == 500)
        pgn_log(PGN_ERR, "%s %s: %s: %s", route->method, route->pattern, pgn_error_info(e)->name, call->problem.text);
    answer_error(call, e);
}

void api_dispatch(struct pgn_http_request *req, void *ctx)
{
    uint64_t start = pgn_mono_us();
    struct api_call call = {.api = ctx, .req = req, .arena = pgn_arena_new(ARENA_CHUNK), .body_limit = ANONYMOUS_BODY};
    api_client_address(req, call.address);
    route_call(&call);
    api_count(call.status < 400 ? API_REQUESTS_2XX : call.status < 500 ? API_REQUESTS_4XX : API_REQUESTS_5XX);
    pgn_metric_observe(&api_metrics[API_REQUEST_TIME], pgn_mono_us() - start);
    pgn_arena_free(&call.arena);
}
