/* The order of what is published: events of a subject together, but none behind a membership in a message before it. */
#include "common/base/alloc.h"
#include "common/proto/subjects.h"
#include "services/storage/outbox.h"

#include "tests/unit/common/test.h"

#include <stdio.h>
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

/* Users share subjects. */
static const char *bus_subject(const char *subject)
{
    static char text[PGN_USER_SUBJECT_BYTES];
    if (strncmp(subject, PGN_SUBJ_USER, strlen(PGN_SUBJ_USER)) != 0)
        return subject;
    pgn_user_subject(pgn_user_subject_number(subject + strlen(PGN_SUBJ_USER)), text);
    return text;
}

static void expect(struct sto_effects *e, const char *const *subjects, size_t count)
{
    struct sto_outbox out = {0};
    sto_outbox_events(&out, e);
    assert_int_equal(out.count, count);
    for (size_t i = 0; i < count; i++)
        assert_string_equal(out.messages[i].subject, bus_subject(subjects[i]));
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

/* Two users of one subject: one message, each event says whose it is, and what is for both stands there once. */
static void test_users_share_a_subject(void **state)
{
    char other[16], subject[32];
    struct pgn_arena *arena = pgn_arena_new(1024);
    struct sto_effects e;
    struct sto_outbox out = {0};
    (void)state;
    for (unsigned i = 0; snprintf(other, sizeof other, "u%u", i), pgn_user_subject_number(other) != pgn_user_subject_number("bob");)
        i++;
    snprintf(subject, sizeof subject, PGN_SUBJ_USER "%s", other);
    sto_effects_init(&e, arena);
    static const uint8_t direct[] = {0x08, 0x02};
    say(&e, "user.bob");
    sto_effects_event(&e, "user.bob", direct, sizeof direct); /* one event for both sides */
    sto_effects_event(&e, subject, direct, sizeof direct);
    sto_outbox_events(&out, &e);
    assert_int_equal(out.count, 1);
    Pigeon__Events *events = PGN_PB_UNPACK(Pigeon__Events, pigeon__events, arena, out.messages[0].data.data, out.messages[0].data.len);
    assert_non_null(events);
    assert_int_equal(events->n_events, 2);
    assert_int_equal(events->events[0]->n_users, 1);
    assert_string_equal(events->events[0]->users[0], "bob");
    assert_int_equal(events->events[1]->n_users, 2);
    assert_string_equal(events->events[1]->users[0], "bob");
    assert_string_equal(events->events[1]->users[1], other);
    assert_int_equal(events->events[1]->commit, 2);
    sto_outbox_release(&out);
    pgn_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_subject_goes_together),
        cmocka_unit_test(test_nothing_overtakes_a_membership),
        cmocka_unit_test(test_users_share_a_subject),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
