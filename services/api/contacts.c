/* Contacts: the directory keeps them and knows which change is legal. */
#include "common/base/error.h"
#include "common/proto/storage_client.h"
#include "services/api/people.h"

#include <string.h>

int api_list_contacts(struct api_call *call)
{
    Pigeon__DirRequest request = PIGEON__DIR_REQUEST__INIT;
    Pigeon__UserName name = PIGEON__USER_NAME__INIT;
    Pigeon__ApiContacts answer = PIGEON__API_CONTACTS__INIT;
    Pigeon__Reply *reply;
    name.user = call->session.user;
    request.what_case = PIGEON__DIR_REQUEST__WHAT_CONTACT_LIST;
    request.contact_list = &name;
    int e = pgn_storage_dir_sync(call->api->bus, &request, PGN_STORAGE_TIMEOUT_MS, call->arena, &reply, &call->problem);
    if (e)
        return api_read_error(call, e);
    answer.n_contacts = reply->contacts->n_contacts;
    answer.contacts = reply->contacts->contacts;
    return api_answer(call, 200, &answer);
}

static int change(struct api_call *call, const char *other, const char *action, const char *note, int status)
{
    Pigeon__DirRequest request = PIGEON__DIR_REQUEST__INIT;
    Pigeon__ContactChange change = PIGEON__CONTACT_CHANGE__INIT;
    Pigeon__Reply *reply;
    if (!strcmp(other, call->session.user))
        return api_fail_field(call, "user", "that is you");
    change.user = call->session.user;
    change.other = api_strdup(call, other);
    change.action = api_strdup(call, action);
    change.note = api_strdup(call, note);
    request.what_case = PIGEON__DIR_REQUEST__WHAT_CONTACT;
    request.contact = &change;
    int e = pgn_storage_dir_sync(call->api->bus, &request, PGN_STORAGE_TIMEOUT_MS, call->arena, &reply, &call->problem);
    return e ? e : api_answer_empty(call, status);
}

int api_ask_contact(struct api_call *call)
{
    Pigeon__ApiContactAsk *body;
    int e = API_BODY(call, Pigeon__ApiContactAsk, pigeon__api_contact_ask, &body);
    if (e || (e = api_check_user(call, "user", body->user)) || (e = api_check_text(call, "note", body->note, API_NOTE_CHARS, true)))
        return e;
    return change(call, body->user, "request", body->note, 201);
}

int api_accept_contact(struct api_call *call)
{
    return change(call, call->param[0], "accept", NULL, 204);
}

int api_decline_contact(struct api_call *call)
{
    return change(call, call->param[0], "decline", NULL, 204);
}

int api_block_contact(struct api_call *call)
{
    return change(call, call->param[0], "block", NULL, 204);
}

int api_unblock_contact(struct api_call *call)
{
    return change(call, call->param[0], "unblock", NULL, 204);
}

int api_remove_contact(struct api_call *call)
{
    return change(call, call->param[0], "remove", NULL, 204);
}
