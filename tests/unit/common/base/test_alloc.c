#include "tests/unit/common/test.h"

#include "common/base/alloc.h"

enum { PIECES = 2000 };

static void arena_pieces_do_not_overlap(void **state)
{
    struct pgn_arena *a = pgn_arena_new(1024);
    static uint8_t *piece[PIECES];
    static size_t size[PIECES];

    (void)state;
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < PIECES; i++) {
            size[i] = pgn_random_below(pgn_random_below(10) == 0 ? 5000 : 100);
            piece[i] = pgn_arena_alloc(a, size[i]);
            assert_int_equal((uintptr_t)piece[i] % 16, 0);
            memset(piece[i], (int)(i & 0xff), size[i]);
        }
        for (size_t i = 0; i < PIECES; i++)
            for (size_t k = 0; k < size[i]; k++)
                assert_int_equal(piece[i][k], i & 0xff);
        pgn_arena_reset(a);
    }
    pgn_arena_free(&a);
    assert_null(a);
    pgn_arena_free(&a);
}

static void arena_reset_gives_the_first_chunk_back(void **state)
{
    struct pgn_arena *a = pgn_arena_new(4096);
    void *first = pgn_arena_alloc(a, 10), *again;

    (void)state;
    for (int i = 0; i < 100; i++)
        pgn_arena_alloc(a, 1000);
    pgn_arena_reset(a);
    again = pgn_arena_alloc(a, 10);
    assert_ptr_equal(first, again);
    pgn_arena_free(&a);
}

static void a_large_piece_does_not_end_the_small_chunk(void **state)
{
    struct pgn_arena *a = pgn_arena_new(4096);
    uint8_t *small = pgn_arena_alloc(a, 16), *next;

    (void)state;
    memset(pgn_arena_alloc(a, 100000), 7, 100000);
    next = pgn_arena_alloc(a, 16);
    assert_true(next > small && next - small < 4096);
    pgn_arena_free(&a);
}

static void strings_are_copied(void **state)
{
    struct pgn_arena *a = pgn_arena_new(64);
    char text[] = "hello", *copy = pgn_strdup(text), *in_arena = pgn_arena_strdup(a, text);

    (void)state;
    text[0] = 'j';
    assert_string_equal(copy, "hello");
    assert_string_equal(in_arena, "hello");
    assert_null(pgn_strdup(NULL));
    free(copy);
    copy = pgn_memdup("", 0);
    assert_non_null(copy);
    free(copy);
    pgn_arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arena_pieces_do_not_overlap),
        cmocka_unit_test(arena_reset_gives_the_first_chunk_back),
        cmocka_unit_test(a_large_piece_does_not_end_the_small_chunk),
        cmocka_unit_test(strings_are_copied),
    };
    test_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
