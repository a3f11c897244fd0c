/*
 * Makes each fsync take longer, as on an SD card: LD_PRELOAD=slow_fsync.so PIGEON_FSYNC_DELAY=FILE. FILE holds milliseconds and is read
 * anew each time, so that one running store is measured at several delays. The wait comes after the real call; of several at once each
 * waits its own. Any thread; blocks for as long.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void wait_as_told(void)
{
    const char *path = getenv("PIGEON_FSYNC_DELAY");
    FILE *file = path ? fopen(path, "re") : NULL;
    double ms = 0;

    if (!file)
        return;
    if (fscanf(file, "%lf", &ms) == 1 && ms > 0) {
        struct timespec pause = {.tv_sec = (time_t)(ms / 1000)};

        pause.tv_nsec = (long)((ms - (double)pause.tv_sec * 1000) * 1e6);
        while (nanosleep(&pause, &pause) != 0)
            ;
    }
    fclose(file);
}

static int slowly(const char *name, int fd)
{
    union { /* ISO C has no cast from an object's pointer to a function's */
        void *found;
        int (*call)(int);
    } real = {.found = dlsym(RTLD_NEXT, name)};
    int result = real.call(fd);

    wait_as_told();
    return result;
}

int fsync(int fd)
{
    return slowly("fsync", fd);
}
int fdatasync(int fd)
{
    return slowly("fdatasync", fd);
}
