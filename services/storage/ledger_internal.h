/* What the files ledger*.c share. */
#ifndef STO_LEDGER_INTERNAL_H
#define STO_LEDGER_INTERNAL_H

#include "services/storage/ledger.h"

#include <pthread.h>
#include <stdatomic.h>

/* Schema 2: entries and documents of the directory's table mqtt, which an older Pigeon does not know. */
enum { STO_LEDGER_ID_BYTES = 21, STO_LEDGER_ENTRY_MAX = 12 << 20, STO_LEDGER_SCHEMA = 2 };
#define STO_LEDGER "ledger"
#define STO_META   "meta"

/* How old the ledger's end was seen to be: on the clock that goes on while the machine sleeps. */
struct sto_sight {
    uint64_t at_ms, n;
};

struct sto_ledger {
    struct sto_mongo *mongo;
    struct sto_sink sink;
    uint64_t retention_ms;
    char by[33]; /* this instance's own mark in its entries */
    pthread_mutex_t lock;
    _Atomic uint64_t position;            /* everything up to it is materialised, and applied here */
    _Atomic uint64_t confirmed_ms;        /* when `position` was last known to be the newest */
    uint64_t appends;                     /* counted, so that each entry of this instance has a mark of its own */
    uint64_t doubt_n, doubt_mark;         /* the entry of rows in doubt */
    _Atomic int doubt;                    /* enum sto_doubt */
    unsigned uncertain_at, rows_appended; /* a planted fault */
    bool reload;                          /* what is in memory cannot be trusted */
    char epoch[17];
    /* refresh: one probe for all that wait */
    pthread_mutex_t probe_lock;
    pthread_cond_t probe_end;
    uint64_t probes_started, probes_done;
    bool probing;
    int probe_error;
    /* trim: keeper's thread only */
    uint64_t noted_applied, trimmed;
    struct sto_sight sights[64];
    size_t sight_count;
};

/* ledger_entry.c */
void sto_ledger_id(uint64_t n, char out[STO_LEDGER_ID_BYTES]);
/* PGN_E_TOO_LARGE */
int sto_entry_encode(const struct sto_ledger *l, uint64_t n, const struct sto_kv_put *puts, size_t count, struct sto_slice dir,
                     bson_t *ret_doc) PGN_MUST_USE;
/* Borrows from doc; free ret_puts. */
int sto_entry_decode(const bson_t *doc, uint64_t n, struct sto_entry *ret_entry, struct sto_kv_put **ret_puts) PGN_MUST_USE;
/* The entry is own, not somebody else's: {_id, by}. */
bool sto_entry_is_mine(const struct sto_ledger *l, const bson_t *doc, uint64_t *ret_mark);
void sto_entry_filter(const struct sto_ledger *l, uint64_t n, bson_t *ret_filter);

/* ledger_meta.c: the document {_id: "ledger"} of meta */
struct sto_ledger_meta {
    uint64_t applied, truncated;
    char epoch[17];
};
int sto_ledger_meta_load(struct sto_ledger *l, mongoc_client_t *client, struct sto_ledger_meta *ret_meta) PGN_MUST_USE; /* makes it */
int sto_ledger_meta_raise(struct sto_ledger *l, mongoc_client_t *client, const char *name, uint64_t n) PGN_MUST_USE;

#endif
