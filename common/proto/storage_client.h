/*
 * Client stub of the storage service: one function a request type for loop users, one for blocking users, and short forms
 * for what the api and the command line ask most. Errors: rpc.h; PGN_E_NOT_FOUND and so on are storage's own.
 *
 * What each request is answered with (Reply.payload; - : nothing but the error):
 *   conv:    policy -> policies; fetch, sync, members, receipts, info -> ok; routes, blocked_by -> strings
 *   session: check -> checked; list -> sessions; create, revoke -> -
 *   dir:     user_create, user_get, user_credentials, user_patch, register -> users (one); user_list -> users; users_import -> users
 * (total: created) contact_list -> contacts; contact -> -; invite_create, invite_use -> invites (one); invite_list -> invites;
 * invite_delete -> - file_get -> file; file_put, file_delete, seen, audit -> -; audit_list -> audit admin:   stats -> stats; backup,
 * restore -> backup; backup_list -> backups; fetch -> ok
 */
#ifndef PGN_PROTO_STORAGE_CLIENT_H
#define PGN_PROTO_STORAGE_CLIENT_H

#include "common/proto/rpc.h"

enum { PGN_STORAGE_TIMEOUT_MS = 10000 }; /* of the short forms */

/* Loop users. The payload that is expected follows from the table above. */
void pgn_storage_conv(struct pgn_bus *bus, const Pigeon__ConvRequest *request, uint64_t timeout_ms, struct pgn_arena *arena,
                      pgn_rpc_done *done, void *ctx);
void pgn_storage_session(struct pgn_bus *bus, const Pigeon__SessionRequest *request, uint64_t timeout_ms, struct pgn_arena *arena,
                         pgn_rpc_done *done, void *ctx);
void pgn_storage_dir(struct pgn_bus *bus, const Pigeon__DirRequest *request, uint64_t timeout_ms, struct pgn_arena *arena,
                     pgn_rpc_done *done, void *ctx);

/* Blocking users; ret_reply lives in the arena, problem may be NULL. */
int pgn_storage_session_sync(struct pgn_bus_sync *bus, const Pigeon__SessionRequest *request, uint64_t timeout_ms, struct pgn_arena *arena,
                             Pigeon__Reply **ret_reply, struct pgn_rpc_problem *problem) PGN_MUST_USE;
int pgn_storage_dir_sync(struct pgn_bus_sync *bus, const Pigeon__DirRequest *request, uint64_t timeout_ms, struct pgn_arena *arena,
                         Pigeon__Reply **ret_reply, struct pgn_rpc_problem *problem) PGN_MUST_USE;
int pgn_storage_admin_sync(struct pgn_bus_sync *bus, const Pigeon__AdminRequest *request, uint64_t timeout_ms, struct pgn_arena *arena,
                           Pigeon__Reply **ret_reply, struct pgn_rpc_problem *problem) PGN_MUST_USE;

/* Short forms, blocking. */
int pgn_storage_user_get(struct pgn_bus_sync *bus, const char *user, struct pgn_arena *arena, Pigeon__User **ret_user,
                         struct pgn_rpc_problem *problem) PGN_MUST_USE;
int pgn_storage_user_credentials(struct pgn_bus_sync *bus, const char *user, struct pgn_arena *arena, Pigeon__User **ret_user,
                                 struct pgn_rpc_problem *problem) PGN_MUST_USE;
int pgn_storage_user_create(struct pgn_bus_sync *bus, const char *actor, Pigeon__User *user, struct pgn_arena *arena,
                            struct pgn_rpc_problem *problem) PGN_MUST_USE;
/* fields: names of User's fields that are set, `count` of them. */
int pgn_storage_user_patch(struct pgn_bus_sync *bus, const char *actor, const char *user, Pigeon__User *values, char **fields, size_t count,
                           struct pgn_arena *arena, struct pgn_rpc_problem *problem) PGN_MUST_USE;
int pgn_storage_user_list(struct pgn_bus_sync *bus, const char *prefix, const char *after, uint32_t limit, struct pgn_arena *arena,
                          Pigeon__UserList **ret_list, struct pgn_rpc_problem *problem) PGN_MUST_USE;
int pgn_storage_users_import(struct pgn_bus_sync *bus, const char *actor, Pigeon__UserBatch *batch, struct pgn_arena *arena,
                             struct pgn_rpc_problem *problem) PGN_MUST_USE;
/* PGN_E_UNAUTHENTICATED when there is no such session. */
int pgn_storage_session_check(struct pgn_bus_sync *bus, const uint8_t hash[32], struct pgn_arena *arena, Pigeon__Session **ret_session,
                              struct pgn_rpc_problem *problem) PGN_MUST_USE;
int pgn_storage_session_create(struct pgn_bus_sync *bus, Pigeon__Session *session, struct pgn_arena *arena,
                               struct pgn_rpc_problem *problem) PGN_MUST_USE;
/* actor: for the audit log, when it is somebody else than the user; may be NULL. */
int pgn_storage_session_revoke(struct pgn_bus_sync *bus, const char *actor, Pigeon__SessionRevoke *revoke, struct pgn_arena *arena,
                               struct pgn_rpc_problem *problem) PGN_MUST_USE;
int pgn_storage_stats(struct pgn_bus_sync *bus, struct pgn_arena *arena, Pigeon__StoreStats **ret_stats,
                      struct pgn_rpc_problem *problem) PGN_MUST_USE;
int pgn_storage_audit(struct pgn_bus_sync *bus, const char *actor, const char *action, const char *object, const char *detail,
                      struct pgn_arena *arena, struct pgn_rpc_problem *problem) PGN_MUST_USE;

#endif
