/* Batches: form, conversation ids, refusals, the commit that storage gets; and what an item costs. */
#include "tests/unit/common/test.h"

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/id.h"
#include "services/message/msg_batch.h"
#include "services/message/msg_check.h"

#define GROUP "cabcdefghijklmnop"
enum { NOW = 1000, ITEMS = 512 };

static const struct msg_batch_limits limits = {1000};
static struct pgn_arena *arena;

static char *dup(const char *s)
{
    return pgn_arena_strdup(arena, s);
}

static void *zeroed(size_t bytes)
{
    return memset(pgn_arena_alloc(arena, bytes), 0, bytes);
}

static Pigeon__BatchItem *item(uint32_t index, const char *user)
{
    Pigeon__BatchItem *i = zeroed(sizeof *i);
    pigeon__batch_item__init(i);
    i->index = index;
    i->user = dup(user);
    i->device = dup("web");
    i->client_id = dup("op-1");
    return i;
}

static Pigeon__BatchItem *send_to(uint32_t index, const char *user, const char *to, const char *text)
{
    Pigeon__BatchItem *i = item(index, user);
    Pigeon__Send *s = zeroed(sizeof *s);
    pigeon__send__init(s);
    s->to = zeroed(sizeof *s->to);
    pigeon__target__init(s->to);
    s->to->to_case = to[0] == 'c' || to[1] == ':' ? PIGEON__TARGET__TO_CONV : PIGEON__TARGET__TO_USER;
    s->to->user = dup(to);
    s->client_id = dup("id-1");
    s->body = zeroed(sizeof *s->body);
    pigeon__body__init(s->body);
    s->body->text = dup(text);
    i->what_case = PIGEON__BATCH_ITEM__WHAT_SEND;
    i->send = s;
    return i;
}

static Pigeon__BatchItem *mark(uint32_t index, const char *user, const char *conv)
{
    Pigeon__BatchItem *i = item(index, user);
    i->what_case = PIGEON__BATCH_ITEM__WHAT_MARK;
    i->mark = zeroed(sizeof *i->mark);
    pigeon__mark__init(i->mark);
    i->mark->conv = dup(conv);
    i->mark->read = 3;
    return i;
}

static struct msg_batch prepare(Pigeon__BatchItem **items, size_t count)
{
    Pigeon__Batch batch = PIGEON__BATCH__INIT;
    struct msg_batch b = {.arena = arena};
    struct pgn_buf packed = {0};
    batch.batch = 77;
    batch.items = items;
    batch.n_items = count;
    pgn_pb_pack(&batch, &packed);
    assert_true(msg_batch_prepare(&b, packed.data, packed.len, &limits));
    pgn_buf_release(&packed);
    return b;
}

/* Gives every good item a policy: a direct one of the users, or a group of alice, bob and `more` others. */
static void give_policies(struct msg_batch *b, size_t more)
{
    for (size_t i = 0; i < b->count; i++) {
        struct msg_item *m = &b->items[i];
        Pigeon__Policy from = PIGEON__POLICY__INIT;
        if (m->error)
            continue;
        bool direct = pgn_conv_is_direct(m->conv);
        char a[33], c[33];
        size_t count = direct ? 2 : 2 + more;
        Pigeon__PolicyMember *rows = zeroed(count * sizeof *rows), **list = zeroed(count * sizeof *list);
        if (direct)
            assert_true(pgn_conv_users(m->conv, a, c));
        for (size_t k = 0; k < count; k++) {
            char name[40];
            snprintf(name, sizeof name, "u%zu", k);
            pigeon__policy_member__init(&rows[k]);
            rows[k].role = PIGEON__ROLE__member;
            rows[k].user = dup(k == 0 ? (direct ? a : "alice") : k == 1 ? (direct ? c : "bob") : name);
            list[k] = &rows[k];
        }
        from.conv = dup(m->conv);
        from.found = true;
        from.kind = direct ? PIGEON__CONV_KIND__direct : PIGEON__CONV_KIND__group;
        from.version = 5;
        from.members = list;
        from.n_members = count;
        m->want.policy = msg_policy_new(&from);
        assert_non_null(m->want.policy);
    }
}

static int setup(void **state)
{
    (void)state;
    arena = pgn_arena_new(65536);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    pgn_arena_free(&arena);
    return 0;
}

static void test_a_direct_send(void **state)
{
    Pigeon__BatchItem *items[] = {send_to(9, "bob", "alice", "hi")};
    struct msg_batch b = prepare(items, 1);
    (void)state;
    assert_string_equal(b.items[0].conv, "d:alice:bob");
    give_policies(&b, 0);
    msg_batch_decide(&b, NOW);
    assert_null(msg_batch_refusals(&b));
    Pigeon__CommitBatch *c = msg_batch_commit(&b, 1);
    assert_int_equal(c->batch, 77);
    assert_int_equal(c->n_items, 1);
    assert_int_equal(c->items[0]->index, 9);
    assert_int_equal(c->items[0]->version, 5);
    assert_string_equal(c->items[0]->user, "bob");
    assert_true(c->items[0]->append->create_direct);
    assert_int_equal(c->items[0]->append->kind, PIGEON__KIND__text);
    assert_string_equal(c->items[0]->append->body->text, "hi");
    assert_int_equal(c->n_subjects, 2);
    assert_string_equal(c->subjects[c->items[0]->subjects[0]], "user.alice");
    assert_string_equal(c->subjects[c->items[0]->subjects[1]], "user.bob");
    msg_batch_release(&b);
}

static void test_subjects_are_shared(void **state)
{
    Pigeon__BatchItem *items[] = {send_to(1, "alice", GROUP, "a"), send_to(2, "bob", GROUP, "b"), send_to(3, "alice", "bob", "c"),
                                  send_to(4, "alice", "alice", "note")};
    struct msg_batch b = prepare(items, 4);
    (void)state;
    give_policies(&b, 0);
    msg_batch_decide(&b, NOW);
    Pigeon__CommitBatch *c = msg_batch_commit(&b, 4);
    assert_int_equal(c->n_items, 4);
    assert_int_equal(c->n_subjects, 3);
    assert_string_equal(c->subjects[c->items[0]->subjects[0]], "conv." GROUP);
    assert_int_equal(c->items[0]->subjects[0], c->items[1]->subjects[0]);
    assert_int_equal(c->items[3]->n_subjects, 1);
    msg_batch_release(&b);
}

static void test_marks_of_large_groups_stay_at_home(void **state)
{
    Pigeon__BatchItem *items[] = {mark(1, "alice", GROUP)};
    struct msg_batch b = prepare(items, 1);
    (void)state;
    give_policies(&b, 98);
    msg_batch_decide(&b, NOW);
    Pigeon__CommitBatch *c = msg_batch_commit(&b, 1);
    assert_string_equal(c->subjects[c->items[0]->subjects[0]], "conv." GROUP);
    msg_batch_release(&b);
    b = prepare(items, 1);
    give_policies(&b, 99);
    msg_batch_decide(&b, NOW);
    c = msg_batch_commit(&b, 1);
    assert_string_equal(c->subjects[c->items[0]->subjects[0]], "user.alice");
    msg_batch_release(&b);
}

static void test_refusals_and_the_rest(void **state)
{
    Pigeon__BatchItem *items[] = {send_to(1, "alice", GROUP, "a"),    send_to(2, "mallory", GROUP, "b"), send_to(3, "alice", GROUP, ""),
                                  send_to(4, "Bad User", GROUP, "x"), mark(5, "alice", "c*.>"),          mark(6, "mallory", GROUP)};
    struct msg_batch b = prepare(items, 6);
    (void)state;
    give_policies(&b, 0);
    msg_batch_decide(&b, NOW);
    Pigeon__BatchResult *r = msg_batch_refusals(&b);
    assert_int_equal(r->batch, 77);
    assert_int_equal(r->n_results, 3);
    assert_int_equal(r->results[0]->index, 3);
    assert_int_equal(r->results[0]->error, PGN_E_INVALID);
    assert_int_equal(r->results[1]->error, PGN_E_UNAUTHENTICATED);
    assert_int_equal(r->results[2]->error, PGN_E_INVALID);
    Pigeon__CommitBatch *c = msg_batch_commit(&b, 6);
    assert_int_equal(c->n_items, 3);
    assert_int_equal(c->items[0]->index, 1);
    assert_null(c->items[0]->refusal);
    assert_int_equal(c->items[1]->index, 2); /* what the rules refuse may be a retry of what they allowed before: storage knows */
    assert_int_equal(c->items[1]->refusal->error, PGN_E_FORBIDDEN);
    assert_string_equal(c->items[1]->refusal->text, "not a member of " GROUP);
    assert_int_equal(c->items[2]->refusal->error, PGN_E_FORBIDDEN);
    msg_batch_release(&b);
}

/* What does not fit is answered, never sent in a second message. */
static void test_what_does_not_fit_goes_again(void **state)
{
    enum { FEW = 7 };
    size_t whole = 0;
    (void)state;
    for (uint64_t most = 0; most < 1500; most += 7) {
        Pigeon__BatchItem *items[FEW];
        struct pgn_buf out = {0};
        size_t busy = 0;
        for (uint32_t i = 0; i < FEW; i++)
            items[i] = send_to(i + 1, "alice", GROUP, i % 3 == 0 ? "" : "some text"); /* each third is refused by its form */
        struct msg_batch b = prepare(items, FEW);
        give_policies(&b, 0);
        msg_batch_decide(&b, NOW);
        assert_true(msg_batch_pack(&b, most, &out));
        Pigeon__CommitBatch *c = pigeon__commit_batch__unpack(NULL, out.len, out.data);
        assert_non_null(c);
        if (most == 0)
            whole = out.len;
        assert_true(most == 0 || c->n_items == 1 || out.len <= most);
        for (size_t i = 0; i < FEW; i++)
            busy += b.items[i].error == PGN_E_BUSY;
        assert_int_equal(c->n_items + busy, 4);
        for (size_t i = 0, k = 0; i < FEW; i++) { /* the first ones, in order */
            if (i % 3 == 0)
                assert_int_equal(b.items[i].error, PGN_E_INVALID);
            else if (k < c->n_items)
                assert_int_equal(c->items[k++]->index, i + 1);
            else
                assert_int_equal(b.items[i].error, PGN_E_BUSY);
        }
        assert_int_equal(busy == 0, most == 0 || most >= whole);
        pigeon__commit_batch__free_unpacked(c, NULL);
        pgn_buf_release(&out);
        msg_batch_release(&b);
    }
}

static void test_operations(void **state)
{
    Pigeon__BatchItem *items[] = {item(1, "alice"), item(2, "alice"), item(3, "alice")};
    Pigeon__Body body = PIGEON__BODY__INIT;
    (void)state;
    body.text = dup("new");
    items[0]->what_case = PIGEON__BATCH_ITEM__WHAT_RECALL;
    items[0]->recall = zeroed(sizeof(Pigeon__Recall));
    pigeon__recall__init(items[0]->recall);
    items[0]->recall->conv = dup(GROUP);
    items[0]->recall->seq = 4;
    items[1]->what_case = PIGEON__BATCH_ITEM__WHAT_EDIT;
    items[1]->edit = zeroed(sizeof(Pigeon__Edit));
    pigeon__edit__init(items[1]->edit);
    items[1]->edit->conv = dup(GROUP);
    items[1]->edit->seq = 5;
    items[1]->edit->body = &body;
    items[2]->what_case = PIGEON__BATCH_ITEM__WHAT_REACT;
    items[2]->react = zeroed(sizeof(Pigeon__React));
    pigeon__react__init(items[2]->react);
    items[2]->react->conv = dup(GROUP);
    items[2]->react->seq = 6;
    items[2]->react->emoji = dup("+1");
    items[2]->react->on = true;
    struct msg_batch b = prepare(items, 3);
    give_policies(&b, 0);
    msg_batch_decide(&b, NOW);
    Pigeon__CommitBatch *c = msg_batch_commit(&b, 3);
    assert_int_equal(c->n_items, 3);
    assert_int_equal(c->items[0]->append->operation->op, PIGEON__OP__recall);
    assert_true(c->items[0]->append->own_target);
    assert_string_equal(c->items[0]->append->client_id, "op-1");
    assert_string_equal(c->items[1]->append->operation->body->text, "new");
    assert_true(c->items[1]->append->own_target);
    assert_int_equal(c->items[2]->append->operation->seq, 6);
    assert_false(c->items[2]->append->own_target);
    assert_int_equal(c->items[2]->append->kind, PIGEON__KIND__operation);
    msg_batch_release(&b);
}

static void check_body_is(Pigeon__Body *body, Pigeon__Kind kind, int expected)
{
    const char *text = NULL;
    int e = msg_check_body(body, kind, 1000, &text);
    assert_int_equal(e, expected);
    assert_true(e == 0 || text);
}

static void test_bodies(void **state)
{
    Pigeon__Body b = PIGEON__BODY__INIT;
    Pigeon__File file = PIGEON__FILE__INIT;
    Pigeon__Location place = PIGEON__LOCATION__INIT;
    Pigeon__Operation op = PIGEON__OPERATION__INIT;
    char id[] = "f1", bad[] = "../etc", large[1200];
    (void)state;
    check_body_is(NULL, PIGEON__KIND__text, PGN_E_INVALID);
    check_body_is(&b, PIGEON__KIND__text, PGN_E_INVALID);
    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = 0;
    b.text = large;
    check_body_is(&b, PIGEON__KIND__text, PGN_E_TOO_LARGE);
    b.text = id;
    check_body_is(&b, PIGEON__KIND__text, 0);
    check_body_is(&b, PIGEON__KIND__image, PGN_E_INVALID);
    check_body_is(&b, (Pigeon__Kind)99, PGN_E_INVALID);
    check_body_is(&b, (Pigeon__Kind)-1, PGN_E_INVALID);
    b.operation = &op;
    check_body_is(&b, PIGEON__KIND__text, PGN_E_INVALID);
    b.operation = NULL;
    b.file = &file;
    file.file_id = id;
    check_body_is(&b, PIGEON__KIND__image, 0); /* with a caption */
    check_body_is(&b, PIGEON__KIND__text, PGN_E_INVALID);
    file.file_id = bad;
    check_body_is(&b, PIGEON__KIND__file, PGN_E_INVALID);
    b.file = NULL;
    b.location = &place;
    place.latitude = 52;
    check_body_is(&b, PIGEON__KIND__location, 0);
    place.latitude = 91;
    check_body_is(&b, PIGEON__KIND__location, PGN_E_INVALID);
}

static void test_malformed(void **state)
{
    struct msg_batch b = {.arena = arena};
    (void)state;
    assert_false(msg_batch_prepare(&b, "\xff\xff\xff", 3, &limits));
    Pigeon__BatchItem *items[] = {item(1, "alice")}; /* no operation */
    b = prepare(items, 1);
    assert_int_equal(b.items[0].error, PGN_E_INVALID);
    b = prepare(items, 0);
    assert_null(msg_batch_commit(&b, 0));
}

/* Not an assertion about machines: printed, and only an absurd figure fails. */
static void test_what_an_item_costs(void **state)
{
    static Pigeon__BatchItem *items[ITEMS];
    Pigeon__Batch batch = PIGEON__BATCH__INIT;
    struct pgn_buf packed = {0}, out = {0};
    (void)state;
    for (uint32_t i = 0; i < ITEMS; i++) {
        char user[20];
        snprintf(user, sizeof user, "user%u", i);
        items[i] = send_to(i, user, "bob", "a message of the usual length, some sixty characters or so");
    }
    batch.items = items;
    batch.n_items = ITEMS;
    pgn_pb_pack(&batch, &packed);
    struct msg_batch given = prepare(items, ITEMS);
    give_policies(&given, 0);
    struct pgn_arena *own = pgn_arena_new(65536);
    enum { ROUNDS = 20 };
    uint64_t begin = pgn_mono_us();
    for (int round = 0; round < ROUNDS; round++) {
        struct msg_batch b = {.arena = own};
        assert_true(msg_batch_prepare(&b, packed.data, packed.len, &limits));
        for (size_t i = 0; i < b.count; i++) {
            b.items[i].want.policy = given.items[i].want.policy;
            msg_policy_ref(b.items[i].want.policy);
        }
        msg_batch_decide(&b, NOW);
        Pigeon__CommitBatch *c = msg_batch_commit(&b, b.count);
        assert_int_equal(c->n_items, ITEMS);
        pgn_buf_clear(&out);
        pgn_pb_pack(c, &out);
        msg_batch_release(&b);
        pgn_arena_reset(own);
    }
    uint64_t us = pgn_mono_us() - begin;
    printf("%.2f us an item\n", (double)us / (ROUNDS * ITEMS));
    assert_true(us < 500ull * ROUNDS * ITEMS);
    msg_batch_release(&given);
    pgn_arena_free(&own);
    pgn_buf_release(&packed);
    pgn_buf_release(&out);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_a_direct_send),
        T(test_subjects_are_shared),
        T(test_marks_of_large_groups_stay_at_home),
        T(test_refusals_and_the_rest),
        T(test_what_does_not_fit_goes_again),
        T(test_operations),
        T(test_bodies),
        T(test_malformed),
        T(test_what_an_item_costs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
