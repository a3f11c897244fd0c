/* Planted faults; see fault.h. */
#include "common/base/fault.h"

#ifdef PGN_TEST_FAULTS
#include "common/base/alloc.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ABORT_AT "abort-at="

void pgn_fault_point(const char *name)
{
    static atomic_ulong passed;
    const char *text = getenv("PIGEON_FAULT"), *at = text ? strstr(text, ABORT_AT) : NULL;
    size_t len = strlen(name);

    if (!at || strncmp(at + strlen(ABORT_AT), name, len) != 0 || at[strlen(ABORT_AT) + len] != ':')
        return;
    if (atomic_fetch_add(&passed, 1) + 1 != strtoul(at + strlen(ABORT_AT) + len + 1, NULL, 10))
        return;
    fprintf(stderr, "planted: aborted at %s\n", name);
    abort();
}

bool pgn_fault_planted(const char *word)
{
    const char *text = getenv("PIGEON_FAULT");
    size_t len = strlen(word);

    for (; text; text = strchr(text, ',') ? strchr(text, ',') + 1 : NULL)
        if (strncmp(text, word, len) == 0 && (text[len] == ',' || text[len] == '\0'))
            return true;
    return false;
}
#else
typedef int pgn_fault_nothing; /* ISO C wants something in a file */
#endif
