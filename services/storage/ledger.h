/*
 * The ledger: the one order of all durable writes of all storage instances on one MongoDB database (docs/adr/0005-one-ledger.md).
 * Entry n is a document whose _id is n in 20 digits. Inserting it (majority, journal) is the commit; a duplicate key says that
 * somebody else's entry n was first: the loser's picture is stale (PGN_E_STALE), it catches up and does all its work again.
 *
 * Rule that everything rests on: whoever inserts n has materialised, or seen materialised, every entry below n. So only the newest
 * entry can be one whose rows are missing, and whoever meets it writes them (guarded puts: idempotent).
 *
 * One lock a process: between sto_ledger_lock and sto_ledger_unlock nobody else of this process appends, catches up or applies.
 * Any thread. The sink's functions are called under the lock, by whichever thread holds it.
 */
#ifndef STO_LEDGER_H
#define STO_LEDGER_H

#include "common/base/buf.h"
#include "common/base/compiler.h"
#include "services/storage/kv.h"
#include "services/storage/mongo.h"
#include "services/storage/store.h"

#include <stdbool.h>
#include <stdint.h>

struct sto_ledger;

/* Borrowed for the call. */
struct sto_entry {
    uint64_t n;
    const struct sto_kv_put *puts; /* of the message log */
    size_t put_count;
    struct sto_slice dir; /* the directory's changeset; len 0: none */
    bool own;             /* appended by this instance just now; else found */
};

struct sto_sink {
    void *ctx;
    /* Writes the documents of the entry's changes; guarded, may be done twice. */
    int (*store_rows)(void *ctx, mongoc_client_t *client, const struct sto_entry *entry);
    int (*store_dir)(void *ctx, mongoc_client_t *client, const struct sto_entry *entry);
    /* Somebody else's entry (or an own one of which nobody knew whether it was stored): brings what is kept in memory up to it. */
    void (*moved_rows)(void *ctx, const struct sto_entry *entry);
    int (*moved_dir)(void *ctx, const struct sto_entry *entry);
    /* Everything in memory is to be read again from the documents; afterwards entries above `position` follow. */
    int (*reload)(void *ctx, mongoc_client_t *client, uint64_t position);
};

struct sto_ledger_options {
    uint64_t retention_ms; /* entries that are older and materialised are removed; 0: one hour */
    unsigned uncertain_at; /* planted: the answer to this entry of rows, counted from 1, is lost; 0: none */
};

/*
 * Loads: sink->reload, then every entry since. m outlives it. Errors of mongo.h.
 */
int sto_ledger_open(struct sto_mongo *m, const struct sto_sink *sink, const struct sto_ledger_options *options,
                    struct sto_ledger **ret_ledger, struct pgn_buf *ret_problem) PGN_MUST_USE;
void sto_ledger_close(struct sto_ledger **ledger);

void sto_ledger_lock(struct sto_ledger *l);
void sto_ledger_unlock(struct sto_ledger *l);

/* Locked. Applies what others appended, up to the newest. PGN_E_UNAVAILABLE, or PGN_E_UNAVAILABLE until recover when in doubt. */
int sto_ledger_catch_up(struct sto_ledger *l) PGN_MUST_USE;
/*
 * Locked. Inserts the next entry and materialises it. PGN_E_STALE: somebody was first, nothing was stored, and all of it is applied
 * here by now: do everything again on the new state. PGN_E_UNCERTAIN: it may be stored; then only recover helps.
 * PGN_E_UNAVAILABLE: not stored. PGN_E_TOO_LARGE: does not fit a document.
 */
int sto_ledger_append(struct sto_ledger *l, const struct sto_kv_put *puts, size_t count, struct sto_slice dir) PGN_MUST_USE;
/* Locked. Is this picture still the newest? 0, PGN_E_STALE (caught up meanwhile), PGN_E_UNAVAILABLE. */
int sto_ledger_confirm(struct sto_ledger *l) PGN_MUST_USE;
/* Locked. After PGN_E_UNCERTAIN or PGN_E_UNAVAILABLE: 0 when it is known again what is stored, and all of it is applied. */
int sto_ledger_recover(struct sto_ledger *l) PGN_MUST_USE;
/*
 * Any thread. What became of the newest entry of rows whose append ended in PGN_E_UNCERTAIN: known when its number is applied here.
 * STORED only until somebody else's rows follow it: what it changes would come too late.
 */
enum sto_doubt sto_ledger_doubt(const struct sto_ledger *l);
/* Locked. What is in memory cannot be trusted: the next catch_up loads everything again. */
void sto_ledger_distrust(struct sto_ledger *l);

/* Not locked. Everything that was acknowledged anywhere before this call is applied when it returns 0. One probe serves all who wait. */
int sto_ledger_refresh(struct sto_ledger *l) PGN_MUST_USE;
/* Any time. The newest entry that is applied here. */
uint64_t sto_ledger_position(const struct sto_ledger *l);
const char *sto_ledger_epoch(const struct sto_ledger *l); /* the store's, the same for all instances and for ever; constant after open */

/* One thread, the keeper's. note_applied: where the next start begins. trim: removes entries that were seen a retention ago. */
int sto_ledger_note_applied(struct sto_ledger *l) PGN_MUST_USE;
int sto_ledger_trim(struct sto_ledger *l) PGN_MUST_USE;
uint64_t sto_ledger_trimmed(const struct sto_ledger *l); /* the newest entry that this process removed */
uint64_t sto_boot_ms(void);                              /* goes on while the machine sleeps */

#endif
