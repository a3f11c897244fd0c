/* What a disk holds when its power goes. */
#include "tests/powerfs/disk.h"

#include <stdlib.h>
#include <string.h>

static uint64_t dice(uint64_t *state) /* splitmix64 */
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

struct cutting {
    struct pfs_disk *d;
    enum pfs_cut_mode mode;
    uint64_t random;
    uint64_t cutoff;  /* step */
    unsigned percent; /* of the pages that the dice keep */
};

/* ---- bytes ---- */

static size_t size_of(struct cutting *c, const struct pfs_node *n)
{
    size_t low = n->synced.size, high = n->live.size;

    if (c->mode == PFS_CUT_KEEP || low == high)
        return high;
    switch (dice(&c->random) % 3) {
    case 0:
        return low;
    case 1:
        return high;
    default:
        return low < high ? low + dice(&c->random) % (high - low) : high;
    }
}

static bool page_kept(struct cutting *c, const struct pfs_page *p)
{
    switch (c->mode) {
    case PFS_CUT_DROP:
    case PFS_CUT_MODES:
        return false;
    case PFS_CUT_KEEP:
        return true;
    case PFS_CUT_TORN:
        return p->last <= c->cutoff;
    case PFS_CUT_REORDER:
        return p->last >= c->cutoff;
    case PFS_CUT_RANDOM:
        break;
    }
    return dice(&c->random) % 100 < c->percent;
}

/* The first sectors of page i, at least one of which stays as it was. */
static size_t torn_bytes(struct cutting *c)
{
    return dice(&c->random) % (PFS_PAGE / PFS_SECTOR) * PFS_SECTOR;
}

static void page_write(struct pfs_node *n, size_t i, size_t len)
{
    size_t at = i * PFS_PAGE;

    for (size_t k = at; k < at + len && k < n->synced.size; k++)
        n->synced.data[k] = k < n->live.size ? n->live.data[k] : 0;
}

/* Makes n->synced what is on the disk, then n->live the same. */
static void file_cut(struct cutting *c, struct pfs_node *n)
{
    struct pfs_stats *stats = &c->d->stats;

    if (c->mode != PFS_CUT_DROP && n->resized)
        pfs_bytes_resize(&n->synced, size_of(c, n));
    for (size_t i = 0; i < n->page_count; i++) {
        if (!n->pages[i].since)
            continue;
        bool kept = page_kept(c, &n->pages[i]);
        bool torn =
            c->mode == PFS_CUT_TORN ? n->pages[i].last == c->cutoff : kept && c->mode == PFS_CUT_RANDOM && dice(&c->random) % 8 == 0;
        stats->pages_torn += torn;
        stats->pages_kept += kept && !torn;
        stats->pages_lost += !kept && !torn;
        if (kept || torn)
            page_write(n, i, torn ? torn_bytes(c) : PFS_PAGE);
    }
    free(n->pages);
    n->pages = NULL;
    n->page_count = 0;
    n->resized = false;
    pfs_bytes_resize(&n->live, 0);
    pfs_bytes_resize(&n->live, n->synced.size);
    if (n->synced.size)
        memcpy(n->live.data, n->synced.data, n->synced.size);
}

/* ---- names ---- */

static void names_cut(struct cutting *c)
{
    struct pfs_disk *d = c->d;
    size_t until = c->mode == PFS_CUT_DROP ? 0 : c->mode == PFS_CUT_KEEP ? d->change_count : dice(&c->random) % (d->change_count + 1);

    for (size_t i = 0; i < d->change_count; i++) {
        bool kept = c->mode == PFS_CUT_REORDER ? dice(&c->random) % 2 == 0 : i < until;

        d->stats.names_kept += kept;
        d->stats.names_lost += !kept;
        if (kept)
            pfs_change_apply(d, &d->changes[i]);
    }
    d->change_count = 0;
}

static void names_copy(struct pfs_disk *d, struct pfs_node *dir)
{
    dir->live_names.count = 0;
    for (size_t i = 0; i < dir->synced_names.count; i++) {
        const struct pfs_entry *e = &dir->synced_names.all[i];
        struct pfs_node *n = pfs_node(d, e->ino);

        if (!n)
            continue;
        pfs_names_set(&dir->live_names, e->name, e->ino);
        n->links++;
        strcpy(n->name, e->name);
    }
}

/* A step that was written last, of any page: the cutoff lies among them. */
static uint64_t cutoff_choose(struct cutting *c)
{
    uint64_t chosen = 0, seen = 0;

    for (uint64_t ino = 1; ino < c->d->node_count; ino++) {
        const struct pfs_node *n = c->d->nodes[ino];

        for (size_t i = 0; n && i < n->page_count; i++)
            if (n->pages[i].since && dice(&c->random) % ++seen == 0)
                chosen = n->pages[i].last;
    }
    return chosen;
}

void pfs_cut(struct pfs_disk *d, enum pfs_cut_mode mode, uint64_t seed)
{
    struct cutting c = {.d = d, .mode = mode, .random = seed};

    d->stats.cuts++;
    d->stats.pages_lost = d->stats.pages_kept = d->stats.pages_torn = d->stats.names_lost = d->stats.names_kept = 0;
    c.percent = (unsigned)(dice(&c.random) % 101);
    c.cutoff = cutoff_choose(&c);
    names_cut(&c);
    for (uint64_t ino = 1; ino < d->node_count; ino++) {
        struct pfs_node *n = d->nodes[ino];

        if (!n)
            continue;
        n->lookups = n->links = 0;
        if (!n->is_dir)
            file_cut(&c, n);
    }
    d->nodes[PFS_ROOT]->links = 1;
    for (uint64_t ino = 1; ino < d->node_count; ino++)
        if (d->nodes[ino] && d->nodes[ino]->is_dir)
            names_copy(d, d->nodes[ino]);
    pfs_sweep(d);
}
