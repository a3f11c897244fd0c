/* Guarded puts: bulks of upserts that never go back. */
#include "common/base/error.h"
#include "services/storage/mongo.h"

#include <string.h>

void sto_puts_begin(struct sto_puts *p, struct sto_mongo *m, mongoc_client_t *client, const char *collection)
{
    bson_t opts = BSON_INITIALIZER;

    p->collection = sto_mongo_collection(m, client, collection);
    BSON_APPEND_BOOL(&opts, "ordered", false);
    p->bulk = mongoc_collection_create_bulk_operation_with_opts(p->collection, &opts);
    p->count = 0;
    bson_destroy(&opts);
}

/* Upsert of {_id, g < n}: where g is not below n the upsert finds its _id taken, and that is meant. */
static void put(struct sto_puts *p, const char *id, uint64_t n, const bson_t *set, const bson_t *unset)
{
    bson_t filter = BSON_INITIALIZER, below, update = BSON_INITIALIZER, part, opts = BSON_INITIALIZER;

    BSON_APPEND_UTF8(&filter, "_id", id);
    BSON_APPEND_DOCUMENT_BEGIN(&filter, "g", &below);
    BSON_APPEND_INT64(&below, "$lt", (int64_t)n);
    bson_append_document_end(&filter, &below);
    BSON_APPEND_DOCUMENT_BEGIN(&update, "$set", &part);
    bson_concat(&part, set);
    BSON_APPEND_INT64(&part, "g", (int64_t)n);
    bson_append_document_end(&update, &part);
    if (!bson_empty(unset))
        BSON_APPEND_DOCUMENT(&update, "$unset", unset);
    BSON_APPEND_BOOL(&opts, "upsert", true);
    mongoc_bulk_operation_update_one_with_opts(p->bulk, &filter, &update, &opts, NULL);
    p->count++;
    bson_destroy(&filter);
    bson_destroy(&update);
    bson_destroy(&opts);
}

void sto_puts_set(struct sto_puts *p, const char *id, uint64_t n, const bson_t *fields)
{
    bson_t unset = BSON_INITIALIZER;

    BSON_APPEND_INT32(&unset, "x", 1);
    put(p, id, n, fields, &unset);
    bson_destroy(&unset);
}

void sto_puts_remove(struct sto_puts *p, const char *id, uint64_t n, const char *const *names)
{
    bson_t unset = BSON_INITIALIZER, set = BSON_INITIALIZER;

    for (; *names; names++)
        BSON_APPEND_INT32(&unset, *names, 1);
    BSON_APPEND_BOOL(&set, "x", true);
    put(p, id, n, &set, &unset);
    bson_destroy(&unset);
    bson_destroy(&set);
}

/* Whether every error in the reply is a duplicate key. */
static bool only_duplicates(const bson_t *reply)
{
    bson_iter_t it, each, code;

    if (bson_iter_init_find(&it, reply, "writeConcernErrors") && bson_iter_recurse(&it, &each) && bson_iter_next(&each))
        return false;
    if (!bson_iter_init_find(&it, reply, "writeErrors") || !bson_iter_recurse(&it, &each))
        return false;
    size_t count = 0;
    for (; bson_iter_next(&each); count++)
        if (!bson_iter_recurse(&each, &code) || !bson_iter_find(&code, "code") || bson_iter_as_int64(&code) != 11000)
            return false;
    return count > 0;
}

int sto_puts_end(struct sto_puts *p)
{
    bson_t reply = BSON_INITIALIZER;
    bson_error_t e = {0};
    int error = 0;

    if (p->count) {
        bson_destroy(&reply);
        if (mongoc_bulk_operation_execute(p->bulk, &reply, &e) == 0 && !only_duplicates(&reply)) {
            error = sto_mongo_error(&e, &reply, true);
            if (error == PGN_E_CONFLICT)
                error = PGN_E_UNCERTAIN;
        }
    }
    bson_destroy(&reply);
    mongoc_bulk_operation_destroy(p->bulk);
    mongoc_collection_destroy(p->collection);
    return error;
}

void sto_hex(const void *data, size_t len, char *out)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *in = data;

    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[in[i] >> 4];
        out[2 * i + 1] = digits[in[i] & 15];
    }
    out[2 * len] = 0;
}

static int nibble(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool sto_unhex(const char *text, uint8_t *out, size_t max, size_t *ret_len)
{
    size_t len = strlen(text);

    if (len % 2 || len / 2 > max)
        return false;
    for (size_t i = 0; i < len / 2; i++) {
        int high = nibble(text[2 * i]), low = nibble(text[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    *ret_len = len / 2;
    return true;
}
