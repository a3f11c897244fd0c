/* Conversations and messages: each a request to the message service, which knows the rules. Handlers. */
#ifndef API_CONVS_H
#define API_CONVS_H

#include "services/api/call.h"

int api_sync_convs(struct api_call *call);
int api_create_conv(struct api_call *call);
int api_get_conv(struct api_call *call);
int api_patch_conv(struct api_call *call);
int api_list_members(struct api_call *call);
int api_invite_members(struct api_call *call);
int api_patch_member(struct api_call *call);
int api_remove_member(struct api_call *call);
int api_join_conv(struct api_call *call);
int api_fetch_messages(struct api_call *call);
int api_send_to_conv(struct api_call *call);
int api_send_to_user(struct api_call *call);
int api_mark_conv(struct api_call *call);
int api_receipts(struct api_call *call);

#endif
