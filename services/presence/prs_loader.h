/*
 * Asks storage for last-seen times and status of users that the book does not know, many in one request. Tries for ever,
 * with a pause; a user who is not there counts as loaded. Loop's thread.
 */
#ifndef SERVICES_PRESENCE_PRS_LOADER_H
#define SERVICES_PRESENCE_PRS_LOADER_H

#include "common/bus/bus.h"
#include "services/presence/prs_book.h"

struct prs_loader;

/* on_loaded is called after some users were loaded. */
struct prs_loader *prs_loader_new(struct pgn_loop *loop, struct pgn_bus *bus, struct prs_book *book, void (*on_loaded)(void *ctx),
                                  void *ctx);
void prs_loader_free(struct prs_loader **loader); /* before the book and the bus */
void prs_loader_add(struct prs_loader *loader, struct prs_user *u);

#endif
