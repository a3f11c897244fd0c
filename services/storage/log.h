/*
 * The message log on an ordered key-value engine: what the memory and the embedded store share. One committer thread calls
 * open, commit, reload and close; any thread may read.
 */
#ifndef STO_LOG_H
#define STO_LOG_H

#include "services/storage/kv.h"
#include "services/storage/people.h"
#include "services/storage/rows.h"
#include "services/storage/store.h"

struct sto_log;

/* The people and kv outlive the log. epoch is borrowed. PGN_E_IO, PGN_E_CORRUPT, PGN_E_CONFLICT (written by a newer version). */
int sto_log_open(struct sto_kv *kv, struct sto_people *people, const char *epoch, const struct sto_faults *faults,
                 struct sto_log **ret_log) PGN_MUST_USE;
void sto_log_close(struct sto_log **log);

int sto_log_commit(struct sto_log *log, struct sto_commit *commits, size_t count, struct sto_effects *effects,
                   void (*before_write)(void *ctx), void *ctx) PGN_MUST_USE;
int sto_log_recover(struct sto_log *log) PGN_MUST_USE; /* see store.h */
uint64_t sto_log_last_commit(const struct sto_log *log);
/* Any thread: another instance committed; counters: the value of its row of them. */
void sto_log_moved(struct sto_log *log, struct sto_slice counters);
/* After a restore: commit numbers go on far above `above` and the backup's own, and cursors given in between sync anew. */
int sto_log_jump(struct sto_log *log, uint64_t above) PGN_MUST_USE;
/* After a repair, before open: makes rows that contradict each other fit again. */
struct sto_rebuilt {
    uint64_t convs, messages, missing; /* missing: numbers below a conversation's newest that have no message */
};
int sto_log_rebuild(struct sto_kv *kv, struct sto_rebuilt *ret_rebuilt) PGN_MUST_USE;

int sto_log_read(struct sto_log *log, const Pigeon__ConvRequest *request, size_t budget_bytes, struct pgn_arena *arena,
                 Pigeon__Reply *ret) PGN_MUST_USE;
/* Conversations of a user; both arrays in the arena that was given. */
struct sto_convs {
    char **ids;
    uint64_t *first_seqs; /* nothing below it is for the user */
    size_t count;
};
/* The user's conversations of one kind (STO_DIRECT, STO_GROUP) that he has not left. */
int sto_log_convs(struct sto_log *log, const char *user, uint8_t kind, struct pgn_arena *arena, struct sto_convs *ret_convs) PGN_MUST_USE;
/* A group's version; 0: there is none. */
int sto_log_version(struct sto_log *log, const char *conv, struct pgn_arena *arena, uint64_t *ret_version) PGN_MUST_USE;
/* Whether user is a member of a conversation that the owner, or somebody who could read the file, sent it to. */
int sto_log_file_readable(struct sto_log *log, const char *file, const char *owner, const char *user, bool *ret_yes) PGN_MUST_USE;
void sto_log_counts(struct sto_log *log, uint64_t *ret_convs, uint64_t *ret_messages);

#endif
