#include "common/base/clock.h"

#include <stdatomic.h>
#include <stddef.h>
#include <time.h>
#ifdef PGN_TEST_FAULTS
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#endif

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

#ifdef PGN_TEST_FAULTS
/* A drill's clock steps: PIGEON_FAULT_CLOCK names a file that holds, as a native int64, the milliseconds by which this node is wrong. */
static int64_t planted_ms(void)
{
    static int64_t none;
    static _Atomic(int64_t *) offset;
    int64_t *now = atomic_load(&offset);

    if (!now) {
        const char *path = getenv("PIGEON_FAULT_CLOCK");
        int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        void *mapped = fd >= 0 ? mmap(NULL, sizeof *now, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;

        if (fd >= 0)
            close(fd);
        now = mapped == MAP_FAILED ? &none : mapped;
        atomic_store(&offset, now);
    }
    return __atomic_load_n(now, __ATOMIC_RELAXED);
}
#else
#define planted_ms() 0
#endif

uint64_t pgn_wall_ms(void)
{
    clock_fn *fake = atomic_load_explicit(&fake_wall_ms, memory_order_relaxed);
    struct timespec t;

    if (fake)
        return fake();
    clock_gettime(CLOCK_REALTIME, &t);
    return t.tv_sec < 0 ? 0 : (uint64_t)((int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000 + planted_ms());
}

void pgn_clock_set(uint64_t (*mono_us)(void), uint64_t (*wall_ms)(void))
{
    atomic_store(&fake_mono_us, mono_us);
    atomic_store(&fake_wall_ms, wall_ms);
}
