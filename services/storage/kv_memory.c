/* The in-memory engine: a skip list a column family under one reader-writer lock. For tests and storage.engine: memory. */
#include "common/base/alloc.h"
#include "common/base/error.h"
#include "common/base/random.h"
#include "services/storage/kv.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { LEVELS = 20 };

struct node {
    struct node *prev; /* on the lowest level */
    struct sto_slice key, value;
    int levels;
    struct node *next[];
};
struct list {
    struct node *head;
    struct node *last;
};
struct memory {
    struct sto_kv base;
    pthread_rwlock_t lock;
    struct list list[STO_CF_COUNT];
    uint64_t bytes;
    uint64_t random;
};

static struct memory *memory_of(struct sto_kv *kv)
{
    return PGN_CONTAINER(kv, struct memory, base);
}

static int slice_cmp(struct sto_slice a, struct sto_slice b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int c = n ? memcmp(a.data, b.data, n) : 0;

    return c ? c : (a.len > b.len) - (a.len < b.len);
}

/* The first node that is not below key; ret_before (may be NULL): its predecessor on each level. */
static struct node *list_find(struct list *l, struct sto_slice key, struct node **ret_before)
{
    struct node *at = l->head;

    for (int i = LEVELS - 1; i >= 0; i--) {
        while (at->next[i] && slice_cmp(at->next[i]->key, key) < 0)
            at = at->next[i];
        if (ret_before)
            ret_before[i] = at;
    }
    return at->next[0];
}

static struct node *node_new(int levels)
{
    struct node *n = pgn_calloc(1, sizeof *n + (size_t)levels * sizeof(struct node *));

    n->levels = levels;
    return n;
}

static void node_free(struct node *n)
{
    free((void *)(uintptr_t)n->key.data);
    free((void *)(uintptr_t)n->value.data);
    free(n);
}

static int random_levels(struct memory *m)
{
    int levels = 1;

    m->random ^= m->random << 13;
    m->random ^= m->random >> 7;
    m->random ^= m->random << 17;
    for (uint64_t r = m->random; levels < LEVELS && (r & 3) == 0; r >>= 2)
        levels++;
    return levels;
}

static void list_remove(struct memory *m, struct list *l, struct node *n, struct node **before)
{
    for (int i = 0; i < n->levels; i++)
        before[i]->next[i] = n->next[i];
    if (n->next[0])
        n->next[0]->prev = n->prev;
    else
        l->last = n->prev;
    m->bytes -= n->key.len + n->value.len;
    node_free(n);
}

static void list_put(struct memory *m, struct list *l, const struct sto_kv_put *put)
{
    struct node *before[LEVELS];
    struct node *n = list_find(l, put->key, before);
    bool same = n && slice_cmp(n->key, put->key) == 0;

    if (put->remove) {
        if (same)
            list_remove(m, l, n, before);
        return;
    }
    if (same) {
        m->bytes -= n->value.len;
        free((void *)(uintptr_t)n->value.data);
    } else {
        n = node_new(random_levels(m));
        n->key = sto_slice_of(pgn_memdup(put->key.data, put->key.len), put->key.len);
        for (int i = 0; i < n->levels; i++) {
            n->next[i] = before[i]->next[i];
            before[i]->next[i] = n;
        }
        n->prev = before[0];
        if (n->next[0])
            n->next[0]->prev = n;
        else
            l->last = n;
        m->bytes += n->key.len;
    }
    n->value = sto_slice_of(pgn_memdup(put->value.data, put->value.len), put->value.len);
    m->bytes += n->value.len;
}

static int memory_write(struct sto_kv *kv, const struct sto_kv_put *puts, size_t count, bool sync)
{
    struct memory *m = memory_of(kv);

    (void)sync;
    pthread_rwlock_wrlock(&m->lock);
    for (size_t i = 0; i < count; i++)
        list_put(m, &m->list[puts[i].cf], &puts[i]);
    pthread_rwlock_unlock(&m->lock);
    return 0;
}

static struct sto_view *memory_view_begin(struct sto_kv *kv)
{
    pthread_rwlock_rdlock(&memory_of(kv)->lock);
    return (struct sto_view *)kv;
}

static void memory_view_end(struct sto_kv *kv, struct sto_view *view)
{
    (void)view;
    pthread_rwlock_unlock(&memory_of(kv)->lock);
}

/* Without a view the caller is the only writer: nothing changes under it. */
static int memory_get(struct sto_kv *kv, struct sto_view *view, enum sto_cf cf, struct sto_slice key, struct pgn_buf *ret_value)
{
    (void)view;
    struct node *n = list_find(&memory_of(kv)->list[cf], key, NULL);

    if (!n || slice_cmp(n->key, key) != 0)
        return PGN_E_NOT_FOUND;
    pgn_buf_clear(ret_value);
    pgn_buf_append(ret_value, n->value.data, n->value.len);
    return 0;
}

static int memory_get_many(struct sto_kv *kv, enum sto_cf cf, size_t count, const struct sto_slice *keys, struct pgn_buf *ret_values)
{
    for (size_t i = 0; i < count; i++)
        if (memory_get(kv, NULL, cf, keys[i], &ret_values[i]) != 0)
            pgn_buf_clear(&ret_values[i]);
    return 0;
}

static int memory_scan(struct sto_kv *kv, struct sto_view *view, enum sto_cf cf, struct sto_slice from, struct sto_slice to, bool reverse,
                       sto_kv_visit *visit, void *ctx)
{
    struct list *l = &memory_of(kv)->list[cf];
    struct node *n = list_find(l, reverse ? to : from, NULL);

    (void)view;
    if (!reverse) {
        for (; n && slice_cmp(n->key, to) < 0; n = n->next[0])
            if (!visit(ctx, n->key, n->value))
                break;
        return 0;
    }
    for (n = n ? n->prev : l->last; n && n != l->head && slice_cmp(n->key, from) >= 0; n = n->prev)
        if (!visit(ctx, n->key, n->value))
            break;
    return 0;
}

static int memory_recover(struct sto_kv *kv)
{
    (void)kv;
    return 0;
}

static uint64_t memory_bytes(struct sto_kv *kv)
{
    struct memory *m = memory_of(kv);

    pthread_rwlock_rdlock(&m->lock);
    uint64_t bytes = m->bytes;
    pthread_rwlock_unlock(&m->lock);
    return bytes;
}

static int memory_checkpoint(struct sto_kv *kv, const char *directory)
{
    (void)kv;
    (void)directory;
    return PGN_E_INVALID;
}

static void memory_close(struct sto_kv *kv)
{
    struct memory *m = memory_of(kv);

    for (int i = 0; i < STO_CF_COUNT; i++) {
        for (struct node *n = m->list[i].head->next[0], *next; n; n = next) {
            next = n->next[0];
            node_free(n);
        }
        free(m->list[i].head);
    }
    pthread_rwlock_destroy(&m->lock);
    free(m);
}

static const struct sto_kv_ops memory_ops = {
    .write = memory_write,
    .view_begin = memory_view_begin,
    .view_end = memory_view_end,
    .get = memory_get,
    .get_many = memory_get_many,
    .scan = memory_scan,
    .recover = memory_recover,
    .bytes = memory_bytes,
    .checkpoint = memory_checkpoint,
    .close = memory_close,
};

struct sto_kv *sto_kv_memory_new(void)
{
    struct memory *m = pgn_calloc(1, sizeof *m);

    m->base.ops = &memory_ops;
    m->random = 0x9e3779b97f4a7c15u;
    pthread_rwlock_init(&m->lock, NULL);
    for (int i = 0; i < STO_CF_COUNT; i++)
        m->list[i].head = node_new(LEVELS);
    return &m->base;
}
