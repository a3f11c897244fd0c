/*
 * The store: what every storage engine implements (memory, embedded, mongodb), and what the service and the
 * conformance suite (tests/conformance/test_store.c) use. Requests and answers are the schema's own types (internal.proto).
 *
 * Threads:  commit, recover           one thread, the committer
 *           read, stats, backup       any thread, also at the same time
 *           dir_*                     one thread, the directory's
 *           open, close               nobody else
 * Memory of answers comes from the arena that the caller gives and lives as long.
 *
 * Rules of all stores (log_*.c and people.c hold them for stores on an ordered key-value engine):
 *   - numbers of a conversation are dense from 1, given in the commit; a retry key (user, device, client_id) gives the
 *     first answer again, before anything else is looked at;
 *   - a release forgets a retry key, in order with what came before: what comes under it next is new;
 *   - an item whose version is not the conversation's current one is answered PGN_E_STALE with the current one;
 *   - recall, edit and react change their target in the same commit; a membership change is also a message of kind operation;
 *   - watermarks never go back; sending moves the sender's; unread = (last_seq - read) - operations among them;
 *   - every change has a commit number of its own: the cursor of `sync`.
 */
#ifndef STO_STORE_H
#define STO_STORE_H

#include "common/base/alloc.h"
#include "common/base/buf.h"
#include "common/base/compiler.h"
#include "common/proto/pb.h"
#include "services/storage/effects.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One CommitBatch that waits, and its answers. */
struct sto_commit {
    const Pigeon__CommitBatch *batch; /* borrowed, also by the answers */
    Pigeon__ItemResult *results;      /* of the caller: batch->n_items, initialised and filled by commit */
};

/* Test faults (PIGEON_FAULT, only with PGN_TEST_FAULTS); all false elsewhere. */
struct sto_faults {
    bool ack_before_commit, dedup_off, drop_publish, sync_off;
    bool seq_reset;        /* numbers are kept beside the store and begin again when it opens */
    bool version_off;      /* what an item was checked against is not compared with what is */
    unsigned uncertain_at; /* this write, counted from 1, is said to be uncertain though it is done; 0: none */
};

/* What became of the newest commit that ended in PGN_E_UNCERTAIN. */
enum sto_doubt {
    STO_DOUBT_OPEN,   /* not known yet */
    STO_DOUBT_NOT,    /* not stored; or stored, but what it changes is not to be published any more: others have committed behind it */
    STO_DOUBT_STORED, /* durable with the next commit */
};

struct sto_store;
struct sto_store_ops {
    const char *name;
    /*
     * Commits these batches, in this order, in one durable write. 0: results are final and effects are to be published
     * (policies, results, events: in that order). Else nothing may be published but the error for every item:
     * PGN_E_UNCERTAIN (it may be stored) or PGN_E_UNAVAILABLE (it is not).
     * before_write (may be NULL) is called when results are known but nothing is stored: only for planted faults.
     */
    int (*commit)(struct sto_store *s, struct sto_commit *commits, size_t count, struct sto_effects *effects,
                  void (*before_write)(void *ctx), void *ctx);
    /* After an error of commit: 0 when commits may be tried again. Call it once a second. */
    int (*recover)(struct sto_store *s);
    /* Once recover went well, again behind each commit; commit: the effects'. Any thread. */
    enum sto_doubt (*doubt)(struct sto_store *s, uint64_t commit);
    uint64_t (*last_commit)(struct sto_store *s); /* any thread */

    /* Answers a ConvRequest. budget_bytes: about how large the answer may become (0: no limit); pages end before it with `more`,
     * a policy list then holds only the first ones. The Reply's error is set, too. */
    int (*read)(struct sto_store *s, const Pigeon__ConvRequest *request, size_t budget_bytes, struct pgn_arena *arena, Pigeon__Reply *ret);

    /* The directory: requests between begin and end are one durable transaction; each of them is atomic in itself. */
    int (*dir_begin)(struct sto_store *s);
    int (*dir_request)(struct sto_store *s, const Pigeon__DirRequest *request, struct pgn_arena *arena, Pigeon__Reply *ret,
                       struct sto_effects *effects);
    int (*dir_session)(struct sto_store *s, const Pigeon__SessionRequest *request, struct pgn_arena *arena, Pigeon__Reply *ret,
                       struct sto_effects *effects);
    /* get, put and remove of MQTT sessions. */
    int (*dir_mqtt)(struct sto_store *s, const Pigeon__MqttRequest *request, struct pgn_arena *arena, Pigeon__Reply *ret,
                    struct sto_effects *effects);
    /* 0; else the answers of all requests that changed something (dir_request returned with *ret wrote) are void. PGN_E_STALE: another
     * instance was first, nothing was stored: begin again with all of them. */
    int (*dir_end)(struct sto_store *s);
    /* Checks the audit log's hash chain; ret_bad: the first entry that does not fit (0: none). */
    int (*audit_verify)(struct sto_store *s, uint64_t *ret_count, uint64_t *ret_bad);

    int (*stats)(struct sto_store *s, struct pgn_arena *arena, Pigeon__StoreStats *ret);
    /* A copy of everything, while running. PGN_E_CONFLICT: the name is taken. */
    int (*backup)(struct sto_store *s, const char *name, struct pgn_arena *arena, Pigeon__BackupInfo *ret);
    int (*backup_list)(struct sto_store *s, struct pgn_arena *arena, Pigeon__BackupList *ret);
    /* Checks the backup and leaves a marker: it takes effect at the next open. PGN_E_NOT_FOUND, PGN_E_CORRUPT. */
    int (*restore)(struct sto_store *s, const char *name, struct pgn_arena *arena, Pigeon__BackupInfo *ret);
    /*
     * Of stores that several services share; NULL elsewhere. From now on this instance asks for the writer's lease and tells when it gets
     * or loses it (any thread); on_active NULL: it gives it back. Who has it takes commits from the bus; others may, but get in the way.
     */
    void (*lease_watch)(struct sto_store *s, void (*on_active)(void *ctx, bool active), void *ctx);
    void (*close)(struct sto_store *s); /* frees it */
};
struct sto_store {
    const struct sto_store_ops *ops;
    struct pgn_buf notes; /* a line for each thing that opening set aside or repaired */
    char epoch[17];       /* new at every open */
};

struct sto_mongo_options;
struct sto_store_options {
    const char *data; /* node.data; the memory store has no use for it */
    size_t cache_bytes, memtable_bytes;
    uint32_t retry_days;
    struct sto_faults faults;
    const struct sto_mongo_options *mongo; /* mongo.h; borrowed for the call */
    uint64_t ledger_retention_ms;          /* 0: an hour */
};
void sto_store_options_default(struct sto_store_options *options);

int sto_memory_open(const struct sto_store_options *options, struct sto_store **ret_store, struct pgn_buf *ret_problem) PGN_MUST_USE;
/*
 * PGN_E_BUSY: another process has it open (ret_problem names it); PGN_E_CONFLICT: written by a newer Pigeon;
 * PGN_E_IO. Damage is no error: the damaged part is set aside and `notes` says so.
 */
int sto_embedded_open(const struct sto_store_options *options, struct sto_store **ret_store, struct pgn_buf *ret_problem) PGN_MUST_USE;

/*
 * PGN_E_UNAVAILABLE: away, or not the primary: try again later; PGN_E_FORBIDDEN: credentials, rights; PGN_E_CONFLICT: too old, wrong
 * indexes, written by a newer Pigeon; PGN_E_INVALID: the options.
 */
int sto_mongo_open(const struct sto_store_options *options, struct sto_store **ret_store, struct pgn_buf *ret_problem) PGN_MUST_USE;

#endif
