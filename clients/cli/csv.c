/* CSV; see csv.h. */
#include "clients/cli/csv.h"

#include "common/base/error.h"

#include <string.h>

void cli_csv_init(struct cli_csv *csv, char *text)
{
    *csv = (struct cli_csv){.at = text, .line = 1};
    if (!strncmp(text, "\xef\xbb\xbf", 3))
        csv->at += 3;
}

/* A quoted field: csv->at stands behind the opening quote, and afterwards behind the closing one. */
static int quoted(struct cli_csv *csv, const char **ret_problem)
{
    char *out = csv->at;
    for (;; csv->at++) {
        if (!*csv->at) {
            *ret_problem = "a quote that is never closed";
            return PGN_E_SYNTAX;
        }
        if (*csv->at == '"' && csv->at[1] != '"')
            break;
        if (*csv->at == '"')
            csv->at++;
        csv->line += *csv->at == '\n';
        *out++ = *csv->at;
    }
    csv->at++;
    char after = *csv->at;
    if (after && !strchr(",\r\n", after)) {
        *ret_problem = "text behind a closing quote: put the whole field into quotes, and write \" inside as \"\"";
        return PGN_E_SYNTAX;
    }
    *out = 0;
    return 0;
}

int cli_csv_next(struct cli_csv *csv, const char **ret_problem)
{
    while (*csv->at == '\n' || *csv->at == '\r')
        csv->line += *csv->at++ == '\n';
    csv->record_line = csv->line;
    csv->count = 0;
    if (!*csv->at)
        return 0;
    for (;;) {
        if (csv->count == CLI_CSV_FIELDS) {
            *ret_problem = "too many columns";
            return PGN_E_SYNTAX;
        }
        if (*csv->at == '"') {
            csv->fields[csv->count++] = ++csv->at;
            int e = quoted(csv, ret_problem);
            if (e)
                return e;
        } else {
            csv->fields[csv->count++] = csv->at;
            csv->at += strcspn(csv->at, ",\r\n");
        }
        char end = *csv->at;
        if (!end)
            return 1;
        *csv->at++ = 0;
        if (end == '\r' && *csv->at == '\n')
            csv->at++;
        if (end != ',') {
            csv->line++;
            return 1;
        }
    }
}
