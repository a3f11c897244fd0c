/*
 * Tells presence and the other gateways who is here: numbered events, those of 100 ms together, a heartbeat each second, everything when
 * presence asks. A device has one session in the whole cluster: who hears of a newer one elsewhere ends the older.
 */
#ifndef GW_PRESENCE_H
#define GW_PRESENCE_H

#include "services/gateway/gateway.h"

int gw_presence_start(struct gateway *gw) PGN_MUST_USE; /* follows PGN_SUBJ_GW_ALL and PGN_SUBJ_PRS_EVENTS */
void gw_presence_stop(struct gateway *gw);              /* says the last will */
/* This connection's device came or went; its user is set. */
void gw_presence_note(const struct gw_conn *c, bool up);

#endif
