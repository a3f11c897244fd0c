/* Messages: numbers, retries, versions, order, operations, watermarks, history, sync. On every store. */
#include "tests/conformance/support/store_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void numbers_are_dense(void **state)
{
    struct kit *k = kit_of(state);
    char id[16];

    kit_users(k, "alice", "bob", NULL);
    const char *conv = kit_direct(k, "alice", "bob");
    for (int i = 0; i < 10; i++) {
        snprintf(id, sizeof id, "m%d", i);
        kit_text(k, i % 2 ? "alice" : "bob", conv, 0, id, id);
    }
    assert_int_equal(kit_commit(k), 0);
    for (size_t i = 0; i < 10; i++) {
        assert_int_equal(k->results[i].error, 0);
        assert_int_equal(k->results[i].sent->seq, i + 1);
        assert_string_equal(k->results[i].sent->conv, conv);
        assert_int_equal(strlen(k->results[i].sent->message_id), PGN_ULID_LEN);
    }
    assert_int_equal(kit_send(k, "alice", conv, "later", "x"), 0);
    assert_int_equal(k->results[0].sent->seq, 11);
    assert_int_equal(k->effects.messages, 1);
}

static void order_is_that_of_the_batch(void **state)
{
    struct kit *k = kit_of(state);

    kit_users(k, "alice", "bob", NULL);
    const char *conv = kit_direct(k, "alice", "bob");
    kit_text(k, "alice", conv, 0, "1", "one");
    kit_text(k, "alice", conv, 0, "2", "two");
    assert_int_equal(kit_commit(k), 0);
    Pigeon__Page *page = kit_fetch(k, conv, 0, 0, 50, 1);
    assert_int_equal(page->n_messages, 2);
    assert_string_equal(page->messages[0]->body->text, "one");
    assert_string_equal(page->messages[1]->body->text, "two");
    assert_string_equal(page->messages[0]->from, "alice");
    assert_string_equal(page->messages[0]->conv, conv);
    assert_int_equal(page->messages[1]->seq, 2);
    /* Events: the messages in the same order, with rising commit numbers. */
    Pigeon__Event *first = kit_event(k, 0);
    assert_int_equal(first->what_case, PIGEON__EVENT__WHAT_MESSAGE);
    assert_int_equal(first->message->seq, 1);
    assert_string_equal(first->message->conv, conv);
    assert_string_equal(first->message->client_id, "1");
    assert_true(first->commit > 0);
}

static void a_retry_gets_the_first_answer(void **state)
{
    struct kit *k = kit_of(state);

    kit_users(k, "alice", "bob", NULL);
    const char *conv = kit_direct(k, "alice", "bob");
    kit_text(k, "alice", conv, 0, "same", "first"); /* twice in one commit */
    kit_text(k, "alice", conv, 0, "same", "second");
    kit_text(k, "bob", conv, 0, "same", "another sender");
    assert_int_equal(kit_commit(k), 0);
    assert_int_equal(k->results[0].sent->seq, 1);
    assert_int_equal(k->results[1].sent->seq, 1);
    assert_int_equal(k->results[2].sent->seq, 2);
    assert_string_equal(k->results[0].sent->message_id, k->results[1].sent->message_id);
    assert_int_equal(k->effects.dups, 1);
    char *id = pgn_arena_strdup(k->arena, k->results[0].sent->message_id);
    uint64_t at = k->results[0].sent->sent_at;
    for (int round = 0; round < 2; round++) {
        assert_int_equal(kit_send(k, "alice", conv, "same", "third"), 0);
        assert_int_equal(k->results[0].sent->seq, 1);
        assert_string_equal(k->results[0].sent->message_id, id);
        assert_int_equal(k->results[0].sent->sent_at, at);
        assert_int_equal(k->effects.dups, 1);
        assert_int_equal(k->effects.messages, 0);
        assert_true(k->effects.event_count >= 1); /* published again */
        assert_string_equal(kit_event(k, 0)->message->body->text, "first");
        if (kit_durable())
            kit_reopen(k);
    }
    assert_int_equal(kit_fetch(k, conv, 0, 0, 50, 1)->n_messages, 2);
}

static void a_retry_is_known_before_the_version_is_looked_at(void **state)
{
    struct kit *k = kit_of(state);

    kit_users(k, "alice", "bob", NULL);
    const char *conv = kit_direct(k, "alice", "bob");
    kit_text(k, "alice", conv, 0, "same", "first");
    assert_int_equal(kit_commit(k), 0);
    assert_int_equal(kit_contact(k, "bob", "alice", "block"), 0);
    kit_text(k, "alice", conv, 0, "same", "first");
    kit_text(k, "alice", conv, 0, "new", "second");
    assert_int_equal(kit_commit(k), 0);
    assert_int_equal(k->results[0].error, 0);
    assert_int_equal(k->results[0].sent->seq, 1);
    assert_int_equal(k->results[1].error, PGN_E_STALE);
}

static void a_key_used_for_another_conversation_answers_the_first(void **state)
{
    struct kit *k = kit_of(state);

    kit_users(k, "alice", "bob", "carol", NULL);
    const char *first = kit_direct(k, "alice", "bob"), *second = kit_direct(k, "alice", "carol");
    assert_int_equal(kit_send(k, "alice", first, "same", "x"), 0);
    assert_int_equal(kit_send(k, "alice", second, "same", "y"), 0);
    assert_string_equal(k->results[0].sent->conv, first);
    assert_int_equal(k->effects.event_count, 0); /* nothing for the second's subjects */
}

static void another_version_is_stale(void **state)
{
    struct kit *k = kit_of(state);

    kit_users(k, "alice", "bob", NULL);
    const char *conv = kit_group(k, "alice", "bob", NULL);
    assert_int_equal(kit_version(k, conv), 1);
    kit_text(k, "bob", conv, 7, "1", "x");
    kit_text(k, "bob", conv, 1, "2", "y");
    assert_int_equal(kit_commit(k), 0);
    assert_int_equal(k->results[0].error, PGN_E_STALE);
    assert_int_equal(k->results[0].version, 1);
    assert_int_equal(k->results[1].error, 0);
    assert_int_equal(k->effects.policy_count, 1);
    assert_string_equal(k->effects.policies[0]->conv, conv);
    assert_int_equal(k->effects.policies[0]->version, 1);
}

static void a_refusal_of_another_version_is_stale(void **state)
{
    struct kit *k = kit_of(state);
    Pigeon__ItemResult refusal = PIGEON__ITEM_RESULT__INIT;
    Pigeon__Mark mark = PIGEON__MARK__INIT;
    static const uint64_t versions[] = {7, 1, 0};

    kit_users(k, "alice", "bob", NULL);
    const char *conv = kit_group(k, "alice", "bob", NULL);
    refusal.error = PGN_E_FORBIDDEN;
    for (size_t i = 0; i < PGN_COUNT(versions); i++) {
        Pigeon__CommitItem *item = kit_item(k, "bob", conv, versions[i]);
        item->what_case = PIGEON__COMMIT_ITEM__WHAT_MARK;
        item->mark = &mark;
        item->refusal = &refusal;
    }
    assert_int_equal(kit_commit(k), 0);
    assert_int_equal(k->results[0].error, PGN_E_STALE);
    assert_int_equal(k->effects.policy_count, 1);
    assert_int_equal(k->results[1].error, PGN_E_FORBIDDEN);
    assert_int_equal(k->results[2].error, PGN_E_STALE); /* nothing was known, as before there was a group */
}

static void what_is_not_there_is_refused(void **state)
{
    struct kit *k = kit_of(state);

    kit_users(k, "alice", "bob", "eve", NULL);
    const char *direct = kit_direct(k, "alice", "bob"), *group = kit_group(k, "alice", NULL);
    kit_text(k, "alice", kit_direct(k, "alice", "nobody"), 0, "1", "x");
    kit_text(k, "alice", "caaaaaaaaaaaaaaaa", 0, "2", "x");
    kit_text(k, "alice", direct, 0, "3", "x")->create_direct = false;
    kit_text(k, "eve", direct, 0, "4", "x");
    kit_text(k, "eve", group, 1, "5", "x");
    kit_text(k, "alice", direct, 0, "", "x");
    kit_text(k, "alice", "no conversation", 0, "6", "x");
    kit_text(k, "ALICE", direct, 0, "7", "x");
    kit_item(k, "alice", direct, 0); /* nothing in it */
    kit_text(k, "alice", direct, 0, "8", "x");
    static uint32_t wrong[] = {9};
    k->items[9]->subjects = wrong;
    assert_int_equal(kit_commit(k), 0);
    static const int expected[] = {PGN_E_NOT_FOUND, PGN_E_NOT_FOUND, PGN_E_NOT_FOUND, PGN_E_FORBIDDEN, PGN_E_FORBIDDEN,
                                   PGN_E_INVALID,   PGN_E_INVALID,   PGN_E_INVALID,   PGN_E_INVALID,   PGN_E_INVALID};
    for (size_t i = 0; i < PGN_COUNT(expected); i++)
        assert_int_equal(k->results[i].error, expected[i]);
    assert_int_equal(k->effects.messages, 0);
    assert_false(kit_policy(k, direct)->stored);
}

static void history_comes_in_pages(void **state)
{
    struct kit *k = kit_of(state);
    char id[16];

    kit_users(k, "alice", "bob", NULL);
    const char *conv = kit_direct(k, "alice", "bob");
    assert_int_equal(kit_fetch(k, conv, 0, 0, 10, 1)->n_messages, 0);
    for (int i = 1; i <= 300; i++) {
        snprintf(id, sizeof id, "m%d", i);
        kit_text(k, "alice", conv, 0, id, id);
    }
    assert_int_equal(kit_commit(k), 0);
    Pigeon__Page *page = kit_fetch(k, conv, 0, 0, 10, 1); /* the newest */
    assert_int_equal(page->n_messages, 10);
    assert_int_equal(page->messages[0]->seq, 291);
    assert_int_equal(page->messages[9]->seq, 300);
    assert_true(page->more);
    page = kit_fetch(k, conv, 0, 291, 10, 1);
    assert_int_equal(page->messages[0]->seq, 281);
    assert_int_equal(page->messages[9]->seq, 290);
    page = kit_fetch(k, conv, 5, 0, 10, 1);
    assert_int_equal(page->messages[0]->seq, 6);
    assert_int_equal(page->messages[9]->seq, 15);
    assert_true(page->more);
    page = kit_fetch(k, conv, 295, 0, 10, 1);
    assert_int_equal(page->n_messages, 5);
    assert_false(page->more);
    page = kit_fetch(k, conv, 10, 13, 10, 1);
    assert_int_equal(page->n_messages, 2);
    assert_int_equal(page->messages[0]->seq, 11);
    assert_int_equal(kit_fetch(k, conv, 0, 0, 1000, 1)->n_messages, 200);
    page = kit_fetch(k, conv, 0, 20, 50, 15); /* nothing from before first_seq */
    assert_int_equal(page->n_messages, 5);
    assert_int_equal(page->messages[0]->seq, 15);
    assert_false(page->more);
    assert_int_equal(kit_fetch(k, conv, 300, 0, 10, 1)->n_messages, 0);
}

static Pigeon__Reply *fetch_since(struct kit *k, const char *conv, const char *since, uint32_t limit, uint64_t first_seq, uint64_t after)
{
    Pigeon__ConvRequest request = PIGEON__CONV_REQUEST__INIT;
    Pigeon__FetchConv fetch_conv = PIGEON__FETCH_CONV__INIT;
    Pigeon__Fetch fetch = PIGEON__FETCH__INIT;
    Pigeon__Reply *reply = pgn_arena_alloc(k->arena, sizeof *reply);

    pigeon__reply__init(reply);
    fetch.conv = pgn_arena_strdup(k->arena, conv);
    fetch.since = pgn_arena_strdup(k->arena, since);
    fetch.limit = limit;
    fetch.after = after;
    fetch_conv.fetch = &fetch;
    fetch_conv.first_seq = first_seq;
    request.what_case = PIGEON__CONV_REQUEST__WHAT_FETCH;
    request.fetch = &fetch_conv;
    (void)k->store->ops->read(k->store, &request, 0, k->arena, reply);
    return reply;
}

static void since_gives(struct kit *k, const char *conv, const char *since, uint64_t first, size_t count)
{
    Pigeon__Reply *reply = fetch_since(k, conv, since, 0, 1, 0);

    assert_int_equal(reply->error, 0);
    assert_int_equal(reply->ok->fetch->n_messages, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(reply->ok->fetch->messages[i]->seq, first + i);
    assert_false(reply->ok->fetch->more);
}

static void what_came_since_a_cursor_is_found(void **state)
{
    enum { COMMITS = 12, EACH = 3 };
    struct kit *k = kit_of(state);
    char id[32], *cursor[COMMITS + 1];

    kit_users(k, "alice", "bob", "carol", NULL);
    const char *conv = kit_direct(k, "alice", "bob"), *other = kit_direct(k, "alice", "carol");
    since_gives(k, conv, "0", 0, 0); /* nobody has written yet */
    cursor[0] = kit_sync(k, "alice", "", 0)->cursor;
    for (int c = 1; c <= COMMITS; c++) {
        for (int i = 0; i < EACH; i++) {
            snprintf(id, sizeof id, "m%d-%d", c, i);
            kit_text(k, "alice", conv, 0, id, id);
            kit_text(k, "alice", other, 0, id + 1, id);
        }
        assert_int_equal(kit_commit(k), 0);
        cursor[c] = kit_sync(k, "alice", "", 0)->cursor;
    }
    for (uint64_t c = 0; c <= COMMITS; c++)
        since_gives(k, conv, cursor[c], c * EACH + 1, (COMMITS - c) * EACH);
    since_gives(k, conv, "0", 1, (size_t)COMMITS * EACH);
    since_gives(k, conv, "999999999999", 1, (size_t)COMMITS * EACH); /* of another life of the store: as 0 */
    /* An edit gives the edited message no new place. */
    Pigeon__Append *edit = kit_operation(k, "alice", conv, PIGEON__OP__edit, 2, "e");
    Pigeon__Body body = PIGEON__BODY__INIT;
    static char text[] = "edited";
    body.text = text;
    edit->operation->body = &body;
    assert_int_equal(kit_commit(k), 0);
    assert_int_equal(k->results[0].error, 0);
    since_gives(k, conv, cursor[COMMITS], (uint64_t)COMMITS * EACH + 1, 1);
    Pigeon__Reply *page = fetch_since(k, conv, cursor[1], 5, 1, 0); /* in pages; the rest with after */
    assert_int_equal(page->ok->fetch->n_messages, 5);
    assert_int_equal(page->ok->fetch->messages[0]->seq, EACH + 1);
    assert_true(page->ok->fetch->more);
    page = fetch_since(k, conv, cursor[1], 0, 20, 0); /* nothing from before first_seq */
    assert_int_equal(page->ok->fetch->messages[0]->seq, 20);
    assert_int_equal(fetch_since(k, conv, "12x", 0, 1, 0)->error, PGN_E_INVALID);
    assert_int_equal(fetch_since(k, conv, cursor[1], 0, 1, 3)->error, PGN_E_INVALID); /* with after */
}

/* A page that would be too large for the bus is cut at its older end, or at its newer one when it was asked for from there. */
static void large_pages_are_cut(void **state)
{
    struct kit *k = kit_of(state);
    Pigeon__ConvRequest request = PIGEON__CONV_REQUEST__INIT;
    Pigeon__FetchConv fetch_conv = PIGEON__FETCH_CONV__INIT;
    Pigeon__Fetch fetch = PIGEON__FETCH__INIT;
    Pigeon__Reply reply = PIGEON__REPLY__INIT;
    char id[16], *large = pgn_arena_alloc(k->arena, 10001);

    kit_users(k, "alice", "bob", NULL);
    const char *conv = kit_direct(k, "alice", "bob");
    memset(large, 'x', 10000);
    large[10000] = 0;
    for (int i = 1; i <= 40; i++) {
        snprintf(id, sizeof id, "m%d", i);
        kit_text(k, "alice", conv, 0, id, large);
    }
    assert_int_equal(kit_commit(k), 0);
    fetch.conv = pgn_arena_strdup(k->arena, conv);
    fetch.limit = 30;
    fetch_conv.fetch = &fetch;
    request.what_case = PIGEON__CONV_REQUEST__WHAT_FETCH;
    request.fetch = &fetch_conv;
    assert_int_equal(k->store->ops->read(k->store, &request, 100000, k->arena, &reply), 0);
    Pigeon__Page *page = reply.ok->fetch;
    assert_in_range(page->n_messages, 5, 10);
    assert_int_equal(page->messages[page->n_messages - 1]->seq, 40);
    assert_int_equal(page->messages[0]->seq, 41 - page->n_messages);
    assert_true(page->more);
    fetch.after = 5;
    pigeon__reply__init(&reply);
    assert_int_equal(k->store->ops->read(k->store, &request, 100000, k->arena, &reply), 0);
    assert_in_range(reply.ok->fetch->n_messages, 5, 10);
    assert_int_equal(reply.ok->fetch->messages[0]->seq, 6);
    assert_true(reply.ok->fetch->more);
    pigeon__reply__init(&reply);
    assert_int_equal(k->store->ops->read(k->store, &request, 10, k->arena, &reply), 0); /* one always */
    assert_int_equal(reply.ok->fetch->n_messages, 1);
}

static void recall_erases_edits_too(void **state)
{
    struct kit *k = kit_of(state);

    kit_users(k, "alice", "bob", NULL);
    const char *conv = kit_direct(k, "alice", "bob");
    assert_int_equal(kit_send(k, "alice", conv, "1", "secret"), 0);
    Pigeon__Append *edit = kit_operation(k, "alice", conv, PIGEON__OP__edit, 1, "2");
    Pigeon__Body body = PIGEON__BODY__INIT;
    static char text[] = "another secret";
    body.text = text;
    edit->operation->body = &body;
    assert_int_equal(kit_commit(k), 0);
    assert_int_equal(k->results[0].error, 0);
    Pigeon__Page *page = kit_fetch(k, conv, 0, 0, 10, 1);
    assert_string_equal(page->messages[0]->body->text, "another secret");
    assert_true(page->messages[0]->edited_at > 0);
    assert_string_equal(page->messages[1]->body->operation->body->text, "another secret");
    kit_operation(k, "alice", conv, PIGEON__OP__recall, 1, "3");
    assert_int_equal(kit_commit(k), 0);
    assert_int_equal(k->results[0].error, 0);
    assert_int_equal(k->results[0].sent->seq, 3);
    page = kit_fetch(k, conv, 0, 0, 10, 1);
    assert_true(page->messages[0]->recalled);
    assert_null(page->messages[0]->body);
    assert_null(page->messages[1]->body->operation->body);
    kit_operation(k, "alice", conv, PIGEON__OP__recall, 1, "4");
    kit_operation(k, "alice", conv, PIGEON__OP__react, 2, "5"); /* an operation is no target */
    kit_operation(k, "alice", conv, PIGEON__OP__recall, 99, "6");
    assert_int_equal(kit_commit(k), 0);
    assert_int_equal(k->results[0].error, PGN_E_CONFLICT);
    assert_int_equal(k->results[1].error, PGN_E_INVALID);
    assert_int_equal(k->results[2].error, PGN_E_NOT_FOUND);
}

static void only_the_own_message_when_asked_for(void **state)
{
    struct kit *k = kit_of(state);

    kit_users(k, "alice", "bob", NULL);
    const char *conv = kit_direct(k, "alice", "bob");
    assert_int_equal(kit_send(k, "alice", conv, "1", "x"), 0);
    kit_operation(k, "bob", conv, PIGEON__OP__recall, 1, "2")->own_target = true;
    assert_int_equal(kit_commit(k), 0);
    assert_int_equal(k->results[0].error, PGN_E_FORBIDDEN);
    kit_operation(k, "bob", conv, PIGEON__OP__recall, 1, "3"); /* an administrator may */
    assert_int_equal(kit_commit(k), 0);
    assert_int_equal(k->results[0].error, 0);
}

static int react(struct kit *k, const char *user, const char *conv, const char *emoji, bool on, const char *id)
{
    Pigeon__Append *a = kit_operation(k, user, conv, PIGEON__OP__react, 1, id);

    a->operation->emoji = pgn_arena_strdup(k->arena, emoji);
    a->operation->on = on;
    assert_int_equal(kit_commit(k), 0);
    return k->results[0].error;
}

static void reactions_come_and_go(void **state)
{
    struct kit *k = kit_of(state);

    kit_users(k, "alice", "bob", NULL);
    const char *conv = kit_direct(k, "alice", "bob");
    assert_int_equal(kit_send(k, "alice", conv, "1", "x"), 0);
    assert_int_equal(react(k, "bob", conv, "+", true, "2"), 0);
    assert_int_equal(react(k, "alice", conv, "+", true, "3"), 0);
    assert_int_equal(react(k, "alice", conv, "+", true, "4"), 0); /* again: no difference */
    assert_int_equal(react(k, "alice", conv, "-", true, "5"), 0);
    Pigeon__Message *m = kit_fetch(k, conv, 0, 2, 10, 1)->messages[0];
    assert_int_equal(m->n_reactions, 2);
    assert_string_equal(m->reactions[0]->emoji, "+");
    assert_int_equal(m->reactions[0]->n_users, 2);
    assert_int_equal(react(k, "bob", conv, "+", false, "6"), 0);
    assert_int_equal(react(k, "alice", conv, "+", false, "7"), 0);
    m = kit_fetch(k, conv, 0, 2, 10, 1)->messages[0];
    assert_int_equal(m->n_reactions, 1);
    assert_string_equal(m->reactions[0]->emoji, "-");
    assert_int_equal(react(k, "alice", conv, "", true, "8"), PGN_E_INVALID);
}

static void operations_in_the_same_commit(void **state)
{
    struct kit *k = kit_of(state);

    kit_users(k, "alice", "bob", NULL);
    const char *conv = kit_direct(k, "alice", "bob");
    kit_text(k, "alice", conv, 0, "1", "x");
    kit_operation(k, "alice", conv, PIGEON__OP__recall, 1, "2");
    assert_int_equal(kit_commit(k), 0);
    assert_int_equal(k->results[1].error, 0);
    assert_true(kit_fetch(k, conv, 0, 0, 10, 1)->messages[0]->recalled);
}

static void watermarks_never_go_back(void **state)
{
    struct kit *k = kit_of(state);

    kit_users(k, "alice", "bob", NULL);
    const char *conv = kit_direct(k, "alice", "bob");
    for (int i = 0; i < 5; i++)
        assert_int_equal(kit_send(k, "alice", conv, (const char *[]){"1", "2", "3", "4", "5"}[i], "x"), 0);
    Pigeon__ConvState *bob = kit_state(k, "bob", conv);
    assert_int_equal(bob->unread, 5);
    assert_int_equal(kit_state(k, "alice", conv)->unread, 0); /* sending reads */
    assert_int_equal(kit_state(k, "alice", conv)->read_seq, 5);
    kit_mark(k, "bob", conv, 3, 0);
    assert_int_equal(kit_commit(k), 0);
    assert_int_equal(k->effects.event_count, 1);
    Pigeon__Event *e = kit_event(k, 0);
    assert_int_equal(e->mark->read, 3);
    assert_int_equal(e->mark->delivered, 3); /* what is read was delivered */
    assert_string_equal(e->skip_device, "dev");
    kit_mark(k, "bob", conv, 2, 1);
    assert_int_equal(kit_commit(k), 0);
    assert_int_equal(k->results[0].error, 0);
    assert_int_equal(k->effects.event_count, 0);
    kit_mark(k, "bob", conv, 0, 1000); /* no further than there is */
    assert_int_equal(kit_commit(k), 0);
    bob = kit_state(k, "bob", conv);
    assert_int_equal(bob->read_seq, 3);
    assert_int_equal(bob->delivered_seq, 5);
    assert_int_equal(bob->unread, 2);
    assert_int_equal(kit_state(k, "alice", conv)->peer_read, 3);
    assert_int_equal(kit_state(k, "alice", conv)->peer_delivered, 5);
}

static void operations_are_not_unread(void **state)
{
    struct kit *k = kit_of(state);

    kit_users(k, "alice", "bob", NULL);
    const char *conv = kit_direct(k, "alice", "bob");
    assert_int_equal(kit_send(k, "alice", conv, "1", "x"), 0);
    assert_int_equal(react(k, "alice", conv, "+", true, "2"), 0);
    assert_int_equal(kit_send(k, "alice", conv, "3", "y"), 0);
    assert_int_equal(kit_state(k, "bob", conv)->unread, 2);
    kit_mark(k, "bob", conv, 2, 0);
    assert_int_equal(kit_commit(k), 0);
    assert_int_equal(kit_state(k, "bob", conv)->unread, 1);
    assert_int_equal(react(k, "alice", conv, "-", true, "4"), 0);
    assert_int_equal(kit_state(k, "bob", conv)->unread, 1);
    kit_mark(k, "bob", conv, 4, 0);
    assert_int_equal(kit_commit(k), 0);
    assert_int_equal(kit_state(k, "bob", conv)->unread, 0);
}

static void notes_to_oneself(void **state)
{
    struct kit *k = kit_of(state);

    kit_users(k, "alice", NULL);
    const char *conv = kit_direct(k, "alice", "alice");
    assert_int_equal(kit_send(k, "alice", conv, "1", "milk"), 0);
    assert_int_equal(kit_policy(k, conv)->n_members, 1);
    Pigeon__ConvState *s = kit_state(k, "alice", conv);
    assert_non_null(s);
    assert_int_equal(s->unread, 0);
    assert_string_equal(s->peer, "alice");
    assert_string_equal(s->last_message->body->text, "milk");
}

static void sync_tells_what_changed(void **state)
{
    struct kit *k = kit_of(state);

    kit_users(k, "alice", "bob", "carol", NULL);
    const char *ab = kit_direct(k, "alice", "bob"), *ac = kit_direct(k, "alice", "carol");
    assert_int_equal(kit_send(k, "alice", ab, "1", "x"), 0);
    Pigeon__SyncPage *page = kit_sync(k, "alice", "", 100);
    assert_int_equal(page->n_convs, 1);
    assert_false(page->more);
    char *cursor = page->cursor;
    assert_int_equal(kit_sync(k, "alice", cursor, 100)->n_convs, 0);
    assert_int_equal(kit_send(k, "carol", ac, "1", "y"), 0);
    page = kit_sync(k, "alice", cursor, 100);
    assert_int_equal(page->n_convs, 1);
    assert_string_equal(page->convs[0]->conv, ac);
    assert_string_equal(page->convs[0]->peer, "carol");
    assert_int_equal(page->convs[0]->unread, 1);
    assert_string_equal(page->convs[0]->last_message->body->text, "y");
    assert_int_equal(kit_sync(k, "bob", cursor, 100)->n_convs, 0);
    kit_mark(k, "alice", ac, 1, 1);
    assert_int_equal(kit_commit(k), 0);
    assert_int_equal(kit_sync(k, "carol", page->cursor, 100)->n_convs, 1);     /* the peer's watermark moved */
    assert_int_equal(kit_sync(k, "alice", "99999999999999", 100)->n_convs, 2); /* not of this store */
}

/* Pages while conversations change under them: whoever follows the cursors ends with the newest state of each. */
static void sync_pages_under_changes(void **state)
{
    enum { PEERS = 30 };
    struct kit *k = kit_of(state);
    uint64_t seen[PEERS] = {0};
    char peer[16], id[32];
    const char *cursor = "";
    int sent = 0;

    kit_users(k, "alice", NULL);
    kit_user_many(k, "p", PEERS);
    for (int i = 0; i < PEERS; i++) {
        snprintf(peer, sizeof peer, "p%d", i);
        snprintf(id, sizeof id, "i%d", sent++);
        assert_int_equal(kit_send(k, peer, kit_direct(k, "alice", peer), id, "x"), 0);
    }
    for (int round = 0; round < 100; round++) {
        Pigeon__SyncPage *page = kit_sync(k, "alice", cursor, 7);

        assert_true(page->n_convs <= 7);
        for (size_t i = 0; i < page->n_convs; i++)
            seen[atoi(page->convs[i]->peer + 1)] = page->convs[i]->last_seq;
        cursor = page->cursor;
        if (!page->more && round > 20)
            break;
        for (int n = 0; round < 20 && n < 3; n++) { /* between the pages */
            snprintf(peer, sizeof peer, "p%d", (round * 7 + n * 11) % PEERS);
            snprintf(id, sizeof id, "i%d", sent++);
            assert_int_equal(kit_send(k, peer, kit_direct(k, "alice", peer), id, "x"), 0);
        }
    }
    for (int i = 0; i < PEERS; i++) {
        snprintf(peer, sizeof peer, "p%d", i);
        assert_int_equal(seen[i], kit_policy(k, kit_direct(k, "alice", peer))->last_seq);
    }
}

static void reopened_it_goes_on(void **state)
{
    struct kit *k = kit_of(state);

    if (!kit_durable())
        return;
    kit_users(k, "alice", "bob", NULL);
    const char *conv = kit_direct(k, "alice", "bob"), *group = kit_group(k, "alice", "bob", NULL);
    assert_int_equal(kit_send(k, "alice", conv, "1", "x"), 0);
    assert_int_equal(kit_send(k, "bob", group, "2", "y"), 0);
    uint64_t commit = k->store->ops->last_commit(k->store);
    kit_reopen(k);
    assert_int_equal(k->store->ops->last_commit(k->store), commit);
    assert_int_equal(kit_policy(k, group)->n_members, 2);
    assert_int_equal(kit_send(k, "alice", conv, "3", "z"), 0);
    assert_int_equal(k->results[0].sent->seq, 2);
    assert_int_equal(kit_send(k, "alice", group, "4", "z"), 0);
    assert_int_equal(k->results[0].sent->seq, 3);
    assert_true(kit_event(k, 0)->commit > commit);
    assert_string_equal(kit_fetch(k, conv, 0, 2, 10, 1)->messages[0]->body->text, "x");
}

int main(void)
{
    static const struct CMUnitTest messages[] = {
        KIT_TEST(numbers_are_dense),
        KIT_TEST(order_is_that_of_the_batch),
        KIT_TEST(a_retry_gets_the_first_answer),
        KIT_TEST(a_retry_is_known_before_the_version_is_looked_at),
        KIT_TEST(a_key_used_for_another_conversation_answers_the_first),
        KIT_TEST(another_version_is_stale),
        KIT_TEST(a_refusal_of_another_version_is_stale),
        KIT_TEST(what_is_not_there_is_refused),
        KIT_TEST(history_comes_in_pages),
        KIT_TEST(what_came_since_a_cursor_is_found),
        KIT_TEST(large_pages_are_cut),
        KIT_TEST(recall_erases_edits_too),
        KIT_TEST(only_the_own_message_when_asked_for),
        KIT_TEST(reactions_come_and_go),
        KIT_TEST(operations_in_the_same_commit),
        KIT_TEST(watermarks_never_go_back),
        KIT_TEST(operations_are_not_unread),
        KIT_TEST(notes_to_oneself),
        KIT_TEST(sync_tells_what_changed),
        KIT_TEST(sync_pages_under_changes),
        KIT_TEST(reopened_it_goes_on),
    };

    KIT_RUN(messages);
}
