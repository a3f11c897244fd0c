/*
 * Restoring a backup. While running: the backup is checked and <data>/store.restore names it; the service ends. At the next
 * open: the backup is copied to store.restoring, the present store renamed to store.before-restore-<time>, the copy to store;
 * when it is open, the marker goes. Cut off anywhere, the next open begins again: the backup itself is only read.
 */
#include "common/base/error.h"
#include "services/storage/backup.h"
#include "services/storage/files.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *marker_path(const struct sto_embedded *e)
{
    return sto_path("%s/store.restore", e->data);
}

int sto_restore_prepare(struct sto_store *s, const char *name, struct pgn_arena *arena, Pigeon__BackupInfo *ret)
{
    struct sto_embedded *e = sto_embedded_of(s);
    struct pgn_buf marker = {0};

    if (!sto_backup_name_valid(name))
        return PGN_E_INVALID;
    char *directory = sto_path("%s/backups/%s", e->data, name), *path = marker_path(e);
    ret->name = pgn_arena_strdup(arena, name);
    ret->path = pgn_arena_strdup(arena, directory);
    int error = sto_backup_check(directory, ret, true);
    if (!error) {
        pgn_buf_printf(&marker, "%s %" PRIu64 "\n", name, sto_log_last_commit(e->parts.log));
        error = sto_write_file(path, &marker);
    }
    pgn_buf_release(&marker);
    free(directory);
    free(path);
    return error;
}

static int replace(struct sto_embedded *e, const char *backup)
{
    char *fresh = sto_path("%s.restoring", e->store_path), *aside = sto_aside_name(e->store_path, "before-restore");
    char *manifest = sto_path("%s/manifest", fresh);
    struct pgn_buf *notes = &e->parts.base.notes;

    sto_remove_tree(fresh);
    int error = sto_copy_tree(backup, fresh, ".sst");
    unlink(manifest);
    if (!error && sto_exists(e->store_path)) {
        error = sto_rename_durable(e->store_path, aside);
        if (!error)
            pgn_buf_printf(notes, "the store as it was before the restore is kept in %s\n", aside);
    }
    if (!error)
        error = sto_rename_durable(fresh, e->store_path);
    free(manifest);
    free(fresh);
    free(aside);
    return error;
}

int sto_restore_act(struct sto_embedded *e, bool *ret_restored, struct pgn_buf *ret_problem)
{
    char *path = marker_path(e), *backup = NULL, name[128] = "";
    Pigeon__BackupInfo info = PIGEON__BACKUP_INFO__INIT;
    struct pgn_buf marker = {0};
    int error = sto_read_file(path, &marker);

    *ret_restored = false;
    if (error) {
        error = error == PGN_E_NOT_FOUND ? 0 : error;
        goto out;
    }
    pgn_buf_append_byte(&marker, 0);
    if (sscanf((const char *)marker.data, "%127s %" SCNu64, name, &e->restore_above) < 1 || !sto_backup_name_valid(name))
        name[0] = 0;
    backup = sto_path("%s/backups/%s", e->data, name);
    if (!name[0] || sto_backup_check(backup, &info, true) != 0) {
        pgn_buf_printf(&e->parts.base.notes, "backup `%s` was to be restored, but is not there or damaged: the present store stays\n",
                       name);
        unlink(path);
        goto out;
    }
    error = replace(e, backup);
    if (error)
        pgn_buf_printf(ret_problem, "backup %s cannot be put in place of %s", backup, e->store_path);
    else
        pgn_buf_printf(&e->parts.base.notes, "backup %s was restored\n", name);
    *ret_restored = !error;
out:
    pgn_buf_release(&marker);
    free(path);
    free(backup);
    return error;
}

void sto_restore_done(struct sto_embedded *e)
{
    char *path = marker_path(e);

    unlink(path);
    if (sto_sync_parent(path) != 0)
        pgn_buf_append_str(&e->parts.base.notes, "the restore may be done once more at the next start\n");
    free(path);
}
