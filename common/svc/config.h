/*
 * Configuration: one YAML file for all services, checked against one table (config_table.h), environment over file.
 * Loaded once at start, then constant, so any thread may read it.
 */
#ifndef PGN_SVC_CONFIG_H
#define PGN_SVC_CONFIG_H

#include "common/base/buf.h"
#include "common/base/compiler.h"

#include <stdbool.h>
#include <stdint.h>

struct pgn_config {
#define PGN_CONFIG_C_STR                                          const char *
#define PGN_CONFIG_C_PATH                                         const char *
#define PGN_CONFIG_C_ENUM                                         const char *
#define PGN_CONFIG_C_INT                                          int64_t
#define PGN_CONFIG_C_BOOL                                         bool
#define PGN_CONFIG(section, key, type, def, min, max, unit, text) PGN_CONFIG_C_##type section##_##key;
#include "common/svc/config_table.h"
#undef PGN_CONFIG
};

/*
 * Loads path (NULL: defaults and environment only). On failure PGN_E_INVALID, and ret_problems holds a line for each
 * problem: file, line and column, what is wrong, what to do. Unknown keys, wrong types and values out of range are
 * problems, as are unknown PIGEON_SECTION_KEY variables of a known section.
 */
int pgn_config_load(const char *path, struct pgn_config **ret_config, struct pgn_buf *ret_problems) PGN_MUST_USE;
/* The same from memory; name stands for the path in messages. environ may be NULL: no overrides. */
int pgn_config_parse(const char *name, const char *yaml, size_t len, char *const *environment, struct pgn_config **ret_config,
                     struct pgn_buf *ret_problems) PGN_MUST_USE;
void pgn_config_free(struct pgn_config **config);

/* Reads a secret file of node.secrets: mode 0600 (no rights for group and others), 16 to 512 bytes, trailing newline cut.
 * PGN_E_INVALID with a reason in ret_problem when it is missing, open to others, or too short. */
int pgn_secret_read(const struct pgn_config *config, const char *name, char **ret_secret, struct pgn_buf *ret_problem) PGN_MUST_USE;

/* docs/CONFIG.md as text. */
void pgn_config_document(struct pgn_buf *out);

#endif
