/*
 * Errors: negative PGN_E_* numbers, from one table (error_table.h). Thread-safe, no state.
 */
#ifndef PGN_BASE_ERROR_H
#define PGN_BASE_ERROR_H

#include <stdbool.h>

enum pgn_error {
    PGN_OK = 0,
#define PGN_ERROR(name, number, wire, http, close, retry, text) PGN_E_##name = -(number),
#include "common/base/error_table.h"
#undef PGN_ERROR
};

struct pgn_error_info {
    int error;
    const char *name; /* "PGN_E_INVALID" */
    const char *wire; /* code of docs/PROTOCOL.md */
    int http_status;
    int ws_close;
    bool retry;
    const char *text;
};

/* The table's row for error; that of PGN_E_INTERNAL for a number that is not in it. Never NULL. */
const struct pgn_error_info *pgn_error_info(int error);

/* The row whose wire code this is (first block), or NULL. */
const struct pgn_error_info *pgn_error_by_wire(const char *wire);

#endif
