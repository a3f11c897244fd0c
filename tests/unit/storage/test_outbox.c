/* The order of what is published: events of a subject together, but none behind a membership in a message before it. */
#include "common/base/alloc.h"
#include "services/storage/outbox.h"

#include "tests/unit/common/test.h"

#include <string.h>

static void say(struct sto_effects *e, const char *subject)
{
    static const uint8_t event[] = {0x08, 0x01};
    sto_effects_event(e, subject, event, sizeof event);
}

static void membership(struct sto_effects *e, const char *user, bool joined)
{
    Pigeon__Membership m = PIGEON__MEMBERSHIP__INIT;
    Pigeon__Event event = PIGEON__EVENT__INIT;
    m.joined = joined;
    event.what_case = PIGEON__EVENT__WHAT_MEMBERSHIP;
    event.membership = &m;
    sto_effects_user(e, user, &event);
}

static void expect(struct sto_effects *e, const char *const *subjects, size_t count)
{
    struct sto_outbox out = {0};
    sto_outbox_events(&out, e);
    assert_int_equal(out.count, count);
    for (size_t i = 0; i < count; i++)
        assert_string_equal(out.messages[i].subject, subjects[i]);
    sto_outbox_release(&out);
}

static void test_a_subject_goes_together(void **state)
{
    static const char *const want[] = {"conv.a", "user.bob", "conv.b"};
    struct pgn_arena *arena = pgn_arena_new(1024);
    struct sto_effects e;
    (void)state;
    sto_effects_init(&e, arena);
    say(&e, "conv.a");
    say(&e, "user.bob");
    say(&e, "conv.b");
    say(&e, "conv.a");
    say(&e, "user.bob");
    expect(&e, want, 3);
    pgn_arena_free(&arena);
}

static void test_nothing_overtakes_a_membership(void **state)
{
    static const char *const want[] = {"conv.a", "user.bob", "conv.a", "user.bob", "conv.a"};
    struct pgn_arena *arena = pgn_arena_new(1024);
    struct sto_effects e;
    (void)state;
    sto_effects_init(&e, arena);
    say(&e, "conv.a"); /* bob left */
    membership(&e, "bob", false);
    say(&e, "user.bob"); /* the same message as the membership */
    say(&e, "conv.a");   /* not for bob */
    say(&e, "conv.a");
    membership(&e, "bob", true);
    say(&e, "conv.a"); /* for him again */
    expect(&e, want, 5);
    pgn_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_subject_goes_together),
        cmocka_unit_test(test_nothing_overtakes_a_membership),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
