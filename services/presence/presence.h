/*
 * pigeon-presence: who is online, told by the gateways, kept in memory, announced on presence.<user>.
 *
 *   prs_gateways  the gateways' numbered reports        prs_book    users and their states, what is announced when
 *   prs_query     questions, own status                 prs_loader  status and last-seen times from storage
 *   prs_peers     the other instances: statuses set at run time
 *   prs_seen      the same back to storage              prs_mirror  who is online, in Redis, for a restart
 *
 * Nothing here is the truth: everything is rebuilt from the gateways (devices) and storage (status, last seen).
 */
#ifndef SERVICES_PRESENCE_PRESENCE_H
#define SERVICES_PRESENCE_PRESENCE_H

#include "common/svc/svc.h"

int prs_init(struct pgn_svc *svc);
void prs_drain(struct pgn_svc *svc);
void prs_fini(struct pgn_svc *svc);
void prs_load(struct pgn_svc *svc, uint64_t *ret_connections, uint32_t *ret_queue);
void prs_bus_event(struct pgn_svc *svc, enum pgn_bus_event event);

#endif
