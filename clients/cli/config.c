/* config check, config doc. */
#include "clients/cli/cli.h"

#include "common/base/error.h"

#include <stdio.h>
#include <unistd.h>

int cli_config_check(struct cli *c)
{
    struct pgn_buf problems = {0};
    const char *path = c->args[0];
    if (access(path, F_OK))
        return cli_fail(c, CLI_USAGE, "there is no file %s", path);
    if (pgn_config_load(path, &c->config, &problems)) {
        if (problems.len && problems.data[problems.len - 1] == '\n')
            problems.len--;
        if (c->json)
            return cli_fail(c, CLI_USAGE, "%s", pgn_buf_cstr(&problems));
        fprintf(stderr, "%s\n", pgn_buf_cstr(&problems));
        pgn_buf_release(&problems);
        return CLI_USAGE;
    }
    if (c->json)
        puts("{\"ok\":true}");
    else
        printf("%s: ok\n", path);
    pgn_buf_release(&problems);
    return CLI_OK;
}

int cli_config_doc(struct cli *c)
{
    struct pgn_buf text = {0};
    (void)c;
    pgn_config_document(&text);
    fwrite(text.data, 1, text.len, stdout);
    pgn_buf_release(&text);
    return CLI_OK;
}
