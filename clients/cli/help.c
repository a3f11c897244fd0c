/* `pigeon help`, made from the table of commands. */
#include "clients/cli/cli.h"

#include <stdio.h>
#include <string.h>

void cli_help_overview(void)
{
    puts("pigeon: the command line of a Pigeon node\n"
         "\n"
         "  pigeon COMMAND [ARGUMENTS] [--data DIR] [--json]\n");
    for (size_t i = 0; i < cli_command_count; i++) {
        const struct cli_command *k = &cli_commands[i];
        char head[64];
        snprintf(head, sizeof head, "%s %s", k->name, k->args);
        printf("  %-22s %s\n", head, k->text);
    }
    puts("\n"
         "  --data DIR   the node's directory (default: PIGEON_DATA, else ./var)\n"
         "  --json       answers as JSON: one object a line; errors as {\"error\":{...}}\n"
         "  --help       more about a command, like `pigeon help COMMAND`\n"
         "\n"
         "Exit codes: 0 done; 1 refused or failed; 2 wrong usage or configuration; 3 in doubt: it may have been done, look\n"
         "before you repeat it; 4 the node, or the service that should answer, is not running.");
}

void cli_help_command(const struct cli_command *k)
{
    printf("pigeon %s%s%s: %s\n", k->name, *k->args ? " " : "", k->args, k->text);
    if (k->more)
        printf("\n%s", k->more);
    if (k->options[0].name)
        puts("\nOptions:");
    for (size_t i = 0; i < CLI_OPTIONS_MAX && k->options[i].name; i++) {
        char head[48];
        snprintf(head, sizeof head, "--%s %s", k->options[i].name, k->options[i].value ? k->options[i].value : "");
        printf("  %-20s %s\n", head, k->options[i].text);
    }
}

int cli_help(struct cli *c)
{
    struct pgn_buf name = {0};
    for (int i = 0; i < c->arg_count; i++)
        pgn_buf_printf(&name, "%s%s", i ? " " : "", c->args[i]);
    if (!name.len) {
        cli_help_overview();
        return CLI_OK;
    }
    int found = 0;
    for (size_t i = 0; i < cli_command_count; i++) {
        size_t len = name.len;
        const char *candidate = cli_commands[i].name;
        if (strncmp(candidate, pgn_buf_cstr(&name), len) != 0 || (candidate[len] && candidate[len] != ' '))
            continue;
        if (found++)
            puts("\n----\n");
        cli_help_command(&cli_commands[i]);
    }
    if (!found)
        return cli_fail(c, CLI_USAGE, "there is no command \"%s\": `pigeon help` lists them", pgn_buf_cstr(&name));
    pgn_buf_release(&name);
    return CLI_OK;
}

int cli_version(struct cli *c)
{
    if (c->json) {
        struct pgn_buf line = {0};
        struct pgn_json j = pgn_json_on(&line);
        pgn_json_object(&j);
        pgn_json_key(&j, "version");
        pgn_json_str(&j, PGN_VERSION);
        pgn_json_object_end(&j);
        cli_put_json(&line);
        pgn_buf_release(&line);
    } else {
        puts("pigeon " PGN_VERSION);
    }
    return CLI_OK;
}
