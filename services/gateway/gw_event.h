/*
 * From the bus to sockets: events of users, groups and presence; the store's announcements; losses. Loop's thread.
 */
#ifndef GW_EVENT_H
#define GW_EVENT_H

#include "services/gateway/gateway.h"

pgn_bus_handler gw_event_on_users;                   /* ctx: gateway */
pgn_bus_handler gw_event_on_topic;                   /* ctx: gw_topic */
int gw_event_start(struct gateway *gw) PGN_MUST_USE; /* follows PGN_SUBJ_STORE_UP */
void gw_event_stop(struct gateway *gw);

/* Something may have been lost for everybody: until their next sync, pings answer the newest commit number. */
void gw_event_loss(struct gateway *gw);
/* The same for one user's connections, but one (NULL: all). */
void gw_event_lost_for(const struct gw_user *u, const struct gw_conn *but);
/* What storage says of itself. Another epoch than before is a loss. */
void gw_event_store(struct gateway *gw, const char *epoch, uint64_t commit);

/* Sends the newest state that came while the topic was held, if any, to one connection. */
void gw_event_replay(const struct gw_topic *t, struct gw_conn *c);

#endif
