/* Places where a test stops or breaks an append. Nothing in release builds. */
#ifndef STO_LEDGER_HOOK_H
#define STO_LEDGER_HOOK_H

#include <stdbool.h>

enum sto_hook {
    STO_HOOK_BEFORE_INSERT, /* prepared, not sent */
    STO_HOOK_LOST,          /* true: it never reaches the server, and nobody can say so */
    STO_HOOK_UNCERTAIN,     /* true: the answer to the insert is lost */
    STO_HOOK_BEFORE_ROWS,   /* true: the instance dies between the entry and its rows */
};

#ifdef PGN_TEST_FAULTS
extern bool (*sto_ledger_test_hook)(enum sto_hook at);
static inline bool sto_ledger_hook(enum sto_hook at)
{
    return sto_ledger_test_hook && sto_ledger_test_hook(at);
}
#else
static inline bool sto_ledger_hook(enum sto_hook at)
{
    (void)at;
    return false;
}
#endif

#endif
