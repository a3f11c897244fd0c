/* pigeon-storage --export FILE | --import FILE [--config FILE]: the moves, in a process of their own. */
#include "common/base/error.h"
#include "common/svc/log.h"
#include "services/storage/move.h"
#include "services/storage/store_open.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_IN_USE = 3 };

struct arguments {
    const char *config, *file;
    bool in;
};

static bool parse(int argc, char **argv, struct arguments *a)
{
    memset(a, 0, sizeof *a);
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--config") == 0)
            a->config = argv[i + 1];
        else if (strcmp(argv[i], "--export") == 0 || strcmp(argv[i], "--import") == 0) {
            a->file = argv[i + 1];
            a->in = argv[i][2] == 'i';
        }
    }
    return a->file != NULL;
}

static int say(int error, const struct pgn_buf *problem)
{
    struct pgn_buf text = {0};

    pgn_buf_append(&text, problem->data, problem->len);
    fprintf(stderr, "pigeon: %s\n", text.len ? pgn_buf_cstr(&text) : pgn_error_info(error)->text);
    pgn_buf_release(&text);
    return error == PGN_E_BUSY ? EXIT_IN_USE : EXIT_FAILED;
}

static int move(const struct pgn_config *config, const struct arguments *a)
{
    struct sto_faults faults = {0};
    struct sto_store *store = NULL;
    struct sto_moved moved = {0};
    struct pgn_buf problem = {0};
    int error = sto_store_open(config, &faults, &store, &problem);

    if (!error)
        error = a->in ? sto_import(store, a->file, &moved, &problem) : sto_export(store, a->file, &moved, &problem);
    int code = error ? say(error, &problem) : EXIT_DONE;
    uint64_t chunks = moved.chunks + (a->in ? moved.skipped : 0);
    if (!error)
        printf("%s %llu rows in %llu chunks (%llu of them were there), store %s, commit %llu\n", a->in ? "Imported" : "Exported",
               (unsigned long long)moved.rows, (unsigned long long)chunks, (unsigned long long)moved.skipped, store->ops->name,
               (unsigned long long)store->ops->last_commit(store));
    if (store)
        store->ops->close(store);
    pgn_buf_release(&problem);
    return code;
}

bool sto_move_main(int argc, char **argv, int *ret_code)
{
    struct arguments a;
    struct pgn_config *config = NULL;
    struct pgn_buf problems = {0};

    if (!parse(argc, argv, &a))
        return false;
    *ret_code = EXIT_USAGE;
    if (sodium_init() < 0 || pgn_config_load(a.config, &config, &problems) != 0) {
        fprintf(stderr, "pigeon: the configuration has problems:\n%s", pgn_buf_cstr(&problems));
    } else {
        pgn_log_setup("storage", config->log_level, config->log_format);
        *ret_code = move(config, &a);
    }
    pgn_buf_release(&problems);
    pgn_config_free(&config);
    return true;
}
