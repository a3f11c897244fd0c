/* The one table of commands: names, arguments, options, help. */
#include "clients/cli/cli.h"

#define PASSWORD_OPTIONS                                                                                                                   \
    {"password-stdin", NULL, "read the password from standard input (one line)"},                                                          \
    {                                                                                                                                      \
        "one-time", NULL, "make a password and print it; it must be changed at the first login"                                            \
    }

const struct cli_command cli_commands[] = {
    {"user add",
     "NAME",
     1,
     1,
     cli_user_add,
     "add a user",
     "NAME is what the user logs in with: 1 to 32 of a-z 0-9 _ -, it cannot be changed later.\n"
     "Without --password-stdin or --one-time nobody can log in by password until `pigeon user passwd`.\n"
     "\n"
     "  pigeon user add alice --name \"Alice Example\" --one-time\n"
     "  pigeon user add root --admin --password-stdin < password.txt\n",
     {{"name", "TEXT", "name that others see (the user id when left out)"}, {"admin", NULL, "an administrator"}, PASSWORD_OPTIONS}},
    {"user list",
     "[PREFIX]",
     0,
     1,
     cli_user_list,
     "list users, or those whose id begins with PREFIX",
     "  pigeon user list\n"
     "  pigeon user list --json | jq -r .user\n",
     {{"limit", "N", "at most so many (default: all)"}}},
    {"user show", "NAME", 1, 1, cli_user_show, "one user, with devices that are logged in", "  pigeon user show alice\n", {{0}}},
    {"user passwd",
     "NAME",
     1,
     1,
     cli_user_passwd,
     "set a password; the user's devices are logged out",
     "  pigeon user passwd alice --one-time\n",
     {PASSWORD_OPTIONS, {"keep-sessions", NULL, "leave devices logged in"}}},
    {"user disable",
     "NAME",
     1,
     1,
     cli_user_disable,
     "stop a user from logging in, and close the user's devices",
     "What the user has written stays. `pigeon user enable NAME` takes it back.\n",
     {{0}}},
    {"user enable", "NAME", 1, 1, cli_user_enable, "let a disabled user log in again", NULL, {{0}}},
    {"user logout", "NAME [DEVICE]", 1, 2, cli_user_logout, "log out one device of a user, or all", NULL, {{0}}},
    {"user import",
     "FILE.csv",
     1,
     1,
     cli_user_import,
     "add many users from a CSV file",
     "Columns: user,name[,password], named in the first line or in this order. A row without a password makes a user who\n"
     "cannot log in by password. Users who exist already stay as they are. Nothing is imported when a row is wrong.\n"
     "\n"
     "  pigeon user import people.csv\n"
     "  pigeon user import people.csv --tokens tokens.csv     and each gets a session, written to tokens.csv\n",
     {{"tokens", "OUT.csv", "give each user a session and write user,token here (mode 0600)"},
      {"device", "NAME", "device of those sessions (default: load)"},
      {"days", "N", "life of those sessions (default: 30)"},
      {"must-change", NULL, "passwords must be changed at the first login"}}},
    {"invite",
     "",
     0,
     0,
     cli_invite,
     "make an invitation code to register with",
     "  pigeon invite --uses 30 --days 7\n",
     {{"uses", "N", "how many may register with it (default: 1)"}, {"days", "N", "how long it holds (default: 14)"}}},
    {"invite list", "", 0, 0, cli_invite_list, "list invitations", NULL, {{0}}},
    {"invite delete", "CODE", 1, 1, cli_invite_delete, "withdraw an invitation", NULL, {{0}}},
    {"send",
     "FROM TO TEXT",
     3,
     3,
     cli_send,
     "send a message as user FROM to a user or conversation",
     "TO is a user or a conversation's id. TEXT `-` is read from standard input. FROM must be allowed to write there.\n"
     "\n"
     "  pigeon send alice bob \"The exam is moved to room 12\"\n",
     {{"client-id", "ID", "idempotency key: the same one again sends nothing twice"}}},
    {"history",
     "CONV",
     1,
     1,
     cli_history,
     "print a conversation's messages",
     "CONV is a group's id (c...) or d:USER:USER.\n"
     "\n"
     "  pigeon history d:alice:bob --limit 20\n"
     "  pigeon history d:alice:bob --after 100 --json\n",
     {{"limit", "N", "at most so many messages (default: 50)"},
      {"after", "SEQ", "those after this number (default: the newest)"},
      {"before", "SEQ", "those before this number"}}},
    {"tail",
     "CONV",
     1,
     1,
     cli_tail,
     "follow a conversation live, until Ctrl-C",
     "  pigeon tail d:alice:bob\n",
     {{"last", "N", "first print so many older messages (default: 10)"}}},
    {"status",
     "",
     0,
     0,
     cli_status,
     "how the node is: services, connections, rates, memory, store, last backup, problems",
     "Exit code 0: no problems; 1: problems, each with advice; 4: not running.\n",
     {{0}}},
    {"config check",
     "FILE",
     1,
     1,
     cli_config_check,
     "check a configuration file",
     "Exit code 0: it is right; 2: each problem with its line, and what to do.\n",
     {{0}}},
    {"config doc", "", 0, 0, cli_config_doc, "print docs/CONFIG.md: every setting", NULL, {{0}}},
    {"backup",
     "[NAME]",
     0,
     1,
     cli_backup,
     "back up the store while it runs",
     "  pigeon backup                 named by the time\n"
     "  pigeon backup before-update\n",
     {{0}}},
    {"backup list", "", 0, 0, cli_backup_list, "list backups", NULL, {{0}}},
    {"restore",
     "NAME",
     1,
     1,
     cli_restore,
     "replace the store by a backup while Pigeon runs",
     "Everything written after that backup is gone from the store; what was there is set aside, storage restarts.\n"
     "\n"
     "  pigeon restore before-update --yes\n",
     {{"yes", NULL, "do not ask"}}},
    {"export",
     "FILE",
     1,
     1,
     cli_export,
     "write everything the store holds into a file, for another kind of store (Pigeon stopped)",
     "Lines of JSON in zstd: docs/STORES.md. Interrupted, run it again: it goes on.\n"
     "\n"
     "  pigeon export pigeon.jsonl.zst\n",
     {{0}}},
    {"import",
     "FILE",
     1,
     1,
     cli_import_store,
     "bring such a file into the empty store that pigeon.yaml names (Pigeon stopped)",
     "The whole file is checked before, and the store after. Interrupted, run it again: it goes on.\n"
     "\n"
     "  pigeon import pigeon.jsonl.zst\n",
     {{0}}},
    {"audit", "", 0, 0, cli_audit, "who did what as administrator", NULL, {{"limit", "N", "the newest so many (default: 50)"}}},
    {"doctor",
     "",
     0,
     0,
     cli_doctor,
     "check this machine: processor, libraries, secrets, disk, clock, limits, ports",
     "Exit code 1 when something must be done.\n"
     "\n"
     "  pigeon doctor --mongo-image mongo:7.0     would it run here, or die with SIGILL?\n",
     {{"mongo-image", "IMAGE", "the MongoDB image that is to run here (default: PIGEON_MONGO_IMAGE)"}}},
    {"version", "", 0, 0, cli_version, "print the version", NULL, {{0}}},
    {"help", "[COMMAND]", 0, 3, cli_help, "print this, or more about a command", NULL, {{0}}},
};
const size_t cli_command_count = PGN_COUNT(cli_commands);
