/* invite, invite list, invite delete. */
#include "clients/cli/cli.h"

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/base/error.h"

#include <stdio.h>
#include <stdlib.h>

#define DAY_MS UINT64_C(86400000)

static char actor[] = "command line";

static int call(struct cli *c, Pigeon__DirRequest *request, const char *what, Pigeon__Reply **ret_reply)
{
    struct pgn_rpc_problem problem = {0};
    request->actor = actor;
    int e = pgn_storage_dir_sync(c->bus, request, PGN_STORAGE_TIMEOUT_MS, c->arena, ret_reply, &problem);
    bool reads = request->what_case == PIGEON__DIR_REQUEST__WHAT_INVITE_LIST;
    return !e ? CLI_OK : reads ? cli_fail_read(c, e, &problem, what) : cli_fail_call(c, e, &problem, what);
}

static void put_invite(struct cli *c, const Pigeon__Invitation *v)
{
    char until[32];
    if (c->json)
        cli_put_message(&v->base);
    else
        printf("%-24s %6u uses left   until %-16s   by %s\n", v->code, v->uses_left, cli_time(v->expires_at, until, sizeof until),
               v->created_by);
}

int cli_invite(struct cli *c)
{
    uint64_t uses, days;
    if (!cli_number(c, "uses", 1, 1, 1000000, &uses) || !cli_number(c, "days", 14, 1, 3650, &days))
        return CLI_USAGE;
    int code = cli_connect(c);
    if (code)
        return code;
    Pigeon__Invitation wanted = PIGEON__INVITATION__INIT;
    wanted.created_by = actor;
    wanted.created_at = pgn_wall_ms();
    wanted.expires_at = wanted.created_at + days * DAY_MS;
    wanted.uses_left = (uint32_t)uses;
    Pigeon__DirRequest request = PIGEON__DIR_REQUEST__INIT;
    request.what_case = PIGEON__DIR_REQUEST__WHAT_INVITE_CREATE;
    request.invite_create = &wanted;
    Pigeon__Reply *reply = NULL;
    code = call(c, &request, "no invitation was made", &reply);
    if (code)
        return code;
    if (!reply->invites || reply->invites->n_invites != 1)
        return cli_fail(c, CLI_FAILED, "storage answered without the invitation: `pigeon invite list` shows it");
    put_invite(c, reply->invites->invites[0]);
    return CLI_OK;
}

int cli_invite_list(struct cli *c)
{
    int code = cli_connect(c);
    if (code)
        return code;
    Pigeon__UserQuery query = PIGEON__USER_QUERY__INIT;
    query.limit = 1000;
    Pigeon__DirRequest request = PIGEON__DIR_REQUEST__INIT;
    request.what_case = PIGEON__DIR_REQUEST__WHAT_INVITE_LIST;
    request.invite_list = &query;
    Pigeon__Reply *reply = NULL;
    code = call(c, &request, "no list of invitations", &reply);
    if (code)
        return code;
    for (size_t i = 0; reply->invites && i < reply->invites->n_invites; i++)
        put_invite(c, reply->invites->invites[i]);
    if (!c->json && (!reply->invites || !reply->invites->n_invites))
        puts("There are no invitations: `pigeon invite` makes one.");
    return CLI_OK;
}

int cli_invite_delete(struct cli *c)
{
    int code = cli_connect(c);
    if (code)
        return code;
    Pigeon__Code which = PIGEON__CODE__INIT;
    char *own = pgn_strdup(c->args[0]);
    which.code = own;
    Pigeon__DirRequest request = PIGEON__DIR_REQUEST__INIT;
    request.what_case = PIGEON__DIR_REQUEST__WHAT_INVITE_DELETE;
    request.invite_delete = &which;
    Pigeon__Reply *reply = NULL;
    code = call(c, &request, "the invitation was not withdrawn", &reply);
    free(own);
    if (!code && !c->json)
        printf("%s is withdrawn.\n", c->args[0]);
    return code;
}
