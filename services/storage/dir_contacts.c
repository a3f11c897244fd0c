/* Contacts and blocks. A pair is two rows, one a side: requested and pending, accepted and accepted; blocked stands alone. */
#include "common/base/error.h"
#include "services/storage/dir_internal.h"

#include <string.h>

enum { CONTACTS_MAX = 5000, NOTE_MAX_BYTES = 256 };

static int state_get(struct sto_asking *a, const char *user, const char *other, char ret_state[16])
{
    sqlite3_stmt *s = sto_sql_bind(a->dir, STO_SQL_CONTACT_GET, "ss", user, other);
    bool row;
    int error = sto_sql_step(s, &row);

    ret_state[0] = 0;
    if (error || !row)
        return error;
    const char *text = (const char *)sqlite3_column_text(s, 0);
    if (text && strlen(text) < 16)
        memcpy(ret_state, text, strlen(text) + 1);
    sqlite3_reset(s);
    return 0;
}

static int state_set(struct sto_asking *a, const char *user, const char *other, const char *state, const char *note)
{
    return sto_sql_run(a->dir, STO_SQL_CONTACT_SET, NULL, "ssssi", user, other, state, note, (int64_t)a->now_ms);
}

static int row_delete(struct sto_asking *a, const char *user, const char *other)
{
    return sto_sql_run(a->dir, STO_SQL_CONTACT_DEL, NULL, "ss", user, other);
}

static int both_accepted(struct sto_asking *a, const char *user, const char *other)
{
    int error = state_set(a, user, other, "accepted", "");

    return error ? error : state_set(a, other, user, "accepted", "");
}

/* Blocking and unblocking: the pair's conversation gets a new version, and who checks messages hears of it. */
static int block_changed(struct sto_asking *a, const char *user, const char *other, bool on)
{
    char conv[PGN_CONV_MAX + 1];
    Pigeon__User *one, *two;
    uint64_t version, other_version;
    int error = sto_sql_run(a->dir, STO_SQL_USER_VERSION, NULL, "s", user);

    if (!error)
        error = sto_user_get(a, user, &one, &version);
    if (!error)
        error = sto_user_get(a, other, &two, &other_version);
    if (error)
        return error;
    /* In this order: whoever reads a policy meanwhile gets the old version with the new blocks, which the commit finds stale. */
    sto_dir_people_change(a->dir, user, other, on);
    sto_dir_people_change(a->dir, user, "", false);
    pgn_conv_direct(user, other, conv);
    sto_effects_policy(a->effects, conv, version + other_version);
    return 0;
}

/* Whoever is blocked no longer sees when the other is there. */
static void hide(struct sto_asking *a, const char *user, const char *from)
{
    Pigeon__Hidden hidden = PIGEON__HIDDEN__INIT;
    Pigeon__Event event = PIGEON__EVENT__INIT;

    hidden.user = sto_chars(user);
    event.what_case = PIGEON__EVENT__WHAT_HIDDEN;
    event.hidden = &hidden;
    sto_effects_user(a->effects, from, &event);
}

static int block(struct sto_asking *a, const char *user, const char *other, const char *mine, const char *theirs)
{
    int error;

    if (strcmp(mine, "blocked") == 0)
        return 0;
    if ((error = state_set(a, user, other, "blocked", "")) != 0)
        return error;
    if (theirs[0] && strcmp(theirs, "blocked") != 0 && (error = row_delete(a, other, user)) != 0)
        return error;
    if ((error = block_changed(a, user, other, true)) != 0)
        return error;
    hide(a, user, other);
    return 0;
}

static int unblock(struct sto_asking *a, const char *user, const char *other, const char *mine)
{
    int error;

    if (strcmp(mine, "blocked") != 0)
        return 0;
    if ((error = row_delete(a, user, other)) != 0)
        return error;
    return block_changed(a, user, other, false);
}

static int request(struct sto_asking *a, const Pigeon__ContactChange *in, const char *mine, const char *theirs)
{
    if (strcmp(theirs, "blocked") == 0)
        return sto_ask_error(a, PGN_E_FORBIDDEN, "this user does not want to be asked");
    if (strcmp(mine, "blocked") == 0)
        return sto_ask_error(a, PGN_E_CONFLICT, "unblock the user first");
    if (strcmp(mine, "accepted") == 0 || strcmp(mine, "requested") == 0)
        return 0;
    if (strcmp(mine, "pending") == 0)
        return both_accepted(a, in->user, in->other);
    int error = state_set(a, in->user, in->other, "requested", in->note);
    return error ? error : state_set(a, in->other, in->user, "pending", in->note);
}

/* decline and remove: both rows go, but not the other side's block. */
static int drop(struct sto_asking *a, const Pigeon__ContactChange *in, const char *mine, const char *theirs, bool only_pending)
{
    if (!mine[0] || strcmp(mine, "blocked") == 0 || (only_pending && strcmp(mine, "pending") != 0))
        return sto_ask_error(a, PGN_E_NOT_FOUND, "no such contact");
    int error = row_delete(a, in->user, in->other);
    if (!error && strcmp(theirs, "blocked") != 0)
        error = row_delete(a, in->other, in->user);
    return error;
}

int sto_dir_contact(struct sto_asking *a, const Pigeon__ContactChange *in)
{
    char mine[16], theirs[16];
    Pigeon__User *user;
    int error;

    if (!pgn_user_valid(in->user) || !pgn_user_valid(in->other) || strcmp(in->user, in->other) == 0)
        return sto_ask_error(a, PGN_E_INVALID, "two different users are needed");
    if (strlen(in->note) > NOTE_MAX_BYTES)
        return sto_ask_error(a, PGN_E_TOO_LARGE, "the note is too long");
    if ((error = sto_user_get(a, in->user, &user, NULL)) != 0 || (error = sto_user_get(a, in->other, &user, NULL)) != 0)
        return error;
    if ((error = state_get(a, in->user, in->other, mine)) != 0 || (error = state_get(a, in->other, in->user, theirs)) != 0)
        return error;
    if (strcmp(in->action, "request") == 0)
        return request(a, in, mine, theirs);
    if (strcmp(in->action, "accept") == 0) {
        if (strcmp(mine, "accepted") == 0)
            return 0;
        return strcmp(mine, "pending") == 0 ? both_accepted(a, in->user, in->other) : sto_ask_error(a, PGN_E_NOT_FOUND, "nobody asked");
    }
    if (strcmp(in->action, "decline") == 0)
        return drop(a, in, mine, theirs, true);
    if (strcmp(in->action, "remove") == 0)
        return drop(a, in, mine, theirs, false);
    if (strcmp(in->action, "block") == 0)
        return block(a, in->user, in->other, mine, theirs);
    if (strcmp(in->action, "unblock") == 0)
        return unblock(a, in->user, in->other, mine);
    return sto_ask_error(a, PGN_E_INVALID, "unknown action");
}

int sto_dir_contact_list(struct sto_asking *a, const char *user)
{
    sqlite3_stmt *s = sto_sql_bind(a->dir, STO_SQL_CONTACT_LIST, "s", user);
    bool row;
    int error;

    STO_NEW(a->arena, Pigeon__ContactList, pigeon__contact_list, list);
    list->contacts = pgn_arena_alloc(a->arena, CONTACTS_MAX * sizeof(Pigeon__Contact *));
    while ((error = sto_sql_step(s, &row)) == 0 && row && list->n_contacts < CONTACTS_MAX) {
        STO_NEW(a->arena, Pigeon__Contact, pigeon__contact, c);
        c->user = sto_sql_text(a->arena, s, 0);
        c->name = sto_sql_text(a->arena, s, 1);
        c->state = sto_sql_text(a->arena, s, 2);
        c->note = sto_sql_text(a->arena, s, 3);
        c->since = (uint64_t)sqlite3_column_int64(s, 4);
        list->contacts[list->n_contacts++] = c;
    }
    if (row)
        sqlite3_reset(s);
    a->reply->payload_case = PIGEON__REPLY__PAYLOAD_CONTACTS;
    a->reply->contacts = list;
    return error;
}
