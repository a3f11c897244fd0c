/*
 * Model clients: binary protocol over a simulated socket. They do what a good client does: keep what is not acknowledged and
 * send it again under its client_id, by whatever gateway; fetch the range when a number jumps; sync when a ping says so.
 */
#include "tests/sim/sim.h"

#include "common/base/alloc.h"
#include "tests/sim/sim_client.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TICK_US = 400 * SIM_MS,
    ANSWER_US = 25 * SIM_S, /* then the connection counts as dead */
    HELLO_US = 6 * SIM_S,
    PAGE = 40,
};
static const uint64_t PING_US = 10 * SIM_S;

struct sim_history history = {.sends_end = &history.sends};
static struct sim_client clients[SIM_CLIENTS];
static bool no_new_work;
static uint64_t calm_us;
static struct pgn_arena *arena;

/* ---- names ---- */

const char *sim_user(int number)
{
    static const char *const names[SIM_USERS] = {"ada", "bo", "cy", "dee", "eve", "fay"};
    return names[number];
}

int sim_user_number(const char *user)
{
    for (int i = 0; i < SIM_USERS; i++)
        if (strcmp(sim_user(i), user) == 0)
            return i;
    return -1;
}

const char *sim_device(int number)
{
    return number % SIM_DEVICES ? "tab" : "phone";
}

const char *sim_client_token(int number)
{
    static char text[4][32];
    static unsigned at;
    char *t = text[at++ % 4];
    snprintf(t, sizeof text[0], "token-of-client-%d", number);
    return t;
}

int sim_user_of(const struct sim_client *c)
{
    return c->number / SIM_DEVICES;
}

int history_conv(const char *id)
{
    for (int i = 0; i < history.convs_count; i++)
        if (strcmp(history.convs[i].id, id) == 0)
            return i;
    if (history.convs_count == HISTORY_CONVS || strlen(id) > PGN_CONV_MAX)
        return -1;
    memcpy(history.convs[history.convs_count].id, id, strlen(id) + 1);
    return history.convs_count++;
}

static struct sim_view *view_of(const struct sim_client *c, int conv)
{
    struct sim_view *v = &history.views[c->number][conv];
    if (!v->ids)
        v->ids = pgn_calloc(HISTORY_SEQS, SHORT_ID);
    v->known = true;
    return v;
}

static void copy_id(char to[SHORT_ID], const char *from)
{
    snprintf(to, SHORT_ID, "%s", from);
}

/* ---- frames out ---- */

struct request *sim_request_new(struct sim_client *c, enum kind kind)
{
    for (int i = 0; i < REQUESTS; i++) {
        struct request *r = &c->requests[i];
        if (r->kind != FREE)
            continue;
        *r = (struct request){.kind = kind, .id = ++c->next_id, .asked_us = sim.now_us, .conv = -1};
        return r;
    }
    return NULL;
}

static void request_free(struct request *r)
{
    free(r->acked);
    *r = (struct request){0};
}

/* A masked frame whose mask is zero: the payload stays what it is. */
static void send_frame(struct sim_client *c, uint8_t opcode, const void *data, size_t len)
{
    uint8_t head[14] = {(uint8_t)(0x80 | opcode)};
    size_t n = 2;
    if (len < 126) {
        head[1] = (uint8_t)(0x80 | len);
    } else {
        head[1] = 0x80 | 126;
        head[2] = (uint8_t)(len >> 8);
        head[3] = (uint8_t)len;
        n = 4;
    }
    n += 4;
    struct pgn_buf out = {0};
    pgn_buf_append(&out, head, n);
    pgn_buf_append(&out, data, len);
    sim_sock_send(c->sock, out.data, out.len);
    pgn_buf_release(&out);
}

void sim_request_send(struct sim_client *c, const struct request *r, Pigeon__ClientFrame *f)
{
    struct pgn_buf out = {0};
    f->id = r->id;
    pgn_pb_pack(f, &out);
    send_frame(c, 2, out.data, out.len);
    pgn_buf_release(&out);
}

/* protobuf-c wants char *; nothing writes to them. */
char *sim_chars(const char *text)
{
    return (char *)(uintptr_t)text;
}

static void ask_fetch(struct sim_client *c, int conv, uint64_t after, uint64_t before)
{
    struct request *r = sim_request_new(c, FETCH);
    Pigeon__ClientFrame f = PIGEON__CLIENT_FRAME__INIT;
    Pigeon__Fetch fetch = PIGEON__FETCH__INIT;
    if (!r)
        return;
    r->conv = conv;
    r->after = after;
    r->before = before;
    r->read = history.convs[conv].acked;
    view_of(c, conv)->fetching = true;
    fetch.conv = history.convs[conv].id;
    fetch.after = after;
    fetch.before = before;
    fetch.limit = PAGE;
    f.op_case = PIGEON__CLIENT_FRAME__OP_FETCH;
    f.fetch = &fetch;
    sim.totals.fetched++;
    sim_request_send(c, r, &f);
}

static void ask_sync(struct sim_client *c)
{
    struct request *r = sim_request_new(c, SYNC);
    Pigeon__ClientFrame f = PIGEON__CLIENT_FRAME__INIT;
    Pigeon__Sync sync = PIGEON__SYNC__INIT;
    if (!r)
        return;
    r->acked = pgn_calloc(HISTORY_CONVS, sizeof *r->acked);
    for (int i = 0; i < history.convs_count; i++)
        r->acked[i] = history.convs[i].acked;
    sync.cursor = c->cursor;
    sync.limit = sim_rand(4) ? 0 : 2;
    f.op_case = PIGEON__CLIENT_FRAME__OP_SYNC;
    f.sync = &sync;
    c->syncing = true;
    c->sync_wanted = false;
    sim.totals.syncs++;
    sim_request_send(c, r, &f);
}

static void ask_ping(struct sim_client *c)
{
    struct request *r = sim_request_new(c, PING);
    Pigeon__ClientFrame f = PIGEON__CLIENT_FRAME__INIT;
    Pigeon__Ping ping = PIGEON__PING__INIT;
    if (!r)
        return;
    c->pinged_us = sim.now_us;
    f.op_case = PIGEON__CLIENT_FRAME__OP_PING;
    f.ping = &ping;
    sim_request_send(c, r, &f);
}

/* The parts of a frame, while it is packed. */
struct parts {
    Pigeon__Send send;
    Pigeon__Target to;
    Pigeon__Body body;
    Pigeon__Recall recall;
    Pigeon__Edit edit;
    Pigeon__React react;
};

static void fill_send(struct sim_client *c, const struct sim_send *s, char *conv, struct parts *p, Pigeon__ClientFrame *f)
{
    char a[PGN_USER_MAX + 1], b[PGN_USER_MAX + 1];
    if (s->to_user && pgn_conv_users(conv, a, b)) {
        p->to.to_case = PIGEON__TARGET__TO_USER;
        p->to.user = sim_chars(sim_user(strcmp(a, sim_user(sim_user_of(c))) == 0 ? sim_user_number(b) : sim_user_number(a)));
    } else {
        p->to.to_case = PIGEON__TARGET__TO_CONV;
        p->to.conv = conv;
    }
    p->send.to = &p->to;
    p->send.client_id = sim_chars(s->client_id);
    p->send.kind = PIGEON__KIND__text;
    p->send.body = &p->body;
    f->send = &p->send;
}

static void fill(struct sim_client *c, const struct sim_send *s, struct parts *p, Pigeon__ClientFrame *f)
{
    char *conv = history.convs[s->conv].id, *key = sim_chars(s->client_id);
    p->body.text = sim_chars(s->text);
    p->recall.conv = p->edit.conv = p->react.conv = conv;
    p->recall.seq = p->edit.seq = p->react.seq = s->target;
    p->recall.client_id = p->edit.client_id = p->react.client_id = key;
    p->edit.body = &p->body;
    p->react.emoji = sim_chars("+1");
    p->react.on = s->text[0] > 'h';
    f->op_case = s->what;
    if (s->what == PIGEON__CLIENT_FRAME__OP_RECALL)
        f->recall = &p->recall;
    else if (s->what == PIGEON__CLIENT_FRAME__OP_EDIT)
        f->edit = &p->edit;
    else if (s->what == PIGEON__CLIENT_FRAME__OP_REACT)
        f->react = &p->react;
    else
        fill_send(c, s, conv, p, f);
}

static void send_again(struct sim_client *c, struct sim_send *s)
{
    struct request *r = sim_request_new(c, SEND);
    Pigeon__ClientFrame f = PIGEON__CLIENT_FRAME__INIT;
    struct parts parts = {PIGEON__SEND__INIT,   PIGEON__TARGET__INIT, PIGEON__BODY__INIT,
                          PIGEON__RECALL__INIT, PIGEON__EDIT__INIT,   PIGEON__REACT__INIT};
    if (!r)
        return;
    r->send = s;
    r->conv = s->conv;
    fill(c, s, &parts, &f);
    s->waits = false;
    if (s->tries++ == 0) {
        s->connection = c->connection;
        s->order = ++c->orders;
    } else {
        sim.totals.retries++;
    }
    sim_request_send(c, r, &f);
}

/* What is to be sent, in order: nothing of a conversation passes something older that still waits. */
void sim_send_waiting(struct sim_client *c)
{
    bool held[HISTORY_CONVS] = {false};
    for (struct sim_send *s = history.sends; s; s = s->next) {
        if (s->client != c->number || s->outcome != SIM_OPEN || !s->waits || held[s->conv])
            continue;
        if (s->again_us > sim.now_us)
            held[s->conv] = true;
        else
            send_again(c, s);
    }
}

/* ---- what was read ---- */

static void note(struct sim_client *c, const Pigeon__Message *m, enum sim_how how, uint64_t asked_us)
{
    int conv = history_conv(m->conv);
    if (conv < 0 || m->seq == 0 || m->seq >= HISTORY_SEQS) {
        sim_fail("%s got a message without sense: %s %" PRIu64, sim_user(sim_user_of(c)), m->conv, m->seq);
        return;
    }
    struct sim_view *v = view_of(c, conv);
    if (v->ids[m->seq][0] && strcmp(v->ids[m->seq], m->message_id) != 0)
        sim_fail("G4 two messages with one number for %s: %s %" PRIu64, sim_user(sim_user_of(c)), m->conv, m->seq);
    copy_id(v->ids[m->seq], m->message_id);
    sim_say("%s/%s got %s %" PRIu64 " (%s)", sim_user(sim_user_of(c)), sim_device(c->number), m->conv, m->seq,
            how == SIM_PUSH    ? "pushed"
            : how == SIM_FETCH ? "fetched"
                               : "synced");
    if (m->seq > v->top)
        v->top = m->seq;
    if (history.seen_count == history.seen_cap) {
        history.seen_cap = history.seen_cap ? history.seen_cap * 2 : 1024;
        history.seen = pgn_realloc(history.seen, history.seen_cap * sizeof *history.seen);
    }
    struct sim_seen *s = &history.seen[history.seen_count++];
    const struct sim_proc *gateway = sim_sock_gateway(c->sock);
    *s = (struct sim_seen){c->number, conv, m->seq, sim.now_us, asked_us, how, gateway->loss_us, gateway->store_us, ""};
    copy_id(s->message_id, m->message_id);
}

/* Goes on from what is there; asks for what is missing. */
static void advance(struct sim_client *c, int conv)
{
    struct sim_view *v = view_of(c, conv);
    while (v->have + 1 < HISTORY_SEQS && v->ids[v->have + 1][0])
        v->have++;
    if (v->top > v->have && v->member && !v->fetching && c->state == LIVE)
        ask_fetch(c, conv, v->have, 0);
}

static void on_message(struct sim_client *c, const Pigeon__Message *m)
{
    int conv = history_conv(m->conv);
    sim.totals.delivered++;
    note(c, m, SIM_PUSH, sim.now_us);
    if (conv < 0)
        return;
    view_of(c, conv)->member |= pgn_conv_is_direct(m->conv);
    if (!view_of(c, conv)->member)
        c->sync_wanted = true;
    advance(c, conv);
}

static void on_page(struct sim_client *c, const struct request *r, const Pigeon__Page *page)
{
    struct sim_view *v = view_of(c, r->conv);
    uint64_t first = page->n_messages ? page->messages[0]->seq : 0;
    uint64_t last = page->n_messages ? page->messages[page->n_messages - 1]->seq : r->after;
    bool forwards = r->after > 0;
    v->fetching = false;
    for (size_t i = 0; i < page->n_messages; i++) {
        if (i > 0 && page->messages[i]->seq != page->messages[i - 1]->seq + 1)
            sim_fail("G4 a page of %s jumps from %" PRIu64 " to %" PRIu64, history.convs[r->conv].id, page->messages[i - 1]->seq,
                     page->messages[i]->seq);
        note(c, page->messages[i], SIM_FETCH, r->asked_us);
    }
    if (!r->before && (!forwards || !page->more) && last < r->read && page->n_messages)
        sim_fail("G5 %s was acknowledged up to %" PRIu64 ", a later fetch of %s ends at %" PRIu64, history.convs[r->conv].id, r->read,
                 sim_user(sim_user_of(c)), last);
    if (!page->n_messages) {
        if (!r->before)
            v->top = v->have; /* nothing more that he may read */
        else if (v->have + 1 < r->before)
            v->have = r->before - 1;
    } else if (!forwards && page->more) {
        ask_fetch(c, r->conv, 0, first); /* older ones */
        return;
    } else if (v->have + 1 < first) {
        v->have = first - 1; /* what is before may not be read */
    }
    advance(c, r->conv);
}

static void on_sync(struct sim_client *c, const struct request *r, const Pigeon__SyncPage *page)
{
    c->syncing = false;
    sim_say("%s/%s synced from %s to %s, %zu conversations, by %s", sim_user(sim_user_of(c)), sim_device(c->number), c->cursor,
            page->cursor, page->n_convs, sim_proc_name(sim_sock_gateway(c->sock)));
    snprintf(c->cursor, sizeof c->cursor, "%s", page->cursor);
    for (size_t i = 0; i < page->n_convs; i++) {
        const Pigeon__ConvState *s = page->convs[i];
        int conv = history_conv(s->conv);
        if (conv < 0)
            continue;
        struct sim_view *v = view_of(c, conv);
        v->member = !s->gone;
        if (s->gone)
            continue;
        if (s->last_seq < r->acked[conv])
            sim_fail("G5 %s was acknowledged up to %" PRIu64 ", a later sync of %s says %" PRIu64, s->conv, r->acked[conv],
                     sim_user(sim_user_of(c)), s->last_seq);
        if (s->last_seq > v->top)
            v->top = s->last_seq;
        if (s->last_message)
            note(c, s->last_message, SIM_SYNC, r->asked_us);
        advance(c, conv);
    }
    if (page->more)
        ask_sync(c);
}

/* ---- answers ---- */

static bool final_error(const Pigeon__Error *e)
{
    return !e->retry;
}

static void on_send_error(struct sim_send *s, const Pigeon__Error *e)
{
    if (strcmp(e->code, "uncertain") == 0) {
        s->told_uncertain = true;
        sim.totals.uncertain++;
    }
    if (!final_error(e)) {
        s->waits = true;
        s->again_us = sim.now_us + e->retry_after_ms * SIM_MS + sim_rand(SIM_S);
        return;
    }
    sim_say("send %s is refused: %s, %s", s->client_id, e->code, e->text);
    if (strcmp(e->code, "internal") == 0)
        sim_fail("send %s: internal: %s", s->client_id, e->text);
    s->outcome = SIM_REFUSED;
    snprintf(s->error, sizeof s->error, "%s", e->code);
    sim.totals.refused++;
}

static void on_sent(struct sim_client *c, struct sim_send *s, const Pigeon__Sent *sent)
{
    int conv = history_conv(sent->conv);
    if (conv != s->conv)
        sim_fail("G2 send %s to %s was stored in %s", s->client_id, history.convs[s->conv].id, sent->conv);
    sim_say("send %s is acknowledged: %s %" PRIu64, s->client_id, sent->conv, sent->seq);
    s->outcome = SIM_ACKED;
    s->seq = sent->seq;
    copy_id(s->message_id, sent->message_id);
    sim.totals.acked++;
    if (conv < 0 || sent->seq == 0 || sent->seq >= HISTORY_SEQS) {
        sim_fail("send %s was acknowledged with number %" PRIu64, s->client_id, sent->seq);
        return;
    }
    struct sim_view *v = view_of(c, conv);
    if (v->ids[sent->seq][0] && strcmp(v->ids[sent->seq], sent->message_id) != 0)
        sim_fail("G4 two messages with one number: %s %" PRIu64, sent->conv, sent->seq);
    copy_id(v->ids[sent->seq], sent->message_id);
    v->member |= pgn_conv_is_direct(sent->conv);
    if (sent->seq > v->top)
        v->top = sent->seq;
    if (sent->seq > history.convs[conv].acked)
        history.convs[conv].acked = sent->seq;
    advance(c, conv);
}

static void on_ok(struct sim_client *c, struct request *r, const Pigeon__Ok *ok)
{
    switch (r->kind) {
    case HELLO:
        c->state = LIVE;
        c->since_us = sim.now_us;
        c->quiet_us = 0;
        c->pinged_us = sim.now_us;
        ask_sync(c);
        sim_send_waiting(c);
        break;
    case SYNC:
        if (ok->sync)
            on_sync(c, r, ok->sync);
        break;
    case FETCH:
        if (ok->fetch)
            on_page(c, r, ok->fetch);
        break;
    case SEND:
        if (ok->send) /* one place in the union for recall, edit and react as well */
            on_sent(c, r->send, ok->send);
        break;
    case MARK:
        if (r->read > history.marks[sim_user_of(c)][r->conv])
            history.marks[sim_user_of(c)][r->conv] = r->read;
        break;
    case PING:
        sim_say("%s/%s is told cursor %s, has %s", sim_user(sim_user_of(c)), sim_device(c->number), ok->ping->cursor, c->cursor);
        if (strtoull(ok->ping->cursor, NULL, 10) > strtoull(c->cursor, NULL, 10))
            c->sync_wanted = true;
        else if (no_new_work && r->asked_us > calm_us)
            c->quiet_us = sim.now_us;
        break;
    case GROUP:
        sim.totals.groups++;
        c->sync_wanted = true;
        break;
    case FREE:
        break;
    }
}

static void on_error(struct sim_client *c, struct request *r, const Pigeon__Error *e)
{
    if (strcmp(e->code, "internal") == 0)
        sim_fail("an operation of %s ends with internal: %s", sim_user(sim_user_of(c)), e->text);
    if (r->kind == SEND) {
        on_send_error(r->send, e);
    } else if (r->kind == FETCH) {
        struct sim_view *v = view_of(c, r->conv);
        v->fetching = false;
        c->sync_wanted = true;
        if (final_error(e))
            v->member = false; /* until a sync says otherwise */
        else
            v->stale = true;
    } else if (r->kind == SYNC) {
        c->syncing = false;
        c->sync_wanted = true;
    }
}

static void on_frame(struct sim_client *c, const Pigeon__ServerFrame *f)
{
    if (f->what_case == PIGEON__SERVER_FRAME__WHAT_MESSAGE) {
        on_message(c, f->message);
        return;
    }
    if (f->what_case == PIGEON__SERVER_FRAME__WHAT_CHANGED) {
        c->sync_wanted = true;
        return;
    }
    if (!f->id)
        return;
    for (int i = 0; i < REQUESTS; i++) {
        struct request r = c->requests[i];
        if (r.kind == FREE || r.id != f->id)
            continue;
        c->requests[i] = (struct request){0};
        if (f->what_case == PIGEON__SERVER_FRAME__WHAT_OK)
            on_ok(c, &r, f->ok);
        else if (f->what_case == PIGEON__SERVER_FRAME__WHAT_ERROR)
            on_error(c, &r, f->error);
        free(r.acked);
        return;
    }
}

/* ---- the connection ---- */

static void connect_later(struct sim_client *c, uint64_t us);

static void close_sock(struct sim_client *c, bool silently)
{
    if (!c->sock)
        return;
    sim_sock_close(c->sock, silently);
    c->sock = NULL;
    c->state = DOWN;
    c->syncing = false;
    c->quiet_us = 0;
    for (int i = 0; i < REQUESTS; i++) {
        struct request *r = &c->requests[i];
        if (r->kind == SEND)
            r->send->waits = true;
        if (r->kind == FETCH)
            view_of(c, r->conv)->fetching = false;
        request_free(r);
    }
    pgn_buf_clear(&c->in);
    connect_later(c, 50 * SIM_MS + sim_rand(2 * SIM_S));
}

void sim_client_closed(struct sim_client *c, struct sim_sock *s)
{
    if (c->sock == s)
        close_sock(c, false);
}

static struct sim_proc *some_gateway(void)
{
    struct sim_proc *all[SIM_PROCS_MAX];
    size_t count = 0;
    for (int i = 0; i < sim.procs_count; i++)
        if (sim.procs[i].kind == SIM_GATEWAY && sim.procs[i].up)
            all[count++] = &sim.procs[i];
    return count ? all[sim_rand(count)] : NULL;
}

static void on_connect(void *ctx, uint64_t arg)
{
    static const char upgrade[] = "GET /v1/ws HTTP/1.1\r\nHost: sim\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
                                  "Sec-WebSocket-Protocol: pigeon.v1.proto\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n";
    struct sim_client *c = ctx;
    struct sim_proc *gateway = some_gateway();
    (void)arg;
    if (c->sock)
        return;
    c->sock = gateway ? sim_sock_open(gateway, c) : NULL;
    if (!c->sock) {
        connect_later(c, 200 * SIM_MS + sim_rand(SIM_S));
        return;
    }
    c->state = UPGRADING;
    c->since_us = sim.now_us;
    c->connection++;
    sim_sock_send(c->sock, upgrade, sizeof upgrade - 1);
}

static void connect_later(struct sim_client *c, uint64_t us)
{
    sim_at(sim.now_us + us, on_connect, c, 0);
}

static void greet(struct sim_client *c)
{
    struct request *r = sim_request_new(c, HELLO);
    Pigeon__ClientFrame f = PIGEON__CLIENT_FRAME__INIT;
    Pigeon__Hello hello = PIGEON__HELLO__INIT;
    hello.token = sim_chars(sim_client_token(c->number));
    hello.device = sim_chars(sim_device(c->number));
    hello.cursor = c->cursor;
    f.op_case = PIGEON__CLIENT_FRAME__OP_HELLO;
    f.hello = &hello;
    c->state = GREETING;
    c->since_us = sim.now_us;
    sim_request_send(c, r, &f);
}

/* One frame of the server's; 0: not whole yet. */
static size_t take_frame(struct sim_client *c, const uint8_t *d, size_t len)
{
    if (len < 2)
        return 0;
    size_t head = 2, body = d[1] & 0x7f;
    if (body == 126) {
        if (len < 4)
            return 0;
        head = 4;
        body = (size_t)d[2] << 8 | d[3];
    } else if (body == 127) {
        if (len < 10)
            return 0;
        head = 10;
        body = (size_t)d[6] << 24 | (size_t)d[7] << 16 | (size_t)d[8] << 8 | d[9];
    }
    if (len < head + body)
        return 0;
    unsigned opcode = d[0] & 0xf;
    if (opcode == 9) {
        send_frame(c, 10, d + head, body);
    } else if (opcode == 8) {
        sim_client_closed(c, c->sock);
    } else if (opcode == 2) {
        Pigeon__ServerFrame *f = PGN_PB_UNPACK(Pigeon__ServerFrame, pigeon__server_frame, arena, d + head, body);
        if (f)
            on_frame(c, f);
        else
            sim_fail("a client got a frame that it cannot decode");
        pgn_arena_reset(arena);
    }
    return head + body;
}

void sim_client_data(struct sim_client *c, struct sim_sock *s, const uint8_t *data, size_t len)
{
    struct pgn_buf in;
    size_t at = 0, n;
    if (c->sock != s)
        return;
    pgn_buf_append(&c->in, data, len);
    in = c->in; /* what is handled may close the connection, and a new one begins empty */
    c->in = (struct pgn_buf){0};
    if (c->state == UPGRADING) {
        const uint8_t *end = memmem(in.data, in.len, "\r\n\r\n", 4);
        if (end && strncmp((const char *)in.data, "HTTP/1.1 101", 12) == 0) {
            at = (size_t)(end - in.data) + 4;
            greet(c);
        }
    }
    while (c->sock == s && c->state > UPGRADING && (n = take_frame(c, in.data + at, in.len - at)) > 0)
        at += n;
    if (c->sock == s && at < in.len)
        pgn_buf_append(&c->in, in.data + at, in.len - at);
    pgn_buf_release(&in);
}

void sim_client_cut(int number, bool silently)
{
    close_sock(&clients[number], silently);
}

static void read_again(void *ctx, uint64_t arg)
{
    struct sim_client *c = ctx;
    if (c->sock && c->connection == arg)
        sim_sock_read(c->sock, true);
}

void sim_client_slow(int number, uint64_t for_us)
{
    struct sim_client *c = &clients[number];
    if (!c->sock)
        return;
    sim_sock_read(c->sock, false);
    sim_at(sim.now_us + for_us, read_again, c, c->connection);
}

/* ---- time ---- */

static bool waits_too_long(const struct sim_client *c)
{
    if (c->state != LIVE)
        return c->sock && sim.now_us - c->since_us > HELLO_US;
    for (int i = 0; i < REQUESTS; i++)
        if (c->requests[i].kind != FREE && sim.now_us - c->requests[i].asked_us > ANSWER_US)
            return true;
    return false;
}

static void look_after(struct sim_client *c)
{
    sim_send_waiting(c);
    if (c->sync_wanted && !c->syncing)
        ask_sync(c);
    if (sim.now_us - c->pinged_us >= PING_US)
        ask_ping(c);
    for (int i = 0; i < history.convs_count; i++) {
        struct sim_view *v = &history.views[c->number][i];
        if (v->known && v->member && !v->fetching && v->top > v->have)
            advance(c, i);
    }
}

static void on_tick(void *ctx, uint64_t arg)
{
    struct sim_client *c = ctx;
    (void)arg;
    sim_at(sim.now_us + TICK_US / 2 + sim_rand(TICK_US), on_tick, c, 0);
    if (waits_too_long(c)) {
        sim_say("%s/%s gives its connection up", sim_user(sim_user_of(c)), sim_device(c->number));
        close_sock(c, sim_rand(2));
        return;
    }
    if (c->state != LIVE)
        return;
    look_after(c);
    if (!no_new_work && !c->syncing && sim_rand(2))
        sim_client_act(c);
}

void sim_clients_start(void)
{
    arena = pgn_arena_new(16384);
    for (int i = 0; i < SIM_CLIENTS; i++) {
        clients[i].number = i;
        connect_later(&clients[i], sim_rand(SIM_S));
        sim_at(sim.now_us + sim_rand(TICK_US), on_tick, &clients[i], 0);
    }
}

void sim_clients_calm(void)
{
    no_new_work = true;
    calm_us = sim.now_us;
    for (int i = 0; i < SIM_CLIENTS; i++)
        clients[i].quiet_us = 0;
}

static bool settled(const struct sim_client *c)
{
    if (c->state != LIVE || c->sync_wanted || !c->quiet_us || sim_open_sends(c))
        return false;
    for (int i = 0; i < REQUESTS; i++)
        if (c->requests[i].kind != FREE && c->requests[i].kind != PING)
            return false;
    return true;
}

bool sim_clients_settled(void)
{
    for (int i = 0; i < SIM_CLIENTS; i++)
        if (!settled(&clients[i]))
            return false;
    return true;
}
