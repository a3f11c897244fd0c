/*
 * The disk under storage: an engine of kv.h whose rows outlive a crash, and the store on it, which takes the embedded one's
 * place. A write may be refused, may be uncertain (decided when the engine recovers or is opened again), and the process may
 * die before or behind it. What was written without sync is lost with the power, from some write on. The directory (SQLite)
 * is not what is tested here: it keeps everything.
 */
#include "tests/sim/sim.h"

#include "common/base/alloc.h"
#include "common/base/error.h"
#include "common/base/id.h"
#include "services/storage/store_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One write, copied. */
struct copy {
    struct sto_kv_put *puts;
    size_t count;
    struct pgn_arena *arena;
};
struct written {
    uint64_t num, seq, at_us;
};
static struct {
    struct sto_kv *rows;
    struct sto_people *people;
    struct sto_dir *dir;
    struct copy doubt; /* an uncertain write */
    bool broken;
    struct copy *undo; /* of the writes that were not synced, oldest first */
    size_t undo_count, undo_cap;
    struct written *written;
    size_t written_count, written_cap;
} disk;

struct sim_kv {
    struct sto_kv base;
};

/* ---- writes ---- */

static struct copy copy_of(const struct sto_kv_put *puts, size_t count)
{
    struct copy c = {.count = count, .arena = pgn_arena_new(4096)};
    c.puts = pgn_arena_alloc(c.arena, (count + 1) * sizeof *c.puts);
    for (size_t i = 0; i < count; i++) {
        uint8_t *key = pgn_arena_alloc(c.arena, puts[i].key.len + puts[i].value.len + 1);
        memcpy(key, puts[i].key.data, puts[i].key.len);
        if (puts[i].value.len)
            memcpy(key + puts[i].key.len, puts[i].value.data, puts[i].value.len);
        c.puts[i] = (struct sto_kv_put){puts[i].cf, puts[i].remove, {key, puts[i].key.len}, {key + puts[i].key.len, puts[i].value.len}};
    }
    return c;
}

/* What brings the rows of this write back to what they are now. */
static struct copy undo_of(const struct sto_kv_put *puts, size_t count)
{
    struct copy c = copy_of(puts, count);
    struct pgn_buf old = {0};
    for (size_t i = 0; i < count; i++) {
        c.puts[i].remove = disk.rows->ops->get(disk.rows, NULL, puts[i].cf, puts[i].key, &old) != 0;
        uint8_t *value = pgn_arena_alloc(c.arena, old.len + 1);
        if (old.len)
            memcpy(value, old.data, old.len);
        c.puts[i].value = sto_slice_of(value, old.len);
    }
    pgn_buf_release(&old);
    return c;
}

static void note_written(const struct sto_kv_put *puts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (puts[i].cf != STO_CF_MSG || puts[i].key.len != 16)
            continue;
        const uint8_t *key = puts[i].key.data;
        struct written w = {sto_u64be(key), sto_u64be(key + 8), sim.now_us};
        if (sim_disk_commit_us(w.num, w.seq))
            continue; /* edited */
        sim_say("stored: conversation %llu, number %llu", (unsigned long long)w.num, (unsigned long long)w.seq);
        if (disk.written_count == disk.written_cap) {
            disk.written_cap = disk.written_cap ? disk.written_cap * 2 : 256;
            disk.written = pgn_realloc(disk.written, disk.written_cap * sizeof *disk.written);
        }
        disk.written[disk.written_count++] = w;
    }
}

uint64_t sim_disk_commit_us(uint64_t num, uint64_t seq)
{
    for (size_t i = disk.written_count; i-- > 0;)
        if (disk.written[i].num == num && disk.written[i].seq == seq)
            return disk.written[i].at_us;
    return 0;
}

static int apply(const struct sto_kv_put *puts, size_t count, bool sync)
{
    if (!sync) {
        if (disk.undo_count == disk.undo_cap) {
            disk.undo_cap = disk.undo_cap ? disk.undo_cap * 2 : 64;
            disk.undo = pgn_realloc(disk.undo, disk.undo_cap * sizeof *disk.undo);
        }
        disk.undo[disk.undo_count++] = undo_of(puts, count);
    } else {
        disk.undo_count = 0; /* one log: what was before is synced with it */
    }
    note_written(puts, count);
    return disk.rows->ops->write(disk.rows, puts, count, sync);
}

static int kv_write(struct sto_kv *kv, const struct sto_kv_put *puts, size_t count, bool sync)
{
    (void)kv;
    if (disk.broken)
        return PGN_E_UNAVAILABLE;
    if (sim_fault(sim.knobs.crash_before_write)) {
        sim.current->doomed = true;
        return PGN_E_UNAVAILABLE;
    }
    if (sim_fault(sim.knobs.write_refused)) {
        sim_say("a write is refused");
        sim.totals.failed_writes++;
        return PGN_E_UNAVAILABLE;
    }
    if (sim_fault(sim.knobs.write_uncertain)) {
        sim_say("a write is uncertain");
        sim.totals.failed_writes++;
        disk.doubt = copy_of(puts, count);
        disk.broken = true;
        return PGN_E_UNCERTAIN;
    }
    int error = apply(puts, count, sync);
    if (sim_fault(sim.knobs.crash_after_write))
        sim.current->doomed = true;
    return error;
}

static void settle_doubt(void)
{
    if (disk.broken && sim_rand(2)) {
        sim_say("the uncertain write is there");
        (void)apply(disk.doubt.puts, disk.doubt.count, true);
    }
    disk.broken = false;
}

static int kv_recover(struct sto_kv *kv)
{
    (void)kv;
    if (sim_fault(300000))
        return PGN_E_IO;
    settle_doubt();
    return 0;
}

void sim_disk_crashed(bool power)
{
    if (!power)
        return;
    size_t kept = sim_rand(disk.undo_count + 1);
    while (disk.undo_count > kept) {
        struct copy *c = &disk.undo[--disk.undo_count];
        (void)disk.rows->ops->write(disk.rows, c->puts, c->count, true);
    }
    disk.undo_count = 0;
}

/* ---- the rest of the engine ---- */

static struct sto_view *kv_view_begin(struct sto_kv *kv)
{
    (void)kv;
    return disk.rows->ops->view_begin(disk.rows);
}
static void kv_view_end(struct sto_kv *kv, struct sto_view *view)
{
    (void)kv;
    disk.rows->ops->view_end(disk.rows, view);
}
static int kv_get(struct sto_kv *kv, struct sto_view *view, enum sto_cf cf, struct sto_slice key, struct pgn_buf *ret_value)
{
    (void)kv;
    return disk.rows->ops->get(disk.rows, view, cf, key, ret_value);
}
static int kv_get_many(struct sto_kv *kv, enum sto_cf cf, size_t count, const struct sto_slice *keys, struct pgn_buf *ret_values)
{
    (void)kv;
    return disk.rows->ops->get_many(disk.rows, cf, count, keys, ret_values);
}
static int kv_scan(struct sto_kv *kv, struct sto_view *view, enum sto_cf cf, struct sto_slice from, struct sto_slice to, bool reverse,
                   sto_kv_visit *visit, void *ctx)
{
    (void)kv;
    return disk.rows->ops->scan(disk.rows, view, cf, from, to, reverse, visit, ctx);
}
static uint64_t kv_bytes(struct sto_kv *kv)
{
    (void)kv;
    return disk.rows->ops->bytes(disk.rows);
}
static int kv_checkpoint(struct sto_kv *kv, const char *directory)
{
    (void)kv, (void)directory;
    return PGN_E_INVALID;
}
static void kv_close(struct sto_kv *kv)
{
    free(kv);
}

static const struct sto_kv_ops kv_ops = {
    .write = kv_write,
    .view_begin = kv_view_begin,
    .view_end = kv_view_end,
    .get = kv_get,
    .get_many = kv_get_many,
    .scan = kv_scan,
    .recover = kv_recover,
    .bytes = kv_bytes,
    .checkpoint = kv_checkpoint,
    .close = kv_close,
};

/* ---- the store ---- */

static void no_close(struct sto_store *s)
{
    (void)s;
}

static const struct sto_store_ops store_ops = {
    .name = "sim",
    .commit = sto_parts_commit,
    .recover = sto_parts_recover,
    .doubt = sto_parts_doubt,
    .last_commit = sto_parts_last_commit,
    .read = sto_parts_read,
    .dir_begin = sto_parts_dir_begin,
    .dir_request = sto_parts_dir_request,
    .dir_session = sto_parts_dir_session,
    .dir_mqtt = sto_parts_dir_mqtt,
    .dir_end = sto_parts_dir_end,
    .audit_verify = sto_parts_audit_verify,
    .stats = sto_parts_stats_only,
    .backup = sto_parts_no_backup,
    .backup_list = sto_parts_no_backups,
    .restore = sto_parts_no_backup,
    .close = no_close,
};

static struct sto_parts *parts_new(const struct sto_faults *faults)
{
    struct sto_parts *p = pgn_calloc(1, sizeof *p);
    struct sim_kv *kv = pgn_calloc(1, sizeof *kv);
    struct pgn_buf problem = {0};
    kv->base.ops = &kv_ops;
    sto_parts_init(p, &store_ops);
    sto_people_free(&p->people);
    p->people = disk.people;
    p->dir = disk.dir;
    p->kv = &kv->base;
    settle_doubt();
    bool calm = sim.calm;
    sim.calm = true; /* opening writes once, at the first time: nothing goes wrong there */
    int error = sto_parts_join(p, faults, &problem);
    sim.calm = calm;
    if (error)
        sim_fail("the store does not open: %s", pgn_buf_cstr(&problem));
    pgn_buf_release(&problem);
    return p;
}

int sto_embedded_open(const struct sto_store_options *options, struct sto_store **ret_store, struct pgn_buf *ret_problem)
{
    (void)ret_problem;
    *ret_store = &parts_new(&options->faults)->base;
    return 0;
}

int sto_memory_open(const struct sto_store_options *options, struct sto_store **ret_store, struct pgn_buf *ret_problem)
{
    return sto_embedded_open(options, ret_store, ret_problem);
}

struct sto_store *sim_disk_open(void)
{
    struct sto_faults none = {0};
    return &parts_new(&none)->base;
}

/* ---- the directory ---- */

static void add_people(struct pgn_arena *arena, Pigeon__UserBatch *batch)
{
    batch->users = pgn_arena_alloc(arena, SIM_USERS * sizeof(Pigeon__User *));
    batch->sessions = pgn_arena_alloc(arena, SIM_CLIENTS * sizeof(Pigeon__Session *));
    for (int i = 0; i < SIM_USERS; i++) {
        Pigeon__User *u = pgn_arena_alloc(arena, sizeof *u);
        pigeon__user__init(u);
        u->user = u->name = pgn_arena_strdup(arena, sim_user(i));
        u->password_hash = pgn_arena_strdup(arena, "$none");
        batch->users[batch->n_users++] = u;
    }
    for (int i = 0; i < SIM_CLIENTS; i++) {
        Pigeon__Session *s = pgn_arena_alloc(arena, sizeof *s);
        pigeon__session__init(s);
        s->hash = (ProtobufCBinaryData){PGN_HASH_BYTES, pgn_arena_alloc(arena, PGN_HASH_BYTES)};
        pgn_token_hash(sim_client_token(i), s->hash.data);
        s->user = pgn_arena_strdup(arena, sim_user(i / SIM_DEVICES));
        s->device = pgn_arena_strdup(arena, sim_device(i));
        s->created_at = 1;
        batch->sessions[batch->n_sessions++] = s;
    }
}

void sim_disk_prepare(void)
{
    struct pgn_arena *arena = pgn_arena_new(16384);
    struct pgn_buf problem = {0}, notes = {0};
    Pigeon__DirRequest request = PIGEON__DIR_REQUEST__INIT;
    Pigeon__UserBatch batch = PIGEON__USER_BATCH__INIT;
    Pigeon__Reply reply = PIGEON__REPLY__INIT;
    struct sto_effects effects;
    disk.rows = sto_kv_memory_new();
    disk.people = sto_people_new();
    int error = sto_dir_open(":memory:", disk.people, &disk.dir, &problem, &notes);
    add_people(arena, &batch);
    request.what_case = PIGEON__DIR_REQUEST__WHAT_USERS_IMPORT;
    request.users_import = &batch;
    sto_effects_init(&effects, arena);
    if (!error)
        error = sto_dir_begin(disk.dir);
    if (!error)
        error = sto_dir_request(disk.dir, &request, arena, &reply, &effects);
    if (!error)
        error = sto_dir_end(disk.dir);
    if (error || reply.error) {
        fprintf(stderr, "the directory cannot be made: %d %d %s\n", error, reply.error, reply.text);
        exit(2);
    }
    pgn_arena_free(&arena);
}
