/* What `pigeon status` found out about a node. */
#ifndef CLI_STATUS_H
#define CLI_STATUS_H

#include "clients/cli/cli.h"

#include "common/svc/proc.h"

#include <pthread.h>

enum { CLI_LOADS_MAX = 64, CLI_PROCS_MAX = 64, CLI_PROBLEMS_MAX = 32 };

struct cli_load_row {
    char service[24], instance[24], version[24];
    uint64_t connections, memory_bytes, messages_per_s, pid, started_at;
    uint32_t cpu_permille, queue;
    int32_t temperature_c;
    bool throttled;
};
struct cli_status {
    pthread_mutex_t lock; /* of loads: written on nats.c's thread */
    struct cli_load_row loads[CLI_LOADS_MAX];
    size_t load_count;
    struct pgn_proc procs[CLI_PROCS_MAX];
    size_t proc_count;
    Pigeon__StoreStats *store;            /* NULL: storage did not answer */
    char problems[CLI_PROBLEMS_MAX][256]; /* with advice */
    size_t problem_count;
};

/* Fills problems from the rest. */
void cli_status_judge(const struct cli *c, struct cli_status *s, uint64_t now_ms);

#endif
