#include "tests/unit/common/test.h"

#include "common/base/list.h"

struct item {
    int number;
    struct pgn_node node;
};

static void order_and_removal(void **state)
{
    struct pgn_node head;
    struct item items[5] = {{0, {0}}, {1, {0}}, {2, {0}}, {3, {0}}, {4, {0}}};
    int want[] = {4, 0, 2, 3}, at = 0;

    (void)state;
    pgn_list_init(&head);
    assert_true(pgn_list_empty(&head));
    for (int i = 0; i < 4; i++)
        pgn_list_append(&head, &items[i].node);
    pgn_list_prepend(&head, &items[4].node);
    assert_true(pgn_node_linked(&items[1].node));
    pgn_list_remove(&items[1].node);
    pgn_list_remove(&items[1].node);
    assert_false(pgn_node_linked(&items[1].node));
    PGN_LIST_EACH (n, &head) {
        struct item *it = (struct item *)(void *)((char *)n - offsetof(struct item, node));
        assert_int_equal(it->number, want[at++]);
    }
    assert_int_equal(at, 4);
    PGN_LIST_EACH_SAFE (n, &head)
        pgn_list_remove(n);
    assert_true(pgn_list_empty(&head));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(order_and_removal)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
