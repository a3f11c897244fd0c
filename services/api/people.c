/* The caller's profile and other users. */
#include "services/api/people.h"

#include "common/base/error.h"
#include "common/proto/storage_client.h"
#include "services/api/session.h"

#include <string.h>

void api_me_of(const struct api_call *call, const Pigeon__User *user, Pigeon__ApiMe *ret_me)
{
    pigeon__api_me__init(ret_me);
    ret_me->user = user->user;
    ret_me->name = user->name;
    ret_me->admin = user->admin;
    ret_me->about = user->about;
    ret_me->avatar = user->avatar;
    ret_me->lang = user->lang;
    ret_me->created_at = user->created_at;
    ret_me->file_bytes = user->file_bytes;
    ret_me->file_quota = (uint64_t)call->api->config->limits_user_file_bytes;
}

int api_get_me(struct api_call *call)
{
    Pigeon__User *user;
    Pigeon__ApiMe me;
    int e = pgn_storage_user_get(call->api->bus, call->session.user, call->arena, &user, &call->problem);
    if (e)
        return api_read_error(call, e);
    api_me_of(call, user, &me);
    return api_answer(call, 200, &me);
}

/* An avatar must be a file that the user may read. */
static int check_avatar(struct api_call *call, const char *avatar)
{
    if (!avatar || !*avatar)
        return 0;
    if (!api_file_id_valid(avatar))
        return api_fail_field(call, "avatar", "not a file id");
    Pigeon__DirRequest request = PIGEON__DIR_REQUEST__INIT;
    Pigeon__FileRef ref = PIGEON__FILE_REF__INIT;
    Pigeon__Reply *reply;
    ref.file_id = api_strdup(call, avatar);
    ref.user = call->session.user;
    request.what_case = PIGEON__DIR_REQUEST__WHAT_FILE_GET;
    request.file_get = &ref;
    return api_read_error(call,
                          pgn_storage_dir_sync(call->api->bus, &request, PGN_STORAGE_TIMEOUT_MS, call->arena, &reply, &call->problem));
}

/* A language tag, or nothing. */
static int check_lang(struct api_call *call, const char *lang)
{
    if (!lang || !*lang)
        return 0;
    size_t len = strlen(lang), first = strcspn(lang, "-");
    bool ok = len <= 12 && first >= 2 && first <= 3 && (first == len || (len - first - 1 >= 2 && !strchr(lang + first + 1, '-')));
    for (size_t i = 0; ok && i < len; i++) {
        char c = lang[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'), digit = c >= '0' && c <= '9';
        ok = i < first ? letter : i == first || letter || digit;
    }
    return ok ? 0 : api_fail_field(call, "lang", "a language tag such as zh-CN");
}

int api_patch_me(struct api_call *call)
{
    Pigeon__ApiMePatch *body;
    Pigeon__User values = PIGEON__USER__INIT;
    char *fields[4];
    size_t n = 0;
    static char name[] = "name", about[] = "about", avatar[] = "avatar", lang[] = "lang";
    int e = API_BODY(call, Pigeon__ApiMePatch, pigeon__api_me_patch, &body);
    if (e || (e = api_check_text(call, name, body->name, API_NAME_CHARS, false)) ||
        (e = api_check_text(call, about, body->about, API_ABOUT_CHARS, true)) || (e = check_avatar(call, body->avatar)) ||
        (e = check_lang(call, body->lang)))
        return e;
    if (body->name) {
        values.name = *body->name ? body->name : call->session.user;
        fields[n++] = name;
    }
    if (body->about) {
        values.about = body->about;
        fields[n++] = about;
    }
    if (body->avatar) {
        values.avatar = body->avatar;
        fields[n++] = avatar;
    }
    if (body->lang) {
        values.lang = body->lang;
        fields[n++] = lang;
    }
    if (n) {
        e = pgn_storage_user_patch(call->api->bus, call->session.user, call->session.user, &values, fields, n, call->arena, &call->problem);
        if (e)
            return e;
    }
    return api_get_me(call);
}

/* ---- others ---- */

static void user_of(const Pigeon__User *user, Pigeon__ApiUser *ret_user)
{
    pigeon__api_user__init(ret_user);
    ret_user->user = user->user;
    ret_user->name = user->name;
    ret_user->about = user->about;
    ret_user->avatar = user->avatar;
}

int api_user_page(struct api_call *call, Pigeon__UserList **ret_list)
{
    char *prefix, *after;
    uint64_t limit;
    int e = api_query_text(call, "q", API_QUERY_CHARS, &prefix);
    if (e || (e = api_query_user(call, "after", &after)) || (e = api_query_u64(call, "limit", 1, API_PAGE_MAX, API_PAGE, &limit)))
        return e;
    e = pgn_storage_user_list(call->api->bus, prefix, after, (uint32_t)limit, call->arena, ret_list, &call->problem);
    return api_read_error(call, e);
}

int api_list_users(struct api_call *call)
{
    Pigeon__UserList *list;
    Pigeon__ApiUsers answer = PIGEON__API_USERS__INIT;
    int e = api_user_page(call, &list);
    if (e)
        return e;
    answer.users = pgn_arena_alloc(call->arena, (list->n_users + 1) * sizeof *answer.users);
    for (size_t i = 0; i < list->n_users; i++) {
        if (list->users[i]->disabled)
            continue;
        Pigeon__ApiUser *user = pgn_arena_alloc(call->arena, sizeof *user);
        user_of(list->users[i], user);
        answer.users[answer.n_users++] = user;
    }
    answer.more = list->more;
    if (list->more && list->n_users)
        answer.next = list->users[list->n_users - 1]->user;
    return api_answer(call, 200, &answer);
}

int api_get_user(struct api_call *call)
{
    Pigeon__User *user;
    Pigeon__ApiUser answer;
    int e = pgn_storage_user_get(call->api->bus, call->param[0], call->arena, &user, &call->problem);
    if (e)
        return api_read_error(call, e);
    user_of(user, &answer);
    return api_answer(call, 200, &answer);
}
