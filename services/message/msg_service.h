/* What main gives to the skeleton (common/svc/svc.h). */
#ifndef MSG_SERVICE_H
#define MSG_SERVICE_H

#include "common/svc/svc.h"

int msg_service_init(struct pgn_svc *svc);
void msg_service_drain(struct pgn_svc *svc);
void msg_service_fini(struct pgn_svc *svc);
void msg_service_bus_event(struct pgn_svc *svc, enum pgn_bus_event event);
void msg_service_load(struct pgn_svc *svc, uint64_t *ret_connections, uint32_t *ret_queue);

#endif
