#include "common/base/clock.h"

#include <stdatomic.h>
#include <stddef.h>
#include <time.h>

typedef uint64_t clock_fn(void);

static _Atomic(clock_fn *) fake_mono_us;
static _Atomic(clock_fn *) fake_wall_ms;

uint64_t pgn_mono_us(void)
{
    clock_fn *fake = atomic_load_explicit(&fake_mono_us, memory_order_relaxed);
    struct timespec t;

    if (fake)
        return fake();
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

uint64_t pgn_mono_ms(void)
{
    return pgn_mono_us() / 1000;
}

uint64_t pgn_wall_ms(void)
{
    clock_fn *fake = atomic_load_explicit(&fake_wall_ms, memory_order_relaxed);
    struct timespec t;

    if (fake)
        return fake();
    clock_gettime(CLOCK_REALTIME, &t);
    return t.tv_sec < 0 ? 0 : (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void pgn_clock_set(uint64_t (*mono_us)(void), uint64_t (*wall_ms)(void))
{
    atomic_store(&fake_mono_us, mono_us);
    atomic_store(&fake_wall_ms, wall_ms);
}
