/*
 * A random history on every store, compared with a naive model after each commit: numbers, retries, watermarks, unread counts,
 * recalls, members, and what sync tells somebody who follows it. The seed is printed; PIGEON_SEED repeats it.
 */
#include "tests/conformance/support/store_kit.h"

#include "common/base/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { USERS = 6, CONVS = 12, MESSAGES_MAX = 4000, BATCH = 8, IDS_MAX = 8000 };

struct message {
    int from;
    bool operation, recalled;
    char text[24];
};
struct conv {
    const char *id;
    bool group;
    int users[2];
    bool member[USERS];
    uint64_t first[USERS], read[USERS], version;
    size_t count;
    struct message all[MESSAGES_MAX];
};
struct sent {
    int conv, user;
    uint64_t seq;
    char id[24];
};
struct model {
    struct kit *k;
    struct conv *conv;
    struct sent *sent;
    size_t sent_count;
    uint64_t next_id;
    char cursor[USERS][24];
    uint64_t synced[USERS][CONVS];
};

static char user_name[USERS][16];

static bool is_member(const struct conv *c, int user)
{
    return c->member[user];
}

static void unread_check(struct model *m, int user, size_t conv)
{
    const struct conv *c = &m->conv[conv];
    Pigeon__ConvState *s = kit_state(m->k, user_name[user], c->id);
    uint64_t unread = 0;

    if (!is_member(c, user) || c->count == 0) {
        assert_true(s == NULL || s->gone);
        return;
    }
    assert_non_null(s);
    for (uint64_t seq = c->read[user] + 1; seq <= c->count; seq++)
        unread += !c->all[seq - 1].operation;
    assert_int_equal(s->last_seq, c->count);
    assert_int_equal(s->read_seq, c->read[user]);
    assert_int_equal(s->unread, unread);
    if (c->group)
        assert_int_equal(s->version, c->version);
}

static void history_check(struct model *m, size_t conv)
{
    const struct conv *c = &m->conv[conv];
    uint64_t seq = 0;

    for (bool more = c->count > 0; more;) {
        Pigeon__Page *page = kit_fetch(m->k, c->id, seq, seq ? 0 : 2, 200, 1);

        if (seq == 0) { /* `after` 0 means the newest: the first page is asked for with before */
            assert_int_equal(page->n_messages, 1);
            more = c->count > 1;
        } else {
            more = page->more;
        }
        for (size_t i = 0; i < page->n_messages; i++) {
            const Pigeon__Message *got = page->messages[i];
            const struct message *want = &c->all[seq];

            assert_int_equal(got->seq, ++seq);
            assert_string_equal(got->from, user_name[want->from]);
            assert_int_equal(got->recalled, want->recalled);
            assert_int_equal(got->kind == PIGEON__KIND__operation, want->operation);
            if (!want->operation && !want->recalled)
                assert_string_equal(got->body->text, want->text);
        }
    }
    assert_int_equal(seq, c->count);
}

/* Follows sync with small pages; at the end each conversation was seen at its newest number. */
static void sync_check(struct model *m, int user)
{
    for (bool more = true; more;) {
        Pigeon__SyncPage *page = kit_sync(m->k, user_name[user], m->cursor[user], 3);

        for (size_t i = 0; i < page->n_convs; i++)
            for (size_t c = 0; c < CONVS; c++)
                if (strcmp(m->conv[c].id, page->convs[i]->conv) == 0)
                    m->synced[user][c] = page->convs[i]->last_seq;
        snprintf(m->cursor[user], sizeof m->cursor[user], "%s", page->cursor);
        more = page->more;
    }
    for (size_t c = 0; c < CONVS; c++)
        if (is_member(&m->conv[c], user))
            assert_int_equal(m->synced[user][c], m->conv[c].count);
}

/* ---- steps ---- */

struct planned {
    enum { SEND, RETRY, MARK, RECALL, JOIN, LEAVE } what;
    int user;
    size_t conv;
    uint64_t seq;
    size_t sent; /* retry: which */
    char id[24], text[24];
};

static struct message *add(struct conv *c, int from, bool operation, const char *text)
{
    struct message *msg = &c->all[c->count++];

    *msg = (struct message){.from = from, .operation = operation};
    snprintf(msg->text, sizeof msg->text, "%s", text);
    return msg;
}

static void send_apply(struct model *m, const struct planned *p, size_t i, bool operation)
{
    struct conv *c = &m->conv[p->conv];
    const Pigeon__ItemResult *r = &m->k->results[i];

    add(c, p->user, operation, p->text);
    c->read[p->user] = c->count;
    assert_int_equal(r->error, 0);
    assert_int_equal(r->sent->seq, c->count);
    assert_true(m->sent_count < IDS_MAX);
    struct sent *s = &m->sent[m->sent_count++];
    *s = (struct sent){(int)p->conv, p->user, c->count, ""};
    memcpy(s->id, p->id, sizeof s->id);
}

/* What the model expects of the item that was committed; in the order of the batch. */
static void apply(struct model *m, const struct planned *p, size_t i)
{
    struct conv *c = &m->conv[p->conv];
    const Pigeon__ItemResult *r = &m->k->results[i];

    switch (p->what) {
    case SEND:
        send_apply(m, p, i, false);
        break;
    case RETRY:
        assert_int_equal(r->error, 0);
        assert_int_equal(r->sent->seq, m->sent[p->sent].seq);
        break;
    case MARK:
        assert_int_equal(r->error, 0);
        if (p->seq > c->read[p->user])
            c->read[p->user] = p->seq < c->count ? p->seq : c->count;
        break;
    case RECALL: {
        struct message *target = p->seq <= c->count ? &c->all[p->seq - 1] : NULL;

        if (!target || p->seq < c->first[p->user]) {
            assert_int_equal(r->error, PGN_E_NOT_FOUND);
        } else if (target->operation) {
            assert_int_equal(r->error, PGN_E_INVALID);
        } else if (target->recalled) {
            assert_int_equal(r->error, PGN_E_CONFLICT);
        } else {
            target->recalled = true;
            send_apply(m, p, i, true);
        }
        break;
    }
    case JOIN:
    case LEAVE:
        assert_int_equal(r->error, 0);
        c->version++;
        if (p->what == JOIN) {
            c->member[p->user] = true;
            c->first[p->user] = c->count + 1;
        }
        add(c, p->user, true, "");
        c->read[p->user] = c->count;
        if (p->what == LEAVE)
            c->member[p->user] = false;
        break;
    }
}

static void plan_group_change(struct model *m, struct planned *p)
{
    Pigeon__GroupChange *change;
    struct conv *c = &m->conv[p->conv];
    bool leave = is_member(c, p->user);

    p->what = leave ? LEAVE : JOIN;
    change = kit_change(m->k, user_name[p->user], c->id, c->version, leave ? PIGEON__OP__left : PIGEON__OP__joined, p->id);
    kit_member(m->k, change, user_name[p->user], PIGEON__ROLE__member, leave);
}

static bool plan(struct model *m, struct planned *p)
{
    struct conv *c;

    p->conv = pgn_random_below(CONVS);
    p->user = (int)pgn_random_below(USERS);
    c = &m->conv[p->conv];
    if (c->count + 2 * BATCH > MESSAGES_MAX)
        return false;
    snprintf(p->id, sizeof p->id, "id%llu", (unsigned long long)m->next_id);
    snprintf(p->text, sizeof p->text, "text %llu", (unsigned long long)m->next_id++);
    if (m->sent_count && pgn_random_below(8) == 0) {
        p->what = RETRY;
        p->sent = pgn_random_below(m->sent_count);
        p->conv = (size_t)m->sent[p->sent].conv;
        p->user = m->sent[p->sent].user;
        kit_text(m->k, user_name[p->user], m->conv[p->conv].id, 12345, m->sent[p->sent].id, "again");
        return true;
    }
    if (!is_member(c, p->user))
        return false;
    if (c->count && pgn_random_below(4) == 0) {
        p->what = MARK;
        p->seq = pgn_random_below(c->count + 3);
        kit_mark(m->k, user_name[p->user], c->id, p->seq, 0);
        return true;
    }
    if (c->count && pgn_random_below(8) == 0) {
        p->what = RECALL;
        p->seq = 1 + pgn_random_below(c->count + 1);
        kit_operation(m->k, user_name[p->user], c->id, PIGEON__OP__recall, p->seq, p->id);
        return true;
    }
    p->what = SEND;
    kit_text(m->k, user_name[p->user], c->id, c->group ? c->version : 0, p->id, p->text);
    return true;
}

static void step(struct model *m)
{
    struct planned planned[BATCH];
    size_t count = 0;

    if (pgn_random_below(10) == 0) { /* alone: it changes the version */
        planned[0].conv = pgn_random_below(CONVS / 2) * 2 + 1;
        planned[0].user = 1 + (int)pgn_random_below(USERS - 1);
        snprintf(planned[0].id, sizeof planned[0].id, "id%llu", (unsigned long long)m->next_id++);
        plan_group_change(m, &planned[0]);
        count = 1;
    } else {
        for (size_t i = 0; i < BATCH; i++)
            count += plan(m, &planned[count]);
    }
    assert_int_equal(kit_commit(m->k), 0);
    for (size_t i = 0; i < count; i++)
        apply(m, &planned[i], i);
}

static void model_make(struct model *m)
{
    m->conv = pgn_calloc(CONVS, sizeof *m->conv);
    m->sent = pgn_calloc(IDS_MAX, sizeof *m->sent);
    for (int i = 0; i < USERS; i++) {
        snprintf(user_name[i], sizeof user_name[i], "u%d", i);
        kit_users(m->k, user_name[i], NULL);
    }
    for (int i = 0; i < CONVS; i++) {
        struct conv *c = &m->conv[i];

        c->group = i % 2 == 1;
        c->users[0] = i / 2 % USERS;
        c->users[1] = (i / 2 + 1) % USERS;
        if (c->group) {
            c->id = pgn_strdup(kit_group(m->k, user_name[0], user_name[1], NULL));
            c->version = 1;
            add(c, 0, true, "");
            c->member[0] = c->member[1] = true;
            c->first[0] = c->first[1] = 1;
            c->read[0] = 1;
        } else {
            c->id = pgn_strdup(kit_direct(m->k, user_name[c->users[0]], user_name[c->users[1]]));
            c->member[c->users[0]] = c->member[c->users[1]] = true;
        }
    }
}

static void a_random_history(void **state)
{
    const char *given = getenv("PIGEON_SEED");
    struct model m = {.k = kit_of(state)};
    uint64_t seed;

    pgn_random(&seed, sizeof seed);
    seed = given ? strtoull(given, NULL, 0) : seed;
    print_message("PIGEON_SEED=%llu\n", (unsigned long long)seed);
    pgn_random_seed_for_tests(seed);
    model_make(&m);
    int part = kit_slow() ? 10 : 150;
    for (int i = 0; i < 4 * part; i++) {
        int user = (int)pgn_random_below(USERS);

        step(&m);
        for (size_t c = 0; c < CONVS && i % 10 == 0; c++)
            unread_check(&m, user, c);
        sync_check(&m, user);
        if (i % part == part - 1) {
            for (size_t c = 0; c < CONVS; c++)
                history_check(&m, c);
            if (kit_durable())
                kit_reopen(m.k);
            assert_int_equal(m.k->store->notes.len, 0); /* nothing was set aside */
        }
        kit_clear(m.k);
    }
    for (int i = 0; i < CONVS; i++)
        free((void *)(uintptr_t)m.conv[i].id);
    free(m.conv);
    free(m.sent);
}

int main(void)
{
    static const struct CMUnitTest random_history[] = {KIT_TEST(a_random_history)};

    KIT_RUN(random_history);
}
