/* Processes of a node; see proc.h. */
#include "common/svc/proc.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint64_t memory_of(pid_t pid)
{
    char path[64], line[160];
    uint64_t pss_kb = 0, pages = 0;
    snprintf(path, sizeof path, "/proc/%ld/smaps_rollup", (long)pid);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "Pss: %" SCNu64, &pss_kb) == 1)
            break;
    if (f)
        fclose(f);
    if (pss_kb)
        return pss_kb * 1024;
    snprintf(path, sizeof path, "/proc/%ld/statm", (long)pid);
    f = fopen(path, "re");
    if (f && fscanf(f, "%*u %" SCNu64, &pages) != 1)
        pages = 0;
    if (f)
        fclose(f);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t cpu_of(pid_t pid)
{
    char path[64], line[1024];
    uint64_t user = 0, system = 0;
    snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    FILE *f = fopen(path, "re");
    if (!f)
        return 0;
    const char *rest = fgets(line, sizeof line, f) ? strrchr(line, ')') : NULL; /* a name may hold anything */
    fclose(f);
    if (!rest || sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64, &user, &system) != 2)
        return 0;
    return (user + system) * 1000000 / (uint64_t)sysconf(_SC_CLK_TCK);
}

static size_t add(const char *name, pid_t pid, struct pgn_proc *out, size_t limit)
{
    char path[96];
    if (!limit)
        return 0;
    snprintf(path, sizeof path, "/proc/%ld", (long)pid);
    if (access(path, F_OK))
        return 0;
    snprintf(out->name, sizeof out->name, "%.*s", (int)sizeof out->name - 1, name);
    out->pid = pid;
    out->memory_bytes = memory_of(pid);
    out->cpu_us = cpu_of(pid);
    size_t count = 1;
    snprintf(path, sizeof path, "/proc/%ld/task/%ld/children", (long)pid, (long)pid);
    FILE *f = fopen(path, "re");
    long child;
    while (f && fscanf(f, "%ld", &child) == 1)
        count += add(name, (pid_t)child, out + count, limit - count);
    if (f)
        fclose(f);
    return count;
}

size_t pgn_proc_list(const char *data, struct pgn_proc *out, size_t limit)
{
    char path[4096];
    size_t count = 0;
    if (snprintf(path, sizeof path, "%s/run/sv", data) >= (int)sizeof path)
        return 0;
    DIR *dir = opendir(path);
    for (const struct dirent *e; dir && (e = readdir(dir));) {
        long pid = 0;
        if (e->d_name[0] == '.' || snprintf(path, sizeof path, "%s/run/sv/%s/supervise/pid", data, e->d_name) >= (int)sizeof path)
            continue;
        FILE *f = fopen(path, "re");
        if (f && fscanf(f, "%ld", &pid) == 1 && pid > 0)
            count += add(e->d_name, (pid_t)pid, out + count, limit - count);
        if (f)
            fclose(f);
    }
    if (dir)
        closedir(dir);
    return count;
}
