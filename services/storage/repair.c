#include "common/base/error.h"
#include "services/storage/embedded.h"

int sto_repair_log(const char *path, const struct pgn_buf *problem, struct pgn_buf *notes)
{
    (void)path, (void)problem, (void)notes;
    return PGN_E_CORRUPT;
}
int sto_repair_dir(const char *path, const struct pgn_buf *problem, struct pgn_buf *notes)
{
    (void)path, (void)problem, (void)notes;
    return PGN_E_CORRUPT;
}
