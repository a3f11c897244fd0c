/*
 * CSV (RFC 4180) from memory: quoted fields may hold commas, quotes and newlines. The text is changed in place: fields
 * point into it, zero-terminated. Not thread-safe.
 */
#ifndef CLI_CSV_H
#define CLI_CSV_H

#include "common/base/compiler.h"

#include <stddef.h>

enum { CLI_CSV_FIELDS = 16 };

struct cli_csv {
    char *at;        /* zero-terminated text */
    int line;        /* of the record that comes next, from 1 */
    int record_line; /* of the record last read */
    char *fields[CLI_CSV_FIELDS];
    int count;
};

void cli_csv_init(struct cli_csv *csv, char *text); /* skips a byte order mark */
/* Reads a record, skipping empty lines: 1; 0 at the end; PGN_E_SYNTAX with a reason. */
int cli_csv_next(struct cli_csv *csv, const char **ret_problem) PGN_MUST_USE;

#endif
