/* The form of what clients ask; see msg_check.h. */
#include "services/message/msg_check.h"

#include "common/base/error.h"
#include "common/base/id.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

static int refuse(const char **ret_text, int error, const char *text)
{
    *ret_text = text;
    return error;
}
#define INVALID(text) refuse(ret_text, PGN_E_INVALID, text)

bool msg_file_id_valid(const char *id)
{
    size_t n = strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-");
    return n > 0 && n <= MSG_FILE_ID_MAX && id[n] == 0;
}

/* At most one part beside text, and it is the one that the kind says. */
static bool parts_fit(const Pigeon__Body *b, Pigeon__Kind kind)
{
    bool file = kind == PIGEON__KIND__file || kind == PIGEON__KIND__image || kind == PIGEON__KIND__audio || kind == PIGEON__KIND__video;
    return (b->file != NULL) == file && (b->location != NULL) == (kind == PIGEON__KIND__location) &&
           (b->card != NULL) == (kind == PIGEON__KIND__card) && (b->custom != NULL) == (kind == PIGEON__KIND__custom) &&
           (b->command != NULL) == (kind == PIGEON__KIND__command);
}

static int check_location(const Pigeon__Location *l, const char **ret_text)
{
    bool ok = isfinite(l->latitude) && isfinite(l->longitude) && fabs(l->latitude) <= 90 && fabs(l->longitude) <= 180;
    return ok ? 0 : INVALID("the location is not on earth");
}

static int check_card(const Pigeon__Card *c, const char **ret_text)
{
    if (*c->user && !pgn_user_valid(c->user))
        return INVALID("card.user is not a user id");
    if (*c->conv && !pgn_conv_valid(c->conv))
        return INVALID("card.conv is not a conversation id");
    return *c->user || *c->conv || *c->url ? 0 : INVALID("the card is empty");
}

int msg_check_body(const Pigeon__Body *body, Pigeon__Kind kind, size_t body_bytes, const char **ret_text)
{
    if (kind == PIGEON__KIND__operation || (body && body->operation))
        return INVALID("messages of kind operation are written by the server only");
    if (kind < PIGEON__KIND__kind_unset || kind > PIGEON__KIND__operation)
        return INVALID("unknown kind");
    if (!body)
        return INVALID("body is missing");
    if (protobuf_c_message_get_packed_size(&body->base) > body_bytes)
        return refuse(ret_text, PGN_E_TOO_LARGE, "the body is too large");
    if (!parts_fit(body, kind == PIGEON__KIND__kind_unset ? PIGEON__KIND__text : kind))
        return INVALID("the body's parts are not what its kind says");
    if ((kind == PIGEON__KIND__text || kind == PIGEON__KIND__kind_unset) && !*body->text)
        return INVALID("body.text is empty");
    if (body->file && (!msg_file_id_valid(body->file->file_id) || (*body->file->thumb_id && !msg_file_id_valid(body->file->thumb_id))))
        return INVALID("body.file.file_id is not the id of an uploaded file");
    if (body->command && !*body->command->name)
        return INVALID("body.command.name is empty");
    if (body->custom && !*body->custom->type)
        return INVALID("body.custom.type is empty");
    if (body->location)
        return check_location(body->location, ret_text);
    return body->card ? check_card(body->card, ret_text) : 0;
}

int msg_check_send(const Pigeon__Send *send, size_t body_bytes, const char **ret_text)
{
    if (!pgn_client_id_valid(send->client_id))
        return INVALID("client_id must be 1 to 64 printable characters without space");
    if (send->n_mentions > MSG_MENTIONS_MAX)
        return INVALID("more than 100 mentions");
    return msg_check_body(send->body, send->kind, body_bytes, ret_text);
}

int msg_check_edit(const Pigeon__Edit *edit, size_t body_bytes, const char **ret_text)
{
    if (edit->seq == 0)
        return INVALID("seq is missing");
    return msg_check_body(edit->body, PIGEON__KIND__text, body_bytes, ret_text);
}

int msg_check_react(const Pigeon__React *react, const char **ret_text)
{
    if (react->seq == 0)
        return INVALID("seq is missing");
    size_t len = strnlen(react->emoji, MSG_EMOJI_MAX + 1);
    if (len == 0 || len > MSG_EMOJI_MAX)
        return INVALID("emoji must be 1 to 32 bytes");
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)react->emoji[i] <= ' ' || react->emoji[i] == 0x7f)
            return INVALID("emoji holds a space or a control character");
    return 0;
}

static bool has_control(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            return true;
    return false;
}

int msg_check_title(const char *title, const char **ret_text)
{
    if (strnlen(title, MSG_TITLE_MAX + 1) > MSG_TITLE_MAX)
        return INVALID("the title is longer than 256 bytes");
    return has_control(title) ? INVALID("the title holds a control character") : 0;
}

int msg_check_settings(const Pigeon__Settings *s, const char **ret_text)
{
    if (!s)
        return 0;
    if (strnlen(s->about, MSG_ABOUT_MAX + 1) > MSG_ABOUT_MAX)
        return INVALID("settings.about is longer than 2048 bytes");
    if (*s->avatar && !msg_file_id_valid(s->avatar))
        return INVALID("settings.avatar is not the id of an uploaded file");
    return 0;
}

int msg_check_users(char *const *users, size_t count, size_t limit, const char **ret_text)
{
    if (count == 0)
        return INVALID("users is empty");
    if (count > limit)
        return refuse(ret_text, PGN_E_TOO_LARGE, "too many users");
    for (size_t i = 0; i < count; i++)
        if (!pgn_user_valid(users[i]))
            return INVALID("users holds what is not a user id");
    return 0;
}

int msg_check_status(const Pigeon__Status *status, const char **ret_text)
{
    if (strnlen(status->text, MSG_STATUS_MAX + 1) > MSG_STATUS_MAX)
        return INVALID("the status text is longer than 256 bytes");
    if (has_control(status->text))
        return INVALID("the status text holds a control character");
    if (status->state < PIGEON__STATE__state_unset || status->state > PIGEON__STATE__invisible)
        return INVALID("state must be online, away, busy or invisible");
    return 0;
}
