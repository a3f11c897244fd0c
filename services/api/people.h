/* Users as others, as they themselves and as administrators see them. */
#ifndef API_PEOPLE_H
#define API_PEOPLE_H

#include "services/api/call.h"

enum { API_NAME_CHARS = 64, API_ABOUT_CHARS = 512, API_NOTE_CHARS = 256, API_PAGE = 50, API_PAGE_MAX = 200, API_QUERY_CHARS = 64 };

/* Borrows user's strings. */
void api_me_of(const struct api_call *call, const Pigeon__User *user, Pigeon__ApiMe *ret_me);
/* PGN_E_INTERNAL when this query has no last user. The page's users from storage. */
int api_user_page(struct api_call *call, Pigeon__UserList **ret_list) PGN_MUST_USE;

/* Handlers. */
int api_get_me(struct api_call *call);
int api_patch_me(struct api_call *call);
int api_list_users(struct api_call *call);
int api_get_user(struct api_call *call);
int api_list_contacts(struct api_call *call);
int api_ask_contact(struct api_call *call);
int api_accept_contact(struct api_call *call);
int api_decline_contact(struct api_call *call);
int api_block_contact(struct api_call *call);
int api_unblock_contact(struct api_call *call);
int api_remove_contact(struct api_call *call);

#endif
