/* Loads of the services; see nodes.h. */
#include "services/api/nodes.h"

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/proto/subjects.h"
#include "services/api/table.h"

#include <stdlib.h>
#include <string.h>

enum { NODES = 256, LOAD_MAX = 1024, SILENT_MS = 5000, ARENA_CHUNK = 2048 };

/* The last message of an instance, still packed. */
struct heard {
    uint64_t at_ms;
    size_t len;
    uint8_t data[LOAD_MAX];
};

struct api_nodes {
    struct api_table *table;
};

static void on_load(void *ctx, const char *subject, const void *data, size_t len)
{
    struct api_nodes *n = ctx;
    (void)subject;
    if (len > LOAD_MAX)
        return;
    struct pgn_arena *arena = pgn_arena_new(ARENA_CHUNK);
    const Pigeon__NodeLoad *load = PGN_PB_UNPACK(Pigeon__NodeLoad, pigeon__node_load, arena, data, len);
    if (load && *load->instance) {
        api_table_lock(n->table);
        struct heard *h = api_table_make(n->table, load->instance, strlen(load->instance));
        h->at_ms = pgn_mono_ms();
        h->len = len;
        memcpy(h->data, data, len);
        api_table_unlock(n->table);
    }
    pgn_arena_free(&arena);
}

int api_nodes_new(struct pgn_bus_sync *bus, struct api_nodes **ret_nodes)
{
    struct api_nodes *n = pgn_malloc(sizeof *n);
    n->table = api_table_new(NODES, sizeof(struct heard));
    int e = pgn_bus_sync_follow(bus, PGN_SUBJ_LOAD, on_load, n);
    if (e)
        api_nodes_free(&n);
    else
        *ret_nodes = n;
    return e;
}

void api_nodes_free(struct api_nodes **n)
{
    if (!*n)
        return;
    api_table_free(&(*n)->table);
    free(*n);
    *n = NULL;
}

struct listing {
    struct pgn_arena *arena;
    Pigeon__NodeLoad **loads;
    size_t count;
    uint64_t now_ms;
};

static int visit(void *ctx, void *value)
{
    struct listing *l = ctx;
    const struct heard *h = value;
    if (h->at_ms + SILENT_MS < l->now_ms)
        return 0;
    Pigeon__NodeLoad *load = PGN_PB_UNPACK(Pigeon__NodeLoad, pigeon__node_load, l->arena, h->data, h->len);
    if (load)
        l->loads[l->count++] = load;
    return 1;
}

static int by_service(const void *a, const void *b)
{
    const Pigeon__NodeLoad *const *x = a, *const *y = b;
    int d = strcmp((*x)->service, (*y)->service);
    return d ? d : strcmp((*x)->instance, (*y)->instance);
}

size_t api_nodes_list(struct api_nodes *n, struct pgn_arena *arena, Pigeon__NodeLoad ***ret_loads)
{
    struct listing l = {.arena = arena, .now_ms = pgn_mono_ms()};
    api_table_lock(n->table);
    l.loads = pgn_arena_alloc(arena, (api_table_count(n->table) + 1) * sizeof *l.loads);
    api_table_sweep(n->table, visit, &l);
    api_table_unlock(n->table);
    qsort(l.loads, l.count, sizeof *l.loads, by_service);
    *ret_loads = l.loads;
    return l.count;
}
