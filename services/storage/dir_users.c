/* Users. */
#include "common/base/error.h"
#include "services/storage/dir_internal.h"

#include <stdio.h>
#include <string.h>

enum { USERS_DEFAULT = 100, USERS_MAX = 1000, NAME_MAX_BYTES = 128, TEXT_MAX_BYTES = 1024 };

static Pigeon__User *user_of(struct sto_asking *a, sqlite3_stmt *s, bool credentials, uint64_t *ret_version)
{
    STO_NEW(a->arena, Pigeon__User, pigeon__user, u);
    u->user = sto_sql_text(a->arena, s, 0);
    u->name = sto_sql_text(a->arena, s, 1);
    if (credentials)
        u->password_hash = sto_sql_text(a->arena, s, 2);
    u->admin = sqlite3_column_int(s, 3);
    u->disabled = sqlite3_column_int(s, 4);
    u->must_change_password = sqlite3_column_int(s, 5);
    u->created_at = (uint64_t)sqlite3_column_int64(s, 6);
    u->last_seen = (uint64_t)sqlite3_column_int64(s, 7);
    u->avatar = sto_sql_text(a->arena, s, 8);
    u->about = sto_sql_text(a->arena, s, 9);
    u->status_text = sto_sql_text(a->arena, s, 10);
    u->status_state = (Pigeon__State)sqlite3_column_int(s, 11);
    u->file_bytes = (uint64_t)sqlite3_column_int64(s, 12);
    u->lang = sto_sql_text(a->arena, s, 13);
    if (ret_version)
        *ret_version = (uint64_t)sqlite3_column_int64(s, 14);
    return u;
}

static void reply_users(struct sto_asking *a, Pigeon__User **users, size_t count, uint64_t total)
{
    STO_NEW(a->arena, Pigeon__UserList, pigeon__user_list, list);
    list->users = users;
    list->n_users = count;
    list->total = total;
    a->reply->payload_case = PIGEON__REPLY__PAYLOAD_USERS;
    a->reply->users = list;
}

static void reply_user(struct sto_asking *a, Pigeon__User *user)
{
    Pigeon__User **one = pgn_arena_alloc(a->arena, sizeof(Pigeon__User *));

    one[0] = user;
    reply_users(a, one, 1, 1);
}

int sto_user_get(struct sto_asking *a, const char *user, Pigeon__User **ret_user, uint64_t *ret_version)
{
    sqlite3_stmt *s = sto_sql_bind(a->dir, STO_SQL_USER_GET, "s", user);
    bool row;
    int error = sto_sql_step(s, &row);

    if (error)
        return error;
    if (!row) {
        sto_ask_error(a, PGN_E_NOT_FOUND, "no such user");
        return PGN_E_NOT_FOUND;
    }
    *ret_user = user_of(a, s, true, ret_version);
    sqlite3_reset(s);
    return 0;
}

/* ---- making ---- */

static int user_check(struct sto_asking *a, const Pigeon__User *in)
{
    if (!pgn_user_valid(in->user) || strcmp(in->user, "all") == 0)
        return sto_ask_error(a, PGN_E_INVALID, "a user id is 1 to 32 of a-z 0-9 _ -, begins with a letter or digit, and is not `all`");
    if (strlen(in->name) > NAME_MAX_BYTES || strlen(in->about) > TEXT_MAX_BYTES || strlen(in->avatar) > 64 || strlen(in->lang) > 16 ||
        strlen(in->password_hash) > 512 || strlen(in->status_text) > TEXT_MAX_BYTES)
        return sto_ask_error(a, PGN_E_TOO_LARGE, "a text of the user is too long");
    return 0;
}

/* ret_created: whether it was not there before. */
static int user_add(struct sto_asking *a, const Pigeon__User *in, enum sto_sql how, int *ret_created)
{
    int error = user_check(a, in);

    if (error)
        return error;
    uint64_t created_at = in->created_at ? in->created_at : a->now_ms;
    error = sto_sql_run(a->dir, how, ret_created, "sssiiiisss", in->user, in->name[0] ? in->name : in->user, in->password_hash,
                        (int64_t)in->admin, (int64_t)in->disabled, (int64_t)in->must_change_password, (int64_t)created_at, in->avatar,
                        in->about, in->lang);
    if (error == PGN_E_CONFLICT)
        return sto_ask_error(a, error, "there is a user of this id already");
    if (!error && *ret_created)
        sto_dir_people_change(a->dir, in->user, "", false);
    return error;
}

int sto_dir_user_create(struct sto_asking *a, const Pigeon__User *in, const char *action)
{
    Pigeon__User *user;
    int created, error = user_add(a, in, STO_SQL_USER_ADD, &created);

    if (!error)
        error = sto_audit(a, action, in->user, in->admin ? "administrator" : "");
    if (!error)
        error = sto_user_get(a, in->user, &user, NULL);
    if (error)
        return error;
    user->password_hash = sto_chars("");
    reply_user(a, user);
    return 0;
}

int sto_dir_users_import(struct sto_asking *a, const Pigeon__UserBatch *in)
{
    uint64_t total = 0;
    char detail[64];
    int error = 0;

    for (size_t i = 0; !error && i < in->n_users; i++) {
        int created = 0;

        error = user_add(a, in->users[i], STO_SQL_USER_ADD_NEW, &created);
        total += (uint64_t)created;
    }
    for (size_t i = 0; !error && i < in->n_sessions; i++)
        error = sto_session_add(a, in->sessions[i]);
    if (error)
        return error;
    snprintf(detail, sizeof detail, "%llu new of %zu, %zu sessions", (unsigned long long)total, in->n_users, in->n_sessions);
    reply_users(a, NULL, 0, total);
    return sto_audit(a, "user.import", "", detail);
}

/* ---- asking ---- */

int sto_dir_user_get(struct sto_asking *a, const char *user, bool credentials)
{
    Pigeon__User *found;
    int error = sto_user_get(a, user, &found, NULL);

    if (error)
        return error;
    if (!credentials)
        found->password_hash = sto_chars("");
    reply_user(a, found);
    return 0;
}

int sto_dir_users_get(struct sto_asking *a, const Pigeon__Strings *in)
{
    size_t asked = in->n_values < USERS_MAX ? in->n_values : USERS_MAX, count = 0;
    Pigeon__User **users = pgn_arena_alloc(a->arena, (asked + 1) * sizeof(Pigeon__User *));
    bool row;

    for (size_t i = 0; i < asked; i++) {
        sqlite3_stmt *s = sto_sql_bind(a->dir, STO_SQL_USER_GET, "s", in->values[i]);
        int error = sto_sql_step(s, &row);

        if (error)
            return error;
        if (!row)
            continue;
        users[count++] = user_of(a, s, false, NULL);
        sqlite3_reset(s);
    }
    reply_users(a, users, count, count);
    return 0;
}

int sto_dir_user_list(struct sto_asking *a, const Pigeon__UserQuery *in)
{
    size_t limit = in->limit ? in->limit : USERS_DEFAULT, count = 0;
    uint64_t total = 0;
    bool row;

    if (limit > USERS_MAX)
        limit = USERS_MAX;
    Pigeon__User **users = pgn_arena_alloc(a->arena, (limit + 1) * sizeof(Pigeon__User *));
    sqlite3_stmt *s = sto_sql_bind(a->dir, STO_SQL_USER_LIST, "ssi", in->after, in->prefix, (int64_t)limit + 1);
    int error;
    while ((error = sto_sql_step(s, &row)) == 0 && row)
        users[count++] = user_of(a, s, false, NULL);
    if (error)
        return error;
    s = sto_sql_bind(a->dir, STO_SQL_USER_COUNT, "s", in->prefix);
    if ((error = sto_sql_step(s, &row)) != 0)
        return error;
    total = row ? (uint64_t)sqlite3_column_int64(s, 0) : 0;
    sqlite3_reset(s);
    reply_users(a, users, count > limit ? limit : count, total);
    a->reply->users->more = count > limit;
    return 0;
}

/* ---- changing ---- */

/* Sets one named field; false when there is no such field to set. */
static bool field_set(Pigeon__User *to, const Pigeon__User *from, const char *field)
{
    if (strcmp(field, "name") == 0)
        to->name = from->name[0] ? from->name : to->user;
    else if (strcmp(field, "password_hash") == 0)
        to->password_hash = from->password_hash;
    else if (strcmp(field, "admin") == 0)
        to->admin = from->admin;
    else if (strcmp(field, "disabled") == 0)
        to->disabled = from->disabled;
    else if (strcmp(field, "must_change_password") == 0)
        to->must_change_password = from->must_change_password;
    else if (strcmp(field, "last_seen") == 0)
        to->last_seen = from->last_seen;
    else if (strcmp(field, "avatar") == 0)
        to->avatar = from->avatar;
    else if (strcmp(field, "about") == 0)
        to->about = from->about;
    else if (strcmp(field, "status_text") == 0)
        to->status_text = from->status_text;
    else if (strcmp(field, "status_state") == 0)
        to->status_state = from->status_state;
    else if (strcmp(field, "lang") == 0)
        to->lang = from->lang;
    else
        return false;
    return true;
}

static int user_store(struct sto_asking *a, const Pigeon__User *u, uint64_t version)
{
    return sto_sql_run(a->dir, STO_SQL_USER_SET, NULL, "sssiiiisssisi", u->user, u->name, u->password_hash, (int64_t)u->admin,
                       (int64_t)u->disabled, (int64_t)u->must_change_password, (int64_t)u->last_seen, u->avatar, u->about, u->status_text,
                       (int64_t)u->status_state, u->lang, (int64_t)version);
}

/* Groups' policies say who is disabled, but not by their version. */
static int group_policies_publish(struct sto_asking *a, const char *user)
{
    struct sto_convs convs = {0};
    int error = sto_log_convs(a->dir->log, user, STO_GROUP, a->arena, &convs);

    for (size_t i = 0; !error && i < convs.count; i++) {
        uint64_t version;

        error = sto_log_version(a->dir->log, convs.ids[i], a->arena, &version);
        if (!error)
            sto_effects_policy(a->effects, convs.ids[i], version);
    }
    return error;
}

/* The user's direct conversations are to be checked anew: both sides hold the old version. */
static int policies_publish(struct sto_asking *a, const char *user, uint64_t version)
{
    struct sto_convs convs = {0};
    int error = sto_log_convs(a->dir->log, user, STO_DIRECT, a->arena, &convs);

    for (size_t i = 0; i < convs.count; i++) {
        char peer[PGN_USER_MAX + 1];
        bool other = pgn_conv_peer(convs.ids[i], user, peer) && strcmp(peer, user) != 0;

        sto_effects_policy(a->effects, convs.ids[i], version + (other ? sto_people_get(a->dir->people, peer).version : 0));
    }
    return error;
}

static int user_disabled(struct sto_asking *a, Pigeon__User *u, uint64_t version)
{
    Pigeon__SessionRevoke revoke = PIGEON__SESSION_REVOKE__INIT;

    revoke.user = u->user;
    revoke.all = true;
    int error = u->disabled ? sto_session_revoke(a, &revoke, "kicked") : 0;
    if (!error)
        error = group_policies_publish(a, u->user);
    return error ? error : policies_publish(a, u->user, version);
}

int sto_dir_user_patch(struct sto_asking *a, const Pigeon__UserPatch *in)
{
    struct pgn_buf fields = {0};
    Pigeon__User *u;
    uint64_t version;
    int error = sto_user_get(a, in->user, &u, &version);

    if (error)
        return error;
    bool was_disabled = u->disabled;
    for (size_t i = 0; i < in->n_fields; i++) {
        if (!in->values || !field_set(u, in->values, in->fields[i])) {
            pgn_buf_release(&fields);
            return sto_ask_error(a, PGN_E_INVALID, "no such field of a user");
        }
        pgn_buf_printf(&fields, "%s%s", i ? " " : "", in->fields[i]);
    }
    if (was_disabled != u->disabled)
        version++;
    if ((error = user_check(a, u)) == 0)
        error = user_store(a, u, version);
    if (!error)
        error = sto_audit(a, "user.patch", u->user, pgn_buf_cstr(&fields));
    pgn_buf_release(&fields);
    if (!error && was_disabled != u->disabled)
        error = user_disabled(a, u, version);
    if (error)
        return error;
    sto_session_forget_user(a->dir, u->user);
    sto_dir_people_change(a->dir, u->user, "", false);
    u->password_hash = sto_chars("");
    reply_user(a, u);
    return 0;
}

int sto_dir_seen(struct sto_asking *a, const Pigeon__UserSeen *in)
{
    int error = 0;

    for (size_t i = 0; !error && i < in->n_users; i++) {
        const Pigeon__User *u = in->users[i];

        if (u->last_seen)
            error = sto_sql_run(a->dir, STO_SQL_USER_SEEN, NULL, "si", u->user, (int64_t)u->last_seen);
        if (!error && u->status_state != PIGEON__STATE__state_unset)
            error = sto_sql_run(a->dir, STO_SQL_USER_STATUS, NULL, "ssi", u->user, u->status_text, (int64_t)u->status_state);
    }
    return error;
}
