/* A directory's changes, recorded here and applied there: both are the same afterwards, whatever comes twice. */
#include "services/storage/dir_replica.h"

#include "common/base/alloc.h"
#include "common/base/error.h"
#include "services/storage/dir_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct side {
    struct sto_people *people;
    struct sto_dir *dir;
};
struct pair {
    struct side from, to;
    struct pgn_buf changes[8];
    size_t count;
    struct pgn_arena *arena;
};

static void side_open(struct side *s)
{
    struct pgn_buf problem = {0}, notes = {0};

    s->people = sto_people_new();
    assert_int_equal(sto_dir_open(":memory:", s->people, &s->dir, &problem, &notes), 0);
    pgn_buf_release(&problem);
    pgn_buf_release(&notes);
}

static int setup(void **state)
{
    struct pair *p = pgn_calloc(1, sizeof *p);

    side_open(&p->from);
    side_open(&p->to);
    p->arena = pgn_arena_new(4096);
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    struct pair *p = *state;

    sto_dir_close(&p->from.dir);
    sto_dir_close(&p->to.dir);
    sto_people_free(&p->from.people);
    sto_people_free(&p->to.people);
    for (size_t i = 0; i < PGN_COUNT(p->changes); i++)
        pgn_buf_release(&p->changes[i]);
    pgn_arena_free(&p->arena);
    free(p);
    return 0;
}

static char *chars(const char *text)
{
    static char slots[16][80];
    static unsigned next;
    char *slot = slots[next++ % 16];

    strcpy(slot, text);
    return slot;
}

static int ask(struct pair *p, const Pigeon__DirRequest *request)
{
    Pigeon__Reply reply = PIGEON__REPLY__INIT;
    struct sto_effects effects;

    sto_effects_init(&effects, p->arena);
    return sto_dir_request(p->from.dir, request, p->arena, &reply, &effects);
}

static void user_create(struct pair *p, const char *id)
{
    Pigeon__DirRequest request = PIGEON__DIR_REQUEST__INIT;
    Pigeon__User user = PIGEON__USER__INIT;

    user.user = chars(id);
    user.name = chars("A name");
    user.password_hash = chars("$argon2id$...");
    request.actor = chars("admin");
    request.what_case = PIGEON__DIR_REQUEST__WHAT_USER_CREATE;
    request.user_create = &user;
    assert_int_equal(ask(p, &request), 0);
}

static void contact(struct pair *p, const char *user, const char *other, const char *action)
{
    Pigeon__DirRequest request = PIGEON__DIR_REQUEST__INIT;
    Pigeon__ContactChange change = PIGEON__CONTACT_CHANGE__INIT;

    change.user = chars(user);
    change.other = chars(other);
    change.action = chars(action);
    request.what_case = PIGEON__DIR_REQUEST__WHAT_CONTACT;
    request.contact = &change;
    assert_int_equal(ask(p, &request), 0);
}

static void session_add(struct pair *p, const char *user, uint8_t byte)
{
    Pigeon__SessionRequest request = PIGEON__SESSION_REQUEST__INIT;
    Pigeon__Session session = PIGEON__SESSION__INIT;
    Pigeon__Reply reply = PIGEON__REPLY__INIT;
    struct sto_effects effects;
    uint8_t hash[PGN_HASH_BYTES];

    memset(hash, byte, sizeof hash);
    sto_effects_init(&effects, p->arena);
    session.hash = (ProtobufCBinaryData){sizeof hash, hash};
    session.user = chars(user);
    session.device = chars("phone");
    request.what_case = PIGEON__SESSION_REQUEST__WHAT_CREATE;
    request.create = &session;
    assert_int_equal(sto_dir_session(p->from.dir, &request, p->arena, &reply, &effects), 0);
}

static void begin(struct pair *p)
{
    assert_int_equal(sto_dir_begin(p->from.dir), 0);
    assert_int_equal(sto_replica_begin(p->from.dir), 0);
}

static void end(struct pair *p)
{
    assert_int_equal(sto_replica_changeset(p->from.dir, &p->changes[p->count++]), 0);
    assert_int_equal(sto_dir_end(p->from.dir), 0);
}

static void apply(struct pair *p, size_t i)
{
    assert_int_equal(sto_replica_apply(p->to.dir, sto_slice_buf(&p->changes[i])), 0);
}

/* Every row of every table, as text. */
static void dump(struct sto_dir *dir, struct pgn_buf *out)
{
    for (size_t i = 0; i < STO_DIR_TABLES; i++) {
        struct pgn_buf sql = {0};
        sqlite3_stmt *s;

        pgn_buf_printf(&sql, "SELECT * FROM %s ORDER BY 1, 2", sto_dir_tables[i].name);
        assert_int_equal(sqlite3_prepare_v2(dir->db, pgn_buf_cstr(&sql), -1, &s, NULL), SQLITE_OK);
        while (sqlite3_step(s) == SQLITE_ROW) {
            pgn_buf_printf(out, "%s:", sto_dir_tables[i].name);
            for (int c = 0; c < sqlite3_column_count(s); c++) {
                pgn_buf_append(out, sqlite3_column_blob(s, c), (size_t)sqlite3_column_bytes(s, c));
                pgn_buf_append_byte(out, '|');
            }
            pgn_buf_append_byte(out, '\n');
        }
        sqlite3_finalize(s);
        pgn_buf_release(&sql);
    }
}

static void assert_same(struct pair *p)
{
    struct pgn_buf from = {0}, to = {0};
    uint64_t users, sessions, users_there, sessions_there;

    dump(p->from.dir, &from);
    dump(p->to.dir, &to);
    assert_true(from.len > 0);
    assert_string_equal(pgn_buf_cstr(&from), pgn_buf_cstr(&to));
    sto_dir_counts(p->from.dir, &users, &sessions);
    sto_dir_counts(p->to.dir, &users_there, &sessions_there);
    assert_int_equal(users, users_there);
    assert_int_equal(sessions, sessions_there);
    pgn_buf_release(&from);
    pgn_buf_release(&to);
}

/* Three transactions: people and a session; a block and another session of the device; the block taken back. */
static void make_changes(struct pair *p)
{
    begin(p);
    user_create(p, "alice");
    user_create(p, "bob");
    session_add(p, "alice", 1);
    end(p);
    begin(p);
    contact(p, "alice", "bob", "block");
    session_add(p, "alice", 2);
    end(p);
    begin(p);
    contact(p, "alice", "bob", "unblock");
    end(p);
}

static void columns_are_the_schemas(void **state)
{
    struct pair *p = *state;

    for (size_t i = 0; i < STO_DIR_TABLES; i++) {
        struct pgn_buf sql = {0};
        sqlite3_stmt *s;
        int c = 0;

        pgn_buf_printf(&sql, "SELECT * FROM %s", sto_dir_tables[i].name);
        assert_int_equal(sqlite3_prepare_v2(p->from.dir->db, pgn_buf_cstr(&sql), -1, &s, NULL), SQLITE_OK);
        for (; sto_dir_tables[i].columns[c]; c++)
            assert_string_equal(sto_dir_tables[i].columns[c], sqlite3_column_name(s, c));
        assert_int_equal(c, sqlite3_column_count(s));
        sqlite3_finalize(s);
        pgn_buf_release(&sql);
    }
}

static void changes_arrive(void **state)
{
    struct pair *p = *state;
    struct sto_people *there = p->to.people;

    make_changes(p);
    apply(p, 0);
    assert_true(sto_people_get(there, "bob").exists);
    assert_false(sto_people_blocks(there, "alice", "bob"));
    uint64_t before = sto_people_get(there, "alice").version;
    apply(p, 1);
    assert_true(sto_people_blocks(there, "alice", "bob"));
    assert_true(sto_people_get(there, "alice").version > before);
    apply(p, 2);
    assert_false(sto_people_blocks(there, "alice", "bob"));
    assert_same(p);
}

static void changes_may_come_again(void **state)
{
    struct pair *p = *state;

    make_changes(p);
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < p->count; i++)
            apply(p, i);
    assert_same(p);
    assert_int_equal(p->changes[0].len > 0, 1);
}

static void nothing_changed_is_nothing(void **state)
{
    struct pair *p = *state;

    begin(p);
    end(p);
    assert_int_equal(p->changes[0].len, 0);
    begin(p);
    user_create(p, "carol");
    sto_dir_abort(p->from.dir);
    assert_null(p->from.dir->recording);
    begin(p);
    user_create(p, "carol"); /* as if it had never been */
    end(p);
    apply(p, 1);
    assert_same(p);
}

/* A session that is known here from the cache ends when another instance revoked it. */
static void cached_sessions_end(void **state)
{
    struct pair *p = *state;
    Pigeon__SessionRequest request = PIGEON__SESSION_REQUEST__INIT;
    uint8_t hash[PGN_HASH_BYTES];

    memset(hash, 1, sizeof hash);
    make_changes(p);
    apply(p, 0);
    (void)request;
    sqlite3_stmt *s = sto_sql_bind(p->to.dir, STO_SQL_SESSION_GET, "b", hash, sizeof hash);
    bool row;
    assert_int_equal(sto_sql_step(s, &row), 0);
    assert_true(row);
    sqlite3_reset(s);
    apply(p, 1);
    s = sto_sql_bind(p->to.dir, STO_SQL_SESSION_GET, "b", hash, sizeof hash);
    assert_int_equal(sto_sql_step(s, &row), 0);
    assert_false(row);
}

static void damage_is_refused(void **state)
{
    struct pair *p = *state;
    struct pgn_buf bad = {0};

    make_changes(p);
    pgn_buf_append(&bad, p->changes[0].data, p->changes[0].len / 2);
    assert_int_not_equal(sto_replica_apply(p->to.dir, sto_slice_buf(&bad)), 0);
    pgn_buf_release(&bad);
}

struct seen {
    struct pgn_buf text;
};
static void on_row(void *ctx, const struct sto_row_change *c)
{
    struct seen *seen = ctx;

    pgn_buf_printf(&seen->text, "%s %s %s %u\n", c->removed ? "-" : "+", c->collection, c->id, bson_count_keys(c->fields));
}

static bool has(struct seen *s, const char *line)
{
    return strstr(pgn_buf_cstr(&s->text), line) != NULL;
}

static void rows_are_documents(void **state)
{
    struct pair *p = *state;
    struct seen seen = {0};

    make_changes(p);
    for (size_t i = 0; i < p->count; i++)
        assert_int_equal(sto_replica_visit(sto_slice_buf(&p->changes[i]), on_row, &seen), 0);
    assert_true(has(&seen, "+ dir_users alice 15\n")); /* all columns */
    assert_true(has(&seen, "+ dir_users alice 1\n"));  /* the version */
    assert_true(has(&seen, "+ dir_contacts alice/bob 5\n"));
    assert_true(has(&seen, "- dir_contacts alice/bob 0\n"));
    assert_true(has(&seen, "+ dir_audit 00000000000000000001 7\n"));
    assert_true(has(&seen, "- dir_sessions 0101010101010101010101010101010101010101010101010101010101010101 0\n"));
    pgn_buf_release(&seen.text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(columns_are_the_schemas), TEST(changes_arrive),    TEST(changes_may_come_again), TEST(nothing_changed_is_nothing),
        TEST(cached_sessions_end),     TEST(damage_is_refused), TEST(rows_are_documents),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
