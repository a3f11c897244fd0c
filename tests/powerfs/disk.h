/*
 * A disk in memory that can lose its power. Every file and every directory has two states: what a process sees (live), and what
 * would be there after a power cut (synced). Writes, truncations and names are live only, until their file (for bytes and size)
 * or their directory (for names) is synced. A rename is one step: never half of it. The strictest reading of POSIX: syncing a file does not
 * keep its name.
 *
 * A cut keeps a part of what was not synced, by its mode and seed; what was synced, it never touches. Bytes are kept by pages of 4096,
 * torn at 512 (a sector is written whole or not at all).
 *
 * After a failed sync, as on Linux (fsyncgate): the pages count as clean and can still be read, and no later sync writes them.
 *
 * Nothing here locks: the caller does (fuse_ops.c has one mutex). No I/O. Memory: aborts when there is none.
 */
#ifndef TESTS_POWERFS_DISK_H
#define TESTS_POWERFS_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { PFS_ROOT = 1, PFS_PAGE = 4096, PFS_SECTOR = 512, PFS_NAME_MAX = 255 };

enum pfs_cut_mode {
    PFS_CUT_DROP,    /* nothing that was not synced is there */
    PFS_CUT_KEEP,    /* all of it is: the luckiest cut */
    PFS_CUT_RANDOM,  /* each page by the dice; names up to some step */
    PFS_CUT_TORN,    /* pages in the order of their writes, up to one that is torn; names up to some step */
    PFS_CUT_REORDER, /* late pages without the early ones; names in any combination */
    PFS_CUT_MODES
};

enum pfs_op { PFS_OP_FSYNC, PFS_OP_WRITE, PFS_OP_SHORT, PFS_OP_CREATE, PFS_OP_RENAME, PFS_OP_TRUNCATE, PFS_OP_READ, PFS_OPS };

struct pfs_page {
    uint64_t since, last; /* steps of the first and the newest write that is not synced; since 0: clean */
};
struct pfs_entry {
    char name[PFS_NAME_MAX + 1];
    uint64_t ino;
};
struct pfs_names {
    struct pfs_entry *all;
    size_t count, cap;
};
struct pfs_bytes {
    uint8_t *data; /* zeros behind size, up to cap */
    size_t size, cap;
};
struct pfs_node {
    uint64_t ino;
    mode_t mode; /* with S_IFDIR or S_IFREG */
    bool is_dir;
    int64_t changed_s;
    size_t lookups, links;       /* of the kernel; names that lead here now */
    char name[PFS_NAME_MAX + 1]; /* the newest, for faults */
    struct pfs_bytes live, synced;
    struct pfs_page *pages;
    size_t page_count;
    bool resized; /* the live size is not synced */
    struct pfs_names live_names, synced_names;
};

/* A change of names that waits for its directory's sync: `to` (if any) becomes ino, `from` (if any) goes. */
struct pfs_change {
    uint64_t from_dir, to_dir, ino;
    char from[PFS_NAME_MAX + 1], to[PFS_NAME_MAX + 1];
};

struct pfs_fault {
    enum pfs_op op;
    int error;      /* errno; PFS_OP_SHORT needs none */
    long skip;      /* so many go well first */
    long count;     /* then so many fail; -1: all */
    char match[64]; /* part of the file's name; empty: any */
};
enum { PFS_FAULTS = 16 };

struct pfs_stats {
    uint64_t writes, syncs, dir_syncs, cuts, faults;
    uint64_t pages_lost, pages_kept, pages_torn, names_lost, names_kept; /* of the newest cut */
};

struct pfs_disk {
    struct pfs_node **nodes;
    size_t node_count, node_cap;
    uint64_t step;
    struct pfs_change *changes;
    size_t change_count, change_cap;
    struct pfs_fault faults[PFS_FAULTS];
    size_t fault_count;
    uint64_t limit_bytes; /* 0: none */
    struct pfs_stats stats;
};

struct pfs_disk *pfs_disk_new(void);
void pfs_disk_free(struct pfs_disk **d);

/* All give 0 or an errno. */
struct pfs_node *pfs_node(struct pfs_disk *d, uint64_t ino); /* NULL: none */
struct pfs_node *pfs_find(struct pfs_disk *d, uint64_t dir, const char *name);
int pfs_make(struct pfs_disk *d, uint64_t dir, const char *name, mode_t mode, struct pfs_node **ret_node);
int pfs_link(struct pfs_disk *d, uint64_t ino, uint64_t dir, const char *name);
int pfs_remove(struct pfs_disk *d, uint64_t dir, const char *name, bool is_dir);
int pfs_rename(struct pfs_disk *d, uint64_t from_dir, const char *from, uint64_t to_dir, const char *to, bool replace);
int pfs_write(struct pfs_disk *d, uint64_t ino, const void *data, size_t len, uint64_t at, size_t *ret_written);
int pfs_truncate(struct pfs_disk *d, uint64_t ino, uint64_t size);
/* What was written before step `until` (pfs_disk.step when the sync was asked for) is on the disk afterwards. */
int pfs_sync(struct pfs_disk *d, uint64_t ino, uint64_t until);
uint64_t pfs_used(const struct pfs_disk *d);
bool pfs_fault_add(struct pfs_disk *d, const struct pfs_fault *fault);
int pfs_fault_due(struct pfs_disk *d, enum pfs_op op, const struct pfs_node *n); /* errno, -1 for PFS_OP_SHORT, or 0 */

/* cut.c: the power goes: live becomes what a disk would hold. No lookup survives it. */
void pfs_cut(struct pfs_disk *d, enum pfs_cut_mode mode, uint64_t seed);

/* For cut.c. */
void pfs_names_set(struct pfs_names *names, const char *name, uint64_t ino); /* 0: removes it */
uint64_t pfs_names_get(const struct pfs_names *names, const char *name);
void pfs_change_apply(struct pfs_disk *d, const struct pfs_change *c);
void pfs_bytes_resize(struct pfs_bytes *b, size_t size);
void pfs_sweep(struct pfs_disk *d); /* frees what no name and no lookup leads to */

#endif
