/*
 * The embedded store of one node: <data>/store/log (RocksDB) and <data>/store/directory.sqlite, guarded by <data>/store.lock.
 */
#include "common/base/error.h"
#include "services/storage/embedded.h"
#include "services/storage/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

char *sto_path(const char *format, ...)
{
    struct pgn_buf b = {0};
    va_list args;
    char text[4096];

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    pgn_buf_append_str(&b, text);
    pgn_buf_append_byte(&b, 0);
    return (char *)b.data;
}

/* ---- the lock ---- */

static int lock_take(struct sto_embedded *e, struct pgn_buf *ret_problem)
{
    char *path = sto_path("%s/store.lock", e->data), holder[32] = "";
    int error = 0;

    e->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (e->lock_fd < 0) {
        pgn_buf_printf(ret_problem, "%s cannot be opened: %s", path, strerror(errno));
        error = PGN_E_IO;
    } else if (flock(e->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        ssize_t n = pread(e->lock_fd, holder, sizeof holder - 1, 0);

        holder[n > 0 ? (size_t)n : 0] = 0;
        holder[strcspn(holder, "\n")] = 0;
        pgn_buf_printf(ret_problem, "the store in %s is in use by process %s: only one storage service may run on it", e->data,
                       holder[0] ? holder : "(unknown)");
        error = PGN_E_BUSY;
    } else {
        int n = snprintf(holder, sizeof holder, "%ld\n", (long)getpid());

        if (ftruncate(e->lock_fd, 0) != 0 || pwrite(e->lock_fd, holder, (size_t)n, 0) != n)
            error = 0; /* the number is only shown */
    }
    free(path);
    return error;
}

/* ---- opening ---- */

/* Its name is on the disk afterwards: POSIX keeps what is synced below it only if it is itself. */
static int directory_make(const char *path, struct pgn_buf *ret_problem)
{
    if ((mkdir(path, 0700) == 0 || errno == EEXIST) && sto_sync_parent(path) == 0)
        return 0;
    pgn_buf_printf(ret_problem, "%s cannot be made: %s", path, strerror(errno));
    return PGN_E_IO;
}

/* Nobody else reads the store, also where a hand or an older Pigeon made the directory. */
static int directory_close_to_others(const char *path, struct pgn_buf *ret_problem)
{
    if (chmod(path, 0700) == 0)
        return 0;
    pgn_buf_printf(ret_problem, "%s cannot be closed to other users: %s", path, strerror(errno));
    return PGN_E_IO;
}

static int log_open(struct sto_embedded *e, const struct sto_store_options *o, struct pgn_buf *ret_problem)
{
    struct sto_kv_rocks_options options = {
        .path = e->log_path,
        .cache_bytes = o->cache_bytes,
        .memtable_bytes = o->memtable_bytes,
        .retry_days = o->retry_days,
        .notes = &e->parts.base.notes,
    };
    int error = sto_repair_finish(e->log_path);

    if (!error)
        error = sto_kv_rocks_open(&options, &e->parts.kv, ret_problem);
    if (error != PGN_E_CORRUPT)
        return error;
    error = sto_repair_log(e->log_path, ret_problem, &e->parts.base.notes);
    pgn_buf_clear(ret_problem);
    return error ? error : sto_kv_rocks_open(&options, &e->parts.kv, ret_problem);
}

/* SQLite only says `disk I/O error`; without room for 32 KiB beside it the directory cannot even be read. */
static void tell_room(const struct sto_embedded *e, struct pgn_buf *ret_problem)
{
    enum { ROOM = 1 << 20 };
    struct statvfs disk;

    if (statvfs(e->store_path, &disk) == 0 && (uint64_t)disk.f_bavail * disk.f_frsize < ROOM)
        pgn_buf_printf(ret_problem, ": the disk of %s is full; storage starts when there is room", e->store_path);
}

static int dir_open(struct sto_embedded *e, struct pgn_buf *ret_problem)
{
    struct sto_parts *p = &e->parts;
    int error = sto_repair_finish(e->dir_path);

    if (!error)
        error = sto_dir_open(e->dir_path, p->people, &p->dir, ret_problem, &p->base.notes);
    if (error == PGN_E_IO)
        tell_room(e, ret_problem);
    if (error != PGN_E_CORRUPT)
        return error;
    error = sto_repair_dir(e->dir_path, ret_problem, &p->base.notes);
    pgn_buf_clear(ret_problem);
    sto_people_free(&p->people);
    p->people = sto_people_new();
    return error ? error : sto_dir_open(e->dir_path, p->people, &p->dir, ret_problem, &p->base.notes);
}

static void embedded_close(struct sto_store *s)
{
    struct sto_embedded *e = sto_embedded_of(s);

    sto_parts_release(&e->parts);
    if (e->lock_fd >= 0)
        close(e->lock_fd); /* releases it */
    free(e->data);
    free(e->store_path);
    free(e->log_path);
    free(e->dir_path);
    free(e);
}

static int embedded_stats(struct sto_store *s, struct pgn_arena *arena, Pigeon__StoreStats *ret)
{
    struct sto_embedded *e = sto_embedded_of(s);
    struct statvfs disk;

    sto_parts_stats(&e->parts, arena, ret);
    if (statvfs(e->store_path, &disk) == 0)
        ret->disk_free = (uint64_t)disk.f_bavail * disk.f_frsize;
    struct stat st;
    if (stat(e->dir_path, &st) == 0)
        ret->bytes += (uint64_t)st.st_size;
    ret->last_backup_at = sto_backup_last(e);
    return 0;
}

static const struct sto_store_ops embedded_ops = {
    .name = "embedded",
    .commit = sto_parts_commit,
    .recover = sto_parts_recover,
    .doubt = sto_parts_doubt,
    .last_commit = sto_parts_last_commit,
    .read = sto_parts_read,
    .dir_begin = sto_parts_dir_begin,
    .dir_request = sto_parts_dir_request,
    .dir_session = sto_parts_dir_session,
    .dir_mqtt = sto_parts_dir_mqtt,
    .dir_end = sto_parts_dir_end,
    .audit_verify = sto_parts_audit_verify,
    .stats = embedded_stats,
    .backup = sto_backup_make,
    .backup_list = sto_backup_list,
    .restore = sto_restore_prepare,
    .close = embedded_close,
};

/* The audit log of the restored store says so. */
static int restore_audit(struct sto_embedded *e)
{
    struct sto_store *s = &e->parts.base;
    struct pgn_arena *arena = pgn_arena_new(4096);
    Pigeon__DirRequest request = PIGEON__DIR_REQUEST__INIT;
    Pigeon__AuditEntry entry = PIGEON__AUDIT_ENTRY__INIT;
    Pigeon__Reply reply = PIGEON__REPLY__INIT;
    struct sto_effects effects;
    char action[] = "store.restore", system[] = "system";

    sto_effects_init(&effects, arena);
    entry.action = action;
    request.actor = system;
    request.what_case = PIGEON__DIR_REQUEST__WHAT_AUDIT;
    request.audit = &entry;
    int error = sto_parts_dir_begin(s);
    if (!error)
        error = sto_parts_dir_request(s, &request, arena, &reply, &effects);
    if (!error)
        error = sto_parts_dir_end(s);
    pgn_arena_free(&arena);
    return error;
}

int sto_embedded_open(const struct sto_store_options *options, struct sto_store **ret_store, struct pgn_buf *ret_problem)
{
    struct sto_embedded *e = pgn_calloc(1, sizeof *e);
    bool restored = false;

    sto_parts_init(&e->parts, &embedded_ops);
    e->lock_fd = -1;
    e->data = pgn_strdup(options->data);
    e->store_path = sto_path("%s/store", e->data);
    e->log_path = sto_path("%s/log", e->store_path);
    e->dir_path = sto_path("%s/directory.sqlite", e->store_path);
    int error = directory_make(e->data, ret_problem);
    if (!error)
        error = lock_take(e, ret_problem);
    if (!error)
        error = sto_restore_act(e, &restored, ret_problem);
    if (!error)
        error = directory_make(e->store_path, ret_problem);
    if (!error)
        error = directory_close_to_others(e->store_path, ret_problem);
    if (!error)
        error = dir_open(e, ret_problem);
    if (!error && options->faults.sync_off)
        error = sto_dir_sync_off(e->parts.dir);
    if (!error)
        error = log_open(e, options, ret_problem);
    if (!error && (error = sto_sync_path(e->store_path)) != 0) /* the names of both */
        pgn_buf_printf(ret_problem, "%s cannot be synced: %s", e->store_path, strerror(errno));
    if (!error)
        error = sto_parts_join(&e->parts, &options->faults, ret_problem);
    if (!error && restored && (error = sto_log_jump(e->parts.log, e->restore_above)) == 0 && (error = restore_audit(e)) == 0)
        sto_restore_done(e);
    if (error)
        embedded_close(&e->parts.base);
    else
        *ret_store = &e->parts.base;
    return error;
}
