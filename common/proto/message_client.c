/* Client stub of the message service; see message_client.h. */
#include "common/proto/message_client.h"

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/id.h"
#include "common/proto/subjects.h"

#include <time.h>

enum { ASK_AGAIN_MS = 2000, PAUSE_MS = 20 };

/* Where the frame's operation keeps it; NULL: it has none. */
static char **client_id_of(const Pigeon__ClientFrame *f)
{
    switch ((int)f->op_case) {
    case PIGEON__CLIENT_FRAME__OP_SEND:
        return &f->send->client_id;
    case PIGEON__CLIENT_FRAME__OP_RECALL:
        return &f->recall->client_id;
    case PIGEON__CLIENT_FRAME__OP_EDIT:
        return &f->edit->client_id;
    case PIGEON__CLIENT_FRAME__OP_REACT:
        return &f->react->client_id;
    case PIGEON__CLIENT_FRAME__OP_CREATE:
        return &f->create->client_id;
    case PIGEON__CLIENT_FRAME__OP_INVITE:
        return &f->invite->client_id;
    case PIGEON__CLIENT_FRAME__OP_JOIN:
        return &f->join->client_id;
    case PIGEON__CLIENT_FRAME__OP_LEAVE:
        return &f->leave->client_id;
    case PIGEON__CLIENT_FRAME__OP_KICK:
        return &f->kick->client_id;
    case PIGEON__CLIENT_FRAME__OP_ROLE:
        return &f->role->client_id;
    case PIGEON__CLIENT_FRAME__OP_MUTE:
        return &f->mute->client_id;
    case PIGEON__CLIENT_FRAME__OP_UPDATE:
        return &f->update->client_id;
    default:
        return NULL;
    }
}

const char *pgn_message_client_id(const Pigeon__ClientFrame *frame)
{
    char **id = client_id_of(frame);
    return id ? *id : "";
}

void pgn_message_set_client_id(Pigeon__ClientFrame *frame, char *client_id)
{
    char **id = client_id_of(frame);
    if (id)
        *id = client_id;
}

void pgn_message_op(struct pgn_bus *bus, const Pigeon__OpRequest *request, uint64_t timeout_ms, struct pgn_arena *arena, pgn_rpc_done *done,
                    void *ctx)
{
    pgn_rpc_call(bus, PGN_SUBJ_OP, request, timeout_ms, PIGEON__REPLY__PAYLOAD_OK, arena, done, ctx);
}

int pgn_message_op_sync(struct pgn_bus_sync *bus, const char *user, const char *device, Pigeon__ClientFrame *frame, const char *client_id,
                        uint64_t timeout_ms, struct pgn_arena *arena, Pigeon__Ok **ret_ok, struct pgn_rpc_problem *problem)
{
    Pigeon__OpRequest request = PIGEON__OP_REQUEST__INIT;
    char random_id[PGN_ULID_LEN + 1];
    Pigeon__Reply *reply;
    if (!client_id && *pgn_message_client_id(frame))
        client_id = pgn_message_client_id(frame);
    if (!client_id)
        pgn_ulid(pgn_wall_ms(), random_id);
    request.user = pgn_arena_strdup(arena, user);
    request.device = pgn_arena_strdup(arena, device);
    request.frame = frame;
    request.client_id = pgn_arena_strdup(arena, client_id ? client_id : random_id);
    int e = pgn_rpc_call_sync(bus, PGN_SUBJ_OP, &request, timeout_ms, PIGEON__REPLY__PAYLOAD_OK, arena, &reply, problem);
    if (!e)
        *ret_ok = reply->ok;
    return e;
}

/* One try: the item's result, or a bus error. */
static int ask_once(struct pgn_bus_sync *bus, const struct pgn_buf *batch, uint64_t timeout_ms, struct pgn_arena *arena,
                    Pigeon__ItemResult **ret_result)
{
    struct pgn_buf in = {0};
    int e = pgn_bus_sync_request(bus, PGN_SUBJ_BATCH, batch->data, batch->len, timeout_ms, &in);
    if (!e) {
        Pigeon__BatchResult *r = PGN_PB_UNPACK(Pigeon__BatchResult, pigeon__batch_result, arena, in.data, in.len);
        if (!r || r->n_results != 1)
            e = PGN_E_INTERNAL;
        else
            *ret_result = r->results[0];
    }
    pgn_buf_release(&in);
    return e;
}

/* Nothing was stored, and it may go better soon. */
static bool try_again(int error)
{
    return error == PGN_E_STALE || error == PGN_E_UNAVAILABLE || error == PGN_E_NO_RESPONDERS || error == PGN_E_BUSY;
}

int pgn_message_item_sync(struct pgn_bus_sync *bus, Pigeon__BatchItem *item, uint64_t timeout_ms, struct pgn_arena *arena,
                          Pigeon__ItemResult **ret_result, struct pgn_rpc_problem *problem)
{
    Pigeon__Batch batch = PIGEON__BATCH__INIT;
    struct pgn_buf out = {0};
    uint64_t start = pgn_mono_ms(), passed = 0;
    bool doubt = false; /* somebody may have stored it */
    int e = 0;
    item->index = 1;
    batch.batch = 1;
    batch.n_items = 1;
    batch.items = &item;
    pgn_pb_pack(&batch, &out);
    while (passed < timeout_ms) {
        Pigeon__ItemResult *result = NULL;
        uint64_t left = timeout_ms - passed;
        e = ask_once(bus, &out, left < ASK_AGAIN_MS ? left : ASK_AGAIN_MS, arena, &result);
        if (!e && !result->error) {
            *ret_result = result;
            break;
        }
        if (!e && !try_again(result->error)) {
            /* A refusal after a lost answer says nothing about the first try. */
            e = doubt ? pgn_rpc_fail(problem, PGN_E_UNCERTAIN, NULL) : pgn_rpc_fail(problem, result->error, result->text);
            if (problem && !doubt)
                problem->retry_after_ms = result->retry_after_ms;
            break;
        }
        if (e == PGN_E_INTERNAL || e == PGN_E_TOO_LARGE) {
            pgn_rpc_fail(problem, e, NULL);
            break;
        }
        doubt |= e == PGN_E_TIMEOUT;
        e = pgn_rpc_fail(problem, doubt ? PGN_E_UNCERTAIN : PGN_E_UNAVAILABLE, NULL);
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_MS * 1000000L}, NULL);
        passed = pgn_mono_ms() - start;
    }
    pgn_buf_release(&out);
    return e;
}
