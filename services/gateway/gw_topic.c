/* Shared subscriptions; see gw_topic.h. */
#include "services/gateway/gw_topic.h"

#include "common/base/alloc.h"
#include "common/proto/subjects.h"
#include "services/gateway/gateway.h"
#include "services/gateway/gw_event.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST = 4 };

const char *gw_topic_id(const struct gw_topic *t)
{
    return strchr(t->subject, '.') + 1;
}

static struct gw_topic *make_topic(struct gateway *gw, const char *subject, bool presence)
{
    size_t len = strlen(subject) + 1;
    struct gw_topic *t = pgn_calloc(1, sizeof *t + len);
    t->gw = gw;
    t->presence = presence;
    memcpy(t->subject, subject, len);
    if (pgn_bus_subscribe(gw->bus, subject, NULL, gw_event_on_topic, t, &t->sub) != 0) {
        free(t);
        return NULL;
    }
    (void)pgn_map_put(gw->topics, t);
    gw_count(GW_M_SUBSCRIPTIONS, 1);
    return t;
}

struct gw_topic *gw_topic_get(struct gateway *gw, const char *prefix, const char *id, bool make)
{
    char subject[128];
    size_t prefix_len = strlen(prefix), id_len = strlen(id);
    if (prefix_len + id_len >= sizeof subject)
        return NULL;
    memcpy(subject, prefix, prefix_len);
    memcpy(subject + prefix_len, id, id_len + 1);
    struct gw_topic *t = pgn_map_get_str(gw->topics, subject);
    return t || !make ? t : make_topic(gw, subject, strcmp(prefix, PGN_SUBJ_PRESENCE) == 0);
}

static void free_unused(struct gw_topic *t)
{
    if (t->count || t->holds)
        return;
    (void)pgn_map_remove_str(t->gw->topics, t->subject);
    pgn_bus_unsubscribe(&t->sub);
    gw_count(GW_M_SUBSCRIPTIONS, -1);
    if (t->last)
        pgn_buf_release(t->last);
    free(t->last);
    free(t->members);
    free(t);
}

static struct gw_ref *find(const struct gw_topic *t, const struct gw_refs *refs)
{
    for (uint32_t i = 0; i < refs->count; i++)
        if (refs->refs[i].topic == t)
            return &refs->refs[i];
    return NULL;
}

bool gw_topic_has(const struct gw_topic *t, const struct gw_refs *refs)
{
    return find(t, refs) != NULL;
}

static uint32_t grown(uint32_t cap)
{
    return cap < FIRST ? FIRST : cap * 2;
}

void gw_topic_join(struct gw_topic *t, void *owner, struct gw_refs *refs, uint64_t first_seq)
{
    const struct gw_ref *there = find(t, refs);
    uint32_t first = first_seq < UINT32_MAX ? (uint32_t)first_seq : UINT32_MAX;
    if (there) {
        struct gw_member *m = &t->members[there->place];
        if (first > m->first_seq)
            m->first_seq = first;
        return;
    }
    if (t->count == t->cap) {
        t->cap = grown(t->cap);
        t->members = pgn_realloc(t->members, t->cap * sizeof *t->members);
    }
    if (refs->count == refs->cap) {
        refs->cap = refs->cap ? refs->cap * 2 : 1;
        refs->refs = pgn_realloc(refs->refs, refs->cap * sizeof *refs->refs);
    }
    t->members[t->count] = (struct gw_member){owner, refs, refs->count, first};
    refs->refs[refs->count++] = (struct gw_ref){t, t->count++};
}

/* Both lists are filled up from their ends. */
static void leave_at(struct gw_refs *refs, uint32_t i)
{
    struct gw_topic *t = refs->refs[i].topic;
    uint32_t place = refs->refs[i].place;
    struct gw_member *last = &t->members[--t->count];
    if (place != t->count) {
        t->members[place] = *last;
        last->refs->refs[last->place].place = place;
    }
    uint32_t end = --refs->count;
    if (i != end) {
        refs->refs[i] = refs->refs[end];
        refs->refs[i].topic->members[refs->refs[i].place].place = i;
    }
    free_unused(t);
}

void gw_topic_leave(struct gw_topic *t, struct gw_refs *refs)
{
    struct gw_ref *r = find(t, refs);
    if (r)
        leave_at(refs, (uint32_t)(r - refs->refs));
}

void gw_topic_leave_all(struct gw_refs *refs)
{
    while (refs->count)
        leave_at(refs, refs->count - 1);
    free(refs->refs);
    *refs = (struct gw_refs){0};
}

void gw_topic_hold(struct gw_topic *t)
{
    t->holds++;
}

void gw_topic_let_go(struct gw_topic *t)
{
    if (--t->holds == 0 && t->last) {
        pgn_buf_release(t->last);
        free(t->last);
        t->last = NULL;
    }
    free_unused(t);
}
