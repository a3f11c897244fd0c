/* What the driver's errors mean. */
#include "common/base/error.h"
#include "common/svc/log.h"
#include "services/storage/mongo.h"

enum { CODE_UNAUTHORIZED = 13, CODE_AUTHENTICATION = 18, CODE_NOT_WRITABLE = 10107, CODE_NOT_PRIMARY = 13435, CODE_DISK = 14031 };

static bool is_duplicate(const bson_error_t *e)
{
    return e->code == 11000 || e->code == 11001 || e->code == 12582;
}

/* Nothing was sent, or the server refused it before it did anything. */
static bool is_refused(const bson_error_t *e)
{
    if (e->domain == MONGOC_ERROR_SERVER_SELECTION)
        return true;
    if (e->domain == MONGOC_ERROR_STREAM)
        return e->code == MONGOC_ERROR_STREAM_NAME_RESOLUTION || e->code == MONGOC_ERROR_STREAM_CONNECT;
    return (e->domain == MONGOC_ERROR_SERVER || e->domain == MONGOC_ERROR_COMMAND || e->domain == MONGOC_ERROR_QUERY) &&
           (e->code == CODE_NOT_WRITABLE || e->code == CODE_NOT_PRIMARY || e->code == CODE_DISK);
}

static bool is_forbidden(const bson_error_t *e)
{
    return (e->domain == MONGOC_ERROR_CLIENT && e->code == MONGOC_ERROR_CLIENT_AUTHENTICATE) || e->code == CODE_UNAUTHORIZED ||
           e->code == CODE_AUTHENTICATION;
}

int sto_mongo_error(const bson_error_t *error, const bson_t *reply, bool write)
{
    bson_iter_t it;
    bool concern = reply && bson_iter_init_find(&it, reply, "writeConcernErrors") && BSON_ITER_HOLDS_ARRAY(&it);

    if (!concern && is_duplicate(error))
        return PGN_E_CONFLICT;
    pgn_log_limited(PGN_WARN, 10000, "MongoDB: %s (%u/%u)", error->message, error->domain, error->code);
    if (is_forbidden(error))
        return PGN_E_FORBIDDEN;
    if (is_refused(error) || !write)
        return PGN_E_UNAVAILABLE;
    return PGN_E_UNCERTAIN;
}
