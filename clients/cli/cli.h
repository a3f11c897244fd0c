/*
 * The command line `pigeon`: what its commands share. One command a process, one thread (but for password hashing);
 * everything allocated lives until exit.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "common/base/buf.h"
#include "common/base/compiler.h"
#include "common/base/json.h"
#include "common/proto/storage_client.h"
#include "common/svc/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Exit codes; `pigeon help` documents them. */
enum cli_exit { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_DOUBT = 3, CLI_DOWN = 4 };

enum { CLI_ARGS_MAX = 8, CLI_OPTIONS_MAX = 12 };

struct cli_option {
    const char *name;  /* without dashes */
    const char *value; /* what it takes, for help ("N"); NULL: nothing */
    const char *text;
};

struct cli;
struct cli_command {
    const char *name; /* "user add" */
    const char *args; /* "NAME", "[NAME]" */
    int args_min, args_max;
    int (*run)(struct cli *c); /* gives an exit code */
    const char *text;          /* one line */
    const char *more;          /* further help and examples; NULL: none */
    struct cli_option options[CLI_OPTIONS_MAX];
};
extern const struct cli_command cli_commands[];
extern const size_t cli_command_count;

struct cli {
    const struct cli_command *command;
    const char *args[CLI_ARGS_MAX];
    int arg_count;
    const char *values[CLI_OPTIONS_MAX]; /* beside command->options; NULL: not given, "" for a flag */
    const char *data;                    /* the node's directory */
    bool json;
    struct pgn_config *config; /* after cli_load or cli_connect */
    struct pgn_bus_sync *bus;  /* after cli_connect */
    struct pgn_arena *arena;   /* of answers */
};

/* ---- arguments (args.c) ---- */

/* Fills c from the command line; CLI_OK, or an exit code after saying what is wrong. */
int cli_parse(struct cli *c, int argc, char **argv);
bool cli_has(const struct cli *c, const char *option);
const char *cli_value(const struct cli *c, const char *option); /* NULL: not given */
/* A number within bounds, `fallback` when not given; false after saying what is wrong. */
bool cli_number(struct cli *c, const char *option, uint64_t fallback, uint64_t min, uint64_t max, uint64_t *ret_value) PGN_MUST_USE;

/* ---- help (help.c) ---- */

int cli_help(struct cli *c);
void cli_help_overview(void);
void cli_help_command(const struct cli_command *command);
int cli_version(struct cli *c);

/* ---- the node (node.c) ---- */

/* Reads DATA/pigeon.yaml; CLI_OK, or an exit code after saying what is wrong. */
int cli_load(struct cli *c) PGN_MUST_USE;
/* cli_load, then connects to the bus as the user `cli`. */
int cli_connect(struct cli *c) PGN_MUST_USE;

/* ---- saying things (say.c) ---- */

/* What is wrong, and what to do; on standard error, or with --json an object with `error` on standard output. Gives `code`. */
int cli_fail(struct cli *c, int code, const char *format, ...) PGN_PRINTF(3, 4);
/* The same for a call that failed: the exit code follows from the error. */
int cli_fail_call(struct cli *c, int error, const struct pgn_rpc_problem *problem, const char *what);
/* The same for a call that changes nothing: no answer is not in doubt, only a service that is down. */
int cli_fail_read(struct cli *c, int error, const struct pgn_rpc_problem *problem, const char *what);
/* One line of JSON on standard output; clears the buffer. */
void cli_put_json(struct pgn_buf *line);
/* An object of a schema's message, as --json shows it. */
void cli_put_message(const ProtobufCMessage *message);

/* "2026-11-21 01:33" of local time, "-" for 0. */
const char *cli_time(uint64_t ms, char *text, size_t bytes);
/* "1.4 GB", "3 min": for people. */
const char *cli_bytes(uint64_t bytes, char *text, size_t size);
const char *cli_ago(uint64_t ms_ago, char *text, size_t size);
/* Writes a peer's text to standard output without control characters. */
void cli_put_text(const char *text);

/* A user id, checked; false after saying what is wrong. */
bool cli_user_ok(struct cli *c, const char *user);
/* One line of standard input without its end, at most 1,024 bytes; NULL after saying what is wrong. Caller frees. */
char *cli_read_line(struct cli *c, const char *what);

/* ---- commands ---- */

int cli_user_add(struct cli *c);
int cli_user_list(struct cli *c);
int cli_user_show(struct cli *c);
int cli_user_passwd(struct cli *c);
int cli_user_disable(struct cli *c);
int cli_user_enable(struct cli *c);
int cli_user_logout(struct cli *c);
int cli_user_import(struct cli *c);
int cli_invite(struct cli *c);
int cli_invite_list(struct cli *c);
int cli_invite_delete(struct cli *c);
int cli_send(struct cli *c);
int cli_history(struct cli *c);
int cli_tail(struct cli *c);
int cli_status(struct cli *c);
int cli_config_check(struct cli *c);
int cli_config_doc(struct cli *c);
int cli_backup(struct cli *c);
int cli_backup_list(struct cli *c);
int cli_restore(struct cli *c);
int cli_audit(struct cli *c);
int cli_doctor(struct cli *c);
int cli_export(struct cli *c);
int cli_import_store(struct cli *c);

#endif
