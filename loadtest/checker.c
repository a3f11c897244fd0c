/* Loss, duplicates, order; see checker.h. */
#include "loadtest/checker.h"

#include "common/base/alloc.h"

#include <stdlib.h>
#include <string.h>

uint64_t ld_token(uint64_t seq, uint32_t sender, uint32_t number)
{
    uint64_t z = seq * UINT64_C(0x9e3779b97f4a7c15) + ((uint64_t)sender << 32 | number); /* splitmix64's finish */
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* ---- a reader ---- */

void ld_view_start(struct ld_view *v, uint64_t last)
{
    v->start = v->last = last;
    v->sum = 0;
    v->held_count = 0;
}

static enum ld_seen hold(struct ld_view *v, uint64_t seq, uint64_t token)
{
    uint32_t at = v->held_count;
    while (at && v->held[at - 1].seq > seq)
        at--;
    if (at && v->held[at - 1].seq == seq)
        return LD_AGAIN;
    if (v->held_count == LD_HELD_MAX)
        return LD_EARLY;
    if (v->held_count == v->held_cap) {
        v->held_cap = v->held_cap ? v->held_cap * 2 : 8;
        v->held = pgn_realloc(v->held, v->held_cap * sizeof *v->held);
    }
    memmove(v->held + at + 1, v->held + at, (v->held_count - at) * sizeof *v->held);
    v->held[at] = (struct ld_held){seq, token};
    v->held_count++;
    return LD_EARLY;
}

/* Takes what was held and is next now; drops what came another way. */
static void take_held(struct ld_view *v)
{
    uint32_t at = 0;
    for (; at < v->held_count && v->held[at].seq <= v->last + 1; at++) {
        if (v->held[at].seq == v->last + 1) {
            v->last++;
            v->sum += v->held[at].token;
        }
    }
    v->held_count -= at;
    memmove(v->held, v->held + at, v->held_count * sizeof *v->held);
}

enum ld_seen ld_view_offer(struct ld_view *v, uint64_t seq, uint64_t token)
{
    if (seq <= v->last)
        return LD_AGAIN;
    if (seq > v->last + 1)
        return hold(v, seq, token);
    v->last++;
    v->sum += token;
    if (v->held_count)
        take_held(v);
    return LD_NEW;
}

void ld_view_release(struct ld_view *v)
{
    free(v->held);
    v->held = NULL;
    v->held_count = v->held_cap = 0;
}

/* ---- a sender ---- */

struct ld_sent *ld_log_add(struct ld_log *log, uint16_t slot, uint64_t intended_us)
{
    if (log->count == log->cap) {
        log->cap = log->cap ? log->cap * 2 : 16;
        log->sent = pgn_realloc(log->sent, log->cap * sizeof *log->sent);
    }
    log->sent[log->count] = (struct ld_sent){.intended_us = intended_us, .slot = slot, .state = LD_PENDING};
    log->open++;
    return &log->sent[log->count++];
}

static void close_one(struct ld_log *log, struct ld_sent *s, enum ld_sent_state state)
{
    s->state = (uint8_t)state;
    log->open--;
    while (log->first_open < log->count && log->sent[log->first_open].state != LD_PENDING)
        log->first_open++;
}

bool ld_log_acked(struct ld_log *log, uint32_t number, uint64_t seq, uint64_t *forked)
{
    if (number >= log->count)
        return false;
    struct ld_sent *s = &log->sent[number];
    if (s->state != LD_PENDING) {
        *forked += s->state == LD_ACKED && s->seq != seq;
        return false;
    }
    s->seq = (uint32_t)seq;
    close_one(log, s, LD_ACKED);
    return true;
}

void ld_log_refused(struct ld_log *log, uint32_t number)
{
    if (number < log->count && log->sent[number].state == LD_PENDING)
        close_one(log, &log->sent[number], LD_REFUSED);
}

void ld_log_release(struct ld_log *log)
{
    free(log->sent);
    *log = (struct ld_log){0};
}

/* ---- afterwards ---- */

void ld_audit_start(struct ld_audit *a, uint64_t start, struct ld_faults *faults)
{
    *a = (struct ld_audit){.start = start, .at = start, .faults = faults};
    a->cap = 64;
    a->sums = pgn_malloc(a->cap * sizeof *a->sums);
    a->sums[0] = 0;
}

static void push(struct ld_audit *a, uint64_t token)
{
    size_t n = (size_t)(a->at - a->start);
    if (n + 1 == a->cap) {
        a->cap *= 2;
        a->sums = pgn_realloc(a->sums, a->cap * sizeof *a->sums);
    }
    a->sums[n + 1] = a->sums[n] + token;
    a->at++;
}

void ld_audit_message(struct ld_audit *a, uint64_t seq, uint32_t sender, uint32_t number)
{
    if (seq <= a->at) { /* not ascending: the same number twice, or going back */
        a->faults->disordered++;
        return;
    }
    if (seq - a->at > 1000000) { /* nonsense, not a gap */
        a->faults->disordered++;
        return;
    }
    while (seq > a->at + 1) {
        a->faults->disordered++;
        push(a, 0);
    }
    push(a, ld_token(seq, sender, number));
}

void ld_audit_sent(struct ld_audit *a, struct ld_log *log, uint32_t number, uint64_t seq, uint32_t *last)
{
    if (number >= log->count) { /* we never sent that */
        a->faults->disordered++;
        return;
    }
    struct ld_sent *s = &log->sent[number];
    if (s->seen) {
        a->faults->doubled++;
        return;
    }
    s->seen = true;
    if (s->state == LD_ACKED && s->seq != (uint32_t)seq)
        a->faults->disordered++;
    if (number < *last && !s->retried)
        a->faults->disordered++;
    if (!s->retried)
        *last = number + 1;
}

void ld_audit_view(struct ld_audit *a, const struct ld_view *v)
{
    if (v->start < a->start || v->start > a->at) {
        a->faults->forked += v->last > v->start;
        return;
    }
    if (v->last < a->at)
        a->faults->undelivered += a->at - v->last;
    uint64_t end = v->last < a->at ? v->last : a->at;
    a->faults->forked += v->last > a->at || a->sums[end - a->start] - a->sums[v->start - a->start] != v->sum;
}

void ld_audit_release(struct ld_audit *a)
{
    free(a->sums);
    a->sums = NULL;
}

uint64_t ld_audit_log(const struct ld_log *log, struct ld_faults *faults)
{
    uint64_t acked = 0;
    for (uint32_t i = 0; i < log->count; i++) {
        acked += log->sent[i].state == LD_ACKED;
        faults->lost += log->sent[i].state == LD_ACKED && !log->sent[i].seen;
    }
    return acked;
}
