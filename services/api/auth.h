/* Accounts: registration, login, passwords, sessions. Handlers. */
#ifndef API_AUTH_H
#define API_AUTH_H

#include "services/api/call.h"

int api_register(struct api_call *call);
int api_login(struct api_call *call);
int api_logout(struct api_call *call);
int api_change_password(struct api_call *call);
int api_list_sessions(struct api_call *call);
int api_revoke_session(struct api_call *call);

#endif
