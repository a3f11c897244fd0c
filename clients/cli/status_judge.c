/* Problems of a node, each with what to do. */
#include "clients/cli/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define DAY_MS UINT64_C(86400000)
enum { QUEUE_LONG = 10000, HOT_C = 80, MESSAGES_WORTH_A_BACKUP = 1000 };

static void PGN_PRINTF(2, 3) problem(struct cli_status *s, const char *format, ...)
{
    va_list args;
    if (s->problem_count == CLI_PROBLEMS_MAX)
        return;
    va_start(args, format);
    vsnprintf(s->problems[s->problem_count++], sizeof s->problems[0], format, args);
    va_end(args);
}

static void judge_services(const struct cli *c, struct cli_status *s)
{
    static const char *const services[] = {"gateway", "message", "presence", "storage", "api"};
    for (size_t i = 0; i < PGN_COUNT(services); i++) {
        size_t at = 0;
        while (at < s->load_count && strcmp(s->loads[at].service, services[i]) != 0)
            at++;
        if (at == s->load_count)
            problem(s, "%s is not running: its log is %s/log/%s/current; `make up` starts what is stopped", services[i], c->data,
                    services[i]);
    }
    for (size_t i = 0; i < s->load_count; i++) {
        const struct cli_load_row *r = &s->loads[i];
        if (strcmp(r->version, s->loads[0].version) != 0)
            problem(s, "%s is version %s, others %s: restart all with make down, make up", r->service, r->version, s->loads[0].version);
        if (r->queue > QUEUE_LONG)
            problem(s, "%s has %u entries waiting: it does not keep up with the load", r->service, r->queue);
        if (r->throttled)
            problem(s, "%s: this machine throttles its clock: check its power supply and cooling", r->service);
        else if (r->temperature_c > HOT_C)
            problem(s, "%s: %d degrees: this machine needs cooling", r->service, r->temperature_c);
    }
}

void cli_status_judge(const struct cli *c, struct cli_status *s, uint64_t now_ms)
{
    char a[32];
    judge_services(c, s);
    const Pigeon__StoreStats *t = s->store;
    if (!t)
        return;
    if (*t->problem)
        problem(s, "the store: %s", t->problem);
    for (size_t i = 0; i < t->n_set_aside; i++)
        problem(s, "the store set something damaged aside: %s. What follows it was not touched; compare with the last backup",
                t->set_aside[i]);
    if (t->disk_free && t->disk_free < 500000000)
        problem(s, "only %s are free on the disk of %s: writing stops when it is full", cli_bytes(t->disk_free, a, sizeof a), c->data);
    if (!t->last_backup_at && t->messages >= MESSAGES_WORTH_A_BACKUP)
        problem(s, "there is no backup yet: `pigeon backup` makes one while Pigeon runs");
    else if (t->last_backup_at && t->last_backup_at + 8 * DAY_MS < now_ms)
        problem(s, "the last backup is %s old: `pigeon backup`, best by cron each night", cli_ago(now_ms - t->last_backup_at, a, sizeof a));
}
