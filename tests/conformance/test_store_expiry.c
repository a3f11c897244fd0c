/* Retry keys are kept for storage.retry_days and not for ever: a faked clock, and the compaction that drops the old ones. */
#include "common/base/clock.h"
#include "services/storage/kv_rocks_setup.h"
#include "tests/conformance/support/store_kit.h"

#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>

enum { DAY_S = 86400, RETRY_DAYS = 14 };
static const uint64_t BEGIN_MS = 1790000000000u;

static _Atomic uint64_t now_ms;

static uint64_t faked_mono_us(void)
{
    return atomic_load(&now_ms) * 1000;
}
static uint64_t faked_wall_ms(void)
{
    return atomic_load(&now_ms);
}
static void clock_to(uint64_t days)
{
    atomic_store(&now_ms, BEGIN_MS + days * DAY_S * 1000);
    pgn_clock_set(faked_mono_us, faked_wall_ms);
}

/* All of the store's tables are written anew, as RocksDB does of its own accord sooner or later. The store is shut. */
static void compact(const struct kit *k)
{
    static const char *const names[STO_CF_COUNT] = {"default", "message", "retry"};
    char path[128], *err = NULL;
    const rocksdb_options_t *options[STO_CF_COUNT];
    rocksdb_column_family_handle_t *cf[STO_CF_COUNT];
    struct sto_rocks_setup setup = {0};

    snprintf(path, sizeof path, "%s/store/log", k->directory);
    struct sto_kv_rocks_options in = {.path = path, .cache_bytes = 1u << 20, .memtable_bytes = 1u << 20, .retry_days = RETRY_DAYS};
    sto_rocks_setup_make(&setup, &in, true);
    for (int i = 0; i < STO_CF_COUNT; i++)
        options[i] = setup.cf_options[i];
    rocksdb_t *db = rocksdb_open_column_families(setup.options, path, STO_CF_COUNT, names, options, cf, &err);
    assert_null(err);
    for (int i = 0; i < STO_CF_COUNT; i++) {
        rocksdb_compact_range_cf(db, cf[i], NULL, 0, NULL, 0);
        rocksdb_column_family_handle_destroy(cf[i]);
    }
    rocksdb_close(db);
    sto_rocks_setup_free(&setup);
}

static void reopen_compacted(struct kit *k)
{
    struct pgn_buf problem = {0};

    kit_reopen(k); /* what is in the log file goes to a table: only tables are compacted */
    kit_shut(k);
    compact(k);
    assert_int_equal(kit_try_open(k, &problem), 0);
    pgn_buf_release(&problem);
}

static uint64_t sent_as(struct kit *k, const char *client_id)
{
    assert_int_equal(kit_send(k, "alice", kit_direct(k, "alice", "bob"), client_id, "x"), 0);
    return k->results[0].sent->seq;
}

static void a_retry_key_lives_as_long_as_promised(void **state)
{
    struct kit *k = kit_of(state);

    clock_to(0);
    kit_users(k, "alice", "bob", NULL);
    assert_int_equal(sent_as(k, "old"), 1);
    clock_to(RETRY_DAYS - 1);
    reopen_compacted(k);
    assert_int_equal(sent_as(k, "old"), 1);
    assert_int_equal(sent_as(k, "young"), 2);
    clock_to(RETRY_DAYS + 1);
    reopen_compacted(k);
    assert_int_equal(sent_as(k, "young"), 2); /* two days old */
    assert_int_equal(sent_as(k, "old"), 3);   /* forgotten: a new message */
    pgn_clock_set(NULL, NULL);
}

static void a_key_of_an_unset_clock_is_kept(void **state)
{
    struct kit *k = kit_of(state);

    atomic_store(&now_ms, 1000); /* 1970: a Pi without a battery */
    pgn_clock_set(faked_mono_us, faked_wall_ms);
    kit_users(k, "alice", "bob", NULL);
    assert_int_equal(sent_as(k, "early"), 1);
    clock_to(100);
    reopen_compacted(k);
    assert_int_equal(sent_as(k, "early"), 1);
    pgn_clock_set(NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KIT_TEST(a_retry_key_lives_as_long_as_promised),
        KIT_TEST(a_key_of_an_unset_clock_is_kept),
    };

    return KIT_RUN_ON("embedded", tests);
}
