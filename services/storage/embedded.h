/* The embedded store's inside: store_embedded.c, backup.c, restore.c, repair.c. */
#ifndef STO_EMBEDDED_H
#define STO_EMBEDDED_H

#include "services/storage/store_parts.h"

struct sto_embedded {
    struct sto_parts parts;
    char *data, *store_path, *log_path, *dir_path;
    int lock_fd;
    uint64_t restore_above; /* newest commit number of the store that a restore replaced */
};
static inline struct sto_embedded *sto_embedded_of(struct sto_store *s)
{
    return PGN_CONTAINER(s, struct sto_embedded, parts.base);
}

char *sto_path(const char *format, ...) PGN_PRINTF(1, 2); /* the caller frees it */

/*
 * repair.c: sets what is damaged aside (<path>.damaged-<time>) and puts in its place what could be saved of it, or nothing:
 * the path can be opened afterwards. notes say what was set aside, what was saved, what is lost.
 */
int sto_repair_log(const char *path, const struct pgn_buf *problem, struct pgn_buf *notes) PGN_MUST_USE;
int sto_repair_dir(const char *path, const struct pgn_buf *problem, struct pgn_buf *notes) PGN_MUST_USE;
/* Before anything is opened: the last step of a repair that was cut off after the damaged one was set aside. */
int sto_repair_finish(const char *path) PGN_MUST_USE;

/* backup.c: <data>/backups/<name>/ with a manifest. */
int sto_backup_make(struct sto_store *s, const char *name, struct pgn_arena *arena, Pigeon__BackupInfo *ret);
int sto_backup_list(struct sto_store *s, struct pgn_arena *arena, Pigeon__BackupList *ret);
uint64_t sto_backup_last(struct sto_embedded *e);

/* restore.c: in two steps, the second at the next open, each of which may be cut off anywhere. */
int sto_restore_prepare(struct sto_store *s, const char *name, struct pgn_arena *arena, Pigeon__BackupInfo *ret);
int sto_restore_act(struct sto_embedded *e, bool *ret_restored, struct pgn_buf *ret_problem) PGN_MUST_USE;
void sto_restore_done(struct sto_embedded *e);

#endif
