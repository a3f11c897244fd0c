/* Both key-value engines give the same answers to the same random questions; views stay as they were. */
#include "common/base/error.h"
#include "common/base/random.h"
#include "services/storage/kv.h"
#include "services/storage/txn.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct two {
    struct sto_kv *memory, *rocks;
    char directory[64], path[80];
};

static int setup(void **state)
{
    struct two *t = calloc(1, sizeof *t);
    struct pgn_buf problem = {0};

    snprintf(t->directory, sizeof t->directory, "/tmp/pgn-kv-XXXXXX");
    assert_non_null(mkdtemp(t->directory));
    snprintf(t->path, sizeof t->path, "%s/log", t->directory);
    struct sto_kv_rocks_options options = {.path = t->path, .cache_bytes = 1u << 20, .memtable_bytes = 1u << 20, .retry_days = 14};
    assert_int_equal(sto_kv_rocks_open(&options, &t->rocks, &problem), 0);
    t->memory = sto_kv_memory_new();
    *state = t;
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static int teardown(void **state)
{
    struct two *t = *state;

    t->memory->ops->close(t->memory);
    t->rocks->ops->close(t->rocks);
    nftw(t->directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(t);
    return 0;
}

static struct sto_slice text(const char *s)
{
    return sto_slice_of(s, strlen(s));
}

struct seen {
    struct pgn_buf all;
    size_t count, limit;
};
static bool see(void *ctx, struct sto_slice key, struct sto_slice value)
{
    struct seen *s = ctx;

    pgn_buf_append(&s->all, key.data, key.len);
    pgn_buf_append_byte(&s->all, '=');
    pgn_buf_append(&s->all, value.data, value.len);
    pgn_buf_append_byte(&s->all, ';');
    return ++s->count < s->limit;
}

static struct seen scan(struct sto_kv *kv, struct sto_view *view, const char *from, const char *to, bool reverse, size_t limit)
{
    struct seen s = {.limit = limit};

    assert_int_equal(kv->ops->scan(kv, view, STO_CF_MAIN, text(from), text(to), reverse, see, &s), 0);
    return s;
}

static void random_write(struct two *t)
{
    char keys[20][16], values[20][16];
    struct sto_kv_put puts[20];

    for (int i = 0; i < 20; i++) {
        snprintf(keys[i], sizeof keys[i], "k%llu", (unsigned long long)pgn_random_below(300));
        snprintf(values[i], sizeof values[i], "v%llu", (unsigned long long)pgn_random_below(100000));
        puts[i] = (struct sto_kv_put){STO_CF_MAIN, pgn_random_below(4) == 0, text(keys[i]), text(values[i])};
    }
    assert_int_equal(t->memory->ops->write(t->memory, puts, 20, false), 0);
    assert_int_equal(t->rocks->ops->write(t->rocks, puts, 20, false), 0);
}

static void same_answers(void **state)
{
    struct two *t = *state;
    char from[16], to[16];

    pgn_random_seed_for_tests(99);
    for (int i = 0; i < 300; i++) {
        random_write(t);
        snprintf(from, sizeof from, "k%llu", (unsigned long long)pgn_random_below(300));
        snprintf(to, sizeof to, "k%llu", (unsigned long long)pgn_random_below(300));
        if (strcmp(from, to) >= 0)
            continue;
        bool reverse = pgn_random_below(2);
        size_t limit = 1 + (size_t)pgn_random_below(30);
        struct sto_view *mv = t->memory->ops->view_begin(t->memory), *rv = t->rocks->ops->view_begin(t->rocks);
        struct seen a = scan(t->memory, mv, from, to, reverse, limit), b = scan(t->rocks, rv, from, to, reverse, limit);
        assert_int_equal(a.count, b.count);
        assert_int_equal(a.all.len, b.all.len);
        if (a.all.len)
            assert_memory_equal(a.all.data, b.all.data, a.all.len);
        struct pgn_buf one = {0}, two = {0};
        int error = t->memory->ops->get(t->memory, mv, STO_CF_MAIN, text(from), &one);
        assert_int_equal(t->rocks->ops->get(t->rocks, rv, STO_CF_MAIN, text(from), &two), error);
        assert_int_equal(one.len, two.len);
        pgn_buf_release(&one);
        pgn_buf_release(&two);
        pgn_buf_release(&a.all);
        pgn_buf_release(&b.all);
        t->memory->ops->view_end(t->memory, mv);
        t->rocks->ops->view_end(t->rocks, rv);
    }
}

static void many_at_once(void **state)
{
    struct two *t = *state;
    struct sto_kv *both[2] = {t->memory, t->rocks};
    struct sto_kv_put put = {STO_CF_RETRY, false, text("there"), text("value")};

    for (int i = 0; i < 2; i++) {
        enum { MANY = 300 };
        struct sto_slice keys[MANY];
        struct pgn_buf values[MANY] = {{0}};

        assert_int_equal(both[i]->ops->write(both[i], &put, 1, true), 0);
        for (size_t n = 0; n < MANY; n++)
            keys[n] = n % 3 ? text("not there") : text("there");
        assert_int_equal(both[i]->ops->get_many(both[i], STO_CF_RETRY, MANY, keys, values), 0);
        for (size_t n = 0; n < MANY; n++) {
            assert_int_equal(values[n].len, n % 3 ? 0 : 5);
            pgn_buf_release(&values[n]);
        }
    }
}

static void a_transaction_sees_itself(void **state)
{
    struct two *t = *state;
    struct pgn_arena *arena = pgn_arena_new(4096);
    struct pgn_buf value = {0};
    struct sto_key key = sto_key_state(1), other = sto_key_state(2);
    struct sto_txn txn;

    sto_txn_begin(&txn, t->memory, arena);
    assert_int_equal(sto_txn_get(&txn, STO_CF_MAIN, &key, &value), PGN_E_NOT_FOUND);
    sto_txn_put(&txn, STO_CF_MAIN, &key, text("one"));
    sto_txn_put(&txn, STO_CF_MAIN, &key, text("two"));
    sto_txn_put(&txn, STO_CF_MSG, &key, text("another family"));
    assert_int_equal(sto_txn_get(&txn, STO_CF_MAIN, &key, &value), 0);
    assert_memory_equal(value.data, "two", 3);
    assert_int_equal(txn.count, 2);
    assert_null(sto_txn_peek(&txn, STO_CF_MAIN, &other));
    assert_int_equal(t->memory->ops->get(t->memory, NULL, STO_CF_MAIN, sto_key_slice(&key), &value), PGN_E_NOT_FOUND);
    assert_int_equal(sto_txn_write(&txn, true), 0);
    sto_txn_end(&txn);
    assert_int_equal(t->memory->ops->get(t->memory, NULL, STO_CF_MAIN, sto_key_slice(&key), &value), 0);
    pgn_buf_release(&value);
    pgn_arena_free(&arena);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(same_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(many_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_transaction_sees_itself, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
