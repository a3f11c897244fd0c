/* Which store the configuration names, and opening it. Blocks; any one thread. Errors: store.h, those of its open functions. */
#ifndef STO_STORE_OPEN_H
#define STO_STORE_OPEN_H

#include "common/svc/config.h"
#include "services/storage/store.h"

/* ret_problem: a sentence for people, on an error. */
int sto_store_open(const struct pgn_config *config, const struct sto_faults *faults, struct sto_store **ret_store,
                   struct pgn_buf *ret_problem) PGN_MUST_USE;
/* Whether the store is on other machines, and may be away for a while. */
bool sto_store_remote(const struct pgn_config *config);

#endif
