/*
 * What the processes of one node use, from /proc and the supervisor's directory. Thread-safe; reads files, so it may block
 * for some milliseconds.
 */
#ifndef PGN_SVC_PROC_H
#define PGN_SVC_PROC_H

#include "common/base/compiler.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct pgn_proc {
    char name[24]; /* the supervised service that it belongs to: "gateway", "nats", ... */
    pid_t pid;
    uint64_t memory_bytes; /* PSS; RSS where the kernel does not say */
    uint64_t cpu_us;       /* user and system, since its start */
};

/*
 * The supervised processes of the node at `data` (below data/run/sv), each followed by its children. Gives their number,
 * at most `limit`; 0 when nothing runs there or it may not be read.
 */
size_t pgn_proc_list(const char *data, struct pgn_proc *out, size_t limit);

#endif
