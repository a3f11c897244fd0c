#include "services/storage/store_parts.h"

#include "common/base/error.h"
#include "common/base/random.h"

#include <stdio.h>
#include <string.h>

void sto_store_options_default(struct sto_store_options *options)
{
    *options = (struct sto_store_options){.data = "", .cache_bytes = 16u << 20, .memtable_bytes = 16u << 20, .retry_days = 14};
}

void sto_parts_init(struct sto_parts *p, const struct sto_store_ops *ops)
{
    uint64_t random;

    p->base.ops = ops;
    pgn_random(&random, sizeof random);
    snprintf(p->base.epoch, sizeof p->base.epoch, "%016llx", (unsigned long long)random);
    p->people = sto_people_new();
}

int sto_parts_join(struct sto_parts *p, const struct sto_faults *faults, struct pgn_buf *ret_problem)
{
    int error = sto_log_open(p->kv, p->people, p->base.epoch, faults, &p->log);

    if (error == PGN_E_CONFLICT)
        pgn_buf_append_str(ret_problem, "the message log was written by a newer Pigeon: install the newer version again");
    else if (error)
        pgn_buf_printf(ret_problem, "the message log cannot be read: %s", pgn_error_info(error)->text);
    else
        sto_dir_bind(p->dir, p->log);
    return error;
}

void sto_parts_release(struct sto_parts *p)
{
    sto_log_close(&p->log);
    sto_dir_close(&p->dir);
    if (p->kv)
        p->kv->ops->close(p->kv);
    sto_people_free(&p->people);
    pgn_buf_release(&p->base.notes);
}

int sto_parts_commit(struct sto_store *s, struct sto_commit *commits, size_t count, struct sto_effects *effects,
                     void (*before_write)(void *ctx), void *ctx)
{
    return sto_log_commit(sto_parts_of(s)->log, commits, count, effects, before_write, ctx);
}
int sto_parts_recover(struct sto_store *s)
{
    return sto_log_recover(sto_parts_of(s)->log);
}
enum sto_doubt sto_parts_doubt(struct sto_store *s, uint64_t commit)
{
    return sto_parts_last_commit(s) >= commit ? STO_DOUBT_STORED : STO_DOUBT_NOT;
}
uint64_t sto_parts_last_commit(struct sto_store *s)
{
    return sto_log_last_commit(sto_parts_of(s)->log);
}
int sto_parts_read(struct sto_store *s, const Pigeon__ConvRequest *request, size_t budget_bytes, struct pgn_arena *arena,
                   Pigeon__Reply *ret)
{
    return sto_log_read(sto_parts_of(s)->log, request, budget_bytes, arena, ret);
}
int sto_parts_dir_begin(struct sto_store *s)
{
    return sto_dir_begin(sto_parts_of(s)->dir);
}
int sto_parts_dir_request(struct sto_store *s, const Pigeon__DirRequest *request, struct pgn_arena *arena, Pigeon__Reply *ret,
                          struct sto_effects *effects)
{
    return sto_dir_request(sto_parts_of(s)->dir, request, arena, ret, effects);
}
int sto_parts_dir_session(struct sto_store *s, const Pigeon__SessionRequest *request, struct pgn_arena *arena, Pigeon__Reply *ret,
                          struct sto_effects *effects)
{
    return sto_dir_session(sto_parts_of(s)->dir, request, arena, ret, effects);
}
int sto_parts_dir_mqtt(struct sto_store *s, const Pigeon__MqttRequest *request, struct pgn_arena *arena, Pigeon__Reply *ret,
                       struct sto_effects *effects)
{
    return sto_dir_mqtt(sto_parts_of(s)->dir, request, arena, ret, effects);
}
int sto_parts_dir_end(struct sto_store *s)
{
    return sto_dir_end(sto_parts_of(s)->dir);
}
int sto_parts_audit_verify(struct sto_store *s, uint64_t *ret_count, uint64_t *ret_bad)
{
    return sto_dir_audit_verify(sto_parts_of(s)->dir, ret_count, ret_bad);
}

/* The notes' lines as a list. */
static void set_aside(struct sto_parts *p, struct pgn_arena *arena, Pigeon__StoreStats *ret)
{
    enum { LINES_MAX = 32 };
    char *text = pgn_arena_strdup(arena, pgn_buf_cstr(&p->base.notes)), *save = NULL;

    ret->set_aside = pgn_arena_alloc(arena, LINES_MAX * sizeof(char *));
    for (char *line = strtok_r(text, "\n", &save); line && ret->n_set_aside < LINES_MAX; line = strtok_r(NULL, "\n", &save))
        ret->set_aside[ret->n_set_aside++] = line;
}

void sto_parts_stats(struct sto_parts *p, struct pgn_arena *arena, Pigeon__StoreStats *ret)
{
    sto_log_counts(p->log, &ret->convs, &ret->messages);
    sto_dir_counts(p->dir, &ret->users, &ret->sessions);
    ret->commit = sto_log_last_commit(p->log);
    ret->epoch = pgn_arena_strdup(arena, p->base.epoch);
    ret->bytes = p->kv->ops->bytes(p->kv);
    ret->store = pgn_arena_strdup(arena, p->base.ops->name);
    ret->schema = STO_DIR_SCHEMA;
    set_aside(p, arena, ret);
}

int sto_parts_stats_only(struct sto_store *s, struct pgn_arena *arena, Pigeon__StoreStats *ret)
{
    sto_parts_stats(sto_parts_of(s), arena, ret);
    return 0;
}
int sto_parts_no_backup(struct sto_store *s, const char *name, struct pgn_arena *arena, Pigeon__BackupInfo *ret)
{
    (void)s, (void)name, (void)arena, (void)ret;
    return PGN_E_INVALID;
}
int sto_parts_no_backups(struct sto_store *s, struct pgn_arena *arena, Pigeon__BackupList *ret)
{
    (void)s, (void)arena, (void)ret;
    return 0;
}
