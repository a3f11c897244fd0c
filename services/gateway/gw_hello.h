/*
 * Hello: tokens are checked by storage, those of one turn in one request. Also the re-checks of all sessions when a revocation
 * or a membership event may have been missed. Loop's thread.
 */
#ifndef GW_HELLO_H
#define GW_HELLO_H

#include "services/gateway/gateway.h"

/* A hello frame in state GW_HELLO (a token by another way in: also in GW_CHECK). */
void gw_hello_start(struct gw_conn *c, uint64_t id, const Pigeon__Hello *hello);
void gw_hello_flush(struct gateway *gw);     /* turn's end */
void gw_hello_check_all(struct gateway *gw); /* in the background, a few requests at a time, from the first slot on */
void gw_hello_check_one(struct gw_conn *c);  /* at the turn's end or later: its session, and its user's groups */
void gw_hello_probe(struct gateway *gw);     /* asks storage for nothing, until it answers: then the gateway is ready */

/* A token that storage knows: a session begins (state GW_CHECK), and is answered. Its user may have too many devices: refused. */
struct gw_hello_token {
    uint64_t id, cursor; /* of the hello frame */
    const uint8_t *hash; /* PGN_HASH_BYTES */
};
void gw_hello_accept(struct gw_conn *c, const struct gw_hello_token *token, const Pigeon__Session *s);

void gw_hello_init(struct gateway *gw);
void gw_hello_stop(struct gateway *gw);

#endif
