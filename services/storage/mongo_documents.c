/* Single documents: read, insert, change; and removal by a filter. See mongo.h. */
#include "common/base/error.h"
#include "services/storage/mongo.h"

int sto_mongo_get(struct sto_mongo *m, mongoc_client_t *client, const char *collection, const char *id, bson_t *ret)
{
    mongoc_collection_t *c = sto_mongo_collection(m, client, collection);
    bson_t *filter = BCON_NEW("_id", BCON_UTF8(id)), *opts = BCON_NEW("limit", BCON_INT64(1), "singleBatch", BCON_BOOL(true));
    mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(c, filter, opts, NULL);
    const bson_t *doc;
    bson_error_t e;
    int error = PGN_E_NOT_FOUND;

    if (mongoc_cursor_next(cursor, &doc)) {
        bson_destroy(ret);
        bson_copy_to(doc, ret);
        error = 0;
    } else if (mongoc_cursor_error(cursor, &e)) {
        error = sto_mongo_error(&e, NULL, false);
    }
    mongoc_cursor_destroy(cursor);
    bson_destroy(filter);
    bson_destroy(opts);
    mongoc_collection_destroy(c);
    return error;
}

int sto_mongo_insert(struct sto_mongo *m, mongoc_client_t *client, const char *collection, const bson_t *doc)
{
    mongoc_collection_t *c = sto_mongo_collection(m, client, collection);
    bson_error_t e;
    bson_t reply;
    int error = mongoc_collection_insert_one(c, doc, NULL, &reply, &e) ? 0 : sto_mongo_error(&e, &reply, true);

    bson_destroy(&reply);
    mongoc_collection_destroy(c);
    return error;
}

int sto_mongo_update(struct sto_mongo *m, mongoc_client_t *client, const char *collection, const bson_t *filter, const bson_t *update,
                     bool *ret_matched)
{
    mongoc_collection_t *c = sto_mongo_collection(m, client, collection);
    bson_error_t e;
    bson_iter_t it;
    bson_t reply;
    int error = mongoc_collection_update_one(c, filter, update, NULL, &reply, &e) ? 0 : sto_mongo_error(&e, &reply, true);

    if (ret_matched)
        *ret_matched = !error && bson_iter_init_find(&it, &reply, "matchedCount") && bson_iter_as_int64(&it) == 1;
    bson_destroy(&reply);
    mongoc_collection_destroy(c);
    return error;
}

int sto_mongo_remove(struct sto_mongo *m, mongoc_client_t *client, const char *collection, const bson_t *filter)
{
    mongoc_collection_t *c = sto_mongo_collection(m, client, collection);
    bson_error_t e;
    int error = mongoc_collection_delete_many(c, filter, NULL, NULL, &e) ? 0 : sto_mongo_error(&e, NULL, true);

    mongoc_collection_destroy(c);
    return error;
}
