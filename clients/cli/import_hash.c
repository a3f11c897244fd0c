/* Hashing many passwords on all cores; see import.h. */
#include "clients/cli/import.h"
#include "clients/cli/password.h"

#include "common/base/alloc.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { THREADS_MAX = 16 };

struct work {
    const struct pgn_config *config;
    struct cli_people *people;
    atomic_size_t next, done;
    atomic_bool failed;
};

static void *run(void *arg)
{
    struct work *w = arg;
    for (;;) {
        size_t i = atomic_fetch_add(&w->next, 1);
        if (i >= w->people->count || atomic_load(&w->failed))
            return NULL;
        struct cli_person *p = &w->people->rows[i];
        char hash[CLI_HASH_MAX] = "";
        if (*p->password) {
            if (cli_password_hash(w->config, p->password, hash))
                atomic_store(&w->failed, true);
            atomic_fetch_add(&w->done, 1);
        }
        p->hash = pgn_strdup(hash);
    }
}

static void progress(struct work *w)
{
    if (!isatty(STDERR_FILENO))
        return;
    size_t done;
    while ((done = atomic_load(&w->done)) < w->people->with_password && !atomic_load(&w->failed)) {
        fprintf(stderr, "\rhashing passwords: %zu of %zu", done, w->people->with_password);
        nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
    }
    fputs("\r\033[K", stderr);
}

int cli_people_hash(struct cli *c, struct cli_people *people)
{
    struct work w = {.config = c->config, .people = people};
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    pthread_t threads[THREADS_MAX];
    int count = !people->with_password || cores < 2 ? 1 : cores > THREADS_MAX ? THREADS_MAX : (int)cores, started = 0;
    while (started < count && !pthread_create(&threads[started], NULL, run, &w))
        started++;
    if (!started)
        run(&w);
    else
        progress(&w);
    for (int i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    if (atomic_load(&w.failed))
        return cli_fail(c, CLI_FAILED, "not enough memory to hash passwords: nothing was imported");
    return CLI_OK;
}
