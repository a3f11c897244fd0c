#include "common/io/wheel.h"

void pgn_wheel_init(struct pgn_wheel *w, uint64_t now_ms)
{
    w->tick = now_ms / WHEEL_TICK_MS;
    for (int level = 0; level < WHEEL_LEVELS; level++) {
        w->filled[level] = 0;
        for (int slot = 0; slot < WHEEL_SLOTS; slot++)
            pgn_list_init(&w->slots[level][slot]);
    }
}

/* By t->due_ms; t is not linked. */
static void add(struct pgn_wheel *w, struct pgn_timer *t)
{
    uint64_t tick = t->due_ms / WHEEL_TICK_MS + (t->due_ms % WHEEL_TICK_MS != 0), far;
    int level = 0, slot;

    if (tick <= w->tick)
        tick = w->tick + 1;
    far = tick - w->tick;
    if (far >> (WHEEL_BITS * WHEEL_LEVELS)) { /* years: comes down from the top more than once */
        far = (1ull << (WHEEL_BITS * WHEEL_LEVELS)) - 1;
        tick = w->tick + far;
    }
    while (far >> (WHEEL_BITS * (level + 1)))
        level++;
    slot = (int)(tick >> (WHEEL_BITS * level) & (WHEEL_SLOTS - 1));
    pgn_list_append(&w->slots[level][slot], &t->node);
    w->filled[level] |= 1ull << slot;
}

void pgn_wheel_start(struct pgn_wheel *w, struct pgn_timer *t, uint64_t now_us, uint64_t delay_ms, uint64_t step_ms)
{
    uint64_t due_ms = (now_us + 999) / 1000;

    pgn_list_remove(&t->node);
    if (__builtin_add_overflow(due_ms, delay_ms, &due_ms) || __builtin_add_overflow(due_ms, step_ms - 1, &due_ms))
        due_ms = UINT64_MAX;
    t->due_ms = due_ms / step_ms * step_ms;
    add(w, t);
}

/* The first tick after w->tick at which a filled slot of this level comes down; UINT64_MAX when there is none. */
static uint64_t level_next(struct pgn_wheel *w, int level)
{
    uint64_t at = w->tick >> (WHEEL_BITS * level);

    while (w->filled[level]) {
        unsigned from = (unsigned)(at + 1) & (WHEEL_SLOTS - 1);
        uint64_t turned = w->filled[level] >> from | w->filled[level] << ((WHEEL_SLOTS - from) & (WHEEL_SLOTS - 1));
        unsigned ahead = (unsigned)__builtin_ctzll(turned);
        unsigned slot = (from + ahead) & (WHEEL_SLOTS - 1);
        if (!pgn_list_empty(&w->slots[level][slot]))
            return (at + 1 + ahead) << (WHEEL_BITS * level);
        w->filled[level] &= ~(1ull << slot); /* its timers were stopped */
    }
    return UINT64_MAX;
}

static uint64_t next_tick(struct pgn_wheel *w)
{
    uint64_t next = UINT64_MAX;

    for (int level = 0; level < WHEEL_LEVELS; level++) {
        uint64_t tick = level_next(w, level);
        if (tick < next)
            next = tick;
    }
    return next;
}

uint64_t pgn_wheel_next_ms(struct pgn_wheel *w)
{
    uint64_t tick = next_tick(w);
    return tick == UINT64_MAX ? tick : tick * WHEEL_TICK_MS;
}

/* Moves a slot's timers to `to`, in order. */
static void empty_slot(struct pgn_wheel *w, int level, unsigned slot, struct pgn_node *to)
{
    struct pgn_node *from = &w->slots[level][slot];

    pgn_list_init(to);
    w->filled[level] &= ~(1ull << slot);
    if (pgn_list_empty(from))
        return;
    *to = *from;
    to->next->prev = to;
    to->prev->next = to;
    pgn_list_init(from);
}

/* At w->tick: the slots of the upper levels that begin here are spread over the levels below. */
static void come_down(struct pgn_wheel *w, struct pgn_node *due)
{
    for (int level = WHEEL_LEVELS - 1; level > 0; level--) {
        unsigned slot = (unsigned)(w->tick >> (WHEEL_BITS * level)) & (WHEEL_SLOTS - 1);
        struct pgn_node moved;
        if (w->tick & ((1ull << (WHEEL_BITS * level)) - 1) || !(w->filled[level] >> slot & 1))
            continue;
        empty_slot(w, level, slot, &moved);
        while (!pgn_list_empty(&moved)) {
            struct pgn_timer *t = PGN_CONTAINER(moved.next, struct pgn_timer, node);
            pgn_list_remove(&t->node);
            if (t->due_ms <= w->tick * WHEEL_TICK_MS)
                pgn_list_append(due, &t->node);
            else
                add(w, t);
        }
    }
}

static void fire(struct pgn_node *due)
{
    while (!pgn_list_empty(due)) { /* one may stop another */
        struct pgn_timer *t = PGN_CONTAINER(due->next, struct pgn_timer, node);
        pgn_list_remove(&t->node);
        t->on_due(t);
    }
}

void pgn_wheel_run(struct pgn_wheel *w, uint64_t now_ms)
{
    uint64_t now = now_ms / WHEEL_TICK_MS;

    while (w->tick < now) {
        uint64_t next = next_tick(w);
        struct pgn_node due, early;
        if (next > now) {
            w->tick = now;
            return;
        }
        w->tick = next;
        empty_slot(w, 0, (unsigned)next & (WHEEL_SLOTS - 1), &due);
        pgn_list_init(&early);
        come_down(w, &early);
        fire(&early); /* those from above were started first */
        fire(&due);
    }
}
