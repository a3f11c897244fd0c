/* Accounts: registration, login, passwords, sessions. Handlers. */
#ifndef API_AUTH_H
#define API_AUTH_H

#include "services/api/call.h"

int api_register(struct api_call *call);
int api_login(struct api_call *call);
/* What every way to log in checks: the form, lockout, the password (in equal time for all), disabled. Then the user. */
int api_login_prove(struct api_call *call, const char *user, const char *password, const char *device,
                    Pigeon__User **ret_user) PGN_MUST_USE;
int api_logout(struct api_call *call);
int api_change_password(struct api_call *call);
int api_list_sessions(struct api_call *call);
int api_revoke_session(struct api_call *call);

#endif
