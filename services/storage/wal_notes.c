#include "services/storage/wal_notes.h"

#include "common/base/alloc.h"
#include "common/base/clock.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_wal(const char *name)
{
    size_t n = strlen(name);

    return n > 4 && strcmp(name + n - 4, ".log") == 0;
}

void sto_wal_links_make(struct sto_wal_links *links, const char *store)
{
    struct pgn_buf dir = {0}, from = {0}, to = {0};
    DIR *d = opendir(store);
    int count = 0;

    *links = (struct sto_wal_links){pgn_strdup(store), NULL};
    pgn_buf_printf(&dir, "%s.torn-%llu", store, (unsigned long long)pgn_wall_ms());
    for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
        if (!is_wal(e->d_name) || (count == 0 && mkdir(pgn_buf_cstr(&dir), 0700) != 0))
            continue;
        pgn_buf_clear(&from);
        pgn_buf_clear(&to);
        pgn_buf_printf(&from, "%s/%s", store, e->d_name);
        pgn_buf_printf(&to, "%s/%s", pgn_buf_cstr(&dir), e->d_name);
        count += link(pgn_buf_cstr(&from), pgn_buf_cstr(&to)) == 0;
    }
    if (d)
        closedir(d);
    if (count > 0)
        links->directory = pgn_strdup(pgn_buf_cstr(&dir));
    pgn_buf_release(&dir);
    pgn_buf_release(&from);
    pgn_buf_release(&to);
}

void sto_wal_links_drop(struct sto_wal_links *links)
{
    DIR *d = links->directory ? opendir(links->directory) : NULL;

    for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d))
        if (is_wal(e->d_name))
            unlinkat(dirfd(d), e->d_name, 0);
    if (d)
        closedir(d);
    if (links->directory)
        rmdir(links->directory);
    free(links->directory);
    free(links->store);
    *links = (struct sto_wal_links){0};
}

void sto_wal_links_finish(struct sto_wal_links *links, struct pgn_buf *notes)
{
    struct pgn_buf path = {0};
    char line[1024];
    bool dropped = false;

    pgn_buf_printf(&path, "%s/LOG", links->store);
    FILE *f = links->directory ? fopen(pgn_buf_cstr(&path), "re") : NULL;
    while (f && fgets(line, sizeof line, f)) {
        char *what = strstr(line, "dropping ");

        if (!what)
            continue;
        what[strcspn(what, "\n")] = 0;
        dropped = true;
        if (notes)
            pgn_buf_printf(notes, "the message log's tail was damaged: %s; the log files as they were are in %s\n", what, links->directory);
    }
    if (f)
        fclose(f);
    if (dropped) {
        free(links->directory);
        links->directory = NULL;
    }
    pgn_buf_release(&path);
    sto_wal_links_drop(links);
}
