/*
 * The rows of config_table.h as data, for the parts of the config module (reading, documenting). Constant.
 */
#ifndef PGN_SVC_CONFIG_ROWS_H
#define PGN_SVC_CONFIG_ROWS_H

#include "common/svc/config.h"

#include <stddef.h>

enum pgn_config_type { PGN_CONFIG_STR, PGN_CONFIG_PATH, PGN_CONFIG_ENUM, PGN_CONFIG_INT, PGN_CONFIG_BOOL };

struct pgn_config_row {
    const char *section, *key;
    enum pgn_config_type type;
    const char *def_str;
    int64_t def_int; /* BOOL: 0 or 1 */
    int64_t min, max;
    const char *unit, *text;
    size_t offset; /* in struct pgn_config */
};
extern const struct pgn_config_row pgn_config_rows[];
extern const size_t pgn_config_rows_count;

const struct pgn_config_row *pgn_config_row_find(const char *section, const char *key); /* or NULL */
bool pgn_config_section_known(const char *section);

/*
 * Checks text as this row's value and stores it. False: what is wrong is appended to ret_problem, beginning with
 * "section.key: ".
 */
bool pgn_config_set(struct pgn_config *config, const struct pgn_config_row *row, const char *text, struct pgn_buf *ret_problem);
void pgn_config_set_default(struct pgn_config *config, const struct pgn_config_row *row);

#endif
