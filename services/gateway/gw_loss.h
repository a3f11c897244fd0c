/*
 * What a client was to get and did not: a frame too many for its queue, messages that the bus dropped. It is told by the cursor of its next
 * ping, and mends it with a sync. Times are gateway.loss_clock's, which moves when something is lost that a sync asked for earlier does not
 * mend; it wraps, so all that is compared is kept near it. Loop's thread.
 */
#ifndef GW_LOSS_H
#define GW_LOSS_H

#include "services/gateway/gw_conn.h"

enum { GW_LOSS_FAR = 1 << 30 }; /* loss_all stays at most so far behind the clock */

uint32_t gw_loss_asked(struct gateway *gw);             /* a sync is asked for: the time, for gw_loss_mended */
void gw_loss_begin(struct gw_conn *c);                  /* a session begins: nothing is lost */
void gw_loss_own(struct gw_conn *c);                    /* something for this client alone was dropped */
void gw_loss_everybody(struct gateway *gw);             /* the bus dropped something */
void gw_loss_mended(struct gw_conn *c, uint32_t asked); /* a sync that was asked for then has told everything */
bool gw_loss_must_sync(const struct gw_conn *c);        /* something may have been lost since its last whole sync */

#endif
