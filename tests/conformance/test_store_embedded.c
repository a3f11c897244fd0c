/*
 * What only the embedded store has: files that may be torn, damaged, locked, too new, on a full disk; backups and restores.
 */
#include "common/base/clock.h"
#include "services/storage/log.h"
#include "services/storage/rows.h"
#include "tests/conformance/support/store_kit.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ---- files ---- */

static const char *path_of(struct kit *k, const char *relative)
{
    char path[512];

    snprintf(path, sizeof path, "%s/%s", k->directory, relative);
    return pgn_arena_strdup(k->arena, path);
}

/* The newest file of store/log whose name ends so. */
static const char *newest(struct kit *k, const char *ending)
{
    DIR *d = opendir(path_of(k, "store/log"));
    char best[300] = "";

    assert_non_null(d);
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        size_t n = strlen(e->d_name), m = strlen(ending);

        if (n > m && strcmp(e->d_name + n - m, ending) == 0 && strcmp(e->d_name, best) > 0)
            snprintf(best, sizeof best, "%s", e->d_name);
    }
    closedir(d);
    assert_true(best[0] != 0);
    char relative[400];
    snprintf(relative, sizeof relative, "store/log/%s", best);
    return path_of(k, relative);
}

static size_t count_names(struct kit *k, const char *directory, const char *part)
{
    DIR *d = opendir(path_of(k, directory));
    size_t count = 0;

    for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d))
        count += strstr(e->d_name, part) != NULL;
    if (d)
        closedir(d);
    return count;
}

static off_t size_of(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return st.st_size;
}

static void overwrite(const char *path, off_t at, size_t len)
{
    int fd = open(path, O_WRONLY);
    char junk[4096];

    assert_true(fd >= 0 && len <= sizeof junk);
    memset(junk, 0xa5, sizeof junk);
    assert_int_equal(pwrite(fd, junk, len, at), (ssize_t)len);
    close(fd);
}

/* Fifty messages, each a commit of its own. */
static const char *fill(struct kit *k)
{
    char id[16];

    kit_users(k, "alice", "bob", NULL);
    const char *conv = kit_direct(k, "alice", "bob");
    for (int i = 1; i <= 50; i++) {
        snprintf(id, sizeof id, "m%d", i);
        assert_int_equal(kit_send(k, "alice", conv, id, id), 0);
    }
    return conv;
}

static bool noted(const struct kit *k, const char *part)
{
    struct pgn_buf notes = {0};

    pgn_buf_append(&notes, k->store->notes.data, k->store->notes.len);
    bool yes = strstr(pgn_buf_cstr(&notes), part) != NULL;
    if (!yes)
        print_message("notes: %s\n", pgn_buf_cstr(&notes));
    pgn_buf_release(&notes);
    return yes;
}

/* ---- tests ---- */

static void a_second_opener_is_refused(void **state)
{
    struct kit *k = kit_of(state);
    struct sto_store *second = NULL;
    struct pgn_buf problem = {0};
    char pid[32];

    assert_int_equal(sto_embedded_open(&k->options, &second, &problem), PGN_E_BUSY);
    snprintf(pid, sizeof pid, "process %ld", (long)getpid());
    assert_non_null(strstr(pgn_buf_cstr(&problem), pid));
    pgn_buf_release(&problem);
    fill(k); /* the first goes on */
}

static void a_torn_tail_is_no_reason_not_to_start(void **state)
{
    struct kit *k = kit_of(state);
    const char *conv = fill(k);

    kit_shut(k);
    const char *wal = newest(k, ".log");
    assert_int_equal(truncate(wal, size_of(wal) - 7), 0); /* in the middle of the newest record */
    kit_reopen(k);
    assert_int_equal(kit_policy(k, conv)->last_seq, 49);
    assert_true(noted(k, "set aside"));
    assert_int_equal(kit_fetch(k, conv, 48, 0, 10, 1)->n_messages, 1);
    assert_int_equal(kit_send(k, "alice", conv, "m50", "again"), 0); /* as if it had never been */
    assert_int_equal(k->results[0].sent->seq, 50);
    assert_int_equal(kit_send(k, "alice", conv, "m49", "again"), 0);
    assert_int_equal(k->results[0].sent->seq, 49);
}

static void a_garbled_tail_is_set_aside(void **state)
{
    struct kit *k = kit_of(state);
    const char *conv = fill(k);

    kit_shut(k);
    const char *wal = newest(k, ".log");
    overwrite(wal, size_of(wal) - 60, 40);
    kit_reopen(k);
    assert_true(kit_policy(k, conv)->last_seq >= 48);
    assert_true(noted(k, "tail was damaged"));
    assert_int_equal(count_names(k, "store", "log.torn-"), 1);
    kit_reopen(k);
    assert_int_equal(k->store->notes.len, 0); /* once is enough */
}

static void a_garbled_middle_is_cut_there(void **state)
{
    struct kit *k = kit_of(state);
    const char *conv = fill(k);

    kit_shut(k);
    const char *wal = newest(k, ".log");
    overwrite(wal, size_of(wal) / 2, 64);
    kit_reopen(k);
    uint64_t last = kit_policy(k, conv)->last_seq;
    assert_in_range(last, 10, 40);
    assert_true(noted(k, "tail was damaged"));
    for (uint64_t seq = 0; seq < last;) { /* what is there is whole and dense */
        Pigeon__Page *page = kit_fetch(k, conv, seq ? seq : 1, 0, 200, 1);

        for (size_t i = 0; i < page->n_messages; i++)
            assert_int_equal(page->messages[i]->seq, (seq ? seq : 1) + 1 + i);
        seq = last;
    }
    assert_int_equal(kit_send(k, "alice", conv, "next", "x"), 0);
    assert_int_equal(k->results[0].sent->seq, last + 1);
}

static void a_lost_manifest_is_repaired_in_a_copy(void **state)
{
    struct kit *k = kit_of(state);
    const char *conv = fill(k);

    kit_reopen(k); /* what is in the log file goes to a table */
    assert_int_equal(kit_send(k, "bob", conv, "one-more", "x"), 0);
    kit_shut(k);
    overwrite(path_of(k, "store/log/CURRENT"), 0, 8);
    kit_reopen(k);
    assert_true(noted(k, "log was damaged"));
    assert_true(noted(k, "could be read"));
    assert_int_equal(count_names(k, "store", "log.damaged-"), 1);
    assert_int_equal(kit_policy(k, conv)->last_seq, 51);
    assert_int_equal(kit_fetch(k, conv, 1, 0, 200, 1)->n_messages, 50);
    assert_int_equal(kit_send(k, "bob", conv, "two-more", "y"), 0);
    assert_int_equal(k->results[0].sent->seq, 52);
    const char *group = kit_group(k, "alice", "bob", NULL); /* numbers of conversations are not given twice */
    assert_int_equal(kit_policy(k, group)->last_seq, 1);
    assert_int_equal(kit_policy(k, conv)->last_seq, 52);
}

static uint64_t num_of(struct sto_kv *kv, const char *conv)
{
    struct sto_key key = sto_key_conv(conv);
    struct pgn_buf value = {0};
    struct sto_conv_row row;

    assert_int_equal(kv->ops->get(kv, NULL, STO_CF_MAIN, sto_key_slice(&key), &value), 0);
    assert_true(sto_conv_row_get(sto_slice_buf(&value), &row));
    pgn_buf_release(&value);
    return row.num;
}

static void lose(struct sto_kv *kv, enum sto_cf cf, struct sto_key key)
{
    struct sto_kv_put gone = {.cf = cf, .remove = true, .key = sto_key_slice(&key)};

    assert_int_equal(kv->ops->write(kv, &gone, 1, true), 0);
}

/* A lost table takes rows of some kinds and leaves others: what is left is to be read and written as before. */
static void rows_that_damage_took_lock_nobody_out(void **state)
{
    struct kit *k = kit_of(state);
    const char *conv = fill(k);
    struct sto_kv_rocks_options options = {
        .path = path_of(k, "store/log"), .cache_bytes = 1u << 20, .memtable_bytes = 1u << 20, .retry_days = 14};
    struct pgn_buf problem = {0};
    struct sto_rebuilt rebuilt = {0};
    struct sto_kv *kv = NULL;

    kit_users(k, "carol", NULL);
    const char *stateless = kit_group(k, "alice", "bob", "carol", NULL), *nameless = kit_group(k, "alice", "bob", NULL),
               *strange = kit_group(k, "alice", "bob", NULL);
    const char *cursor = pgn_arena_strdup(k->arena, kit_sync(k, "bob", "", 100)->cursor);
    kit_shut(k);
    assert_int_equal(sto_kv_rocks_open(&options, &kv, &problem), 0);
    lose(kv, STO_CF_MSG, sto_key_msg(num_of(kv, conv), 50));
    lose(kv, STO_CF_MAIN, sto_key_state(num_of(kv, stateless)));
    lose(kv, STO_CF_MAIN, sto_key_member(num_of(kv, strange), "bob"));
    lose(kv, STO_CF_MAIN, sto_key_conv(nameless));
    assert_int_equal(sto_log_rebuild(kv, &rebuilt), 0);
    kv->ops->close(kv);
    pgn_buf_release(&problem);
    assert_int_equal(rebuilt.missing, 1);
    kit_reopen(k);
    assert_int_equal(kit_policy(k, stateless)->n_members, 3);
    assert_int_equal(kit_sync(k, "bob", cursor, 100)->n_convs, 2); /* both are told anew to whoever was up to date */
    assert_non_null(kit_state(k, "bob", stateless));
    assert_null(kit_state(k, "bob", strange));
    assert_null(kit_state(k, "bob", nameless));
    Pigeon__ConvState *direct = kit_state(k, "bob", conv);
    assert_non_null(direct);
    assert_int_equal(direct->last_seq, 50);
    assert_null(direct->last_message);
    kit_mark(k, "bob", conv, 50, 50);
    kit_text(k, "carol", stateless, KIT_NOW, "again", "x");
    kit_text(k, "bob", conv, KIT_NOW, "again", "x");
    assert_int_equal(kit_commit(k), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(k->results[i].error, 0);
    assert_int_equal(k->results[2].sent->seq, 51);
}

static void a_damaged_directory_is_set_aside(void **state)
{
    struct kit *k = kit_of(state);
    const char *conv = fill(k);

    kit_user_many(k, "many", 5000);
    kit_shut(k);
    const char *file = path_of(k, "store/directory.sqlite");
    assert_true(size_of(file) > 200000);
    for (off_t at = size_of(file) / 2; at < size_of(file) / 2 + 40000; at += 4096)
        overwrite(file, at, 4096);
    kit_reopen(k);
    assert_true(noted(k, "directory was damaged"));
    assert_true(noted(k, "could be read"));
    assert_true(noted(k, " mqtt"));
    assert_int_equal(count_names(k, "store", "directory.sqlite.damaged-"), 1);
    assert_true(kit_policy(k, conv)->found); /* alice and bob were before the damage */
    Pigeon__StoreStats stats = PIGEON__STORE_STATS__INIT;
    assert_int_equal(k->store->ops->stats(k->store, k->arena, &stats), 0);
    assert_in_range(stats.users, 500, 5001);
    assert_true(stats.n_set_aside > 0);
    kit_users(k, "fresh", NULL);
}

static void no_directory_at_all_in_the_file(void **state)
{
    struct kit *k = kit_of(state);

    fill(k);
    kit_shut(k);
    overwrite(path_of(k, "store/directory.sqlite"), 0, 4096);
    kit_reopen(k);
    assert_true(noted(k, "0 users"));
    kit_users(k, "fresh", NULL);
}

static void a_newer_schema_is_refused(void **state)
{
    struct kit *k = kit_of(state);
    struct pgn_buf problem = {0};
    sqlite3 *db;

    kit_shut(k);
    assert_int_equal(sqlite3_open(path_of(k, "store/directory.sqlite"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA user_version=99", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(kit_try_open(k, &problem), PGN_E_CONFLICT);
    assert_non_null(strstr(pgn_buf_cstr(&problem), "newer"));
    assert_int_equal(count_names(k, "store", "damaged"), 0);
    pgn_buf_release(&problem);
}

/* Files may not grow: every write to disk fails, as on a full disk. */
static void a_full_disk_stops_writes_until_there_is_room(void **state)
{
    struct kit *k = kit_of(state);
    const char *conv = fill(k);
    struct rlimit before, none;
    char id[16];
    int error = 0, tries = 0;

    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    none = before;
    none.rlim_cur = 1;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    kit_text(k, "alice", conv, 0, "doubt", "x");
    error = kit_commit(k);
    assert_true(error == PGN_E_UNCERTAIN);
    for (; tries < 3; tries++) { /* nothing more is acknowledged */
        snprintf(id, sizeof id, "no%d", tries);
        kit_text(k, "alice", conv, 0, id, "x");
        assert_int_equal(kit_commit(k), PGN_E_UNAVAILABLE);
        assert_true(k->store->ops->recover(k->store) != 0);
        assert_int_equal(kit_fetch(k, conv, 1, 0, 200, 1)->n_messages, 49); /* reads go on */
    }
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(k->store->ops->recover(k->store), 0);
    assert_int_equal(kit_send(k, "alice", conv, "doubt", "x"), 0); /* stored now or then, but once */
    assert_int_equal(k->results[0].sent->seq, 51);
    assert_int_equal(kit_send(k, "alice", conv, "after", "y"), 0);
    assert_int_equal(k->results[0].sent->seq, 52);
    kit_reopen(k);
    assert_int_equal(kit_policy(k, conv)->last_seq, 52);
}

static void a_full_disk_and_the_directory(void **state)
{
    struct kit *k = kit_of(state);
    struct rlimit before, none;
    Pigeon__DirRequest request = PIGEON__DIR_REQUEST__INIT;
    Pigeon__User user = PIGEON__USER__INIT;
    Pigeon__Reply reply = PIGEON__REPLY__INIT;
    static char name[] = "carol";

    fill(k);
    user.user = name;
    request.what_case = PIGEON__DIR_REQUEST__WHAT_USER_CREATE;
    request.user_create = &user;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    none = before;
    none.rlim_cur = 1;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    sto_effects_init(&k->dir_effects, k->arena);
    assert_int_equal(k->store->ops->dir_begin(k->store), 0);
    int one = k->store->ops->dir_request(k->store, &request, k->arena, &reply, &k->dir_effects);
    int all = k->store->ops->dir_end(k->store);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_true(one != 0 || all != 0);
    assert_false(kit_policy(k, "d:alice:carol")->found);
    kit_users(k, "carol", NULL); /* and it goes on */
    assert_true(kit_policy(k, "d:alice:carol")->found);
}

static uint64_t seven_hours_on_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000 + 7 * 3600 * 1000;
}

/* 0: a login is let in. */
static int login_on_full_disk(struct kit *k, Pigeon__SessionRequest *check)
{
    Pigeon__Reply reply = PIGEON__REPLY__INIT;

    sto_effects_init(&k->dir_effects, k->arena);
    assert_int_equal(k->store->ops->dir_begin(k->store), 0);
    int one = k->store->ops->dir_session(k->store, check, k->arena, &reply, &k->dir_effects);
    int all = k->store->ops->dir_end(k->store);
    return one ? one : all;
}

static void a_full_disk_lets_people_log_in(void **state)
{
    struct kit *k = kit_of(state);
    struct rlimit before, none;
    static char alice[] = "alice", phone[] = "phone";
    uint8_t hash[PGN_HASH_BYTES] = {7};
    ProtobufCBinaryData one = {sizeof hash, hash};
    Pigeon__Session session = PIGEON__SESSION__INIT;
    Pigeon__SessionCheck check = PIGEON__SESSION_CHECK__INIT;
    Pigeon__SessionRequest request = PIGEON__SESSION_REQUEST__INIT;

    fill(k);
    session.user = alice;
    session.device = phone;
    session.hash = one;
    request.what_case = PIGEON__SESSION_REQUEST__WHAT_CREATE;
    request.create = &session;
    assert_int_equal(kit_session(k, &request), 0);
    check.hashes = &one;
    check.n_hashes = 1;
    request.what_case = PIGEON__SESSION_REQUEST__WHAT_CHECK;
    request.check = &check;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    none = before;
    none.rlim_cur = 1;
    pgn_clock_set(NULL, seven_hours_on_ms); /* so long unused that the use is to be noted */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    int first = login_on_full_disk(k, &request), second = login_on_full_disk(k, &request);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    pgn_clock_set(NULL, NULL);
    assert_true(first != 0); /* this one found it out */
    assert_int_equal(second, 0);
}

static void a_backup_is_restored(void **state)
{
    struct kit *k = kit_of(state);
    const char *conv = fill(k);
    Pigeon__BackupInfo info = PIGEON__BACKUP_INFO__INIT;
    Pigeon__BackupList list = PIGEON__BACKUP_LIST__INIT;

    assert_int_equal(k->store->ops->backup(k->store, "first", k->arena, &info), 0);
    assert_int_equal(info.commit, k->store->ops->last_commit(k->store));
    assert_true(info.bytes > 0);
    assert_int_equal(k->store->ops->backup(k->store, "first", k->arena, &info), PGN_E_CONFLICT);
    assert_int_equal(k->store->ops->backup(k->store, "../else", k->arena, &info), PGN_E_INVALID);
    assert_int_equal(kit_send(k, "bob", conv, "after", "lost by the restore"), 0);
    kit_users(k, "carol", NULL);
    char *cursor = kit_sync(k, "alice", "", 10)->cursor;
    uint64_t commit = k->store->ops->last_commit(k->store);
    assert_int_equal(k->store->ops->backup_list(k->store, k->arena, &list), 0);
    assert_int_equal(list.n_backups, 1);
    assert_string_equal(list.backups[0]->name, "first");
    assert_int_equal(k->store->ops->restore(k->store, "nothing", k->arena, &info), PGN_E_NOT_FOUND);
    assert_int_equal(k->store->ops->restore(k->store, "first", k->arena, &info), 0);
    assert_int_equal(kit_policy(k, conv)->last_seq, 51); /* not before the restart */
    kit_reopen(k);
    assert_true(noted(k, "was restored"));
    assert_int_equal(kit_policy(k, conv)->last_seq, 50);
    assert_false(kit_policy(k, "d:alice:carol")->found);
    assert_int_equal(count_names(k, ".", "store.before-restore-"), 1);
    assert_int_equal(count_names(k, ".", "store.restore"), 0);
    /* Commit numbers go on above all that were given, and a cursor from before syncs anew. */
    assert_true(k->store->ops->last_commit(k->store) > commit);
    assert_int_equal(kit_sync(k, "alice", cursor, 10)->n_convs, 1);
    assert_int_equal(kit_send(k, "bob", conv, "after", "again"), 0);
    assert_int_equal(k->results[0].sent->seq, 51);
    kit_reopen(k);
    assert_int_equal(kit_policy(k, conv)->last_seq, 51);                       /* the restore is not done twice */
    assert_int_equal(k->store->ops->backup(k->store, "", k->arena, &info), 0); /* named by the time */
}

static void a_damaged_backup_is_not_restored(void **state)
{
    struct kit *k = kit_of(state);
    const char *conv = fill(k);
    Pigeon__BackupInfo info = PIGEON__BACKUP_INFO__INIT;

    assert_int_equal(k->store->ops->backup(k->store, "one", k->arena, &info), 0);
    assert_int_equal(k->store->ops->backup(k->store, "two", k->arena, &info), 0);
    overwrite(path_of(k, "backups/one/directory.sqlite"), 5000, 10);
    assert_int_equal(k->store->ops->restore(k->store, "one", k->arena, &info), PGN_E_CORRUPT);
    /* Damaged after it was asked for: the present store stays. */
    assert_int_equal(k->store->ops->restore(k->store, "two", k->arena, &info), 0);
    overwrite(path_of(k, "backups/two/directory.sqlite"), 5000, 10);
    kit_reopen(k);
    assert_true(noted(k, "the present store stays"));
    assert_int_equal(kit_policy(k, conv)->last_seq, 50);
}

static void a_restore_cut_off_is_begun_again(void **state)
{
    struct kit *k = kit_of(state);
    const char *conv = fill(k);
    Pigeon__BackupInfo info = PIGEON__BACKUP_INFO__INIT;

    assert_int_equal(k->store->ops->backup(k->store, "b", k->arena, &info), 0);
    assert_int_equal(kit_send(k, "bob", conv, "after", "x"), 0);
    assert_int_equal(k->store->ops->restore(k->store, "b", k->arena, &info), 0);
    kit_shut(k);
    /* As after a power cut between the two renames: the store is aside, half a copy is there. */
    assert_int_equal(rename(path_of(k, "store"), path_of(k, "store.before-restore-x")), 0);
    assert_int_equal(mkdir(path_of(k, "store.restoring"), 0700), 0);
    kit_reopen(k);
    assert_int_equal(kit_policy(k, conv)->last_seq, 50);
}

static void the_audit_log_shows_changes(void **state)
{
    struct kit *k = kit_of(state);
    uint64_t count, bad;
    sqlite3 *db;

    kit_users(k, "alice", "bob", "carol", NULL);
    kit_shut(k);
    assert_int_equal(sqlite3_open(path_of(k, "store/directory.sqlite"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "UPDATE audit SET object = 'mallory' WHERE number = 2", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    kit_reopen(k);
    assert_int_equal(k->store->ops->audit_verify(k->store, &count, &bad), 0);
    assert_int_equal(count, 3);
    assert_int_equal(bad, 2);
}

int main(void)
{
    static const struct CMUnitTest embedded[] = {
        KIT_TEST(a_second_opener_is_refused),
        KIT_TEST(a_torn_tail_is_no_reason_not_to_start),
        KIT_TEST(a_garbled_tail_is_set_aside),
        KIT_TEST(a_garbled_middle_is_cut_there),
        KIT_TEST(a_lost_manifest_is_repaired_in_a_copy),
        KIT_TEST(rows_that_damage_took_lock_nobody_out),
        KIT_TEST(a_damaged_directory_is_set_aside),
        KIT_TEST(no_directory_at_all_in_the_file),
        KIT_TEST(a_newer_schema_is_refused),
        KIT_TEST(a_full_disk_stops_writes_until_there_is_room),
        KIT_TEST(a_full_disk_and_the_directory),
        KIT_TEST(a_full_disk_lets_people_log_in),
        KIT_TEST(a_backup_is_restored),
        KIT_TEST(a_damaged_backup_is_not_restored),
        KIT_TEST(a_restore_cut_off_is_begun_again),
        KIT_TEST(the_audit_log_shows_changes),
    };

    return KIT_RUN_ON("embedded", embedded);
}
