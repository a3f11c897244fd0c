/*
 * Subscriptions on the bus that several of ours share: conv.<id> by the users that are in a group, presence.<id> by the connections
 * that watch. A topic lives as long as somebody is on it or holds it; its members know their place in it, so that leaving is O(1).
 */
#ifndef GW_TOPIC_H
#define GW_TOPIC_H

#include "common/base/compiler.h"
#include "common/proto/pb.h"

#include <stdbool.h>
#include <stdint.h>

struct gateway;
struct gw_topic;

/* The topics of one member. Zeroed: none. */
struct gw_refs {
    struct gw_ref {
        struct gw_topic *topic;
        uint32_t place; /* in topic->members */
    } * refs;
    uint32_t count, cap;
};

struct gw_member {
    void *owner;          /* a gw_user (group) or gw_conn (presence) */
    struct gw_refs *refs; /* of that owner */
    uint32_t place;       /* in refs */
    uint32_t first_seq;   /* of a group: messages below it are not for the owner */
};

struct gw_topic {
    struct gateway *gw;
    struct pgn_bus_sub *sub;
    struct gw_member *members;
    uint32_t count, cap;
    uint32_t holds;       /* watches that are being asked for: keep the subscription, remember the last event */
    struct pgn_buf *last; /* packed Event that came while held, or NULL */
    bool presence;
    char subject[]; /* whole: conv.<id>, presence.<id> */
};

/* The topic of a group or of a user's presence; NULL when there is none (and no subscription could be made). */
struct gw_topic *gw_topic_get(struct gateway *gw, const char *prefix, const char *id, bool make);
const char *gw_topic_id(const struct gw_topic *t);

bool gw_topic_has(const struct gw_topic *t, const struct gw_refs *refs);
/* When it is on it only first_seq may rise (it never falls: who comes back does not see what was while he was away). */
void gw_topic_join(struct gw_topic *t, void *owner, struct gw_refs *refs, uint64_t first_seq);
void gw_topic_leave(struct gw_topic *t, struct gw_refs *refs); /* harmless when it is not; may free t */
void gw_topic_leave_all(struct gw_refs *refs);                 /* frees the list as well */
void gw_topic_hold(struct gw_topic *t);
void gw_topic_let_go(struct gw_topic *t); /* may free t */

#endif
