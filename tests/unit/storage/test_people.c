/* What the message log knows of users. */
#include "services/storage/people.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void versions_add_up(void **state)
{
    struct sto_people *p = sto_people_new();
    uint64_t version = 99;

    (void)state;
    assert_false(sto_people_direct(p, "alice", "bob", &version));
    sto_people_set(p, "alice", "Alice", false, 2);
    assert_false(sto_people_direct(p, "alice", "bob", &version));
    sto_people_set(p, "bob", "Bob", false, 3);
    assert_true(sto_people_direct(p, "alice", "bob", &version));
    assert_int_equal(version, 5);
    assert_true(sto_people_direct(p, "alice", "alice", &version));
    assert_int_equal(version, 2);
    assert_int_equal(sto_people_count(p), 2);
    sto_people_free(&p);
    assert_null(p);
}

static void blocks_have_a_direction(void **state)
{
    struct sto_people *p = sto_people_new();
    char name[8];

    (void)state;
    sto_people_set(p, "alice", "Alice with a long name", false, 0);
    sto_people_set(p, "bob", "Bob", true, 0);
    sto_people_block(p, "alice", "bob", true);
    sto_people_block(p, "alice", "bob", true);
    sto_people_block(p, "alice", "nobody", true);
    assert_true(sto_people_blocks(p, "alice", "bob"));
    assert_false(sto_people_blocks(p, "bob", "alice"));
    sto_people_block(p, "alice", "bob", false);
    assert_false(sto_people_blocks(p, "alice", "bob"));
    assert_true(sto_people_get(p, "bob").disabled);
    assert_false(sto_people_get(p, "nobody").exists);
    assert_true(sto_people_name(p, "alice", name, sizeof name));
    assert_string_equal(name, "Alice w");
    sto_people_free(&p);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {cmocka_unit_test(versions_add_up), cmocka_unit_test(blocks_have_a_direction)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
