#include "tests/unit/common/test.h"

#include "common/base/error.h"
#include "common/io/mailbox.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum { THREADS = 4, EACH = 20000, LIMIT = 64 };

struct letter {
    struct pgn_mail mail;
    int thread, number;
};

static struct pgn_loop *loop;
static struct pgn_mailbox *mb;
static pthread_t loop_thread;
static int next_number[THREADS], handled;
static atomic_int posted, taken, refused;
static int most_waiting;

static void on_loop(struct pgn_mail *mail)
{
    struct letter *l = PGN_CONTAINER(mail, struct letter, mail);
    int waiting;

    assert_true(pthread_equal(pthread_self(), loop_thread));
    assert_int_equal(l->number, next_number[l->thread]); /* each thread's order is kept */
    next_number[l->thread]++;
    handled++;
    waiting = atomic_load(&posted) - atomic_fetch_add(&taken, 1);
    if (waiting > most_waiting)
        most_waiting = waiting;
    free(l);
    if (handled == THREADS * EACH)
        pgn_loop_stop(loop);
}

static void *poster(void *arg)
{
    int thread = (int)(intptr_t)arg;

    for (int i = 0; i < EACH; i++) {
        struct letter *l = calloc(1, sizeof(*l));
        l->mail.on_loop = on_loop;
        l->thread = thread;
        l->number = i;
        if (thread % 2) {
            pgn_mailbox_post_wait(mb, &l->mail);
        } else {
            while (pgn_mailbox_post(mb, &l->mail) == PGN_E_FULL) {
                atomic_fetch_add(&refused, 1);
                sched_yield();
            }
        }
        atomic_fetch_add(&posted, 1);
    }
    return NULL;
}

static void order_and_bound_under_threads(void **state)
{
    pthread_t t[THREADS];

    (void)state;
    loop = pgn_loop_new();
    loop_thread = pthread_self();
    mb = pgn_mailbox_new(loop, LIMIT);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&t[i], NULL, poster, (void *)(intptr_t)i), 0);
    pgn_loop_run(loop);
    for (int i = 0; i < THREADS; i++)
        pthread_join(t[i], NULL);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(next_number[i], EACH);
    /* a burst that is being handled, and a full box behind it */
    assert_in_range(most_waiting, 1, 2 * LIMIT + THREADS);
    pgn_mailbox_free(&mb);
    assert_null(mb);
    pgn_loop_free(&loop);
}

static int simple_handled;
static void on_loop_simple(struct pgn_mail *mail)
{
    (void)mail;
    simple_handled++;
}

static void a_full_box_refuses(void **state)
{
    struct pgn_mail mails[4];

    (void)state;
    loop = pgn_loop_new();
    mb = pgn_mailbox_new(loop, 3);
    memset(mails, 0, sizeof(mails));
    for (int i = 0; i < 4; i++)
        mails[i].on_loop = on_loop_simple;
    for (int i = 0; i < 3; i++)
        assert_int_equal(pgn_mailbox_post(mb, &mails[i]), 0);
    assert_int_equal(pgn_mailbox_post(mb, &mails[3]), PGN_E_FULL);
    assert_false(pgn_node_linked(&mails[3].node));
    assert_int_equal(simple_handled, 0);
    pgn_loop_turn(loop, 0);
    assert_int_equal(simple_handled, 3);
    assert_int_equal(pgn_mailbox_post(mb, &mails[3]), 0);
    pgn_mailbox_free(&mb); /* handles what is left */
    assert_int_equal(simple_handled, 4);
    pgn_loop_free(&loop);
}

static struct pgn_mail second;
static void on_loop_post_more(struct pgn_mail *mail)
{
    (void)mail;
    simple_handled++;
    second.on_loop = on_loop_simple;
    assert_int_equal(pgn_mailbox_post(mb, &second), 0);
}

static void a_mail_may_post(void **state)
{
    struct pgn_mail first = {.on_loop = on_loop_post_more};

    (void)state;
    simple_handled = 0;
    loop = pgn_loop_new();
    mb = pgn_mailbox_new(loop, 1);
    assert_int_equal(pgn_mailbox_post(mb, &first), 0);
    pgn_loop_turn(loop, 0);
    assert_int_equal(simple_handled, 1);
    pgn_loop_turn(loop, -1); /* its wake-up is there: this does not wait for ever */
    assert_int_equal(simple_handled, 2);
    pgn_mailbox_free(&mb);
    pgn_loop_free(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_and_bound_under_threads),
        cmocka_unit_test(a_full_box_refuses),
        cmocka_unit_test(a_mail_may_post),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
