/*
 * Several stores on one MongoDB database: whoever commits, numbers stay dense, retries stay one, commit numbers rise; and what happens
 * when one of them stops at the worst places (hooks of test builds).
 */
#include "tests/conformance/support/store_kit.h"

#include "common/base/clock.h"
#include "common/base/random.h"
#include "services/storage/ledger_hook.h"
#include "services/storage/ledger_internal.h"
#include "services/storage/store_mongo.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A second instance: commits through it by swapping the kit's store. */
static struct sto_store *open_second(struct kit *k)
{
    struct pgn_buf problem = {0};
    struct sto_store *second = NULL;
    int error = kit_open_beside(k, &second, &problem);

    if (error)
        print_error("second open: %d %s\n", error, pgn_buf_cstr(&problem));
    pgn_buf_release(&problem);
    assert_int_equal(error, 0);
    return second;
}

static void swap(struct kit *k, struct sto_store **other)
{
    struct sto_store *mine = k->store;

    k->store = *other;
    *other = mine;
}

static uint64_t unset_wall_ms(void)
{
    return 5000; /* 1970: a board without a battery */
}
static uint64_t old_wall_ms(void)
{
    return 1600000000000u; /* 2020, years before any retry_days */
}

static void retry_keys_of_an_unset_clock_are_not_swept(void **state)
{
    struct kit *k = kit_of(state);

    kit_users(k, "ann", "bob", NULL);
    const char *conv = kit_direct(k, "ann", "bob");
    pgn_clock_set(NULL, unset_wall_ms);
    assert_int_equal(kit_send(k, "ann", conv, "early", "x"), 0);
    pgn_clock_set(NULL, old_wall_ms);
    assert_int_equal(kit_send(k, "ann", conv, "old", "x"), 0);
    pgn_clock_set(NULL, NULL);
    sto_mongo_sweep(sto_mongo_store_of(k->store));
    assert_int_equal(kit_send(k, "ann", conv, "early", "x"), 0);
    assert_int_equal(k->results[0].sent->seq, 1);
    assert_int_equal(kit_send(k, "ann", conv, "old", "x"), 0);
    assert_int_equal(k->results[0].sent->seq, 3); /* forgotten: a new message */
}

static int64_t field_of(struct sto_mongo *m, mongoc_client_t *client, const char *id)
{
    bson_t doc = BSON_INITIALIZER;
    bson_iter_t it;

    assert_int_equal(sto_mongo_get(m, client, "puts", id, &doc), 0);
    assert_true(bson_iter_init_find(&it, &doc, "v"));
    int64_t v = bson_iter_as_int64(&it);
    bson_destroy(&doc);
    return v;
}

/* Entry n puts v = n into rows a to c, but only into the first `count` of them. */
static void put_rows(struct sto_mongo *m, mongoc_client_t *client, uint64_t n, size_t count)
{
    static const char *const ids[] = {"a", "b", "c"};
    struct sto_puts puts;
    bson_t fields = BSON_INITIALIZER;

    BSON_APPEND_INT64(&fields, "v", (int64_t)n);
    sto_puts_begin(&puts, m, client, "puts");
    for (size_t i = 0; i < count; i++)
        sto_puts_set(&puts, ids[i], n, &fields);
    assert_int_equal(sto_puts_end(&puts), 0);
    bson_destroy(&fields);
}

/* Who stores an entry of which a part is there already (its writer was cut off in between) stores the rest of it. */
static void the_rest_of_an_entry_is_stored(void **state)
{
    struct kit *k = kit_of(state);
    struct pgn_buf problem = {0};
    struct sto_mongo *m;

    assert_int_equal(sto_mongo_new(&k->mongo, &m, &problem), 0);
    assert_int_equal(sto_mongo_check(m, &problem), 0);
    mongoc_client_t *client = sto_mongo_take(m);
    put_rows(m, client, 1, 3);
    put_rows(m, client, 2, 1);
    put_rows(m, client, 2, 3);
    assert_int_equal(field_of(m, client, "a"), 2);
    assert_int_equal(field_of(m, client, "b"), 2);
    assert_int_equal(field_of(m, client, "c"), 2);
    put_rows(m, client, 1, 3); /* an old one changes nothing */
    assert_int_equal(field_of(m, client, "b"), 2);
    sto_mongo_give(m, client);
    sto_mongo_free(&m);
    pgn_buf_release(&problem);
}

static void dense(struct kit *k, const char *conv, size_t expected)
{
    size_t seen = 0;

    for (bool more = true; more;) {
        Pigeon__Page *page = kit_fetch(k, conv, seen, 0, 200, 1);

        for (size_t i = 0; i < page->n_messages; i++)
            assert_int_equal(page->messages[i]->seq, ++seen);
        more = page->more && page->n_messages;
    }
    assert_int_equal(seen, expected);
}

static void two_stores_take_turns(void **state)
{
    struct kit *k = kit_of(state);
    struct sto_store *second = open_second(k);
    uint64_t newest = 0;

    kit_users(k, "ann", "bob", NULL);
    const char *conv = kit_direct(k, "ann", "bob");
    assert_string_equal(k->store->epoch, second->epoch);
    for (int i = 0; i < 10; i++) {
        char id[16];

        snprintf(id, sizeof id, "m%d", i);
        assert_int_equal(kit_send(k, i % 2 ? "ann" : "bob", conv, id, "x"), 0);
        assert_int_equal(k->results[0].sent->seq, i + 1);
        assert_true(k->store->ops->last_commit(k->store) > newest);
        newest = k->store->ops->last_commit(k->store);
        swap(k, &second);
    }
    /* A retry through the other one gets the first answer. */
    assert_int_equal(kit_send(k, "ann", conv, "m9", "x"), 0);
    assert_int_equal(k->results[0].sent->seq, 10);
    assert_int_equal(k->effects.dups, 1);
    dense(k, conv, 10);
    swap(k, &second);
    dense(k, conv, 10);
    second->ops->close(second);
}

static void the_directory_follows(void **state)
{
    struct kit *k = kit_of(state);
    struct sto_store *second = open_second(k);

    kit_users(k, "ann", "bob", NULL);
    const char *conv = kit_direct(k, "ann", "bob");
    assert_int_equal(kit_send(k, "ann", conv, "a", "x"), 0);
    swap(k, &second);
    uint64_t before = kit_version(k, conv);
    assert_int_equal(kit_contact(k, "bob", "ann", "block"), 0);
    swap(k, &second);
    assert_true(kit_version(k, conv) > before);
    /* Checked against the version before the block: stale here, too. */
    kit_text(k, "ann", conv, before, "b", "y");
    assert_int_equal(kit_commit(k), 0);
    assert_int_equal(k->results[0].error, PGN_E_STALE);
    kit_users(k, "cat", NULL);
    swap(k, &second);
    kit_users(k, "dan", NULL);
    uint64_t count, bad;
    assert_int_equal(k->store->ops->audit_verify(k->store, &count, &bad), 0);
    assert_int_equal(bad, 0);
    second->ops->close(second);
}

/* ---- at the same time ---- */

enum { THREADS = 2, SENDS = 25, PER_COMMIT = 2 };

struct contender {
    pthread_t thread;
    struct sto_store *store;
    const char *conv, *user;
    uint64_t version;
    int number, errors;
    uint64_t seqs[SENDS * PER_COMMIT];
};

static void *contend(void *arg)
{
    struct contender *c = arg;

    for (int i = 0; i < SENDS; i++) {
        struct pgn_arena *arena = pgn_arena_new(4096);
        Pigeon__CommitBatch batch = PIGEON__COMMIT_BATCH__INIT;
        Pigeon__CommitItem items[PER_COMMIT], *list[PER_COMMIT];
        Pigeon__Append appends[PER_COMMIT];
        Pigeon__ItemResult results[PER_COMMIT];
        struct sto_commit commit = {&batch, results};
        struct sto_effects effects;
        char ids[PER_COMMIT][32];

        sto_effects_init(&effects, arena);
        for (int j = 0; j < PER_COMMIT; j++) {
            pigeon__commit_item__init(&items[j]);
            pigeon__append__init(&appends[j]);
            snprintf(ids[j], sizeof ids[j], "c%d-%d-%d", c->number, i, j);
            appends[j].client_id = ids[j];
            appends[j].create_direct = true;
            items[j].user = (char *)(uintptr_t)c->user;
            items[j].device = (char *)(uintptr_t) "dev";
            items[j].conv = (char *)(uintptr_t)c->conv;
            items[j].version = c->version;
            items[j].what_case = PIGEON__COMMIT_ITEM__WHAT_APPEND;
            items[j].append = &appends[j];
            list[j] = &items[j];
        }
        batch.items = list;
        batch.n_items = PER_COMMIT;
        int error = c->store->ops->commit(c->store, &commit, 1, &effects, NULL, NULL);
        for (int j = 0; j < PER_COMMIT; j++) {
            c->errors += error || results[j].error;
            c->seqs[i * PER_COMMIT + j] = error || results[j].error ? 0 : results[j].sent->seq;
        }
        pgn_arena_free(&arena);
    }
    return NULL;
}

static void two_writers_contend(void **state)
{
    struct kit *k = kit_of(state);
    struct sto_store *second = open_second(k);
    struct contender all[THREADS];
    static bool taken[THREADS * SENDS * PER_COMMIT + 1];

    memset(taken, 0, sizeof taken);
    kit_users(k, "ann", "bob", NULL);
    const char *conv = kit_direct(k, "ann", "bob");
    uint64_t version = kit_version(k, conv);
    for (int i = 0; i < THREADS; i++) {
        all[i] =
            (struct contender){.store = i ? second : k->store, .conv = conv, .user = i ? "bob" : "ann", .version = version, .number = i};
        assert_int_equal(pthread_create(&all[i].thread, NULL, contend, &all[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(all[i].thread, NULL), 0);
        assert_int_equal(all[i].errors, 0);
        for (int j = 0; j < SENDS * PER_COMMIT; j++) {
            uint64_t seq = all[i].seqs[j];

            assert_true(seq >= 1 && seq < PGN_COUNT(taken));
            assert_false(taken[seq]); /* no fork */
            taken[seq] = true;
            assert_true(j == 0 || seq > all[i].seqs[j - 1]); /* a sender's order */
        }
    }
    dense(k, conv, THREADS * SENDS * PER_COMMIT);
    second->ops->close(second);
}

/* ---- the worst places ---- */

static enum sto_hook hook_at;
static int hook_left;
static struct sto_store *hook_other;
static const char *hook_conv;

/* While the first is between preparing and inserting, the other one commits. */
static bool hook_paused(enum sto_hook at)
{
    if (at != STO_HOOK_BEFORE_INSERT || hook_left == 0)
        return false;
    hook_left = 0;
    struct contender c = {.store = hook_other, .conv = hook_conv, .user = "bob", .version = 0, .number = 9};
    (void)contend(&c);
    assert_int_equal(c.errors, 0);
    return false;
}

static bool hook_once(enum sto_hook at)
{
    return at == hook_at && hook_left && hook_left--;
}

static void paused_before_the_insert_it_loses(void **state)
{
    struct kit *k = kit_of(state);

    kit_users(k, "ann", "bob", NULL);
    const char *conv = kit_direct(k, "ann", "bob");
    assert_int_equal(kit_send(k, "ann", conv, "first", "x"), 0);
    hook_other = open_second(k);
    hook_conv = conv;
    hook_left = 1;
    sto_ledger_test_hook = hook_paused;
    assert_int_equal(kit_send(k, "ann", conv, "second", "x"), 0);
    sto_ledger_test_hook = NULL;
    assert_int_equal(k->results[0].sent->seq, 2 + SENDS * PER_COMMIT); /* behind all that came in between */
    dense(k, conv, 2 + SENDS * PER_COMMIT);
    hook_other->ops->close(hook_other);
}

static void dead_before_the_rows_the_other_writes_them(void **state)
{
    struct kit *k = kit_of(state);
    struct sto_store *second = open_second(k);

    kit_users(k, "ann", "bob", NULL);
    const char *conv = kit_direct(k, "ann", "bob");
    assert_int_equal(kit_send(k, "ann", conv, "first", "x"), 0);
    kit_text(k, "ann", conv, kit_version(k, conv), "second", "y");
    hook_at = STO_HOOK_BEFORE_ROWS;
    hook_left = 1;
    sto_ledger_test_hook = hook_once;
    assert_int_equal(kit_commit(k), PGN_E_UNCERTAIN);
    sto_ledger_test_hook = NULL;
    swap(k, &second);
    dense(k, conv, 2); /* the other sees it by the ledger */
    assert_int_equal(kit_send(k, "ann", conv, "second", "y"), 0);
    assert_int_equal(k->results[0].sent->seq, 2);
    assert_int_equal(kit_send(k, "bob", conv, "third", "z"), 0);
    assert_int_equal(k->results[0].sent->seq, 3);
    swap(k, &second);
    assert_int_equal(k->store->ops->recover(k->store), 0);
    assert_int_equal(kit_send(k, "ann", conv, "fourth", "z"), 0);
    assert_int_equal(k->results[0].sent->seq, 4);
    second->ops->close(second);
}

static void an_uncertain_insert_is_found_again(void **state)
{
    struct kit *k = kit_of(state);

    kit_users(k, "ann", "bob", NULL);
    const char *conv = kit_direct(k, "ann", "bob");
    assert_int_equal(kit_send(k, "ann", conv, "first", "x"), 0);
    kit_text(k, "ann", conv, kit_version(k, conv), "second", "y");
    hook_at = STO_HOOK_UNCERTAIN;
    hook_left = 1;
    sto_ledger_test_hook = hook_once;
    assert_int_equal(kit_commit(k), PGN_E_UNCERTAIN);
    sto_ledger_test_hook = NULL;
    assert_int_equal(k->store->ops->recover(k->store), 0);
    kit_clear(k);
    conv = kit_direct(k, "ann", "bob");
    assert_int_equal(kit_send(k, "ann", conv, "second", "y"), 0);
    assert_int_equal(k->results[0].sent->seq, 2);
    assert_int_equal(k->effects.dups, 1);
    dense(k, conv, 2);
}

/* An instance sleeps while its next number is given to others and removed again. Time is the ledger's record of when it was sure. */
static void after_a_long_sleep_a_ghost_is_taken_back(void **state)
{
    struct kit *k = kit_of(state);
    struct sto_store *second = open_second(k);
    struct sto_mongo_store *one = sto_mongo_store_of(k->store), *two = sto_mongo_store_of(second);

    sto_keeper_stop(one); /* it would follow */
    sto_keeper_stop(two);
    kit_users(k, "ann", "bob", NULL);
    const char *conv = kit_direct(k, "ann", "bob");
    assert_int_equal(kit_send(k, "ann", conv, "first", "x"), 0);
    uint64_t asleep = sto_ledger_position(one->ledger);
    uint64_t version = kit_version(k, conv);
    swap(k, &second);
    for (int i = 0; i < 3; i++) {
        char id[16];

        snprintf(id, sizeof id, "n%d", i);
        assert_int_equal(kit_send(k, "bob", conv, id, "x"), 0);
    }
    /* The retention passes for the second, which removes all that it saw. */
    assert_int_equal(sto_ledger_note_applied(two->ledger), 0);
    assert_int_equal(sto_ledger_trim(two->ledger), 0);
    assert_int_equal(two->ledger->sight_count, 1);
    two->ledger->sights[0].at_ms -= 2 * two->ledger->retention_ms;
    assert_int_equal(sto_ledger_trim(two->ledger), 0);
    assert_true(sto_ledger_trimmed(two->ledger) > asleep);
    swap(k, &second);
    /* The first wakes up with what it had prepared. */
    atomic_fetch_sub(&one->ledger->confirmed_ms, 2 * one->ledger->retention_ms);
    kit_text(k, "ann", conv, version, "late", "y");
    assert_int_equal(kit_commit(k), 0);
    assert_int_equal(k->results[0].error, 0);
    assert_int_equal(k->results[0].sent->seq, 5);
    dense(k, conv, 5);
    swap(k, &second);
    dense(k, conv, 5);
    second->ops->close(second);
}

/* ---- the lease ---- */

static void one_holds_the_lease(void **state)
{
    struct kit *k = kit_of(state);
    struct sto_mongo *m = sto_mongo_store_of(k->store)->mongo;
    struct sto_lease a = {.owner = "a"}, b = {.owner = "b"};
    uint64_t now_ms = 1000;

    sto_lease_step(m, &a, now_ms);
    sto_lease_step(m, &b, now_ms);
    assert_true(a.held && !b.held);
    for (int i = 0; i < 6; i++, now_ms += STO_LEASE_STEP_MS) { /* it renews: nobody takes it */
        sto_lease_step(m, &a, now_ms);
        sto_lease_step(m, &b, now_ms);
        assert_true(a.held && !b.held);
    }
    for (int i = 0; i < 6 && !b.held; i++, now_ms += STO_LEASE_STEP_MS) /* it sleeps */
        sto_lease_step(m, &b, now_ms);
    assert_true(b.held);
    sto_lease_step(m, &a, now_ms); /* it wakes up */
    assert_false(a.held);
    sto_lease_release(m, &b);
    sto_lease_step(m, &a, now_ms);
    assert_true(a.held);
}

/* ---- opening ---- */

static void command(struct kit *k, bson_t *cmd)
{
    struct pgn_buf problem = {0};
    struct sto_mongo *m;
    bson_error_t e = {0};

    assert_int_equal(sto_mongo_new(&k->mongo, &m, &problem), 0);
    mongoc_client_t *client = sto_mongo_take(m);
    bool ok = mongoc_client_command_simple(client, k->database, cmd, NULL, NULL, &e);
    if (!ok)
        print_error("%s\n", e.message);
    assert_true(ok);
    sto_mongo_give(m, client);
    sto_mongo_free(&m);
    bson_destroy(cmd);
    pgn_buf_release(&problem);
}

static void a_wrong_index_is_refused(void **state)
{
    struct kit *k = kit_of(state);
    struct pgn_buf problem = {0};

    kit_shut(k);
    command(k, BCON_NEW("dropIndexes", "messages", "index", "conv_seq"));
    command(
        k, BCON_NEW("createIndexes", "messages", "indexes", "[", "{", "key", "{", "seq", BCON_INT32(1), "}", "name", "conv_seq", "}", "]"));
    assert_int_equal(kit_try_open(k, &problem), PGN_E_CONFLICT);
    assert_non_null(strstr(pgn_buf_cstr(&problem), "the index conv_seq of"));
    pgn_buf_release(&problem);
    command(k, BCON_NEW("dropIndexes", "messages", "index", "conv_seq"));
    kit_reopen(k); /* makes it again */
}

/* ---- what became of a commit in doubt ---- */

static int commit_in_doubt(struct kit *k, const char *conv, const char *client_id, enum sto_hook at)
{
    kit_text(k, "ann", conv, kit_version(k, conv), client_id, "y");
    hook_at = at;
    hook_left = 1;
    sto_ledger_test_hook = hook_once;
    int error = kit_commit(k);
    sto_ledger_test_hook = NULL;
    return error;
}

static enum sto_doubt doubt(struct kit *k)
{
    return k->store->ops->doubt(k->store, k->effects.commit);
}

static void a_commit_in_doubt_is_told_apart(void **state)
{
    struct kit *k = kit_of(state);
    struct sto_store *second;

    kit_users(k, "ann", "bob", NULL);
    const char *conv = kit_direct(k, "ann", "bob");
    assert_int_equal(kit_send(k, "ann", conv, "first", "x"), 0);
    /* Stored, the answer lost. */
    assert_int_equal(commit_in_doubt(k, conv, "second", STO_HOOK_UNCERTAIN), PGN_E_UNCERTAIN);
    assert_int_equal(doubt(k), STO_DOUBT_OPEN);
    assert_int_equal(k->store->ops->recover(k->store), 0);
    assert_int_equal(doubt(k), STO_DOUBT_STORED);
    assert_int_equal(kit_send(k, "bob", conv, "third", "z"), 0);
    assert_int_equal(doubt(k), STO_DOUBT_STORED);
    /* Stored without its rows. */
    assert_int_equal(commit_in_doubt(k, conv, "fourth", STO_HOOK_BEFORE_ROWS), PGN_E_UNCERTAIN);
    assert_int_equal(k->store->ops->recover(k->store), 0);
    assert_int_equal(doubt(k), STO_DOUBT_STORED);
    /* Never arrived: its number becomes another commit's. */
    assert_int_equal(commit_in_doubt(k, conv, "fifth", STO_HOOK_LOST), PGN_E_UNCERTAIN);
    assert_int_equal(k->store->ops->recover(k->store), 0);
    assert_int_equal(doubt(k), STO_DOUBT_OPEN); /* it may still be under way */
    assert_int_equal(kit_send(k, "bob", conv, "sixth", "z"), 0);
    assert_int_equal(doubt(k), STO_DOUBT_NOT);
    /* The same, and the number becomes another instance's. */
    second = open_second(k);
    assert_int_equal(commit_in_doubt(k, conv, "fifth", STO_HOOK_LOST), PGN_E_UNCERTAIN);
    swap(k, &second);
    assert_int_equal(kit_send(k, "bob", conv, "seventh", "z"), 0);
    swap(k, &second);
    assert_int_equal(k->store->ops->recover(k->store), 0);
    assert_int_equal(doubt(k), STO_DOUBT_NOT);
    /* Stored, but others have gone on behind it: too late to be published. */
    assert_int_equal(commit_in_doubt(k, conv, "eighth", STO_HOOK_UNCERTAIN), PGN_E_UNCERTAIN);
    swap(k, &second);
    assert_int_equal(kit_send(k, "bob", conv, "ninth", "z"), 0);
    swap(k, &second);
    assert_int_equal(k->store->ops->recover(k->store), 0);
    assert_int_equal(doubt(k), STO_DOUBT_NOT);
    dense(k, conv, 8);
    second->ops->close(second);
}

int main(void)
{
    static const struct CMUnitTest several[] = {
        KIT_TEST(two_stores_take_turns),
        KIT_TEST(retry_keys_of_an_unset_clock_are_not_swept),
        KIT_TEST(the_rest_of_an_entry_is_stored),
        KIT_TEST(the_directory_follows),
        KIT_TEST(two_writers_contend),
        KIT_TEST(paused_before_the_insert_it_loses),
        KIT_TEST(dead_before_the_rows_the_other_writes_them),
        KIT_TEST(a_commit_in_doubt_is_told_apart),
        KIT_TEST(an_uncertain_insert_is_found_again),
        KIT_TEST(after_a_long_sleep_a_ghost_is_taken_back),
        KIT_TEST(one_holds_the_lease),
        KIT_TEST(a_wrong_index_is_refused),
    };

    return kit_mongo_there() ? KIT_RUN_ON("mongodb", several) : 0;
}
