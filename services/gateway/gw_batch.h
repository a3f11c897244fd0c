/*
 * Sends, recalls, edits, reactions and marks on their way to the message service, in batches per partition (gw_part.h), and
 * the answers on their way back. Loop's thread.
 */
#ifndef GW_BATCH_H
#define GW_BATCH_H

#include "services/gateway/gateway.h"

int gw_batch_start(struct gateway *gw) PGN_MUST_USE; /* subscribes the results */
void gw_batch_stop(struct gateway *gw);
/* Takes a checked operation of a session; answers overloaded itself. */
void gw_batch_take(struct gw_conn *c, const Pigeon__ClientFrame *frame);
/* The same for a user who may have no connection here; nobody is answered. */
void gw_batch_take_as(struct gateway *gw, char *user, char *device, const Pigeon__ClientFrame *frame);
void gw_batch_flush(struct gateway *gw); /* turn's end */
static inline bool gw_batch_idle(const struct gateway *gw)
{
    return gw->items_open == 0;
}

#endif
