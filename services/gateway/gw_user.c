/* Users with sessions; see gw_user.h. */
#include "services/gateway/gw_user.h"

#include "common/base/alloc.h"
#include "common/base/error.h"
#include "common/proto/subjects.h"
#include "services/gateway/gw_conn.h"
#include "services/gateway/gw_event.h"
#include "services/gateway/gw_limits.h"

#include <stdlib.h>
#include <string.h>

struct gw_user *gw_user_find(const struct gateway *gw, const char *id)
{
    return pgn_map_get_str(gw->users, id);
}

/* One more user of a shared subject; false: the bus takes no subscription. */
static bool subject_enter(struct gateway *gw, const char *id)
{
    unsigned number = pgn_user_subject_number(id);
    struct gw_shared_subject *s = &gw->user_subjects[number];
    char subject[PGN_USER_SUBJECT_BYTES];
    pgn_user_subject(number, subject);
    if (!s->users) {
        if (pgn_bus_subscribe(gw->bus, subject, NULL, gw_event_on_users, gw, &s->sub) != 0)
            return false;
        gw_count(GW_M_SUBSCRIPTIONS, 1);
    }
    s->users++;
    return true;
}

static void subject_leave(struct gateway *gw, const char *id)
{
    struct gw_shared_subject *s = &gw->user_subjects[pgn_user_subject_number(id)];
    if (--s->users)
        return;
    pgn_bus_unsubscribe(&s->sub);
    gw_count(GW_M_SUBSCRIPTIONS, -1);
}

static struct gw_user *make_user(struct gateway *gw, const char *id)
{
    if (!subject_enter(gw, id))
        return NULL;
    struct gw_user *u = pgn_calloc(1, sizeof *u);
    u->gw = gw;
    memcpy(u->id, id, strlen(id) + 1);
    gw_limits_resume(u);
    (void)pgn_map_put(gw->users, u);
    gw_count(GW_M_USERS, 1);
    return u;
}

static void free_user(struct gw_user *u)
{
    (void)pgn_map_remove_str(u->gw->users, u->id);
    gw_limits_keep(u, pgn_loop_now_ms(u->gw->loop));
    subject_leave(u->gw, u->id);
    gw_topic_leave_all(&u->groups);
    gw_count(GW_M_USERS, -1);
    free(u);
}

struct gw_conn *gw_user_device(const struct gw_user *u, const char *device)
{
    for (struct gw_conn *c = u->conns; c; c = c->next_of_user)
        if (strcmp(c->device, device) == 0)
            return c;
    return NULL;
}

int gw_user_attach(struct gateway *gw, struct gw_conn *c, const char *id)
{
    if (!pgn_user_valid(id))
        return PGN_E_INTERNAL;
    struct gw_user *u = gw_user_find(gw, id);
    struct gw_conn *older = u ? gw_user_device(u, c->device) : NULL;
    if (u && !older && u->devices >= gw->config->limits_user_sockets)
        return PGN_E_RATE_LIMITED;
    if (!u && (u = make_user(gw, id)) == NULL)
        return PGN_E_UNAVAILABLE;
    c->user = u;
    c->next_of_user = u->conns;
    u->conns = c;
    u->devices++;
    if (older)
        gw_conn_replaced(older);
    return 0;
}

void gw_user_detach(struct gw_conn *c)
{
    struct gw_user *u = c->user;
    if (!u)
        return;
    struct gw_conn **at = &u->conns;
    while (*at != c)
        at = &(*at)->next_of_user;
    *at = c->next_of_user;
    c->next_of_user = NULL;
    c->user = NULL;
    if (--u->devices == 0)
        free_user(u);
}

void gw_user_join(struct gw_user *u, const char *conv, uint64_t first_seq)
{
    if (!pgn_conv_valid(conv) || pgn_conv_is_direct(conv))
        return;
    struct gw_topic *t = gw_topic_get(u->gw, PGN_SUBJ_CONV, conv, true);
    if (t)
        gw_topic_join(t, u, &u->groups, first_seq);
}

void gw_user_part(struct gw_user *u, const char *conv)
{
    struct gw_topic *t = gw_topic_get(u->gw, PGN_SUBJ_CONV, conv, false);
    if (t)
        gw_topic_leave(t, &u->groups);
}

bool gw_user_is_in(const struct gw_user *u, const char *conv)
{
    const struct gw_topic *t = gw_topic_get(u->gw, PGN_SUBJ_CONV, conv, false);
    return t && gw_topic_has(t, &u->groups);
}

static bool stands_in(const char *conv, char *const *convs, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(convs[i], conv) == 0)
            return true;
    return false;
}

bool gw_user_set_groups(struct gw_user *u, const Pigeon__Session *s)
{
    bool more = false;
    for (uint32_t i = u->groups.count; i-- > 0;)
        if (!stands_in(gw_topic_id(u->groups.refs[i].topic), s->groups, s->n_groups))
            gw_topic_leave(u->groups.refs[i].topic, &u->groups);
    for (size_t i = 0; i < s->n_groups; i++) {
        uint32_t before = u->groups.count;
        gw_user_join(u, s->groups[i], i < s->n_first_seqs ? s->first_seqs[i] : 0);
        more |= u->groups.count > before;
    }
    return more;
}
