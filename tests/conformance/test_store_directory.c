/* The directory: users, sessions, contacts, invitations, files, audit. On every store. */
#include "tests/conformance/support/store_kit.h"

#include "common/base/clock.h"

#include <stdio.h>
#include <string.h>

#define STR(k, text) pgn_arena_strdup((k)->arena, text)

/* ---- requests ---- */

static int user_get(struct kit *k, const char *user, bool credentials)
{
    Pigeon__DirRequest request = PIGEON__DIR_REQUEST__INIT;
    Pigeon__UserName name = PIGEON__USER_NAME__INIT;

    name.user = STR(k, user);
    request.what_case = credentials ? PIGEON__DIR_REQUEST__WHAT_USER_CREDENTIALS : PIGEON__DIR_REQUEST__WHAT_USER_GET;
    request.user_get = &name;
    return kit_dir(k, &request);
}

static int user_patch(struct kit *k, const char *user, Pigeon__User *values, const char *field)
{
    Pigeon__DirRequest request = PIGEON__DIR_REQUEST__INIT;
    Pigeon__UserPatch patch = PIGEON__USER_PATCH__INIT;
    char *fields[] = {STR(k, field)};

    patch.user = STR(k, user);
    patch.values = values;
    patch.fields = fields;
    patch.n_fields = 1;
    request.actor = STR(k, "admin");
    request.what_case = PIGEON__DIR_REQUEST__WHAT_USER_PATCH;
    request.user_patch = &patch;
    return kit_dir(k, &request);
}

static int user_list(struct kit *k, const char *prefix, const char *after, uint32_t limit)
{
    Pigeon__DirRequest request = PIGEON__DIR_REQUEST__INIT;
    Pigeon__UserQuery query = PIGEON__USER_QUERY__INIT;

    query.prefix = STR(k, prefix);
    query.after = STR(k, after);
    query.limit = limit;
    request.what_case = PIGEON__DIR_REQUEST__WHAT_USER_LIST;
    request.user_list = &query;
    return kit_dir(k, &request);
}

static Pigeon__Session *session_of(struct kit *k, const char *user, const char *device, uint8_t mark)
{
    Pigeon__Session *s = pgn_arena_alloc(k->arena, sizeof *s);

    pigeon__session__init(s);
    s->hash.len = PGN_HASH_BYTES;
    s->hash.data = pgn_arena_alloc(k->arena, PGN_HASH_BYTES);
    memset(s->hash.data, mark, PGN_HASH_BYTES);
    s->user = STR(k, user);
    s->device = STR(k, device);
    return s;
}

static int session_create(struct kit *k, Pigeon__Session *session)
{
    Pigeon__SessionRequest request = PIGEON__SESSION_REQUEST__INIT;

    request.what_case = PIGEON__SESSION_REQUEST__WHAT_CREATE;
    request.create = session;
    return kit_session(k, &request);
}

/* The session of a token's hash; user is empty when it is not valid. */
static Pigeon__Session *session_check(struct kit *k, uint8_t mark, bool routes)
{
    Pigeon__SessionRequest request = PIGEON__SESSION_REQUEST__INIT;
    Pigeon__SessionCheck check = PIGEON__SESSION_CHECK__INIT;
    uint8_t hash[PGN_HASH_BYTES];
    ProtobufCBinaryData one = {sizeof hash, hash};

    memset(hash, mark, sizeof hash);
    check.hashes = &one;
    check.n_hashes = 1;
    check.routes = routes;
    request.what_case = PIGEON__SESSION_REQUEST__WHAT_CHECK;
    request.check = &check;
    assert_int_equal(kit_session(k, &request), 0);
    assert_int_equal(k->reply.checked->n_sessions, 1);
    assert_int_equal(strlen(k->reply.checked->epoch), 16);
    return k->reply.checked->sessions[0];
}

/* ---- users ---- */

static void users_are_made_once(void **state)
{
    struct kit *k = kit_of(state);
    Pigeon__DirRequest request = PIGEON__DIR_REQUEST__INIT;
    Pigeon__User user = PIGEON__USER__INIT;
    static char name[] = "alice", wrong[] = "Alice!", all[] = "all", hash[] = "$argon2id$secret", shown[] = "Alice A.";

    user.user = name;
    user.name = shown;
    user.password_hash = hash;
    user.must_change_password = true;
    request.what_case = PIGEON__DIR_REQUEST__WHAT_USER_CREATE;
    request.user_create = &user;
    assert_int_equal(kit_dir(k, &request), 0);
    assert_string_equal(k->reply.users->users[0]->user, "alice");
    assert_string_equal(k->reply.users->users[0]->password_hash, "");
    assert_int_equal(kit_dir(k, &request), PGN_E_CONFLICT);
    user.user = wrong;
    assert_int_equal(kit_dir(k, &request), PGN_E_INVALID);
    user.user = all;
    assert_int_equal(kit_dir(k, &request), PGN_E_INVALID);
    assert_int_equal(user_get(k, "alice", false), 0);
    assert_string_equal(k->reply.users->users[0]->name, "Alice A.");
    assert_string_equal(k->reply.users->users[0]->password_hash, "");
    assert_int_equal(user_get(k, "alice", true), 0);
    assert_string_equal(k->reply.users->users[0]->password_hash, "$argon2id$secret");
    assert_true(k->reply.users->users[0]->must_change_password);
    assert_int_equal(user_get(k, "bob", false), PGN_E_NOT_FOUND);
    if (kit_durable()) {
        kit_reopen(k);
        assert_int_equal(user_get(k, "alice", false), 0);
    }
}

static void users_are_listed(void **state)
{
    struct kit *k = kit_of(state);

    kit_user_many(k, "u", 250);
    kit_users(k, "alice", NULL);
    assert_int_equal(user_list(k, "", "", 100), 0);
    assert_int_equal(k->reply.users->n_users, 100);
    assert_int_equal(k->reply.users->total, 251);
    assert_true(k->reply.users->more);
    assert_string_equal(k->reply.users->users[0]->user, "alice");
    assert_int_equal(user_list(k, "u24", "", 100), 0);
    assert_int_equal(k->reply.users->n_users, 11);     /* u24, u240 to u249 */
    assert_int_equal(user_list(k, "LIC", "", 100), 0); /* part of a name */
    assert_int_equal(k->reply.users->n_users, 1);
    assert_int_equal(user_list(k, "%", "", 100), 0);
    assert_int_equal(k->reply.users->n_users, 0);
    assert_int_equal(user_list(k, "", "u99", 100), 0);
    assert_int_equal(k->reply.users->n_users, 0);
}

static void disabling_ends_sessions_and_changes_versions(void **state)
{
    struct kit *k = kit_of(state);
    Pigeon__User values = PIGEON__USER__INIT;

    kit_users(k, "alice", "bob", NULL);
    const char *conv = kit_direct(k, "alice", "bob"), *group = kit_group(k, "alice", "bob", NULL);
    assert_int_equal(kit_send(k, "alice", conv, "1", "x"), 0);
    assert_int_equal(session_create(k, session_of(k, "bob", "phone", 7)), 0);
    assert_string_equal(session_check(k, 7, false)->user, "bob");
    values.disabled = true;
    assert_int_equal(user_patch(k, "bob", &values, "disabled"), 0);
    assert_int_equal(k->dir_effects.event_count, 1);
    assert_string_equal(k->dir_effects.events[0].subject, "user.bob");
    Pigeon__Event *e = kit_dir_event(k, 0);
    assert_int_equal(e->revoked->n_sessions, 1);
    assert_string_equal(e->revoked->code, "kicked");
    assert_int_equal(k->dir_effects.policy_count, 2);
    assert_string_equal(k->dir_effects.policies[0]->conv, group); /* its policy says who is disabled, at the same version */
    assert_int_equal(k->dir_effects.policies[0]->version, kit_version(k, group));
    assert_string_equal(k->dir_effects.policies[1]->conv, conv);
    assert_int_equal(k->dir_effects.policies[1]->version, kit_version(k, conv));
    assert_string_equal(session_check(k, 7, false)->user, "");
    assert_true(kit_policy(k, conv)->members[1]->disabled);
    kit_text(k, "alice", conv, 0, "2", "y");
    assert_int_equal(kit_commit(k), 0);
    assert_int_equal(k->results[0].error, PGN_E_STALE);
    assert_int_equal(session_create(k, session_of(k, "bob", "phone", 8)), PGN_E_FORBIDDEN);
    assert_int_equal(user_patch(k, "bob", &values, "no_such_field"), PGN_E_INVALID);
}

static void import_is_one_transaction(void **state)
{
    enum { MANY = 10000 };
    struct kit *k = kit_of(state);
    Pigeon__DirRequest request = PIGEON__DIR_REQUEST__INIT;
    Pigeon__UserBatch batch = PIGEON__USER_BATCH__INIT;
    char name[16];

    kit_users(k, "u5", NULL);
    batch.users = pgn_arena_alloc(k->arena, MANY * sizeof(Pigeon__User *));
    batch.sessions = pgn_arena_alloc(k->arena, MANY * sizeof(Pigeon__Session *));
    for (size_t i = 0; i < MANY; i++) {
        Pigeon__User *u = pgn_arena_alloc(k->arena, sizeof *u);

        pigeon__user__init(u);
        snprintf(name, sizeof name, "u%zu", i);
        u->user = STR(k, name);
        batch.users[i] = u;
        batch.sessions[i] = session_of(k, name, "dev", 0);
        memcpy(batch.sessions[i]->hash.data, &i, sizeof i);
    }
    batch.n_users = batch.n_sessions = MANY;
    request.what_case = PIGEON__DIR_REQUEST__WHAT_USERS_IMPORT;
    request.users_import = &batch;
    uint64_t from = pgn_mono_ms();
    assert_int_equal(kit_dir(k, &request), 0);
    print_message("%d users and sessions imported in %d ms\n", MANY, (int)(pgn_mono_ms() - from));
    assert_int_equal(k->reply.users->total, MANY - 1); /* u5 was there */
    /* One bad user spoils all. */
    static char wrong[] = "NOT VALID", fresh[] = "fresh";
    batch.n_users = 2;
    batch.n_sessions = 0;
    batch.users[0]->user = fresh;
    batch.users[1]->user = wrong;
    assert_int_equal(kit_dir(k, &request), PGN_E_INVALID);
    assert_int_equal(user_get(k, "fresh", false), PGN_E_NOT_FOUND);
    assert_false(kit_policy(k, "d:fresh:u5")->found);
}

/* ---- sessions ---- */

static void sessions_are_checked_and_revoked(void **state)
{
    struct kit *k = kit_of(state);
    Pigeon__SessionRequest request = PIGEON__SESSION_REQUEST__INIT;
    Pigeon__SessionRevoke revoke = PIGEON__SESSION_REVOKE__INIT;

    kit_users(k, "alice", "bob", NULL);
    const char *group = kit_group(k, "alice", "bob", NULL);
    assert_int_equal(session_create(k, session_of(k, "alice", "web", 1)), 0);
    assert_int_equal(session_create(k, session_of(k, "alice", "phone", 2)), 0);
    assert_int_equal(session_create(k, session_of(k, "nobody", "web", 3)), PGN_E_NOT_FOUND);
    Pigeon__Session *s = session_check(k, 1, true);
    assert_string_equal(s->user, "alice");
    assert_string_equal(s->device, "web");
    assert_int_equal(s->n_groups, 1);
    assert_string_equal(s->groups[0], group);
    assert_int_equal(s->n_first_seqs, 1);
    assert_int_equal(s->first_seqs[0], 1);
    assert_string_equal(session_check(k, 9, true)->user, "");
    /* A new login of the same device takes the older one's place, and says so. */
    assert_int_equal(session_create(k, session_of(k, "alice", "web", 4)), 0);
    assert_int_equal(k->dir_effects.event_count, 1);
    assert_string_equal(kit_dir_event(k, 0)->revoked->code, "replaced");
    assert_string_equal(session_check(k, 1, false)->user, "");
    assert_string_equal(session_check(k, 4, false)->device, "web");
    revoke.user = STR(k, "alice");
    revoke.all = true;
    revoke.keep = session_of(k, "alice", "web", 4)->hash;
    request.what_case = PIGEON__SESSION_REQUEST__WHAT_REVOKE;
    request.revoke = &revoke;
    assert_int_equal(kit_session(k, &request), 0);
    assert_int_equal(kit_dir_event(k, 0)->revoked->n_sessions, 1);
    assert_string_equal(session_check(k, 2, false)->user, "");
    assert_string_equal(session_check(k, 4, false)->user, "alice");
    revoke = (Pigeon__SessionRevoke)PIGEON__SESSION_REVOKE__INIT;
    revoke.hash = session_of(k, "", "", 4)->hash; /* a logout knows the token only */
    assert_int_equal(kit_session(k, &request), 0);
    assert_string_equal(k->dir_effects.events[0].subject, "user.alice");
    assert_string_equal(session_check(k, 4, false)->user, "");
    assert_int_equal(kit_session(k, &request), PGN_E_NOT_FOUND);
}

static void sessions_expire(void **state)
{
    struct kit *k = kit_of(state);

    kit_users(k, "alice", NULL);
    Pigeon__Session *s = session_of(k, "alice", "web", 1);
    s->expires_at = pgn_wall_ms() + 60000;
    assert_int_equal(session_create(k, s), 0);
    assert_string_equal(session_check(k, 1, false)->user, "alice");
    s = session_of(k, "alice", "web", 2);
    s->expires_at = 1;
    assert_int_equal(session_create(k, s), 0);
    assert_string_equal(session_check(k, 2, false)->user, "");
}

static void sessions_are_listed(void **state)
{
    struct kit *k = kit_of(state);
    Pigeon__SessionRequest request = PIGEON__SESSION_REQUEST__INIT;
    Pigeon__SessionUser user = PIGEON__SESSION_USER__INIT;

    kit_users(k, "alice", "bob", NULL);
    assert_int_equal(session_create(k, session_of(k, "alice", "web", 1)), 0);
    assert_int_equal(session_create(k, session_of(k, "bob", "web", 2)), 0);
    user.user = STR(k, "alice");
    request.what_case = PIGEON__SESSION_REQUEST__WHAT_LIST;
    request.list = &user;
    assert_int_equal(kit_session(k, &request), 0);
    assert_int_equal(k->reply.sessions->n_sessions, 1);
    assert_string_equal(k->reply.sessions->sessions[0]->device, "web");
}

/* ---- contacts ---- */

static const char *contact_state(struct kit *k, const char *user, const char *other)
{
    Pigeon__DirRequest request = PIGEON__DIR_REQUEST__INIT;
    Pigeon__UserName name = PIGEON__USER_NAME__INIT;

    name.user = STR(k, user);
    request.what_case = PIGEON__DIR_REQUEST__WHAT_CONTACT_LIST;
    request.contact_list = &name;
    assert_int_equal(kit_dir(k, &request), 0);
    for (size_t i = 0; i < k->reply.contacts->n_contacts; i++)
        if (strcmp(k->reply.contacts->contacts[i]->user, other) == 0)
            return k->reply.contacts->contacts[i]->state;
    return "";
}

static void contacts_are_asked_and_answered(void **state)
{
    struct kit *k = kit_of(state);

    kit_users(k, "alice", "bob", "carol", NULL);
    assert_int_equal(kit_contact(k, "alice", "bob", "request"), 0);
    assert_string_equal(contact_state(k, "alice", "bob"), "requested");
    assert_string_equal(contact_state(k, "bob", "alice"), "pending");
    assert_int_equal(kit_contact(k, "alice", "bob", "accept"), PGN_E_NOT_FOUND); /* nobody asked alice */
    assert_int_equal(kit_contact(k, "bob", "alice", "accept"), 0);
    assert_string_equal(contact_state(k, "alice", "bob"), "accepted");
    assert_int_equal(kit_contact(k, "alice", "bob", "remove"), 0);
    assert_string_equal(contact_state(k, "bob", "alice"), "");
    assert_int_equal(kit_contact(k, "alice", "carol", "request"), 0);
    assert_int_equal(kit_contact(k, "carol", "alice", "request"), 0); /* both want: done */
    assert_string_equal(contact_state(k, "alice", "carol"), "accepted");
    assert_int_equal(kit_contact(k, "alice", "bob", "request"), 0);
    assert_int_equal(kit_contact(k, "bob", "alice", "decline"), 0);
    assert_string_equal(contact_state(k, "alice", "bob"), "");
    assert_int_equal(kit_contact(k, "alice", "alice", "request"), PGN_E_INVALID);
    assert_int_equal(kit_contact(k, "alice", "nobody", "request"), PGN_E_NOT_FOUND);
    assert_int_equal(kit_contact(k, "alice", "bob", "hug"), PGN_E_INVALID);
}

static void blocks_make_the_version_rise(void **state)
{
    struct kit *k = kit_of(state);

    kit_users(k, "alice", "bob", "carol", NULL);
    const char *conv = kit_direct(k, "alice", "bob");
    assert_int_equal(kit_version(k, conv), 0);
    assert_int_equal(kit_contact(k, "bob", "alice", "block"), 0);
    assert_int_equal(k->dir_effects.policy_count, 1);
    assert_string_equal(k->dir_effects.policies[0]->conv, conv);
    Pigeon__Policy *policy = kit_policy(k, conv);
    assert_int_equal(policy->version, k->dir_effects.policies[0]->version);
    assert_true(policy->version > 0);
    assert_false(policy->members[0]->blocks_other);
    assert_true(policy->members[1]->blocks_other);
    assert_int_equal(kit_contact(k, "alice", "bob", "request"), PGN_E_FORBIDDEN);
    if (kit_durable()) {
        kit_reopen(k);
        assert_true(kit_policy(k, conv)->members[1]->blocks_other);
    }
    assert_int_equal(kit_contact(k, "bob", "alice", "unblock"), 0);
    assert_true(kit_version(k, conv) > policy->version);
    assert_false(kit_policy(k, conv)->members[1]->blocks_other);
    assert_int_equal(kit_contact(k, "bob", "alice", "unblock"), 0); /* again: nothing changes */
    assert_int_equal(k->dir_effects.policy_count, 0);
}

static void blocked_by(void **state)
{
    struct kit *k = kit_of(state);
    Pigeon__ConvRequest request = PIGEON__CONV_REQUEST__INIT;
    Pigeon__BlockedBy ask = PIGEON__BLOCKED_BY__INIT;
    Pigeon__Reply reply = PIGEON__REPLY__INIT;
    char *users[] = {STR(k, "bob"), STR(k, "carol"), STR(k, "nobody")};

    kit_users(k, "alice", "bob", "carol", NULL);
    assert_int_equal(kit_contact(k, "bob", "alice", "block"), 0);
    assert_int_equal(kit_contact(k, "alice", "carol", "block"), 0); /* the other way round does not count */
    ask.user = STR(k, "alice");
    ask.users = users;
    ask.n_users = 3;
    request.what_case = PIGEON__CONV_REQUEST__WHAT_BLOCKED_BY;
    request.blocked_by = &ask;
    assert_int_equal(k->store->ops->read(k->store, &request, 0, k->arena, &reply), 0);
    assert_int_equal(reply.strings->n_values, 2);
    assert_string_equal(reply.strings->values[0], "bob");
    assert_string_equal(reply.strings->values[1], "nobody");
}

/* ---- invitations ---- */

static int invite_create(struct kit *k, uint32_t uses, uint64_t expires_at)
{
    Pigeon__DirRequest request = PIGEON__DIR_REQUEST__INIT;
    Pigeon__Invitation invitation = PIGEON__INVITATION__INIT;

    invitation.uses_left = uses;
    invitation.expires_at = expires_at;
    request.actor = STR(k, "admin");
    request.what_case = PIGEON__DIR_REQUEST__WHAT_INVITE_CREATE;
    request.invite_create = &invitation;
    return kit_dir(k, &request);
}

static int reg(struct kit *k, const char *user, const char *code)
{
    Pigeon__DirRequest request = PIGEON__DIR_REQUEST__INIT;
    Pigeon__Invited invited = PIGEON__INVITED__INIT;
    Pigeon__User u = PIGEON__USER__INIT;

    u.user = STR(k, user);
    invited.user = &u;
    invited.code = STR(k, code);
    request.what_case = PIGEON__DIR_REQUEST__WHAT_REGISTER;
    request.register_ = &invited;
    return kit_dir(k, &request);
}

static void invitations_are_used_up(void **state)
{
    struct kit *k = kit_of(state);

    kit_users(k, "taken", NULL);
    assert_int_equal(invite_create(k, 2, 0), 0);
    char *code = STR(k, k->reply.invites->invites[0]->code);
    assert_true(strlen(code) >= 10);
    assert_string_equal(k->reply.invites->invites[0]->created_by, "admin");
    assert_int_equal(reg(k, "taken", code), PGN_E_CONFLICT); /* and the invitation is as before */
    assert_int_equal(reg(k, "one", code), 0);
    assert_string_equal(k->reply.users->users[0]->user, "one");
    assert_int_equal(reg(k, "two", code), 0);
    assert_int_equal(reg(k, "three", code), PGN_E_NOT_FOUND);
    assert_int_equal(user_get(k, "three", false), PGN_E_NOT_FOUND);
    assert_int_equal(reg(k, "three", "wrong"), PGN_E_NOT_FOUND);
    assert_int_equal(invite_create(k, 1, 1), 0);
    assert_int_equal(reg(k, "three", k->reply.invites->invites[0]->code), PGN_E_NOT_FOUND); /* expired */
}

/* ---- files ---- */

static int file_put(struct kit *k, const char *id, const char *owner, uint64_t size)
{
    Pigeon__DirRequest request = PIGEON__DIR_REQUEST__INIT;
    Pigeon__FileMeta meta = PIGEON__FILE_META__INIT;

    meta.file_id = STR(k, id);
    meta.owner = STR(k, owner);
    meta.name = STR(k, "picture.png");
    meta.mime = STR(k, "image/png");
    meta.size = size;
    meta.quota = 1000;
    request.what_case = PIGEON__DIR_REQUEST__WHAT_FILE_PUT;
    request.file_put = &meta;
    return kit_dir(k, &request);
}

static int file_ask(struct kit *k, const char *id, const char *user, bool delete)
{
    Pigeon__DirRequest request = PIGEON__DIR_REQUEST__INIT;
    Pigeon__FileRef ref = PIGEON__FILE_REF__INIT;

    ref.file_id = STR(k, id);
    ref.user = STR(k, user);
    request.what_case = delete ? PIGEON__DIR_REQUEST__WHAT_FILE_DELETE : PIGEON__DIR_REQUEST__WHAT_FILE_GET;
    request.file_get = &ref;
    return kit_dir(k, &request);
}

/* An item of the next commit. */
static void file_item(struct kit *k, const char *user, const char *conv, const char *file, const char *client_id)
{
    Pigeon__Append *a = kit_text(k, user, conv, KIT_NOW, client_id, "");
    Pigeon__File *f = pgn_arena_alloc(k->arena, sizeof *f);

    pigeon__file__init(f);
    f->file_id = STR(k, file);
    a->body->file = f;
    a->kind = PIGEON__KIND__file;
}

static void send_file(struct kit *k, const char *user, const char *conv, const char *file, const char *client_id)
{
    file_item(k, user, conv, file, client_id);
    assert_int_equal(kit_commit(k), 0);
    assert_int_equal(k->results[0].error, 0);
}

static void files_have_a_quota(void **state)
{
    struct kit *k = kit_of(state);

    kit_users(k, "alice", "bob", NULL);
    assert_int_equal(file_put(k, "f1", "alice", 600), 0);
    assert_int_equal(file_put(k, "f1", "alice", 1), PGN_E_CONFLICT);
    assert_int_equal(file_put(k, "f1", "alice", 600), PGN_E_CONFLICT); /* a repeat: not too large because of itself */
    assert_int_equal(file_put(k, "f2", "alice", 401), PGN_E_TOO_LARGE);
    assert_int_equal(file_put(k, "f2", "alice", UINT64_MAX), PGN_E_TOO_LARGE);
    assert_int_equal(file_put(k, "f2", "alice", 400), 0);
    assert_int_equal(user_get(k, "alice", false), 0);
    assert_int_equal(k->reply.users->users[0]->file_bytes, 1000);
    assert_int_equal(file_ask(k, "f1", "bob", true), PGN_E_FORBIDDEN);
    assert_int_equal(file_ask(k, "f1", "alice", true), 0);
    assert_int_equal(user_get(k, "alice", false), 0);
    assert_int_equal(k->reply.users->users[0]->file_bytes, 400);
    assert_int_equal(file_put(k, "f3", "nobody", 1), PGN_E_NOT_FOUND);
}

static void files_are_read_by_those_they_were_sent_to(void **state)
{
    struct kit *k = kit_of(state);

    kit_users(k, "alice", "bob", "carol", "eve", NULL);
    assert_int_equal(file_put(k, "f1", "alice", 1), 0);
    assert_int_equal(file_ask(k, "f1", "alice", false), 0);
    assert_string_equal(k->reply.file->mime, "image/png");
    assert_int_equal(file_ask(k, "f1", "bob", false), PGN_E_FORBIDDEN);
    assert_int_equal(file_ask(k, "nothing", "bob", false), PGN_E_NOT_FOUND);
    send_file(k, "alice", kit_direct(k, "alice", "bob"), "f1", "1");
    assert_int_equal(file_ask(k, "f1", "bob", false), 0);
    assert_int_equal(file_ask(k, "f1", "carol", false), PGN_E_FORBIDDEN);
    /* Whoever guesses an id and sends it to himself gets nothing by it; who may read may pass it on. */
    send_file(k, "eve", kit_direct(k, "eve", "carol"), "f1", "2");
    assert_int_equal(file_ask(k, "f1", "eve", false), PGN_E_FORBIDDEN);
    assert_int_equal(file_ask(k, "f1", "carol", false), PGN_E_FORBIDDEN);
    const char *group = kit_group(k, "bob", "carol", NULL);
    send_file(k, "bob", group, "f1", "3");
    assert_int_equal(file_ask(k, "f1", "carol", false), 0);
    assert_int_equal(file_ask(k, "f1", "eve", false), PGN_E_FORBIDDEN);
}

static void recalled_files_are_closed(void **state)
{
    struct kit *k = kit_of(state);

    kit_users(k, "alice", "bob", "carol", NULL);
    const char *conv = kit_direct(k, "alice", "bob"), *other = kit_direct(k, "alice", "carol");
    assert_int_equal(file_put(k, "f1", "alice", 1), 0);
    send_file(k, "alice", conv, "f1", "1");
    send_file(k, "alice", conv, "f1", "2");
    send_file(k, "alice", other, "f1", "3");
    kit_operation(k, "alice", conv, PIGEON__OP__recall, 1, "r1");
    assert_int_equal(kit_commit(k), 0);
    assert_int_equal(file_ask(k, "f1", "bob", false), 0); /* the second message shows it still */
    kit_operation(k, "alice", conv, PIGEON__OP__recall, 2, "r2");
    assert_int_equal(kit_commit(k), 0);
    assert_int_equal(file_ask(k, "f1", "bob", false), PGN_E_FORBIDDEN);
    assert_int_equal(file_ask(k, "f1", "carol", false), 0);
    assert_int_equal(file_ask(k, "f1", "alice", false), 0);
    /* Who remembers its id cannot open it again by sending it. */
    send_file(k, "bob", conv, "f1", "4");
    assert_int_equal(file_ask(k, "f1", "bob", false), PGN_E_FORBIDDEN);
    send_file(k, "alice", conv, "f1", "5");
    assert_int_equal(file_ask(k, "f1", "bob", false), 0);
}

static void a_file_that_many_have_sent_is_still_found(void **state)
{
    enum { MANY = 300 };
    struct kit *k = kit_of(state);
    char user[16];

    kit_users(k, "alice", "yan", "zoe", NULL);
    kit_user_many(k, "m", MANY);
    assert_int_equal(file_put(k, "f1", "alice", 1), 0);
    send_file(k, "alice", kit_direct(k, "alice", "zoe"), "f1", "1");
    for (int i = 0; i < MANY; i++) { /* they guess its id: their links stand before zoe's */
        snprintf(user, sizeof user, "m%d", i);
        file_item(k, user, kit_direct(k, user, "yan"), "f1", "2");
    }
    assert_int_equal(kit_commit(k), 0);
    assert_int_equal(file_ask(k, "f1", "yan", false), PGN_E_FORBIDDEN);
    send_file(k, "zoe", kit_direct(k, "yan", "zoe"), "f1", "3");
    assert_int_equal(file_ask(k, "f1", "yan", false), 0);
}

static void set_avatar(struct kit *k, const char *conv, const char *file, const char *client_id)
{
    Pigeon__GroupChange *c = kit_change(k, "alice", conv, KIT_NOW, PIGEON__OP__updated, client_id);
    Pigeon__Settings settings = PIGEON__SETTINGS__INIT;

    settings.avatar = STR(k, file);
    c->settings = &settings;
    assert_int_equal(kit_commit(k), 0);
    assert_int_equal(k->results[0].error, 0);
}

static void a_groups_picture_is_a_use_of_its_file(void **state)
{
    struct kit *k = kit_of(state);

    kit_users(k, "alice", "bob", NULL);
    const char *conv = kit_group(k, "alice", "bob", NULL);
    assert_int_equal(file_put(k, "f1", "alice", 1), 0);
    send_file(k, "alice", conv, "f1", "1");
    uint64_t first = k->results[0].sent->seq;
    send_file(k, "alice", conv, "f1", "2");
    set_avatar(k, conv, "f1", "3");
    set_avatar(k, conv, "f1", "4"); /* the same again: no further use */
    kit_operation(k, "alice", conv, PIGEON__OP__recall, first, "5");
    assert_int_equal(kit_commit(k), 0);
    assert_int_equal(file_ask(k, "f1", "bob", false), 0);
    kit_operation(k, "alice", conv, PIGEON__OP__recall, first + 1, "6");
    assert_int_equal(kit_commit(k), 0);
    assert_int_equal(k->results[0].error, 0);
    assert_int_equal(file_ask(k, "f1", "bob", false), 0); /* it is the group's picture still */
}

/* ---- audit ---- */

static void audit_is_a_chain(void **state)
{
    struct kit *k = kit_of(state);
    Pigeon__DirRequest request = PIGEON__DIR_REQUEST__INIT;
    Pigeon__UserQuery query = PIGEON__USER_QUERY__INIT;
    uint64_t count, bad;

    kit_users(k, "alice", "bob", NULL);
    assert_int_equal(invite_create(k, 1, 0), 0);
    assert_int_equal(k->store->ops->audit_verify(k->store, &count, &bad), 0);
    assert_int_equal(count, 3);
    assert_int_equal(bad, 0);
    request.what_case = PIGEON__DIR_REQUEST__WHAT_AUDIT_LIST;
    request.audit_list = &query;
    assert_int_equal(kit_dir(k, &request), 0);
    assert_int_equal(k->reply.audit->n_entries, 3);
    assert_string_equal(k->reply.audit->entries[0]->action, "invite.create"); /* the newest first */
    assert_string_equal(k->reply.audit->entries[0]->actor, "admin");
    query.after = STR(k, "2");
    assert_int_equal(kit_dir(k, &request), 0);
    assert_int_equal(k->reply.audit->n_entries, 1);
    assert_string_equal(k->reply.audit->entries[0]->object, "alice");
}

int main(void)
{
    static const struct CMUnitTest directory[] = {
        KIT_TEST(users_are_made_once),
        KIT_TEST(users_are_listed),
        KIT_TEST(disabling_ends_sessions_and_changes_versions),
        KIT_TEST(import_is_one_transaction),
        KIT_TEST(sessions_are_checked_and_revoked),
        KIT_TEST(sessions_expire),
        KIT_TEST(sessions_are_listed),
        KIT_TEST(contacts_are_asked_and_answered),
        KIT_TEST(blocks_make_the_version_rise),
        KIT_TEST(blocked_by),
        KIT_TEST(invitations_are_used_up),
        KIT_TEST(files_have_a_quota),
        KIT_TEST(files_are_read_by_those_they_were_sent_to),
        KIT_TEST(recalled_files_are_closed),
        KIT_TEST(a_file_that_many_have_sent_is_still_found),
        KIT_TEST(a_groups_picture_is_a_use_of_its_file),
        KIT_TEST(audit_is_a_chain),
    };

    KIT_RUN(directory);
}
