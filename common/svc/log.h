/*
 * Logging to standard error, a line an event: time, level, service, text. Thread-safe.
 * The supervisor (runit's svlogd, docker, journald) keeps and rotates. Never log tokens, passwords or bodies.
 */
#ifndef PGN_SVC_LOG_H
#define PGN_SVC_LOG_H

#include "common/base/compiler.h"

enum pgn_log_level { PGN_DEBUG, PGN_INFO, PGN_WARN, PGN_ERR };

void pgn_log_setup(const char *service, const char *level, const char *format); /* words of the config table */
/* printf-like; keep the text constant in meaning and put what varies last. A newline inside is escaped. */
void pgn_log(enum pgn_log_level level, const char *format, ...) PGN_PRINTF(2, 3);
/* The same, at most once per interval_ms for this place in the code; says how many were left out. */
#define pgn_log_limited(level, interval_ms, ...)                                                                                           \
    do {                                                                                                                                   \
        static struct pgn_log_gate pgn_gate_;                                                                                              \
        if (pgn_log_gate_open(&pgn_gate_, interval_ms))                                                                                    \
            pgn_log(level, __VA_ARGS__);                                                                                                   \
    } while (0)

struct pgn_log_gate {
    _Atomic unsigned long long next_ms;
    _Atomic unsigned long long skipped;
};
int pgn_log_gate_open(struct pgn_log_gate *gate, unsigned interval_ms);

#endif
