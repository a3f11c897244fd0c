/* The command line's words: which command, its arguments, its options. */
#include "clients/cli/cli.h"

#include "common/base/error.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How many words of argv are the command's name; 0: they are not. */
static int matches(const struct cli_command *command, int argc, char **argv)
{
    const char *name = command->name;
    for (int i = 0; i < argc; i++) {
        size_t len = strlen(argv[i]);
        if (strncmp(name, argv[i], len) || (name[len] && name[len] != ' '))
            return 0;
        if (!name[len])
            return i + 1;
        name += len + 1;
    }
    return 0;
}

static const struct cli_command *find(int argc, char **argv, int *ret_words)
{
    const struct cli_command *best = NULL;
    for (size_t i = 0; i < cli_command_count; i++) {
        int words = matches(&cli_commands[i], argc, argv);
        if (words > *ret_words) {
            best = &cli_commands[i];
            *ret_words = words;
        }
    }
    return best;
}

/* "user" alone, or "user foo": names what there is. */
static int unknown(struct cli *c, const char *word)
{
    size_t len = strlen(word);
    struct pgn_buf like = {0};
    for (size_t i = 0; i < cli_command_count; i++)
        if (!strncmp(cli_commands[i].name, word, len) && cli_commands[i].name[len] == ' ')
            pgn_buf_printf(&like, "%s`pigeon %s`", like.len ? ", " : "", cli_commands[i].name);
    if (like.len)
        return cli_fail(c, CLI_USAGE, "`pigeon %s` needs one more word: %s", word, pgn_buf_cstr(&like));
    return cli_fail(c, CLI_USAGE, "there is no command \"%s\": `pigeon help` lists them", word);
}

static int option(struct cli *c, int argc, char **argv, int *i)
{
    const char *word = argv[*i] + 2;
    const char *equals = strchr(word, '=');
    size_t len = equals ? (size_t)(equals - word) : strlen(word);
    bool is_data = len == 4 && !strncmp(word, "data", 4);
    const struct cli_option *o = NULL;
    size_t at = 0;
    for (; !is_data && at < CLI_OPTIONS_MAX && c->command->options[at].name; at++) {
        if (strlen(c->command->options[at].name) == len && !strncmp(c->command->options[at].name, word, len)) {
            o = &c->command->options[at];
            break;
        }
    }
    if (!is_data && !o)
        return cli_fail(c, CLI_USAGE, "`pigeon %s` has no option --%.*s: see `pigeon help %s`", c->command->name, (int)len, word,
                        c->command->name);
    const char *value = "";
    if (is_data || o->value) {
        if (equals)
            value = equals + 1;
        else if (*i + 1 < argc)
            value = argv[++*i];
        else
            return cli_fail(c, CLI_USAGE, "--%.*s needs a value: --%.*s %s", (int)len, word, (int)len, word, is_data ? "DIR" : o->value);
    } else if (equals) {
        return cli_fail(c, CLI_USAGE, "--%.*s takes no value", (int)len, word);
    }
    if (is_data)
        c->data = value;
    else
        c->values[at] = value;
    return CLI_OK;
}

static int arguments(struct cli *c, int argc, char **argv)
{
    bool options = true;
    for (int i = 0; i < argc; i++) {
        if (options && !strcmp(argv[i], "--")) {
            options = false;
        } else if (options && !strcmp(argv[i], "--json")) {
            c->json = true;
        } else if (options && (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))) {
            cli_help_command(c->command);
            exit(CLI_OK);
        } else if (options && !strncmp(argv[i], "--", 2)) {
            int e = option(c, argc, argv, &i);
            if (e)
                return e;
        } else if (c->arg_count >= c->command->args_max) {
            return cli_fail(c, CLI_USAGE, "`pigeon %s` does not take \"%s\": usage is pigeon %s %s", c->command->name, argv[i],
                            c->command->name, c->command->args);
        } else {
            c->args[c->arg_count++] = argv[i];
        }
    }
    if (c->arg_count < c->command->args_min)
        return cli_fail(c, CLI_USAGE, "usage: pigeon %s %s (more: pigeon help %s)", c->command->name, c->command->args, c->command->name);
    return CLI_OK;
}

int cli_parse(struct cli *c, int argc, char **argv)
{
    int at = 1;
    for (int i = 1; i < argc; i++) /* errors before the end of parsing, too, are said in the form asked for */
        c->json |= !strcmp(argv[i], "--json");
    for (; at < argc && argv[at][0] == '-'; at++) {
        if (!strcmp(argv[at], "--data") && at + 1 < argc) {
            c->data = argv[++at];
        } else if (!strcmp(argv[at], "--help") || !strcmp(argv[at], "-h")) {
            cli_help_overview();
            exit(CLI_OK);
        } else if (!strcmp(argv[at], "--version")) {
            exit(cli_version(c));
        } else if (strcmp(argv[at], "--json") != 0) {
            return cli_fail(c, CLI_USAGE, "the command comes first, then its options: `pigeon help`");
        }
    }
    if (at >= argc) {
        cli_help_overview();
        return CLI_USAGE;
    }
    int words = 0;
    c->command = find(argc - at, argv + at, &words);
    if (!c->command)
        return unknown(c, argv[at]);
    return arguments(c, argc - at - words, argv + at + words);
}

const char *cli_value(const struct cli *c, const char *name)
{
    for (size_t i = 0; i < CLI_OPTIONS_MAX && c->command->options[i].name; i++)
        if (!strcmp(c->command->options[i].name, name))
            return c->values[i];
    return NULL;
}

bool cli_has(const struct cli *c, const char *name)
{
    return cli_value(c, name) != NULL;
}

bool cli_number(struct cli *c, const char *name, uint64_t fallback, uint64_t min, uint64_t max, uint64_t *ret_value)
{
    const char *text = cli_value(c, name);
    if (!text) {
        *ret_value = fallback;
        return true;
    }
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || v < min || v > max) {
        (void)cli_fail(c, CLI_USAGE, "--%s is \"%s\": write a number from %llu to %llu", name, text, (unsigned long long)min,
                       (unsigned long long)max);
        return false;
    }
    *ret_value = v;
    return true;
}
