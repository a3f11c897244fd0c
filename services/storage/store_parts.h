/* What the stores are made of: a message log on an engine, a directory, people. */
#ifndef STO_STORE_PARTS_H
#define STO_STORE_PARTS_H

#include "services/storage/dir.h"
#include "services/storage/log.h"
#include "services/storage/people.h"
#include "services/storage/store.h"

struct sto_parts {
    struct sto_store base;
    struct sto_kv *kv;
    struct sto_people *people;
    struct sto_dir *dir;
    struct sto_log *log;
};

static inline struct sto_parts *sto_parts_of(struct sto_store *s)
{
    return PGN_CONTAINER(s, struct sto_parts, base);
}
void sto_parts_init(struct sto_parts *p, const struct sto_store_ops *ops);
/* The log on p->kv, and the directory told of it. */
int sto_parts_join(struct sto_parts *p, const struct sto_faults *faults, struct pgn_buf *ret_problem) PGN_MUST_USE;
void sto_parts_release(struct sto_parts *p);

int sto_parts_commit(struct sto_store *s, struct sto_commit *commits, size_t count, struct sto_effects *effects,
                     void (*before_write)(void *ctx), void *ctx);
int sto_parts_recover(struct sto_store *s);
enum sto_doubt sto_parts_doubt(struct sto_store *s, uint64_t commit); /* of a store that nobody else writes to */
uint64_t sto_parts_last_commit(struct sto_store *s);
int sto_parts_read(struct sto_store *s, const Pigeon__ConvRequest *request, size_t budget_bytes, struct pgn_arena *arena,
                   Pigeon__Reply *ret);
int sto_parts_dir_begin(struct sto_store *s);
int sto_parts_dir_request(struct sto_store *s, const Pigeon__DirRequest *request, struct pgn_arena *arena, Pigeon__Reply *ret,
                          struct sto_effects *effects);
int sto_parts_dir_session(struct sto_store *s, const Pigeon__SessionRequest *request, struct pgn_arena *arena, Pigeon__Reply *ret,
                          struct sto_effects *effects);
int sto_parts_dir_mqtt(struct sto_store *s, const Pigeon__MqttRequest *request, struct pgn_arena *arena, Pigeon__Reply *ret,
                       struct sto_effects *effects);
int sto_parts_dir_end(struct sto_store *s);
int sto_parts_audit_verify(struct sto_store *s, uint64_t *ret_count, uint64_t *ret_bad);
/* Counts, commit, epoch, notes. */
void sto_parts_stats(struct sto_parts *p, struct pgn_arena *arena, Pigeon__StoreStats *ret);
/* Of a store without files of its own: nothing more to tell, and no backups. */
int sto_parts_stats_only(struct sto_store *s, struct pgn_arena *arena, Pigeon__StoreStats *ret);
int sto_parts_no_backup(struct sto_store *s, const char *name, struct pgn_arena *arena, Pigeon__BackupInfo *ret);
int sto_parts_no_backups(struct sto_store *s, struct pgn_arena *arena, Pigeon__BackupList *ret);

#endif
