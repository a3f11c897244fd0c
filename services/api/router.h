/*
 * Routes: one table row for each method of each path (routes.c); dispatch, access and errors follow from it. Stateless,
 * but for the api that it is given.
 */
#ifndef API_ROUTER_H
#define API_ROUTER_H

#include "services/api/call.h"

/* Whom a route serves. */
enum api_access {
    API_ANYONE,
    API_PENDING, /* logged in, even while the password must be changed */
    API_USER,
    API_ADMIN,
};

struct api_route {
    const char *method;
    const char *pattern; /* segments {user}, {conv}, {device}, {file_id} and {code} stand for valid ids */
    enum api_access access;
    int (*handle)(struct api_call *call);
};
extern const struct api_route api_routes[];
extern const size_t api_routes_count;

enum api_match { API_MATCHED, API_NO_PATH, API_NO_METHOD };
/*
 * Finds the row for method and path. params are copied into the arena. With API_NO_METHOD, allow (at least 64 bytes)
 * gets the methods that the path has, for the Allow header.
 */
enum api_match api_route_find(const struct api_route *routes, size_t count, const char *method, const char *path, struct pgn_arena *arena,
                              const char *params[API_PARAMS_MAX], char *allow, size_t allow_bytes, const struct api_route **ret_route);

/* A pgn_http_handler; ctx is the struct api. */
void api_dispatch(struct pgn_http_request *req, void *ctx);

#endif
