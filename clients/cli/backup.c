/* backup, backup list, restore, audit. */
#include "clients/cli/cli.h"

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/base/error.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BACKUP_MS = 600000, RESTART_MS = 60000 };

static int call(struct cli *c, Pigeon__AdminRequest *request, const char *what, Pigeon__Reply **ret_reply)
{
    struct pgn_rpc_problem problem = {0};
    int e = pgn_storage_admin_sync(c->bus, request, BACKUP_MS, c->arena, ret_reply, &problem);
    bool reads = request->what_case == PIGEON__ADMIN_REQUEST__WHAT_BACKUP_LIST;
    return !e ? CLI_OK : reads ? cli_fail_read(c, e, &problem, what) : cli_fail_call(c, e, &problem, what);
}

static bool name_ok(struct cli *c, const char *name)
{
    if (*name && *name != '.' && strlen(name) <= 64 &&
        !name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")])
        return true;
    (void)cli_fail(c, CLI_USAGE, "\"%s\" cannot be a backup's name: 1 to 64 letters, digits, . _ or -", name);
    return false;
}

static void put_backup(struct cli *c, const Pigeon__BackupInfo *b)
{
    char when[32], size[32];
    if (c->json)
        cli_put_message(&b->base);
    else
        printf("%-32s %-16s %8s  %s\n", b->name, cli_time(b->at, when, sizeof when), cli_bytes(b->bytes, size, sizeof size), b->path);
}

int cli_backup(struct cli *c)
{
    if (c->arg_count && !name_ok(c, c->args[0]))
        return CLI_USAGE;
    int code = cli_connect(c);
    if (code)
        return code;
    Pigeon__BackupInfo wanted = PIGEON__BACKUP_INFO__INIT;
    char *name = pgn_strdup(c->arg_count ? c->args[0] : "");
    wanted.name = name;
    Pigeon__AdminRequest request = PIGEON__ADMIN_REQUEST__INIT;
    request.what_case = PIGEON__ADMIN_REQUEST__WHAT_BACKUP;
    request.backup = &wanted;
    Pigeon__Reply *reply = NULL;
    code = call(c, &request, "no backup was made", &reply);
    free(name);
    if (code)
        return code;
    if (reply->payload_case != PIGEON__REPLY__PAYLOAD_BACKUP)
        return cli_fail(c, CLI_FAILED, "storage answered without the backup: `pigeon backup list` shows all");
    put_backup(c, reply->backup);
    return CLI_OK;
}

int cli_backup_list(struct cli *c)
{
    int code = cli_connect(c);
    if (code)
        return code;
    Pigeon__Nothing nothing = PIGEON__NOTHING__INIT;
    Pigeon__AdminRequest request = PIGEON__ADMIN_REQUEST__INIT;
    request.what_case = PIGEON__ADMIN_REQUEST__WHAT_BACKUP_LIST;
    request.backup_list = &nothing;
    Pigeon__Reply *reply = NULL;
    code = call(c, &request, "no list of backups", &reply);
    if (code)
        return code;
    size_t count = reply->payload_case == PIGEON__REPLY__PAYLOAD_BACKUPS ? reply->backups->n_backups : 0;
    for (size_t i = 0; i < count; i++)
        put_backup(c, reply->backups->backups[i]);
    if (!count && !c->json)
        puts("There are no backups: `pigeon backup` makes one.");
    return CLI_OK;
}

static int epoch_of(struct cli *c, char *ret_epoch, size_t bytes)
{
    Pigeon__StoreStats *stats = NULL;
    struct pgn_rpc_problem problem = {0};
    int e = pgn_storage_stats(c->bus, c->arena, &stats, &problem);
    if (!e)
        snprintf(ret_epoch, bytes, "%s", stats->epoch);
    return e;
}

/* Until storage answers again with another epoch. */
static int wait_restarted(struct cli *c, const char *before)
{
    uint64_t until = pgn_mono_ms() + RESTART_MS;
    char now[80] = "";
    while (pgn_mono_ms() < until) {
        if (!epoch_of(c, now, sizeof now) && strcmp(now, before) != 0)
            return CLI_OK;
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    }
    return cli_fail(c, CLI_DOUBT, "storage took the backup, but did not come back within 60 s: `make logs` says why");
}

static bool sure(struct cli *c)
{
    if (cli_has(c, "yes") || c->json || !isatty(STDIN_FILENO))
        return true;
    printf("Everything written since the backup \"%s\" goes from the store. Type its name to go on: ", c->args[0]);
    fflush(stdout);
    char answer[80] = "";
    if (!fgets(answer, sizeof answer, stdin))
        answer[0] = 0;
    answer[strcspn(answer, "\n")] = 0;
    return !strcmp(answer, c->args[0]);
}

int cli_restore(struct cli *c)
{
    if (!name_ok(c, c->args[0]))
        return CLI_USAGE;
    int code = cli_connect(c);
    if (code)
        return code;
    if (!sure(c))
        return cli_fail(c, CLI_FAILED, "nothing was restored");
    char before[80] = "";
    struct pgn_rpc_problem problem = {0};
    int e = epoch_of(c, before, sizeof before);
    if (e) {
        (void)pgn_rpc_fail(&problem, e, NULL);
        return cli_fail_call(c, e, &problem, "nothing was restored");
    }
    Pigeon__BackupInfo wanted = PIGEON__BACKUP_INFO__INIT;
    char *name = pgn_strdup(c->args[0]);
    wanted.name = name;
    Pigeon__AdminRequest request = PIGEON__ADMIN_REQUEST__INIT;
    request.what_case = PIGEON__ADMIN_REQUEST__WHAT_RESTORE;
    request.restore = &wanted;
    Pigeon__Reply *reply = NULL;
    e = pgn_storage_admin_sync(c->bus, &request, BACKUP_MS, c->arena, &reply, &problem);
    free(name);
    if (e == PGN_E_NOT_FOUND)
        return cli_fail(c, CLI_FAILED, "there is no backup \"%s\": `pigeon backup list` shows all", c->args[0]);
    if (e)
        return cli_fail_call(c, e, &problem, "the backup was not restored");
    if (reply->payload_case == PIGEON__REPLY__PAYLOAD_BACKUP)
        put_backup(c, reply->backup);
    code = wait_restarted(c, before);
    if (!code && !c->json)
        puts("Restored.");
    return code;
}

int cli_audit(struct cli *c)
{
    uint64_t limit;
    if (!cli_number(c, "limit", 50, 1, 1000, &limit))
        return CLI_USAGE;
    int code = cli_connect(c);
    if (code)
        return code;
    Pigeon__UserQuery query = PIGEON__USER_QUERY__INIT;
    query.limit = (uint32_t)limit;
    Pigeon__DirRequest request = PIGEON__DIR_REQUEST__INIT;
    request.what_case = PIGEON__DIR_REQUEST__WHAT_AUDIT_LIST;
    request.audit_list = &query;
    Pigeon__Reply *reply = NULL;
    struct pgn_rpc_problem problem = {0};
    int e = pgn_storage_dir_sync(c->bus, &request, PGN_STORAGE_TIMEOUT_MS, c->arena, &reply, &problem);
    if (e)
        return cli_fail_read(c, e, &problem, "no audit log");
    for (size_t i = 0; reply->payload_case == PIGEON__REPLY__PAYLOAD_AUDIT && i < reply->audit->n_entries; i++) {
        Pigeon__AuditEntry *a = reply->audit->entries[i];
        char when[32];
        a->hash.len = 0;
        if (c->json)
            cli_put_message(&a->base);
        else
            printf("%6" PRIu64 " %-16s %-20s %-20s %s %s\n", a->number, cli_time(a->at, when, sizeof when), *a->actor ? a->actor : "system",
                   a->action, a->object, a->detail);
    }
    return CLI_OK;
}
