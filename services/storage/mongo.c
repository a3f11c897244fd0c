/* The pool of connections, how it is set up, and the check at the start. */
#include "services/storage/mongo.h"

#include "common/base/alloc.h"
#include "common/base/error.h"
#include "common/svc/log.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { TIMEOUT_MS = 10000, SELECT_MS = 3000, WIRE_4_4 = 9 };

/* ---- the library ---- */

static void on_log(mongoc_log_level_t level, const char *domain, const char *message, void *ctx)
{
    (void)ctx;
    if (level <= MONGOC_LOG_LEVEL_WARNING && !strstr(message, "endSessions")) /* which FerretDB does not have */
        pgn_log_limited(PGN_WARN, 10000, "%s: %s", domain, message);
}

static void library_init(void)
{
    mongoc_log_set_handler(on_log, NULL);
    mongoc_init();
}

/* ---- set-up ---- */

static mongoc_uri_t *uri_parse(const struct sto_mongo_options *o, struct pgn_buf *ret_problem)
{
    bson_error_t e;
    mongoc_uri_t *uri = mongoc_uri_new_with_error(o->uri, &e);

    if (!uri) {
        pgn_buf_printf(ret_problem, "storage.mongo_uri is not a MongoDB address: %s", e.message);
    } else if (mongoc_uri_get_password(uri)) {
        pgn_buf_append_str(ret_problem, "storage.mongo_uri holds a password: it belongs into the secret file mongo-password");
        mongoc_uri_destroy(uri);
        uri = NULL;
    }
    return uri;
}

static void uri_login(mongoc_uri_t *uri, const struct sto_mongo_options *o)
{
    if (!o->user || !o->user[0])
        return;
    mongoc_uri_set_username(uri, o->user);
    mongoc_uri_set_password(uri, o->password ? o->password : "");
    if (o->auth_source && o->auth_source[0])
        mongoc_uri_set_auth_source(uri, o->auth_source);
    if (o->auth_mechanism && o->auth_mechanism[0])
        mongoc_uri_set_auth_mechanism(uri, o->auth_mechanism);
}

static void uri_tls(mongoc_uri_t *uri, const struct sto_mongo_options *o)
{
    if (!o->tls)
        return;
    mongoc_uri_set_option_as_bool(uri, MONGOC_URI_TLS, true);
    if (o->tls_ca && o->tls_ca[0])
        mongoc_uri_set_option_as_utf8(uri, MONGOC_URI_TLSCAFILE, o->tls_ca);
    if (o->tls_cert && o->tls_cert[0])
        mongoc_uri_set_option_as_utf8(uri, MONGOC_URI_TLSCERTIFICATEKEYFILE, o->tls_cert);
}

/* Majority and journal, no retries by the driver: what is uncertain is this store's to find out. */
static void uri_rules(mongoc_uri_t *uri, uint32_t timeout_ms)
{
    mongoc_write_concern_t *concern = mongoc_write_concern_new();
    mongoc_read_prefs_t *primary = mongoc_read_prefs_new(MONGOC_READ_PRIMARY);

    mongoc_write_concern_set_w(concern, MONGOC_WRITE_CONCERN_W_MAJORITY);
    mongoc_write_concern_set_journal(concern, true);
    mongoc_write_concern_set_wtimeout_int64(concern, timeout_ms * 4 / 5);
    mongoc_uri_set_write_concern(uri, concern);
    mongoc_uri_set_read_prefs_t(uri, primary);
    mongoc_uri_set_option_as_bool(uri, MONGOC_URI_RETRYWRITES, false);
    mongoc_uri_set_option_as_int32(uri, MONGOC_URI_SERVERSELECTIONTIMEOUTMS, SELECT_MS);
    mongoc_uri_set_option_as_int32(uri, MONGOC_URI_CONNECTTIMEOUTMS, SELECT_MS);
    mongoc_uri_set_option_as_int32(uri, MONGOC_URI_SOCKETTIMEOUTMS, (int32_t)timeout_ms);
    mongoc_write_concern_destroy(concern);
    mongoc_read_prefs_destroy(primary);
}

int sto_mongo_new(const struct sto_mongo_options *o, struct sto_mongo **ret_mongo, struct pgn_buf *ret_problem)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    bson_error_t e;

    pthread_once(&once, library_init);
    mongoc_uri_t *uri = uri_parse(o, ret_problem);
    if (!uri)
        return PGN_E_INVALID;
    uri_login(uri, o);
    uri_tls(uri, o);
    uri_rules(uri, o->timeout_ms ? o->timeout_ms : TIMEOUT_MS);
    mongoc_client_pool_t *pool = mongoc_client_pool_new_with_error(uri, &e);
    mongoc_uri_destroy(uri);
    if (!pool) {
        pgn_buf_printf(ret_problem, "the connection to MongoDB cannot be set up: %s", e.message);
        return PGN_E_INVALID;
    }
    mongoc_client_pool_set_error_api(pool, MONGOC_ERROR_API_VERSION_2);
    mongoc_client_pool_set_appname(pool, "pigeon-storage");
    struct sto_mongo *m = pgn_calloc(1, sizeof *m);
    m->pool = pool;
    m->database = pgn_strdup(o->database);
    m->any_version = o->any_version;
    *ret_mongo = m;
    return 0;
}

void sto_mongo_free(struct sto_mongo **mongo)
{
    if (!*mongo)
        return;
    mongoc_client_pool_destroy((*mongo)->pool);
    free((*mongo)->database);
    free(*mongo);
    *mongo = NULL;
}

mongoc_client_t *sto_mongo_take(struct sto_mongo *m)
{
    return mongoc_client_pool_pop(m->pool);
}
void sto_mongo_give(struct sto_mongo *m, mongoc_client_t *client)
{
    mongoc_client_pool_push(m->pool, client);
}
mongoc_collection_t *sto_mongo_collection(struct sto_mongo *m, mongoc_client_t *client, const char *name)
{
    return mongoc_client_get_collection(client, m->database, name);
}

/* ---- the check ---- */

static const char *text_of(const bson_t *b, const char *name)
{
    bson_iter_t it;

    return bson_iter_init_find(&it, b, name) && BSON_ITER_HOLDS_UTF8(&it) ? bson_iter_utf8(&it, NULL) : "";
}

static int64_t number_of(const bson_t *b, const char *name)
{
    bson_iter_t it;

    return bson_iter_init_find(&it, b, name) && BSON_ITER_HOLDS_NUMBER(&it) ? bson_iter_as_int64(&it) : -1;
}

static int command(mongoc_client_t *client, const char *database, const char *name, bson_t *ret_reply, struct pgn_buf *ret_problem)
{
    bson_t *cmd = BCON_NEW(name, BCON_INT32(1));
    bson_error_t e;
    bool ok = mongoc_client_command_simple(client, database, cmd, NULL, ret_reply, &e);
    int error = ok ? 0 : sto_mongo_error(&e, ret_reply, false);

    bson_destroy(cmd);
    if (error == PGN_E_FORBIDDEN)
        pgn_buf_printf(ret_problem, "MongoDB refuses the credentials (storage.mongo_user, secret file mongo-password): %s", e.message);
    else if (error)
        pgn_buf_printf(ret_problem, "MongoDB does not answer: %s", e.message);
    return error;
}

static int check_version(struct sto_mongo *m, const bson_t *info, int64_t wire, struct pgn_buf *ret_problem)
{
    const char *ferret = text_of(info, "ferretdbVersion");
    bson_iter_t it;

    m->ferret = *ferret || bson_iter_init_find(&it, info, "ferretdb") || bson_iter_init_find(&it, info, "ferretdbFeatures");
    snprintf(m->version, sizeof m->version, "%s%.40s", m->ferret ? "FerretDB " : "", *ferret ? ferret : text_of(info, "version"));
    if (m->ferret || m->any_version || wire >= WIRE_4_4)
        return 0;
    pgn_buf_printf(ret_problem, "this is MongoDB %s: too old, Pigeon needs 4.4 or newer", m->version);
    return PGN_E_CONFLICT;
}

static int check_writable(const bson_t *hello, struct pgn_buf *ret_problem)
{
    bson_iter_t it;

    if ((bson_iter_init_find(&it, hello, "isWritablePrimary") || bson_iter_init_find(&it, hello, "ismaster")) && bson_iter_as_bool(&it))
        return 0;
    pgn_buf_append_str(ret_problem, "MongoDB answers, but this server is not the primary: it cannot be written to");
    return PGN_E_UNAVAILABLE;
}

/* Credentials and rights show at the first write only. */
static int check_rights(struct sto_mongo *m, mongoc_client_t *client, struct pgn_buf *ret_problem)
{
    mongoc_collection_t *c = sto_mongo_collection(m, client, "meta");
    bson_t *filter = BCON_NEW("_id", "probe"), *set = BCON_NEW("$set", "{", "at", BCON_DATE_TIME(0), "}");
    bson_t *upsert = BCON_NEW("upsert", BCON_BOOL(true)), reply;
    bson_error_t e;
    bool ok = mongoc_collection_update_one(c, filter, set, upsert, &reply, &e);
    int error = ok ? 0 : sto_mongo_error(&e, &reply, true);

    if (error == PGN_E_CONFLICT) /* another instance made it at the same moment */
        error = 0;
    if (error)
        pgn_buf_printf(ret_problem, "MongoDB %s answers, but the database %s cannot be written to: %s", m->version, m->database, e.message);
    bson_destroy(&reply);
    bson_destroy(filter);
    bson_destroy(set);
    bson_destroy(upsert);
    mongoc_collection_destroy(c);
    return error;
}

int sto_mongo_check(struct sto_mongo *m, struct pgn_buf *ret_problem)
{
    mongoc_client_t *client = sto_mongo_take(m);
    bson_t hello, info;
    int error = command(client, "admin", "isMaster", &hello, ret_problem);

    bson_init(&info);
    if (!error) {
        bson_destroy(&info);
        error = command(client, "admin", "buildInfo", &info, ret_problem);
    }
    if (!error)
        error = check_version(m, &info, number_of(&hello, "maxWireVersion"), ret_problem);
    if (!error)
        error = check_writable(&hello, ret_problem);
    if (!error)
        error = check_rights(m, client, ret_problem);
    bson_destroy(&hello);
    bson_destroy(&info);
    sto_mongo_give(m, client);
    m->checked = !error;
    return error;
}
