/*
 * What is to be published after something was stored: policies that changed, and events for subjects, in order.
 * Events are encoded once. Everything lives in the arena. Not thread-safe: made by one thread, handed on.
 */
#ifndef STO_EFFECTS_H
#define STO_EFFECTS_H

#include "common/base/alloc.h"
#include "common/proto/pb.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sto_event {
    const char *subject; /* as sto_effects_event is given it */
    const uint8_t *data; /* an encoded Event */
    size_t len;
    bool routes; /* a membership: what follows it in the commit must not reach a gateway before it */
};
struct sto_effects {
    struct pgn_arena *arena;
    struct sto_event *events;
    size_t event_count, event_cap;
    Pigeon__Changed **policies;
    size_t policy_count, policy_cap;
    size_t messages, dups; /* stored now; found to be retries */
    uint64_t commit;       /* the newest commit number of what was to be stored; 0: nothing was */
};

void sto_effects_init(struct sto_effects *e, struct pgn_arena *arena);
/* data must live as long as the arena. subject: PGN_SUBJ_USER + user id (the outbox finds the subject that users share), or a subject of
 * the bus. */
void sto_effects_event(struct sto_effects *e, const char *subject, const uint8_t *data, size_t len);
/* The same for an event that is not encoded yet, on PGN_SUBJ_USER + user. */
void sto_effects_user(struct sto_effects *e, const char *user, const Pigeon__Event *event);
void sto_effects_policy(struct sto_effects *e, const char *conv, uint64_t version);
const uint8_t *sto_effects_encode(struct sto_effects *e, const void *message, size_t *ret_len);

#endif
