/* Export and import: from every kind of store into every other, and back, without a difference. */
#include "tests/conformance/support/store_kit.h"

#include "services/storage/move_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- a store with some of everything ---- */

static void session_add(struct kit *k, const char *user, uint8_t byte)
{
    Pigeon__SessionRequest request = PIGEON__SESSION_REQUEST__INIT;
    Pigeon__Session session = PIGEON__SESSION__INIT;
    uint8_t *hash = pgn_arena_alloc(k->arena, PGN_HASH_BYTES);

    memset(hash, byte, PGN_HASH_BYTES);
    session.hash = (ProtobufCBinaryData){PGN_HASH_BYTES, hash};
    session.user = pgn_arena_strdup(k->arena, user);
    session.device = pgn_arena_strdup(k->arena, "phone");
    request.what_case = PIGEON__SESSION_REQUEST__WHAT_CREATE;
    request.create = &session;
    assert_int_equal(kit_session(k, &request), 0);
}

static void mqtt_add(struct kit *k, const char *user)
{
    Pigeon__MqttRequest request = PIGEON__MQTT_REQUEST__INIT;
    Pigeon__MqttSession session = PIGEON__MQTT_SESSION__INIT;

    session.user = pgn_arena_strdup(k->arena, user);
    session.device = pgn_arena_strdup(k->arena, "phone");
    session.cursor = pgn_arena_strdup(k->arena, "17");
    session.state = (ProtobufCBinaryData){4, (uint8_t *)pgn_arena_strdup(k->arena, "\x01\x02\xff\x03")};
    request.what_case = PIGEON__MQTT_REQUEST__WHAT_PUT;
    request.put = &session;
    assert_int_equal(kit_mqtt(k, &request), 0);
}

static void others_add(struct kit *k)
{
    Pigeon__DirRequest invite = PIGEON__DIR_REQUEST__INIT, file = PIGEON__DIR_REQUEST__INIT;
    Pigeon__Invitation i = PIGEON__INVITATION__INIT;
    Pigeon__FileMeta f = PIGEON__FILE_META__INIT;

    i.uses_left = 5;
    invite.actor = pgn_arena_strdup(k->arena, "alice");
    invite.what_case = PIGEON__DIR_REQUEST__WHAT_INVITE_CREATE;
    invite.invite_create = &i;
    assert_int_equal(kit_dir(k, &invite), 0);
    f.file_id = pgn_arena_strdup(k->arena, "f1");
    f.owner = pgn_arena_strdup(k->arena, "alice");
    f.name = pgn_arena_strdup(k->arena, "\xe5\x9b\xbe \"1\".png");
    f.size = 12345;
    f.sha256 = (ProtobufCBinaryData){4, (uint8_t *)pgn_arena_strdup(k->arena, "\x01\x02\xff\x03")};
    file.what_case = PIGEON__DIR_REQUEST__WHAT_FILE_PUT;
    file.file_put = &f;
    assert_int_equal(kit_dir(k, &file), 0);
}

static void fill(struct kit *k, int messages)
{
    char id[32], text[16000];

    bool few = !strcmp(kit_engine, "mongodb"); /* FerretDB is slow: few messages, but large ones */

    messages = few && messages > 60 ? 60 : messages;

    kit_users(k, "alice", "bob", "carol", NULL);
    session_add(k, "alice", 7);
    mqtt_add(k, "alice");
    assert_int_equal(kit_contact(k, "alice", "carol", "request"), 0);
    assert_int_equal(kit_contact(k, "bob", "carol", "block"), 0);
    others_add(k);
    const char *direct = kit_direct(k, "alice", "bob"), *group = kit_group(k, "alice", "bob", "carol", NULL);
    for (int i = 0; i < messages; i++) {
        snprintf(id, sizeof id, "m%d", i);
        snprintf(text, sizeof text, "%d \xe4\xbd\xa0\xe5\xa5\xbd \"quoted\" \\ \t %0*d", i, few ? 15000 : i % 1000 + 1, i);
        (void)kit_text(k, "alice", i % 3 ? group : direct, KIT_NOW, id, text);
        if (i % 100 == 0)
            assert_int_equal(kit_commit(k), 0);
    }
    assert_int_equal(kit_commit(k), 0);
    kit_operation(k, "alice", direct, PIGEON__OP__recall, 1, "r1");
    kit_operation(k, "bob", direct, PIGEON__OP__react, 2, "r2");
    kit_mark(k, "bob", direct, 2, 2);
    kit_mark(k, "carol", group, 2, 3);
    assert_int_equal(kit_commit(k), 0);
}

/* ---- files ---- */

static char *path_of(struct kit *k, const char *name)
{
    char path[160];

    snprintf(path, sizeof path, "%s-%s", k->directory, name);
    unlink(path);
    return pgn_arena_strdup(k->arena, path);
}

static uint8_t *file_read(const char *path, size_t *ret_len)
{
    struct stat st;
    FILE *f = fopen(path, "rb");

    assert_non_null(f);
    assert_int_equal(fstat(fileno(f), &st), 0);
    uint8_t *data = malloc((size_t)st.st_size + 1);
    assert_int_equal(fread(data, 1, (size_t)st.st_size, f), st.st_size);
    fclose(f);
    *ret_len = (size_t)st.st_size;
    return data;
}

static void file_write(const char *path, const uint8_t *data, size_t len)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, len, f), len);
    fclose(f);
}

static void assert_same_file(const char *a, const char *b)
{
    size_t la, lb;
    uint8_t *da = file_read(a, &la), *db = file_read(b, &lb);

    assert_int_equal(la, lb);
    assert_memory_equal(da, db, la);
    free(da);
    free(db);
}

static int export_to(struct sto_store *s, const char *path)
{
    struct sto_moved moved;
    struct pgn_buf problem = {0};
    int error = sto_export(s, path, &moved, &problem);

    if (error)
        print_message("export: %s\n", pgn_buf_cstr(&problem));
    pgn_buf_release(&problem);
    return error;
}

/* text: what the problem must say; NULL: no problem. */
static int import_from(struct sto_store *s, const char *path, const char *text)
{
    struct sto_moved moved;
    struct pgn_buf problem = {0};
    int error = sto_import(s, path, &moved, &problem);

    if (error && (!text || !strstr(pgn_buf_cstr(&problem), text)))
        fail_msg("import: %d, %s", error, pgn_buf_cstr(&problem));
    pgn_buf_release(&problem);
    return error;
}

static struct sto_store *memory_new(void)
{
    struct sto_store_options options;
    struct sto_store *s = NULL;
    struct pgn_buf problem = {0};

    sto_store_options_default(&options);
    assert_int_equal(sto_memory_open(&options, &s, &problem), 0);
    return s;
}

/* Empties the kit's store by opening a new one in its place. */
static void kit_anew(void **state)
{
    kit_teardown(state);
    kit_setup(state);
}

/* ---- tests ---- */

/* This engine -> memory -> this engine: three equal files. A retry after the move gets its first number, a cursor goes on. */
static void there_and_back(void **state)
{
    struct kit *k = kit_of(state);
    char first[160], second[160], third[160], cursor[200];

    fill(k, 400);
    const char *direct = kit_direct(k, "alice", "bob");
    snprintf(cursor, sizeof cursor, "%s", kit_sync(k, "bob", "", 100)->cursor);
    snprintf(first, sizeof first, "%s", path_of(k, "1"));
    snprintf(second, sizeof second, "%s", path_of(k, "2"));
    snprintf(third, sizeof third, "%s", path_of(k, "3"));
    assert_int_equal(export_to(k->store, first), 0);

    struct sto_store *m = memory_new();
    assert_int_equal(import_from(m, first, NULL), 0);
    assert_int_equal(export_to(m, second), 0);
    m->ops->close(m);
    assert_same_file(first, second);

    kit_anew(state);
    k = kit_of(state);
    assert_int_equal(import_from(k->store, second, NULL), 0);
    assert_int_equal(export_to(k->store, third), 0);
    assert_same_file(first, third);
    if (kit_durable()) { /* in use again */
        uint64_t count, bad;

        kit_reopen(k);
        direct = kit_direct(k, "alice", "bob");
        assert_int_equal(kit_send(k, "alice", direct, "m3", "again"), 0);
        assert_int_equal(k->results[0].sent->seq, 2);
        assert_int_equal(k->store->ops->audit_verify(k->store, &count, &bad), 0);
        assert_int_equal(bad, 0);
        assert_true(count > 0);
        assert_int_equal(kit_sync(k, "bob", cursor, 100)->n_convs, 0); /* nothing new, nothing anew */
        assert_int_equal(kit_send(k, "alice", direct, "new", "new"), 0);
        assert_int_equal(kit_sync(k, "bob", cursor, 100)->n_convs, 1);
    }
    unlink(first);
    unlink(second);
    unlink(third);
}

static void an_import_goes_on(void **state)
{
    struct kit *k = kit_of(state);
    char file[160], other[160], again[160];

    fill(k, 700);
    snprintf(file, sizeof file, "%s", path_of(k, "1"));
    snprintf(again, sizeof again, "%s", path_of(k, "2"));
    snprintf(other, sizeof other, "%s", path_of(k, "3"));
    assert_int_equal(export_to(k->store, file), 0);
    assert_int_equal(kit_send(k, "alice", kit_direct(k, "alice", "bob"), "more", "more"), 0);
    assert_int_equal(export_to(k->store, other), 0);
    kit_anew(state);
    k = kit_of(state);
    sto_import_test_stop = 2;
    assert_int_equal(import_from(k->store, file, "Run it again"), PGN_E_UNAVAILABLE);
    sto_import_test_stop = 0;
    assert_true(sto_import_pending(k->store));
    if (kit_durable())
        kit_reopen(k);
    assert_int_equal(import_from(k->store, other, "another file"), PGN_E_CONFLICT);
    assert_int_equal(export_to(k->store, again), PGN_E_CONFLICT);
    assert_int_equal(import_from(k->store, file, NULL), 0);
    assert_false(sto_import_pending(k->store));
    assert_int_equal(export_to(k->store, again), 0);
    assert_same_file(file, again);
    assert_int_equal(import_from(k->store, file, "not empty"), PGN_E_CONFLICT);
    unlink(file);
    unlink(again);
    unlink(other);
}

/* What an interrupted export wrote is kept; what does not fit the store is written again. */
static void an_export_goes_on(void **state)
{
    struct kit *k = kit_of(state);
    struct sto_moved moved;
    struct pgn_buf problem = {0};
    char whole[160], part[170], path[160];
    size_t len;

    fill(k, 700);
    snprintf(whole, sizeof whole, "%s", path_of(k, "1"));
    snprintf(path, sizeof path, "%s", path_of(k, "2"));
    snprintf(part, sizeof part, "%s.part", path);
    assert_int_equal(export_to(k->store, whole), 0);
    uint8_t *data = file_read(whole, &len);
    file_write(part, data, len * 3 / 4);
    assert_int_equal(sto_export(k->store, path, &moved, &problem), 0);
    assert_true(moved.skipped > 0);
    assert_same_file(whole, path);
    unlink(path);
    memset(data, 'x', len);
    file_write(part, data, len);
    assert_int_equal(sto_export(k->store, path, &moved, &problem), 0);
    assert_same_file(whole, path);
    free(data);
    unlink(path);
    unlink(whole);
    pgn_buf_release(&problem);
}

static void damage_is_refused(void **state)
{
    struct kit *k = kit_of(state);
    struct sto_store *m = memory_new();
    char file[160];
    size_t len;

    fill(k, 100);
    snprintf(file, sizeof file, "%s", path_of(k, "1"));
    assert_int_equal(export_to(k->store, file), 0);
    uint8_t *data = file_read(file, &len);
    for (size_t at = 0; at < len; at += len / 40 + 1) { /* a flipped byte, anywhere */
        data[at] ^= 0xff;
        file_write(file, data, len);
        assert_int_equal(import_from(m, file, "cannot be imported"), PGN_E_CORRUPT);
        data[at] ^= 0xff;
    }
    file_write(file, data, len - 1);
    assert_int_equal(import_from(m, file, "did not finish"), PGN_E_CORRUPT);
    file_write(file, data, len);
    assert_int_equal(import_from(m, file, NULL), 0); /* nothing of all that was written */
    m->ops->close(m);
    free(data);
    unlink(file);
}

static int find_raw(void *ctx, const Pigeon__ExportLine *line)
{
    *(size_t *)ctx += line->what_case == PIGEON__EXPORT_LINE__WHAT_RAW;
    return 0;
}

/* Lines are for people: nothing of an ordinary store goes as bytes. */
static void lines_are_readable(void **state)
{
    struct kit *k = kit_of(state);
    struct sto_counts counts;
    struct pgn_buf problem = {0};
    uint8_t hash[STO_MOVE_HASH];
    char file[160];
    size_t raw = 0;

    fill(k, 50);
    snprintf(file, sizeof file, "%s", path_of(k, "1"));
    assert_int_equal(export_to(k->store, file), 0);
    assert_int_equal(sto_in_read(file, find_raw, NULL, &raw, &counts, hash, &problem), 0);
    assert_int_equal(raw, 0);
    assert_int_equal(counts.of[PIGEON__EXPORT_LINE__WHAT_USER], 3);
    assert_int_equal(counts.of[PIGEON__EXPORT_LINE__WHAT_CONV], 2);
    assert_int_equal(counts.of[PIGEON__EXPORT_LINE__WHAT_MEMBER], 3);
    assert_true(counts.of[PIGEON__EXPORT_LINE__WHAT_MESSAGE] > 50);
    assert_true(counts.of[PIGEON__EXPORT_LINE__WHAT_RETRY] > 50);
    assert_int_equal(counts.of[PIGEON__EXPORT_LINE__WHAT_SESSION], 1);
    assert_int_equal(counts.of[PIGEON__EXPORT_LINE__WHAT_CONTACT], 3);
    unlink(file);
}

int main(void)
{
    static const struct CMUnitTest moves[] = {
        KIT_TEST(there_and_back),    KIT_TEST(an_import_goes_on),  KIT_TEST(an_export_goes_on),
        KIT_TEST(damage_is_refused), KIT_TEST(lines_are_readable),
    };

    KIT_RUN(moves);
}
