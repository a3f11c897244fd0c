#include "common/svc/log.h"

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/json.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 4096 };

/* Set once by pgn_log_setup, before threads start. */
static char log_service[32] = "pigeon";
static enum pgn_log_level log_least = PGN_INFO;
static bool log_json;

static const char *const level_words[] = {"debug", "info", "warn", "error"};

void pgn_log_setup(const char *service, const char *level, const char *format)
{
    snprintf(log_service, sizeof(log_service), "%s", service);
    for (size_t i = 0; i < PGN_COUNT(level_words); i++)
        if (strcmp(level, level_words[i]) == 0)
            log_least = (enum pgn_log_level)i;
    log_json = strcmp(format, "json") == 0;
}

static void format_time(char out[40])
{
    uint64_t ms = pgn_wall_ms();
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    char day[24];
    strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out, 40, "%s.%03uZ", day, (unsigned)(ms % 1000));
}

/* Control bytes of the text become \n, \t or \xNN, so that one event stays one line. */
static void append_escaped(struct pgn_buf *line, const char *text)
{
    for (const char *p = text; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (c == '\n')
            pgn_buf_append_str(line, "\\n");
        else if (c == '\t')
            pgn_buf_append_str(line, "\\t");
        else if (c < 0x20 || c == 0x7f)
            pgn_buf_printf(line, "\\x%02x", c);
        else
            pgn_buf_append_byte(line, c);
    }
}

static void write_all(const uint8_t *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(STDERR_FILENO, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; /* nowhere left to say it */
        data += n;
        len -= (size_t)n;
    }
}

void pgn_log(enum pgn_log_level level, const char *format, ...)
{
    if (level < log_least)
        return;
    char text[LINE_MAX_BYTES], when[40];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    format_time(when);

    struct pgn_buf line = {0};
    if (log_json) {
        struct pgn_json j = pgn_json_on(&line);
        pgn_json_object(&j);
        pgn_json_key(&j, "time");
        pgn_json_str(&j, when);
        pgn_json_key(&j, "level");
        pgn_json_str(&j, level_words[level]);
        pgn_json_key(&j, "service");
        pgn_json_str(&j, log_service);
        pgn_json_key(&j, "text");
        pgn_json_str(&j, text);
        pgn_json_object_end(&j);
    } else {
        pgn_buf_printf(&line, "%s %-5s %s: ", when, level_words[level], log_service);
        append_escaped(&line, text);
    }
    pgn_buf_append_byte(&line, '\n');
    write_all(line.data, line.len);
    pgn_buf_release(&line);
}

int pgn_log_gate_open(struct pgn_log_gate *gate, unsigned interval_ms)
{
    unsigned long long now = pgn_mono_ms(), next = atomic_load(&gate->next_ms);
    if (now < next || !atomic_compare_exchange_strong(&gate->next_ms, &next, now + interval_ms)) {
        atomic_fetch_add(&gate->skipped, 1);
        return 0;
    }
    unsigned long long skipped = atomic_exchange(&gate->skipped, 0);
    if (skipped)
        pgn_log(PGN_WARN, "left out %llu lines like the next one", skipped);
    return 1;
}
