/*
 * Last-seen times and status texts on their way to storage: gathered for 5 s, written many at once, again and again until
 * storage has them. Loop's thread.
 */
#ifndef SERVICES_PRESENCE_PRS_SEEN_H
#define SERVICES_PRESENCE_PRS_SEEN_H

#include "common/bus/bus.h"
#include "services/presence/prs_book.h"

struct prs_seen;

struct prs_seen *prs_seen_new(struct pgn_loop *loop, struct pgn_bus *bus);
void prs_seen_free(struct prs_seen **seen);                   /* before the book and the bus */
void prs_seen_add(struct prs_seen *seen, struct prs_user *u); /* it stays in memory until it is written */
/* Writes all now; done comes once, also when that failed, at once when there is nothing to write. */
void prs_seen_flush(struct prs_seen *seen, void (*done)(void *ctx), void *ctx);

#endif
