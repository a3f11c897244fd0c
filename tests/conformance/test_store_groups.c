/* Groups: members come, go and change; what they see; receipts; ten thousand of them. On every store. */
#include "tests/conformance/support/store_kit.h"

#include "common/proto/subjects.h"

#include <stdio.h>
#include <string.h>

static Pigeon__MembersPage *members(struct kit *k, const char *conv, const char *after, uint32_t limit)
{
    Pigeon__ConvRequest request = PIGEON__CONV_REQUEST__INIT;
    Pigeon__Members ask = PIGEON__MEMBERS__INIT;
    Pigeon__Reply *reply = pgn_arena_alloc(k->arena, sizeof *reply);

    pigeon__reply__init(reply);
    ask.conv = pgn_arena_strdup(k->arena, conv);
    ask.after = pgn_arena_strdup(k->arena, after);
    ask.limit = limit;
    request.what_case = PIGEON__CONV_REQUEST__WHAT_MEMBERS;
    request.members = &ask;
    assert_int_equal(k->store->ops->read(k->store, &request, 0, k->arena, reply), 0);
    return reply->ok->members;
}

static int change(struct kit *k, const char *by, const char *conv, Pigeon__Op op, const char *user, const char *id)
{
    Pigeon__GroupChange *c = kit_change(k, by, conv, KIT_NOW, op, id);

    if (user)
        kit_member(k, c, user, op == PIGEON__OP__role_changed ? PIGEON__ROLE__admin : PIGEON__ROLE__member,
                   op == PIGEON__OP__left || op == PIGEON__OP__kicked);
    assert_int_equal(kit_commit(k), 0);
    return k->results[0].error;
}

static void a_group_is_made(void **state)
{
    struct kit *k = kit_of(state);

    kit_users(k, "alice", "bob", "carol", NULL);
    const char *conv = kit_group(k, "alice", "bob", "carol", NULL);
    assert_int_equal(k->results[0].version, 1);
    assert_int_equal(k->results[0].sent->seq, 1);
    assert_int_equal(k->effects.policy_count, 1);
    Pigeon__Policy *policy = kit_policy(k, conv);
    assert_true(policy->found);
    assert_int_equal(policy->kind, PIGEON__CONV_KIND__group);
    assert_string_equal(policy->title, "A group");
    assert_int_equal(policy->n_members, 3);
    assert_string_equal(policy->members[0]->user, "alice");
    assert_int_equal(policy->members[0]->role, PIGEON__ROLE__owner);
    assert_int_equal(policy->members[1]->role, PIGEON__ROLE__member);
    assert_int_equal(policy->members[1]->first_seq, 1);
    Pigeon__Message *m = kit_fetch(k, conv, 0, 0, 10, 1)->messages[0];
    assert_int_equal(m->kind, PIGEON__KIND__operation);
    assert_int_equal(m->body->operation->op, PIGEON__OP__created);
    assert_int_equal(m->body->operation->n_users, 2);
    /* Everybody hears that he is in. */
    size_t joined = 0;
    for (size_t i = 0; i < k->effects.event_count; i++) {
        Pigeon__Event *e = kit_event(k, i);

        joined += e->what_case == PIGEON__EVENT__WHAT_MEMBERSHIP && e->membership->joined &&
                  strncmp(k->effects.events[i].subject, PGN_SUBJ_USER, strlen(PGN_SUBJ_USER)) == 0;
    }
    assert_int_equal(joined, 3);
    Pigeon__ConvState *s = kit_state(k, "bob", conv);
    assert_int_equal(s->unread, 0);
    assert_int_equal(s->members, 3);
    assert_string_equal(s->title, "A group");
}

static void making_it_twice(void **state)
{
    struct kit *k = kit_of(state);

    kit_users(k, "alice", "bob", NULL);
    const char *conv = kit_group(k, "alice", "bob", NULL);
    kit_member(k, kit_change(k, "alice", conv, 0, PIGEON__OP__created, conv), "alice", PIGEON__ROLE__owner, false); /* a retry */
    kit_member(k, kit_change(k, "alice", conv, 0, PIGEON__OP__created, "else"), "alice", PIGEON__ROLE__owner, false);
    assert_int_equal(kit_commit(k), 0);
    assert_int_equal(k->results[0].error, 0);
    assert_int_equal(k->results[0].sent->seq, 1);
    assert_int_equal(k->results[0].version, 1);
    assert_int_equal(k->results[1].error, PGN_E_CONFLICT);
    assert_int_equal(kit_policy(k, conv)->n_members, 2);
}

static void members_come_and_go(void **state)
{
    struct kit *k = kit_of(state);

    kit_users(k, "alice", "bob", "carol", "dave", NULL);
    const char *conv = kit_group(k, "alice", "bob", NULL);
    assert_int_equal(kit_send(k, "alice", conv, "1", "before carol"), 0);
    assert_int_equal(change(k, "alice", conv, PIGEON__OP__invited, "carol", "2"), 0);
    assert_int_equal(k->results[0].version, 2);
    assert_int_equal(kit_policy(k, conv)->n_members, 3);
    assert_int_equal(kit_policy(k, conv)->members[2]->first_seq, 3); /* not what was before */
    size_t told = 0;
    for (size_t i = 0; i < k->effects.event_count; i++) {
        Pigeon__Event *e = kit_event(k, i);

        told += e->what_case == PIGEON__EVENT__WHAT_MEMBERSHIP && e->membership->first_seq == 3;
    }
    assert_int_equal(told, 1);
    Pigeon__ConvState *carol = kit_state(k, "carol", conv);
    assert_int_equal(carol->unread, 0);
    assert_int_equal(carol->read_seq, 2);
    assert_int_equal(kit_send(k, "bob", conv, "3", "hello carol"), 0);
    assert_int_equal(kit_state(k, "carol", conv)->unread, 1);
    char *cursor = kit_sync(k, "carol", "", 10)->cursor;
    assert_int_equal(change(k, "alice", conv, PIGEON__OP__kicked, "carol", "4"), 0);
    assert_null(kit_state(k, "carol", conv));
    Pigeon__SyncPage *page = kit_sync(k, "carol", cursor, 10);
    assert_int_equal(page->n_convs, 1);
    assert_true(page->convs[0]->gone);
    assert_null(page->convs[0]->last_message);
    assert_int_equal(kit_sync(k, "carol", page->cursor, 10)->n_convs, 0);
    assert_int_equal(kit_send(k, "alice", conv, "5", "without carol"), 0);
    assert_int_equal(kit_sync(k, "carol", page->cursor, 10)->n_convs, 0); /* a change that does not concern her */
    assert_int_equal(kit_send(k, "carol", conv, "6", "let me in"), PGN_E_FORBIDDEN);
    assert_int_equal(change(k, "bob", conv, PIGEON__OP__left, "bob", "7"), 0);
    assert_int_equal(change(k, "carol", conv, PIGEON__OP__joined, "carol", "8"), 0);
    assert_int_equal(kit_policy(k, conv)->n_members, 2);
    assert_int_equal(kit_state(k, "carol", conv)->read_seq, 8); /* her own joining */
    assert_int_equal(change(k, "alice", conv, PIGEON__OP__invited, "nobody", "9"), PGN_E_NOT_FOUND);
}

static void history_for_new_members(void **state)
{
    struct kit *k = kit_of(state);
    Pigeon__Settings settings = PIGEON__SETTINGS__INIT;

    kit_users(k, "alice", "bob", NULL);
    const char *conv = kit_group(k, "alice", NULL);
    assert_int_equal(kit_send(k, "alice", conv, "1", "old"), 0);
    Pigeon__GroupChange *c = kit_change(k, "alice", conv, KIT_NOW, PIGEON__OP__updated, "2");
    settings.history = true;
    c->settings = &settings;
    static char title[] = "New title";
    c->title = title;
    assert_int_equal(kit_commit(k), 0);
    assert_int_equal(change(k, "alice", conv, PIGEON__OP__invited, "bob", "3"), 0);
    Pigeon__Policy *policy = kit_policy(k, conv);
    assert_string_equal(policy->title, "New title");
    assert_true(policy->settings->history);
    assert_int_equal(policy->members[1]->first_seq, 1);
    assert_int_equal(kit_state(k, "bob", conv)->unread, 0);
}

static void roles_and_mutes(void **state)
{
    struct kit *k = kit_of(state);

    kit_users(k, "alice", "bob", NULL);
    const char *conv = kit_group(k, "alice", "bob", NULL);
    assert_int_equal(change(k, "alice", conv, PIGEON__OP__role_changed, "bob", "1"), 0);
    assert_int_equal(kit_policy(k, conv)->members[1]->role, PIGEON__ROLE__admin);
    Pigeon__GroupChange *c = kit_change(k, "alice", conv, KIT_NOW, PIGEON__OP__muted, "2");
    kit_member(k, c, "bob", PIGEON__ROLE__role_unset, false)->muted_until = 1234567;
    assert_int_equal(kit_commit(k), 0);
    assert_int_equal(kit_policy(k, conv)->members[1]->muted_until, 1234567);
    assert_int_equal(kit_policy(k, conv)->members[1]->role, PIGEON__ROLE__admin); /* as it was */
    kit_change(k, "alice", conv, KIT_NOW, PIGEON__OP__muted, "3")->muted_until = 99;
    assert_int_equal(kit_commit(k), 0);
    assert_int_equal(kit_policy(k, conv)->muted_until, 99);
    assert_int_equal(kit_version(k, conv), 4);
    Pigeon__Message *m = kit_fetch(k, conv, 1, 3, 1, 1)->messages[0];
    assert_int_equal(m->body->operation->role, PIGEON__ROLE__admin);
    assert_string_equal(m->body->operation->users[0], "bob");
}

static void a_change_makes_what_follows_stale(void **state)
{
    struct kit *k = kit_of(state);

    kit_users(k, "alice", "bob", "carol", NULL);
    const char *conv = kit_group(k, "alice", "bob", NULL);
    kit_member(k, kit_change(k, "alice", conv, 1, PIGEON__OP__kicked, "1"), "bob", 0, true);
    kit_text(k, "bob", conv, 1, "2", "still here");
    assert_int_equal(kit_commit(k), 0);
    assert_int_equal(k->results[0].error, 0);
    assert_int_equal(k->results[1].error, PGN_E_STALE);
    assert_int_equal(k->results[1].version, 2);
}

static void named_twice_counts_once(void **state)
{
    struct kit *k = kit_of(state);

    kit_users(k, "alice", "bob", NULL);
    const char *conv = kit_group(k, "alice", "bob", "bob", "alice", NULL);
    assert_int_equal(kit_policy(k, conv)->n_members, 2);
    assert_int_equal(kit_state(k, "bob", conv)->members, 2);
    Pigeon__GroupChange *c = kit_change(k, "alice", conv, KIT_NOW, PIGEON__OP__kicked, "1");
    kit_member(k, c, "bob", 0, true);
    kit_member(k, c, "bob", 0, true);
    assert_int_equal(kit_commit(k), 0);
    assert_int_equal(kit_state(k, "alice", conv)->members, 1);
}

static void mentions_are_told(void **state)
{
    struct kit *k = kit_of(state);
    static char bob[] = "bob", all[] = "all";
    static char *one[] = {bob}, *everyone[] = {all};

    kit_users(k, "alice", "bob", "carol", NULL);
    const char *conv = kit_group(k, "alice", "bob", "carol", NULL);
    Pigeon__Append *a = kit_text(k, "alice", conv, KIT_NOW, "1", "@bob");
    a->mentions = one;
    a->n_mentions = 1;
    assert_int_equal(kit_commit(k), 0);
    assert_int_equal(kit_state(k, "bob", conv)->mentioned, 2);
    assert_int_equal(kit_state(k, "carol", conv)->mentioned, 0);
    a = kit_text(k, "alice", conv, KIT_NOW, "2", "@all");
    a->mentions = everyone;
    a->n_mentions = 1;
    assert_int_equal(kit_commit(k), 0);
    assert_int_equal(kit_state(k, "carol", conv)->mentioned, 3);
    assert_int_equal(kit_state(k, "alice", conv)->mentioned, 0);
    kit_mark(k, "bob", conv, 3, 0);
    assert_int_equal(kit_commit(k), 0);
    assert_int_equal(kit_state(k, "bob", conv)->mentioned, 0);
}

static void receipts_tell_who_has_read(void **state)
{
    struct kit *k = kit_of(state);
    Pigeon__ConvRequest request = PIGEON__CONV_REQUEST__INIT;
    Pigeon__Receipts ask = PIGEON__RECEIPTS__INIT;
    Pigeon__Reply reply = PIGEON__REPLY__INIT;

    kit_users(k, "alice", "bob", "carol", "dave", NULL);
    const char *conv = kit_group(k, "alice", "bob", "carol", "dave", NULL);
    assert_int_equal(kit_send(k, "alice", conv, "1", "x"), 0);
    kit_mark(k, "bob", conv, 2, 0);
    kit_mark(k, "carol", conv, 0, 2);
    assert_int_equal(kit_commit(k), 0);
    ask.conv = pgn_arena_strdup(k->arena, conv);
    ask.seq = 2;
    request.what_case = PIGEON__CONV_REQUEST__WHAT_RECEIPTS;
    request.receipts = &ask;
    assert_int_equal(k->store->ops->read(k->store, &request, 0, k->arena, &reply), 0);
    Pigeon__ReceiptList *l = reply.ok->receipts;
    assert_int_equal(l->members, 3);
    assert_int_equal(l->read_count, 1);
    assert_string_equal(l->read[0], "bob");
    assert_int_equal(l->delivered_count, 2);
    ask.seq = 9;
    pigeon__reply__init(&reply);
    assert_int_equal(k->store->ops->read(k->store, &request, 0, k->arena, &reply), PGN_E_NOT_FOUND);
}

static void routes_are_groups_only(void **state)
{
    struct kit *k = kit_of(state);
    Pigeon__ConvRequest request = PIGEON__CONV_REQUEST__INIT;
    Pigeon__CommonConvs ask = PIGEON__COMMON_CONVS__INIT;
    Pigeon__Reply reply = PIGEON__REPLY__INIT;
    static char bob[] = "bob";

    kit_users(k, "alice", "bob", NULL);
    const char *stays = kit_group(k, "alice", "bob", NULL), *leaves = kit_group(k, "alice", "bob", NULL);
    assert_int_equal(kit_send(k, "alice", kit_direct(k, "alice", "bob"), "1", "x"), 0);
    assert_int_equal(change(k, "bob", leaves, PIGEON__OP__left, "bob", "2"), 0);
    ask.user = bob;
    request.what_case = PIGEON__CONV_REQUEST__WHAT_ROUTES;
    request.routes = &ask;
    assert_int_equal(k->store->ops->read(k->store, &request, 0, k->arena, &reply), 0);
    assert_int_equal(reply.strings->n_values, 1);
    assert_string_equal(reply.strings->values[0], stays);
}

/* A thousand where each is a question to a server. */
static void ten_thousand_members(void **state)
{
    struct kit *k = kit_of(state);
    const size_t many = kit_slow() ? 1000 : 10000;
    char conv[PGN_CONV_MAX + 1], user[16], after[PGN_USER_MAX + 1] = "";
    size_t seen = 0;

    kit_users(k, "owner", NULL);
    kit_user_many(k, "u", many - 1);
    pgn_conv_group_new(conv);
    Pigeon__GroupChange *c = kit_change(k, "owner", conv, 0, PIGEON__OP__created, "1");
    c->members = pgn_arena_alloc(k->arena, many * sizeof(Pigeon__MemberChange *));
    c->n_members = many;
    for (size_t i = 0; i < many; i++) {
        Pigeon__MemberChange *m = pgn_arena_alloc(k->arena, sizeof *m);

        pigeon__member_change__init(m);
        snprintf(user, sizeof user, "u%zu", i);
        m->user = pgn_arena_strdup(k->arena, i == many - 1 ? "owner" : user);
        m->role = i == many - 1 ? PIGEON__ROLE__owner : PIGEON__ROLE__member;
        c->members[i] = m;
    }
    assert_int_equal(kit_commit(k), 0);
    assert_int_equal(k->results[0].error, 0);
    assert_int_equal(kit_policy(k, conv)->n_members, many);
    assert_true(kit_fetch(k, conv, 0, 0, 1, 1)->messages[0]->body->operation->n_users <= 100);
    for (bool more = true; more;) {
        Pigeon__MembersPage *page = members(k, conv, after, 1000);

        assert_true(page->n_members > 0 && page->n_members <= 1000);
        assert_true(strcmp(page->members[0]->user, after) > 0);
        seen += page->n_members;
        memcpy(after, page->members[page->n_members - 1]->user, strlen(page->members[page->n_members - 1]->user) + 1);
        more = page->more;
    }
    assert_int_equal(seen, many);
    assert_int_equal(kit_send(k, "u77", conv, "2", "hello all"), 0);
    assert_int_equal(k->effects.event_count, 1); /* one row, one event: not ten thousand */
    assert_int_equal(kit_state(k, "u998", conv)->unread, 1);
}

int main(void)
{
    static const struct CMUnitTest groups[] = {
        KIT_TEST(a_group_is_made),         KIT_TEST(making_it_twice),      KIT_TEST(members_come_and_go),
        KIT_TEST(history_for_new_members), KIT_TEST(roles_and_mutes),      KIT_TEST(a_change_makes_what_follows_stale),
        KIT_TEST(named_twice_counts_once), KIT_TEST(mentions_are_told),    KIT_TEST(receipts_tell_who_has_read),
        KIT_TEST(routes_are_groups_only),  KIT_TEST(ten_thousand_members),
    };

    KIT_RUN(groups);
}
