#include "common/base/error.h"
#include "services/storage/embedded.h"

int sto_backup_make(struct sto_store *s, const char *name, struct pgn_arena *arena, Pigeon__BackupInfo *ret)
{
    (void)s, (void)name, (void)arena, (void)ret;
    return PGN_E_INVALID;
}
int sto_backup_list(struct sto_store *s, struct pgn_arena *arena, Pigeon__BackupList *ret)
{
    (void)s, (void)arena, (void)ret;
    return 0;
}
uint64_t sto_backup_last(const struct sto_embedded *e)
{
    (void)e;
    return 0;
}
