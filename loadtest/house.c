/* What a user does once a while: heartbeat, marks, gaps that did not close by themselves, giving up on a silent server. */
#include "loadtest/load.h"

enum { GAP_WAIT_MS = 300, UNANSWERED_MS = 20000 };

static void house_marks(struct ld_user *u)
{
    for (uint16_t i = 0; i < u->slot_count; i++) {
        struct ld_slot *s = &u->slots[i];
        if (s->view.last <= s->marked || s->view.last == s->view.start)
            continue;
        s->marked = s->view.last;
        struct pgn_buf *frame = ld_scratch();
        ld_put_mark(&u->run->codec, frame, ld_id(LD_ASK_OTHER, UINT32_MAX), s->conv->id, s->marked);
        ld_write(u, frame);
    }
}

void ld_house_user(struct ld_user *u, uint64_t now_ms)
{
    if (u->state != LD_READY)
        return;
    if (u->gapped) {
        bool still = false, due = false;
        for (uint16_t i = 0; i < u->slot_count; i++) {
            still |= u->slots[i].gap_ms != 0;
            due |= u->slots[i].gap_ms && now_ms >= u->slots[i].gap_ms + GAP_WAIT_MS;
        }
        u->gapped = still;
        if (due)
            ld_catch_up(u);
    }
    if (now_ms - u->heard_ms > u->heartbeat_ms * 5 / 2 || (u->log.open && now_ms - u->progress_ms > UNANSWERED_MS)) {
        u->progress_ms = now_ms;
        ld_drop(u, 0);
        return;
    }
    if (now_ms - u->pinged_ms >= u->heartbeat_ms) { /* also tells, by its cursor, that something was missed */
        u->pinged_ms = now_ms;
        struct pgn_buf *frame = ld_scratch();
        ld_put_ping(&u->run->codec, frame, ld_id(LD_ASK_PING, 0));
        ld_write(u, frame);
    }
    double mark_ms = u->run->o->mark_s * 1000;
    if (mark_ms > 0 && now_ms - u->marks_ms >= (uint64_t)mark_ms) {
        u->marks_ms = now_ms;
        house_marks(u);
    }
}
