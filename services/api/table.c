/* Bounded table with eviction; see table.h. */
#include "services/api/table.h"

#include "common/base/alloc.h"
#include "common/base/list.h"
#include "common/base/map.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    struct pgn_node node; /* in used: the front is the most recent */
    size_t key_len;
    char key[API_KEY_MAX];
    _Alignas(max_align_t) char value[];
};

struct api_table {
    pthread_mutex_t lock;
    struct pgn_map *map;
    struct pgn_node used;
    size_t limit, value_bytes;
};

static const void *key_of(const void *value, size_t *ret_len)
{
    const struct entry *e = value;
    *ret_len = e->key_len;
    return e->key;
}

struct api_table *api_table_new(size_t limit, size_t value_bytes)
{
    struct api_table *t = pgn_calloc(1, sizeof *t);
    pthread_mutex_init(&t->lock, NULL);
    t->map = pgn_map_new(key_of);
    pgn_list_init(&t->used);
    t->limit = limit;
    t->value_bytes = value_bytes;
    return t;
}

static void drop_entry(struct api_table *t, struct entry *e)
{
    pgn_map_remove(t->map, e->key, e->key_len);
    pgn_list_remove(&e->node);
    free(e);
}

void api_table_free(struct api_table **t)
{
    if (!*t)
        return;
    PGN_LIST_EACH_SAFE (n, &(*t)->used)
        drop_entry(*t, PGN_CONTAINER(n, struct entry, node));
    pgn_map_free(&(*t)->map);
    pthread_mutex_destroy(&(*t)->lock);
    free(*t);
    *t = NULL;
}

void api_table_lock(struct api_table *t)
{
    pthread_mutex_lock(&t->lock);
}

void api_table_unlock(struct api_table *t)
{
    pthread_mutex_unlock(&t->lock);
}

static size_t cut(size_t len)
{
    return len < API_KEY_MAX ? len : API_KEY_MAX;
}

static struct entry *find(struct api_table *t, const void *key, size_t len)
{
    struct entry *e = pgn_map_get(t->map, key, cut(len));
    if (e) {
        pgn_list_remove(&e->node);
        pgn_list_prepend(&t->used, &e->node);
    }
    return e;
}

void *api_table_find(struct api_table *t, const void *key, size_t len)
{
    struct entry *e = find(t, key, len);
    return e ? e->value : NULL;
}

void *api_table_make(struct api_table *t, const void *key, size_t len)
{
    struct entry *e = find(t, key, len);
    if (e)
        return e->value;
    if (pgn_map_count(t->map) >= t->limit)
        drop_entry(t, PGN_CONTAINER(t->used.prev, struct entry, node));
    e = pgn_calloc(1, sizeof *e + t->value_bytes);
    e->key_len = cut(len);
    memcpy(e->key, key, e->key_len);
    pgn_map_put(t->map, e);
    pgn_list_prepend(&t->used, &e->node);
    return e->value;
}

void api_table_drop(struct api_table *t, const void *key, size_t len)
{
    struct entry *e = pgn_map_get(t->map, key, cut(len));
    if (e)
        drop_entry(t, e);
}

void api_table_sweep(struct api_table *t, int (*visit)(void *ctx, void *value), void *ctx)
{
    PGN_LIST_EACH_SAFE (n, &t->used) {
        struct entry *e = PGN_CONTAINER(n, struct entry, node);
        if (!visit(ctx, e->value))
            drop_entry(t, e);
    }
}

size_t api_table_count(const struct api_table *t)
{
    return pgn_map_count(t->map);
}
