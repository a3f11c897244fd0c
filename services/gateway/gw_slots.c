/* Slots: numbers for connections, so that what outlives them (answers under way) can name them. See gw_conn.h. */
#include "services/gateway/gw_slots.h"

#include "common/base/alloc.h"
#include "services/gateway/gw_conn.h"

enum { FIRST = 64 };

void gw_slot_take(struct gateway *gw, struct gw_conn *c)
{
    uint32_t n;
    if (gw->slots_free) {
        n = gw->slots_free - 1;
        gw->slots_free = gw->slots[n].next_free;
    } else {
        if (gw->slots_used == gw->slots_cap) {
            gw->slots_cap = gw->slots_cap ? gw->slots_cap * 2 : FIRST;
            gw->slots = pgn_realloc(gw->slots, gw->slots_cap * sizeof *gw->slots);
        }
        n = gw->slots_used++;
        gw->slots[n] = (struct gw_slot){0};
    }
    gw->slots[n].conn = c;
    c->slot = n;
    c->generation = gw->slots[n].generation;
}

void gw_slot_give(struct gateway *gw, struct gw_conn *c)
{
    struct gw_slot *s = &gw->slots[c->slot];
    s->conn = NULL;
    s->generation++;
    s->next_free = gw->slots_free;
    gw->slots_free = c->slot + 1;
}

struct gw_conn *gw_conn_find(const struct gateway *gw, uint32_t slot, uint32_t generation)
{
    if (slot >= gw->slots_used || gw->slots[slot].generation != generation)
        return NULL;
    return gw->slots[slot].conn;
}

struct gw_conn *gw_conn_next(const struct gateway *gw, uint32_t *it)
{
    while (*it < gw->slots_used) {
        struct gw_conn *c = gw->slots[(*it)++].conn;
        if (c)
            return c;
    }
    return NULL;
}
