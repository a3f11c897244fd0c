/* What only administrators may: users, invitations, status, the audit log. Each change leaves an audit entry (storage writes it). Handlers.
 */
#ifndef API_ADMIN_H
#define API_ADMIN_H

#include "services/api/call.h"

int api_admin_list_users(struct api_call *call);
int api_admin_create_user(struct api_call *call);
int api_admin_patch_user(struct api_call *call);
int api_admin_list_invites(struct api_call *call);
int api_admin_create_invite(struct api_call *call);
int api_admin_delete_invite(struct api_call *call);
int api_admin_status(struct api_call *call);
int api_admin_audit(struct api_call *call);

#endif
