/*
 * The directory: users, sessions (and what MQTT keeps of them), contacts, invitations, files, audit log, in SQLite (WAL, synchronous=FULL;
 * or in memory). One thread. Requests stand in transactions of many (sto_dir_begin, sto_dir_end), each in a savepoint of its own.
 */
#ifndef STO_DIR_H
#define STO_DIR_H

#include "services/storage/effects.h"
#include "services/storage/log.h"
#include "services/storage/people.h"

struct sto_dir;

enum { STO_DIR_SCHEMA = 2 };

/*
 * path ":memory:" forgets everything. Fills people. PGN_E_CORRUPT: damaged (dir_repair.h), PGN_E_CONFLICT: a newer schema,
 * PGN_E_IO. An older schema is migrated, after a copy <path>.schema-<n> was made.
 */
int sto_dir_open(const char *path, struct sto_people *people, struct sto_dir **ret_dir, struct pgn_buf *ret_problem,
                 struct pgn_buf *notes) PGN_MUST_USE;
void sto_dir_close(struct sto_dir **dir);
int sto_dir_sync_off(struct sto_dir *dir) PGN_MUST_USE;      /* a planted fault: commits are not synced */
void sto_dir_bind(struct sto_dir *dir, struct sto_log *log); /* for groups of sessions and rights on files */

int sto_dir_begin(struct sto_dir *dir) PGN_MUST_USE;
int sto_dir_request(struct sto_dir *dir, const Pigeon__DirRequest *request, struct pgn_arena *arena, Pigeon__Reply *ret,
                    struct sto_effects *effects);
int sto_dir_session(struct sto_dir *dir, const Pigeon__SessionRequest *request, struct pgn_arena *arena, Pigeon__Reply *ret,
                    struct sto_effects *effects);
/* get, put and remove; release is no request to the directory. */
int sto_dir_mqtt(struct sto_dir *dir, const Pigeon__MqttRequest *request, struct pgn_arena *arena, Pigeon__Reply *ret,
                 struct sto_effects *effects);
int sto_dir_end(struct sto_dir *dir) PGN_MUST_USE;
void sto_dir_abort(struct sto_dir *dir); /* instead of end: nothing of it was done */

int sto_dir_audit_verify(struct sto_dir *dir, uint64_t *ret_count, uint64_t *ret_bad) PGN_MUST_USE;
/* Any thread: a connection of its own. Copies the database, consistently, into a new file. */
int sto_dir_copy(const char *path, const char *to) PGN_MUST_USE;
void sto_dir_counts(struct sto_dir *dir, uint64_t *ret_users, uint64_t *ret_sessions); /* any thread */

#endif
