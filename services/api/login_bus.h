/*
 * Logins that come over the bus (PGN_SUBJ_LOGIN): MQTT clients that give a password in CONNECT. The rules are those of POST /v1/login, but
 * that a password which must be changed first opens nothing. Loop: decoding, answering. Threads of its own, as a login blocks.
 * Overflow policy: WAITING_MAX logins, then they are answered `overloaded`.
 */
#ifndef API_LOGIN_BUS_H
#define API_LOGIN_BUS_H

#include "services/api/api.h"

struct api_login_bus;

int api_login_bus_new(struct api *api, struct pgn_svc *svc, struct api_login_bus **ret_logins) PGN_MUST_USE;
/* Answers those that wait with `unavailable`; waits for those that run. Loop. */
void api_login_bus_free(struct api_login_bus **logins);

#endif
