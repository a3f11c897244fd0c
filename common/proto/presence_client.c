/* Client stub of the presence service; see presence_client.h. */
#include "common/proto/presence_client.h"

#include "common/proto/subjects.h"

#include <string.h>

/* protobuf-c has no const: the pointers are copied through memcpy and only read. */
static void set_query(Pigeon__PresenceRequest *request, Pigeon__Watch *watch, char *const *users, size_t count)
{
    watch->n_users = count;
    memcpy(&watch->users, &users, sizeof users);
    request->what_case = PIGEON__PRESENCE_REQUEST__WHAT_QUERY;
    request->query = watch;
}

void pgn_presence_query(struct pgn_bus *bus, char *const *users, size_t count, uint64_t timeout_ms, struct pgn_arena *arena,
                        pgn_rpc_done *done, void *ctx)
{
    Pigeon__PresenceRequest request = PIGEON__PRESENCE_REQUEST__INIT;
    Pigeon__Watch watch = PIGEON__WATCH__INIT;
    set_query(&request, &watch, users, count);
    pgn_rpc_call(bus, PGN_SUBJ_PRS_QUERY, &request, timeout_ms, PIGEON__REPLY__PAYLOAD_PRESENCE, arena, done, ctx);
}

void pgn_presence_set_status(struct pgn_bus *bus, const char *user, const Pigeon__Status *status, uint64_t timeout_ms, pgn_rpc_done *done,
                             void *ctx)
{
    Pigeon__PresenceRequest request = PIGEON__PRESENCE_REQUEST__INIT;
    Pigeon__SetStatus set = PIGEON__SET_STATUS__INIT;
    memcpy(&set.user, &user, sizeof user);
    memcpy(&set.status, &status, sizeof status);
    request.what_case = PIGEON__PRESENCE_REQUEST__WHAT_STATUS;
    request.status = &set;
    pgn_rpc_call(bus, PGN_SUBJ_PRS_QUERY, &request, timeout_ms, PIGEON__REPLY__PAYLOAD__NOT_SET, NULL, done, ctx);
}

int pgn_presence_query_sync(struct pgn_bus_sync *bus, char *const *users, size_t count, uint64_t timeout_ms, struct pgn_arena *arena,
                            Pigeon__PresenceList **ret_list, struct pgn_rpc_problem *problem)
{
    Pigeon__PresenceRequest request = PIGEON__PRESENCE_REQUEST__INIT;
    Pigeon__Watch watch = PIGEON__WATCH__INIT;
    Pigeon__Reply *reply;
    set_query(&request, &watch, users, count);
    int e = pgn_rpc_call_sync(bus, PGN_SUBJ_PRS_QUERY, &request, timeout_ms, PIGEON__REPLY__PAYLOAD_PRESENCE, arena, &reply, problem);
    if (!e)
        *ret_list = reply->presence;
    return e;
}
