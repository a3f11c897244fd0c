#include "services/storage/effects.h"

#include "common/proto/subjects.h"

#include <string.h>

void sto_effects_init(struct sto_effects *e, struct pgn_arena *arena)
{
    memset(e, 0, sizeof *e);
    e->arena = arena;
}

/* A larger copy of an array in the arena; the old one goes with it. */
static void *grow(struct sto_effects *e, const void *old, size_t count, size_t *cap, size_t size)
{
    *cap = *cap ? *cap * 2 : 64;
    void *fresh = pgn_arena_alloc(e->arena, *cap * size);
    if (count)
        memcpy(fresh, old, count * size);
    return fresh;
}

void sto_effects_event(struct sto_effects *e, const char *subject, const uint8_t *data, size_t len)
{
    if (e->event_count == e->event_cap)
        e->events = grow(e, e->events, e->event_count, &e->event_cap, sizeof *e->events);
    e->events[e->event_count++] = (struct sto_event){subject, data, len, false};
}

const uint8_t *sto_effects_encode(struct sto_effects *e, const void *message, size_t *ret_len)
{
    *ret_len = protobuf_c_message_get_packed_size(message);
    uint8_t *data = pgn_arena_alloc(e->arena, *ret_len + 1);
    protobuf_c_message_pack(message, data);
    return data;
}

void sto_effects_user(struct sto_effects *e, const char *user, const Pigeon__Event *event)
{
    size_t len;
    const uint8_t *data = sto_effects_encode(e, event, &len);
    size_t prefix = strlen(PGN_SUBJ_USER), name = strlen(user);
    char *subject = pgn_arena_alloc(e->arena, prefix + name + 1);

    memcpy(subject, PGN_SUBJ_USER, prefix);
    memcpy(subject + prefix, user, name + 1);
    sto_effects_event(e, subject, data, len);
    e->events[e->event_count - 1].routes = event->what_case == PIGEON__EVENT__WHAT_MEMBERSHIP;
}

void sto_effects_policy(struct sto_effects *e, const char *conv, uint64_t version)
{
    Pigeon__Changed *c = pgn_arena_alloc(e->arena, sizeof *c);

    pigeon__changed__init(c);
    c->conv = pgn_arena_strdup(e->arena, conv);
    c->version = version;
    if (e->policy_count == e->policy_cap)
        e->policies = grow(e, e->policies, e->policy_count, &e->policy_cap, sizeof *e->policies);
    e->policies[e->policy_count++] = c;
}
