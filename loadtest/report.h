/* What came of a run: sums of all workers, and the node's use of the machine; as text, JSON and HTML. */
#ifndef LOADTEST_REPORT_H
#define LOADTEST_REPORT_H

#include "loadtest/load.h"

struct ld_sample { /* of the node's processes, each second of the run */
    float cores;
    float memory_mb; /* PSS, all processes; each five seconds, in between the last one */
};
struct ld_service {
    char name[24];
    uint64_t memory_bytes; /* at the end of the run */
    double cores;          /* over the run */
};
struct ld_report {
    const struct ld_options *o;
    struct ld_result *sum;
    double secs;               /* that the run took */
    uint32_t seconds;          /* of sum->seconds that are filled */
    struct ld_sample *samples; /* beside them; NULL: the node is not on this machine */
    struct ld_service services[32];
    size_t service_count;
    uint64_t memory_before, memory_after; /* bytes, before anybody connected and at the end of the run */
    double cores;
    const char *verdict; /* "passed", "FAILED", "INVALID" */
};

void ld_report_sum(struct ld_report *r, const struct ld_shared *shared);
bool ld_report_right(const struct ld_report *r);
void ld_report_text(const struct ld_report *r);
void ld_report_json(const struct ld_report *r);
int ld_report_html(const struct ld_report *r, const char *path); /* 0, or -1 with errno */

#endif
