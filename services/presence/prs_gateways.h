/*
 * The gateways that report devices: numbered streams with heartbeats. A gap in the numbers, an unknown gateway in the
 * middle of its stream, or a loss on the bus: the gateway is asked for a snapshot. Silence for timeout_ms: its devices
 * are down. Not counted as silence: time in which this process stood still or NATS was away. Loop's thread.
 */
#ifndef SERVICES_PRESENCE_PRS_GATEWAYS_H
#define SERVICES_PRESENCE_PRS_GATEWAYS_H

#include "services/presence/prs_book.h"

struct prs_gateways;

/* instance NULL: all. */
typedef void prs_ask_snapshot(void *ctx, const char *instance);

struct prs_gateways *prs_gateways_new(struct pgn_loop *loop, struct prs_book *book, uint64_t timeout_ms, prs_ask_snapshot *ask, void *ctx);
void prs_gateways_free(struct prs_gateways **gateways);

void prs_gateways_events(struct prs_gateways *gateways, const Pigeon__PresenceEvents *events);
/* NATS is back, or messages were lost: all are asked, and their silence counts from now. */
void prs_gateways_resync(struct prs_gateways *gateways);
void prs_gateways_away(struct prs_gateways *gateways); /* NATS is away: no silence counts until prs_gateways_resync */
size_t prs_gateways_count(const struct prs_gateways *gateways);

#endif
