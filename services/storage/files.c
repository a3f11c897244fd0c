#include "services/storage/files.h"

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "services/storage/embedded.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <libgen.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PIECE_BYTES = 1 << 16 };

bool sto_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

int sto_sync_path(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int result = fd < 0 ? -1 : fsync(fd);

    if (fd >= 0)
        close(fd);
    return result == 0 ? 0 : PGN_E_IO;
}

int sto_sync_parent(const char *path)
{
    char *copy = pgn_strdup(path);
    int error = sto_sync_path(dirname(copy));

    free(copy);
    return error;
}

int sto_rename_durable(const char *from, const char *to)
{
    return rename(from, to) == 0 ? sto_sync_parent(to) : PGN_E_IO;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

void sto_remove_tree(const char *path)
{
    if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0)
        errno = 0; /* what is left is only in the way of nobody */
}

char *sto_aside_name(const char *path, const char *what)
{
    char stamp[32];
    time_t now = (time_t)(pgn_wall_ms() / 1000);
    struct tm tm;

    gmtime_r(&now, &tm);
    strftime(stamp, sizeof stamp, "%Y%m%d-%H%M%S", &tm);
    char *name = sto_path("%s.%s-%s", path, what, stamp);
    for (int i = 2; sto_exists(name); i++) {
        free(name);
        name = sto_path("%s.%s-%s-%d", path, what, stamp, i);
    }
    return name;
}

/* ---- copying ---- */

static int copy_bytes(int in, int out)
{
    char *piece = pgn_malloc(PIECE_BYTES);
    ssize_t n;
    int error = 0;

    while (!error && (n = read(in, piece, PIECE_BYTES)) != 0)
        error = n < 0 || write(out, piece, (size_t)n) != n ? PGN_E_IO : 0;
    free(piece);
    return error;
}

static int copy_file(const char *from, const char *to)
{
    int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int error = in < 0 || out < 0 ? PGN_E_IO : copy_bytes(in, out);

    if (!error && fsync(out) != 0)
        error = PGN_E_IO;
    if (in >= 0)
        close(in);
    if (out >= 0)
        close(out);
    return error;
}

struct copying {
    const char *from, *to, *link_ending;
};

static bool ends_with(const char *text, const char *ending)
{
    size_t n = strlen(text), e = strlen(ending);

    return n >= e && strcmp(text + n - e, ending) == 0;
}

static int parents_make(const char *path, size_t from)
{
    char *copy = pgn_strdup(path);
    int error = 0;

    for (char *slash = strchr(copy + from, '/'); slash && !error; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        if (mkdir(copy, 0700) != 0 && errno != EEXIST)
            error = PGN_E_IO;
        *slash = '/';
    }
    free(copy);
    return error;
}

static int copy_visit(void *ctx, const char *relative)
{
    const struct copying *c = ctx;
    char *from = sto_path("%s/%s", c->from, relative), *to = sto_path("%s/%s", c->to, relative);
    int error = parents_make(to, strlen(c->to) + 1);

    if (!error && c->link_ending && ends_with(relative, c->link_ending))
        error = link(from, to) == 0 ? 0 : copy_file(from, to);
    else if (!error)
        error = copy_file(from, to);
    if (!error)
        error = sto_sync_parent(to);
    free(from);
    free(to);
    return error;
}

int sto_copy_tree(const char *from, const char *to, const char *link_ending)
{
    struct copying c = {from, to, link_ending};

    if (mkdir(to, 0700) != 0)
        return PGN_E_IO;
    int error = sto_each_file(from, copy_visit, &c);
    return error ? error : sto_sync_path(to);
}

/* ---- walking ---- */

static int walk(const char *root, const char *relative, sto_file_visit *visit, void *ctx)
{
    char *path = relative[0] ? sto_path("%s/%s", root, relative) : sto_path("%s", root);
    struct dirent **entries = NULL;
    int n = scandir(path, &entries, NULL, alphasort), error = n < 0 ? PGN_E_IO : 0;

    for (int i = 0; i < n; i++) {
        const char *name = entries[i]->d_name;
        char *below = relative[0] ? sto_path("%s/%s", relative, name) : sto_path("%s", name), *full = sto_path("%s/%s", root, below);
        struct stat st;

        if (!error && strcmp(name, ".") != 0 && strcmp(name, "..") != 0) {
            if (lstat(full, &st) != 0)
                error = PGN_E_IO;
            else if (S_ISDIR(st.st_mode))
                error = walk(root, below, visit, ctx);
            else if (S_ISREG(st.st_mode))
                error = visit(ctx, below);
        }
        free(below);
        free(full);
        free(entries[i]);
    }
    free((void *)entries);
    free(path);
    return error;
}

int sto_each_file(const char *path, sto_file_visit *visit, void *ctx)
{
    return walk(path, "", visit, ctx);
}

/* ---- contents ---- */

int sto_hash_file(const char *path, uint8_t ret_hash[PGN_HASH_BYTES], uint64_t *ret_bytes)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), error = 0;
    crypto_generichash_state h;
    uint8_t *piece;
    ssize_t n;

    if (fd < 0)
        return errno == ENOENT ? PGN_E_NOT_FOUND : PGN_E_IO;
    piece = pgn_malloc(PIECE_BYTES);
    crypto_generichash_init(&h, NULL, 0, PGN_HASH_BYTES);
    *ret_bytes = 0;
    while ((n = read(fd, piece, PIECE_BYTES)) > 0) {
        crypto_generichash_update(&h, piece, (size_t)n);
        *ret_bytes += (uint64_t)n;
    }
    if (n < 0)
        error = PGN_E_IO;
    crypto_generichash_final(&h, ret_hash, PGN_HASH_BYTES);
    free(piece);
    close(fd);
    return error;
}

int sto_write_file(const char *path, const struct pgn_buf *content)
{
    char *fresh = sto_path("%s.new", path);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int error = fd < 0 || write(fd, content->data, content->len) != (ssize_t)content->len || fsync(fd) != 0 ? PGN_E_IO : 0;

    if (fd >= 0)
        close(fd);
    if (!error)
        error = sto_rename_durable(fresh, path);
    free(fresh);
    return error;
}

int sto_read_file(const char *path, struct pgn_buf *ret_content)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = 0;

    if (fd < 0)
        return errno == ENOENT ? PGN_E_NOT_FOUND : PGN_E_IO;
    do {
        pgn_buf_reserve(ret_content, 4096);
        n = read(fd, ret_content->data + ret_content->len, 4096);
        ret_content->len += n > 0 ? (size_t)n : 0;
    } while (n > 0);
    close(fd);
    return n < 0 ? PGN_E_IO : 0;
}
