/*
 * The directory as a replica: SQLite in memory holds what the collections dir_<table> hold. A transaction's changes are recorded
 * as an SQLite patchset (new values, keys), which goes through the ledger; what others appended is applied here, to SQLite, to
 * people and to the session cache. The reply of a replica to a request is therefore as old as its last apply.
 *
 * Threads: the caller's, under the ledger's lock. dir is open on ":memory:".
 */
#ifndef STO_DIR_REPLICA_H
#define STO_DIR_REPLICA_H

#include "services/storage/dir.h"
#include "services/storage/mongo.h"

#include <sqlite3.h>

/* In a transaction that was just begun: from here on its changes are recorded. */
int sto_replica_begin(struct sto_dir *dir) PGN_MUST_USE;
/* Before the commit: appends what was changed to ret, nothing when nothing was. Ends the recording. */
int sto_replica_changeset(struct sto_dir *dir, struct pgn_buf *ret) PGN_MUST_USE;
void sto_replica_cancel(struct sto_dir *dir);

/*
 * Somebody else's changes, in a transaction of its own. Entries may come again on rows that are newer already: when all have come,
 * in their order, the picture is right. PGN_E_CORRUPT: no changeset of this directory's tables.
 */
int sto_replica_apply(struct sto_dir *dir, struct sto_slice changeset) PGN_MUST_USE;

/* A row's change, borrowed for the call. Deleted: fields is empty. Changed: fields are the changed ones. */
struct sto_row_change {
    const char *collection, *id; /* "dir_users", the primary key as text */
    const char *const *columns;  /* all of the table's, ends with NULL */
    const bson_t *fields;
    bool removed;
};
typedef void sto_row_visit(void *ctx, const struct sto_row_change *change);
int sto_replica_visit(struct sto_slice changeset, sto_row_visit *visit, void *ctx) PGN_MUST_USE;

/* Writes the changed rows' documents: guarded puts of entry n. */
int sto_replica_store(struct sto_mongo *m, mongoc_client_t *client, uint64_t n, struct sto_slice changeset) PGN_MUST_USE;
/* Empties the tables and fills them from the documents; people, sessions and counts follow. After an error all is as it was. */
int sto_replica_load(struct sto_dir *dir, struct sto_mongo *m, mongoc_client_t *client) PGN_MUST_USE;

/* The directory's tables, in a fixed order; export and import use them, too. */
struct sto_dir_table {
    const char *name, *collection;
    const char *columns[16]; /* as CREATE TABLE has them; ends with NULL */
};
enum { STO_DIR_TABLES = 8 };
extern const struct sto_dir_table sto_dir_tables[STO_DIR_TABLES];
/* INSERT OR REPLACE of a whole row; the caller finalizes it. */
int sto_dir_insert(struct sto_dir *dir, const struct sto_dir_table *table, sqlite3_stmt **ret_stmt) PGN_MUST_USE;

#endif
