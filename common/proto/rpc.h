/*
 * Calls between services: a protobuf request to a subject, answered by a Reply (internal.proto).
 *
 * pgn_rpc_call: for loop users (pgn_bus); its callback comes on the loop, exactly once, never before the call returns.
 * pgn_rpc_call_sync: for threads that may block (pgn_bus_sync); thread-safe.
 * Errors: 0; the Reply's own error; PGN_E_NO_RESPONDERS, PGN_E_TIMEOUT, PGN_E_UNAVAILABLE, PGN_E_TOO_LARGE of the bus;
 * PGN_E_INTERNAL for an answer that is malformed or of another kind than asked for.
 */
#ifndef PGN_PROTO_RPC_H
#define PGN_PROTO_RPC_H

#include "common/base/alloc.h"
#include "common/bus/bus.h"
#include "common/bus/bus_sync.h"
#include "common/proto/pb.h"

#include <stdint.h>

/* How a call ended. Borrowed for the callback, but what the reply points to lives in the caller's arena when one was given. */
struct pgn_rpc_result {
    int error;               /* 0 or PGN_E_* */
    const char *text;        /* for people; never NULL, the error table's when the answer had none */
    uint64_t retry_after_ms; /* 0: not said */
    Pigeon__Reply *reply;    /* not NULL when error is 0 */
};
typedef void pgn_rpc_done(void *ctx, const struct pgn_rpc_result *result);

/*
 * Packs the request before it returns. `payload` is the kind of answer that is expected (PIGEON__REPLY__PAYLOAD__NOT_SET: any).
 * arena NULL: the reply lives during the callback only; else it is decoded there, and the arena must outlive the call.
 */
void pgn_rpc_call(struct pgn_bus *bus, const char *subject, const void *request, uint64_t timeout_ms, Pigeon__Reply__PayloadCase payload,
                  struct pgn_arena *arena, pgn_rpc_done *done, void *ctx);

struct pgn_rpc_problem {
    char text[256]; /* for people; set whenever a call fails */
    uint64_t retry_after_ms;
};

/*
 * While nobody answers (PGN_E_NO_RESPONDERS: nothing was done) it tries again until timeout_ms has passed, so that a
 * restarting service is just slow. ret_reply lives in the arena. problem may be NULL.
 */
int pgn_rpc_call_sync(struct pgn_bus_sync *bus, const char *subject, const void *request, uint64_t timeout_ms,
                      Pigeon__Reply__PayloadCase payload, struct pgn_arena *arena, Pigeon__Reply **ret_reply,
                      struct pgn_rpc_problem *problem) PGN_MUST_USE;

/* Fills problem (may be NULL) from an error and an optional text, and returns the error. */
int pgn_rpc_fail(struct pgn_rpc_problem *problem, int error, const char *text);

/* For the answering side: packs a Reply that says error and text (NULL: the table's) into out. */
void pgn_rpc_pack_error(struct pgn_buf *out, int error, const char *text, uint64_t retry_after_ms);

#endif
