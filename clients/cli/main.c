/* pigeon: the command line of a node. */
#include "clients/cli/cli.h"

#include "common/base/alloc.h"

#include <signal.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_DFL);
    const char *data = getenv("PIGEON_DATA");
    struct cli c = {.data = data && *data ? data : "./var"};
    int code = cli_parse(&c, argc, argv);
    if (!code)
        code = c.command->run(&c);
    pgn_bus_sync_free(&c.bus);
    pgn_config_free(&c.config);
    pgn_arena_free(&c.arena);
    return code;
}
