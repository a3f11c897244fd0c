/*
 * One HTTP request on its way through the api: what it asks, who asks, and how it is answered. Lives on the stack of a
 * civetweb thread; all it points to is in its arena or the request.
 *
 * A handler either answers exactly once (api_answer...) and returns 0, or returns a PGN_E_* without having answered:
 * the router then writes the error, with the text that api_fail left.
 */
#ifndef API_CALL_H
#define API_CALL_H

#include "common/base/alloc.h"
#include "common/base/compiler.h"
#include "common/base/id.h"
#include "common/proto/rpc.h"
#include "services/api/api.h"

#include "api.pb-c.h"

enum { API_PARAMS_MAX = 2, API_ADDRESS_MAX = 46, API_FILE_ID_LEN = 32 };

/* Who asks, as his token's session says. */
struct api_session {
    uint8_t hash[PGN_HASH_BYTES];
    char user[PGN_USER_MAX + 1];
    char device[PGN_DEVICE_MAX + 1];
    uint64_t expires_at;
    bool must_change_password, admin;
};

struct api_call {
    struct api *api;
    struct pgn_http_request *req;
    struct pgn_arena *arena;
    const char *param[API_PARAMS_MAX]; /* in the order of the route's pattern, each valid for its kind */
    char address[API_ADDRESS_MAX];     /* of the client, for limits and lockout */
    struct api_session session;        /* user empty: anonymous */
    struct pgn_rpc_problem problem;    /* why the handler returned an error */
    size_t body_limit;
    int status; /* of the answer */
};

/* Says why, and returns error. text NULL: the table's. */
int api_fail(struct api_call *call, int error, const char *text);
/* The same for a field or parameter: "name: what". */
int api_fail_field(struct api_call *call, const char *name, const char *what);

/* The body as a message of this type; PGN_E_INVALID naming the field, PGN_E_TOO_LARGE. An empty body is {}. */
int api_read_body(struct api_call *call, const ProtobufCMessageDescriptor *type, ProtobufCMessage **ret_message) PGN_MUST_USE;
/* API_BODY(call, Pigeon__ApiLogin, pigeon__api_login, &ret) */
#define API_BODY(call, ctype, prefix, ret) api_read_body(call, &prefix##__descriptor, (ProtobufCMessage **)(void *)(ret))

/* Query parameters. Absent: the default. */
int api_query_u64(struct api_call *call, const char *name, uint64_t min, uint64_t max, uint64_t def, uint64_t *ret_value) PGN_MUST_USE;
/* At most max_chars characters; absent: "". */
int api_query_text(struct api_call *call, const char *name, size_t max_chars, char **ret_text) PGN_MUST_USE;
/* A user id; absent: "". */
int api_query_user(struct api_call *call, const char *name, char **ret_user) PGN_MUST_USE;

/* Checks of body fields; NULL is as the empty string. */
int api_check_text(struct api_call *call, const char *field, const char *text, size_t max_chars, bool control_ok) PGN_MUST_USE;
int api_check_user(struct api_call *call, const char *field, const char *user) PGN_MUST_USE;
bool api_file_id_valid(const char *id);

/* Answers. */
int api_answer(struct api_call *call, int status, const void *message); /* any protobuf message, as JSON; returns 0 */
int api_answer_empty(struct api_call *call, int status);
int api_answer_text(struct api_call *call, int status, const char *text);

/* A read that got no answer in time stored nothing: PGN_E_UNAVAILABLE instead of PGN_E_TIMEOUT. */
int api_read_error(struct api_call *call, int error);

/* The user's operations bucket (the router) and messages bucket: 0 or PGN_E_RATE_LIMITED. */
int api_limit(struct api_call *call, int kind, const char *key) PGN_MUST_USE;

char *api_strdup(struct api_call *call, const char *s); /* into the arena; NULL gives "" */

#endif
