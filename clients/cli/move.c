/* export, import: pigeon-storage does them, with the service stopped. */
#include "clients/cli/cli.h"

#include "common/base/error.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ASK_MS = 1500 };

/* What would be written meanwhile would be in neither store, or in half a file. */
static bool storage_answers(struct cli *c)
{
    char *secret = NULL;
    struct pgn_buf text = {0};
    struct pgn_rpc_problem problem = {0};
    Pigeon__Nothing nothing = PIGEON__NOTHING__INIT;
    Pigeon__AdminRequest request = PIGEON__ADMIN_REQUEST__INIT;
    Pigeon__Reply *reply = NULL;
    bool there = !pgn_secret_read(c->config, "nats-cli", &secret, &text) &&
                 !pgn_bus_sync_new(c->config->bus_url, c->config->bus_tls_ca, "pigeon command line", "cli", secret, ASK_MS, &c->bus);

    free(secret);
    pgn_buf_release(&text);
    if (there) {
        c->arena = pgn_arena_new(4096);
        request.what_case = PIGEON__ADMIN_REQUEST__WHAT_STATS;
        request.stats = &nothing;
        there = !pgn_storage_admin_sync(c->bus, &request, ASK_MS, c->arena, &reply, &problem);
    }
    return there;
}

/* pigeon-storage lies beside this program. */
static bool storage_path(char *path, size_t bytes)
{
    ssize_t n = readlink("/proc/self/exe", path, bytes - 1);

    if (n <= 0)
        return false;
    path[n] = 0;
    char *name = strrchr(path, '/');
    size_t room = name ? bytes - (size_t)(name + 1 - path) : 0;
    return name && snprintf(name + 1, room, "pigeon-storage") < (int)room && access(path, X_OK) == 0;
}

static int move(struct cli *c, const char *verb)
{
    char program[4096], config[4096], file[4096];
    int code = cli_load(c);

    if (code)
        return code;
    if (storage_answers(c))
        return cli_fail(c, CLI_FAILED, "Pigeon is running: what is written during a move would be lost. Stop it first (`make down`)");
    if (!storage_path(program, sizeof program))
        return cli_fail(c, CLI_FAILED, "pigeon-storage is not beside this program");
    snprintf(config, sizeof config, "%s/pigeon.yaml", c->data);
    snprintf(file, sizeof file, "%s", c->args[0]);
    char *const args[] = {program, (char *)(uintptr_t)verb, file, (char *)(uintptr_t) "--config", config, NULL};
    fflush(stdout);
    execv(program, args);
    return cli_fail(c, CLI_FAILED, "%s cannot be started: %s", program, strerror(errno));
}

int cli_export(struct cli *c)
{
    return move(c, "--export");
}

int cli_import_store(struct cli *c)
{
    return move(c, "--import");
}
