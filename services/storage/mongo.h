/*
 * The connection to a MongoDB-compatible server: pool, errors, and the one kind of write that state is kept with, the guarded
 * put. Only the portable subset is used: no transactions, sessions, change streams, findAndModify, TTL, collation.
 *
 * Any thread; calls block (bounded by timeouts). A client taken belongs to the thread until it is given back.
 * Errors: PGN_E_NOT_FOUND, PGN_E_CONFLICT (duplicate key), PGN_E_UNAVAILABLE (certainly not done), PGN_E_UNCERTAIN (a write that may
 * be done), PGN_E_FORBIDDEN (credentials, rights), PGN_E_CORRUPT, PGN_E_IO (a read that failed).
 */
#ifndef STO_MONGO_H
#define STO_MONGO_H

#include "common/base/buf.h"
#include "common/base/compiler.h"
#include "services/storage/kv.h"

#include <bson/bson.h>
#include <mongoc/mongoc.h>
#include <stdbool.h>
#include <stdint.h>

struct sto_mongo_options {
    const char *uri;                                            /* mongodb://host:port/?options, without user and password */
    const char *database;                                       /* "pigeon" */
    const char *user, *password, *auth_source, *auth_mechanism; /* user "": none */
    bool tls;
    const char *tls_ca, *tls_cert; /* PEM files, "": the system's, none */
    uint32_t timeout_ms;           /* of one operation; 0: 10 s */
    bool any_version;              /* tests: also a server that says it is older than 4.4 */
};

struct sto_mongo {
    mongoc_client_pool_t *pool;
    char *database;
    bool ferret;      /* FerretDB: pushes down only equality on a string _id */
    char version[64]; /* as the server says it */
    bool checked, any_version;
};

/* Only makes the pool: no connection yet. PGN_E_INVALID: ret_problem says what is wrong with the options. */
int sto_mongo_new(const struct sto_mongo_options *options, struct sto_mongo **ret_mongo, struct pgn_buf *ret_problem) PGN_MUST_USE;
void sto_mongo_free(struct sto_mongo **mongo);
/* Is there a server, new enough, which may be written to, with these credentials? ret_problem is a sentence for people. */
int sto_mongo_check(struct sto_mongo *m, struct pgn_buf *ret_problem) PGN_MUST_USE;

mongoc_client_t *sto_mongo_take(struct sto_mongo *m);
void sto_mongo_give(struct sto_mongo *m, mongoc_client_t *client);
/* To be destroyed by the caller. Majority and journalled writes, reads from the primary. */
mongoc_collection_t *sto_mongo_collection(struct sto_mongo *m, mongoc_client_t *client, const char *name);

/* What an error of the driver means; reply may be NULL. write: whether it may have been done. Logs it, rarely. */
int sto_mongo_error(const bson_error_t *error, const bson_t *reply, bool write);
/* find_one({_id: id}): into *ret (initialised by the caller with bson_init, replaced). PGN_E_NOT_FOUND. */
int sto_mongo_get(struct sto_mongo *m, mongoc_client_t *client, const char *collection, const char *id, bson_t *ret) PGN_MUST_USE;
/* mongo_documents.c. PGN_E_CONFLICT: there is one with this _id. */
int sto_mongo_insert(struct sto_mongo *m, mongoc_client_t *client, const char *collection, const bson_t *doc) PGN_MUST_USE;
/* One document; ret_matched (may be NULL): whether there was one. */
int sto_mongo_update(struct sto_mongo *m, mongoc_client_t *client, const char *collection, const bson_t *filter, const bson_t *update,
                     bool *ret_matched) PGN_MUST_USE;
int sto_mongo_remove(struct sto_mongo *m, mongoc_client_t *client, const char *collection, const bson_t *filter) PGN_MUST_USE; /* all */

/* ---- guarded puts ---- */

/*
 * Many of: put `fields` into the document `id`, unless it already holds those of entry n or of a newer one. A document's `g` is the
 * entry that wrote it last. Idempotent, so whoever finds an entry of the ledger may do its writes, and as often as he likes.
 */
struct sto_put {
    bson_t *insert, *filter, *update;
    bool done; /* nothing is left to do */
};
struct sto_puts {
    mongoc_collection_t *collection;
    struct sto_put *all;
    size_t count, cap;
    bool insert_first; /* FerretDB pushes down a filter of one field only: a guarded update reads the whole collection */
};
void sto_puts_begin(struct sto_puts *p, struct sto_mongo *m, mongoc_client_t *client, const char *collection);
/* Sets these fields, keeps others that the document has. fields without _id and g. */
void sto_puts_set(struct sto_puts *p, const char *id, uint64_t n, const bson_t *fields);
/* Sets g and takes all else away (names: fields to take away, ends with NULL): a tombstone {_id, g, x: true}, swept later. */
void sto_puts_remove(struct sto_puts *p, const char *id, uint64_t n, const char *const *names);
/* Runs and ends them; 0 also when newer writes were there. */
int sto_puts_end(struct sto_puts *p) PGN_MUST_USE;

void sto_hex(const void *data, size_t len, char *out); /* 2 * len + 1 bytes */
bool sto_unhex(const char *text, uint8_t *out, size_t max, size_t *ret_len);

#endif
