/* What the command line says: errors, JSON, times and sizes for people. */
#include "clients/cli/cli.h"

#include "common/base/alloc.h"
#include "common/base/error.h"
#include "common/base/id.h"
#include "common/proto/json_map.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static const char *exit_word(int code)
{
    switch (code) {
    case CLI_USAGE:
        return "invalid";
    case CLI_DOUBT:
        return "uncertain";
    case CLI_DOWN:
        return "unavailable";
    default:
        return "failed";
    }
}

static void put_error(const struct cli *c, const char *word, const char *text)
{
    if (!c->json) {
        fprintf(stderr, "pigeon: %s\n", text);
        return;
    }
    struct pgn_buf line = {0};
    struct pgn_json j = pgn_json_on(&line);
    pgn_json_object(&j);
    pgn_json_key(&j, "error");
    pgn_json_object(&j);
    pgn_json_key(&j, "code");
    pgn_json_str(&j, word);
    pgn_json_key(&j, "text");
    pgn_json_str(&j, text);
    pgn_json_object_end(&j);
    pgn_json_object_end(&j);
    cli_put_json(&line);
    pgn_buf_release(&line);
}

int cli_fail(struct cli *c, int code, const char *format, ...)
{
    char text[4096];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    put_error(c, exit_word(code), text);
    return code;
}

static int fail_call(struct cli *c, int error, const struct pgn_rpc_problem *problem, const char *what, bool reads)
{
    bool in_doubt = error == PGN_E_TIMEOUT || error == PGN_E_UNCERTAIN;
    const struct pgn_error_info *info = pgn_error_info(error);
    const char *advice = "";
    int code = CLI_FAILED;
    if (error == PGN_E_NO_RESPONDERS || error == PGN_E_UNAVAILABLE || (in_doubt && reads)) {
        code = CLI_DOWN;
        advice = " (`pigeon status` and `make logs` say more)";
    } else if (in_doubt) {
        code = CLI_DOUBT;
        advice = " (it may have been done: look before you repeat it)";
    }
    char text[1024];
    snprintf(text, sizeof text, "%s: %s%s", what, *problem->text ? problem->text : info->text, advice);
    put_error(c, info->wire, text);
    return code;
}

int cli_fail_call(struct cli *c, int error, const struct pgn_rpc_problem *problem, const char *what)
{
    return fail_call(c, error, problem, what, false);
}

int cli_fail_read(struct cli *c, int error, const struct pgn_rpc_problem *problem, const char *what)
{
    return fail_call(c, error, problem, what, true);
}

void cli_put_json(struct pgn_buf *line)
{
    fwrite(line->data, 1, line->len, stdout);
    putchar('\n');
    fflush(stdout);
    pgn_buf_clear(line);
}

void cli_put_message(const ProtobufCMessage *message)
{
    struct pgn_buf line = {0};
    pgn_json_encode(message, &line);
    cli_put_json(&line);
    pgn_buf_release(&line);
}

const char *cli_time(uint64_t ms, char *text, size_t bytes)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm local;
    if (!ms || !localtime_r(&seconds, &local) || !strftime(text, bytes, "%Y-%m-%d %H:%M", &local))
        snprintf(text, bytes, "-");
    return text;
}

const char *cli_bytes(uint64_t bytes, char *text, size_t size)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    double v = (double)bytes;
    size_t unit = 0;
    for (; v >= 1000 && unit + 1 < PGN_COUNT(units); unit++)
        v /= 1000;
    snprintf(text, size, v < 10 && unit ? "%.1f %s" : "%.0f %s", v, units[unit]);
    return text;
}

const char *cli_ago(uint64_t ms_ago, char *text, size_t size)
{
    uint64_t s = ms_ago / 1000;
    if (s < 120)
        snprintf(text, size, "%" PRIu64 " s", s);
    else if (s < 7200)
        snprintf(text, size, "%" PRIu64 " min", s / 60);
    else if (s < 48 * 3600)
        snprintf(text, size, "%" PRIu64 " h", s / 3600);
    else
        snprintf(text, size, "%" PRIu64 " days", s / 86400);
    return text;
}

void cli_put_text(const char *text)
{
    for (const char *p = text; *p; p++)
        putchar((unsigned char)*p < ' ' || *p == 127 ? ' ' : *p);
}

bool cli_user_ok(struct cli *c, const char *user)
{
    if (pgn_user_valid(user))
        return true;
    (void)cli_fail(c, CLI_USAGE, "\"%s\" cannot be a user id: 1 to 32 of a-z 0-9 _ -, beginning with a letter or digit", user);
    return false;
}

char *cli_read_line(struct cli *c, const char *what)
{
    char line[1026];
    if (!fgets(line, sizeof line, stdin)) {
        (void)cli_fail(c, CLI_USAGE, "no %s on standard input: write it as one line", what);
        return NULL;
    }
    size_t len = strcspn(line, "\r\n");
    if (len > 1024) {
        (void)cli_fail(c, CLI_USAGE, "the %s on standard input is longer than 1,024 bytes", what);
        return NULL;
    }
    line[len] = 0;
    return pgn_strdup(line);
}
