/*
 * The event loop: epoll (level-triggered, registered once), a timer wheel, hooks at the end of each turn.
 * One a thread; everything here is called from that thread, but pgn_loop_stop and mailbox posts.
 *
 * A turn: wait, all ready descriptors, all due timers, all turn-end hooks (in the order added). Whatever
 * a turn produces should be written once, from a hook.
 */
#ifndef PGN_IO_LOOP_H
#define PGN_IO_LOOP_H

#include "common/base/compiler.h"
#include "common/base/list.h"

#include <stdbool.h>
#include <stdint.h>

struct pgn_loop;

/*
 * What is asked for, and what callbacks get; an error or hang-up comes as both that are asked for. With PGN_LATE they may
 * wait, up to PGN_LATE_MS; thousands that rarely have something to say then share wakeups instead of causing one each. It asks for
 * nothing itself: when it stands alone, as it does while reads are paused, nothing comes.
 */
enum { PGN_READ = 1, PGN_WRITE = 2, PGN_LATE = 4 };
enum { PGN_LATE_MS = 40 };

struct pgn_loop *pgn_loop_new(void); /* aborts when the kernel refuses */
void pgn_loop_free(struct pgn_loop **loop);
void pgn_loop_run(struct pgn_loop *loop);               /* until pgn_loop_stop */
void pgn_loop_turn(struct pgn_loop *loop, int wait_ms); /* a single turn; for tests */
void pgn_loop_stop(struct pgn_loop *loop);              /* from any thread or signal handler */
uint64_t pgn_loop_now_ms(const struct pgn_loop *loop);  /* monotonic, read once a turn */
uint64_t pgn_loop_turns(const struct pgn_loop *loop);

/* Descriptors. The owner embeds pgn_io, closes the descriptor itself after pgn_io_remove. */
struct pgn_io {
    int fd;
    uint32_t events; /* PGN_READ | PGN_WRITE that are asked for; PGN_LATE */
    void (*on_ready)(struct pgn_io *io, uint32_t events);
};
int pgn_io_add(struct pgn_loop *loop, struct pgn_io *io) PGN_MUST_USE; /* 0 or PGN_E_IO */
void pgn_io_want(struct pgn_loop *loop, struct pgn_io *io, uint32_t events);
void pgn_io_remove(struct pgn_loop *loop, struct pgn_io *io); /* also safe for other ios out of a callback of this turn */

/*
 * Timers: a hierarchical wheel (Varghese and Lauck 1987) of 4 ms ticks; starting and stopping are O(1).
 * A timer never fires early, and at most 4 ms late when the loop is idle. One shot. A zeroed struct is stopped.
 */
struct pgn_timer {
    struct pgn_node node;
    uint64_t due_ms;
    void (*on_due)(struct pgn_timer *t);
};
void pgn_timer_start(struct pgn_loop *loop, struct pgn_timer *t, uint64_t delay_ms); /* restarts a running one */
/* For what may be late: up to PGN_TIMER_COARSE_MS more, so that a thousand of them wake the loop a few times a second instead of each by
 * itself. */
enum { PGN_TIMER_COARSE_MS = 256 };
void pgn_timer_start_coarse(struct pgn_loop *loop, struct pgn_timer *t, uint64_t delay_ms);
void pgn_timer_stop(struct pgn_timer *t);
static inline bool pgn_timer_running(const struct pgn_timer *t)
{
    return pgn_node_linked(&t->node);
}

/* End-of-turn hook; stays until removed. A hook that made new work calls pgn_loop_again so that the next turn does not wait. */
struct pgn_hook {
    struct pgn_node node;
    void (*on_turn)(struct pgn_hook *h);
};
void pgn_hook_add(struct pgn_loop *loop, struct pgn_hook *h);
void pgn_hook_remove(struct pgn_hook *h);
void pgn_loop_again(struct pgn_loop *loop);

#endif
