/* Reading the YAML file and the environment into the table; config_rows.c checks and stores single values. */
#include "common/svc/config.h"

#include "common/base/alloc.h"
#include "common/base/error.h"
#include "common/svc/config_rows.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yaml.h>

enum { FILE_MAX = 1 << 20, NAME_MAX_BYTES = 64 };

struct reading {
    const char *name; /* of the file, for messages */
    struct pgn_config *config;
    struct pgn_buf *problems;
    bool *seen; /* by row: twice the same key is a problem */
    int count;  /* of problems */
};

static void problem_at(struct reading *r, yaml_mark_t mark)
{
    r->count++;
    pgn_buf_printf(r->problems, "%s:%zu:%zu: ", r->name, mark.line + 1, mark.column + 1);
}

/* Levenshtein's distance; strings longer than the table count as far. */
static size_t distance(const char *a, const char *b)
{
    size_t la = strlen(a), lb = strlen(b), row[NAME_MAX_BYTES + 1];
    if (la > NAME_MAX_BYTES || lb > NAME_MAX_BYTES)
        return NAME_MAX_BYTES;
    for (size_t j = 0; j <= lb; j++)
        row[j] = j;
    for (size_t i = 1; i <= la; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            size_t best = diagonal + (tolower((unsigned char)a[i - 1]) != tolower((unsigned char)b[j - 1]));
            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[lb];
}

/* Appends the nearest known name: of a key within section, or of a section (section NULL). */
static void suggest(struct reading *r, const char *section, const char *word)
{
    const char *nearest = NULL;
    size_t nearest_distance = strlen(word) / 2 + 1;
    for (size_t i = 0; i < pgn_config_rows_count; i++) {
        const struct pgn_config_row *row = &pgn_config_rows[i];
        if (section && strcmp(row->section, section) != 0)
            continue;
        const char *candidate = section ? row->key : row->section;
        size_t d = distance(word, candidate);
        if (d <= nearest_distance && (!nearest || d < nearest_distance)) {
            nearest = candidate;
            nearest_distance = d;
        }
    }
    if (nearest)
        pgn_buf_printf(r->problems, ": did you mean %s%s%s?\n", section ? section : "", section ? "." : "", nearest);
    else
        pgn_buf_append_str(r->problems, ": remove it (docs/CONFIG.md lists what there is)\n");
}

static const char *scalar(const yaml_node_t *node)
{
    if (node->type != YAML_SCALAR_NODE)
        return NULL;
    const char *text = (const char *)node->data.scalar.value;
    return strlen(text) == node->data.scalar.length ? text : NULL; /* a zero byte inside is no text */
}

static bool is_nothing(const yaml_node_t *node)
{
    return node->type == YAML_SCALAR_NODE && node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && node->data.scalar.length == 0;
}

static void read_key(struct reading *r, const char *section, const yaml_node_t *key_node, const yaml_node_t *value_node)
{
    const char *key = scalar(key_node), *value = scalar(value_node);
    const struct pgn_config_row *row = key ? pgn_config_row_find(section, key) : NULL;
    if (!row) {
        problem_at(r, key_node->start_mark);
        pgn_buf_printf(r->problems, "%s.%.64s: not a known key", section, key ? key : "?");
        suggest(r, section, key ? key : "");
        return;
    }
    bool *seen = &r->seen[row - pgn_config_rows];
    if (*seen) {
        problem_at(r, key_node->start_mark);
        pgn_buf_printf(r->problems, "%s.%s: stands here a second time: remove one\n", section, key);
        return;
    }
    *seen = true;
    struct pgn_buf why = {0};
    if (!value)
        pgn_buf_printf(&why, "%s.%s: is not a single value: write one behind the colon", section, key);
    else
        (void)pgn_config_set(r->config, row, value, &why);
    if (why.len > 0) {
        problem_at(r, value_node->start_mark);
        pgn_buf_append(r->problems, why.data, why.len);
        pgn_buf_append_byte(r->problems, '\n');
    }
    pgn_buf_release(&why);
}

static void read_section(struct reading *r, yaml_document_t *doc, const yaml_node_pair_t *pair)
{
    const yaml_node_t *key_node = yaml_document_get_node(doc, pair->key), *node = yaml_document_get_node(doc, pair->value);
    const char *section = scalar(key_node);
    if (!section || !pgn_config_section_known(section)) {
        problem_at(r, key_node->start_mark);
        pgn_buf_printf(r->problems, "%.64s: not a known section", section ? section : "?");
        suggest(r, NULL, section ? section : "");
        return;
    }
    if (is_nothing(node))
        return;
    if (node->type != YAML_MAPPING_NODE) {
        problem_at(r, node->start_mark);
        pgn_buf_printf(r->problems, "%s: is not a section: write its keys below it, indented\n", section);
        return;
    }
    for (const yaml_node_pair_t *p = node->data.mapping.pairs.start; p < node->data.mapping.pairs.top; p++)
        read_key(r, section, yaml_document_get_node(doc, p->key), yaml_document_get_node(doc, p->value));
}

static void read_yaml(struct reading *r, const char *yaml, size_t len)
{
    yaml_parser_t parser;
    yaml_document_t doc;
    if (!yaml_parser_initialize(&parser))
        abort(); /* out of memory */
    yaml_parser_set_input_string(&parser, (const unsigned char *)yaml, len);
    if (!yaml_parser_load(&parser, &doc)) {
        problem_at(r, parser.problem_mark);
        pgn_buf_printf(r->problems, "not YAML: %s\n", parser.problem ? parser.problem : "unreadable");
        yaml_parser_delete(&parser);
        return;
    }
    const yaml_node_t *root = yaml_document_get_root_node(&doc);
    if (root && root->type == YAML_MAPPING_NODE) {
        for (const yaml_node_pair_t *p = root->data.mapping.pairs.start; p < root->data.mapping.pairs.top; p++)
            read_section(r, &doc, p);
    } else if (root && !is_nothing(root)) {
        problem_at(r, root->start_mark);
        pgn_buf_append_str(r->problems, "not a list of sections: write for example\nlog:\n  level: info\n");
    }
    yaml_document_delete(&doc);
    yaml_parser_delete(&parser);
}

/* PIGEON_SECTION_KEY=value; names of no known section are somebody else's. */
static void read_variable(struct reading *r, const char *variable)
{
    const char *equals = strchr(variable, '='), *name = variable + strlen("PIGEON_");
    if (!equals || equals < name || (size_t)(equals - name) > NAME_MAX_BYTES)
        return;
    char word[NAME_MAX_BYTES + 1];
    size_t len = (size_t)(equals - name);
    for (size_t i = 0; i < len; i++)
        word[i] = (char)tolower((unsigned char)name[i]);
    word[len] = 0;
    char *key = strchr(word, '_');
    if (!key)
        return;
    *key++ = 0;
    if (!pgn_config_section_known(word))
        return;
    struct pgn_buf why = {0};
    const struct pgn_config_row *row = pgn_config_row_find(word, key);
    if (!row) {
        r->count++;
        pgn_buf_printf(r->problems, "environment: PIGEON_%.*s: not a known setting", (int)len, name);
        suggest(r, word, key);
    } else if (!pgn_config_set(r->config, row, equals + 1, &why)) {
        r->count++;
        pgn_buf_printf(r->problems, "environment: PIGEON_%.*s: %s\n", (int)len, name, pgn_buf_cstr(&why));
    }
    pgn_buf_release(&why);
}

int pgn_config_parse(const char *name, const char *yaml, size_t len, char *const *environment, struct pgn_config **ret_config,
                     struct pgn_buf *ret_problems)
{
    struct reading r = {.name = name, .config = pgn_calloc(1, sizeof(struct pgn_config)), .problems = ret_problems};
    r.seen = pgn_calloc(pgn_config_rows_count, sizeof(*r.seen));
    for (size_t i = 0; i < pgn_config_rows_count; i++)
        pgn_config_set_default(r.config, &pgn_config_rows[i]);
    if (len > 0)
        read_yaml(&r, yaml, len);
    for (; environment && *environment; environment++)
        if (strncmp(*environment, "PIGEON_", strlen("PIGEON_")) == 0)
            read_variable(&r, *environment);
    free(r.seen);
    if (r.count > 0) {
        pgn_config_free(&r.config);
        return PGN_E_INVALID;
    }
    *ret_config = r.config;
    return 0;
}

int pgn_config_load(const char *path, struct pgn_config **ret_config, struct pgn_buf *ret_problems)
{
    if (!path)
        return pgn_config_parse("defaults", "", 0, environ, ret_config, ret_problems);
    int error = PGN_E_INVALID;
    struct pgn_buf text = {0};
    FILE *f = fopen(path, "re");
    if (!f) {
        pgn_buf_printf(ret_problems, "%s: %s\n", path, strerror(errno));
        goto out;
    }
    pgn_buf_reserve(&text, FILE_MAX + 1);
    text.len = fread(text.data, 1, FILE_MAX + 1, f);
    if (ferror(f) || text.len > FILE_MAX) {
        pgn_buf_printf(ret_problems, "%s: %s\n", path, ferror(f) ? "cannot be read" : "is larger than 1 MiB");
        goto out;
    }
    error = pgn_config_parse(path, (const char *)text.data, text.len, environ, ret_config, ret_problems);
out:
    if (f)
        fclose(f);
    pgn_buf_release(&text);
    return error;
}
