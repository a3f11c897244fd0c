#include "services/storage/people.h"

#include "common/base/alloc.h"
#include "common/base/id.h"
#include "common/base/map.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct person {
    uint64_t version;
    char *name;
    struct person **blocks; /* whom this user blocks; few */
    uint32_t block_count;
    bool disabled;
    char user[];
};
struct sto_people {
    pthread_rwlock_t lock;
    struct pgn_map *map;
};

static const void *person_key(const void *value, size_t *ret_len)
{
    const struct person *p = value;

    *ret_len = strlen(p->user);
    return p->user;
}

struct sto_people *sto_people_new(void)
{
    struct sto_people *people = pgn_calloc(1, sizeof *people);

    pthread_rwlock_init(&people->lock, NULL);
    people->map = pgn_map_new(person_key);
    return people;
}

void sto_people_free(struct sto_people **people)
{
    struct person *p;

    if (!*people)
        return;
    for (size_t it = 0; (p = pgn_map_next((*people)->map, &it)) != NULL;) {
        pgn_map_remove_str((*people)->map, p->user);
        free(p->name);
        free((void *)p->blocks);
        free(p);
    }
    pgn_map_free(&(*people)->map);
    pthread_rwlock_destroy(&(*people)->lock);
    free(*people);
    *people = NULL;
}

void sto_people_set(struct sto_people *people, const char *user, const char *name, bool disabled, uint64_t version)
{
    pthread_rwlock_wrlock(&people->lock);
    struct person *p = pgn_map_get_str(people->map, user);
    if (!p) {
        size_t len = strlen(user);

        p = pgn_calloc(1, sizeof *p + len + 1);
        memcpy(p->user, user, len + 1);
        pgn_map_put(people->map, p);
    }
    if (!p->name || strcmp(p->name, name) != 0) {
        free(p->name);
        p->name = pgn_strdup(name);
    }
    p->disabled = disabled;
    p->version = version;
    pthread_rwlock_unlock(&people->lock);
}

static uint32_t block_at(const struct person *p, const struct person *other)
{
    uint32_t i = 0;

    while (i < p->block_count && p->blocks[i] != other)
        i++;
    return i;
}

void sto_people_block(struct sto_people *people, const char *user, const char *other, bool on)
{
    pthread_rwlock_wrlock(&people->lock);
    struct person *p = pgn_map_get_str(people->map, user), *o = pgn_map_get_str(people->map, other);
    if (p && o) {
        uint32_t i = block_at(p, o);

        if (on && i == p->block_count) {
            p->blocks = pgn_realloc((void *)p->blocks, (i + 1) * sizeof(struct person *));
            p->blocks[p->block_count++] = o;
        } else if (!on && i < p->block_count) {
            p->blocks[i] = p->blocks[--p->block_count];
        }
    }
    pthread_rwlock_unlock(&people->lock);
}

struct sto_person sto_people_get(struct sto_people *people, const char *user)
{
    struct sto_person copy = {0};

    pthread_rwlock_rdlock(&people->lock);
    const struct person *p = pgn_map_get_str(people->map, user);
    if (p)
        copy = (struct sto_person){true, p->disabled, p->version};
    pthread_rwlock_unlock(&people->lock);
    return copy;
}

bool sto_people_blocks(struct sto_people *people, const char *user, const char *other)
{
    pthread_rwlock_rdlock(&people->lock);
    const struct person *p = pgn_map_get_str(people->map, user), *o = pgn_map_get_str(people->map, other);
    bool yes = p && o && block_at(p, o) < p->block_count;
    pthread_rwlock_unlock(&people->lock);
    return yes;
}

bool sto_people_name(struct sto_people *people, const char *user, char *out, size_t out_bytes)
{
    pthread_rwlock_rdlock(&people->lock);
    const struct person *p = pgn_map_get_str(people->map, user);
    if (p)
        snprintf(out, out_bytes, "%s", p->name);
    pthread_rwlock_unlock(&people->lock);
    return p != NULL;
}

bool sto_people_direct(struct sto_people *people, const char *a, const char *b, uint64_t *ret_version)
{
    pthread_rwlock_rdlock(&people->lock);
    const struct person *p = pgn_map_get_str(people->map, a), *o = pgn_map_get_str(people->map, b);
    bool both = p && o;
    if (both)
        *ret_version = p == o ? p->version : p->version + o->version;
    pthread_rwlock_unlock(&people->lock);
    return both;
}

size_t sto_people_count(struct sto_people *people)
{
    pthread_rwlock_rdlock(&people->lock);
    size_t n = pgn_map_count(people->map);
    pthread_rwlock_unlock(&people->lock);
    return n;
}
