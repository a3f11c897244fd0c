/*
 * Client stub of the presence service: who is online, own status. Loop's thread, or blocking. Errors: rpc.h.
 * query is answered by Reply.presence, one row a user asked for; status and stats by nothing but the error.
 */
#ifndef PGN_PROTO_PRESENCE_CLIENT_H
#define PGN_PROTO_PRESENCE_CLIENT_H

#include "common/proto/rpc.h"

void pgn_presence_query(struct pgn_bus *bus, char *const *users, size_t count, uint64_t timeout_ms, struct pgn_arena *arena,
                        pgn_rpc_done *done, void *ctx);
void pgn_presence_set_status(struct pgn_bus *bus, const char *user, const Pigeon__Status *status, uint64_t timeout_ms, pgn_rpc_done *done,
                             void *ctx);
int pgn_presence_query_sync(struct pgn_bus_sync *bus, char *const *users, size_t count, uint64_t timeout_ms, struct pgn_arena *arena,
                            Pigeon__PresenceList **ret_list, struct pgn_rpc_problem *problem) PGN_MUST_USE;

#endif
