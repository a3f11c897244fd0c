/* Receiving a file: streamed to disk and hashed, never in memory as a whole. */
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/random.h"
#include "common/proto/storage_client.h"
#include "common/svc/log.h"
#include "services/api/files.h"
#include "services/api/header.h"
#include "services/api/slots.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 1024, CHUNK = 65536, SLOT_WAIT_MS = 3000, PUT_TRIES = 3, RANDOM_BYTES = API_FILE_ID_LEN / 2 };

struct upload {
    struct api_call *call;
    char id[API_FILE_ID_LEN + 1];
    char temporary[PATH_BYTES], folder[PATH_BYTES], path[PATH_BYTES];
    int fd;
    uint64_t size;
    uint8_t sha256[crypto_hash_sha256_BYTES];
};

/* What went wrong with the disk: nothing was stored. */
static int disk_failed(struct api_call *call, const char *what)
{
    pgn_log_limited(PGN_ERR, 1000, "upload: %s: %s", what, strerror(errno));
    return api_fail(call, PGN_E_UNAVAILABLE, "the file could not be stored");
}

static int sync_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    int r = fsync(fd);
    close(fd);
    return r;
}

static void name_upload(struct upload *u)
{
    uint8_t bytes[RANDOM_BYTES];
    const char *data = u->call->api->config->node_data;
    pgn_random(bytes, sizeof bytes);
    sodium_bin2hex(u->id, sizeof u->id, bytes, sizeof bytes);
    snprintf(u->temporary, sizeof u->temporary, "%s/files/tmp/%s", data, u->id);
    snprintf(u->folder, sizeof u->folder, "%s/files/%.2s", data, u->id);
    snprintf(u->path, sizeof u->path, "%s/files/%.2s/%s", data, u->id, u->id);
}

static int write_all(int fd, const uint8_t *data, size_t len)
{
    while (len) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

/* Body to disk, with size and hash; over the limit it stops at once. */
static int stream(struct upload *u)
{
    struct api_call *call = u->call;
    uint64_t limit = (uint64_t)call->api->config->limits_file_bytes;
    int64_t expected = pgn_http_content_length(call->req);
    uint8_t *chunk = pgn_malloc(CHUNK);
    crypto_hash_sha256_state hash;
    int e = 0;
    crypto_hash_sha256_init(&hash);
    for (;;) {
        int64_t n = pgn_http_read(call->req, chunk, CHUNK);
        if (n < 0)
            e = api_fail(call, PGN_E_INVALID, "the file did not come whole");
        if (n <= 0)
            break;
        u->size += (uint64_t)n;
        if (u->size > limit) {
            e = api_fail(call, PGN_E_TOO_LARGE, "the file is too large");
            break;
        }
        crypto_hash_sha256_update(&hash, chunk, (size_t)n);
        if (write_all(u->fd, chunk, (size_t)n)) {
            e = disk_failed(call, "write");
            break;
        }
    }
    crypto_hash_sha256_final(&hash, u->sha256);
    free(chunk);
    if (!e && expected > 0 && u->size != (uint64_t)expected)
        e = api_fail(call, PGN_E_INVALID, "the file did not come whole");
    return e;
}

/* From the temporary to the real name, durably. */
static int settle(struct upload *u)
{
    if (fsync(u->fd))
        return disk_failed(u->call, "fsync");
    if (mkdir(u->folder, 0750) && errno != EEXIST)
        return disk_failed(u->call, "mkdir");
    if (rename(u->temporary, u->path))
        return disk_failed(u->call, "rename");
    if (sync_folder(u->folder))
        return disk_failed(u->call, "fsync of the directory");
    return 0;
}

/*
 * Tells the directory. An unanswered request is repeated. PGN_E_UNCERTAIN: the directory may know the file, whatever the
 * last try was answered.
 */
static int record(struct upload *u, const char *name, const char *mime)
{
    struct api_call *call = u->call;
    Pigeon__DirRequest request = PIGEON__DIR_REQUEST__INIT;
    Pigeon__FileMeta meta = PIGEON__FILE_META__INIT;
    Pigeon__Reply *reply;
    int e = PGN_E_TIMEOUT;
    bool doubt = false;
    meta.file_id = u->id;
    meta.owner = call->session.user;
    meta.name = api_strdup(call, name);
    meta.size = u->size;
    meta.mime = api_strdup(call, mime);
    meta.sha256 = (ProtobufCBinaryData){sizeof u->sha256, u->sha256};
    meta.created_at = pgn_wall_ms();
    meta.quota = (uint64_t)call->api->config->limits_user_file_bytes;
    request.what_case = PIGEON__DIR_REQUEST__WHAT_FILE_PUT;
    request.file_put = &meta;
    for (int i = 0; i < PUT_TRIES && e == PGN_E_TIMEOUT; i++) {
        e = pgn_storage_dir_sync(call->api->bus, &request, PGN_STORAGE_TIMEOUT_MS / 2, call->arena, &reply, &call->problem);
        if (e == PGN_E_CONFLICT && i > 0)
            e = 0; /* the unanswered one had done it */
        doubt = doubt || e == PGN_E_TIMEOUT || e == PGN_E_UNCERTAIN;
    }
    return e && doubt ? api_fail(call, PGN_E_UNCERTAIN, NULL) : e;
}

static int receive(struct upload *u, const char *name, const char *mime)
{
    name_upload(u);
    u->fd = open(u->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (u->fd < 0)
        return disk_failed(u->call, "create");
    int e = stream(u);
    if (!e)
        e = settle(u);
    close(u->fd);
    if (e) {
        unlink(u->temporary);
        unlink(u->path);
        return e;
    }
    e = record(u, name, mime);
    if (e && e != PGN_E_UNCERTAIN) /* in doubt it stays: a row may point to it */
        unlink(u->path);
    return e;
}

/* Before a byte is read: is there room at all? */
static int check_room(struct api_call *call)
{
    const struct pgn_config *config = call->api->config;
    int64_t expected = pgn_http_content_length(call->req);
    Pigeon__User *user;
    if (expected > config->limits_file_bytes)
        return api_fail(call, PGN_E_TOO_LARGE, "the file is too large");
    int e = pgn_storage_user_get(call->api->bus, call->session.user, call->arena, &user, &call->problem);
    if (e)
        return api_read_error(call, e);
    uint64_t more = expected > 0 ? (uint64_t)expected : 0;
    if (user->file_bytes + more > (uint64_t)config->limits_user_file_bytes)
        return api_fail(call, PGN_E_TOO_LARGE, "your files together would be too large");
    return 0;
}

int api_upload(struct api_call *call)
{
    struct upload u = {.call = call};
    Pigeon__ApiFile answer = PIGEON__API_FILE__INIT;
    char mime[API_MIME_MAX + 1], *query_name, *name;
    int e = api_query_text(call, "name", API_FILE_NAME_CHARS, &query_name);
    if (e || (e = check_room(call)))
        return e;
    api_mime_of(pgn_http_header(call->req, "Content-Type"), mime);
    name = pgn_arena_alloc(call->arena, strlen(query_name) + sizeof "file");
    memcpy(name, query_name, strlen(query_name) + 1);
    api_file_name_clean(name);
    e = api_slots_take(call->api->uploads, SLOT_WAIT_MS);
    if (e)
        return api_fail(call, e, "too many uploads at once");
    e = receive(&u, name, mime);
    api_slots_give(call->api->uploads);
    if (e)
        return e;
    api_count(API_UPLOADS);
    pgn_metric_add(&api_metrics[API_UPLOAD_BYTES], (int64_t)u.size);
    answer.file_id = u.id;
    answer.name = name;
    answer.size = u.size;
    answer.mime = mime;
    return api_answer(call, 201, &answer);
}
