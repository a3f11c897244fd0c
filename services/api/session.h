/*
 * Sessions: from a bearer token to who asks. What storage says is kept for at most API_SESSION_KEEP_MS, so that a
 * revocation anywhere bites within that time; what this process revokes bites at once. Thread-safe.
 */
#ifndef API_SESSION_H
#define API_SESSION_H

#include "services/api/call.h"

enum { API_SESSION_KEEP_MS = 2000 };

struct api_sessions;
struct api_sessions *api_sessions_new(void);
void api_sessions_free(struct api_sessions **s);

/* Fills call->session from the Authorization header; PGN_E_UNAUTHENTICATED, or why storage did not answer. */
int api_session_find(struct api_call *call) PGN_MUST_USE;
/* Forgets all that is known of this user's sessions: after a change to them. */
void api_sessions_forget(struct api_sessions *s, const char *user);

/* A new session of user on device in storage. ret_session's texts live in the call's arena and user; its hash is not kept. */
int api_session_make(struct api_call *call, const Pigeon__User *user, const char *device, Pigeon__Session *ret_session,
                     char ret_token[PGN_TOKEN_LEN + 1]) PGN_MUST_USE;
/* The same on device ("": a new device, chosen here); answers with token and the user's own record. */
int api_session_open(struct api_call *call, const Pigeon__User *user, const char *device, int status) PGN_MUST_USE;

#endif
