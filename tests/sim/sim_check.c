/*
 * The promises, checked against what is stored when all is calm: the log of each conversation is the truth that the histories
 * of the clients are held against. (What must hold at once is checked where it happens, in sim_client.c.)
 */
#include "tests/sim/sim.h"

#include "common/base/alloc.h"
#include "common/base/error.h"
#include "services/storage/rows.h"
#include "services/storage/store_parts.h"
#include "tests/sim/sim_history.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { SPANS = 64, READ_GRACE_US = 5 * SIM_S, LOSS_GRACE_US = 15 * SIM_S, STORE_GRACE_US = SIM_S, NOBODY = -1 };

/* A user's time in a conversation, by numbers. */
struct span {
    uint64_t first, last; /* last UINT64_MAX: still there */
};
struct truth {
    int conv; /* of history */
    uint64_t num, count;
    Pigeon__Message **log; /* from 1 */
    struct span spans[SIM_USERS][SPANS];
    int spans_count[SIM_USERS];
    bool history;
};

static struct sto_store *store;
static struct pgn_arena *arena;
static struct truth truths[HISTORY_CONVS];
static int truths_count;

static const char *name_of(const struct truth *t)
{
    return history.convs[t->conv].id;
}

static Pigeon__Reply *ask(Pigeon__ConvRequest *request)
{
    Pigeon__Reply *reply = pgn_arena_alloc(arena, sizeof *reply);
    pigeon__reply__init(reply);
    int error = store->ops->read(store, request, 0, arena, reply);
    if (error)
        sim_fail("a read at the end fails: %d %s", error, reply->text);
    return error ? NULL : reply;
}

/* ---- the log ---- */

static void load_log(struct truth *t)
{
    uint64_t before = 0;
    t->log = pgn_calloc(HISTORY_SEQS, sizeof(Pigeon__Message *));
    for (bool more = true; more;) {
        Pigeon__ConvRequest request = PIGEON__CONV_REQUEST__INIT;
        Pigeon__FetchConv fetch = PIGEON__FETCH_CONV__INIT;
        Pigeon__Fetch what = PIGEON__FETCH__INIT;
        what.conv = history.convs[t->conv].id;
        what.limit = 200;
        what.before = before;
        fetch.fetch = &what;
        request.what_case = PIGEON__CONV_REQUEST__WHAT_FETCH;
        request.fetch = &fetch;
        Pigeon__Reply *reply = ask(&request);
        more = reply && reply->ok->fetch->more && reply->ok->fetch->n_messages;
        for (size_t i = 0; reply && i < reply->ok->fetch->n_messages; i++) {
            Pigeon__Message *m = reply->ok->fetch->messages[i];
            if (m->seq == 0 || m->seq >= HISTORY_SEQS || t->log[m->seq])
                sim_fail("G4 %s holds the number %" PRIu64 " twice, or it has no sense", name_of(t), m->seq);
            else
                t->log[m->seq] = m;
            t->count = m->seq > t->count ? m->seq : t->count;
            before = i == 0 ? m->seq : before;
        }
    }
    for (uint64_t s = 1; s <= t->count; s++)
        if (!t->log[s])
            sim_fail("G4 %s has no number %" PRIu64 " of %" PRIu64, name_of(t), s, t->count);
}

static bool complete(const struct truth *t)
{
    for (uint64_t s = 1; s <= t->count; s++)
        if (!t->log[s])
            return false;
    return true;
}

static void comes(struct truth *t, const char *user, uint64_t seq)
{
    int u = sim_user_number(user), n = u < 0 ? 0 : t->spans_count[u];
    if (u < 0 || n == SPANS || (n && t->spans[u][n - 1].last == UINT64_MAX))
        return;
    t->spans[u][t->spans_count[u]++] = (struct span){t->history ? 1 : seq, UINT64_MAX};
}

static void goes(struct truth *t, const char *user, uint64_t seq)
{
    int u = sim_user_number(user), n = u < 0 ? 0 : t->spans_count[u];
    if (n && t->spans[u][n - 1].last == UINT64_MAX)
        t->spans[u][n - 1].last = seq;
}

static void replay_memberships(struct truth *t)
{
    char a[PGN_USER_MAX + 1], b[PGN_USER_MAX + 1];
    if (pgn_conv_users(name_of(t), a, b)) {
        comes(t, a, 1);
        comes(t, b, 1);
        return;
    }
    for (uint64_t s = 1; s <= t->count; s++) {
        const Pigeon__Message *m = t->log[s];
        const Pigeon__Operation *op = m->kind == PIGEON__KIND__operation && m->body ? m->body->operation : NULL;
        if (!op)
            continue;
        if (op->op == PIGEON__OP__created)
            comes(t, m->from, s);
        for (size_t i = 0; i < op->n_users; i++) {
            if (op->op == PIGEON__OP__created || op->op == PIGEON__OP__invited || op->op == PIGEON__OP__joined)
                comes(t, op->users[i], s);
            else if (op->op == PIGEON__OP__left || op->op == PIGEON__OP__kicked)
                goes(t, op->users[i], s);
        }
    }
}

static bool load_settings(struct truth *t)
{
    Pigeon__ConvRequest request = PIGEON__CONV_REQUEST__INIT;
    Pigeon__PolicyGet get = PIGEON__POLICY_GET__INIT;
    char *conv = history.convs[t->conv].id;
    get.convs = &conv;
    get.n_convs = 1;
    request.what_case = PIGEON__CONV_REQUEST__WHAT_POLICY;
    request.policy = &get;
    Pigeon__Reply *reply = ask(&request);
    if (!reply || reply->policies->n_policies != 1)
        return false;
    const Pigeon__Policy *p = reply->policies->policies[0];
    t->history = p->settings && p->settings->history;
    if (!pgn_conv_is_direct(name_of(t)))
        sim_check_rules(name_of(t), t->log, t->count, p->settings);
    return true;
}

/* The rows of members say the same as the operations in the log. */
static void check_members(const struct truth *t)
{
    Pigeon__ConvRequest request = PIGEON__CONV_REQUEST__INIT;
    Pigeon__Members members = PIGEON__MEMBERS__INIT;
    bool there[SIM_USERS] = {false};
    members.conv = history.convs[t->conv].id;
    request.what_case = PIGEON__CONV_REQUEST__WHAT_MEMBERS;
    request.members = &members;
    Pigeon__Reply *reply = ask(&request);
    for (size_t i = 0; reply && i < reply->ok->members->n_members; i++) {
        int u = sim_user_number(reply->ok->members->members[i]->user);
        if (u >= 0)
            there[u] = true;
    }
    for (int u = 0; u < SIM_USERS; u++) {
        int n = t->spans_count[u];
        bool should = n && t->spans[u][n - 1].last == UINT64_MAX;
        if (should != there[u])
            sim_fail("%s of %s: the log says %d, the members say %d", sim_user(u), name_of(t), should, there[u]);
    }
}

static bool conv_visit(void *ctx, struct sto_slice key, struct sto_slice value)
{
    struct sto_conv_row row;
    char id[PGN_CONV_MAX + 1] = "";
    (void)ctx;
    if (key.len < 2 || key.len > PGN_CONV_MAX || !sto_conv_row_get(value, &row) || truths_count == HISTORY_CONVS)
        return true;
    memcpy(id, (const char *)key.data + 1, key.len - 1);
    struct truth *t = &truths[truths_count];
    t->conv = history_conv(id);
    t->num = row.num;
    truths_count += t->conv >= 0;
    return true;
}

static void load_truths(void)
{
    struct sto_kv *kv = sto_parts_of(store)->kv;
    struct sto_key from = sto_key_conv(""), to = sto_key_after(&from);
    struct sto_view *view = kv->ops->view_begin(kv);
    if (kv->ops->scan(kv, view, STO_CF_MAIN, sto_key_slice(&from), sto_key_slice(&to), false, conv_visit, NULL) != 0)
        sim_fail("the conversations cannot be listed");
    kv->ops->view_end(kv, view);
    for (int i = 0; i < truths_count; i++) {
        load_log(&truths[i]);
        sim.totals.stored += truths[i].count;
        if (!complete(&truths[i]) || !load_settings(&truths[i]))
            continue;
        replay_memberships(&truths[i]);
        check_members(&truths[i]);
    }
}

static struct truth *truth_of(int conv)
{
    for (int i = 0; i < truths_count; i++)
        if (truths[i].conv == conv)
            return &truths[i];
    return NULL;
}

static const Pigeon__Message *stored(int conv, uint64_t seq)
{
    const struct truth *t = truth_of(conv);
    return t && seq && seq <= t->count ? t->log[seq] : NULL;
}

/* ---- G1, G2, G7: sends ---- */

static unsigned times_stored(const struct sim_send *s)
{
    unsigned n = 0;
    for (int i = 0; i < truths_count; i++)
        for (uint64_t q = 1; q <= truths[i].count; q++) {
            const Pigeon__Message *m = truths[i].log[q];
            n += m && strcmp(m->client_id, s->client_id) == 0 && strcmp(m->from, sim_user(s->client / SIM_DEVICES)) == 0 &&
                 strcmp(m->device, sim_device(s->client)) == 0;
        }
    return n;
}

static void check_sends(void)
{
    for (const struct sim_send *s = history.sends; s; s = s->next) {
        const Pigeon__Message *m = s->outcome == SIM_ACKED ? stored(s->conv, s->seq) : NULL;
        unsigned times = times_stored(s);
        const char *conv = history.convs[s->conv].id;
        if (s->outcome == SIM_ACKED && !m)
            sim_fail("G1 send %s was acknowledged as %s %" PRIu64 " and is not there", s->client_id, conv, s->seq);
        else if (m && (strcmp(m->client_id, s->client_id) != 0 || strcmp(m->message_id, s->message_id) != 0))
            sim_fail("G1 send %s was acknowledged as %s %" PRIu64 ", where %s of %s is", s->client_id, conv, s->seq, m->client_id, m->from);
        else if (m && s->what == PIGEON__CLIENT_FRAME__OP_SEND && !m->recalled && !m->edited_at &&
                 (!m->body || strcmp(m->body->text, s->text) != 0))
            sim_fail("G1 send %s was stored with another text", s->client_id);
        if (times > 1)
            sim_fail("G2 send %s is stored %u times", s->client_id, times);
        if (s->outcome == SIM_REFUSED && times)
            sim_fail("G7 send %s was refused (%s) and is stored", s->client_id, s->error);
        if (s->outcome == SIM_OPEN)
            sim_fail("liveness: send %s to %s was never answered (%u tries)", s->client_id, conv, s->tries);
    }
}

/* A client's sends to a conversation, each tried once on the same connection, stand in the order in which it sent them. */
static void check_order(void)
{
    for (int client = 0; client < SIM_CLIENTS; client++)
        for (int conv = 0; conv < history.convs_count; conv++) {
            const struct sim_send *last = NULL;
            for (const struct sim_send *s = history.sends; s; s = s->next) {
                if (s->client != client || s->conv != conv || s->tries != 1 || s->outcome != SIM_ACKED)
                    continue;
                if (last && last->connection == s->connection && (last->order < s->order) != (last->seq < s->seq))
                    sim_fail("G4 %s and %s to %s were sent in this order and stored as %" PRIu64 ", %" PRIu64, last->client_id,
                             s->client_id, history.convs[conv].id, last->seq, s->seq);
                last = s;
            }
        }
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* One retry key, one id: one message. */
static void check_unique(void)
{
    size_t count = 0, at = 0;
    for (int i = 0; i < truths_count; i++)
        count += truths[i].count;
    char **keys = pgn_calloc(2 * count + 1, sizeof *keys);
    for (int i = 0; i < truths_count; i++)
        for (uint64_t s = 1; s <= truths[i].count; s++) {
            const Pigeon__Message *m = truths[i].log[s];
            struct pgn_buf key = {0};
            if (!m)
                continue;
            pgn_buf_printf(&key, "%s/%s/%s", m->from, m->device, m->client_id);
            keys[at++] = pgn_arena_strdup(arena, pgn_buf_cstr(&key));
            keys[at++] = m->message_id;
            pgn_buf_release(&key);
        }
    qsort((void *)keys, at, sizeof *keys, by_text);
    for (size_t i = 1; i < at; i++)
        if (strcmp(keys[i], keys[i - 1]) == 0)
            sim_fail("G2 stored twice: %s", keys[i]);
    free((void *)keys);
}

/* ---- who read what ---- */

static const struct span *span_before(const struct truth *t, int user, uint64_t seq, bool *ret_inside)
{
    const struct span *last = NULL;
    *ret_inside = false;
    for (int i = 0; i < t->spans_count[user]; i++) {
        const struct span *s = &t->spans[user][i];
        if (seq >= s->first && seq <= s->last)
            *ret_inside = true;
        if (s->last < seq)
            last = s;
    }
    return last;
}

static void check_one_seen(const struct sim_seen *s)
{
    const struct truth *t = truth_of(s->conv);
    const Pigeon__Message *m = stored(s->conv, s->seq);
    int user = s->client / SIM_DEVICES;
    bool inside;
    if (!t || !m || strcmp(m->message_id, s->message_id) != 0) {
        sim_fail("G4 %s was shown %s %" PRIu64 " as %s, stored is %s", sim_user(user), history.convs[s->conv].id, s->seq, s->message_id,
                 m ? m->message_id : "nothing");
        return;
    }
    const struct span *left = span_before(t, user, s->seq, &inside);
    if (inside)
        return;
    uint64_t left_us = left ? sim_disk_commit_us(t->num, left->last) : 0;
    if (left && s->how != SIM_PUSH && s->asked_us < left_us + READ_GRACE_US)
        return; /* asked for while he was there, or just not any more */
    if (left && s->how == SIM_PUSH && s->loss_us >= left_us && s->at_us < s->loss_us + LOSS_GRACE_US)
        return; /* the gateway may have missed the news: it asks storage about all sessions now */
    if (left && s->how == SIM_PUSH && s->store_us >= left_us && s->at_us < s->store_us + STORE_GRACE_US)
        return; /* nobody was told: storage died behind the commit; the gateway asks likewise */
    sim_fail("%s read %s %" PRIu64 " (%s) and was no member: %s", sim_user(user), name_of(t), s->seq,
             s->how == SIM_PUSH    ? "pushed"
             : s->how == SIM_FETCH ? "fetched"
                                   : "synced",
             left ? "had left" : "not yet");
}

static void check_seen(void)
{
    for (size_t i = 0; i < history.seen_count; i++)
        check_one_seen(&history.seen[i]);
}

/* ---- in the end all have all ---- */

static void check_view(int client, const struct truth *t)
{
    const struct sim_view *v = &history.views[client][t->conv];
    int user = client / SIM_DEVICES, n = t->spans_count[user];
    const struct span *s = n && t->spans[user][n - 1].last == UINT64_MAX ? &t->spans[user][n - 1] : NULL;
    if (!s) {
        if (v->member)
            sim_fail("G3 %s/%s believes to be in %s", sim_user(user), sim_device(client), name_of(t));
        return;
    }
    if (!v->known || !v->member) {
        sim_fail("G3 %s/%s does not know of %s", sim_user(user), sim_device(client), name_of(t));
        return;
    }
    for (uint64_t q = s->first; q <= t->count; q++)
        if (!v->ids[q][0]) {
            sim_fail("G3 %s/%s never got %s %" PRIu64 " of %" PRIu64 " (has up to %" PRIu64 ")", sim_user(user), sim_device(client),
                     name_of(t), q, t->count, v->have);
            return;
        }
}

/* ---- unread counts ---- */

static void check_counts(int user, const struct truth *t, const Pigeon__ConvState *state)
{
    uint64_t unread = 0, own = 0, most;
    int n = t->spans_count[user];
    for (uint64_t q = 1; q <= t->count; q++) {
        unread += q > state->read_seq && t->log[q]->kind != PIGEON__KIND__operation;
        own = strcmp(t->log[q]->from, sim_user(user)) == 0 ? q : own;
    }
    if (state->last_seq != t->count)
        sim_fail("%s: sync says %" PRIu64 " messages, the log has %" PRIu64, name_of(t), state->last_seq, t->count);
    if (state->unread != unread)
        sim_fail("%s has %" PRIu64 " unread in %s, sync says %" PRIu64, sim_user(user), unread, name_of(t), state->unread);
    uint64_t marked = history.marks[user][t->conv];
    if (state->read_seq < (marked < t->count ? marked : t->count) || state->read_seq < own)
        sim_fail("%s in %s: read up to %" PRIu64 ", but marked %" PRIu64 " and wrote %" PRIu64, sim_user(user), name_of(t), state->read_seq,
                 marked, own);
    most = history.marks_max[user][t->conv] > own ? history.marks_max[user][t->conv] : own;
    for (uint64_t q = 1; n && q <= t->count; q++) { /* who comes has nothing unread */
        const Pigeon__Operation *op = t->log[q]->body ? t->log[q]->body->operation : NULL;
        for (size_t i = 0; op && i < op->n_users; i++)
            if ((op->op == PIGEON__OP__invited || op->op == PIGEON__OP__joined) && sim_user_number(op->users[i]) == user && q - 1 > most)
                most = q - 1;
    }
    if (state->read_seq > most)
        sim_fail("%s in %s: read up to %" PRIu64 " without having said so (%" PRIu64 ")", sim_user(user), name_of(t), state->read_seq,
                 most);
}

static void check_user(int user)
{
    Pigeon__ConvRequest request = PIGEON__CONV_REQUEST__INIT;
    Pigeon__SyncUser in = PIGEON__SYNC_USER__INIT;
    Pigeon__Sync sync = PIGEON__SYNC__INIT;
    bool listed[HISTORY_CONVS] = {false};
    in.user = (char *)(uintptr_t)sim_user(user);
    in.sync = &sync;
    sync.limit = 500;
    request.what_case = PIGEON__CONV_REQUEST__WHAT_SYNC;
    request.sync = &in;
    Pigeon__Reply *reply = ask(&request);
    for (size_t i = 0; reply && i < reply->ok->sync->n_convs; i++) {
        const struct truth *t = truth_of(history_conv(reply->ok->sync->convs[i]->conv));
        if (!t || reply->ok->sync->convs[i]->gone)
            continue;
        listed[t->conv] = true;
        check_counts(user, t, reply->ok->sync->convs[i]);
    }
    for (int i = 0; i < truths_count; i++) {
        const struct truth *t = &truths[i];
        int n = t->spans_count[user];
        if ((n && t->spans[user][n - 1].last == UINT64_MAX) != listed[t->conv])
            sim_fail("%s: sync lists %s: %d", sim_user(user), name_of(t), listed[t->conv]);
    }
}

void sim_check_final(void)
{
    arena = pgn_arena_new(65536);
    store = sim_disk_open();
    load_truths();
    for (int i = 0; i < truths_count; i++)
        if (!complete(&truths[i]))
            return; /* said already; the rest would only repeat it */
    check_sends();
    check_order();
    check_unique();
    check_seen();
    for (int i = 0; i < truths_count; i++)
        for (int client = 0; client < SIM_CLIENTS; client++)
            check_view(client, &truths[i]);
    for (int user = 0; user < SIM_USERS; user++)
        check_user(user);
}
