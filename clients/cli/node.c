/* Finding the node: its directory, configuration, and the bus. */
#include "clients/cli/cli.h"

#include "common/base/alloc.h"
#include "common/base/error.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CONNECT_MS = 3000, ARENA_CHUNK = 65536 };

int cli_load(struct cli *c)
{
    char path[4096];
    if (snprintf(path, sizeof path, "%s/pigeon.yaml", c->data) >= (int)sizeof path)
        return cli_fail(c, CLI_USAGE, "the path of the data directory is too long");
    if (access(path, R_OK)) {
        if (errno == EACCES)
            return cli_fail(c, CLI_USAGE, "no right to read %s: run this as the user that runs Pigeon", path);
        return cli_fail(c, CLI_DOWN,
                        "there is no Pigeon node at %s: start one with `make up`, or set PIGEON_DATA (or --data) to its directory",
                        c->data);
    }
    struct pgn_buf problems = {0};
    if (pgn_config_load(path, &c->config, &problems)) {
        if (problems.len && problems.data[problems.len - 1] == '\n')
            problems.len--;
        return cli_fail(c, CLI_USAGE, "the configuration has problems:\n%s", pgn_buf_cstr(&problems));
    }
    pgn_buf_release(&problems);
    return CLI_OK;
}

int cli_connect(struct cli *c)
{
    int code = cli_load(c);
    if (code)
        return code;
    struct pgn_buf problem = {0};
    char *secret = NULL;
    if (pgn_secret_read(c->config, "nats-cli", &secret, &problem))
        return cli_fail(c, CLI_USAGE, "%s", pgn_buf_cstr(&problem));
    int e = pgn_bus_sync_new(c->config->bus_url, c->config->bus_tls_ca, "pigeon command line", "cli", secret, CONNECT_MS, &c->bus);
    free(secret);
    if (e)
        return cli_fail(c, CLI_DOWN, "Pigeon is not running at %s (no NATS at %s): start it with `make up`, or set PIGEON_DATA", c->data,
                        c->config->bus_url);
    c->arena = pgn_arena_new(ARENA_CHUNK);
    return CLI_OK;
}
