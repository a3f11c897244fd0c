/* Directories and files of the embedded store: copies, removal, checksums, names that survive a power cut. Blocking. */
#ifndef STO_FILES_H
#define STO_FILES_H

#include "common/base/buf.h"
#include "common/base/compiler.h"
#include "common/base/id.h"

#include <stdbool.h>
#include <stdint.h>

/* All return 0 or PGN_E_IO (PGN_E_NOT_FOUND where it says so). */
int sto_sync_path(const char *path) PGN_MUST_USE; /* a file's content or a directory's names */
int sto_sync_parent(const char *path) PGN_MUST_USE;
int sto_rename_durable(const char *from, const char *to) PGN_MUST_USE;
void sto_remove_tree(const char *path);
/* Files whose name ends so are linked, not copied (NULL: none): for those that never change. Everything is synced. */
int sto_copy_tree(const char *from, const char *to, const char *link_ending) PGN_MUST_USE;
int sto_hash_file(const char *path, uint8_t ret_hash[PGN_HASH_BYTES], uint64_t *ret_bytes) PGN_MUST_USE; /* PGN_E_NOT_FOUND */
/* Calls back for every plain file under path with its path relative to it, in order of names. */
typedef int sto_file_visit(void *ctx, const char *relative);
int sto_each_file(const char *path, sto_file_visit *visit, void *ctx) PGN_MUST_USE;
int sto_write_file(const char *path, const struct pgn_buf *content) PGN_MUST_USE; /* all or nothing, durable */
int sto_read_file(const char *path, struct pgn_buf *ret_content) PGN_MUST_USE;    /* PGN_E_NOT_FOUND */
bool sto_exists(const char *path);
/* "<path>.<what>-<time>", a name that is not taken; the caller frees it. */
char *sto_aside_name(const char *path, const char *what);

#endif
