/*
 * A user with at least one session here: devices, groups, limits. Goes with the last session; what was taken of its rates stays behind
 * (gw_limits.h).
 */
#ifndef GW_USER_H
#define GW_USER_H

#include "common/base/id.h"
#include "common/base/token_bucket.h"
#include "services/gateway/gateway.h"
#include "services/gateway/gw_topic.h"

struct gw_user {
    struct gateway *gw;
    struct gw_conn *conns;
    struct gw_refs groups;
    struct pgn_token_bucket messages, ops;
    uint32_t routes_clock; /* counts Membership events: an answer about groups that is older does not undo them */
    uint16_t devices;
    char id[PGN_USER_MAX + 1];
};

struct gw_user *gw_user_find(const struct gateway *gw, const char *id);
struct gw_conn *gw_user_device(const struct gw_user *u, const char *device); /* NULL: not here */
/*
 * Makes the connection a session of this user, whom it may create: replaces an older one of the same device.
 * PGN_E_RATE_LIMITED when too many devices are online, PGN_E_UNAVAILABLE when the bus takes no subscription.
 */
int gw_user_attach(struct gateway *gw, struct gw_conn *c, const char *id) PGN_MUST_USE;
void gw_user_detach(struct gw_conn *c); /* harmless when it has no user; may free the user */

/* Follows the session's groups and no others. True: there are some that it did not follow before. */
bool gw_user_set_groups(struct gw_user *u, const Pigeon__Session *s);
/*
 * Follows a group. Storage may have answered before it published what it had committed until then: a message below first_seq, from
 * before the user was a member, can still come and is not pushed.
 */
void gw_user_join(struct gw_user *u, const char *conv, uint64_t first_seq);
bool gw_user_is_in(const struct gw_user *u, const char *conv);
void gw_user_part(struct gw_user *u, const char *conv);

#endif
