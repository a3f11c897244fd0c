/*
 * The disk that loses its power, against a model: the model remembers what each file held when it was last synced and which names
 * its directory had; the seed is printed. A disk that kept too much would let a faulty store pass, one that kept too little would accuse a
 * good one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/powerfs/disk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { FILES = 4, SIZE_MAX_ = 5 * PFS_PAGE, STEPS = 400, ROUNDS = 300 };

static struct pfs_disk *disk_of(void **state)
{
    return *state;
}
static int setup(void **state)
{
    *state = pfs_disk_new();
    return 0;
}
static int teardown(void **state)
{
    struct pfs_disk *d = *state;

    pfs_disk_free(&d);
    return 0;
}

static uint64_t file(struct pfs_disk *d, const char *name)
{
    struct pfs_node *n = pfs_find(d, PFS_ROOT, name);

    if (!n)
        assert_int_equal(pfs_make(d, PFS_ROOT, name, S_IFREG | 0600, &n), 0);
    return n->ino;
}
static void text(struct pfs_disk *d, uint64_t ino, uint64_t at, const char *what)
{
    size_t written;

    assert_int_equal(pfs_write(d, ino, what, strlen(what), at, &written), 0);
    assert_int_equal(written, strlen(what));
}
static void sync_now(struct pfs_disk *d, uint64_t ino)
{
    assert_int_equal(pfs_sync(d, ino, d->step), 0);
}
static void holds(struct pfs_disk *d, const char *name, const char *what)
{
    struct pfs_node *n = pfs_find(d, PFS_ROOT, name);

    assert_non_null(n);
    assert_int_equal(n->live.size, strlen(what));
    assert_memory_equal(n->live.data, what, strlen(what));
}

/* ---- single promises ---- */

static void what_was_not_synced_is_gone(void **state)
{
    struct pfs_disk *d = disk_of(state);
    uint64_t a = file(d, "a");

    text(d, a, 0, "synced");
    sync_now(d, a);
    sync_now(d, PFS_ROOT);
    text(d, a, 3, "or not");
    file(d, "unsynced name");
    pfs_cut(d, PFS_CUT_DROP, 1);
    holds(d, "a", "synced");
    assert_null(pfs_find(d, PFS_ROOT, "unsynced name"));
}

static void a_synced_file_without_a_name_is_gone(void **state)
{
    struct pfs_disk *d = disk_of(state);
    uint64_t a = file(d, "a");

    text(d, a, 0, "x");
    sync_now(d, a);
    pfs_cut(d, PFS_CUT_DROP, 1);
    assert_null(pfs_find(d, PFS_ROOT, "a"));
}

static void a_rename_is_whole_or_not_at_all(void **state)
{
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct pfs_disk *d = pfs_disk_new();
        uint64_t old = file(d, "current"), fresh = file(d, "fresh");

        text(d, old, 0, "old");
        text(d, fresh, 0, "new");
        sync_now(d, old);
        sync_now(d, fresh);
        sync_now(d, PFS_ROOT);
        assert_int_equal(pfs_rename(d, PFS_ROOT, "fresh", PFS_ROOT, "current", true), 0);
        pfs_cut(d, (enum pfs_cut_mode)(seed % PFS_CUT_MODES), seed);
        if (pfs_find(d, PFS_ROOT, "fresh")) {
            holds(d, "current", "old");
            holds(d, "fresh", "new");
        } else {
            holds(d, "current", "new");
        }
        pfs_disk_free(&d);
    }
    (void)state;
}

static void a_failed_sync_is_not_made_good_by_the_next(void **state)
{
    struct pfs_disk *d = disk_of(state);
    uint64_t a = file(d, "a");
    struct pfs_fault fault = {.op = PFS_OP_FSYNC, .error = EIO, .count = 1, .match = "a"};

    sync_now(d, PFS_ROOT);
    text(d, a, 0, "bytes");
    assert_true(pfs_fault_add(d, &fault));
    assert_int_equal(pfs_sync(d, a, d->step), EIO);
    sync_now(d, a);
    holds(d, "a", "bytes"); /* the page cache still has it */
    pfs_cut(d, PFS_CUT_KEEP, 1);
    struct pfs_node *n = pfs_find(d, PFS_ROOT, "a");
    assert_int_equal(n->live.size, 5);
    assert_memory_equal(n->live.data, "\0\0\0\0\0", 5);
}

static void a_failed_sync_writes_nothing(void **state)
{
    struct pfs_disk *d = disk_of(state);
    uint64_t a = file(d, "a");
    struct pfs_fault fault = {.op = PFS_OP_FSYNC, .error = EIO, .count = 1};

    text(d, a, 0, "older");
    sync_now(d, a);
    sync_now(d, PFS_ROOT);
    text(d, a, 0, "newer");
    assert_true(pfs_fault_add(d, &fault));
    assert_int_equal(pfs_sync(d, a, d->step), EIO);
    sync_now(d, a);
    pfs_cut(d, PFS_CUT_KEEP, 1);
    holds(d, "a", "older");
}

static void what_is_written_while_a_sync_runs_may_be_lost(void **state)
{
    struct pfs_disk *d = disk_of(state);
    uint64_t a = file(d, "a");

    sync_now(d, PFS_ROOT);
    text(d, a, 0, "first");
    uint64_t until = d->step;
    text(d, a, PFS_PAGE, "second");
    assert_int_equal(pfs_sync(d, a, until), 0);
    pfs_cut(d, PFS_CUT_DROP, 1);
    const struct pfs_node *n = pfs_find(d, PFS_ROOT, "a");
    assert_memory_equal(n->live.data, "first", 5);
    assert_int_equal(n->live.data[PFS_PAGE], 0);
}

static void a_full_disk_takes_a_part_then_nothing(void **state)
{
    struct pfs_disk *d = disk_of(state);
    uint64_t a = file(d, "a");
    static const char big[PFS_PAGE] = {1};
    size_t written;

    d->limit_bytes = 1000;
    assert_int_equal(pfs_write(d, a, big, sizeof big, 0, &written), 0);
    assert_int_equal(written, 1000);
    assert_int_equal(pfs_write(d, a, big, sizeof big, 1000, &written), ENOSPC);
    assert_int_equal(pfs_write(d, a, big, 10, 0, &written), 0); /* in place it goes on */
    d->limit_bytes = 0;
    assert_int_equal(pfs_write(d, a, big, sizeof big, 1000, &written), 0);
}

/* ---- against the model ---- */

struct model {
    uint8_t live[SIZE_MAX_], synced[SIZE_MAX_];
    size_t live_size, synced_size;
};

static void random_step(struct pfs_disk *d, struct model *m, uint64_t ino)
{
    uint8_t bytes[2 * PFS_PAGE];
    size_t at = (size_t)(rand() % (3 * PFS_PAGE)), len = 1 + (size_t)rand() % sizeof bytes, written;

    switch (rand() % 8) {
    case 0:
        sync_now(d, ino);
        *m = (struct model){.live_size = m->live_size, .synced_size = m->live_size};
        if (m->live_size) /* else there are no bytes to point to */
            memcpy(m->live, pfs_node(d, ino)->live.data, m->live_size);
        memcpy(m->synced, m->live, SIZE_MAX_);
        return;
    case 1:
        assert_int_equal(pfs_truncate(d, ino, at), 0);
        if (at < m->live_size)
            memset(m->live + at, 0, SIZE_MAX_ - at);
        m->live_size = at;
        return;
    default:
        for (size_t i = 0; i < len; i++)
            bytes[i] = (uint8_t)rand();
        assert_int_equal(pfs_write(d, ino, bytes, len, at, &written), 0);
        memcpy(m->live + at, bytes, len);
        m->live_size = at + len > m->live_size ? at + len : m->live_size;
    }
}

/* Each sector is the synced one or the live one; a size between both. */
static void check_cut(struct pfs_disk *d, const struct model *m, enum pfs_cut_mode mode, const char *name)
{
    const struct pfs_node *n = pfs_find(d, PFS_ROOT, name);
    size_t low = m->synced_size < m->live_size ? m->synced_size : m->live_size, high = m->synced_size + m->live_size - low;

    assert_non_null(n);
    assert_in_range(n->live.size, low, high);
    if (mode == PFS_CUT_DROP)
        assert_int_equal(n->live.size, m->synced_size);
    if (mode == PFS_CUT_KEEP)
        assert_int_equal(n->live.size, m->live_size);
    for (size_t at = 0; at < n->live.size; at += PFS_SECTOR) {
        size_t len = n->live.size - at < PFS_SECTOR ? n->live.size - at : PFS_SECTOR;
        bool old = memcmp(n->live.data + at, m->synced + at, len) == 0, fresh = memcmp(n->live.data + at, m->live + at, len) == 0;

        assert_true(mode == PFS_CUT_DROP ? old : mode == PFS_CUT_KEEP ? fresh : old || fresh);
    }
}

static void any_cut_fits_the_model(void **state)
{
    static const char *const names[FILES] = {"a", "b", "c", "d"};
    unsigned seed = (unsigned)time(NULL);
    uint64_t torn = 0;

    (void)state;
    print_message("seed %u\n", seed);
    srand(seed);
    for (int round = 0; round < ROUNDS; round++) {
        struct pfs_disk *d = pfs_disk_new();
        struct model *m = calloc(FILES, sizeof *m);
        enum pfs_cut_mode mode = (enum pfs_cut_mode)(round % PFS_CUT_MODES);

        for (int i = 0; i < FILES; i++)
            file(d, names[i]);
        sync_now(d, PFS_ROOT);
        for (int steps = rand() % STEPS, i; steps > 0; steps--) {
            i = rand() % FILES;
            random_step(d, &m[i], pfs_find(d, PFS_ROOT, names[i])->ino);
        }
        pfs_cut(d, mode, (uint64_t)rand());
        torn += d->stats.pages_torn;
        for (int i = 0; i < FILES; i++)
            check_cut(d, &m[i], mode, names[i]);
        free(m);
        pfs_disk_free(&d);
    }
    assert_true(torn > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_not_synced_is_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(a_synced_file_without_a_name_is_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failed_sync_is_not_made_good_by_the_next, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failed_sync_writes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_written_while_a_sync_runs_may_be_lost, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_disk_takes_a_part_then_nothing, setup, teardown),
        cmocka_unit_test(a_rename_is_whole_or_not_at_all),
        cmocka_unit_test(any_cut_fits_the_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
