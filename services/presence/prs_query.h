/*
 * Requests to presence (PGN_SUBJ_PRS_QUERY): who is online, own status, figures. A query about users that are not in
 * memory waits for storage, at most 2 s; then they are answered as offline. Loop's thread.
 */
#ifndef SERVICES_PRESENCE_PRS_QUERY_H
#define SERVICES_PRESENCE_PRS_QUERY_H

#include "common/bus/bus.h"
#include "services/presence/prs_book.h"
#include "services/presence/prs_gateways.h"

enum { PRS_QUERY_USERS_MAX = 1000 };

struct prs_queries;

struct prs_queries *prs_queries_new(struct pgn_loop *loop, struct pgn_bus *bus, struct prs_book *book, struct prs_gateways *gateways);
void prs_queries_free(struct prs_queries **queries);
void prs_queries_request(struct prs_queries *queries, const struct pgn_bus_msg *msg);
void prs_queries_loaded(struct prs_queries *queries); /* the loader has brought some users */

#endif
