/*
 * powerfs: the disk of disk.h as a FUSE file system. fuse_ops.c serves the kernel, control.c a UNIX socket beside it, main.c mounts.
 * One mutex guards the disk; libfuse's threads and the control thread take it for each operation, never while they wait.
 */
#ifndef TESTS_POWERFS_H
#define TESTS_POWERFS_H

#define FUSE_USE_VERSION 312

#include "tests/powerfs/disk.h"

#include <fuse3/fuse_lowlevel.h>
#include <pthread.h>

struct powerfs {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct pfs_disk *disk;
    bool off; /* no power: everything answers EIO */
    bool wanted, mounted, quit;
    unsigned sync_delay_us; /* as long as a real disk's sync takes */
    const char *mountpoint;
};

extern const struct fuse_lowlevel_ops powerfs_ops; /* userdata: struct powerfs */

/* Serves commands until `quit`; the answers are one line each. docs: tests/powerfs/README.md */
void *powerfs_control(void *powerfs);
int powerfs_listen(const char *path); /* a socket, or -1 */
struct powerfs_listening {
    struct powerfs *fs;
    int socket;
};

#endif
