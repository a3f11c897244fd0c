/* user add, list, show, passwd, disable, enable, logout. */
#include "clients/cli/cli.h"
#include "clients/cli/password.h"

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/base/error.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ACTOR "command line"
enum { PAGE = 500 };

/* What the password options ask for. */
struct password {
    char hash[CLI_HASH_MAX];
    char one_time[CLI_ONE_TIME_LEN + 1]; /* "" when it was read */
    bool given;
};

/* Reads or makes a password; given stays false when neither option is there. */
static int password_of(struct cli *c, const char *user, struct password *ret)
{
    bool read = cli_has(c, "password-stdin"), make = cli_has(c, "one-time");
    if (read && make)
        return cli_fail(c, CLI_USAGE, "--password-stdin or --one-time, not both");
    if (!read && !make)
        return CLI_OK;
    char *line = NULL;
    const char *password = ret->one_time;
    if (read) {
        line = cli_read_line(c, "password");
        if (!line)
            return CLI_USAGE;
        const char *problem = cli_password_problem(user, line);
        if (problem) {
            free(line);
            return cli_fail(c, CLI_USAGE, "%s", problem);
        }
        password = line;
    } else {
        cli_password_one_time(ret->one_time);
    }
    int e = cli_password_hash(c->config, password, ret->hash);
    free(line);
    if (e)
        return cli_fail(c, CLI_FAILED, "not enough memory to hash a password: api.argon2_memory_kib is %" PRId64,
                        c->config->api_argon2_memory_kib);
    ret->given = true;
    return CLI_OK;
}

static void put_one_time(struct cli *c, const char *user, const struct password *p)
{
    if (c->json) {
        struct pgn_buf line = {0};
        struct pgn_json j = pgn_json_on(&line);
        pgn_json_object(&j);
        pgn_json_key(&j, "user");
        pgn_json_str(&j, user);
        if (*p->one_time) {
            pgn_json_key(&j, "one_time_password");
            pgn_json_str(&j, p->one_time);
        }
        pgn_json_object_end(&j);
        cli_put_json(&line);
        pgn_buf_release(&line);
    } else if (*p->one_time) {
        printf("One-time password: %s\n", p->one_time);
    }
}

int cli_user_add(struct cli *c)
{
    const char *user = c->args[0], *name = cli_value(c, "name");
    if (!cli_user_ok(c, user))
        return CLI_USAGE;
    int code = cli_connect(c);
    struct password password = {0};
    if (!code)
        code = password_of(c, user, &password);
    if (code)
        return code;
    Pigeon__User u = PIGEON__USER__INIT;
    char *own_user = pgn_strdup(user), *own_name = pgn_strdup(name ? name : user);
    u.user = own_user;
    u.name = own_name;
    u.password_hash = password.hash;
    u.admin = cli_has(c, "admin");
    u.must_change_password = *password.one_time != 0;
    u.created_at = pgn_wall_ms();
    struct pgn_rpc_problem problem = {0};
    int e = pgn_storage_user_create(c->bus, ACTOR, &u, c->arena, &problem);
    free(own_user);
    free(own_name);
    if (e == PGN_E_CONFLICT)
        return cli_fail(c, CLI_FAILED, "there is a user \"%s\" already: `pigeon user passwd %s` sets another password", user, user);
    if (e)
        return cli_fail_call(c, e, &problem, "the user was not added");
    if (!c->json)
        printf("Added %s%s.%s\n", user, u.admin ? ", an administrator" : "",
               password.given ? "" : " There is no password yet: `pigeon user passwd` sets one.");
    put_one_time(c, user, &password);
    return CLI_OK;
}

static void put_user(struct cli *c, Pigeon__User *u)
{
    static char none[] = "";
    u->password_hash = none;
    if (c->json) {
        cli_put_message(&u->base);
        return;
    }
    char seen[32], files[32];
    printf("%-20s ", u->user);
    cli_put_text(u->name);
    printf("%*s %-8s %-8s %-16s %s\n", (int)(strlen(u->name) < 24 ? 24 - strlen(u->name) : 0), "", u->admin ? "admin" : "-",
           u->disabled ? "disabled" : "-", cli_time(u->last_seen, seen, sizeof seen), cli_bytes(u->file_bytes, files, sizeof files));
}

int cli_user_list(struct cli *c)
{
    uint64_t limit;
    if (!cli_number(c, "limit", UINT64_MAX, 1, UINT64_MAX, &limit))
        return CLI_USAGE;
    int code = cli_connect(c);
    if (code)
        return code;
    if (!c->json)
        printf("%-20s %-24s %-8s %-8s %-16s %s\n", "USER", "NAME", "ROLE", "STATE", "LAST SEEN", "FILES");
    char after[64] = "";
    Pigeon__UserList *list = NULL;
    for (uint64_t shown = 0; shown < limit;) {
        struct pgn_rpc_problem problem = {0};
        uint64_t want = limit - shown < PAGE ? limit - shown : PAGE;
        int e = pgn_storage_user_list(c->bus, c->arg_count ? c->args[0] : "", after, (uint32_t)want, c->arena, &list, &problem);
        if (e)
            return cli_fail_read(c, e, &problem, "no list of users");
        for (size_t i = 0; i < list->n_users; i++)
            put_user(c, list->users[i]);
        shown += list->n_users;
        if (!list->more || !list->n_users)
            break;
        snprintf(after, sizeof after, "%s", list->users[list->n_users - 1]->user);
        pgn_arena_reset(c->arena);
    }
    return CLI_OK;
}

static int sessions_of(struct cli *c, const char *user, Pigeon__SessionList **ret_list)
{
    Pigeon__SessionRequest request = PIGEON__SESSION_REQUEST__INIT;
    Pigeon__SessionUser who = PIGEON__SESSION_USER__INIT;
    char *own = pgn_strdup(user);
    who.user = own;
    request.what_case = PIGEON__SESSION_REQUEST__WHAT_LIST;
    request.list = &who;
    Pigeon__Reply *reply = NULL;
    struct pgn_rpc_problem problem = {0};
    int e = pgn_storage_session_sync(c->bus, &request, PGN_STORAGE_TIMEOUT_MS, c->arena, &reply, &problem);
    free(own);
    if (e)
        return cli_fail_read(c, e, &problem, "no list of devices");
    *ret_list = reply->sessions;
    return CLI_OK;
}

static int get_user(struct cli *c, Pigeon__User **ret_user)
{
    const char *user = c->args[0];
    struct pgn_rpc_problem problem = {0};
    int e = pgn_storage_user_get(c->bus, user, c->arena, ret_user, &problem);
    if (e == PGN_E_NOT_FOUND)
        return cli_fail(c, CLI_FAILED, "there is no user \"%s\": `pigeon user list` shows all", user);
    return e ? cli_fail_read(c, e, &problem, "the user was not found out") : CLI_OK;
}

int cli_user_show(struct cli *c)
{
    Pigeon__User *u = NULL;
    Pigeon__SessionList *sessions = NULL;
    if (!cli_user_ok(c, c->args[0]))
        return CLI_USAGE;
    int code = cli_connect(c);
    if (!code)
        code = get_user(c, &u);
    if (!code)
        code = sessions_of(c, c->args[0], &sessions);
    if (code)
        return code;
    put_user(c, u);
    for (size_t i = 0; sessions && i < sessions->n_sessions; i++) {
        Pigeon__Session *s = sessions->sessions[i];
        char used[32], expires[32];
        s->hash.len = 0;
        if (c->json)
            cli_put_message(&s->base);
        else
            printf("  device %-24s last used %-16s expires %s\n", s->device, cli_time(s->last_used, used, sizeof used),
                   cli_time(s->expires_at, expires, sizeof expires));
    }
    return CLI_OK;
}

/* Logs out one device, or all when device is NULL. */
static int revoke(struct cli *c, const char *user, const char *device)
{
    Pigeon__SessionRevoke what = PIGEON__SESSION_REVOKE__INIT;
    char *own_user = pgn_strdup(user), *own_device = pgn_strdup(device ? device : "");
    what.user = own_user;
    what.device = own_device;
    what.all = !device;
    struct pgn_rpc_problem problem = {0};
    int e = pgn_storage_session_revoke(c->bus, ACTOR, &what, c->arena, &problem);
    free(own_user);
    free(own_device);
    if (e == PGN_E_NOT_FOUND && device)
        return cli_fail(c, CLI_FAILED, "%s has no device \"%s\": `pigeon user show %s` lists them", user, device, user);
    return e && e != PGN_E_NOT_FOUND ? cli_fail_call(c, e, &problem, "devices were not logged out") : CLI_OK;
}

static int patch(struct cli *c, Pigeon__User *values, char **fields, size_t count)
{
    Pigeon__User *u = NULL;
    int code = get_user(c, &u);
    if (code)
        return code;
    struct pgn_rpc_problem problem = {0};
    int e = pgn_storage_user_patch(c->bus, ACTOR, c->args[0], values, fields, count, c->arena, &problem);
    return e ? cli_fail_call(c, e, &problem, "the user was not changed") : CLI_OK;
}

int cli_user_passwd(struct cli *c)
{
    const char *user = c->args[0];
    if (!cli_user_ok(c, user))
        return CLI_USAGE;
    if (!cli_has(c, "password-stdin") && !cli_has(c, "one-time"))
        return cli_fail(c, CLI_USAGE, "say where the password comes from: --password-stdin, or --one-time to have one made");
    int code = cli_connect(c);
    struct password password = {0};
    if (!code)
        code = password_of(c, user, &password);
    if (code)
        return code;
    Pigeon__User values = PIGEON__USER__INIT;
    char hash_field[] = "password_hash", change_field[] = "must_change_password";
    char *fields[] = {hash_field, change_field};
    values.password_hash = password.hash;
    values.must_change_password = *password.one_time != 0;
    code = patch(c, &values, fields, PGN_COUNT(fields));
    if (!code && !cli_has(c, "keep-sessions"))
        code = revoke(c, user, NULL);
    if (code)
        return code;
    if (!c->json)
        printf("%s has a new password.\n", user);
    put_one_time(c, user, &password);
    return CLI_OK;
}

static int set_disabled(struct cli *c, bool disabled)
{
    const char *user = c->args[0];
    if (!cli_user_ok(c, user))
        return CLI_USAGE;
    int code = cli_connect(c);
    if (code)
        return code;
    Pigeon__User values = PIGEON__USER__INIT;
    char field[] = "disabled";
    char *fields[] = {field};
    values.disabled = disabled;
    code = patch(c, &values, fields, PGN_COUNT(fields));
    if (!code && disabled)
        code = revoke(c, user, NULL);
    if (!code && !c->json)
        printf("%s is %s.\n", user, disabled ? "disabled, all devices are logged out" : "enabled");
    return code;
}

int cli_user_disable(struct cli *c)
{
    return set_disabled(c, true);
}

int cli_user_enable(struct cli *c)
{
    return set_disabled(c, false);
}

int cli_user_logout(struct cli *c)
{
    if (!cli_user_ok(c, c->args[0]))
        return CLI_USAGE;
    int code = cli_connect(c);
    Pigeon__User *u = NULL;
    if (!code)
        code = get_user(c, &u);
    if (!code)
        code = revoke(c, c->args[0], c->arg_count > 1 ? c->args[1] : NULL);
    if (!code && !c->json)
        printf("%s: %s logged out.\n", c->args[0], c->arg_count > 1 ? c->args[1] : "all devices are");
    return code;
}
