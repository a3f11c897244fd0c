/* user import: many users in a few seconds, in chunks of one transaction each. */
#include "clients/cli/import.h"

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/id.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK = 1000, DAY_MS = 86400000 };

struct import {
    struct cli_people people;
    FILE *tokens; /* NULL: none are made */
    char *device;
    uint64_t now_ms, expires_ms, created;
    bool must_change;
};

/* One chunk: users and their sessions, packed into the arena. */
static int send_chunk(struct cli *c, struct import *im, size_t begin, size_t end)
{
    static char actor[] = "command line";
    size_t n = end - begin;
    Pigeon__User *users = pgn_calloc(n, sizeof *users), **user_ptrs = pgn_calloc(n, sizeof *user_ptrs);
    Pigeon__Session *sessions = pgn_calloc(n, sizeof *sessions), **session_ptrs = pgn_calloc(n, sizeof *session_ptrs);
    char(*tokens)[PGN_TOKEN_LEN + 1] = pgn_calloc(n, sizeof *tokens);
    uint8_t(*hashes)[PGN_HASH_BYTES] = pgn_calloc(n, sizeof *hashes);
    for (size_t i = 0; i < n; i++) {
        const struct cli_person *p = &im->people.rows[begin + i];
        pigeon__user__init(users + i);
        users[i].user = pgn_arena_strdup(c->arena, p->user);
        users[i].name = pgn_arena_strdup(c->arena, p->name);
        users[i].password_hash = p->hash;
        users[i].must_change_password = *p->hash && im->must_change;
        users[i].created_at = im->now_ms;
        user_ptrs[i] = users + i;
        pigeon__session__init(sessions + i);
        pgn_token_new(tokens[i]);
        pgn_token_hash(tokens[i], hashes[i]);
        sessions[i].hash = (ProtobufCBinaryData){PGN_HASH_BYTES, hashes[i]};
        sessions[i].user = users[i].user;
        sessions[i].device = im->device;
        sessions[i].created_at = im->now_ms;
        sessions[i].expires_at = im->expires_ms;
        session_ptrs[i] = sessions + i;
    }
    Pigeon__UserBatch batch = PIGEON__USER_BATCH__INIT;
    batch.n_users = n;
    batch.users = user_ptrs;
    batch.n_sessions = im->tokens ? n : 0;
    batch.sessions = session_ptrs;
    Pigeon__DirRequest request = PIGEON__DIR_REQUEST__INIT;
    request.actor = actor;
    request.what_case = PIGEON__DIR_REQUEST__WHAT_USERS_IMPORT;
    request.users_import = &batch;
    Pigeon__Reply *reply = NULL;
    struct pgn_rpc_problem problem = {0};
    int e = pgn_storage_dir_sync(c->bus, &request, 30000, c->arena, &reply, &problem);
    if (!e && reply->payload_case == PIGEON__REPLY__PAYLOAD_USERS && reply->users)
        im->created += reply->users->total;
    for (size_t i = 0; !e && im->tokens && i < n; i++)
        fprintf(im->tokens, "%s,%s\n", users[i].user, tokens[i]);
    free(users);
    free(user_ptrs);
    free(sessions);
    free(session_ptrs);
    free(tokens);
    free(hashes);
    pgn_arena_reset(c->arena);
    return e ? cli_fail_call(c, e, &problem, "the import stopped; users who were added stay, so it can be run again") : CLI_OK;
}

static int open_tokens(struct cli *c, struct import *im)
{
    const char *path = cli_value(c, "tokens");
    if (!path)
        return CLI_OK;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || fchmod(fd, 0600) || !(im->tokens = fdopen(fd, "w")))
        return cli_fail(c, CLI_USAGE, "cannot write %s: %s", path, strerror(errno));
    fputs("user,token\n", im->tokens);
    return CLI_OK;
}

static void put_result(struct cli *c, const struct import *im, uint64_t took_ms)
{
    uint64_t total = im->people.count, created = im->created;
    if (c->json) {
        struct pgn_buf line = {0};
        struct pgn_json j = pgn_json_on(&line);
        pgn_json_object(&j);
        pgn_json_key(&j, "rows");
        pgn_json_u64(&j, total);
        pgn_json_key(&j, "added");
        pgn_json_u64(&j, created);
        pgn_json_key(&j, "there_already");
        pgn_json_u64(&j, total > created ? total - created : 0);
        pgn_json_key(&j, "took_ms");
        pgn_json_u64(&j, took_ms);
        pgn_json_object_end(&j);
        cli_put_json(&line);
        pgn_buf_release(&line);
        return;
    }
    printf("%llu users added", (unsigned long long)created);
    if (total > created)
        printf(", %llu were there already", (unsigned long long)(total - created));
    printf(" (%.1f s).\n", (double)took_ms / 1000);
    if (im->tokens)
        printf("Their tokens are in %s: keep that file safe.\n", cli_value(c, "tokens"));
}

int cli_user_import(struct cli *c)
{
    struct import im = {.now_ms = pgn_wall_ms(), .must_change = cli_has(c, "must-change")};
    const char *device = cli_value(c, "device");
    uint64_t days, started = pgn_mono_ms();
    if (!cli_number(c, "days", 30, 1, 3650, &days))
        return CLI_USAGE;
    if (device && !pgn_device_valid(device))
        return cli_fail(c, CLI_USAGE, "\"%s\" cannot be a device: 1 to 32 letters, digits, _ or -", device);
    im.device = pgn_strdup(device ? device : "load");
    im.expires_ms = im.now_ms + days * DAY_MS;
    int code = cli_people_read(c, c->args[0], &im.people);
    if (!code)
        code = cli_connect(c);
    if (!code)
        code = cli_people_hash(c, &im.people);
    if (!code)
        code = open_tokens(c, &im);
    bool show = isatty(STDERR_FILENO) && !c->json;
    for (size_t at = 0; !code && at < im.people.count; at += CHUNK) {
        size_t end = at + CHUNK < im.people.count ? at + CHUNK : im.people.count;
        code = send_chunk(c, &im, at, end);
        if (show)
            fprintf(stderr, "\rimporting: %zu of %zu", end, im.people.count);
    }
    if (show)
        fputs("\r\033[K", stderr);
    if (!code)
        put_result(c, &im, pgn_mono_ms() - started);
    if (im.tokens && fclose(im.tokens) && !code)
        code = cli_fail(c, CLI_FAILED, "cannot write %s: %s", cli_value(c, "tokens"), strerror(errno));
    free(im.device);
    return code;
}
