/* The memory store: everything is forgotten at the end. For tests and storage.engine: memory. */
#include "common/base/error.h"
#include "services/storage/store_parts.h"

#include <stdlib.h>

static void memory_close(struct sto_store *s)
{
    sto_parts_release(sto_parts_of(s));
    free(sto_parts_of(s));
}

static const struct sto_store_ops memory_ops = {
    .name = "memory",
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
    .close = memory_close,
};

int sto_memory_open(const struct sto_store_options *options, struct sto_store **ret_store, struct pgn_buf *ret_problem)
{
    struct sto_parts *p = pgn_calloc(1, sizeof *p);

    sto_parts_init(p, &memory_ops);
    p->kv = sto_kv_memory_new();
    int error = sto_dir_open(":memory:", p->people, &p->dir, ret_problem, &p->base.notes);
    if (!error)
        error = sto_parts_join(p, &options->faults, ret_problem);
    if (error)
        memory_close(&p->base);
    else
        *ret_store = &p->base;
    return error;
}
