/* powerfs MOUNTPOINT SOCKET: mounts at the command `on`, goes on over any number of cuts, ends at `quit` or when its socket is gone. */
#include "tests/powerfs/powerfs.h"

#include <stdio.h>
#include <string.h>

static int mount_once(struct powerfs *fs)
{
    char name[] = "powerfs", option[] = "-o", options[] = "fsname=powerfs,allow_other,default_permissions";
    char *argv[] = {name, option, options};
    struct fuse_args args = FUSE_ARGS_INIT(3, argv);
    struct fuse_session *session = fuse_session_new(&args, &powerfs_ops, sizeof powerfs_ops, fs);

    if (!session || fuse_session_mount(session, fs->mountpoint) != 0)
        return 1;
    pthread_mutex_lock(&fs->lock);
    fs->mounted = true;
    pthread_cond_broadcast(&fs->changed);
    pthread_mutex_unlock(&fs->lock);
    struct fuse_loop_config *config = fuse_loop_cfg_create();
    fuse_session_loop_mt(session, config);
    fuse_loop_cfg_destroy(config);
    fuse_session_unmount(session);
    fuse_session_destroy(session);
    fuse_opt_free_args(&args);
    pthread_mutex_lock(&fs->lock);
    fs->mounted = fs->wanted = false;
    pthread_cond_broadcast(&fs->changed);
    pthread_mutex_unlock(&fs->lock);
    return 0;
}

int main(int argc, char **argv)
{
    struct powerfs fs = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    struct powerfs_listening listening = {.fs = &fs};
    pthread_t control;
    int status = 0;

    if (argc != 3 || (listening.socket = powerfs_listen(argv[2])) < 0) {
        fprintf(stderr, "usage: powerfs MOUNTPOINT SOCKET\n");
        return 2;
    }
    fs.mountpoint = argv[1];
    fs.disk = pfs_disk_new();
    if (pthread_create(&control, NULL, powerfs_control, &listening) != 0)
        return 1;
    while (!status && !fs.quit) {
        pthread_mutex_lock(&fs.lock);
        while (!fs.wanted && !fs.quit)
            pthread_cond_wait(&fs.changed, &fs.lock);
        bool go_on = !fs.quit;
        pthread_mutex_unlock(&fs.lock);
        status = go_on ? mount_once(&fs) : 0;
    }
    pthread_mutex_lock(&fs.lock);
    fs.quit = true;
    pthread_cond_broadcast(&fs.changed);
    pthread_mutex_unlock(&fs.lock);
    return status; /* the control thread ends with the process */
}
