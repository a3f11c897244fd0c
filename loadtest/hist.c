/* Log-linear histogram; see hist.h. */
#include "loadtest/hist.h"

#include <string.h>

void ld_hist_clear(struct ld_hist *h)
{
    memset(h, 0, sizeof *h);
}

/* 2 * SUB exact values, then SUB buckets for each further octave. */
static uint32_t index_of(uint64_t us)
{
    if (us < 2 * LD_HIST_SUB)
        return (uint32_t)us;
    unsigned octave = 63 - (unsigned)__builtin_clzll(us) - 10; /* 1 for 2,048 to 4,095 */
    if (octave >= LD_HIST_OCTAVES)
        return LD_HIST_BUCKETS - 1;
    return (uint32_t)(octave * LD_HIST_SUB + (us >> octave));
}

/* The largest value that falls into the bucket. */
static uint64_t highest_of(uint32_t index)
{
    if (index < 2 * LD_HIST_SUB)
        return index;
    uint32_t octave = index / LD_HIST_SUB - 1;
    uint64_t step = index - (uint64_t)octave * LD_HIST_SUB;
    return ((step + 1) << octave) - 1;
}

void ld_hist_add(struct ld_hist *h, uint64_t us)
{
    if (!h->count || us < h->min)
        h->min = us;
    if (us > h->max)
        h->max = us;
    h->count++;
    h->sum += us;
    h->bucket[index_of(us)]++;
}

void ld_hist_merge(struct ld_hist *into, const struct ld_hist *from)
{
    if (!from->count)
        return;
    if (!into->count || from->min < into->min)
        into->min = from->min;
    if (from->max > into->max)
        into->max = from->max;
    into->count += from->count;
    into->sum += from->sum;
    for (int i = 0; i < LD_HIST_BUCKETS; i++)
        into->bucket[i] += from->bucket[i];
}

uint64_t ld_hist_quantile(const struct ld_hist *h, double share)
{
    if (!h->count)
        return 0;
    uint64_t rank = (uint64_t)(share * (double)h->count + 0.999999), seen = 0;
    rank = rank < 1 ? 1 : rank > h->count ? h->count : rank;
    for (uint32_t i = 0; i < LD_HIST_BUCKETS; i++) {
        seen += h->bucket[i];
        if (seen >= rank) {
            uint64_t v = highest_of(i);
            return v > h->max || i == LD_HIST_BUCKETS - 1 ? h->max : v;
        }
    }
    return h->max;
}

double ld_hist_mean(const struct ld_hist *h)
{
    return h->count ? (double)h->sum / (double)h->count : 0;
}
