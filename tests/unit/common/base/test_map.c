#include "tests/unit/common/test.h"

#include "common/base/map.h"

enum { KEYS = 3000 };

struct entry {
    char key[16];
    bool in, walked;
};

static struct entry entries[KEYS], twins[KEYS];

static const void *key_of(const void *value, size_t *ret_len)
{
    const struct entry *e = value;
    *ret_len = strlen(e->key);
    return e->key;
}

static void name_all(void)
{
    for (int i = 0; i < KEYS; i++) {
        snprintf(entries[i].key, sizeof(entries[i].key), "key-%d", i);
        twins[i] = entries[i];
        entries[i].in = false;
    }
}

static void check_walk(const struct pgn_map *m, size_t count)
{
    size_t it = 0, walked = 0;
    struct entry *e;

    while ((e = pgn_map_next(m, &it))) {
        assert_true(e->in && !e->walked);
        e->walked = true;
        walked++;
    }
    assert_int_equal(walked, count);
    for (int i = 0; i < KEYS; i++)
        entries[i].walked = false;
}

/* Against a table of who is in; phases that grow and phases that shrink. */
static void random_operations_match_a_model(void **state)
{
    struct pgn_map *m = pgn_map_new(key_of);
    size_t count = 0;

    (void)state;
    name_all();
    for (int step = 0; step < 200000; step++) {
        struct entry *e = &entries[pgn_random_below(KEYS)];
        bool grow = step / 20000 % 2 == 0;
        if (pgn_random_below(4) == 0) {
            assert_ptr_equal(pgn_map_get_str(m, e->key), e->in ? e : NULL);
        } else if (pgn_random_below(10) < (grow ? 8 : 2)) {
            assert_ptr_equal(pgn_map_put(m, e), e->in ? e : NULL);
            count += !e->in;
            e->in = true;
        } else {
            assert_ptr_equal(pgn_map_remove_str(m, e->key), e->in ? e : NULL);
            count -= e->in;
            e->in = false;
        }
        assert_int_equal(pgn_map_count(m), count);
        if (step % 5000 == 0)
            check_walk(m, count);
    }
    pgn_map_free(&m);
    assert_null(m);
}

static void put_replaces_the_same_key(void **state)
{
    struct pgn_map *m = pgn_map_new(key_of);

    (void)state;
    name_all();
    assert_null(pgn_map_put(m, &entries[5]));
    assert_ptr_equal(pgn_map_put(m, &twins[5]), &entries[5]);
    assert_ptr_equal(pgn_map_get_str(m, "key-5"), &twins[5]);
    assert_int_equal(pgn_map_count(m), 1);
    assert_null(pgn_map_get(m, "key-", 4));
    assert_null(pgn_map_get(m, "", 0));
    pgn_map_free(&m);
}

static void what_a_walk_returned_may_be_removed(void **state)
{
    struct pgn_map *m = pgn_map_new(key_of);
    size_t it = 0, walked = 0;
    struct entry *e;

    (void)state;
    name_all();
    for (int i = 0; i < KEYS; i++)
        pgn_map_put(m, &entries[i]);
    while ((e = pgn_map_next(m, &it))) {
        assert_false(e->walked);
        e->walked = true;
        walked++;
        if (pgn_random_below(2))
            assert_ptr_equal(pgn_map_remove_str(m, e->key), e);
    }
    assert_int_equal(walked, KEYS);
    pgn_map_free(&m);
}

/* A map that always holds few but sees many must not fill up with what was removed, nor search for ever. */
static void turnover_ends(void **state)
{
    struct pgn_map *m = pgn_map_new(key_of);

    (void)state;
    name_all();
    for (int i = 0; i < 300000; i++) {
        pgn_map_put(m, &entries[i % KEYS]);
        if (i >= 5)
            assert_ptr_equal(pgn_map_remove_str(m, entries[(i - 5) % KEYS].key), &entries[(i - 5) % KEYS]);
    }
    assert_int_equal(pgn_map_count(m), 5);
    pgn_map_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_operations_match_a_model),
        cmocka_unit_test(put_replaces_the_same_key),
        cmocka_unit_test(what_a_walk_returned_may_be_removed),
        cmocka_unit_test(turnover_ends),
    };
    test_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
