/* docs/CONFIG.md out of the table. */
#include "common/base/alloc.h"
#include "common/svc/config_rows.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

static void document_default(const struct pgn_config_row *row, struct pgn_buf *out)
{
    if (row->type == PGN_CONFIG_INT)
        pgn_buf_printf(out, "%" PRId64, row->def_int);
    else if (row->type == PGN_CONFIG_BOOL)
        pgn_buf_append_str(out, row->def_int ? "true" : "false");
    else if (row->def_str[0])
        pgn_buf_printf(out, "`%s`", row->def_str);
    else
        pgn_buf_append_str(out, "empty");
}

static void document_values(const struct pgn_config_row *row, struct pgn_buf *out)
{
    switch (row->type) {
    case PGN_CONFIG_INT:
        pgn_buf_printf(out, "%" PRId64 " to %" PRId64 "%s%s", row->min, row->max, row->unit[0] ? " " : "", row->unit);
        break;
    case PGN_CONFIG_BOOL:
        pgn_buf_append_str(out, "true, false");
        break;
    case PGN_CONFIG_ENUM:
        for (const char *p = row->unit; *p; p++) {
            if (*p == '|')
                pgn_buf_append_str(out, ", ");
            else
                pgn_buf_append_byte(out, (uint8_t)*p);
        }
        break;
    case PGN_CONFIG_STR:
    case PGN_CONFIG_PATH:
        pgn_buf_printf(out, "%s, at most %" PRId64 " characters", row->type == PGN_CONFIG_PATH ? "path" : "text", row->max);
        break;
    }
}

void pgn_config_document(struct pgn_buf *out)
{
    pgn_buf_append_str(
        out, "# Configuration\n\n"
             "Made from `common/svc/config_table.h`; do not edit. One YAML file serves all services; every key can be left out.\n"
             "The environment wins over the file: `section.key` is `PIGEON_SECTION_KEY`. `pigeon config check FILE` checks a file.\n");
    const char *section = "";
    for (size_t i = 0; i < pgn_config_rows_count; i++) {
        const struct pgn_config_row *row = &pgn_config_rows[i];
        if (strcmp(section, row->section) != 0) {
            section = row->section;
            pgn_buf_printf(out, "\n## %s\n\n| key | default | values | meaning |\n|---|---|---|---|\n", section);
        }
        pgn_buf_printf(out, "| `%s` | ", row->key);
        document_default(row, out);
        pgn_buf_append_str(out, " | ");
        document_values(row, out);
        pgn_buf_printf(out, " | %s |\n", row->text);
    }
}
