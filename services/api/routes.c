/* The routes of the REST API, as docs/openapi.yaml has them (a test compares the two). */
#include "services/api/admin.h"
#include "services/api/auth.h"
#include "services/api/convs.h"
#include "services/api/files.h"
#include "services/api/people.h"
#include "services/api/router.h"

#include "common/base/error.h"

static int get_info(struct api_call *call)
{
    const struct pgn_config *config = call->api->config;
    Pigeon__ApiInfo answer = PIGEON__API_INFO__INIT;
    answer.name = api_strdup(call, config->node_name);
    answer.version = api_strdup(call, PGN_VERSION);
    answer.registration = api_strdup(call, config->api_registration);
    answer.max_file_bytes = (uint64_t)config->limits_file_bytes;
    return api_answer(call, 200, &answer);
}

static int get_health(struct api_call *call)
{
    return api_answer_text(call, 200, "ok\n");
}

static int get_ready(struct api_call *call)
{
    bool ready = atomic_load(&call->api->ready);
    return api_answer_text(call, ready ? 200 : 503, ready ? "ready\n" : "not ready\n");
}

const struct api_route api_routes[] = {
    {"GET", "/healthz", API_ANYONE, get_health},
    {"GET", "/readyz", API_ANYONE, get_ready},
    {"GET", "/v1/info", API_ANYONE, get_info},
    {"POST", "/v1/register", API_ANYONE, api_register},
    {"POST", "/v1/login", API_ANYONE, api_login},
    {"POST", "/v1/logout", API_PENDING, api_logout},
    {"GET", "/v1/me", API_USER, api_get_me},
    {"PATCH", "/v1/me", API_USER, api_patch_me},
    {"POST", "/v1/me/password", API_PENDING, api_change_password},
    {"GET", "/v1/me/sessions", API_USER, api_list_sessions},
    {"DELETE", "/v1/me/sessions/{device}", API_USER, api_revoke_session},
    {"GET", "/v1/users", API_USER, api_list_users},
    {"GET", "/v1/users/{user}", API_USER, api_get_user},
    {"POST", "/v1/users/{user}/messages", API_USER, api_send_to_user},
    {"GET", "/v1/contacts", API_USER, api_list_contacts},
    {"POST", "/v1/contacts", API_USER, api_ask_contact},
    {"DELETE", "/v1/contacts/{user}", API_USER, api_remove_contact},
    {"POST", "/v1/contacts/{user}/accept", API_USER, api_accept_contact},
    {"POST", "/v1/contacts/{user}/decline", API_USER, api_decline_contact},
    {"POST", "/v1/contacts/{user}/block", API_USER, api_block_contact},
    {"POST", "/v1/contacts/{user}/unblock", API_USER, api_unblock_contact},
    {"GET", "/v1/convs", API_USER, api_sync_convs},
    {"POST", "/v1/convs", API_USER, api_create_conv},
    {"GET", "/v1/convs/{conv}", API_USER, api_get_conv},
    {"PATCH", "/v1/convs/{conv}", API_USER, api_patch_conv},
    {"GET", "/v1/convs/{conv}/members", API_USER, api_list_members},
    {"POST", "/v1/convs/{conv}/members", API_USER, api_invite_members},
    {"PATCH", "/v1/convs/{conv}/members/{user}", API_USER, api_patch_member},
    {"DELETE", "/v1/convs/{conv}/members/{user}", API_USER, api_remove_member},
    {"POST", "/v1/convs/{conv}/join", API_USER, api_join_conv},
    {"GET", "/v1/convs/{conv}/messages", API_USER, api_fetch_messages},
    {"POST", "/v1/convs/{conv}/messages", API_USER, api_send_to_conv},
    {"POST", "/v1/convs/{conv}/mark", API_USER, api_mark_conv},
    {"GET", "/v1/convs/{conv}/receipts", API_USER, api_receipts},
    {"POST", "/v1/files", API_USER, api_upload},
    {"GET", "/v1/files/{file_id}", API_USER, api_download},
    {"GET", "/v1/admin/users", API_ADMIN, api_admin_list_users},
    {"POST", "/v1/admin/users", API_ADMIN, api_admin_create_user},
    {"PATCH", "/v1/admin/users/{user}", API_ADMIN, api_admin_patch_user},
    {"GET", "/v1/admin/invites", API_ADMIN, api_admin_list_invites},
    {"POST", "/v1/admin/invites", API_ADMIN, api_admin_create_invite},
    {"DELETE", "/v1/admin/invites/{code}", API_ADMIN, api_admin_delete_invite},
    {"GET", "/v1/admin/status", API_ADMIN, api_admin_status},
    {"GET", "/v1/admin/audit", API_ADMIN, api_admin_audit},
};
const size_t api_routes_count = PGN_COUNT(api_routes);
