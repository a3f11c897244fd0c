/*
 * Who is online, kept in Redis for a restart: the book in 256 pieces, each rewritten within a second after a change, and
 * every 80 s in any case (Redis may have been wiped). Without Redis nothing is missing but a fast restart.
 * Loop's thread; Redis is spoken to on a worker of its own.
 */
#ifndef SERVICES_PRESENCE_PRS_MIRROR_H
#define SERVICES_PRESENCE_PRS_MIRROR_H

#include "services/presence/prs_book.h"

struct prs_mirror;

struct prs_mirror_options {
    const char *host, *user, *password; /* password NULL: none */
    uint16_t port;
    uint64_t timeout_ms;
};

struct prs_mirror *prs_mirror_new(struct pgn_loop *loop, struct prs_book *book, const struct prs_mirror_options *options);
void prs_mirror_free(struct prs_mirror **mirror); /* waits for what is being written */
/* Reads everything back into the book; done comes once, never before this returns, with 0 or PGN_E_*. Then writing begins. */
void prs_mirror_restore(struct prs_mirror *mirror, void (*done)(void *ctx, int error), void *ctx);
void prs_mirror_changed(struct prs_mirror *mirror, const struct prs_user *u);
void prs_mirror_flush(struct prs_mirror *mirror); /* writes what has changed, now */

#endif
