/*
 * After the run: every conversation's history is fetched by one of its members, and compared with what was sent,
 * acknowledged and received.
 */
#include "loadtest/load.h"

#include <string.h>

enum { AT_ONCE = 64, PAGE = 200, ANSWER_MS = 10000, TRIES_MAX = 12 };

static struct ld_faults faults;

static bool worth(const struct ld_conv *c)
{
    for (uint32_t i = 0; i < c->member_count; i++) {
        const struct ld_user *u = c->members[i].user;
        const struct ld_slot *s = &u->slots[c->members[i].slot];
        if (s->view.last > s->view.start || s->want > s->view.last)
            return true;
        for (uint32_t n = 0; n < u->log.count; n++)
            if (u->log.sent[n].slot == c->members[i].slot)
                return true;
    }
    return false;
}

void ld_audit_begin(struct ld_run *r)
{
    for (uint32_t i = 0; i < r->conv_count; i++) {
        struct ld_conv *c = &r->convs[i];
        uint64_t start = UINT64_MAX;
        for (uint32_t m = 0; m < c->member_count; m++) {
            const struct ld_slot *s = &c->members[m].user->slots[c->members[m].slot];
            if (c->members[m].user->known && s->view.start < start)
                start = s->view.start;
        }
        if (start == UINT64_MAX || !worth(c)) {
            c->audit_state = LD_AUDITED;
            continue;
        }
        ld_audit_start(&c->audit, start, &faults);
    }
    ld_audit_more(r);
}

static struct ld_user *reader_of(const struct ld_conv *c)
{
    for (uint32_t m = 0; m < c->member_count; m++) {
        struct ld_user *u = c->members[(m + c->audit_tries) % c->member_count].user;
        if (u->state == LD_READY)
            return u;
    }
    return NULL;
}

static void ask(struct ld_run *r, struct ld_conv *c)
{
    struct ld_user *u = c->auditor && c->auditor->state == LD_READY ? c->auditor : reader_of(c);
    c->asked_ms = pgn_loop_now_ms(r->loop);
    c->auditor = u;
    if (!u)
        return; /* asked again later */
    struct pgn_buf *frame = ld_scratch();
    ld_put_fetch(&r->codec, frame, ld_id(LD_ASK_AUDIT, (uint64_t)(c - r->convs)), c->id, c->audit.at, PAGE);
    ld_write(u, frame);
}

static void finish(struct ld_run *r, struct ld_conv *c)
{
    for (uint32_t m = 0; m < c->member_count; m++)
        if (c->members[m].user->known)
            ld_audit_view(&c->audit, &c->members[m].user->slots[c->members[m].slot].view);
    ld_audit_release(&c->audit);
    c->audit_state = LD_AUDITED;
    r->open_audits--;
}

void ld_audit_more(struct ld_run *r)
{
    uint64_t now = pgn_loop_now_ms(r->loop);
    for (uint32_t i = 0; i < r->conv_count; i++) {
        struct ld_conv *c = &r->convs[i];
        if (c->audit_state == LD_UNAUDITED && r->open_audits < AT_ONCE) {
            c->audit_state = LD_AUDITING;
            r->open_audits++;
            ask(r, c);
        } else if (c->audit_state == LD_AUDITING && now - c->asked_ms > (c->auditor ? ANSWER_MS : 500)) {
            c->auditor = NULL;
            if (++c->audit_tries > TRIES_MAX) {
                r->result->n.unverified++;
                ld_audit_release(&c->audit);
                c->audit_state = LD_AUDITED;
                r->open_audits--;
            } else {
                ask(r, c);
            }
        }
    }
}

static void one(struct ld_run *r, struct ld_conv *c, const struct ld_message *m)
{
    struct ld_mark mark;
    bool ours = ld_text_get(m->text.p, m->text.len, &mark) && mark.run == r->id;
    ld_audit_message(&c->audit, m->seq, ours ? mark.sender : LD_NOBODY, ours ? mark.number : 0);
    if (!ours || mark.sender < r->first_user || mark.sender - r->first_user >= r->user_count)
        return;
    r->result->n.audited++;
    struct ld_user *from = &r->users[mark.sender - r->first_user];
    uint32_t nowhere = 0, *last = &nowhere;
    for (uint16_t s = 0; s < from->slot_count; s++)
        if (from->slots[s].conv == c)
            last = &from->slots[s].audit_last;
    ld_audit_sent(&c->audit, &from->log, mark.number, m->seq, last);
}

void ld_audit_page(struct ld_user *u, uint64_t conv, const struct ld_frame *f)
{
    struct ld_run *r = u->run;
    if (conv >= r->conv_count || r->convs[conv].audit_state != LD_AUDITING || r->convs[conv].auditor != u)
        return;
    struct ld_conv *c = &r->convs[conv];
    if (f->what == LD_ERROR && f->retry) { /* after a while another one asks; asked_ms is set so that it is due then */
        uint64_t wait = f->retry_after_ms > 200 ? f->retry_after_ms : 200;
        c->asked_ms = pgn_loop_now_ms(r->loop) - ANSWER_MS + (wait < ANSWER_MS ? wait : ANSWER_MS);
        return;
    }
    if (f->what == LD_ERROR) { /* not there at all */
        finish(r, c);
        ld_audit_more(r);
        return;
    }
    uint64_t before = c->audit.at;
    for (size_t i = 0; i < f->message_count; i++)
        if (f->messages[i].seq > before) /* a page from the beginning may overlap with what came first */
            one(r, c, &f->messages[i]);
    c->audit_tries = 0;
    if (f->message_count && c->audit.at > before && (f->more || !before || f->message_count >= PAGE)) {
        ask(r, c);
        return;
    }
    finish(r, c);
    ld_audit_more(r);
}

bool ld_audit_done(const struct ld_run *r)
{
    for (uint32_t i = 0; i < r->conv_count; i++)
        if (r->convs[i].audit_state != LD_AUDITED)
            return false;
    return true;
}

void ld_audit_end(struct ld_run *r)
{
    for (uint32_t i = 0; i < r->user_count; i++)
        (void)ld_audit_log(&r->users[i].log, &faults);
    r->result->n.lost += faults.lost;
    r->result->n.undelivered += faults.undelivered;
    r->result->n.doubled += faults.doubled;
    r->result->n.disordered += faults.disordered;
    r->result->n.forked += faults.forked;
}
