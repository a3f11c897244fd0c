/* The state machine of presence and the gateways' streams, on a clock of the test's own. */
#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/base/id.h"
#include "services/presence/prs_book.h"
#include "services/presence/prs_gateways.h"

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

enum { LINGER_MS = 3000, TIMEOUT_MS = 6000 };

static _Atomic uint64_t fake_us;

static uint64_t fake_mono_us(void)
{
    return fake_us;
}

static uint64_t fake_wall_ms(void)
{
    return 1700000000000 + fake_us / 1000;
}

struct world {
    struct pgn_loop *loop;
    struct prs_book *book;
    struct prs_gateways *gateways;
    int announced, saves, loads, asks, ask_alls;
    Pigeon__State state;
    char user[64], text[64], asked[64];
    uint64_t last_seen;
    bool auto_load;
    struct prs_user *loading;
};

static void on_announce(void *ctx, const struct prs_user *u)
{
    struct world *w = ctx;
    w->announced++;
    w->state = prs_user_visible(u);
    w->last_seen = prs_user_last_seen(u);
    snprintf(w->user, sizeof(w->user), "%s", u->id);
    snprintf(w->text, sizeof(w->text), "%s", u->text ? u->text : "");
}

static void on_changed(void *ctx, const struct prs_user *u)
{
    (void)ctx;
    (void)u;
}

static void on_save(void *ctx, struct prs_user *u)
{
    struct world *w = ctx;
    w->saves++;
    u->seen_dirty = u->status_dirty = false;
}

static void on_load(void *ctx, struct prs_user *u)
{
    struct world *w = ctx;
    w->loads++;
    if (w->auto_load) {
        prs_book_loaded(w->book, u, NULL);
    } else {
        u->queued = true;
        w->loading = u;
    }
}

static void on_ask(void *ctx, const char *instance)
{
    struct world *w = ctx;
    w->asks += instance != NULL;
    w->ask_alls += instance == NULL;
    snprintf(w->asked, sizeof(w->asked), "%s", instance ? instance : "");
}

/* Time goes by in small steps, as it does. */
static void pass(struct world *w, uint64_t ms)
{
    for (uint64_t done = 0; done < ms; done += 20) {
        fake_us += 1000 * (ms - done < 20 ? ms - done : 20);
        pgn_loop_turn(w->loop, 0);
    }
}

static int setup(void **state)
{
    fake_us = 1000000000;
    pgn_clock_set(fake_mono_us, fake_wall_ms);
    struct world *w = pgn_calloc(1, sizeof(*w));
    struct prs_book_hooks hooks = {.ctx = w, .announce = on_announce, .changed = on_changed, .save = on_save, .load = on_load};
    w->auto_load = true;
    w->loop = pgn_loop_new();
    w->book = prs_book_new(w->loop, LINGER_MS, &hooks);
    w->gateways = prs_gateways_new(w->loop, w->book, TIMEOUT_MS, on_ask, w);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    prs_gateways_free(&w->gateways);
    prs_book_free(&w->book);
    pgn_loop_free(&w->loop);
    pgn_clock_set(NULL, NULL);
    free(w);
    return 0;
}

static void test_online_offline(void **state)
{
    struct world *w = *state;
    assert_true(prs_book_up(w->book, "alice", 1, 1, 0));
    assert_int_equal(w->announced, 1);
    assert_int_equal(w->state, PIGEON__STATE__online);
    assert_true(prs_book_up(w->book, "alice", 2, 1, 0));
    assert_true(prs_book_up(w->book, "alice", 3, 2, 0));
    assert_int_equal(prs_book_devices(w->book), 3);
    prs_book_down(w->book, "alice", 1, 1);
    prs_book_down(w->book, "alice", 1, 1);
    prs_book_down(w->book, "alice", 3, 2);
    pass(w, 10000);
    assert_int_equal(w->announced, 1);
    uint64_t went = pgn_wall_ms();
    prs_book_down(w->book, "alice", 2, 1);
    assert_int_equal(prs_book_online(w->book), 0);
    pass(w, LINGER_MS - 20);
    assert_int_equal(w->announced, 1);
    pass(w, 100);
    assert_int_equal(w->announced, 2);
    assert_int_equal(w->state, PIGEON__STATE__offline);
    assert_int_equal(w->last_seen, went);
    assert_int_equal(w->saves, 1);
    assert_int_equal(prs_book_known(w->book), 1);
}

static void test_flap(void **state)
{
    struct world *w = *state;
    prs_book_up(w->book, "bob", 1, 1, 0);
    for (int i = 0; i < 20; i++) {
        prs_book_down(w->book, "bob", 1, 1);
        pass(w, 500);
        prs_book_up(w->book, "bob", 1, 1, 0);
        pass(w, 100);
    }
    assert_int_equal(w->announced, 1);
    assert_int_equal(w->saves, 0);
}

static void test_status(void **state)
{
    struct world *w = *state;
    prs_book_up(w->book, "carol", 1, 1, 0);
    struct prs_user *u = prs_book_find(w->book, "carol");
    pass(w, 2000);
    prs_book_set_status(w->book, u, PIGEON__STATE__busy, "teaching");
    assert_int_equal(w->announced, 2);
    assert_int_equal(w->state, PIGEON__STATE__busy);
    assert_string_equal(w->text, "teaching");
    /* Many changes within a second: the last one is announced, once. */
    for (int i = 0; i < 50; i++)
        prs_book_set_status(w->book, u, i % 2 ? PIGEON__STATE__away : PIGEON__STATE__online, i % 2 ? "out" : "in");
    assert_int_equal(w->announced, 2);
    pass(w, 1100);
    assert_int_equal(w->announced, 3);
    assert_int_equal(w->state, PIGEON__STATE__away);
    assert_string_equal(w->text, "out");
    pass(w, 5000);
    assert_int_equal(w->announced, 3);
    /* A change and back again: nothing to say. */
    prs_book_set_status(w->book, u, PIGEON__STATE__state_unset, "out");
    assert_int_equal(u->own, PIGEON__STATE__away);
    assert_int_equal(w->announced, 3);
}

static void test_invisible(void **state)
{
    struct world *w = *state;
    prs_book_up(w->book, "dave", 1, 1, 0);
    struct prs_user *u = prs_book_find(w->book, "dave");
    pass(w, 2000);
    uint64_t hid = pgn_wall_ms();
    prs_book_set_status(w->book, u, PIGEON__STATE__invisible, "");
    assert_int_equal(w->announced, 2);
    assert_int_equal(w->state, PIGEON__STATE__offline);
    assert_int_equal(w->last_seen, hid);
    pass(w, 5000);
    prs_book_set_status(w->book, u, PIGEON__STATE__invisible, "ghost");
    prs_book_up(w->book, "dave", 2, 1, 0);
    prs_book_down(w->book, "dave", 1, 1);
    prs_book_down(w->book, "dave", 2, 1);
    pass(w, 10000);
    assert_int_equal(w->announced, 2);
    assert_int_equal(prs_user_last_seen(u), hid);
    prs_book_up(w->book, "dave", 1, 1, 0);
    pass(w, 2000);
    assert_int_equal(w->announced, 2);
    prs_book_set_status(w->book, u, PIGEON__STATE__online, "back");
    assert_int_equal(w->announced, 3);
    assert_int_equal(w->state, PIGEON__STATE__online);
}

/* Who chose to be invisible is not given away before storage has said so. */
static void test_load(void **state)
{
    struct world *w = *state;
    w->auto_load = false;
    prs_book_up(w->book, "erin", 1, 1, 0);
    pass(w, 5000);
    assert_int_equal(w->announced, 0);
    assert_int_equal(w->loads, 1);
    Pigeon__User stored = PIGEON__USER__INIT;
    char name[] = "erin", text[] = "hush";
    stored.user = name;
    stored.status_text = text;
    stored.status_state = PIGEON__STATE__invisible;
    stored.last_seen = 77;
    prs_book_loaded(w->book, w->loading, &stored);
    pass(w, 2000);
    assert_int_equal(w->announced, 0);
    assert_int_equal(prs_user_last_seen(w->loading), 77);
    /* A status that is set before the answer wins. */
    prs_book_up(w->book, "frank", 1, 1, 0);
    struct prs_user *frank = w->loading;
    prs_book_set_status(w->book, frank, PIGEON__STATE__busy, "new");
    prs_book_loaded(w->book, frank, &stored);
    assert_string_equal(frank->text, "new");
    assert_int_equal(w->state, PIGEON__STATE__busy);
}

static void test_idle_bound(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < PRS_IDLE_MAX + 500; i++) {
        char id[32];
        snprintf(id, sizeof(id), "q%d", i);
        assert_non_null(prs_book_want(w->book, id));
    }
    assert_true(prs_book_known(w->book) <= PRS_IDLE_MAX + 1);
    assert_null(prs_book_find(w->book, "q0"));
    assert_non_null(prs_book_find(w->book, "q50100"));
}

/* ---- gateways ---- */

struct sent {
    const char *gateway;
    uint64_t number;
    bool snapshot, more, last_will;
};

static void report(struct world *w, struct sent s, const char *users)
{
    Pigeon__PresenceEvents m = PIGEON__PRESENCE_EVENTS__INIT;
    Pigeon__PresenceEvent rows[32], *list[32];
    char names[32][40], gateway[40], device[] = "web";
    snprintf(gateway, sizeof(gateway), "%s", s.gateway);
    m.gateway = gateway;
    m.number = s.number;
    m.snapshot = s.snapshot;
    m.more = s.more;
    m.last_will = s.last_will;
    char *copy = pgn_strdup(users), *rest = NULL;
    for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        pigeon__presence_event__init(&rows[m.n_events]);
        snprintf(names[m.n_events], sizeof(names[0]), "%s", word + 1);
        rows[m.n_events].user = names[m.n_events];
        rows[m.n_events].device = device;
        rows[m.n_events].up = word[0] == '+';
        list[m.n_events] = &rows[m.n_events];
        m.n_events++;
    }
    m.events = list;
    prs_gateways_events(w->gateways, &m);
    free(copy);
}

static void test_stream(void **state)
{
    struct world *w = *state;
    prs_gateways_resync(w->gateways);
    assert_int_equal(w->ask_alls, 1);
    report(w, (struct sent){"g1", 1, false, false, false}, "+a +b");
    report(w, (struct sent){"g1", 2, false, false, false}, "-a +c");
    assert_int_equal(prs_book_online(w->book), 2);
    assert_int_equal(w->asks, 0);
    report(w, (struct sent){"g1", 4, false, false, false}, "+d"); /* 3 is missing */
    assert_int_equal(w->asks, 1);
    assert_string_equal(w->asked, "g1");
    report(w, (struct sent){"g1", 5, true, true, false}, "+c +e");
    report(w, (struct sent){"g1", 6, false, false, false}, "+f");
    assert_int_equal(prs_book_online(w->book), 3);
    assert_non_null(prs_book_find(w->book, "f"));
    assert_int_equal(prs_book_find(w->book, "b")->count, 0);
    report(w, (struct sent){"g1", 7, false, false, true}, "");
    assert_int_equal(prs_book_online(w->book), 0);
    assert_int_equal(prs_gateways_count(w->gateways), 0);
}

static void test_unknown_gateway(void **state)
{
    struct world *w = *state;
    prs_gateways_resync(w->gateways);
    report(w, (struct sent){"g9", 500, false, false, false}, "");
    assert_int_equal(w->asks, 1);
    /* The snapshot does not come: asked again. */
    for (uint64_t n = 501; n < 505; n++) {
        pass(w, 1000);
        report(w, (struct sent){"g9", n, false, false, false}, "");
    }
    assert_true(w->asks >= 2);
    int asks = w->asks;
    /* A gap within a snapshot makes it void: nobody goes down by it. */
    report(w, (struct sent){"g9", 505, true, false, false}, "+a +b");
    report(w, (struct sent){"g9", 506, true, true, false}, "+a");
    pass(w, 600);
    report(w, (struct sent){"g9", 508, false, false, false}, "");
    assert_int_equal(prs_book_online(w->book), 2);
    assert_true(w->asks > asks);
}

static void test_silence(void **state)
{
    struct world *w = *state;
    prs_gateways_resync(w->gateways);
    report(w, (struct sent){"g1", 1, false, false, false}, "+a +b");
    report(w, (struct sent){"g2", 1, false, false, false}, "+b");
    for (uint64_t n = 2; n < 12; n++) {
        pass(w, 1000);
        report(w, (struct sent){"g2", n, false, false, false}, "");
    }
    assert_int_equal(prs_gateways_count(w->gateways), 1);
    assert_int_equal(prs_book_online(w->book), 1);
    pass(w, 1000);
    assert_int_equal(w->state, PIGEON__STATE__offline);
    assert_string_equal(w->user, "a");
}

static void test_stall(void **state)
{
    struct world *w = *state;
    prs_gateways_resync(w->gateways);
    report(w, (struct sent){"g1", 1, false, false, false}, "+a");
    fake_us += 60000000; /* this process stood still; what the gateway said waits to be read */
    pgn_loop_turn(w->loop, 0);
    assert_int_equal(prs_book_online(w->book), 1);
    prs_gateways_away(w->gateways);
    pass(w, 30000);
    assert_int_equal(prs_book_online(w->book), 1);
    prs_gateways_resync(w->gateways);
    pass(w, TIMEOUT_MS - 1000);
    assert_int_equal(prs_book_online(w->book), 1);
    pass(w, 3000);
    assert_int_equal(prs_book_online(w->book), 0);
}

static void test_restore(void **state)
{
    struct world *w = *state;
    Pigeon__User kept = PIGEON__USER__INIT;
    char a[] = "a", b[] = "b", bad[] = "a.>";
    kept.status_state = PIGEON__STATE__online;
    kept.user = bad;
    prs_book_restore(w->book, &kept);
    kept.user = a;
    prs_book_restore(w->book, &kept);
    kept.user = b;
    prs_book_restore(w->book, &kept);
    assert_int_equal(prs_book_online(w->book), 2);
    assert_int_equal(prs_user_visible(prs_book_find(w->book, "a")), PIGEON__STATE__online);
    prs_gateways_resync(w->gateways);
    report(w, (struct sent){"g1", 7, true, false, false}, "+a");
    for (uint64_t n = 8; n < 20; n++) {
        pass(w, 1000);
        report(w, (struct sent){"g1", n, false, false, false}, "");
    }
    /* a was there all the time; b did not come back. */
    assert_int_equal(w->announced, 1);
    assert_string_equal(w->user, "b");
    assert_int_equal(w->state, PIGEON__STATE__offline);
    assert_int_equal(w->loads, 0);
}

static uint64_t real_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void test_figures(void **state)
{
    struct world *w = *state;
    enum { COUNT = 100000 };
    struct mallinfo2 before = mallinfo2();
    uint64_t start = real_ns();
    for (int i = 0; i < COUNT; i++) {
        char id[32];
        snprintf(id, sizeof(id), "student%05d", i);
        assert_true(prs_book_up(w->book, id, (uint64_t)i, 1, 0));
    }
    uint64_t up_ns = real_ns() - start;
    struct mallinfo2 after = mallinfo2();
    size_t bytes = (after.uordblks + after.hblkhd - before.uordblks - before.hblkhd) / COUNT;
    start = real_ns();
    for (int i = 0; i < COUNT; i++) {
        char id[32];
        snprintf(id, sizeof(id), "student%05d", i);
        prs_book_down(w->book, id, (uint64_t)i, 1);
    }
    uint64_t down_ns = real_ns() - start;
    print_message("%zu bytes an online user, up %llu ns, down %llu ns\n", bytes, (unsigned long long)(up_ns / COUNT),
                  (unsigned long long)(down_ns / COUNT));
    assert_int_equal(prs_book_online(w->book), 0);
    pass(w, LINGER_MS + 2000);
    assert_true(prs_book_known(w->book) <= PRS_IDLE_MAX + 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_online_offline, setup, teardown),
        cmocka_unit_test_setup_teardown(test_flap, setup, teardown),
        cmocka_unit_test_setup_teardown(test_status, setup, teardown),
        cmocka_unit_test_setup_teardown(test_invisible, setup, teardown),
        cmocka_unit_test_setup_teardown(test_load, setup, teardown),
        cmocka_unit_test_setup_teardown(test_idle_bound, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stream, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unknown_gateway, setup, teardown),
        cmocka_unit_test_setup_teardown(test_silence, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stall, setup, teardown),
        cmocka_unit_test_setup_teardown(test_restore, setup, teardown),
        cmocka_unit_test_setup_teardown(test_figures, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
