#include "services/storage/kv_mongo.h"

#include "common/base/alloc.h"
#include "common/base/error.h"
#include "services/storage/rows.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { HEX_MAX = 2 * STO_KEY_MAX + 1, SCAN_BATCH = 200, IN_MAX = 1000 };

struct kv_mongo {
    struct sto_kv base;
    struct sto_mongo *mongo;
    struct sto_ledger *ledger;
    _Atomic bool moved;
    bool failed; /* the running commit could not read something */
};

static struct kv_mongo *mongo_of(struct sto_kv *kv)
{
    return PGN_CONTAINER(kv, struct kv_mongo, base);
}

static const char *const collections[STO_CF_COUNT] = {"rows", "messages", "retries"};

/* ---- writing ---- */

/* Which puts go together; what they refer to was written by an earlier stage. */
enum stage { STAGE_MESSAGES, STAGE_RETRIES, STAGE_ROWS, STAGE_STATES, STAGE_COUNTERS, STAGES };

static enum stage stage_of(const struct sto_kv_put *put)
{
    const uint8_t *key = put->key.data;

    if (put->cf == STO_CF_MSG)
        return STAGE_MESSAGES;
    if (put->cf == STO_CF_RETRY)
        return STAGE_RETRIES;
    return put->key.len && key[0] == '!' ? STAGE_COUNTERS : put->key.len && key[0] == 's' ? STAGE_STATES : STAGE_ROWS;
}

static void put_add(struct sto_puts *puts, const struct sto_kv_put *put, uint64_t n)
{
    static const char *const fields[] = {"v", "conv", "seq", "at", NULL}, *const retry_fields[] = {"v", NULL}; /* at: swept by it */
    bson_t doc = BSON_INITIALIZER;
    struct sto_retry_row retry;
    char id[HEX_MAX];

    sto_hex(put->key.data, put->key.len < STO_KEY_MAX ? put->key.len : STO_KEY_MAX, id);
    if (put->remove) {
        sto_puts_remove(puts, id, n, put->cf == STO_CF_RETRY ? retry_fields : fields);
        bson_destroy(&doc);
        return;
    }
    bson_append_binary(&doc, "v", 1, BSON_SUBTYPE_BINARY, put->value.data ? put->value.data : (const void *)"", (uint32_t)put->value.len);
    if (put->cf == STO_CF_MSG && put->key.len == 16) {
        BSON_APPEND_INT64(&doc, "conv", (int64_t)sto_u64be(put->key.data));
        BSON_APPEND_INT64(&doc, "seq", (int64_t)sto_u64be((const uint8_t *)put->key.data + 8));
    } else if (put->cf == STO_CF_RETRY && sto_retry_row_get(put->value, &retry)) {
        BSON_APPEND_INT64(&doc, "at", retry.at_s);
    }
    sto_puts_set(puts, id, n, &doc);
    bson_destroy(&doc);
}

static int stage_run(struct sto_mongo *m, mongoc_client_t *client, const struct sto_entry *e, enum stage stage)
{
    static const enum sto_cf cf[STAGES] = {STO_CF_MSG, STO_CF_RETRY, STO_CF_MAIN, STO_CF_MAIN, STO_CF_MAIN};
    struct sto_puts puts;

    sto_puts_begin(&puts, m, client, collections[cf[stage]]);
    for (size_t i = 0; i < e->put_count; i++)
        if (stage_of(&e->puts[i]) == stage)
            put_add(&puts, &e->puts[i], e->n);
    return sto_puts_end(&puts);
}

/* The counters come last: when they are there, all of the entry is. */
static bool done_already(struct sto_mongo *m, mongoc_client_t *client, uint64_t n)
{
    struct sto_key key = sto_key_meta("counters");
    bson_t doc = BSON_INITIALIZER;
    bson_iter_t it;
    char id[HEX_MAX];

    sto_hex(key.data, key.len, id);
    bool yes = sto_mongo_get(m, client, collections[STO_CF_MAIN], id, &doc) == 0 && bson_iter_init_find(&it, &doc, "g") &&
               (uint64_t)bson_iter_as_int64(&it) >= n;
    bson_destroy(&doc);
    return yes;
}

int sto_kv_mongo_store(struct sto_mongo *m, mongoc_client_t *client, const struct sto_entry *e)
{
    int error = 0;

    if (!e->own && done_already(m, client, e->n))
        return 0;
    for (enum stage s = 0; !error && s < STAGES; s++)
        error = stage_run(m, client, e, s);
    return error;
}

static int kv_write(struct sto_kv *kv, const struct sto_kv_put *puts, size_t count, bool sync)
{
    (void)sync;
    if (mongo_of(kv)->failed)
        return PGN_E_UNAVAILABLE;
    return sto_ledger_append(mongo_of(kv)->ledger, puts, count, (struct sto_slice){0});
}

/* ---- reading ---- */

static int value_of(const bson_t *doc, struct sto_slice *ret_value)
{
    bson_iter_t it;
    uint32_t len = 0;
    const uint8_t *data = NULL;

    if (!bson_iter_init_find(&it, doc, "v") || !BSON_ITER_HOLDS_BINARY(&it))
        return PGN_E_NOT_FOUND; /* a tombstone */
    bson_iter_binary(&it, NULL, &len, &data);
    *ret_value = sto_slice_of(data, len);
    return 0;
}

static int get_with(struct kv_mongo *k, mongoc_client_t *client, enum sto_cf cf, struct sto_slice key, struct pgn_buf *ret_value)
{
    bson_t doc = BSON_INITIALIZER;
    struct sto_slice value = {0};
    char id[HEX_MAX];

    sto_hex(key.data, key.len, id);
    int error = sto_mongo_get(k->mongo, client, collections[cf], id, &doc);
    if (!error)
        error = value_of(&doc, &value);
    if (!error) {
        pgn_buf_clear(ret_value);
        pgn_buf_append(ret_value, value.data, value.len);
    }
    bson_destroy(&doc);
    return error;
}

static int kv_get(struct sto_kv *kv, struct sto_view *view, enum sto_cf cf, struct sto_slice key, struct pgn_buf *ret_value)
{
    struct kv_mongo *k = mongo_of(kv);
    mongoc_client_t *client = sto_mongo_take(k->mongo);
    int error = get_with(k, client, cf, key, ret_value);

    sto_mongo_give(k->mongo, client);
    if (!view && error && error != PGN_E_NOT_FOUND)
        k->failed = true;
    return error;
}

/* FerretDB reads a whole collection for $in: there it is one question a key. */
static int get_each(struct kv_mongo *k, mongoc_client_t *client, enum sto_cf cf, size_t count, const struct sto_slice *keys,
                    struct pgn_buf *ret_values)
{
    int error = 0;

    for (size_t i = 0; i < count && !error; i++) {
        pgn_buf_clear(&ret_values[i]);
        error = keys[i].len ? get_with(k, client, cf, keys[i], &ret_values[i]) : 0;
        if (error == PGN_E_NOT_FOUND)
            error = 0;
    }
    return error;
}

static void in_filter(const struct sto_slice *keys, size_t count, bson_t *ret_filter)
{
    bson_t id = BSON_INITIALIZER, list;
    char hex[HEX_MAX], name[16];
    const char *at;

    BSON_APPEND_ARRAY_BEGIN(&id, "$in", &list);
    for (size_t i = 0, n = 0; i < count; i++) {
        if (keys[i].len == 0)
            continue;
        sto_hex(keys[i].data, keys[i].len, hex);
        bson_uint32_to_string((uint32_t)n++, &at, name, sizeof name);
        BSON_APPEND_UTF8(&list, at, hex);
    }
    bson_append_array_end(&id, &list);
    BSON_APPEND_DOCUMENT(ret_filter, "_id", &id);
    bson_destroy(&id);
}

/* A document's key (STO_KEY_MAX bytes of room) and value; false: it is no row, or removed. */
static bool row_of(const bson_t *doc, uint8_t *key, size_t *ret_len, struct sto_slice *ret_value)
{
    bson_iter_t it;

    return value_of(doc, ret_value) == 0 && bson_iter_init_find(&it, doc, "_id") && BSON_ITER_HOLDS_UTF8(&it) &&
           sto_unhex(bson_iter_utf8(&it, NULL), key, STO_KEY_MAX, ret_len);
}

static void in_take(const bson_t *doc, const struct sto_slice *keys, size_t count, struct pgn_buf *ret_values)
{
    uint8_t key[STO_KEY_MAX];
    struct sto_slice value = {0};
    size_t len;

    if (!row_of(doc, key, &len, &value))
        return;
    for (size_t i = 0; i < count; i++) /* the same key may be asked for twice */
        if (keys[i].len == len && memcmp(keys[i].data, key, len) == 0) {
            pgn_buf_clear(&ret_values[i]);
            pgn_buf_append(&ret_values[i], value.data, value.len);
        }
}

static int get_in(struct kv_mongo *k, mongoc_client_t *client, enum sto_cf cf, size_t count, const struct sto_slice *keys,
                  struct pgn_buf *ret_values)
{
    mongoc_collection_t *c = sto_mongo_collection(k->mongo, client, collections[cf]);
    bson_t filter = BSON_INITIALIZER;
    const bson_t *doc;
    bson_error_t e;

    in_filter(keys, count, &filter);
    mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(c, &filter, NULL, NULL);
    while (mongoc_cursor_next(cursor, &doc))
        in_take(doc, keys, count, ret_values);
    int error = mongoc_cursor_error(cursor, &e) ? sto_mongo_error(&e, NULL, false) : 0;
    mongoc_cursor_destroy(cursor);
    bson_destroy(&filter);
    mongoc_collection_destroy(c);
    return error;
}

static int kv_get_many(struct sto_kv *kv, enum sto_cf cf, size_t count, const struct sto_slice *keys, struct pgn_buf *ret_values)
{
    struct kv_mongo *k = mongo_of(kv);
    mongoc_client_t *client = sto_mongo_take(k->mongo);
    int error = 0;

    for (size_t i = 0; i < count; i++)
        pgn_buf_clear(&ret_values[i]);
    for (size_t i = 0; i < count && !error; i += IN_MAX) {
        size_t n = count - i < IN_MAX ? count - i : IN_MAX;

        error =
            k->mongo->ferret ? get_each(k, client, cf, n, keys + i, ret_values + i) : get_in(k, client, cf, n, keys + i, ret_values + i);
    }
    sto_mongo_give(k->mongo, client);
    return error;
}

static bson_t *scan_filter(struct sto_slice from, struct sto_slice to)
{
    char low[HEX_MAX], high[HEX_MAX];

    sto_hex(from.data, from.len, low);
    sto_hex(to.data, to.len, high);
    return BCON_NEW("_id", "{", "$gte", BCON_UTF8(low), "$lt", BCON_UTF8(high), "}");
}

static bool scan_visit(const bson_t *doc, sto_kv_visit *visit, void *ctx)
{
    uint8_t key[STO_KEY_MAX];
    struct sto_slice value = {0};
    size_t len;

    if (!row_of(doc, key, &len, &value))
        return true;
    return visit(ctx, sto_slice_of(key, len), value);
}

static int kv_scan(struct sto_kv *kv, struct sto_view *view, enum sto_cf cf, struct sto_slice from, struct sto_slice to, bool reverse,
                   sto_kv_visit *visit, void *ctx)
{
    struct kv_mongo *k = mongo_of(kv);
    mongoc_client_t *client = sto_mongo_take(k->mongo);
    mongoc_collection_t *c = sto_mongo_collection(k->mongo, client, collections[cf]);
    bson_t *filter = scan_filter(from, to);
    bson_t *opts = BCON_NEW("sort", "{", "_id", BCON_INT32(reverse ? -1 : 1), "}", "batchSize", BCON_INT32(SCAN_BATCH));
    mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(c, filter, opts, NULL);
    const bson_t *doc;
    bson_error_t e;
    bool more = true;

    (void)view;
    while (more && mongoc_cursor_next(cursor, &doc))
        more = scan_visit(doc, visit, ctx);
    int error = mongoc_cursor_error(cursor, &e) ? sto_mongo_error(&e, NULL, false) : 0;
    mongoc_cursor_destroy(cursor);
    bson_destroy(filter);
    bson_destroy(opts);
    mongoc_collection_destroy(c);
    sto_mongo_give(k->mongo, client);
    return error;
}

static struct sto_view *kv_view_begin(struct sto_kv *kv)
{
    return (struct sto_view *)kv;
}
static void kv_view_end(struct sto_kv *kv, struct sto_view *view)
{
    (void)kv, (void)view;
}

/* ---- commits ---- */

static int kv_commit_begin(struct sto_kv *kv, bool *ret_moved)
{
    sto_ledger_lock(mongo_of(kv)->ledger);
    mongo_of(kv)->failed = false;
    *ret_moved = atomic_exchange(&mongo_of(kv)->moved, false);
    return 0;
}
static void kv_commit_end(struct sto_kv *kv)
{
    sto_ledger_unlock(mongo_of(kv)->ledger);
}
static int kv_confirm(struct sto_kv *kv)
{
    return mongo_of(kv)->failed ? PGN_E_UNAVAILABLE : sto_ledger_confirm(mongo_of(kv)->ledger);
}

static int kv_recover(struct sto_kv *kv)
{
    struct kv_mongo *k = mongo_of(kv);

    sto_ledger_lock(k->ledger);
    int error = sto_ledger_recover(k->ledger);
    sto_ledger_unlock(k->ledger);
    return error;
}

void sto_kv_mongo_moved(struct sto_kv *kv)
{
    atomic_store(&mongo_of(kv)->moved, true);
}

/* ---- the rest ---- */

static uint64_t kv_bytes(struct sto_kv *kv)
{
    struct kv_mongo *k = mongo_of(kv);
    mongoc_client_t *client = sto_mongo_take(k->mongo);
    bson_t *cmd = BCON_NEW("dbStats", BCON_INT32(1)), reply;
    bson_iter_t it;
    uint64_t bytes = 0;

    if (mongoc_client_command_simple(client, k->mongo->database, cmd, NULL, &reply, NULL) &&
        bson_iter_init_find(&it, &reply, "storageSize") && BSON_ITER_HOLDS_NUMBER(&it))
        bytes = (uint64_t)bson_iter_as_int64(&it);
    bson_destroy(&reply);
    bson_destroy(cmd);
    sto_mongo_give(k->mongo, client);
    return bytes;
}
static int kv_checkpoint(struct sto_kv *kv, const char *directory)
{
    (void)kv, (void)directory;
    return PGN_E_INVALID;
}
static void kv_close(struct sto_kv *kv)
{
    free(mongo_of(kv));
}

static const struct sto_kv_ops mongo_ops = {
    .write = kv_write,
    .view_begin = kv_view_begin,
    .view_end = kv_view_end,
    .get = kv_get,
    .get_many = kv_get_many,
    .scan = kv_scan,
    .recover = kv_recover,
    .bytes = kv_bytes,
    .checkpoint = kv_checkpoint,
    .commit_begin = kv_commit_begin,
    .commit_end = kv_commit_end,
    .confirm = kv_confirm,
    .close = kv_close,
};

struct sto_kv *sto_kv_mongo_new(struct sto_mongo *m, struct sto_ledger *ledger)
{
    struct kv_mongo *k = pgn_calloc(1, sizeof *k);

    k->base.ops = &mongo_ops;
    k->mongo = m;
    k->ledger = ledger;
    return &k->base;
}
