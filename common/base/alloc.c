#include "common/base/alloc.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#endif

/* Under the address sanitizer what is not handed out is poisoned, with a gap behind each allocation. */
#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
#define ARENA_HIDE(p, n) ASAN_POISON_MEMORY_REGION(p, n)
#define ARENA_SHOW(p, n) ASAN_UNPOISON_MEMORY_REGION(p, n)
enum { ARENA_GAP = 16 };
#else
#define ARENA_HIDE(p, n) ((void)(p), (void)(n))
#define ARENA_SHOW(p, n) ((void)(p), (void)(n))
enum { ARENA_GAP = 0 };
#endif

enum { ARENA_ALIGN = 16 };

struct chunk {
    struct chunk *next;
    size_t size, used; /* bytes behind this header */
};

struct pgn_arena {
    struct chunk *first, *now; /* all hang on first; now is the one being filled */
    size_t chunk_bytes;
};

_Static_assert(sizeof(struct chunk) % 8 == 0, "chunk header keeps alignment");
enum { CHUNK_HEADER = (sizeof(struct chunk) + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN };

static _Noreturn void no_memory(size_t bytes)
{
    fprintf(stderr, "out of memory: %zu bytes\n", bytes);
    abort();
}

void *pgn_malloc(size_t bytes)
{
    void *p = malloc(bytes ? bytes : 1);
    if (!p)
        no_memory(bytes);
    return p;
}

void *pgn_calloc(size_t count, size_t bytes)
{
    void *p = calloc(count ? count : 1, bytes ? bytes : 1);
    if (!p)
        no_memory(bytes);
    return p;
}

void *pgn_realloc(void *old, size_t bytes)
{
    void *p = realloc(old, bytes ? bytes : 1);
    if (!p)
        no_memory(bytes);
    return p;
}

void *pgn_memdup(const void *data, size_t bytes)
{
    void *p = pgn_malloc(bytes);
    if (bytes)
        memcpy(p, data, bytes);
    return p;
}

char *pgn_strdup(const char *s)
{
    return s ? pgn_memdup(s, strlen(s) + 1) : NULL;
}

void *pgn_try_malloc(size_t bytes)
{
    return malloc(bytes ? bytes : 1);
}

static uint8_t *chunk_data(struct chunk *c)
{
    return (uint8_t *)c + CHUNK_HEADER;
}

static struct chunk *chunk_new(size_t size)
{
    struct chunk *c = pgn_malloc(CHUNK_HEADER + size);

    c->next = NULL;
    c->size = size;
    c->used = 0;
    ARENA_HIDE(chunk_data(c), size);
    return c;
}

static void chunk_free(struct chunk *c)
{
    ARENA_SHOW(chunk_data(c), c->size);
    free(c);
}

struct pgn_arena *pgn_arena_new(size_t chunk_bytes)
{
    struct pgn_arena *a = pgn_malloc(sizeof(*a));

    a->chunk_bytes = chunk_bytes < 64 ? 64 : chunk_bytes;
    a->first = a->now = chunk_new(a->chunk_bytes);
    return a;
}

/* A chunk with room for need bytes. The list hangs on `first`; `now` is where small requests go. */
static struct chunk *arena_more(struct pgn_arena *a, size_t need)
{
    bool own = need > a->chunk_bytes / 4;
    struct chunk *c = chunk_new(need > a->chunk_bytes ? need : a->chunk_bytes);

    c->next = a->first->next;
    a->first->next = c;
    if (!own)
        a->now = c;
    return c;
}

void *pgn_arena_alloc(struct pgn_arena *a, size_t bytes)
{
    size_t need = (bytes + ARENA_GAP + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
    struct chunk *c = a->now;
    uint8_t *p;

    if (need < bytes)
        no_memory(bytes);
    if (need > c->size - c->used)
        c = arena_more(a, need);
    p = chunk_data(c) + c->used;
    c->used += need;
    ARENA_SHOW(p, bytes);
    return p;
}

char *pgn_arena_strdup(struct pgn_arena *a, const char *s)
{
    size_t len = strlen(s) + 1;
    return memcpy(pgn_arena_alloc(a, len), s, len);
}

void pgn_arena_reset(struct pgn_arena *a)
{
    for (struct chunk *c = a->first->next, *next; c; c = next) {
        next = c->next;
        chunk_free(c);
    }
    a->first->next = NULL;
    a->first->used = 0;
    a->now = a->first;
    ARENA_HIDE(chunk_data(a->first), a->first->size);
}

void pgn_arena_free(struct pgn_arena **a)
{
    if (!*a)
        return;
    pgn_arena_reset(*a);
    chunk_free((*a)->first);
    free(*a);
    *a = NULL;
}
