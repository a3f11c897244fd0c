/* The indexes that the store stands on: made at the start, and looked at, because one of the same name may be another. */
#include "common/base/error.h"
#include "services/storage/kv_mongo.h"

#include <string.h>

struct index {
    const char *collection, *name, *keys[2];
    bool unique;
};
/* Every collection has the unique one on _id besides. */
static const struct index indexes[] = {
    {"messages", "conv_seq", {"conv", "seq"}, true},
    {"retries", "at", {"at", NULL}, false},
};

static int make(struct sto_mongo *m, mongoc_client_t *client, const struct index *i, struct pgn_buf *ret_problem)
{
    bson_t cmd = BSON_INITIALIZER, list, one, keys, reply;
    bson_error_t e;

    BSON_APPEND_UTF8(&cmd, "createIndexes", i->collection);
    BSON_APPEND_ARRAY_BEGIN(&cmd, "indexes", &list);
    BSON_APPEND_DOCUMENT_BEGIN(&list, "0", &one);
    BSON_APPEND_DOCUMENT_BEGIN(&one, "key", &keys);
    for (size_t k = 0; k < PGN_COUNT(i->keys) && i->keys[k]; k++)
        BSON_APPEND_INT32(&keys, i->keys[k], 1);
    bson_append_document_end(&one, &keys);
    BSON_APPEND_UTF8(&one, "name", i->name);
    if (i->unique)
        BSON_APPEND_BOOL(&one, "unique", true);
    bson_append_document_end(&list, &one);
    bson_append_array_end(&cmd, &list);
    bool ok = mongoc_client_command_simple(client, m->database, &cmd, NULL, &reply, &e);
    int error = ok ? 0 : sto_mongo_error(&e, NULL, false);
    if (!ok) {
        pgn_buf_printf(ret_problem, "the index %s of %s.%s cannot be made: %s", i->name, m->database, i->collection, e.message);
        if (e.domain == MONGOC_ERROR_SERVER || e.domain == MONGOC_ERROR_COMMAND || e.domain == MONGOC_ERROR_QUERY)
            error = error == PGN_E_FORBIDDEN ? error : PGN_E_CONFLICT; /* another one is in its place */
    }
    bson_destroy(&cmd);
    bson_destroy(&reply);
    return error;
}

static bool keys_fit(const bson_t *doc, const struct index *i)
{
    bson_iter_t it, each;
    size_t k = 0;

    if (!bson_iter_init_find(&it, doc, "key") || !bson_iter_recurse(&it, &each))
        return false;
    for (; bson_iter_next(&each); k++)
        if (k == PGN_COUNT(i->keys) || !i->keys[k] || strcmp(bson_iter_key(&each), i->keys[k]) != 0 || bson_iter_as_int64(&each) != 1)
            return false;
    return k == PGN_COUNT(i->keys) || !i->keys[k];
}

static bool is_it(const bson_t *doc, const struct index *i, bool *ret_fits)
{
    bson_iter_t it;

    if (!bson_iter_init_find(&it, doc, "name") || !BSON_ITER_HOLDS_UTF8(&it) || strcmp(bson_iter_utf8(&it, NULL), i->name) != 0)
        return false;
    bool unique = bson_iter_init_find(&it, doc, "unique") && bson_iter_as_bool(&it);
    *ret_fits = keys_fit(doc, i) && unique == i->unique;
    return true;
}

static int verify(struct sto_mongo *m, mongoc_client_t *client, const struct index *i, struct pgn_buf *ret_problem)
{
    mongoc_collection_t *c = sto_mongo_collection(m, client, i->collection);
    mongoc_cursor_t *cursor = mongoc_collection_find_indexes_with_opts(c, NULL);
    bool found = false, fits = false;
    const bson_t *doc;
    bson_error_t e;
    int error = 0;

    while (mongoc_cursor_next(cursor, &doc))
        found = is_it(doc, i, &fits) || found;
    if (mongoc_cursor_error(cursor, &e)) {
        error = sto_mongo_error(&e, NULL, false);
        pgn_buf_printf(ret_problem, "the indexes of %s.%s cannot be listed: %s", m->database, i->collection, e.message);
    } else if (!found || !fits) {
        error = PGN_E_CONFLICT;
        pgn_buf_printf(ret_problem, "the index %s of %s.%s is %s: drop it, Pigeon makes it again at its next start", i->name, m->database,
                       i->collection, found ? "not the one that Pigeon needs" : "not there");
    }
    mongoc_cursor_destroy(cursor);
    mongoc_collection_destroy(c);
    return error;
}

int sto_mongo_indexes(struct sto_mongo *m, struct pgn_buf *ret_problem)
{
    mongoc_client_t *client = sto_mongo_take(m);
    int error = 0;

    for (size_t i = 0; i < PGN_COUNT(indexes) && !error; i++) {
        error = make(m, client, &indexes[i], ret_problem);
        if (!error)
            error = verify(m, client, &indexes[i], ret_problem);
    }
    sto_mongo_give(m, client);
    return error;
}
