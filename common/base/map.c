#include "common/base/map.h"

#include "common/base/alloc.h"
#include "common/base/random.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { MAP_MIN = 8 };

/* value NULL: free, a search ends here. value GONE: removed, a search goes on. */
struct slot {
    uint64_t hash;
    void *value;
};

struct pgn_map {
    pgn_map_key_of *key_of;
    struct slot *slots;
    size_t size; /* a power of two */
    size_t count, gone;
};

static char gone_mark;
#define GONE ((void *)&gone_mark)

/* Keys may be a peer's choice: a seed of this process' own keeps them from colliding on purpose. */
static uint64_t seed;
static pthread_once_t seed_once = PTHREAD_ONCE_INIT;

static void seed_make(void)
{
    pgn_random(&seed, sizeof(seed));
}

struct pgn_map *pgn_map_new(pgn_map_key_of *key_of)
{
    struct pgn_map *m = pgn_malloc(sizeof(*m));

    pthread_once(&seed_once, seed_make);
    *m = (struct pgn_map){.key_of = key_of, .size = MAP_MIN};
    m->slots = pgn_calloc(m->size, sizeof(*m->slots));
    return m;
}

void pgn_map_free(struct pgn_map **m)
{
    if (!*m)
        return;
    free((*m)->slots);
    free(*m);
    *m = NULL;
}

static bool same_key(const struct pgn_map *m, const struct slot *s, uint64_t hash, const void *key, size_t len)
{
    const void *its;
    size_t its_len;

    if (s->hash != hash)
        return false;
    its = m->key_of(s->value, &its_len);
    return its_len == len && memcmp(its, key, len) == 0;
}

/* The key's slot; when it is absent NULL, and ret_free the slot to put it into. */
static struct slot *find(const struct pgn_map *m, uint64_t hash, const void *key, size_t len, struct slot **ret_free)
{
    size_t mask = m->size - 1;
    struct slot *reuse = NULL;

    for (size_t i = (size_t)hash & mask;; i = (i + 1) & mask) {
        struct slot *s = &m->slots[i];
        if (!s->value) {
            if (ret_free)
                *ret_free = reuse ? reuse : s;
            return NULL;
        }
        if (s->value == GONE) {
            if (!reuse)
                reuse = s;
        } else if (same_key(m, s, hash, key, len)) {
            return s;
        }
    }
}

void *pgn_map_get(const struct pgn_map *m, const void *key, size_t len)
{
    struct slot *s = find(m, XXH3_64bits_withSeed(key, len, seed), key, len, NULL);
    return s ? s->value : NULL;
}

void *pgn_map_get_str(const struct pgn_map *m, const char *key)
{
    return pgn_map_get(m, key, strlen(key));
}

static void resize(struct pgn_map *m, size_t size)
{
    struct slot *old = m->slots;
    size_t old_size = m->size, mask = size - 1;

    m->slots = pgn_calloc(size, sizeof(*m->slots));
    m->size = size;
    m->gone = 0;
    for (size_t i = 0; i < old_size; i++) {
        size_t to = (size_t)old[i].hash & mask;
        if (!old[i].value || old[i].value == GONE)
            continue;
        while (m->slots[to].value)
            to = (to + 1) & mask;
        m->slots[to] = old[i];
    }
    free(old);
}

/* Room for one more: at most three quarters are in use or gone. */
static void make_room(struct pgn_map *m)
{
    size_t size = m->size;

    if ((m->count + m->gone + 1) * 4 <= size * 3)
        return;
    while ((m->count + 1) * 2 > size)
        size *= 2;
    while (size > MAP_MIN && (m->count + 1) * 8 < size)
        size /= 2;
    resize(m, size);
}

void *pgn_map_put(struct pgn_map *m, void *value)
{
    size_t len;
    const void *key = m->key_of(value, &len);
    uint64_t hash = XXH3_64bits_withSeed(key, len, seed);
    struct slot *to, *s;

    make_room(m);
    s = find(m, hash, key, len, &to);
    if (s) {
        void *old = s->value;
        s->value = value;
        return old;
    }
    if (to->value == GONE)
        m->gone--;
    *to = (struct slot){hash, value};
    m->count++;
    return NULL;
}

void *pgn_map_remove(struct pgn_map *m, const void *key, size_t len)
{
    struct slot *s = find(m, XXH3_64bits_withSeed(key, len, seed), key, len, NULL);
    size_t mask = m->size - 1, i;
    void *value;

    if (!s)
        return NULL;
    value = s->value;
    m->count--;
    i = (size_t)(s - m->slots);
    if (m->slots[(i + 1) & mask].value) {
        s->value = GONE;
        m->gone++;
        return value;
    }
    s->value = NULL; /* the end of its run: those before it that are gone become free too */
    for (i = (i - 1) & mask; m->slots[i].value == GONE; i = (i - 1) & mask) {
        m->slots[i].value = NULL;
        m->gone--;
    }
    return value;
}

void *pgn_map_remove_str(struct pgn_map *m, const char *key)
{
    return pgn_map_remove(m, key, strlen(key));
}

size_t pgn_map_count(const struct pgn_map *m)
{
    return m->count;
}

void *pgn_map_next(const struct pgn_map *m, size_t *it)
{
    while (*it < m->size) {
        void *value = m->slots[(*it)++].value;
        if (value && value != GONE)
            return value;
    }
    return NULL;
}
