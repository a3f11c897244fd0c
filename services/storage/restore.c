#include "common/base/error.h"
#include "services/storage/embedded.h"

int sto_restore_prepare(struct sto_store *s, const char *name, struct pgn_arena *arena, Pigeon__BackupInfo *ret)
{
    (void)s, (void)name, (void)arena, (void)ret;
    return PGN_E_INVALID;
}
int sto_restore_act(struct sto_embedded *e, bool *ret_restored, struct pgn_buf *ret_problem)
{
    (void)e, (void)ret_problem;
    *ret_restored = false;
    return 0;
}
void sto_restore_done(struct sto_embedded *e)
{
    (void)e;
}
