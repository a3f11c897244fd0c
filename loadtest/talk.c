/*
 * A correct client: hello, sync, sends with retries under the same client_id, gaps fetched, heartbeat.
 * See docs/PROTOCOL.md; an answer's id says what was asked (frame.h).
 */
#include "loadtest/load.h"

#include "common/base/clock.h"

#include <stdio.h>
#include <string.h>

enum { RETRY_MIN_MS = 100, RETRY_SPREAD_MS = 100 };

void ld_greet(struct ld_user *u)
{
    struct pgn_buf *frame = ld_scratch();
    ld_put_hello(&u->run->codec, frame, ld_id(LD_ASK_HELLO, 0), u->token, u->cursor);
    ld_write(u, frame);
}

void ld_sync(struct ld_user *u)
{
    if (u->syncing)
        return;
    u->syncing = true;
    struct pgn_buf *frame = ld_scratch();
    ld_put_sync(&u->run->codec, frame, ld_id(LD_ASK_SYNC, 0), u->cursor);
    ld_write(u, frame);
}

/* ---- sending ---- */

static void transmit(struct ld_user *u, uint32_t number)
{
    static char text[LD_TEXT_MAX + 64];
    struct ld_run *r = u->run;
    struct ld_sent *s = &u->log.sent[number];
    const struct ld_slot *slot = &u->slots[s->slot];
    struct ld_mark mark = {r->id, u->index, number, s->intended_us};
    size_t len = ld_text_put(text, r->o->body, &mark);
    text[len] = 0;
    char client_id[32], *p = client_id + sizeof client_id - 1;
    *p = 0;
    uint32_t n = number;
    do
        *--p = (char)('0' + n % 10);
    while (n /= 10);
    *--p = '-';
    for (n = r->id; n; n >>= 4)
        *--p = "0123456789abcdef"[n & 15];
    struct pgn_buf *frame = ld_scratch();
    ld_put_send(&r->codec, frame, ld_id(LD_ASK_SEND, number), slot->peer != NULL, slot->peer ? slot->peer : slot->conv->id, p, text, len);
    ld_write(u, frame);
    r->result->n.resent += s->on_wire;
    s->on_wire = true;
    s->waits = false;
}

void ld_send(struct ld_user *u, uint16_t slot, uint64_t intended_us)
{
    struct ld_run *r = u->run;
    if (!u->log.open)
        u->progress_ms = pgn_loop_now_ms(r->loop);
    (void)ld_log_add(&u->log, slot, intended_us);
    r->result->n.sent++;
    ld_second_now(r)->sent++;
    if (u->state == LD_READY)
        transmit(u, u->log.count - 1);
}

static void resend(struct ld_user *u, bool only_waiting)
{
    for (uint32_t i = u->log.first_open; i < u->log.count; i++)
        if (u->log.sent[i].state == LD_PENDING && (!only_waiting || u->log.sent[i].waits))
            transmit(u, i);
}

void ld_retry_later(struct ld_user *u, uint64_t after_ms)
{
    if (pgn_timer_running(&u->timer))
        return;
    if (after_ms < RETRY_MIN_MS)
        after_ms = RETRY_MIN_MS;
    pgn_timer_start(u->run->loop, &u->timer, after_ms + (uint64_t)(ld_random_unit(u->run) * RETRY_SPREAD_MS));
}

void ld_retry_due(struct ld_user *u)
{
    resend(u, true);
    if (u->redo) {
        u->redo = false;
        ld_sync(u);
        ld_catch_up(u);
    }
}

/* ---- answers ---- */

static void on_sent(struct ld_user *u, uint64_t number, const struct ld_frame *f)
{
    struct ld_run *r = u->run;
    if (number >= u->log.count || !ld_log_acked(&u->log, (uint32_t)number, f->seq, &r->result->n.disordered))
        return;
    const struct ld_sent *sent = &u->log.sent[number];
    struct ld_slot *s = &u->slots[sent->slot];
    uint16_t slot = sent->slot;
    uint64_t now_us = pgn_mono_us();
    r->result->n.acked++;
    ld_second_now(r)->acked++;
    u->progress_ms = pgn_loop_now_ms(r->loop);
    ld_hist_add(&r->result->ack, now_us > sent->intended_us ? now_us - sent->intended_us : 0);
    if (f->seq > s->conv->acked)
        s->conv->acked = f->seq;
    ld_own(u, s, f->seq, (uint32_t)number);
    if (r->mode->acked)
        r->mode->acked(u, slot);
}

static void on_synced(struct ld_user *u, const struct ld_frame *f)
{
    struct ld_run *r = u->run;
    u->syncing = false;
    for (size_t i = 0; i < f->conv_count; i++) {
        struct ld_slot *s = ld_slot_of(u, f->convs[i].conv);
        uint64_t last = f->convs[i].last_seq;
        if (!s)
            continue;
        if (!u->known)
            ld_view_start(&s->view, last);
        if (last > s->want)
            s->want = last;
        s->empty_pages = 0;
    }
    snprintf(u->cursor, sizeof u->cursor, "%.*s", (int)f->cursor.len, f->cursor.p);
    if (f->more) {
        ld_sync(u);
        return;
    }
    u->known = true;
    if (u->state == LD_SYNCING) {
        ld_online(u);
        resend(u, false);
        if (r->mode->ready)
            r->mode->ready(u);
    }
    ld_catch_up(u);
}

static void on_hello(struct ld_user *u, const struct ld_frame *f)
{
    struct ld_run *r = u->run;
    uint64_t now_us = pgn_mono_us();
    r->result->n.logins++;
    ld_hist_add(&r->result->login, now_us - u->connect_us);
    if (r->phase == LD_CONNECT) {
        r->result->storm_logins++;
        if (!r->result->login_first_us)
            r->result->login_first_us = u->connect_us;
        r->result->login_last_us = now_us;
    }
    u->heartbeat_ms = f->heartbeat_s ? f->heartbeat_s * 1000 : 30000;
    u->pinged_ms = pgn_loop_now_ms(r->loop) - (uint64_t)(ld_random_unit(r) * u->heartbeat_ms); /* a storm's users don't beat together */
    u->state = LD_SYNCING;
    if (r->mode->no_sync) {
        snprintf(u->cursor, sizeof u->cursor, "%.*s", (int)f->cursor.len, f->cursor.p);
        u->known = true;
        ld_online(u);
        if (r->mode->ready)
            r->mode->ready(u);
        return;
    }
    for (uint16_t i = 0; i < u->slot_count; i++)
        u->slots[i].away = u->known;
    ld_sync(u);
}

static void count_error(struct ld_result *result, struct ld_str code)
{
    result->n.rate_limited += ld_is(code, "rate_limited");
    result->n.overloaded += ld_is(code, "overloaded");
    result->n.unavailable += ld_is(code, "unavailable");
    result->n.uncertain += ld_is(code, "uncertain");
}

static void on_send_error(struct ld_user *u, uint64_t number, const struct ld_frame *f)
{
    if (number >= u->log.count || u->log.sent[number].state != LD_PENDING)
        return;
    if (!f->retry) {
        if (!u->run->result->n.refused++)
            fprintf(stderr, "pigeon-load: %s was refused a message to %s: %.*s: %.*s\n", u->name,
                    u->slots[u->log.sent[number].slot].conv->id, (int)f->code.len, f->code.p, (int)f->text.len, f->text.p);
        ld_log_refused(&u->log, (uint32_t)number);
        return;
    }
    u->progress_ms = pgn_loop_now_ms(u->run->loop);
    u->log.sent[number].retried = true;
    u->log.sent[number].waits = true;
    ld_retry_later(u, f->retry_after_ms);
}

static void on_error(struct ld_user *u, const struct ld_frame *f)
{
    count_error(u->run->result, f->code);
    uint64_t argument = ld_id_argument(f->id);
    switch (ld_id_kind(f->id)) {
    case LD_ASK_SEND:
        on_send_error(u, argument, f);
        return;
    case LD_ASK_FETCH:
        if (argument < u->slot_count) {
            u->slots[argument].fetching = false;
            u->slots[argument].empty_pages += !f->retry;
        }
        u->redo = true;
        ld_retry_later(u, f->retry_after_ms);
        return;
    case LD_ASK_AUDIT:
        ld_audit_page(u, argument, f);
        return;
    case LD_ASK_HELLO:
        if (!f->retry)
            ld_fatal(u->run, "the token of %s was refused (%.*s: %.*s): make new ones with `pigeon user import FILE --tokens OUT`", u->name,
                     (int)f->code.len, f->code.p, (int)f->text.len, f->text.p);
        ld_drop(u, f->retry_after_ms);
        return;
    case LD_ASK_SYNC:
        u->syncing = false;
        if (u->state == LD_SYNCING) {
            ld_drop(u, f->retry_after_ms);
            return;
        }
        u->redo = true;
        ld_retry_later(u, f->retry_after_ms);
        return;
    case LD_ASK_OTHER:
        if (u->run->mode->changed && u->run->phase == LD_SETUP)
            ld_fatal(u->run, "%s could not make a group: %.*s: %.*s", u->name, (int)f->code.len, f->code.p, (int)f->text.len, f->text.p);
        return;
    case LD_ASK_PING:
    default:
        return;
    }
}

static void on_changed(struct ld_user *u, const struct ld_frame *f)
{
    char conv[PGN_CONV_MAX + 1] = "";
    if (!u->run->mode->changed || f->conv.len > PGN_CONV_MAX)
        return;
    memcpy(conv, f->conv.p, f->conv.len);
    u->run->mode->changed(u, ld_id_argument(f->id), conv);
}

void ld_frame_in(struct ld_user *u, const void *data, size_t len)
{
    struct ld_run *r = u->run;
    struct ld_frame *f = &r->frame;
    ld_take(&r->codec, data, len, f);
    uint64_t argument = ld_id_argument(f->id);
    switch (f->what) {
    case LD_MESSAGE:
        ld_message_in(u, &f->message);
        return;
    case LD_OK_SEND:
        on_sent(u, argument, f);
        return;
    case LD_OK_FETCH:
        if (ld_id_kind(f->id) == LD_ASK_AUDIT)
            ld_audit_page(u, argument, f);
        else
            ld_page(u, argument, f);
        return;
    case LD_OK_SYNC:
        on_synced(u, f);
        return;
    case LD_OK_HELLO:
        on_hello(u, f);
        return;
    case LD_OK_PING:
        if (!ld_is(f->cursor, u->cursor) && !r->mode->no_sync)
            ld_sync(u);
        return;
    case LD_OK_CHANGED:
        on_changed(u, f);
        return;
    case LD_ERROR:
        on_error(u, f);
        return;
    case LD_PRESENCE:
        r->result->n.presence++;
        return;
    case LD_BYE:
        r->result->n.byes++;
        ld_drop(u, f->retry_after_ms);
        return;
    case LD_MALFORMED:
        r->result->n.malformed++;
        return;
    case LD_OTHER:
    default:
        return;
    }
}
