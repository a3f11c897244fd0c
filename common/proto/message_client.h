/*
 * Client stub of the message service. The user and device are those of an authenticated session; nothing that a client
 * said may stand there. Timeouts in ms. Errors: rpc.h.
 */
#ifndef PGN_PROTO_MESSAGE_CLIENT_H
#define PGN_PROTO_MESSAGE_CLIENT_H

#include "common/proto/rpc.h"

/* The idempotency key that the client gave to an operation that changes something; "" when it gave none, or there is none to give. */
const char *pgn_message_client_id(const Pigeon__ClientFrame *frame);
void pgn_message_set_client_id(Pigeon__ClientFrame *frame, char *client_id); /* borrowed by the frame */

/* Any operation but hello, ping, send, recall, edit, react and mark, which go in batches. Answered by Reply.ok. Loop's thread. */
void pgn_message_op(struct pgn_bus *bus, const Pigeon__OpRequest *request, uint64_t timeout_ms, struct pgn_arena *arena, pgn_rpc_done *done,
                    void *ctx);

/* The same, blocking. client_id: idempotency key of create, invite and so on; NULL for the frame's own, or a random one. */
int pgn_message_op_sync(struct pgn_bus_sync *bus, const char *user, const char *device, Pigeon__ClientFrame *frame, const char *client_id,
                        uint64_t timeout_ms, struct pgn_arena *arena, Pigeon__Ok **ret_ok, struct pgn_rpc_problem *problem) PGN_MUST_USE;

/*
 * One send, recall, edit, react or mark, blocking, as a batch of one. index is set here. Asks again under the same key
 * (STALE, lost answers, a restarting service) until timeout_ms; then PGN_E_UNCERTAIN, or PGN_E_UNAVAILABLE when nobody ever took it.
 * ret_result (error 0) lives in the arena.
 */
int pgn_message_item_sync(struct pgn_bus_sync *bus, Pigeon__BatchItem *item, uint64_t timeout_ms, struct pgn_arena *arena,
                          Pigeon__ItemResult **ret_result, struct pgn_rpc_problem *problem) PGN_MUST_USE;

#endif
