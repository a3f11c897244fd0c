/* Files (what is known of them; the bytes are the api's) and invitations. */
#include "common/base/error.h"
#include "common/base/random.h"
#include "services/storage/dir_internal.h"

#include <string.h>

enum { FILE_ID_MAX = 40, FILE_NAME_MAX_BYTES = 255, CODE_LEN = 12, CODE_MAX = 64 };

/* ---- files ---- */

int sto_dir_file_put(struct sto_asking *a, const Pigeon__FileMeta *in)
{
    Pigeon__User *owner;
    int error;

    if (!in->file_id[0] || strlen(in->file_id) > FILE_ID_MAX || strlen(in->name) > FILE_NAME_MAX_BYTES || strlen(in->mime) > 127 ||
        in->sha256.len > 64)
        return sto_ask_error(a, PGN_E_INVALID, "malformed file");
    if ((error = sto_user_get(a, in->owner, &owner, NULL)) != 0)
        return error;
    error = sto_sql_run(a->dir, STO_SQL_FILE_ADD, NULL, "sssisbi", in->file_id, in->owner, in->name, (int64_t)in->size, in->mime,
                        in->sha256.data, in->sha256.len, (int64_t)(in->created_at ? in->created_at : a->now_ms));
    if (error)
        return error == PGN_E_CONFLICT ? sto_ask_error(a, error, "this file is there already") : error;
    /* Only now: the repeat of an unanswered request is not too large because of itself. An error takes the row back. */
    if (in->quota && (in->size > in->quota || owner->file_bytes > in->quota - in->size))
        return sto_ask_error(a, PGN_E_TOO_LARGE, "your files together would be larger than allowed");
    return sto_sql_run(a->dir, STO_SQL_USER_BYTES, NULL, "si", in->owner, (int64_t)in->size);
}

static int file_get(struct sto_asking *a, const char *id, Pigeon__FileMeta *out, bool *ret_avatar)
{
    sqlite3_stmt *s = sto_sql_bind(a->dir, STO_SQL_FILE_GET, "s", id);
    bool row;
    int error = sto_sql_step(s, &row);

    if (error)
        return error;
    if (!row)
        return sto_ask_error(a, PGN_E_NOT_FOUND, "no such file");
    size_t len = (size_t)sqlite3_column_bytes(s, 5);
    out->file_id = sto_sql_text(a->arena, s, 0);
    out->owner = sto_sql_text(a->arena, s, 1);
    out->name = sto_sql_text(a->arena, s, 2);
    out->size = (uint64_t)sqlite3_column_int64(s, 3);
    out->mime = sto_sql_text(a->arena, s, 4);
    out->sha256 = (ProtobufCBinaryData){len, (uint8_t *)sto_arena_text(a->arena, sqlite3_column_blob(s, 5), len)};
    out->created_at = (uint64_t)sqlite3_column_int64(s, 6);
    *ret_avatar = strcmp((const char *)sqlite3_column_text(s, 7), out->file_id) == 0;
    sqlite3_reset(s);
    return 0;
}

/* user empty: the system asks. An owner's picture of himself is for everybody. */
int sto_dir_file_get(struct sto_asking *a, const Pigeon__FileRef *in)
{
    bool may = false;

    STO_NEW(a->arena, Pigeon__FileMeta, pigeon__file_meta, meta);
    int error = strlen(in->file_id) <= FILE_ID_MAX ? file_get(a, in->file_id, meta, &may) : PGN_E_NOT_FOUND;
    if (error)
        return error;
    may = may || !in->user[0] || strcmp(in->user, meta->owner) == 0;
    if (!may && pgn_user_valid(in->user) && (error = sto_log_file_readable(a->dir->log, in->file_id, meta->owner, in->user, &may)) != 0)
        return error;
    if (!may)
        return sto_ask_error(a, PGN_E_FORBIDDEN, "this file was not sent to you");
    a->reply->payload_case = PIGEON__REPLY__PAYLOAD_FILE;
    a->reply->file = meta;
    return 0;
}

int sto_dir_file_delete(struct sto_asking *a, const Pigeon__FileRef *in)
{
    bool avatar;

    STO_NEW(a->arena, Pigeon__FileMeta, pigeon__file_meta, meta);
    int error = file_get(a, in->file_id, meta, &avatar);
    if (error)
        return error;
    if (in->user[0] && strcmp(in->user, meta->owner) != 0)
        return sto_ask_error(a, PGN_E_FORBIDDEN, "somebody else's file");
    if ((error = sto_sql_run(a->dir, STO_SQL_FILE_DEL, NULL, "s", in->file_id)) != 0)
        return error;
    return sto_sql_run(a->dir, STO_SQL_USER_BYTES, NULL, "si", meta->owner, -(int64_t)meta->size);
}

/* ---- invitations ---- */

static Pigeon__Invitation *invite_of(struct sto_asking *a, sqlite3_stmt *s)
{
    STO_NEW(a->arena, Pigeon__Invitation, pigeon__invitation, i);
    i->code = sto_sql_text(a->arena, s, 0);
    i->created_by = sto_sql_text(a->arena, s, 1);
    i->created_at = (uint64_t)sqlite3_column_int64(s, 2);
    i->expires_at = (uint64_t)sqlite3_column_int64(s, 3);
    i->uses_left = (uint32_t)sqlite3_column_int64(s, 4);
    i->conv = sto_sql_text(a->arena, s, 5);
    return i;
}

static int reply_invite(struct sto_asking *a, const char *code)
{
    sqlite3_stmt *s = sto_sql_bind(a->dir, STO_SQL_INVITE_GET, "s", code);
    bool row;
    int error = sto_sql_step(s, &row);

    if (error || !row)
        return error ? error : PGN_E_NOT_FOUND;
    STO_NEW(a->arena, Pigeon__InviteList, pigeon__invite_list, list);
    list->invites = pgn_arena_alloc(a->arena, sizeof(Pigeon__Invitation *));
    list->invites[list->n_invites++] = invite_of(a, s);
    sqlite3_reset(s);
    a->reply->payload_case = PIGEON__REPLY__PAYLOAD_INVITES;
    a->reply->invites = list;
    return 0;
}

int sto_dir_invite_create(struct sto_asking *a, const Pigeon__Invitation *in)
{
    static const char letters[] = "abcdefghjkmnpqrstuvwxyz23456789"; /* none that look alike */
    char made[CODE_LEN + 1] = {0};
    const char *code = in->code;
    int error;

    if (strlen(code) > CODE_MAX || strlen(in->conv) > PGN_CONV_MAX)
        return sto_ask_error(a, PGN_E_INVALID, "malformed invitation");
    if (!code[0]) {
        for (int i = 0; i < CODE_LEN; i++)
            made[i] = letters[pgn_random_below(sizeof letters - 1)];
        code = made;
    }
    error = sto_sql_run(a->dir, STO_SQL_INVITE_ADD, NULL, "ssiiis", code, in->created_by[0] ? in->created_by : a->actor,
                        (int64_t)(in->created_at ? in->created_at : a->now_ms), (int64_t)in->expires_at,
                        (int64_t)(in->uses_left ? in->uses_left : 1), in->conv);
    if (error)
        return error == PGN_E_CONFLICT ? sto_ask_error(a, error, "this code is in use") : error;
    if ((error = sto_audit(a, "invite.create", "", "")) != 0)
        return error;
    return reply_invite(a, code);
}

int sto_dir_invite_use(struct sto_asking *a, const char *code)
{
    int changes = 0, error = sto_sql_run(a->dir, STO_SQL_INVITE_USE, &changes, "si", code, (int64_t)a->now_ms);

    if (error)
        return error;
    return changes ? reply_invite(a, code) : sto_ask_error(a, PGN_E_NOT_FOUND, "the invitation is unknown, used up or expired");
}

int sto_dir_invite_list(struct sto_asking *a)
{
    enum { INVITES_MAX = 1000 };
    sqlite3_stmt *s = sto_sql_bind(a->dir, STO_SQL_INVITE_LIST, "");
    bool row;
    int error;

    STO_NEW(a->arena, Pigeon__InviteList, pigeon__invite_list, list);
    list->invites = pgn_arena_alloc(a->arena, INVITES_MAX * sizeof(Pigeon__Invitation *));
    while ((error = sto_sql_step(s, &row)) == 0 && row)
        list->invites[list->n_invites++] = invite_of(a, s);
    a->reply->payload_case = PIGEON__REPLY__PAYLOAD_INVITES;
    a->reply->invites = list;
    return error;
}

int sto_dir_invite_delete(struct sto_asking *a, const char *code)
{
    int changes = 0, error = sto_sql_run(a->dir, STO_SQL_INVITE_DEL, &changes, "s", code);

    if (error)
        return error;
    return changes ? sto_audit(a, "invite.delete", "", "") : sto_ask_error(a, PGN_E_NOT_FOUND, "no such invitation");
}
