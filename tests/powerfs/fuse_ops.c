/* The kernel's requests. */
#include "tests/powerfs/powerfs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const double FOREVER_S = 3600; /* nothing changes behind the kernel's back: a cut mounts anew */

/* The disk, locked; NULL without power (answered). Every begin needs an end. */
static struct powerfs *begin(fuse_req_t req)
{
    struct powerfs *fs = fuse_req_userdata(req);

    pthread_mutex_lock(&fs->lock);
    if (!fs->off)
        return fs;
    pthread_mutex_unlock(&fs->lock);
    fuse_reply_err(req, EIO);
    return NULL;
}
static void end(struct powerfs *fs)
{
    pthread_mutex_unlock(&fs->lock);
}

static void stat_of(const struct pfs_node *n, struct stat *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->st_ino = n->ino;
    ret->st_mode = n->mode;
    ret->st_nlink = n->is_dir ? 2 : (nlink_t)n->links;
    ret->st_size = (off_t)n->live.size;
    ret->st_blocks = (blkcnt_t)((n->live.size + 511) / 512);
    ret->st_blksize = PFS_PAGE;
    ret->st_mtime = ret->st_ctime = ret->st_atime = n->changed_s;
}

static void entry_of(struct pfs_node *n, struct fuse_entry_param *ret)
{
    memset(ret, 0, sizeof *ret);
    n->lookups++;
    ret->ino = n->ino;
    ret->attr_timeout = ret->entry_timeout = FOREVER_S;
    stat_of(n, &ret->attr);
}

static void reply_error_or(fuse_req_t req, int error, const struct fuse_entry_param *entry)
{
    if (error)
        fuse_reply_err(req, error);
    else
        fuse_reply_entry(req, entry);
}

/* ---- names ---- */

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct fuse_entry_param e = {.entry_timeout = FOREVER_S};
    struct powerfs *fs = begin(req);

    if (!fs)
        return;
    struct pfs_node *n = pfs_find(fs->disk, parent, name);
    if (n)
        entry_of(n, &e);
    end(fs);
    reply_error_or(req, n ? 0 : ENOENT, &e);
}

static void forget(struct powerfs *fs, fuse_ino_t ino, uint64_t count)
{
    struct pfs_node *n = pfs_node(fs->disk, ino);

    if (n)
        n->lookups -= n->lookups < count ? n->lookups : count;
}
static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count)
{
    struct powerfs *fs = fuse_req_userdata(req);

    pthread_mutex_lock(&fs->lock);
    if (!fs->off) /* a cut forgot all of them */
        forget(fs, ino, count);
    pthread_mutex_unlock(&fs->lock);
    fuse_reply_none(req);
}
static void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *all)
{
    struct powerfs *fs = fuse_req_userdata(req);

    pthread_mutex_lock(&fs->lock);
    for (size_t i = 0; !fs->off && i < count; i++)
        forget(fs, all[i].ino, all[i].nlookup);
    pthread_mutex_unlock(&fs->lock);
    fuse_reply_none(req);
}

static void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
    struct fuse_entry_param e;
    struct pfs_node *n;
    struct powerfs *fs = begin(req);

    if (!fs)
        return;
    int error = pfs_make(fs->disk, parent, name, S_IFDIR | (mode & 07777), &n);
    if (!error)
        entry_of(n, &e);
    end(fs);
    reply_error_or(req, error, &e);
}

static void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi)
{
    struct fuse_entry_param e;
    struct pfs_node *n;
    struct powerfs *fs = begin(req);

    if (!fs)
        return;
    int error = pfs_make(fs->disk, parent, name, S_IFREG | (mode & 07777), &n);
    if (!error)
        entry_of(n, &e);
    end(fs);
    fi->keep_cache = 1;
    if (error)
        fuse_reply_err(req, error);
    else
        fuse_reply_create(req, &e, fi);
}

static void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
    struct fuse_entry_param e;
    struct powerfs *fs = begin(req);

    if (!fs)
        return;
    int error = pfs_link(fs->disk, ino, parent, name);
    if (!error)
        entry_of(pfs_node(fs->disk, ino), &e);
    end(fs);
    reply_error_or(req, error, &e);
}

static void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct powerfs *fs = begin(req);

    if (!fs)
        return;
    int error = pfs_remove(fs->disk, parent, name, false);
    end(fs);
    fuse_reply_err(req, error);
}
static void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct powerfs *fs = begin(req);

    if (!fs)
        return;
    int error = pfs_remove(fs->disk, parent, name, true);
    end(fs);
    fuse_reply_err(req, error);
}
static void op_rename(fuse_req_t req, fuse_ino_t from_dir, const char *from, fuse_ino_t to_dir, const char *to, unsigned flags)
{
    enum { NO_REPLACE = 1 };
    struct powerfs *fs = begin(req);

    if (!fs)
        return;
    int error = flags & ~(unsigned)NO_REPLACE ? EINVAL : pfs_rename(fs->disk, from_dir, from, to_dir, to, !flags);
    end(fs);
    fuse_reply_err(req, error);
}

static void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t at, struct fuse_file_info *fi)
{
    char *out = malloc(size);
    size_t len = 0;
    struct powerfs *fs = begin(req);

    (void)fi;
    if (!fs || !out) {
        free(out);
        return;
    }
    struct pfs_node *dir = pfs_node(fs->disk, ino);
    for (size_t i = (size_t)at; dir && i < dir->live_names.count + 2; i++) {
        const struct pfs_entry *e = i < 2 ? NULL : &dir->live_names.all[i - 2];
        struct stat st = {.st_ino = e ? e->ino : ino, .st_mode = S_IFDIR};

        if (e && pfs_node(fs->disk, e->ino))
            st.st_mode = pfs_node(fs->disk, e->ino)->mode;
        size_t need = fuse_add_direntry(req, out + len, size - len, e ? e->name : i ? ".." : ".", &st, (off_t)i + 1);
        if (need > size - len)
            break;
        len += need;
    }
    end(fs);
    fuse_reply_buf(req, out, len);
    free(out);
}

/* ---- attributes ---- */

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct stat st;
    struct powerfs *fs = begin(req);

    (void)fi;
    if (!fs)
        return;
    struct pfs_node *n = pfs_node(fs->disk, ino);
    if (n)
        stat_of(n, &st);
    end(fs);
    if (n)
        fuse_reply_attr(req, &st, FOREVER_S);
    else
        fuse_reply_err(req, ENOENT);
}

static void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *to, int what, struct fuse_file_info *fi)
{
    struct stat st;
    struct powerfs *fs = begin(req);

    (void)fi;
    if (!fs)
        return;
    struct pfs_node *n = pfs_node(fs->disk, ino);
    int error = !n ? ENOENT : what & FUSE_SET_ATTR_SIZE ? pfs_truncate(fs->disk, ino, (uint64_t)to->st_size) : 0;
    if (!error && what & FUSE_SET_ATTR_MODE)
        n->mode = (n->mode & S_IFMT) | (to->st_mode & 07777);
    if (!error)
        stat_of(n, &st);
    end(fs);
    if (error)
        fuse_reply_err(req, error);
    else
        fuse_reply_attr(req, &st, FOREVER_S);
}

static void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
    enum { UNLIMITED = 1 << 30 };
    struct powerfs *fs = begin(req);

    (void)ino;
    if (!fs)
        return;
    uint64_t all = fs->disk->limit_bytes ? fs->disk->limit_bytes : UNLIMITED, used = pfs_used(fs->disk);
    struct statvfs st = {.f_bsize = PFS_PAGE, .f_frsize = PFS_PAGE, .f_namemax = PFS_NAME_MAX};
    end(fs);
    st.f_blocks = all / PFS_PAGE;
    st.f_bfree = st.f_bavail = used < all ? (all - used) / PFS_PAGE : 0;
    st.f_files = st.f_ffree = UNLIMITED;
    fuse_reply_statfs(req, &st);
}

/* ---- bytes ---- */

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct powerfs *fs = begin(req);

    if (!fs)
        return;
    int error = fi->flags & O_TRUNC ? pfs_truncate(fs->disk, ino, 0) : 0;
    end(fs);
    fi->keep_cache = 1;
    if (error)
        fuse_reply_err(req, error);
    else
        fuse_reply_open(req, fi);
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t at, struct fuse_file_info *fi)
{
    char *copy = malloc(size ? size : 1);
    size_t len = 0;
    struct powerfs *fs = begin(req);

    (void)fi;
    if (!fs || !copy) {
        free(copy);
        return;
    }
    struct pfs_node *n = pfs_node(fs->disk, ino);
    int error = n ? pfs_fault_due(fs->disk, PFS_OP_READ, n) : EBADF;
    if (!error && (size_t)at < n->live.size) {
        len = n->live.size - (size_t)at < size ? n->live.size - (size_t)at : size;
        memcpy(copy, n->live.data + at, len);
    }
    end(fs);
    if (error)
        fuse_reply_err(req, error);
    else
        fuse_reply_buf(req, copy, len);
    free(copy);
}

static void op_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t at, struct fuse_file_info *fi)
{
    size_t written = 0;
    struct powerfs *fs = begin(req);

    (void)fi;
    if (!fs)
        return;
    int error = pfs_write(fs->disk, ino, data, size, (uint64_t)at, &written);
    end(fs);
    if (error)
        fuse_reply_err(req, error);
    else
        fuse_reply_write(req, written);
}

/* Takes as long as a disk does; the power may go meanwhile. */
static void op_fsync(fuse_req_t req, fuse_ino_t ino, int data_only, struct fuse_file_info *fi)
{
    struct powerfs *fs = begin(req);

    (void)data_only, (void)fi;
    if (!fs)
        return;
    uint64_t until = fs->disk->step;
    unsigned delay_us = fs->sync_delay_us;
    end(fs);
    if (delay_us)
        usleep(delay_us);
    if (!(fs = begin(req)))
        return;
    int error = pfs_sync(fs->disk, ino, until);
    end(fs);
    fuse_reply_err(req, error);
}

static void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t at, off_t len, struct fuse_file_info *fi)
{
    enum { KEEP_SIZE = 1 };
    struct powerfs *fs = begin(req);

    (void)ino, (void)at, (void)fi;
    if (!fs)
        return;
    uint64_t limit = fs->disk->limit_bytes;
    int error = mode != KEEP_SIZE ? EOPNOTSUPP : limit && pfs_used(fs->disk) + (uint64_t)len > limit ? ENOSPC : 0;
    end(fs);
    fuse_reply_err(req, error);
}

static void op_nothing(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)ino, (void)fi;
    fuse_reply_err(req, 0);
}

const struct fuse_lowlevel_ops powerfs_ops = {
    .lookup = op_lookup,
    .forget = op_forget,
    .forget_multi = op_forget_multi,
    .getattr = op_getattr,
    .setattr = op_setattr,
    .mkdir = op_mkdir,
    .unlink = op_unlink,
    .rmdir = op_rmdir,
    .rename = op_rename,
    .link = op_link,
    .create = op_create,
    .open = op_open,
    .read = op_read,
    .write = op_write,
    .flush = op_nothing,
    .release = op_nothing,
    .fsync = op_fsync,
    .readdir = op_readdir,
    .releasedir = op_nothing,
    .fsyncdir = op_fsync,
    .statfs = op_statfs,
    .fallocate = op_fallocate,
};
