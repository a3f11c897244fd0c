/*
 * Backups while running: <data>/backups/<name>/{log/, directory.sqlite, manifest}. The log is a RocksDB checkpoint (hard links,
 * so it is instant and takes room only when the store moves on), the directory SQLite's online backup. Made under another
 * name and renamed when all of it is on disk: a name that is there is whole.
 *
 * manifest: "pigeon-backup 1", then lines "at <ms>", "commit <n>", "file <blake2b> <bytes> <path>".
 */
#include "services/storage/backup.h"

#include "common/base/clock.h"
#include "common/base/error.h"
#include "services/storage/files.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { NAME_MAX_LEN = 64, BACKUPS_MAX = 1000 };

bool sto_backup_name_valid(const char *name)
{
    size_t n = strlen(name);

    if (n == 0 || n > NAME_MAX_LEN || name[0] == '.')
        return false;
    return strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == n;
}

/* ---- manifest ---- */

struct making {
    const char *directory;
    struct pgn_buf *manifest;
    uint64_t bytes;
};

static int manifest_visit(void *ctx, const char *relative)
{
    struct making *m = ctx;
    uint8_t hash[PGN_HASH_BYTES];
    char hex[2 * PGN_HASH_BYTES + 1], *path = sto_path("%s/%s", m->directory, relative);
    uint64_t bytes;
    int error = sto_hash_file(path, hash, &bytes);

    if (!error)
        error = sto_sync_path(path);
    free(path);
    if (error)
        return error;
    sodium_bin2hex(hex, sizeof hex, hash, sizeof hash);
    pgn_buf_printf(m->manifest, "file %s %" PRIu64 " %s\n", hex, bytes, relative);
    m->bytes += bytes;
    return 0;
}

static int manifest_write(const char *directory, Pigeon__BackupInfo *info)
{
    struct pgn_buf manifest = {0};
    struct making m = {directory, &manifest, 0};
    char *path = sto_path("%s/manifest", directory);

    pgn_buf_printf(&manifest, "pigeon-backup 1\nat %" PRIu64 "\ncommit %" PRIu64 "\n", info->at, info->commit);
    int error = sto_each_file(directory, manifest_visit, &m);
    if (!error)
        error = sto_write_file(path, &manifest);
    info->bytes = m.bytes;
    free(path);
    pgn_buf_release(&manifest);
    return error;
}

static int check_line(const char *directory, char *line, Pigeon__BackupInfo *info, bool verify)
{
    char hex[2 * PGN_HASH_BYTES + 1], found[2 * PGN_HASH_BYTES + 1], relative[1024];
    uint8_t hash[PGN_HASH_BYTES];
    uint64_t bytes, really;

    if (sscanf(line, "at %" SCNu64, &info->at) == 1 || sscanf(line, "commit %" SCNu64, &info->commit) == 1)
        return 0;
    if (sscanf(line, "file %64s %" SCNu64 " %1023s", hex, &bytes, relative) != 3 || strstr(relative, ".."))
        return PGN_E_CORRUPT;
    info->bytes += bytes;
    if (!verify)
        return 0;
    char *path = sto_path("%s/%s", directory, relative);
    int error = sto_hash_file(path, hash, &really);
    free(path);
    sodium_bin2hex(found, sizeof found, hash, sizeof hash);
    return error || bytes != really || strcmp(hex, found) != 0 ? PGN_E_CORRUPT : 0;
}

int sto_backup_check(const char *directory, Pigeon__BackupInfo *info, bool verify)
{
    char *path = sto_path("%s/manifest", directory), *save = NULL;
    struct pgn_buf content = {0};
    int error = sto_read_file(path, &content);

    free(path);
    pgn_buf_append_byte(&content, 0);
    char *line = error ? NULL : strtok_r((char *)content.data, "\n", &save);
    if (!error && (!line || strcmp(line, "pigeon-backup 1") != 0))
        error = PGN_E_CORRUPT;
    while (!error && (line = strtok_r(NULL, "\n", &save)) != NULL)
        error = check_line(directory, line, info, verify);
    pgn_buf_release(&content);
    return error;
}

/* ---- making ---- */

static char *name_of_now(struct pgn_arena *arena)
{
    time_t now = (time_t)(pgn_wall_ms() / 1000);
    struct tm tm;
    char *name = pgn_arena_alloc(arena, 32);

    gmtime_r(&now, &tm);
    strftime(name, 32, "%Y%m%d-%H%M%S", &tm);
    return name;
}

static int make(struct sto_embedded *e, const char *directory, Pigeon__BackupInfo *info)
{
    char *log = sto_path("%s/log", directory), *dir = sto_path("%s/directory.sqlite", directory);
    int error = mkdir(directory, 0700) == 0 ? 0 : PGN_E_IO;

    /* The directory after the log: whoever is named in the log is in it. */
    if (!error)
        error = e->parts.kv->ops->checkpoint(e->parts.kv, log);
    if (!error)
        error = sto_dir_copy(e->dir_path, dir);
    if (!error)
        error = manifest_write(directory, info);
    free(log);
    free(dir);
    return error;
}

int sto_backup_make(struct sto_store *s, const char *name, struct pgn_arena *arena, Pigeon__BackupInfo *ret)
{
    struct sto_embedded *e = sto_embedded_of(s);

    if (!name[0])
        name = name_of_now(arena);
    if (!sto_backup_name_valid(name))
        return PGN_E_INVALID;
    char *all = sto_path("%s/backups", e->data), *final = sto_path("%s/%s", all, name), *making = sto_path("%s/.making-%s", all, name);
    int error = mkdir(all, 0700) == 0 || errno == EEXIST ? 0 : PGN_E_IO;
    if (!error && sto_exists(final))
        error = PGN_E_CONFLICT;
    if (!error) {
        sto_remove_tree(making);
        ret->name = pgn_arena_strdup(arena, name);
        ret->path = pgn_arena_strdup(arena, final);
        ret->at = pgn_wall_ms();
        ret->commit = sto_log_last_commit(e->parts.log);
        error = make(e, making, ret);
        if (!error)
            error = sto_rename_durable(making, final);
        if (error)
            sto_remove_tree(making);
    }
    free(all);
    free(final);
    free(making);
    return error;
}

/* ---- listing ---- */

static int info_cmp(const void *a, const void *b)
{
    const Pigeon__BackupInfo *const *x = a, *const *y = b;

    return ((*x)->at < (*y)->at) - ((*x)->at > (*y)->at);
}

/* The newest first. */
int sto_backup_list(struct sto_store *s, struct pgn_arena *arena, Pigeon__BackupList *ret)
{
    char *all = sto_path("%s/backups", sto_embedded_of(s)->data);
    DIR *d = opendir(all);

    ret->backups = pgn_arena_alloc(arena, BACKUPS_MAX * sizeof(Pigeon__BackupInfo *));
    for (struct dirent *entry = d ? readdir(d) : NULL; entry && ret->n_backups < BACKUPS_MAX; entry = readdir(d)) {
        if (!sto_backup_name_valid(entry->d_name))
            continue;
        char *directory = sto_path("%s/%s", all, entry->d_name);
        STO_NEW(arena, Pigeon__BackupInfo, pigeon__backup_info, info);
        info->name = pgn_arena_strdup(arena, entry->d_name);
        info->path = pgn_arena_strdup(arena, directory);
        if (sto_backup_check(directory, info, false) == 0)
            ret->backups[ret->n_backups++] = info;
        free(directory);
    }
    if (d)
        closedir(d);
    qsort((void *)ret->backups, ret->n_backups, sizeof(Pigeon__BackupInfo *), info_cmp);
    free(all);
    return 0;
}

uint64_t sto_backup_last(struct sto_embedded *e)
{
    struct pgn_arena *arena = pgn_arena_new(4096);
    Pigeon__BackupList list = PIGEON__BACKUP_LIST__INIT;
    uint64_t at = 0;

    if (sto_backup_list(&e->parts.base, arena, &list) == 0 && list.n_backups)
        at = list.backups[0]->at;
    pgn_arena_free(&arena);
    return at;
}
