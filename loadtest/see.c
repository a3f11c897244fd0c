/*
 * What a user sees of its conversations: live messages, own ones by their acknowledgement, gaps, and pages fetched.
 */
#include "loadtest/load.h"

#include "common/base/clock.h"

enum { PAGE = 200, EMPTY_PAGES_MAX = 20 };

static void fetch(struct ld_user *u, uint16_t at)
{
    struct ld_slot *s = &u->slots[at];
    struct pgn_buf *frame = ld_scratch();
    s->fetching = true;
    ld_put_fetch(&u->run->codec, frame, ld_id(LD_ASK_FETCH, at), s->conv->id, s->view.last, PAGE);
    ld_write(u, frame);
}

void ld_catch_up(struct ld_user *u)
{
    if (!u->known || u->state != LD_READY)
        return;
    for (uint16_t i = 0; i < u->slot_count; i++)
        if (u->slots[i].view.last < u->slots[i].want && !u->slots[i].fetching && u->slots[i].empty_pages < EMPTY_PAGES_MAX)
            fetch(u, i);
}

/* A number was skipped: most likely an own message whose acknowledgement is on its way; else it is fetched. */
static void gap(struct ld_user *u, struct ld_slot *s, uint64_t seq)
{
    if (seq > s->want)
        s->want = seq;
    if (s->fetching || s->gap_ms)
        return;
    u->run->result->n.gaps++;
    s->gap_ms = pgn_loop_now_ms(u->run->loop);
    u->gapped = true;
    if (!u->log.open)
        ld_catch_up(u);
}

/* The last of a group's readers (of this worker) has it. */
static void count_post(struct ld_run *r, struct ld_conv *c, const struct ld_mark *m, uint64_t now_us)
{
    if (!c->posts || m->sender < r->first_user || m->sender - r->first_user >= r->user_count)
        return;
    const struct ld_user *from = &r->users[m->sender - r->first_user];
    if (m->number >= from->log.count || !c->posts[m->sender - r->first_user].missing)
        return;
    struct ld_post *p = &c->posts[m->sender - r->first_user];
    if (p->intended_us == m->intended_us && --p->missing == 0)
        ld_hist_add(&r->result->last, now_us - m->intended_us);
}

enum came { LIVE, FETCHED };

static void seen(struct ld_user *u, struct ld_slot *s, const struct ld_message *m, enum came came)
{
    struct ld_run *r = u->run;
    struct ld_mark mark;
    bool ours = ld_text_get(m->text.p, m->text.len, &mark) && mark.run == r->id;
    uint64_t token = ours ? ld_token(m->seq, mark.sender, mark.number) : ld_token(m->seq, LD_NOBODY, 0);
    enum ld_seen how = ld_view_offer(&s->view, m->seq, token);
    if (how == LD_AGAIN) {
        r->result->n.wire_again += came == LIVE && !(ours && mark.sender == u->index);
        return;
    }
    if (how == LD_EARLY)
        gap(u, s, m->seq);
    else if (s->view.last >= s->want)
        s->gap_ms = 0;
    if (!ours || mark.sender == u->index)
        return;
    r->result->n.delivered++;
    ld_second_now(r)->delivered++;
    if (came == FETCHED) {
        if (s->away)
            r->result->n.caught_up++;
        else
            r->result->n.recovered++;
        return;
    }
    uint64_t now_us = pgn_mono_us(), late = now_us > mark.intended_us ? now_us - mark.intended_us : 0;
    ld_hist_add(&r->result->delivery, late);
    ld_hist_add(&r->second_hist, late);
    count_post(r, s->conv, &mark, now_us);
}

void ld_page(struct ld_user *u, uint64_t at, const struct ld_frame *f)
{
    if (at >= u->slot_count)
        return;
    struct ld_slot *s = &u->slots[at];
    uint64_t before = s->view.last;
    s->fetching = false;
    for (size_t i = 0; i < f->message_count; i++)
        seen(u, s, &f->messages[i], FETCHED);
    s->empty_pages = s->view.last > before ? 0 : (uint8_t)(s->empty_pages + 1);
    if (s->view.last >= s->want) {
        s->away = false;
        s->gap_ms = 0;
    } else if (s->view.last > before) {
        ld_catch_up(u);
    } else {
        u->redo = true; /* it is said to exist, but is not there yet */
        ld_retry_later(u, 0);
    }
}

void ld_message_in(struct ld_user *u, const struct ld_message *m)
{
    struct ld_slot *s = ld_slot_of(u, m->conv);
    if (!s)
        return;
    if (u->known)
        seen(u, s, m, LIVE);
    else if (m->seq > s->want) /* before the first sync: where its numbers begin is not known yet */
        s->want = m->seq;
}

void ld_own(struct ld_user *u, struct ld_slot *s, uint64_t seq, uint32_t number)
{
    if (!u->known)
        return;
    if (ld_view_offer(&s->view, seq, ld_token(seq, u->index, number)) == LD_EARLY)
        gap(u, s, seq);
    else if (s->view.last >= s->want)
        s->gap_ms = 0;
}
