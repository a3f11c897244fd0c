/* Bounded concurrency; see slots.h. */
#include "services/api/slots.h"

#include "common/base/alloc.h"
#include "common/base/error.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct api_slots {
    pthread_mutex_t lock;
    pthread_cond_t freed;
    int free, waiting, waiting_limit;
};

struct api_slots *api_slots_new(int places, int waiting)
{
    struct api_slots *s = pgn_calloc(1, sizeof *s);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->freed, &attr);
    pthread_condattr_destroy(&attr);
    s->free = places;
    s->waiting_limit = waiting;
    return s;
}

void api_slots_free(struct api_slots **s)
{
    if (!*s)
        return;
    pthread_cond_destroy(&(*s)->freed);
    pthread_mutex_destroy(&(*s)->lock);
    free(*s);
    *s = NULL;
}

static struct timespec deadline(uint64_t wait_ms)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    uint64_t ns = (uint64_t)t.tv_nsec + wait_ms % 1000 * 1000000;
    t.tv_sec += (time_t)(wait_ms / 1000 + ns / 1000000000);
    t.tv_nsec = (long)(ns % 1000000000);
    return t;
}

int api_slots_take(struct api_slots *s, uint64_t wait_ms)
{
    int e = PGN_E_OVERLOADED;
    struct timespec end = deadline(wait_ms);
    pthread_mutex_lock(&s->lock);
    if (s->free == 0 && s->waiting < s->waiting_limit) {
        int timed_out = 0;
        s->waiting++;
        while (s->free == 0 && !timed_out)
            timed_out = pthread_cond_timedwait(&s->freed, &s->lock, &end);
        s->waiting--;
    }
    if (s->free > 0) {
        s->free--;
        e = 0;
    }
    pthread_mutex_unlock(&s->lock);
    return e;
}

void api_slots_give(struct api_slots *s)
{
    pthread_mutex_lock(&s->lock);
    s->free++;
    pthread_cond_signal(&s->freed);
    pthread_mutex_unlock(&s->lock);
}

int api_slots_waiting(struct api_slots *s)
{
    pthread_mutex_lock(&s->lock);
    int n = s->waiting;
    pthread_mutex_unlock(&s->lock);
    return n;
}
