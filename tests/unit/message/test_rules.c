/* The whole matrix: operation x who, as a table that reads like docs/PROTOCOL.md. */
#include "tests/unit/common/test.h"

#include "common/base/error.h"
#include "services/message/msg_rules.h"

enum { NOW = 1000000 };
#define GROUP "cabcdefghijklmnop"

enum who { OWNER, ADMIN, MEMBER, EX_MEMBER, STRANGER, MUTED, DISABLED, WHO };
static const char *const names[WHO] = {"owner", "admin", "member", "gone", "stranger", "muted", "disabled"};

static Pigeon__PolicyMember *member(const char *user, Pigeon__Role role)
{
    Pigeon__PolicyMember *m = calloc(1, sizeof *m);
    pigeon__policy_member__init(m);
    m->user = strdup(user);
    m->role = role;
    return m;
}

/* The members are freed with the description; the policy has its own copies. */
static struct msg_policy *make(Pigeon__Policy *from, Pigeon__PolicyMember **members, size_t count)
{
    from->members = members;
    from->n_members = count;
    struct msg_policy *p = msg_policy_new(from);
    for (size_t i = 0; i < count; i++) {
        free(members[i]->user);
        free(members[i]);
    }
    return p;
}

struct options {
    bool open, members_invite, group_muted;
};

static struct msg_policy *group(struct options o)
{
    Pigeon__Policy from = PIGEON__POLICY__INIT;
    Pigeon__Settings settings = PIGEON__SETTINGS__INIT;
    char conv[] = GROUP;
    from.conv = conv;
    from.found = true;
    from.kind = PIGEON__CONV_KIND__group;
    from.settings = &settings;
    from.muted_until = o.group_muted ? NOW + 1 : NOW;
    settings.open = o.open;
    settings.members_invite = o.members_invite;
    Pigeon__PolicyMember *list[] = {member("owner", PIGEON__ROLE__owner), member("member", PIGEON__ROLE__member),
                                    member("admin", PIGEON__ROLE__admin), member("muted", PIGEON__ROLE__member),
                                    member("disabled", PIGEON__ROLE__member)};
    list[3]->muted_until = NOW + 60000;
    list[4]->disabled = true;
    return make(&from, list, PGN_COUNT(list));
}

static struct msg_policy *direct(bool alice_blocks, bool bob_blocks, bool bob_disabled)
{
    Pigeon__Policy from = PIGEON__POLICY__INIT;
    char conv[] = "d:alice:bob";
    from.conv = conv;
    from.found = true;
    from.kind = PIGEON__CONV_KIND__direct;
    Pigeon__PolicyMember *list[] = {member("bob", PIGEON__ROLE__member), member("alice", PIGEON__ROLE__member)};
    list[1]->blocks_other = alice_blocks;
    list[0]->blocks_other = bob_blocks;
    list[0]->disabled = bob_disabled;
    return make(&from, list, PGN_COUNT(list));
}

/* One letter for each of enum who: y may, f forbidden. */
static const struct row {
    enum msg_action action;
    const char *plain, *open, *members_invite, *group_muted;
} matrix[] = {
    /* owner, admin, member, ex-member, stranger, muted, disabled: plain; open; members invite; group muted */
    {MSG_SEND, "yyyffff", "yyyffff", "yyyffff", "yyfffff"},     {MSG_RECALL, "yyyffyf", "yyyffyf", "yyyffyf", "yyyffyf"},
    {MSG_EDIT, "yyyffff", "yyyffff", "yyyffff", "yyfffff"},     {MSG_REACT, "yyyffff", "yyyffff", "yyyffff", "yyfffff"},
    {MSG_MARK, "yyyffyf", "yyyffyf", "yyyffyf", "yyyffyf"},     {MSG_TYPING, "yyyffff", "yyyffff", "yyyffff", "yyfffff"},
    {MSG_FETCH, "yyyffyf", "yyyffyf", "yyyffyf", "yyyffyf"},    {MSG_MEMBERS, "yyyffyf", "yyyffyf", "yyyffyf", "yyyffyf"},
    {MSG_RECEIPTS, "yyyffyf", "yyyffyf", "yyyffyf", "yyyffyf"}, {MSG_INFO, "yyyffyf", "yyyffyf", "yyyffyf", "yyyffyf"},
    {MSG_INVITE, "yyfffff", "yyfffff", "yyyffyf", "yyfffff"},   {MSG_JOIN, "yyyffyf", "yyyyyyf", "yyyffyf", "yyyffyf"},
    {MSG_LEAVE, "fyyffyf", "fyyffyf", "fyyffyf", "fyyffyf"},    {MSG_KICK, "yyfffff", "yyfffff", "yyfffff", "yyfffff"},
    {MSG_ROLE, "yffffff", "yffffff", "yffffff", "yffffff"},     {MSG_MUTE, "yyfffff", "yyfffff", "yyfffff", "yyfffff"},
    {MSG_UPDATE, "yyfffff", "yyfffff", "yyfffff", "yyfffff"},
};

static void check_column(struct options o, size_t column)
{
    struct msg_policy *p = group(o);
    for (size_t r = 0; r < PGN_COUNT(matrix); r++) {
        const char *const columns[] = {matrix[r].plain, matrix[r].open, matrix[r].members_invite, matrix[r].group_muted};
        for (int who = 0; who < WHO; who++) {
            struct msg_verdict v = {""};
            int e = msg_rules_check(p, names[who], matrix[r].action, NOW, &v);
            int expected = columns[column][who] == 'y' ? 0 : PGN_E_FORBIDDEN;
            if (e != expected)
                fail_msg("action %d by %s in column %zu gives %d (%s)", (int)matrix[r].action, names[who], column, e, v.text);
            assert_true(e == 0 || strlen(v.text) > 5);
        }
    }
    msg_policy_unref(&p);
}

static void test_matrix_of_groups(void **state)
{
    (void)state;
    assert_int_equal(PGN_COUNT(matrix), MSG_ACTIONS);
    check_column((struct options){0}, 0);
    check_column((struct options){.open = true}, 1);
    check_column((struct options){.members_invite = true}, 2);
    check_column((struct options){.group_muted = true}, 3);
}

static void check_direct(struct msg_policy *p, const char *user, bool may_write)
{
    for (int a = 0; a < MSG_ACTIONS; a++) {
        struct msg_verdict v = {""};
        bool group_only = a >= MSG_INVITE;
        bool write = a == MSG_SEND || a == MSG_EDIT || a == MSG_REACT || a == MSG_TYPING;
        int expected = group_only ? PGN_E_INVALID : write && !may_write ? PGN_E_FORBIDDEN : 0;
        assert_int_equal(msg_rules_check(p, user, (enum msg_action)a, NOW, &v), expected);
    }
    msg_policy_unref(&p);
}

static void test_direct_conversations(void **state)
{
    (void)state;
    check_direct(direct(false, false, false), "alice", true);
    check_direct(direct(false, false, false), "bob", true);
    check_direct(direct(true, false, false), "bob", false);  /* alice blocks bob */
    check_direct(direct(true, false, false), "alice", true); /* she may still write to him */
    check_direct(direct(false, true, false), "alice", false);
    check_direct(direct(false, false, true), "alice", false); /* bob is disabled */
}

static void test_strangers_of_direct_conversations(void **state)
{
    struct msg_policy *p = direct(false, false, false);
    struct msg_verdict v;
    (void)state;
    for (int a = 0; a < MSG_ACTIONS; a++)
        assert_true(msg_rules_check(p, "mallory", (enum msg_action)a, NOW, &v) < 0);
    msg_policy_unref(&p);
    p = direct(false, false, true);
    assert_int_equal(msg_rules_check(p, "bob", MSG_FETCH, NOW, &v), PGN_E_FORBIDDEN); /* disabled himself */
    msg_policy_unref(&p);
}

static void test_notes_to_oneself(void **state)
{
    Pigeon__Policy from = PIGEON__POLICY__INIT;
    char conv[] = "d:alice:alice";
    struct msg_verdict v;
    (void)state;
    from.conv = conv;
    from.found = true;
    from.kind = PIGEON__CONV_KIND__direct;
    Pigeon__PolicyMember *list[] = {member("alice", PIGEON__ROLE__member), member("alice", PIGEON__ROLE__member)};
    struct msg_policy *p = make(&from, list, 2);
    assert_non_null(p);
    assert_int_equal(p->members_count, 1);
    assert_int_equal(msg_rules_check(p, "alice", MSG_SEND, NOW, &v), 0);
    msg_policy_unref(&p);
}

static void check_not_found(const char *id, const char *user, int error, const char *text)
{
    Pigeon__Policy from = PIGEON__POLICY__INIT;
    char conv[80];
    struct msg_verdict v;
    snprintf(conv, sizeof conv, "%s", id);
    from.conv = conv;
    struct msg_policy *p = msg_policy_new(&from);
    assert_int_equal(msg_rules_check(p, user, MSG_SEND, NOW, &v), error);
    assert_string_equal(v.text, text);
    msg_policy_unref(&p);
}

static void test_not_found(void **state)
{
    (void)state;
    check_not_found("d:alice:nobody", "alice", PGN_E_NOT_FOUND, "no user nobody");
    check_not_found("d:alice:nobody", "mallory", PGN_E_FORBIDDEN, "not a member of d:alice:nobody");
    check_not_found(GROUP, "alice", PGN_E_NOT_FOUND, "no conversation " GROUP);
}

static void test_texts(void **state)
{
    struct msg_policy *p = group((struct options){0}), *d = direct(false, true, false);
    struct msg_verdict v;
    (void)state;
    assert_int_equal(msg_rules_check(p, "stranger", MSG_SEND, NOW, &v), PGN_E_FORBIDDEN);
    assert_string_equal(v.text, "not a member of " GROUP);
    assert_int_equal(msg_rules_check(p, "muted", MSG_SEND, NOW, &v), PGN_E_FORBIDDEN);
    assert_string_equal(v.text, "you are muted until 1970-01-01T00:17:40Z");
    assert_int_equal(msg_rules_check(p, "muted", MSG_SEND, NOW + 60000, &v), 0); /* it is over */
    assert_int_equal(msg_rules_check(d, "alice", MSG_SEND, NOW, &v), PGN_E_FORBIDDEN);
    assert_string_equal(v.text, "bob has blocked you");
    msg_policy_unref(&p);
    msg_policy_unref(&d);
}

/* Who may do it to whom: rows and columns owner, admin, member. */
static void test_targets(void **state)
{
    static const int expected[3][3] = {
        {PGN_E_INVALID, 0, 0},
        {PGN_E_FORBIDDEN, PGN_E_INVALID, 0},
        {PGN_E_FORBIDDEN, PGN_E_FORBIDDEN, PGN_E_INVALID},
    };
    static const enum msg_action actions[] = {MSG_KICK, MSG_ROLE, MSG_MUTE};
    struct msg_policy *p = group((struct options){0});
    struct msg_verdict v;
    (void)state;
    for (size_t a = 0; a < PGN_COUNT(actions); a++) {
        for (int i = 0; i < 3; i++)
            for (int j = 0; j < 3; j++)
                assert_int_equal(msg_rules_target(p, names[i], actions[a], names[j], &v), expected[i][j]);
        assert_int_equal(msg_rules_target(p, "owner", actions[a], "stranger", &v), PGN_E_NOT_FOUND);
        assert_int_equal(msg_rules_target(p, "stranger", actions[a], "member", &v), PGN_E_FORBIDDEN);
    }
    msg_policy_unref(&p);
}

static int mention(const struct msg_policy *p, const char *user, const char *whom)
{
    struct msg_verdict v;
    char name[80], *list[] = {name};
    snprintf(name, sizeof name, "%s", whom);
    return msg_rules_mentions(p, user, list, 1, &v);
}

static void test_mentions(void **state)
{
    struct msg_policy *p = group((struct options){0}), *d = direct(false, false, false);
    (void)state;
    assert_int_equal(mention(p, "member", "owner"), 0);
    assert_int_equal(mention(p, "member", "stranger"), PGN_E_INVALID);
    assert_int_equal(mention(p, "member", "a.*"), PGN_E_INVALID);
    assert_int_equal(mention(p, "member", "all"), PGN_E_FORBIDDEN);
    assert_int_equal(mention(p, "admin", "all"), 0);
    assert_int_equal(mention(p, "owner", "all"), 0);
    assert_int_equal(mention(d, "alice", "bob"), 0);
    assert_int_equal(mention(d, "alice", "all"), PGN_E_INVALID);
    assert_int_equal(mention(d, "alice", "carol"), PGN_E_INVALID);
    msg_policy_unref(&p);
    msg_policy_unref(&d);
}

static void test_own_only(void **state)
{
    struct msg_policy *p = group((struct options){0}), *d = direct(false, false, false);
    (void)state;
    assert_true(msg_rules_own_only(p, "member", MSG_RECALL));
    assert_false(msg_rules_own_only(p, "admin", MSG_RECALL));
    assert_false(msg_rules_own_only(p, "owner", MSG_RECALL));
    assert_true(msg_rules_own_only(p, "owner", MSG_EDIT));
    assert_false(msg_rules_own_only(p, "member", MSG_REACT));
    assert_true(msg_rules_own_only(d, "alice", MSG_RECALL));
    msg_policy_unref(&p);
    msg_policy_unref(&d);
}

/* 10,000 members: all are found, little memory. */
static void test_large_group(void **state)
{
    enum { COUNT = 10000 };
    static Pigeon__PolicyMember *list[COUNT];
    Pigeon__Policy from = PIGEON__POLICY__INIT;
    char conv[] = GROUP, name[40];
    (void)state;
    from.conv = conv;
    from.found = true;
    from.kind = PIGEON__CONV_KIND__group;
    for (int i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "user%d", (i * 7919) % COUNT);
        list[i] = member(name, i == 0 ? PIGEON__ROLE__owner : PIGEON__ROLE__member);
        list[i]->first_seq = (uint64_t)i;
        list[i]->muted_until = i % 1000 == 7 ? NOW : 0;
    }
    struct msg_policy *p = make(&from, list, COUNT);
    for (int i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "user%d", (i * 7919) % COUNT);
        const struct msg_member *m = msg_policy_member(p, name);
        assert_non_null(m);
        assert_string_equal(msg_policy_name(p, m), name);
        assert_int_equal(m->first_seq, i);
        assert_int_equal(msg_policy_muted_until(p, m), i % 1000 == 7 ? NOW : 0);
    }
    assert_null(msg_policy_member(p, "user10000"));
    assert_null(msg_policy_member(p, ""));
    msg_policy_unref(&p);
}

static void test_contradictions_are_no_policy(void **state)
{
    Pigeon__Policy from = PIGEON__POLICY__INIT;
    char conv[] = GROUP;
    (void)state;
    from.conv = conv;
    from.found = true;
    from.kind = PIGEON__CONV_KIND__group;
    Pigeon__PolicyMember *twice[] = {member("a", PIGEON__ROLE__member), member("a", PIGEON__ROLE__owner)};
    assert_null(make(&from, twice, 2));
    from.kind = PIGEON__CONV_KIND__conv_kind_unset;
    from.n_members = 0;
    assert_null(msg_policy_new(&from));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matrix_of_groups),
        cmocka_unit_test(test_direct_conversations),
        cmocka_unit_test(test_strangers_of_direct_conversations),
        cmocka_unit_test(test_notes_to_oneself),
        cmocka_unit_test(test_not_found),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_mentions),
        cmocka_unit_test(test_own_only),
        cmocka_unit_test(test_large_group),
        cmocka_unit_test(test_contradictions_are_no_policy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
