/* Guarded puts: bulks of upserts that never go back. */
#include "common/base/alloc.h"
#include "common/base/error.h"
#include "services/storage/mongo.h"

#include <stdlib.h>
#include <string.h>

void sto_puts_begin(struct sto_puts *p, struct sto_mongo *m, mongoc_client_t *client, const char *collection)
{
    *p = (struct sto_puts){.collection = sto_mongo_collection(m, client, collection), .insert_first = m->ferret};
}

/* Upsert of {_id, g < n}: where g is not below n the upsert finds its _id taken, and that is meant. */
static void put(struct sto_puts *p, const char *id, uint64_t n, const bson_t *set, const bson_t *unset)
{
    bson_t below, part;

    if (p->count == p->cap) {
        p->cap = p->cap ? p->cap * 2 : 16;
        p->all = pgn_realloc(p->all, p->cap * sizeof *p->all);
    }
    struct sto_put *one = &p->all[p->count++];
    *one = (struct sto_put){bson_new(), bson_new(), bson_new(), false};
    BSON_APPEND_UTF8(one->insert, "_id", id);
    bson_concat(one->insert, set);
    BSON_APPEND_INT64(one->insert, "g", (int64_t)n);
    BSON_APPEND_UTF8(one->filter, "_id", id);
    BSON_APPEND_DOCUMENT_BEGIN(one->filter, "g", &below);
    BSON_APPEND_INT64(&below, "$lt", (int64_t)n);
    bson_append_document_end(one->filter, &below);
    BSON_APPEND_DOCUMENT_BEGIN(one->update, "$set", &part);
    bson_concat(&part, set);
    BSON_APPEND_INT64(&part, "g", (int64_t)n);
    bson_append_document_end(one->update, &part);
    BSON_APPEND_DOCUMENT(one->update, "$unset", unset);
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

/*
 * What a bulk came to: 0 when all went well, or found its key taken. Such a put of an insert (of all puts: it has their indexes) is marked
 * as not done. *ret_taken: how many there were.
 */
static int outcome(struct sto_puts *p, bool insert, bool ok, const bson_t *reply, const bson_error_t *e, size_t *ret_taken)
{
    bson_iter_t it, each, field;

    for (size_t i = 0; insert && i < p->count; i++)
        p->all[i].done = true;
    *ret_taken = 0;
    if (ok)
        return 0;
    if (bson_iter_init_find(&it, reply, "writeConcernErrors") && bson_iter_recurse(&it, &each) && bson_iter_next(&each))
        return sto_mongo_error(e, reply, true);
    if (!bson_iter_init_find(&it, reply, "writeErrors") || !bson_iter_recurse(&it, &each))
        return sto_mongo_error(e, reply, true);
    size_t taken = 0;
    for (; bson_iter_next(&each); taken++) {
        if (!bson_iter_recurse(&each, &field) || !bson_iter_find(&field, "code") || bson_iter_as_int64(&field) != 11000)
            return sto_mongo_error(e, reply, true);
        if (insert && bson_iter_recurse(&each, &field) && bson_iter_find(&field, "index") && (size_t)bson_iter_as_int64(&field) < p->count)
            p->all[bson_iter_as_int64(&field)].done = false;
    }
    *ret_taken = taken;
    return taken ? 0 : sto_mongo_error(e, reply, true);
}

static size_t count_in(const bson_t *reply, const char *name)
{
    bson_iter_t it;

    return bson_iter_init_find(&it, reply, name) ? (size_t)bson_iter_as_int64(&it) : 0;
}

/* Inserts all, or updates those of [from, to) that are not done. *ret_all: the server looked at each of them. */
static int run(struct sto_puts *p, bool insert, size_t from, size_t to, bool *ret_all)
{
    size_t sent = 0, taken;
    bson_t opts = BSON_INITIALIZER, upsert = BSON_INITIALIZER, reply;
    bson_error_t e = {0};

    BSON_APPEND_BOOL(&opts, "ordered", false);
    BSON_APPEND_BOOL(&upsert, "upsert", true);
    mongoc_bulk_operation_t *bulk = mongoc_collection_create_bulk_operation_with_opts(p->collection, &opts);
    for (size_t i = from; i < to; i++) {
        if (insert)
            mongoc_bulk_operation_insert_with_opts(bulk, p->all[i].insert, NULL, NULL);
        else if (!p->all[i].done)
            mongoc_bulk_operation_update_one_with_opts(bulk, p->all[i].filter, p->all[i].update, &upsert, NULL);
        sent += insert || !p->all[i].done;
    }
    bool ok = mongoc_bulk_operation_execute(bulk, &reply, &e) != 0;
    int error = outcome(p, insert, ok, &reply, &e, &taken);
    *ret_all = ok || count_in(&reply, "nMatched") + count_in(&reply, "nUpserted") + taken >= sent;
    bson_destroy(&reply);
    bson_destroy(&opts);
    bson_destroy(&upsert);
    mongoc_bulk_operation_destroy(bulk);
    return error == PGN_E_CONFLICT ? PGN_E_UNCERTAIN : error;
}

static bool some_left(const struct sto_puts *p)
{
    size_t i = 0;

    while (i < p->count && p->all[i].done)
        i++;
    return i < p->count;
}

/*
 * FerretDB ends a command at the first update that finds its key taken, ordered or not; the rest of it would be lost. Guarded as they are,
 * they can be done once more, each by itself.
 */
static int update_left(struct sto_puts *p)
{
    bool all, one;
    int error = run(p, false, 0, p->count, &all);

    for (size_t i = 0; !error && !all && i < p->count; i++)
        if (!p->all[i].done)
            error = run(p, false, i, i + 1, &one);
    return error;
}

int sto_puts_end(struct sto_puts *p)
{
    bool all;
    int error = 0;

    if (p->count && p->insert_first)
        error = run(p, true, 0, p->count, &all);
    if (!error && some_left(p))
        error = update_left(p);
    for (size_t i = 0; i < p->count; i++) {
        bson_destroy(p->all[i].insert);
        bson_destroy(p->all[i].filter);
        bson_destroy(p->all[i].update);
    }
    free(p->all);
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
