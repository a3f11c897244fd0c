/*
 * A store under a conformance test: opened empty, asked through store.h only. KIT_RUN runs a list of tests on every engine
 * and prints its name. One thread. Every answer lives until the next kit_clear or kit_close.
 */
#ifndef TESTS_STORE_KIT_H
#define TESTS_STORE_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/error.h"
#include "common/base/id.h"
#include "services/storage/mongo.h"
#include "services/storage/store.h"

enum { KIT_ITEMS_MAX = 4096 };
#define KIT_NOW UINT64_MAX /* as version: the conversation's current one */

struct kit {
    struct sto_store *store;
    struct sto_store_options options;
    struct sto_mongo_options mongo;
    char directory[64], database[40];
    struct pgn_arena *arena;
    /* The batch in the making, and the answers of the last commit. */
    Pigeon__CommitItem *items[KIT_ITEMS_MAX];
    size_t count;
    Pigeon__ItemResult results[KIT_ITEMS_MAX];
    struct sto_effects effects;
    Pigeon__Reply reply;
    struct sto_effects dir_effects;
};

/* "memory", "embedded" or "mongodb": the last on the server that PIGEON_MONGO_URI names, each test in a database of its own. */
extern const char *kit_engine;

/* cmocka fixtures: *state is a struct kit with an open, empty store. */
int kit_setup(void **state);
int kit_teardown(void **state);
struct kit *kit_of(void **state);
int kit_try_open(struct kit *k, struct pgn_buf *problem); /* after kit_shut */
void kit_shut(struct kit *k);
bool kit_slow(void);                                                                       /* fewer of everything, please */
bool kit_mongo_there(void);                                                                /* else it says so */
int kit_open_beside(struct kit *k, struct sto_store **ret_store, struct pgn_buf *problem); /* a second one on the same database */
bool kit_durable(void); /* whether this engine keeps anything over a reopen */
void kit_reopen(struct kit *k);
void kit_clear(struct kit *k); /* frees all answers */

/* Users exist after this: names end with NULL. */
void kit_users(struct kit *k, ...);
void kit_user_many(struct kit *k, const char *prefix, size_t count); /* prefix0, prefix1, ... */

/* Items of the next commit. direct("a","b") gives the conversation's id in the arena. */
const char *kit_direct(struct kit *k, const char *a, const char *b);
Pigeon__CommitItem *kit_item(struct kit *k, const char *user, const char *conv, uint64_t version);
Pigeon__Append *kit_text(struct kit *k, const char *user, const char *conv, uint64_t version, const char *client_id, const char *text);
Pigeon__Append *kit_operation(struct kit *k, const char *user, const char *conv, Pigeon__Op op, uint64_t seq, const char *client_id);
void kit_mark(struct kit *k, const char *user, const char *conv, uint64_t read, uint64_t delivered);
Pigeon__GroupChange *kit_change(struct kit *k, const char *user, const char *conv, uint64_t version, Pigeon__Op op, const char *client_id);
Pigeon__MemberChange *kit_member(struct kit *k, Pigeon__GroupChange *change, const char *user, Pigeon__Role role, bool remove);
int kit_commit(struct kit *k); /* the store's own error */
/* One item, committed: its error. */
int kit_send(struct kit *k, const char *user, const char *conv, const char *client_id, const char *text);
/* A group with these members (owner first), NULL at the end; returns its id. */
const char *kit_group(struct kit *k, const char *owner, ...);

/* Reading. All assert that the store answered. */
uint64_t kit_version(struct kit *k, const char *conv);
Pigeon__Policy *kit_policy(struct kit *k, const char *conv);
Pigeon__Page *kit_fetch(struct kit *k, const char *conv, uint64_t after, uint64_t before, uint32_t limit, uint64_t first_seq);
Pigeon__SyncPage *kit_sync(struct kit *k, const char *user, const char *cursor, uint32_t limit);
Pigeon__ConvState *kit_state(struct kit *k, const char *user, const char *conv); /* of a full sync; NULL when it is not in it */
Pigeon__Event *kit_event(struct kit *k, size_t i);                               /* of the last commit, decoded */
Pigeon__Event *kit_dir_event(struct kit *k, size_t i);

/* The directory: one request in a transaction of its own; answer in k->reply. Returns its error. */
int kit_dir(struct kit *k, Pigeon__DirRequest *request);
int kit_session(struct kit *k, Pigeon__SessionRequest *request);
int kit_mqtt(struct kit *k, Pigeon__MqttRequest *request);
int kit_contact(struct kit *k, const char *user, const char *other, const char *action);

#define KIT_TEST(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)
/* Runs the tests on one engine; returns how many failed. */
#define KIT_RUN_ON(engine, tests)                                                                                                          \
    (kit_engine = (engine), print_message("store: %s\n", kit_engine), cmocka_run_group_tests_name(#tests, tests, NULL, NULL))
/* In statements of their own: the parts of one expression may be mixed, and then one engine runs twice. */
#define KIT_RUN(tests)                                                                                                                     \
    do {                                                                                                                                   \
        int failed = KIT_RUN_ON("memory", tests);                                                                                          \
        failed += KIT_RUN_ON("embedded", tests);                                                                                           \
        if (kit_mongo_there())                                                                                                             \
            failed += KIT_RUN_ON("mongodb", tests);                                                                                        \
        return failed;                                                                                                                     \
    } while (0)

#endif
