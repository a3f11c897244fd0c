/* Commands, a line each: see README.md. */
#include "tests/powerfs/powerfs.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const char *const modes[PFS_CUT_MODES] = {"drop", "keep", "random", "torn", "reorder"};
static const char *const ops[PFS_OPS] = {"fsync", "write", "short", "create", "rename", "truncate", "read"};

static int index_of(const char *const *all, int count, const char *word)
{
    for (int i = 0; i < count; i++)
        if (strcmp(all[i], word) == 0)
            return i;
    return -1;
}

static const char *cut(struct powerfs *fs, const char *line)
{
    char mode[16];
    uint64_t seed;

    if (sscanf(line, "cut %15s %" SCNu64, mode, &seed) != 2 || index_of(modes, PFS_CUT_MODES, mode) < 0)
        return "error: cut drop|keep|random|torn|reorder SEED";
    if (fs->off)
        return "error: no power already";
    fs->off = true;
    pfs_cut(fs->disk, (enum pfs_cut_mode)index_of(modes, PFS_CUT_MODES, mode), seed);
    return NULL;
}

/* Unlocked: the kernel may write what was mapped before it lets go. */
static void unmount(struct powerfs *fs)
{
    pthread_mutex_unlock(&fs->lock);
    umount2(fs->mountpoint, MNT_FORCE | MNT_DETACH); /* whoever has it open holds a dead file system */
    pthread_mutex_lock(&fs->lock);
}

/* Mounts anew, so that nothing of the kernel's caches is left; whoever still has files open finds them dead. */
static const char *on(struct powerfs *fs)
{
    if (fs->mounted) {
        unmount(fs);
        while (fs->mounted)
            pthread_cond_wait(&fs->changed, &fs->lock);
    }
    fs->off = false;
    fs->wanted = true;
    pthread_cond_broadcast(&fs->changed);
    while (!fs->mounted && !fs->quit)
        pthread_cond_wait(&fs->changed, &fs->lock);
    return fs->quit ? "error: cannot mount" : NULL;
}

static const char *fault(struct powerfs *fs, const char *line)
{
    struct pfs_fault f = {0};
    char op[16];

    if (strcmp(line, "fault clear") == 0) {
        fs->disk->fault_count = 0;
        return NULL;
    }
    if (sscanf(line, "fault %15s %d %ld %ld %63s", op, &f.error, &f.skip, &f.count, f.match) < 4 || index_of(ops, PFS_OPS, op) < 0)
        return "error: fault clear | fault fsync|write|short|create|rename|truncate|read ERRNO SKIP COUNT [PART OF NAME]";
    f.op = (enum pfs_op)index_of(ops, PFS_OPS, op);
    return pfs_fault_add(fs->disk, &f) ? NULL : "error: too many faults";
}

static const char *obey(struct powerfs *fs, const char *line)
{
    if (strncmp(line, "cut ", 4) == 0)
        return cut(fs, line);
    if (strcmp(line, "on") == 0)
        return on(fs);
    if (strncmp(line, "fault ", 6) == 0)
        return fault(fs, line);
    if (sscanf(line, "limit %" SCNu64, &fs->disk->limit_bytes) == 1 || sscanf(line, "delay %u", &fs->sync_delay_us) == 1)
        return NULL;
    if (strcmp(line, "quit") == 0) {
        fs->quit = true;
        unmount(fs);
        pthread_cond_broadcast(&fs->changed);
        return NULL;
    }
    return strcmp(line, "stats") == 0 ? NULL : "error: unknown command";
}

static void answer(struct powerfs *fs, FILE *stream, const char *line)
{
    pthread_mutex_lock(&fs->lock);
    const char *problem = obey(fs, line);
    const struct pfs_stats *s = &fs->disk->stats;

    if (problem)
        fprintf(stream, "%s\n", problem);
    else
        fprintf(stream,
                "ok writes=%" PRIu64 " syncs=%" PRIu64 " dir_syncs=%" PRIu64 " faults=%" PRIu64 " used=%" PRIu64 " cuts=%" PRIu64
                " pages_lost=%" PRIu64 " pages_kept=%" PRIu64 " pages_torn=%" PRIu64 " names_lost=%" PRIu64 " names_kept=%" PRIu64 "\n",
                s->writes, s->syncs, s->dir_syncs, s->faults, pfs_used(fs->disk), s->cuts, s->pages_lost, s->pages_kept, s->pages_torn,
                s->names_lost, s->names_kept);
    pthread_mutex_unlock(&fs->lock);
    fflush(stream);
}

static void serve(struct powerfs *fs, int socket)
{
    FILE *in = fdopen(socket, "r"), *out = fdopen(dup(socket), "w");
    char line[256];

    while (in && out && !fs->quit && fgets(line, sizeof line, in)) {
        line[strcspn(line, "\n")] = 0;
        answer(fs, out, line);
    }
    pthread_mutex_lock(&fs->lock); /* whoever commands it is gone */
    if (!fs->quit)
        obey(fs, "quit");
    pthread_mutex_unlock(&fs->lock);
    if (in)
        fclose(in);
    if (out)
        fclose(out);
}

void *powerfs_control(void *listening)
{
    const struct powerfs_listening *l = listening;

    while (!l->fs->quit) {
        int one = accept(l->socket, NULL, NULL);

        if (one >= 0)
            serve(l->fs, one);
        else if (errno != EINTR)
            break;
    }
    return NULL;
}

int powerfs_listen(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (strlen(path) >= sizeof address.sun_path)
        return -1;
    strcpy(address.sun_path, path);
    unlink(path);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 4) != 0)
        return -1;
    return fd;
}
