#include "tests/powerfs/disk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

static void *grown(void *old, size_t count, size_t size)
{
    void *p = reallocarray(old, count, size);

    if (!p)
        abort();
    return p;
}

/* ---- bytes ---- */

void pfs_bytes_resize(struct pfs_bytes *b, size_t size)
{
    if (size > b->cap) {
        size_t cap = b->cap ? b->cap : PFS_PAGE;

        while (cap < size)
            cap *= 2;
        b->data = grown(b->data, cap, 1);
        memset(b->data + b->cap, 0, cap - b->cap);
        b->cap = cap;
    }
    if (size < b->size)
        memset(b->data + size, 0, b->size - size);
    b->size = size;
}

/* ---- names ---- */

static struct pfs_entry *entry_of(const struct pfs_names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->all[i].name, name) == 0)
            return &names->all[i];
    return NULL;
}

uint64_t pfs_names_get(const struct pfs_names *names, const char *name)
{
    const struct pfs_entry *e = entry_of(names, name);

    return e ? e->ino : 0;
}

void pfs_names_set(struct pfs_names *names, const char *name, uint64_t ino)
{
    struct pfs_entry *e = entry_of(names, name);

    if (!ino) {
        if (e)
            *e = names->all[--names->count];
        return;
    }
    if (!e) {
        if (names->count == names->cap) {
            names->cap = names->cap ? names->cap * 2 : 16;
            names->all = grown(names->all, names->cap, sizeof *names->all);
        }
        e = &names->all[names->count++];
        strcpy(e->name, name); /* its length was checked at the door */
    }
    e->ino = ino;
}

static void live_set(struct pfs_disk *d, struct pfs_node *dir, const char *name, uint64_t ino)
{
    struct pfs_node *before = pfs_node(d, pfs_names_get(&dir->live_names, name)), *now = pfs_node(d, ino);

    if (before)
        before->links--;
    pfs_names_set(&dir->live_names, name, ino);
    if (now) {
        now->links++;
        strcpy(now->name, name);
    }
}

/* ---- changes of names ---- */

void pfs_change_apply(struct pfs_disk *d, const struct pfs_change *c)
{
    struct pfs_node *from = pfs_node(d, c->from_dir), *to = pfs_node(d, c->to_dir);

    if (from)
        pfs_names_set(&from->synced_names, c->from, 0);
    if (to)
        pfs_names_set(&to->synced_names, c->to, c->ino);
}

static void change_add(struct pfs_disk *d, uint64_t from_dir, const char *from, uint64_t to_dir, const char *to, uint64_t ino)
{
    if (d->change_count == d->change_cap) {
        d->change_cap = d->change_cap ? d->change_cap * 2 : 64;
        d->changes = grown(d->changes, d->change_cap, sizeof *d->changes);
    }
    struct pfs_change *c = &d->changes[d->change_count++];
    memset(c, 0, sizeof *c);
    c->from_dir = from_dir;
    c->to_dir = to_dir;
    c->ino = ino;
    strcpy(c->from, from);
    strcpy(c->to, to);
}

static bool touches(const struct pfs_change *c, uint64_t dir)
{
    return c->from_dir == dir || c->to_dir == dir;
}

/* Up to the newest rename between this directory and another, the other's changes are kept, too: in their order. */
static void names_sync(struct pfs_disk *d, uint64_t dir)
{
    size_t kept = 0, cross = 0;
    uint64_t other = 0;

    for (size_t i = 0; i < d->change_count; i++) {
        const struct pfs_change *c = &d->changes[i];

        if (touches(c, dir) && c->from_dir && c->to_dir && c->from_dir != c->to_dir) {
            other = c->from_dir == dir ? c->to_dir : c->from_dir;
            cross = i;
        }
    }
    for (size_t i = 0; i < d->change_count; i++) {
        const struct pfs_change *c = &d->changes[i];

        if (touches(c, dir) || (other && i <= cross && touches(c, other)))
            pfs_change_apply(d, c);
        else
            d->changes[kept++] = *c;
    }
    d->change_count = kept;
}

/* ---- nodes ---- */

struct pfs_node *pfs_node(struct pfs_disk *d, uint64_t ino)
{
    return ino && ino < d->node_count ? d->nodes[ino] : NULL;
}

static struct pfs_node *node_new(struct pfs_disk *d, mode_t mode)
{
    struct pfs_node *n = calloc(1, sizeof *n);

    if (!n)
        abort();
    if (d->node_count >= d->node_cap) {
        d->node_cap = d->node_cap ? d->node_cap * 2 : 256;
        d->nodes = grown(d->nodes, d->node_cap, sizeof *d->nodes);
    }
    n->ino = d->node_count;
    n->mode = mode;
    n->is_dir = S_ISDIR(mode);
    n->changed_s = time(NULL);
    d->nodes[d->node_count++] = n;
    return n;
}

static void node_free(struct pfs_disk *d, uint64_t ino)
{
    struct pfs_node *n = d->nodes[ino];

    d->nodes[ino] = NULL;
    if (!n)
        return;
    free(n->live.data);
    free(n->synced.data);
    free(n->pages);
    free(n->live_names.all);
    free(n->synced_names.all);
    free(n);
}

static void mark(struct pfs_disk *d, bool *used, uint64_t ino)
{
    struct pfs_node *n = pfs_node(d, ino);

    if (!n || used[ino])
        return;
    used[ino] = true;
    for (size_t i = 0; i < n->live_names.count; i++)
        mark(d, used, n->live_names.all[i].ino);
    for (size_t i = 0; i < n->synced_names.count; i++)
        mark(d, used, n->synced_names.all[i].ino);
}

void pfs_sweep(struct pfs_disk *d)
{
    bool *used = calloc(d->node_count, sizeof *used);

    if (!used)
        abort();
    mark(d, used, PFS_ROOT);
    for (size_t i = 0; i < d->change_count; i++)
        mark(d, used, d->changes[i].ino);
    for (uint64_t ino = 1; ino < d->node_count; ino++)
        if (d->nodes[ino] && d->nodes[ino]->lookups)
            mark(d, used, ino);
    for (uint64_t ino = 1; ino < d->node_count; ino++)
        if (!used[ino])
            node_free(d, ino);
    free(used);
}

struct pfs_disk *pfs_disk_new(void)
{
    struct pfs_disk *d = calloc(1, sizeof *d);

    if (!d)
        abort();
    node_new(d, S_IFDIR | 0700);
    node_free(d, 0); /* no node has number 0 */
    node_new(d, S_IFDIR | 0700)->links = 1;
    return d;
}

void pfs_disk_free(struct pfs_disk **d)
{
    for (uint64_t ino = 1; ino < (*d)->node_count; ino++)
        node_free(*d, ino);
    free((*d)->nodes);
    free((*d)->changes);
    free(*d);
    *d = NULL;
}

/* ---- operations on names ---- */

static int dir_check(struct pfs_node *dir, const char *name)
{
    if (!dir)
        return ENOENT;
    if (!dir->is_dir)
        return ENOTDIR;
    return strlen(name) > PFS_NAME_MAX ? ENAMETOOLONG : 0;
}

struct pfs_node *pfs_find(struct pfs_disk *d, uint64_t dir, const char *name)
{
    struct pfs_node *n = pfs_node(d, dir);

    return n ? pfs_node(d, pfs_names_get(&n->live_names, name)) : NULL;
}

int pfs_make(struct pfs_disk *d, uint64_t dir, const char *name, mode_t mode, struct pfs_node **ret_node)
{
    struct pfs_node *parent = pfs_node(d, dir);
    int error = dir_check(parent, name);

    if (error)
        return error;
    if (pfs_find(d, dir, name))
        return EEXIST;
    struct pfs_node *n = node_new(d, mode);
    strcpy(n->name, name);
    if ((error = pfs_fault_due(d, PFS_OP_CREATE, n)) == 0 && d->limit_bytes && pfs_used(d) + PFS_PAGE > d->limit_bytes)
        error = ENOSPC;
    if (error) {
        node_free(d, n->ino);
        return error;
    }
    live_set(d, parent, name, n->ino);
    change_add(d, 0, "", dir, name, n->ino);
    *ret_node = n;
    return 0;
}

int pfs_link(struct pfs_disk *d, uint64_t ino, uint64_t dir, const char *name)
{
    struct pfs_node *parent = pfs_node(d, dir);
    int error = dir_check(parent, name);

    if (error)
        return error;
    if (pfs_find(d, dir, name))
        return EEXIST;
    live_set(d, parent, name, ino);
    change_add(d, 0, "", dir, name, ino);
    return 0;
}

int pfs_remove(struct pfs_disk *d, uint64_t dir, const char *name, bool is_dir)
{
    struct pfs_node *n = pfs_find(d, dir, name);

    if (!n)
        return ENOENT;
    if (n->is_dir != is_dir)
        return is_dir ? ENOTDIR : EISDIR;
    if (is_dir && n->live_names.count)
        return ENOTEMPTY;
    live_set(d, pfs_node(d, dir), name, 0);
    change_add(d, dir, name, 0, "", 0);
    return 0;
}

int pfs_rename(struct pfs_disk *d, uint64_t from_dir, const char *from, uint64_t to_dir, const char *to, bool replace)
{
    struct pfs_node *n = pfs_find(d, from_dir, from), *there = pfs_find(d, to_dir, to), *parent = pfs_node(d, to_dir);
    int error = dir_check(parent, to);

    if (error)
        return error;
    if (!n)
        return ENOENT;
    if (there == n)
        return 0;
    if (there && !replace)
        return EEXIST;
    if (there && there->is_dir != n->is_dir)
        return n->is_dir ? ENOTDIR : EISDIR;
    if (there && there->is_dir && there->live_names.count)
        return ENOTEMPTY;
    if ((error = pfs_fault_due(d, PFS_OP_RENAME, n)) != 0)
        return error;
    live_set(d, parent, to, n->ino);
    live_set(d, pfs_node(d, from_dir), from, 0);
    strcpy(n->name, to);
    change_add(d, from_dir, from, to_dir, to, n->ino);
    return 0;
}

/* ---- operations on bytes ---- */

/* Pages that hold bytes from..to-1 differ from what is synced. */
static void touch(struct pfs_disk *d, struct pfs_node *n, uint64_t from, uint64_t to)
{
    size_t first = from / PFS_PAGE, end = (to + PFS_PAGE - 1) / PFS_PAGE;

    if (end > n->page_count) {
        n->pages = grown(n->pages, end, sizeof *n->pages);
        memset(n->pages + n->page_count, 0, (end - n->page_count) * sizeof *n->pages);
        n->page_count = end;
    }
    d->step++;
    for (size_t i = first; i < end; i++) {
        n->pages[i].last = d->step;
        if (!n->pages[i].since)
            n->pages[i].since = d->step;
    }
    n->changed_s = time(NULL);
}

static void resize(struct pfs_disk *d, struct pfs_node *n, uint64_t size)
{
    if (size < n->live.size)
        touch(d, n, size, n->live.size);
    n->resized |= size != n->live.size;
    pfs_bytes_resize(&n->live, size);
}

int pfs_write(struct pfs_disk *d, uint64_t ino, const void *data, size_t len, uint64_t at, size_t *ret_written)
{
    struct pfs_node *n = pfs_node(d, ino);
    int error;

    if (!n || n->is_dir)
        return EBADF;
    if ((error = pfs_fault_due(d, PFS_OP_WRITE, n)) != 0)
        return error;
    if (len > 1 && pfs_fault_due(d, PFS_OP_SHORT, n))
        len /= 2;
    if (d->limit_bytes && at + len > n->live.size) {
        uint64_t used = pfs_used(d) - n->live.size, room = d->limit_bytes > used ? d->limit_bytes - used : 0;

        if (at >= room)
            return ENOSPC;
        if (at + len > room)
            len = room - at; /* as on a real one: a part of it fits */
    }
    if (at + len > n->live.size)
        resize(d, n, at + len);
    memcpy(n->live.data + at, data, len);
    touch(d, n, at, at + len);
    d->stats.writes++;
    *ret_written = len;
    return 0;
}

int pfs_truncate(struct pfs_disk *d, uint64_t ino, uint64_t size)
{
    struct pfs_node *n = pfs_node(d, ino);
    int error;

    if (!n || n->is_dir)
        return EBADF;
    if ((error = pfs_fault_due(d, PFS_OP_TRUNCATE, n)) != 0)
        return error;
    resize(d, n, size);
    return 0;
}

static void page_sync(struct pfs_node *n, size_t i)
{
    size_t at = i * PFS_PAGE, end = at + PFS_PAGE;

    if (end > n->synced.size)
        end = n->synced.size;
    for (size_t k = at; k < end; k++)
        n->synced.data[k] = k < n->live.size ? n->live.data[k] : 0;
}

int pfs_sync(struct pfs_disk *d, uint64_t ino, uint64_t until)
{
    struct pfs_node *n = pfs_node(d, ino);
    int error;

    if (!n)
        return EBADF;
    d->stats.syncs += !n->is_dir;
    d->stats.dir_syncs += n->is_dir;
    error = pfs_fault_due(d, PFS_OP_FSYNC, n);
    if (n->is_dir) {
        if (!error) {
            names_sync(d, ino);
            pfs_sweep(d);
        }
        return error;
    }
    if (!error && n->resized) {
        pfs_bytes_resize(&n->synced, n->live.size);
        n->resized = false;
    }
    for (size_t i = 0; i < n->page_count; i++) {
        if (!n->pages[i].since || n->pages[i].since > until)
            continue;
        if (!error)
            page_sync(n, i);
        n->pages[i].since = 0; /* also after an error: nobody will write it again */
    }
    return error;
}

uint64_t pfs_used(const struct pfs_disk *d)
{
    uint64_t sum = 0;

    for (uint64_t ino = 1; ino < d->node_count; ino++) {
        const struct pfs_node *n = d->nodes[ino];

        if (n && !n->is_dir && (n->links || n->lookups))
            sum += n->live.size;
    }
    return sum;
}

/* ---- faults ---- */

bool pfs_fault_add(struct pfs_disk *d, const struct pfs_fault *fault)
{
    if (d->fault_count == PFS_FAULTS)
        return false;
    d->faults[d->fault_count++] = *fault;
    return true;
}

int pfs_fault_due(struct pfs_disk *d, enum pfs_op op, const struct pfs_node *n)
{
    for (size_t i = 0; i < d->fault_count; i++) {
        struct pfs_fault *f = &d->faults[i];

        if (f->op != op || f->count == 0 || !strstr(n->name, f->match))
            continue;
        if (f->skip > 0) {
            f->skip--;
            continue;
        }
        if (f->count > 0)
            f->count--;
        d->stats.faults++;
        return op == PFS_OP_SHORT ? -1 : f->error;
    }
    return 0;
}
