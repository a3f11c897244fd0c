/* Operations and the policies that they are refused by; the bus is a list of requests, storage what the test answers. */
#include "tests/unit/common/test.h"

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/proto/subjects.h"
#include "services/message/msg_op.h"

#define GROUP  "cabcdefghijklmnop"
#define DIRECT "d:alice:bob"

enum { CALLS = 256, MEMBERS = 8 };

static struct msg_service service;
static struct pgn_config config;
static struct msg_load *loads[CALLS];
static char asked_conv[80];
static size_t loads_count, loads_answered;
static struct call {
    char subject[32];
    struct pgn_buf data;
    pgn_bus_answer *answer;
    void *ctx;
} calls[CALLS];
static size_t calls_count;
static size_t answers_count, refusals_count;
static int last_error; /* of an operation's answer */
static char last_text[200];

/* ---- the bus ---- */

int pgn_bus_publish(struct pgn_bus *bus, const char *subject, const char *reply, const void *data, size_t len)
{
    (void)bus;
    (void)reply;
    assert_string_equal(subject, "inbox");
    Pigeon__Reply *r = pigeon__reply__unpack(NULL, len, data);
    assert_non_null(r);
    last_error = r->error;
    snprintf(last_text, sizeof last_text, "%s", r->text);
    answers_count++;
    refusals_count += r->error != 0;
    pigeon__reply__free_unpacked(r, NULL);
    return 0;
}

void pgn_bus_request(struct pgn_bus *bus, const char *subject, const void *data, size_t len, uint64_t deadline_ms, pgn_bus_answer *answer,
                     void *ctx)
{
    (void)bus;
    (void)deadline_ms;
    assert_true(calls_count < CALLS);
    struct call *c = &calls[calls_count++];
    snprintf(c->subject, sizeof c->subject, "%s", subject);
    pgn_buf_append(&c->data, data, len);
    c->answer = answer;
    c->ctx = ctx;
}

void pgn_bus_forget(struct pgn_bus *bus, const void *ctx)
{
    (void)bus;
    (void)ctx;
}

/* For the service's skeleton, which is linked and does not run. */
int pgn_bus_new(struct pgn_loop *loop, const struct pgn_bus_options *options, struct pgn_bus **ret_bus)
{
    (void)loop;
    (void)options;
    (void)ret_bus;
    return PGN_E_UNAVAILABLE;
}

void pgn_bus_free(struct pgn_bus **bus)
{
    (void)bus;
}

bool pgn_bus_connected(const struct pgn_bus *bus)
{
    return bus != NULL;
}

uint64_t pgn_bus_max_payload(const struct pgn_bus *bus)
{
    return bus != NULL;
}

size_t pgn_bus_pending(const struct pgn_bus *bus)
{
    return bus != NULL;
}

void pgn_bus_write_last(struct pgn_bus *bus)
{
    (void)bus;
}

int pgn_bus_subscribe(struct pgn_bus *bus, const char *subject, const char *queue, pgn_bus_handler *handler, void *ctx,
                      struct pgn_bus_sub **ret_sub)
{
    (void)bus;
    (void)subject;
    (void)queue;
    (void)handler;
    (void)ctx;
    (void)ret_sub;
    return PGN_E_UNAVAILABLE;
}

void pgn_bus_unsubscribe(struct pgn_bus_sub **sub)
{
    (void)sub;
}

/* ---- storage ---- */

static void load(void *ctx, struct msg_load *l, char **convs, size_t count)
{
    (void)ctx;
    assert_true(loads_count < CALLS);
    assert_int_equal(count, 1);
    snprintf(asked_conv, sizeof asked_conv, "%s", convs[0]);
    loads[loads_count++] = l;
}

static void answer_load(Pigeon__Policy *policy)
{
    char epoch[] = "e1";
    Pigeon__PolicyList list = PIGEON__POLICY_LIST__INIT;
    list.policies = &policy;
    list.n_policies = 1;
    list.epoch = epoch;
    assert_true(loads_answered < loads_count);
    assert_string_equal(policy->conv, asked_conv);
    msg_policies_loaded(service.policies, loads[loads_answered++], &list);
}

/* Answers the oldest load: an open group of these, the first one its owner. */
static void answer(uint64_t version, char *const *users)
{
    char group[] = GROUP;
    Pigeon__Policy policy = PIGEON__POLICY__INIT;
    Pigeon__Settings settings = PIGEON__SETTINGS__INIT;
    Pigeon__PolicyMember members[MEMBERS], *pointers[MEMBERS];
    settings.open = true;
    policy.conv = group;
    policy.found = true;
    policy.kind = PIGEON__CONV_KIND__group;
    policy.version = version;
    policy.settings = &settings;
    policy.members = pointers;
    for (; users[policy.n_members]; policy.n_members++) {
        Pigeon__PolicyMember *m = pointers[policy.n_members] = &members[policy.n_members];
        pigeon__policy_member__init(m);
        m->user = users[policy.n_members];
        m->role = policy.n_members == 0 ? PIGEON__ROLE__owner : PIGEON__ROLE__member;
    }
    answer_load(&policy);
}
#define ANSWER(version, ...) answer(version, (char *[]){__VA_ARGS__, NULL})

static void answer_direct(uint64_t version, bool blocks)
{
    char direct[] = DIRECT, a[] = "alice", b[] = "bob";
    Pigeon__Policy policy = PIGEON__POLICY__INIT;
    Pigeon__PolicyMember members[2] = {PIGEON__POLICY_MEMBER__INIT, PIGEON__POLICY_MEMBER__INIT};
    Pigeon__PolicyMember *pointers[] = {&members[0], &members[1]};
    policy.conv = direct;
    policy.found = true;
    policy.kind = PIGEON__CONV_KIND__direct;
    policy.version = version;
    members[0].user = a;
    members[1].user = b;
    members[1].blocks_other = blocks;
    policy.members = pointers;
    policy.n_members = 2;
    answer_load(&policy);
}

/* The version that the newest request, a commit, was checked against. */
static uint64_t committed_version(void)
{
    assert_true(calls_count > 0);
    const struct call *c = &calls[calls_count - 1];
    assert_string_equal(c->subject, PGN_SUBJ_COMMIT);
    Pigeon__CommitBatch *batch = pigeon__commit_batch__unpack(NULL, c->data.len, c->data.data);
    assert_non_null(batch);
    uint64_t version = batch->items[0]->version;
    pigeon__commit_batch__free_unpacked(batch, NULL);
    return version;
}

/* Answers the newest request with a list: who blocks, or which groups. */
static void answer_list(char **values, size_t count)
{
    Pigeon__Reply reply = PIGEON__REPLY__INIT;
    Pigeon__Strings list = PIGEON__STRINGS__INIT;
    struct pgn_buf packed = {0};
    const struct call *c = &calls[calls_count - 1];
    assert_string_equal(c->subject, PGN_SUBJ_STO_CONV);
    reply.payload_case = PIGEON__REPLY__PAYLOAD_STRINGS;
    list.values = values;
    list.n_values = count;
    reply.strings = &list;
    pgn_pb_pack(&reply, &packed);
    struct pgn_bus_msg msg = {.subject = "inbox", .data = packed.data, .len = packed.len};
    c->answer(c->ctx, 0, &msg);
    pgn_buf_release(&packed);
}

static void answer_nobody(void)
{
    answer_list(NULL, 0);
}

/* ---- operations ---- */

static void ask(const char *user, Pigeon__ClientFrame *frame, Pigeon__ClientFrame__OpCase op)
{
    char name[16], device[] = "web";
    Pigeon__OpRequest request = PIGEON__OP_REQUEST__INIT;
    struct pgn_buf packed = {0};
    snprintf(name, sizeof name, "%s", user);
    frame->op_case = op;
    request.user = name;
    request.device = device;
    request.frame = frame;
    pgn_pb_pack(&request, &packed);
    struct pgn_bus_msg msg = {.subject = PGN_SUBJ_OP, .reply = "inbox", .data = packed.data, .len = packed.len};
    msg_op_handle(&service, &msg);
    pgn_buf_release(&packed);
}

static char conv[] = GROUP, alice[] = "alice", bob[] = "bob", carol[] = "carol";

static void fetch_of(const char *user, char *from)
{
    Pigeon__ClientFrame frame = PIGEON__CLIENT_FRAME__INIT;
    Pigeon__Fetch fetch = PIGEON__FETCH__INIT;
    fetch.conv = from;
    frame.fetch = &fetch;
    ask(user, &frame, PIGEON__CLIENT_FRAME__OP_FETCH);
}

static void fetch(const char *user)
{
    fetch_of(user, conv);
}

static void join(const char *user)
{
    Pigeon__ClientFrame frame = PIGEON__CLIENT_FRAME__INIT;
    Pigeon__ConvRef join = PIGEON__CONV_REF__INIT;
    join.conv = conv;
    frame.join = &join;
    ask(user, &frame, PIGEON__CLIENT_FRAME__OP_JOIN);
}

static void invite(const char *user, char *whom)
{
    Pigeon__ClientFrame frame = PIGEON__CLIENT_FRAME__INIT;
    Pigeon__Invite invite = PIGEON__INVITE__INIT;
    invite.conv = conv;
    invite.users = &whom;
    invite.n_users = 1;
    frame.invite = &invite;
    ask(user, &frame, PIGEON__CLIENT_FRAME__OP_INVITE);
}

static void kick(const char *user, char *whom)
{
    Pigeon__ClientFrame frame = PIGEON__CLIENT_FRAME__INIT;
    Pigeon__Kick kick = PIGEON__KICK__INIT;
    kick.conv = conv;
    kick.user = whom;
    frame.kick = &kick;
    ask(user, &frame, PIGEON__CLIENT_FRAME__OP_KICK);
}

static void give_role(const char *user, char *whom, Pigeon__Role role)
{
    Pigeon__ClientFrame frame = PIGEON__CLIENT_FRAME__INIT;
    Pigeon__SetRole set = PIGEON__SET_ROLE__INIT;
    set.conv = conv;
    set.user = whom;
    set.role = role;
    frame.role = &set;
    ask(user, &frame, PIGEON__CLIENT_FRAME__OP_ROLE);
}

static int setup(void **state)
{
    (void)state;
    struct msg_policies_options o = {.limit = 100, .group_members = 100, .load = load};
    config = (struct pgn_config){.limits_group_members = 3, .limits_user_groups = 10};
    service = (struct msg_service){.loop = pgn_loop_new(), .config = &config};
    o.loop = service.loop;
    service.policies = msg_policies_new(&o);
    pgn_list_init(&service.ops);
    loads_count = loads_answered = calls_count = answers_count = refusals_count = 0;
    fetch(alice); /* so that a policy is remembered */
    ANSWER(1, alice, carol);
    assert_int_equal(calls_count, 1);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    msg_ops_end(&service);
    while (loads_answered < loads_count)
        msg_policies_load_failed(service.policies, loads[loads_answered++]);
    msg_policies_free(&service.policies);
    while (service.arenas_kept > 0)
        pgn_arena_free(&service.arenas[--service.arenas_kept]);
    pgn_buf_release(&service.out);
    pgn_loop_free(&service.loop);
    for (size_t i = 0; i < CALLS; i++)
        pgn_buf_release(&calls[i].data);
    return 0;
}

static void test_what_is_remembered_allows(void **state)
{
    (void)state;
    fetch(alice);
    assert_int_equal(calls_count, 2);
    assert_int_equal(loads_count, 1);
}

static void test_nobody_is_refused_by_what_is_remembered(void **state)
{
    (void)state;
    fetch(bob);
    assert_int_equal(answers_count, 0);
    assert_int_equal(loads_count, 2);
    ANSWER(2, alice, carol, bob);
    assert_int_equal(answers_count, 0);
    assert_int_equal(calls_count, 2); /* fetched */
    fetch(bob);
    assert_int_equal(calls_count, 3);
    assert_int_equal(loads_count, 2);
}

static void test_who_is_still_no_member_is_refused(void **state)
{
    (void)state;
    fetch(bob);
    ANSWER(1, alice, carol);
    assert_int_equal(last_error, PGN_E_FORBIDDEN);
    assert_int_equal(answers_count, 1);
    assert_int_equal(loads_count, 2);
}

static void test_others_do_not_wait_for_it(void **state)
{
    (void)state;
    fetch(bob);
    assert_int_equal(loads_count, 2);
    fetch(alice);
    assert_int_equal(calls_count, 2);
}

/* Storage may have read it before what the second one knows of happened. */
static void test_a_load_from_before_is_not_new_enough(void **state)
{
    (void)state;
    msg_policies_drop(service.policies, GROUP);
    fetch(carol);
    fetch(bob);
    assert_int_equal(loads_count, 2);
    ANSWER(1, alice);
    assert_int_equal(answers_count, 1); /* carol: it was loaded for her */
    assert_int_equal(loads_count, 3);
    ANSWER(2, alice, bob);
    assert_int_equal(answers_count, 1);
    assert_int_equal(calls_count, 2);
}

static void test_many_refusals_share_a_load(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++)
        fetch(bob);
    assert_int_equal(loads_count, 2);
    ANSWER(1, alice, carol);
    assert_int_equal(refusals_count, 1);
    assert_int_equal(loads_count, 3); /* of those that came while the first one was on its way */
    ANSWER(1, alice, carol);
    assert_int_equal(refusals_count, 100);
    assert_int_equal(loads_count, 3);
}

static void test_about_a_member_who_is_not_known_yet(void **state)
{
    (void)state;
    kick(alice, bob);
    assert_int_equal(answers_count, 0);
    ANSWER(2, alice, carol, bob);
    assert_int_equal(answers_count, 0);
    assert_int_equal(committed_version(), 2);
    kick(alice, carol); /* known: at once */
    assert_int_equal(loads_count, 2);
    assert_int_equal(calls_count, 3);
}

static void test_about_nobody(void **state)
{
    (void)state;
    kick(alice, bob);
    ANSWER(1, alice, carol);
    assert_int_equal(last_error, PGN_E_NOT_FOUND);
    assert_int_equal(answers_count, 1);
}

static void test_a_group_that_was_full(void **state)
{
    (void)state;
    config.limits_group_members = 2;
    join(bob);
    assert_int_equal(answers_count, 0);
    ANSWER(2, alice);
    answer_nobody();
    assert_int_equal(committed_version(), 2);
    invite(alice, bob); /* nobody knows yet that he is in */
    answer_nobody();
    assert_int_equal(committed_version(), 2);
    assert_int_equal(loads_count, 2);
}

static void test_an_invitation_to_a_group_that_was_full(void **state)
{
    (void)state;
    config.limits_group_members = 2;
    invite(alice, bob);
    assert_int_equal(answers_count, 0);
    ANSWER(2, alice);
    answer_nobody();
    assert_int_equal(committed_version(), 2);
    config.limits_group_members = 1;
    invite(alice, bob);
    ANSWER(2, alice);
    assert_int_equal(last_error, PGN_E_TOO_LARGE);
    assert_int_equal(answers_count, 1);
}

static void test_the_reason_of_a_refusal_is_no_older(void **state)
{
    char direct[] = DIRECT, *blocking = bob;
    (void)state;
    fetch_of(alice, direct);
    answer_direct(1, false);
    invite(alice, bob);
    answer_list(&blocking, 1);
    assert_int_equal(answers_count, 0);
    answer_direct(2, true);
    assert_int_equal(last_error, PGN_E_FORBIDDEN);
    assert_string_equal(last_text, "bob has blocked you");
}

static void test_who_left_joins_again(void **state)
{
    (void)state;
    join(carol);
    assert_int_equal(answers_count, 0);
    ANSWER(2, alice);
    answer_nobody();
    assert_int_equal(committed_version(), 2);
    join(alice); /* is a member */
    ANSWER(2, alice);
    assert_int_equal(answers_count, 1);
    assert_int_equal(last_error, 0);
}

static void test_who_left_is_invited_again(void **state)
{
    (void)state;
    invite(alice, carol);
    assert_int_equal(answers_count, 0);
    ANSWER(2, alice);
    answer_nobody();
    assert_int_equal(committed_version(), 2);
}

static void test_a_role_that_she_has_by_what_is_remembered(void **state)
{
    (void)state;
    give_role(alice, carol, PIGEON__ROLE__member);
    assert_int_equal(answers_count, 0);
    ANSWER(2, alice, carol);
    assert_int_equal(answers_count, 1);
    assert_int_equal(last_error, 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_what_is_remembered_allows),
        T(test_nobody_is_refused_by_what_is_remembered),
        T(test_who_is_still_no_member_is_refused),
        T(test_others_do_not_wait_for_it),
        T(test_a_load_from_before_is_not_new_enough),
        T(test_many_refusals_share_a_load),
        T(test_about_a_member_who_is_not_known_yet),
        T(test_about_nobody),
        T(test_a_group_that_was_full),
        T(test_an_invitation_to_a_group_that_was_full),
        T(test_the_reason_of_a_refusal_is_no_older),
        T(test_who_left_joins_again),
        T(test_who_left_is_invited_again),
        T(test_a_role_that_she_has_by_what_is_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
