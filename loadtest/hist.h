/*
 * A histogram of microseconds with three significant digits (as HdrHistogram keeps them): values below 2,048 exactly,
 * above in 1,024 steps an octave, up to some 4 minutes. Plain memory, so it may lie in memory that processes share;
 * one writer. No allocation.
 */
#ifndef LOADTEST_HIST_H
#define LOADTEST_HIST_H

#include <stdint.h>

enum { LD_HIST_SUB = 1024, LD_HIST_OCTAVES = 18, LD_HIST_BUCKETS = 2 * LD_HIST_SUB + (LD_HIST_OCTAVES - 1) * LD_HIST_SUB };

struct ld_hist {
    uint64_t count, sum, min, max;
    uint32_t bucket[LD_HIST_BUCKETS];
};

void ld_hist_clear(struct ld_hist *h);
void ld_hist_add(struct ld_hist *h, uint64_t us);
void ld_hist_merge(struct ld_hist *into, const struct ld_hist *from);
/* The value that `share` (0 to 1) of all do not exceed; 0 when empty. At most a thousandth above the true one. */
uint64_t ld_hist_quantile(const struct ld_hist *h, double share);
double ld_hist_mean(const struct ld_hist *h);

#endif
