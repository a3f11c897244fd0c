/*
 * P10 of the performance goals: the embedded store alone. Messages committed per second at several batch sizes, CPU and bytes
 * written to disk for each, a page of history of a long conversation, resident memory. To be pinned to one core (taskset).
 *
 *   bench-store [--directory DIR] [--messages N] [--convs N] [--long N] [--memtable-mib N]
 */
#include "common/base/clock.h"
#include "common/base/id.h"
#include "services/storage/kv.h"
#include "services/storage/rows.h"
#include "services/storage/store.h"

#include <ftw.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { BATCH_MAX = 1024, PAGES = 2000, PAGE = 50 };

struct bench {
    struct sto_store *store;
    struct sto_store_options options;
    size_t convs, messages, long_messages;
    char **conv;
    char **user;
    struct pgn_arena *arena;
    Pigeon__CommitItem items[BATCH_MAX];
    Pigeon__Append appends[BATCH_MAX];
    Pigeon__Body bodies[BATCH_MAX];
    Pigeon__CommitItem *item_ptrs[BATCH_MAX];
    uint32_t subjects[2];
    char client_id[BATCH_MAX][32];
    Pigeon__ItemResult results[BATCH_MAX];
    uint64_t sent;
};

static void die(const char *what)
{
    fprintf(stderr, "bench-store: %s\n", what);
    exit(1);
}

/* ---- measuring ---- */

static uint64_t proc_value(const char *file, const char *name)
{
    FILE *f = fopen(file, "re");
    char line[256];
    uint64_t value = 0;

    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, name, strlen(name)) == 0)
            value = strtoull(line + strlen(name), NULL, 10);
    if (f)
        fclose(f);
    return value;
}
static uint64_t written_bytes(void)
{
    return proc_value("/proc/self/io", "write_bytes:");
}
static uint64_t resident_kib(void)
{
    return proc_value("/proc/self/status", "VmRSS:");
}
static uint64_t cpu_us(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 + (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

/* ---- work ---- */

static void users_make(struct bench *b)
{
    Pigeon__DirRequest request = PIGEON__DIR_REQUEST__INIT;
    Pigeon__UserBatch batch = PIGEON__USER_BATCH__INIT;
    Pigeon__Reply reply = PIGEON__REPLY__INIT;
    struct pgn_arena *arena = pgn_arena_new(65536);
    struct sto_effects effects;
    size_t count = b->convs * 2;
    char name[32];

    b->user = pgn_calloc(count, sizeof(char *));
    b->conv = pgn_calloc(b->convs, sizeof(char *));
    batch.users = pgn_arena_alloc(arena, count * sizeof(Pigeon__User *));
    batch.n_users = count;
    for (size_t i = 0; i < count; i++) {
        Pigeon__User *u = pgn_arena_alloc(arena, sizeof *u);

        pigeon__user__init(u);
        snprintf(name, sizeof name, "user%zu", i);
        b->user[i] = u->user = pgn_strdup(name);
        batch.users[i] = u;
    }
    for (size_t i = 0; i < b->convs; i++) {
        char conv[PGN_CONV_MAX + 1];

        pgn_conv_direct(b->user[2 * i], b->user[2 * i + 1], conv);
        b->conv[i] = pgn_strdup(conv);
    }
    request.what_case = PIGEON__DIR_REQUEST__WHAT_USERS_IMPORT;
    request.users_import = &batch;
    sto_effects_init(&effects, arena);
    if (b->store->ops->dir_begin(b->store) != 0 || b->store->ops->dir_request(b->store, &request, arena, &reply, &effects) != 0 ||
        b->store->ops->dir_end(b->store) != 0)
        die("making users failed");
    pgn_arena_free(&arena);
}

static void items_make(struct bench *b)
{
    static char device[] = "web-7f3a";
    static char text[] = "See you in room 12 after lunch, and bring the drawings please.";

    for (size_t i = 0; i < BATCH_MAX; i++) {
        pigeon__commit_item__init(&b->items[i]);
        pigeon__append__init(&b->appends[i]);
        pigeon__body__init(&b->bodies[i]);
        b->bodies[i].text = text;
        b->appends[i].body = &b->bodies[i];
        b->appends[i].kind = PIGEON__KIND__text;
        b->appends[i].create_direct = true;
        b->appends[i].client_id = b->client_id[i];
        b->items[i].device = device;
        b->items[i].index = (uint32_t)i;
        b->items[i].what_case = PIGEON__COMMIT_ITEM__WHAT_APPEND;
        b->items[i].append = &b->appends[i];
        b->items[i].subjects = b->subjects;
        b->items[i].n_subjects = 2;
        b->item_ptrs[i] = &b->items[i];
    }
    b->subjects[1] = 1;
}

/* n messages to random conversations, or all to `only`, in one commit. */
static void commit(struct bench *b, size_t n, size_t only)
{
    static char one[] = "user.a", two[] = "user.b";
    static char *subjects[] = {one, two};
    static uint64_t random = 88172645463325252u;
    Pigeon__CommitBatch batch = PIGEON__COMMIT_BATCH__INIT;
    struct sto_effects effects;
    struct sto_commit c = {&batch, b->results};

    for (size_t i = 0; i < n; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        size_t conv = only < b->convs ? only : random % b->convs;

        b->items[i].conv = b->conv[conv];
        b->items[i].user = b->user[2 * conv + (random >> 40) % 2];
        snprintf(b->client_id[i], sizeof b->client_id[i], "m%llu", (unsigned long long)b->sent++);
    }
    batch.items = b->item_ptrs;
    batch.n_items = n;
    batch.subjects = subjects;
    batch.n_subjects = 2;
    sto_effects_init(&effects, b->arena);
    if (b->store->ops->commit(b->store, &c, 1, &effects, NULL, NULL) != 0 || effects.messages != n)
        die("a commit failed");
    pgn_arena_reset(b->arena);
}

static void measure_commits(struct bench *b, size_t batch)
{
    size_t messages = batch < 64 ? b->messages / 4 : b->messages, commits = messages / batch;
    uint64_t bytes = written_bytes(), cpu = cpu_us(), from = pgn_mono_us();

    for (size_t i = 0; i < commits; i++)
        commit(b, batch, SIZE_MAX);
    double n = (double)(commits * batch), us = (double)(pgn_mono_us() - from);
    printf("%4zu a commit: %8.0f messages/s, %5.2f us CPU each, %4.0f bytes written each, %llu MiB resident\n", batch, n / us * 1e6,
           (double)(cpu_us() - cpu) / n, (double)(written_bytes() - bytes) / n, (unsigned long long)resident_kib() / 1024);
    fflush(stdout);
}

/*
 * For comparison on the same machine in the same minute: the bare engine with two rows a message (150 bytes by conversation and
 * number, and a random key), nothing looked up, nothing numbered.
 */
static void measure_bare(struct bench *b, const char *directory, size_t batch)
{
    struct pgn_buf path = {0}, problem = {0};
    struct sto_kv_put puts[2 * BATCH_MAX];
    struct sto_key keys[2 * BATCH_MAX];
    uint64_t *seq = pgn_calloc(b->convs, sizeof *seq), random = 88172645463325252u;
    static const uint8_t row[150];
    struct sto_kv *kv;

    pgn_buf_printf(&path, "%s/bare", directory);
    struct sto_kv_rocks_options options = {.path = pgn_buf_cstr(&path),
                                           .cache_bytes = b->options.cache_bytes,
                                           .memtable_bytes = b->options.memtable_bytes,
                                           .retry_days = b->options.retry_days};
    if (sto_kv_rocks_open(&options, &kv, &problem) != 0)
        die(pgn_buf_cstr(&problem));
    uint64_t bytes = written_bytes(), cpu = cpu_us(), from = pgn_mono_us();
    size_t commits = b->messages / batch;
    for (size_t c = 0; c < commits; c++) {
        for (size_t i = 0; i < batch; i++) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            size_t conv = random % b->convs;

            keys[2 * i] = sto_key_msg(conv, ++seq[conv]);
            keys[2 * i + 1] = sto_key_msg(random, random * 31);
            puts[2 * i] = (struct sto_kv_put){STO_CF_MSG, false, sto_key_slice(&keys[2 * i]), {row, sizeof row}};
            puts[2 * i + 1] = (struct sto_kv_put){STO_CF_RETRY, false, sto_key_slice(&keys[2 * i + 1]), {row, 16}};
        }
        if (kv->ops->write(kv, puts, 2 * batch, true) != 0)
            die("a bare write failed");
    }
    double n = (double)(commits * batch), us = (double)(pgn_mono_us() - from);
    printf("bare engine, %zu a commit, two rows each: %.0f/s, %.2f us CPU, %.0f bytes\n", batch, n / us * 1e6, (double)(cpu_us() - cpu) / n,
           (double)(written_bytes() - bytes) / n);
    kv->ops->close(kv);
    free(seq);
    pgn_buf_release(&path);
}

static void measure_pages(struct bench *b)
{
    uint64_t longest = 0, random = 2463534242u, sum = 0;
    char *conv = b->conv[0];

    for (size_t done = 0; done < b->long_messages; done += BATCH_MAX)
        commit(b, BATCH_MAX, 0);
    for (size_t i = 0; i < PAGES; i++) {
        Pigeon__ConvRequest request = PIGEON__CONV_REQUEST__INIT;
        Pigeon__FetchConv fetch_conv = PIGEON__FETCH_CONV__INIT;
        Pigeon__Fetch fetch = PIGEON__FETCH__INIT;
        Pigeon__Reply reply = PIGEON__REPLY__INIT;

        random = random * 6364136223846793005u + 1442695040888963407u;
        fetch.conv = conv;
        fetch.before = 100 + (random >> 33) % b->long_messages;
        fetch.limit = PAGE;
        fetch_conv.fetch = &fetch;
        request.what_case = PIGEON__CONV_REQUEST__WHAT_FETCH;
        request.fetch = &fetch_conv;
        uint64_t from = pgn_mono_us();
        if (b->store->ops->read(b->store, &request, 0, b->arena, &reply) != 0 || reply.ok->fetch->n_messages != PAGE)
            die("a page failed");
        uint64_t took = pgn_mono_us() - from;
        sum += took;
        longest = took > longest ? took : longest;
        pgn_arena_reset(b->arena);
    }
    printf("page of %d from a conversation of %zu, at random: %.3f ms on average, %.3f ms at most\n", PAGE, b->long_messages,
           (double)sum / PAGES / 1000, (double)longest / 1000);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

int main(int argc, char **argv)
{
    static const struct option long_options[] = {
        {"directory", required_argument, NULL, 'd'},    {"messages", required_argument, NULL, 'm'},
        {"convs", required_argument, NULL, 'c'},        {"long", required_argument, NULL, 'l'},
        {"memtable-mib", required_argument, NULL, 't'}, {NULL, 0, NULL, 0},
    };
    struct bench *b = pgn_calloc(1, sizeof *b);
    struct pgn_buf problem = {0};
    char directory[256];
    const char *parent = ".";
    size_t memtable_mib = 16;

    b->convs = 2000;
    b->messages = 1000000;
    b->long_messages = 1000000;
    for (int c; (c = getopt_long(argc, argv, "", long_options, NULL)) != -1;) {
        if (c == 'd')
            parent = optarg;
        else if (c == 'm')
            b->messages = strtoull(optarg, NULL, 10);
        else if (c == 'c')
            b->convs = strtoull(optarg, NULL, 10);
        else if (c == 'l')
            b->long_messages = strtoull(optarg, NULL, 10);
        else if (c == 't')
            memtable_mib = strtoull(optarg, NULL, 10);
        else
            return 2;
    }
    snprintf(directory, sizeof directory, "%s/bench-store-XXXXXX", parent);
    if (!mkdtemp(directory))
        die("the directory cannot be made");
    sto_store_options_default(&b->options);
    b->options.data = directory;
    b->options.memtable_bytes = memtable_mib << 20;
    b->arena = pgn_arena_new(1u << 20);
    if (sto_embedded_open(&b->options, &b->store, &problem) != 0)
        die(pgn_buf_cstr(&problem));
    users_make(b);
    items_make(b);
    measure_commits(b, 16);
    measure_commits(b, 64);
    measure_commits(b, 256);
    measure_bare(b, directory, 256);
    measure_pages(b);
    b->store->ops->close(b->store);
    nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return 0;
}
