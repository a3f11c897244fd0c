/*
 * The other instances of presence: each tells what status it was given, and asks for all of theirs when it has been away.
 * Loop's thread.
 */
#ifndef SERVICES_PRESENCE_PRS_PEERS_H
#define SERVICES_PRESENCE_PRS_PEERS_H

#include "common/bus/bus.h"
#include "services/presence/prs_book.h"

struct prs_peers;

/* instance: this one's name, borrowed. */
struct prs_peers *prs_peers_new(struct pgn_bus *bus, struct prs_book *book, const char *instance);
void prs_peers_free(struct prs_peers **peers);
int prs_peers_subscribe(struct prs_peers *peers) PGN_MUST_USE;
void prs_peers_tell(struct prs_peers *peers, const struct prs_user *u); /* the status that was set here */
void prs_peers_ask(struct prs_peers *peers);                            /* after a loss: all that they know */

#endif
