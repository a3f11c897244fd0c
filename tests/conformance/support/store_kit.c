#include "tests/conformance/support/store_kit.h"

#include "common/base/clock.h"
#include "common/base/random.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *kit_engine = "memory";

struct kit *kit_of(void **state)
{
    return *state;
}
bool kit_durable(void)
{
    return strcmp(kit_engine, "memory") != 0;
}

/* ---- life ---- */

static bool is_mongo(void)
{
    return strcmp(kit_engine, "mongodb") == 0;
}

bool kit_slow(void)
{
    return is_mongo();
}

bool kit_mongo_there(void)
{
    const char *uri = getenv("PIGEON_MONGO_URI");
    bool there = uri && *uri;

    if (!there)
        print_message("store: mongodb skipped because PIGEON_MONGO_URI is not set\n");
    return there;
}

int kit_open_beside(struct kit *k, struct sto_store **ret_store, struct pgn_buf *problem)
{
    if (is_mongo())
        return sto_mongo_open(&k->options, ret_store, problem);
    return strcmp(kit_engine, "memory") == 0 ? sto_memory_open(&k->options, ret_store, problem)
                                             : sto_embedded_open(&k->options, ret_store, problem);
}

int kit_try_open(struct kit *k, struct pgn_buf *problem)
{
    return kit_open_beside(k, &k->store, problem);
}

static void mongo_options(struct kit *k)
{
    uint64_t random;

    pgn_random(&random, sizeof random);
    snprintf(k->database, sizeof k->database, "t%016llx", (unsigned long long)random);
    k->mongo = (struct sto_mongo_options){.uri = getenv("PIGEON_MONGO_URI"),
                                          .database = k->database,
                                          .timeout_ms = 120000,
                                          .any_version = getenv("PIGEON_MONGO_ANY_VERSION") != NULL};
    k->options.mongo = &k->mongo;
}

static void mongo_drop(struct kit *k)
{
    struct pgn_buf problem = {0};
    struct sto_mongo *m;
    bson_t *drop = BCON_NEW("dropDatabase", BCON_INT32(1));

    assert_int_equal(sto_mongo_new(&k->mongo, &m, &problem), 0);
    mongoc_client_t *client = sto_mongo_take(m);
    mongoc_client_command_simple(client, k->database, drop, NULL, NULL, NULL);
    sto_mongo_give(m, client);
    sto_mongo_free(&m);
    bson_destroy(drop);
    pgn_buf_release(&problem);
}

static void open_or_fail(struct kit *k)
{
    struct pgn_buf problem = {0};
    int error = kit_try_open(k, &problem);

    if (error)
        print_error("open: %d %s\n", error, pgn_buf_cstr(&problem));
    pgn_buf_release(&problem);
    assert_int_equal(error, 0);
}

int kit_setup(void **state)
{
    struct kit *k = pgn_calloc(1, sizeof *k);
    const char *tmp = getenv("TMPDIR");

    snprintf(k->directory, sizeof k->directory, "%.40s/pgn-store-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(k->directory));
    sto_store_options_default(&k->options);
    k->options.data = k->directory;
    k->options.cache_bytes = k->options.memtable_bytes = 4u << 20;
    if (is_mongo())
        mongo_options(k);
    k->arena = pgn_arena_new(65536);
    *state = k;
    open_or_fail(k);
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

void kit_shut(struct kit *k)
{
    if (k->store)
        k->store->ops->close(k->store);
    k->store = NULL;
}

int kit_teardown(void **state)
{
    struct kit *k = *state;

    kit_shut(k);
    if (is_mongo())
        mongo_drop(k);
    nftw(k->directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    pgn_arena_free(&k->arena);
    free(k);
    return 0;
}

void kit_reopen(struct kit *k)
{
    kit_shut(k);
    open_or_fail(k);
}

void kit_clear(struct kit *k)
{
    pgn_arena_reset(k->arena);
    k->count = 0;
}

static char *keep(struct kit *k, const char *text)
{
    return pgn_arena_strdup(k->arena, text);
}
#define NEW(k, ctype, prefix, name)                                                                                                        \
    ctype *name = pgn_arena_alloc((k)->arena, sizeof(ctype));                                                                              \
    prefix##__init(name)

/* ---- directory ---- */

int kit_dir(struct kit *k, Pigeon__DirRequest *request)
{
    pigeon__reply__init(&k->reply);
    sto_effects_init(&k->dir_effects, k->arena);
    assert_int_equal(k->store->ops->dir_begin(k->store), 0);
    int error = k->store->ops->dir_request(k->store, request, k->arena, &k->reply, &k->dir_effects);
    assert_int_equal(k->store->ops->dir_end(k->store), 0);
    assert_int_equal(error, k->reply.error);
    return error;
}

int kit_session(struct kit *k, Pigeon__SessionRequest *request)
{
    pigeon__reply__init(&k->reply);
    sto_effects_init(&k->dir_effects, k->arena);
    assert_int_equal(k->store->ops->dir_begin(k->store), 0);
    int error = k->store->ops->dir_session(k->store, request, k->arena, &k->reply, &k->dir_effects);
    assert_int_equal(k->store->ops->dir_end(k->store), 0);
    return error;
}

int kit_mqtt(struct kit *k, Pigeon__MqttRequest *request)
{
    pigeon__reply__init(&k->reply);
    sto_effects_init(&k->dir_effects, k->arena);
    assert_int_equal(k->store->ops->dir_begin(k->store), 0);
    int error = k->store->ops->dir_mqtt(k->store, request, k->arena, &k->reply, &k->dir_effects);
    assert_int_equal(k->store->ops->dir_end(k->store), 0);
    assert_int_equal(error, k->reply.error);
    return error;
}

int kit_contact(struct kit *k, const char *user, const char *other, const char *action)
{
    NEW(k, Pigeon__DirRequest, pigeon__dir_request, request);
    NEW(k, Pigeon__ContactChange, pigeon__contact_change, change);
    change->user = keep(k, user);
    change->other = keep(k, other);
    change->action = keep(k, action);
    request->what_case = PIGEON__DIR_REQUEST__WHAT_CONTACT;
    request->contact = change;
    return kit_dir(k, request);
}

static void user_create(struct kit *k, const char *name)
{
    NEW(k, Pigeon__DirRequest, pigeon__dir_request, request);
    NEW(k, Pigeon__User, pigeon__user, user);
    user->user = keep(k, name);
    request->what_case = PIGEON__DIR_REQUEST__WHAT_USER_CREATE;
    request->user_create = user;
    assert_int_equal(kit_dir(k, request), 0);
}

void kit_users(struct kit *k, ...)
{
    va_list names;

    va_start(names, k);
    for (const char *name = va_arg(names, const char *); name; name = va_arg(names, const char *))
        user_create(k, name);
    va_end(names);
}

void kit_user_many(struct kit *k, const char *prefix, size_t count)
{
    NEW(k, Pigeon__DirRequest, pigeon__dir_request, request);
    NEW(k, Pigeon__UserBatch, pigeon__user_batch, batch);
    batch->users = pgn_arena_alloc(k->arena, count * sizeof(Pigeon__User *));
    batch->n_users = count;
    for (size_t i = 0; i < count; i++) {
        char name[40];

        snprintf(name, sizeof name, "%s%zu", prefix, i);
        NEW(k, Pigeon__User, pigeon__user, user);
        user->user = keep(k, name);
        batch->users[i] = user;
    }
    request->what_case = PIGEON__DIR_REQUEST__WHAT_USERS_IMPORT;
    request->users_import = batch;
    assert_int_equal(kit_dir(k, request), 0);
}

/* ---- commits ---- */

const char *kit_direct(struct kit *k, const char *a, const char *b)
{
    char conv[PGN_CONV_MAX + 1];

    pgn_conv_direct(a, b, conv);
    return keep(k, conv);
}

Pigeon__CommitItem *kit_item(struct kit *k, const char *user, const char *conv, uint64_t version)
{
    static uint32_t both[] = {0};

    NEW(k, Pigeon__CommitItem, pigeon__commit_item, item);
    assert_true(k->count < KIT_ITEMS_MAX);
    item->index = (uint32_t)k->count;
    item->user = keep(k, user);
    item->device = keep(k, "dev");
    item->conv = keep(k, conv);
    item->version = version == KIT_NOW ? kit_version(k, conv) : version;
    item->subjects = both;
    item->n_subjects = 1;
    k->items[k->count++] = item;
    return item;
}

Pigeon__Append *kit_text(struct kit *k, const char *user, const char *conv, uint64_t version, const char *client_id, const char *text)
{
    Pigeon__CommitItem *item = kit_item(k, user, conv, version);

    NEW(k, Pigeon__Append, pigeon__append, append);
    NEW(k, Pigeon__Body, pigeon__body, body);
    body->text = keep(k, text);
    append->client_id = keep(k, client_id);
    append->kind = PIGEON__KIND__text;
    append->body = body;
    append->create_direct = conv[0] == 'd';
    item->what_case = PIGEON__COMMIT_ITEM__WHAT_APPEND;
    item->append = append;
    return append;
}

Pigeon__Append *kit_operation(struct kit *k, const char *user, const char *conv, Pigeon__Op op, uint64_t seq, const char *client_id)
{
    Pigeon__Append *append = kit_text(k, user, conv, KIT_NOW, client_id, "");

    NEW(k, Pigeon__Operation, pigeon__operation, operation);
    operation->op = op;
    operation->seq = seq;
    append->body = NULL;
    append->kind = PIGEON__KIND__operation;
    append->operation = operation;
    append->create_direct = false;
    return append;
}

void kit_mark(struct kit *k, const char *user, const char *conv, uint64_t read, uint64_t delivered)
{
    Pigeon__CommitItem *item = kit_item(k, user, conv, KIT_NOW);

    NEW(k, Pigeon__Mark, pigeon__mark, mark);
    mark->read = read;
    mark->delivered = delivered;
    item->what_case = PIGEON__COMMIT_ITEM__WHAT_MARK;
    item->mark = mark;
}

Pigeon__GroupChange *kit_change(struct kit *k, const char *user, const char *conv, uint64_t version, Pigeon__Op op, const char *client_id)
{
    Pigeon__CommitItem *item = kit_item(k, user, conv, version);

    NEW(k, Pigeon__GroupChange, pigeon__group_change, change);
    change->op = op;
    change->client_id = keep(k, client_id);
    item->what_case = PIGEON__COMMIT_ITEM__WHAT_CHANGE;
    item->change = change;
    return change;
}

Pigeon__MemberChange *kit_member(struct kit *k, Pigeon__GroupChange *change, const char *user, Pigeon__Role role, bool remove)
{
    Pigeon__MemberChange **all = pgn_arena_alloc(k->arena, (change->n_members + 1) * sizeof(Pigeon__MemberChange *));

    NEW(k, Pigeon__MemberChange, pigeon__member_change, m);
    m->user = keep(k, user);
    m->role = role;
    m->remove = remove;
    if (change->n_members)
        memcpy((void *)all, (void *)change->members, change->n_members * sizeof(Pigeon__MemberChange *));
    all[change->n_members++] = m;
    change->members = all;
    return m;
}

int kit_commit(struct kit *k)
{
    static char subject[] = "conv.test";
    static char *subjects[] = {subject};
    struct sto_commit commit = {.results = k->results};

    NEW(k, Pigeon__CommitBatch, pigeon__commit_batch, batch);
    batch->items = pgn_arena_alloc(k->arena, (k->count + 1) * sizeof(Pigeon__CommitItem *));
    memcpy((void *)batch->items, (void *)k->items, k->count * sizeof(Pigeon__CommitItem *));
    batch->n_items = k->count;
    batch->subjects = subjects;
    batch->n_subjects = 1;
    commit.batch = batch;
    sto_effects_init(&k->effects, k->arena);
    k->count = 0;
    return k->store->ops->commit(k->store, &commit, 1, &k->effects, NULL, NULL);
}

int kit_send(struct kit *k, const char *user, const char *conv, const char *client_id, const char *text)
{
    kit_text(k, user, conv, KIT_NOW, client_id, text);
    assert_int_equal(kit_commit(k), 0);
    return k->results[0].error;
}

const char *kit_group(struct kit *k, const char *owner, ...)
{
    char conv[PGN_CONV_MAX + 1];
    va_list names;

    pgn_conv_group_new(conv);
    Pigeon__GroupChange *change = kit_change(k, owner, conv, 0, PIGEON__OP__created, conv);
    change->title = keep(k, "A group");
    kit_member(k, change, owner, PIGEON__ROLE__owner, false);
    va_start(names, owner);
    for (const char *name = va_arg(names, const char *); name; name = va_arg(names, const char *))
        kit_member(k, change, name, PIGEON__ROLE__member, false);
    va_end(names);
    assert_int_equal(kit_commit(k), 0);
    assert_int_equal(k->results[0].error, 0);
    return keep(k, conv);
}

/* ---- reading ---- */

static Pigeon__Reply *ask(struct kit *k, Pigeon__ConvRequest *request)
{
    NEW(k, Pigeon__Reply, pigeon__reply, reply);
    int error = k->store->ops->read(k->store, request, 0, k->arena, reply);
    if (error)
        print_error("read: %d %s\n", error, reply->text);
    assert_int_equal(error, 0);
    return reply;
}

Pigeon__Policy *kit_policy(struct kit *k, const char *conv)
{
    Pigeon__ConvRequest request = PIGEON__CONV_REQUEST__INIT;
    Pigeon__PolicyGet get = PIGEON__POLICY_GET__INIT;
    char *convs[] = {keep(k, conv)};

    get.convs = convs;
    get.n_convs = 1;
    request.what_case = PIGEON__CONV_REQUEST__WHAT_POLICY;
    request.policy = &get;
    Pigeon__Reply *reply = ask(k, &request);
    assert_int_equal(reply->policies->n_policies, 1);
    return reply->policies->policies[0];
}

uint64_t kit_version(struct kit *k, const char *conv)
{
    return kit_policy(k, conv)->version;
}

Pigeon__Page *kit_fetch(struct kit *k, const char *conv, uint64_t after, uint64_t before, uint32_t limit, uint64_t first_seq)
{
    Pigeon__ConvRequest request = PIGEON__CONV_REQUEST__INIT;
    Pigeon__FetchConv fetch_conv = PIGEON__FETCH_CONV__INIT;
    Pigeon__Fetch fetch = PIGEON__FETCH__INIT;

    fetch.conv = keep(k, conv);
    fetch.after = after;
    fetch.before = before;
    fetch.limit = limit;
    fetch_conv.fetch = &fetch;
    fetch_conv.first_seq = first_seq;
    request.what_case = PIGEON__CONV_REQUEST__WHAT_FETCH;
    request.fetch = &fetch_conv;
    return ask(k, &request)->ok->fetch;
}

Pigeon__SyncPage *kit_sync(struct kit *k, const char *user, const char *cursor, uint32_t limit)
{
    Pigeon__ConvRequest request = PIGEON__CONV_REQUEST__INIT;
    Pigeon__SyncUser sync_user = PIGEON__SYNC_USER__INIT;
    Pigeon__Sync sync = PIGEON__SYNC__INIT;

    sync.cursor = keep(k, cursor);
    sync.limit = limit;
    sync_user.user = keep(k, user);
    sync_user.sync = &sync;
    request.what_case = PIGEON__CONV_REQUEST__WHAT_SYNC;
    request.sync = &sync_user;
    return ask(k, &request)->ok->sync;
}

Pigeon__ConvState *kit_state(struct kit *k, const char *user, const char *conv)
{
    Pigeon__SyncPage *page = kit_sync(k, user, "", 500);

    for (size_t i = 0; i < page->n_convs; i++)
        if (strcmp(page->convs[i]->conv, conv) == 0)
            return page->convs[i];
    return NULL;
}

static Pigeon__Event *decode(struct kit *k, const struct sto_effects *effects, size_t i)
{
    assert_true(i < effects->event_count);
    Pigeon__Event *event = PGN_PB_UNPACK(Pigeon__Event, pigeon__event, k->arena, effects->events[i].data, effects->events[i].len);
    assert_non_null(event);
    return event;
}
Pigeon__Event *kit_event(struct kit *k, size_t i)
{
    return decode(k, &k->effects, i);
}
Pigeon__Event *kit_dir_event(struct kit *k, size_t i)
{
    return decode(k, &k->dir_effects, i);
}
