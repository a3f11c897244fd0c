/* Calls between services; see rpc.h. */
#include "common/proto/rpc.h"

#include "common/base/clock.h"
#include "common/base/error.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ARENA_CHUNK = 4096, RETRY_PAUSE_MS = 50 };

struct call {
    pgn_rpc_done *done;
    void *ctx;
    struct pgn_arena *arena;
    Pigeon__Reply__PayloadCase payload;
};

static const char *text_of(int error, const char *text)
{
    return text && *text ? text : pgn_error_info(error)->text;
}

/* Decodes an answer; a malformed or unexpected one is a fault of ours. */
static struct pgn_rpc_result decode(const void *data, size_t len, Pigeon__Reply__PayloadCase payload, struct pgn_arena *arena)
{
    struct pgn_rpc_result r = {.error = PGN_E_INTERNAL, .text = "malformed answer"};
    Pigeon__Reply *reply = PGN_PB_UNPACK(Pigeon__Reply, pigeon__reply, arena, data, len);
    if (!reply)
        return r;
    r.retry_after_ms = reply->retry_after_ms;
    if (reply->error) {
        r.error = reply->error < 0 ? reply->error : PGN_E_INTERNAL;
        r.text = text_of(r.error, reply->text);
        return r;
    }
    if (payload != PIGEON__REPLY__PAYLOAD__NOT_SET && reply->payload_case != payload) {
        r.text = "an answer of another kind than asked for";
        return r;
    }
    r.error = 0;
    r.text = "";
    r.reply = reply;
    return r;
}

static void on_answer(void *ctx, int error, const struct pgn_bus_msg *msg)
{
    struct call *call = ctx;
    struct pgn_arena *own = call->arena ? NULL : pgn_arena_new(ARENA_CHUNK);
    struct pgn_rpc_result r = {.error = error, .text = text_of(error, NULL)};
    if (!error)
        r = decode(msg->data, msg->len, call->payload, call->arena ? call->arena : own);
    call->done(call->ctx, &r);
    pgn_arena_free(&own);
    free(call);
}

void pgn_rpc_call(struct pgn_bus *bus, const char *subject, const void *request, uint64_t timeout_ms, Pigeon__Reply__PayloadCase payload,
                  struct pgn_arena *arena, pgn_rpc_done *done, void *ctx)
{
    struct call *call = pgn_malloc(sizeof *call);
    *call = (struct call){done, ctx, arena, payload};
    struct pgn_buf buf = {0};
    pgn_pb_pack(request, &buf);
    pgn_bus_request(bus, subject, buf.data, buf.len, timeout_ms, on_answer, call);
    pgn_buf_release(&buf);
}

int pgn_rpc_fail(struct pgn_rpc_problem *problem, int error, const char *text)
{
    if (problem) {
        const char *t = text_of(error, text);
        size_t n = strnlen(t, sizeof problem->text - 1);
        memcpy(problem->text, t, n);
        problem->text[n] = 0;
        problem->retry_after_ms = 0;
    }
    return error;
}

int pgn_rpc_call_sync(struct pgn_bus_sync *bus, const char *subject, const void *request, uint64_t timeout_ms,
                      Pigeon__Reply__PayloadCase payload, struct pgn_arena *arena, Pigeon__Reply **ret_reply,
                      struct pgn_rpc_problem *problem)
{
    struct pgn_buf out = {0}, in = {0};
    uint64_t end = pgn_mono_ms() + timeout_ms;
    int e;
    pgn_pb_pack(request, &out);
    for (;;) {
        uint64_t now = pgn_mono_ms();
        e = pgn_bus_sync_request(bus, subject, out.data, out.len, now < end ? end - now : 1, &in);
        if (e != PGN_E_NO_RESPONDERS || pgn_mono_ms() + RETRY_PAUSE_MS >= end)
            break;
        nanosleep(&(struct timespec){.tv_nsec = RETRY_PAUSE_MS * 1000000L}, NULL);
    }
    if (e) {
        pgn_rpc_fail(problem, e, NULL);
    } else {
        struct pgn_rpc_result r = decode(in.data, in.len, payload, arena);
        if (r.error) {
            e = pgn_rpc_fail(problem, r.error, r.text);
            if (problem)
                problem->retry_after_ms = r.retry_after_ms;
        } else {
            *ret_reply = r.reply;
        }
    }
    pgn_buf_release(&out);
    pgn_buf_release(&in);
    return e;
}

void pgn_rpc_pack_error(struct pgn_buf *out, int error, const char *text, uint64_t retry_after_ms)
{
    Pigeon__Reply reply = PIGEON__REPLY__INIT;
    struct pgn_rpc_problem p;
    pgn_rpc_fail(&p, error, text);
    reply.error = error;
    reply.text = p.text;
    reply.retry_after_ms = retry_after_ms;
    pgn_pb_pack(&reply, out);
}
