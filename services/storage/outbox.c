#include "services/storage/outbox.h"

#include "common/base/alloc.h"
#include "common/base/error.h"
#include "common/base/fault.h"
#include "common/base/id.h"
#include "common/base/map.h"
#include "common/bus/bus.h"
#include "common/proto/subjects.h"
#include "common/svc/log.h"
#include "services/storage/metrics.h"
#include "services/storage/rows.h"

#include <stdlib.h>
#include <string.h>

enum { EVENTS_MAX_BYTES = 256 * 1024 };

struct pgn_buf *sto_outbox_add(struct sto_outbox *out, const char *subject, bool events)
{
    if (out->count == out->cap) {
        out->cap = out->cap ? out->cap * 2 : 64;
        out->messages = pgn_realloc(out->messages, out->cap * sizeof *out->messages);
    }
    struct sto_out_message *m = &out->messages[out->count++];
    *m = (struct sto_out_message){subject, {0}, events};
    return &m->data;
}

void sto_outbox_policies(struct sto_outbox *out, const struct sto_effects *effects, const char *epoch)
{
    Pigeon__PolicyChanged changed = PIGEON__POLICY_CHANGED__INIT;

    if (effects->policy_count == 0)
        return;
    changed.convs = effects->policies;
    changed.n_convs = effects->policy_count;
    changed.epoch = (char *)(uintptr_t)epoch;
    pgn_pb_pack(&changed, sto_outbox_add(out, PGN_SUBJ_POLICY, false));
}

/* Where the events of a subject go; by index, as the array of messages moves. SIZE_MAX: nowhere yet. */
struct open_subject {
    const char *subject;
    size_t message;
};
struct open_subjects {
    struct pgn_arena *arena;
    struct pgn_map *others; /* by subject */
    struct open_subject users[PGN_USER_SUBJECTS];
};

static const void *subject_key(const void *value, size_t *ret_len)
{
    const struct open_subject *s = value;

    *ret_len = strlen(s->subject);
    return s->subject;
}

static struct open_subject *users_subject(struct open_subjects *all, const char *user)
{
    struct open_subject *s = &all->users[pgn_user_subject_number(user)];

    if (!s->subject) {
        char *text = pgn_arena_alloc(all->arena, PGN_USER_SUBJECT_BYTES);
        pgn_user_subject((unsigned)(s - all->users), text);
        *s = (struct open_subject){text, SIZE_MAX};
    }
    return s;
}

static struct open_subject *other_subject(struct open_subjects *all, const char *subject)
{
    struct open_subject *s = pgn_map_get_str(all->others, subject);

    if (!s) {
        s = pgn_arena_alloc(all->arena, sizeof *s);
        *s = (struct open_subject){subject, SIZE_MAX};
        pgn_map_put(all->others, s);
    }
    return s;
}

enum { TOGETHER_MAX = 8 /* users of one event; more: another event */, EVENT_HEAD_BYTES = 8 + TOGETHER_MAX * (2 + PGN_USER_MAX) };

/* The user of an event that is for one; NULL: for a subject of the bus. */
static const char *user_of(const struct sto_event *e)
{
    return strncmp(e->subject, PGN_SUBJ_USER, sizeof PGN_SUBJ_USER - 1) == 0 ? e->subject + sizeof PGN_SUBJ_USER - 1 : NULL;
}

/* Whom the event at `from` is for, if those that follow are the same one for others of its subject (both sides of a direct conversation).
 */
static size_t users_together(const struct sto_effects *effects, size_t from, const char *users[TOGETHER_MAX])
{
    const struct sto_event *first = &effects->events[from];
    size_t count = 0;

    for (size_t i = from; i < effects->event_count && count < TOGETHER_MAX; i++) {
        const struct sto_event *e = &effects->events[i];
        const char *user = user_of(e);
        if (!user || e->data != first->data || (count && pgn_user_subject_number(user) != pgn_user_subject_number(users[0])))
            break;
        users[count++] = user;
    }
    return count;
}

/* Events.events (field 1). With its users (Event.users, field 11) in front, on a subject that users share: who holds none of them may stop
 * there. */
static void put_event(struct pgn_buf *out, const struct sto_event *e, const char *const *users, size_t count)
{
    size_t names = 0;

    for (size_t i = 0; i < count; i++)
        names += 1 + sto_varint_len(strlen(users[i])) + strlen(users[i]);
    pgn_buf_append_byte(out, 1 << 3 | 2);
    sto_put_varint(out, names + e->len);
    for (size_t i = 0; i < count; i++)
        sto_put_field(out, 11, sto_slice_of(users[i], strlen(users[i])));
    pgn_buf_append(out, e->data, e->len);
}

void sto_outbox_events(struct sto_outbox *out, const struct sto_effects *effects)
{
    struct open_subjects all = {.arena = effects->arena, .others = effects->event_count ? pgn_map_new(subject_key) : NULL};
    size_t open = 0; /* messages before this one take no more events */
    size_t bound = out->event_bytes && out->event_bytes < EVENTS_MAX_BYTES ? out->event_bytes : EVENTS_MAX_BYTES;

    for (size_t i = 0, step; i < effects->event_count; i += step) {
        const struct sto_event *e = &effects->events[i];
        const char *users[TOGETHER_MAX];
        size_t count = users_together(effects, i, users);
        struct open_subject *s = count ? users_subject(&all, users[0]) : other_subject(&all, e->subject);

        step = count ? count : 1;
        if (e->routes)
            open = out->count;
        if (s->message == SIZE_MAX || s->message < open || out->messages[s->message].data.len + e->len + EVENT_HEAD_BYTES > bound) {
            sto_outbox_add(out, s->subject, true);
            s->message = out->count - 1;
        }
        put_event(&out->messages[s->message].data, e, users, count);
    }
    pgn_map_free(&all.others);
}

/* Planted fault: the bus refuses each tenth event, as when too much waits for NATS. */
static int publish(struct pgn_bus *bus, const struct sto_out_message *m)
{
#ifdef PGN_TEST_FAULTS
    static int every = -1, events;
    const char *faults = getenv("PIGEON_FAULT");

    if (every < 0)
        every = faults && strstr(faults, "publish-refused") ? 10 : 0;
    if (m->events && every && ++events % every == 0)
        return PGN_E_OVERLOADED;
#endif
    return pgn_bus_publish(bus, m->subject, NULL, m->data.data, m->data.len);
}

bool sto_outbox_publish(struct sto_outbox *out, struct pgn_bus *bus, unsigned drop_every)
{
    static unsigned published;
    bool all = true;

    for (size_t i = 0; i < out->count; i++) {
        const struct sto_out_message *m = &out->messages[i];

        if (m->events && drop_every && ++published % drop_every == 0)
            continue;
        if (m->events)
            PGN_FAULT_POINT("before-publish");
        else
            PGN_FAULT_POINT("before-ack");
        int error = publish(bus, m);
        sto_count(STO_M_PUBLISHED, m->events ? 1 : 0);
        if (error) { /* a result that is lost is asked for again */
            all = all && !m->events;
            sto_count(STO_M_PUBLISH_FAILED, 1);
            pgn_log_limited(PGN_WARN, 10000, "publishing failed: %s", pgn_error_info(error)->text);
        }
    }
    return all;
}

void sto_outbox_release(struct sto_outbox *out)
{
    for (size_t i = 0; i < out->count; i++)
        pgn_buf_release(&out->messages[i].data);
    free(out->messages);
    *out = (struct sto_outbox){0};
}
