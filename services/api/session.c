/* Sessions and tokens; see session.h. */
#include "services/api/session.h"

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/random.h"
#include "common/proto/storage_client.h"
#include "services/api/people.h"
#include "services/api/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { SESSIONS = 20000 };
static const uint64_t day_ms = 86400000;

struct kept {
    struct api_session session;
    uint64_t until_ms; /* monotonic */
};

struct api_sessions {
    struct api_table *table;
};

struct api_sessions *api_sessions_new(void)
{
    struct api_sessions *s = pgn_malloc(sizeof *s);
    s->table = api_table_new(SESSIONS, sizeof(struct kept));
    return s;
}

void api_sessions_free(struct api_sessions **s)
{
    if (!*s)
        return;
    api_table_free(&(*s)->table);
    free(*s);
    *s = NULL;
}

/* The token of the Authorization header, or NULL. */
static const char *bearer(const struct api_call *call)
{
    const char *header = pgn_http_header(call->req, "Authorization");
    if (!header || strncasecmp(header, "Bearer ", 7))
        return NULL;
    header += 7;
    header += strspn(header, " ");
    return strlen(header) == PGN_TOKEN_LEN ? header : NULL;
}

static bool find_kept(struct api_sessions *s, const uint8_t hash[PGN_HASH_BYTES], struct api_session *ret_session)
{
    api_table_lock(s->table);
    const struct kept *k = api_table_find(s->table, hash, PGN_HASH_BYTES);
    bool fresh = k && k->until_ms > pgn_mono_ms();
    if (fresh)
        *ret_session = k->session;
    api_table_unlock(s->table);
    return fresh;
}

static void keep(struct api_sessions *s, const struct api_session *session, uint64_t asked_at_ms)
{
    api_table_lock(s->table);
    struct kept *k = api_table_make(s->table, session->hash, PGN_HASH_BYTES);
    *k = (struct kept){*session, asked_at_ms + API_SESSION_KEEP_MS};
    api_table_unlock(s->table);
}

int api_session_find(struct api_call *call)
{
    const char *token = bearer(call);
    uint64_t now = pgn_mono_ms();
    struct api_session found = {0};
    Pigeon__Session *said;
    if (!token)
        return api_fail(call, PGN_E_UNAUTHENTICATED, NULL);
    pgn_token_hash(token, found.hash);
    if (find_kept(call->api->sessions, found.hash, &call->session)) {
        api_count(API_SESSION_HITS);
        return 0;
    }
    api_count(API_SESSION_MISSES);
    int e = pgn_storage_session_check(call->api->bus, found.hash, call->arena, &said, &call->problem);
    if (e)
        return api_read_error(call, e);
    if (!pgn_user_valid(said->user) || !pgn_device_valid(said->device))
        return api_fail(call, PGN_E_INTERNAL, "a session without user or device");
    snprintf(found.user, sizeof found.user, "%s", said->user);
    snprintf(found.device, sizeof found.device, "%s", said->device);
    found.expires_at = said->expires_at;
    found.must_change_password = said->must_change_password;
    found.admin = said->user_admin;
    keep(call->api->sessions, &found, now);
    call->session = found;
    return 0;
}

static int not_of_user(void *ctx, void *value)
{
    const struct kept *k = value;
    return strcmp(k->session.user, ctx) != 0;
}

void api_sessions_forget(struct api_sessions *s, const char *user)
{
    char copy[PGN_USER_MAX + 1];
    snprintf(copy, sizeof copy, "%s", user);
    api_table_lock(s->table);
    api_table_sweep(s->table, not_of_user, copy);
    api_table_unlock(s->table);
}

static void device_new(char ret_device[PGN_DEVICE_MAX + 1])
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";
    size_t n = (size_t)snprintf(ret_device, PGN_DEVICE_MAX + 1, "rest-");
    for (int i = 0; i < 12; i++)
        ret_device[n++] = letters[pgn_random_below(sizeof letters - 1)];
    ret_device[n] = 0;
}

int api_session_make(struct api_call *call, const Pigeon__User *user, const char *device, Pigeon__Session *ret_session,
                     char ret_token[PGN_TOKEN_LEN + 1])
{
    uint8_t hash[PGN_HASH_BYTES];
    Pigeon__Session *s = ret_session;
    pgn_token_new(ret_token);
    pgn_token_hash(ret_token, hash);
    s->hash = (ProtobufCBinaryData){sizeof hash, hash};
    s->user = user->user;
    s->device = api_strdup(call, device);
    s->created_at = pgn_wall_ms();
    s->last_used = s->created_at;
    s->expires_at = s->created_at + (uint64_t)call->api->config->api_session_days * day_ms;
    s->address = call->address;
    int e = pgn_storage_session_create(call->api->bus, s, call->arena, &call->problem);
    s->hash = (ProtobufCBinaryData){0};
    if (!e)
        api_sessions_forget(call->api->sessions, user->user); /* the device's older token */
    return e;
}

int api_session_open(struct api_call *call, const Pigeon__User *user, const char *device, int status)
{
    char token[PGN_TOKEN_LEN + 1], made[PGN_DEVICE_MAX + 1];
    Pigeon__Session session = PIGEON__SESSION__INIT;
    Pigeon__ApiLoggedIn answer = PIGEON__API_LOGGED_IN__INIT;
    Pigeon__ApiMe me = PIGEON__API_ME__INIT;
    if (!device || !*device) {
        device_new(made);
        device = made;
    }
    int e = api_session_make(call, user, device, &session, token);
    if (e)
        return e;
    api_me_of(call, user, &me);
    answer.token = token;
    answer.expires_at = session.expires_at;
    answer.user = &me;
    answer.must_change_password = user->must_change_password;
    answer.device = session.device;
    return api_answer(call, status, &answer);
}
