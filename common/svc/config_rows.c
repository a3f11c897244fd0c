#include "common/svc/config_rows.h"

#include "common/base/alloc.h"
#include "common/base/utf8.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_STR(def)  .def_str = (def)
#define DEFAULT_PATH(def) .def_str = (def)
#define DEFAULT_ENUM(def) .def_str = (def)
#define DEFAULT_INT(def)  .def_int = (def)
#define DEFAULT_BOOL(def) .def_int = (def)

const struct pgn_config_row pgn_config_rows[] = {
#define PGN_CONFIG(s, k, t, def, lo, hi, u, about)                                                                                         \
    {.section = #s,                                                                                                                        \
     .key = #k,                                                                                                                            \
     .type = PGN_CONFIG_##t,                                                                                                               \
     DEFAULT_##t(def),                                                                                                                     \
     .min = (lo),                                                                                                                          \
     .max = (hi),                                                                                                                          \
     .unit = (u),                                                                                                                          \
     .text = (about),                                                                                                                      \
     .offset = offsetof(struct pgn_config, s##_##k)},
#include "common/svc/config_table.h"
#undef PGN_CONFIG
};
const size_t pgn_config_rows_count = PGN_COUNT(pgn_config_rows);

const struct pgn_config_row *pgn_config_row_find(const char *section, const char *key)
{
    for (size_t i = 0; i < pgn_config_rows_count; i++)
        if (strcmp(pgn_config_rows[i].section, section) == 0 && strcmp(pgn_config_rows[i].key, key) == 0)
            return &pgn_config_rows[i];
    return NULL;
}

bool pgn_config_section_known(const char *section)
{
    for (size_t i = 0; i < pgn_config_rows_count; i++)
        if (strcmp(pgn_config_rows[i].section, section) == 0)
            return true;
    return false;
}

static void *field(struct pgn_config *config, const struct pgn_config_row *row)
{
    return (char *)config + row->offset;
}

/* Strings are owned by the config. */
static void store_str(struct pgn_config *config, const struct pgn_config_row *row, const char *text)
{
    char *old, *copy = pgn_strdup(text);
    memcpy(&old, field(config, row), sizeof(old));
    free(old);
    memcpy(field(config, row), &copy, sizeof(copy));
}

void pgn_config_set_default(struct pgn_config *config, const struct pgn_config_row *row)
{
    switch (row->type) {
    case PGN_CONFIG_INT:
        *(int64_t *)field(config, row) = row->def_int;
        break;
    case PGN_CONFIG_BOOL:
        *(bool *)field(config, row) = row->def_int != 0;
        break;
    case PGN_CONFIG_STR:
    case PGN_CONFIG_PATH:
    case PGN_CONFIG_ENUM:
        store_str(config, row, row->def_str);
        break;
    }
}

static bool set_int(struct pgn_config *config, const struct pgn_config_row *row, const char *text, struct pgn_buf *ret_problem)
{
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    bool digits = text[0] != 0 && text[strspn(text, "-0123456789")] == 0 && *end == 0;
    if (digits && errno == 0 && v >= row->min && v <= row->max) {
        *(int64_t *)field(config, row) = v;
        return true;
    }
    pgn_buf_printf(ret_problem, "%s.%s: \"%.64s\" is %s: write one from %" PRId64 " to %" PRId64 "%s%s", row->section, row->key, text,
                   digits ? "out of range" : "not a whole number", row->min, row->max, row->unit[0] ? " " : "", row->unit);
    return false;
}

static bool set_bool(struct pgn_config *config, const struct pgn_config_row *row, const char *text, struct pgn_buf *ret_problem)
{
    bool yes = strcmp(text, "true") == 0;
    if (!yes && strcmp(text, "false") != 0) {
        pgn_buf_printf(ret_problem, "%s.%s: \"%.64s\" is neither: write true or false", row->section, row->key, text);
        return false;
    }
    *(bool *)field(config, row) = yes;
    return true;
}

static bool set_enum(struct pgn_config *config, const struct pgn_config_row *row, const char *text, struct pgn_buf *ret_problem)
{
    size_t len = strlen(text);
    for (const char *word = row->unit; len > 0; word++) {
        size_t word_len = strcspn(word, "|");
        if (word_len == len && strncmp(word, text, len) == 0) {
            store_str(config, row, text);
            return true;
        }
        word += word_len;
        if (!*word)
            break;
    }
    pgn_buf_printf(ret_problem, "%s.%s: \"%.64s\" is not known: write one of %s", row->section, row->key, text, row->unit);
    return false;
}

static bool set_str(struct pgn_config *config, const struct pgn_config_row *row, const char *text, struct pgn_buf *ret_problem)
{
    size_t len = strlen(text);
    const char *problem = NULL;
    if ((int64_t)len < row->min)
        problem = "is too short";
    else if ((int64_t)len > row->max)
        problem = "is too long";
    else if (!pgn_utf8_valid(text, len))
        problem = "is not UTF-8";
    for (const char *p = text; *p && !problem; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            problem = "holds a control character";
    if (!problem) {
        store_str(config, row, text);
        return true;
    }
    pgn_buf_printf(ret_problem, "%s.%s: \"%.64s\" %s: write %" PRId64 " to %" PRId64 " characters", row->section, row->key, text, problem,
                   row->min, row->max);
    return false;
}

bool pgn_config_set(struct pgn_config *config, const struct pgn_config_row *row, const char *text, struct pgn_buf *ret_problem)
{
    switch (row->type) {
    case PGN_CONFIG_INT:
        return set_int(config, row, text, ret_problem);
    case PGN_CONFIG_BOOL:
        return set_bool(config, row, text, ret_problem);
    case PGN_CONFIG_ENUM:
        return set_enum(config, row, text, ret_problem);
    case PGN_CONFIG_STR:
    case PGN_CONFIG_PATH:
        return set_str(config, row, text, ret_problem);
    }
    return false;
}

void pgn_config_free(struct pgn_config **config)
{
    if (!*config)
        return;
    for (size_t i = 0; i < pgn_config_rows_count; i++) {
        const struct pgn_config_row *row = &pgn_config_rows[i];
        if (row->type == PGN_CONFIG_INT || row->type == PGN_CONFIG_BOOL)
            continue;
        char *s;
        memcpy(&s, field(*config, row), sizeof(s));
        free(s);
    }
    free(*config);
    *config = NULL;
}
