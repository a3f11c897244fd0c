/* Sending and marking: batches of one item, so that rules, order and idempotency are those of every other sender. */
#include "common/base/error.h"
#include "common/proto/message_client.h"
#include "services/api/convs.h"
#include "services/api/limit.h"

enum { ITEM_TIMEOUT_MS = 12000, MENTIONS_MAX = 100 };

static int check_send(struct api_call *call, const Pigeon__ApiMessage *body)
{
    if (!body->client_id || !pgn_client_id_valid(body->client_id))
        return api_fail_field(call, "client_id", "1 to 64 printable characters without space");
    if (!body->body)
        return api_fail_field(call, "body", "missing");
    if (body->body->operation)
        return api_fail_field(call, "body.operation", "written by the server only");
    if (body->has_kind && (body->kind == PIGEON__KIND__kind_unset || body->kind == PIGEON__KIND__operation))
        return api_fail_field(call, "kind", "not one that can be sent");
    if (body->n_mentions > MENTIONS_MAX)
        return api_fail_field(call, "mentions", "at most 100");
    for (size_t i = 0; i < body->n_mentions; i++)
        if (!pgn_user_valid(body->mentions[i]))
            return api_fail_field(call, "mentions", "not a user id");
    return 0;
}

static int send_to(struct api_call *call, Pigeon__Target *target)
{
    Pigeon__BatchItem item = PIGEON__BATCH_ITEM__INIT;
    Pigeon__Send send = PIGEON__SEND__INIT;
    Pigeon__ApiMessage *body;
    Pigeon__ItemResult *result;
    int e = API_BODY(call, Pigeon__ApiMessage, pigeon__api_message, &body);
    if (e || (e = check_send(call, body)) || (e = api_limit(call, API_LIMIT_MESSAGES, call->session.user)))
        return e;
    send.to = target;
    send.client_id = body->client_id;
    send.kind = body->has_kind ? body->kind : PIGEON__KIND__text;
    send.body = body->body;
    send.reply_to = body->has_reply_to ? body->reply_to : 0;
    send.n_mentions = body->n_mentions;
    send.mentions = body->mentions;
    item.user = call->session.user;
    item.device = call->session.device;
    item.what_case = PIGEON__BATCH_ITEM__WHAT_SEND;
    item.send = &send;
    e = pgn_message_item_sync(call->api->bus, &item, ITEM_TIMEOUT_MS, call->arena, &result, &call->problem);
    if (e)
        return e;
    if (!result->sent)
        return api_fail(call, PGN_E_INTERNAL, "a committed message without its number");
    api_count(API_MESSAGES_SENT);
    return api_answer(call, 201, result->sent);
}

int api_send_to_conv(struct api_call *call)
{
    Pigeon__Target target = PIGEON__TARGET__INIT;
    target.to_case = PIGEON__TARGET__TO_CONV;
    target.conv = api_strdup(call, call->param[0]);
    return send_to(call, &target);
}

int api_send_to_user(struct api_call *call)
{
    Pigeon__Target target = PIGEON__TARGET__INIT;
    target.to_case = PIGEON__TARGET__TO_USER;
    target.user = api_strdup(call, call->param[0]);
    return send_to(call, &target);
}

int api_mark_conv(struct api_call *call)
{
    Pigeon__BatchItem item = PIGEON__BATCH_ITEM__INIT;
    Pigeon__Mark mark = PIGEON__MARK__INIT;
    Pigeon__ApiMark *body;
    Pigeon__ItemResult *result;
    int e = API_BODY(call, Pigeon__ApiMark, pigeon__api_mark, &body);
    if (e)
        return e;
    mark.conv = api_strdup(call, call->param[0]);
    mark.read = body->has_read ? body->read : 0;
    mark.delivered = body->has_delivered ? body->delivered : 0;
    item.user = call->session.user;
    item.device = call->session.device;
    item.what_case = PIGEON__BATCH_ITEM__WHAT_MARK;
    item.mark = &mark;
    e = pgn_message_item_sync(call->api->bus, &item, ITEM_TIMEOUT_MS, call->arena, &result, &call->problem);
    return e ? e : api_answer_empty(call, 204);
}
