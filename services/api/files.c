/* Where files lie, and sending them; see files.h. */
#include "services/api/files.h"

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/proto/storage_client.h"
#include "common/svc/log.h"
#include "services/api/header.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 1024, LEFT_AFTER_MS = 24 * 60 * 60 * 1000 };

static int make_dir(const char *path)
{
    if (!mkdir(path, 0750) || errno == EEXIST)
        return 0;
    pgn_log(PGN_ERR, "cannot make the directory %s: %s", path, strerror(errno));
    return PGN_E_IO;
}

/* Nobody writes to it any more. The nodes of a cluster share the directory: a young one may be another's upload. */
static bool was_left(const char *path)
{
    struct stat st;
    return !lstat(path, &st) && (uint64_t)st.st_mtime * 1000 + LEFT_AFTER_MS < pgn_wall_ms();
}

int api_files_prepare(const struct pgn_config *config)
{
    char path[PATH_BYTES], entry_path[PATH_BYTES + 300];
    int e;
    snprintf(path, sizeof path, "%s", config->node_data);
    if ((e = make_dir(path)))
        return e;
    snprintf(path, sizeof path, "%s/files", config->node_data);
    if ((e = make_dir(path)))
        return e;
    snprintf(path, sizeof path, "%s/files/tmp", config->node_data);
    if ((e = make_dir(path)))
        return e;
    DIR *dir = opendir(path);
    if (!dir) {
        pgn_log(PGN_ERR, "cannot read the directory %s: %s", path, strerror(errno));
        return PGN_E_IO;
    }
    for (const struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(entry_path, sizeof entry_path, "%s/%s", path, entry->d_name);
        if (was_left(entry_path) && unlink(entry_path) && errno != ENOENT) /* another node may be clearing, too */
            pgn_log(PGN_WARN, "cannot remove %s: %s", entry_path, strerror(errno));
    }
    closedir(dir);
    return 0;
}

static int find_file(struct api_call *call, Pigeon__FileMeta **ret_meta)
{
    Pigeon__DirRequest request = PIGEON__DIR_REQUEST__INIT;
    Pigeon__FileRef ref = PIGEON__FILE_REF__INIT;
    Pigeon__Reply *reply;
    ref.file_id = api_strdup(call, call->param[0]);
    ref.user = call->session.user;
    request.what_case = PIGEON__DIR_REQUEST__WHAT_FILE_GET;
    request.file_get = &ref;
    int e = pgn_storage_dir_sync(call->api->bus, &request, PGN_STORAGE_TIMEOUT_MS, call->arena, &reply, &call->problem);
    if (e)
        return api_read_error(call, e);
    *ret_meta = reply->file;
    return 0;
}

int api_download(struct api_call *call)
{
    Pigeon__FileMeta *meta = NULL;
    struct pgn_buf disposition = {0};
    char path[PATH_BYTES], mime[API_MIME_MAX + 1];
    const char *id = call->param[0];
    int e = find_file(call, &meta);
    if (e)
        return e;
    api_mime_of(meta->mime, mime); /* what is in the store is not trusted either */
    snprintf(path, sizeof path, "%s/files/%.2s/%s", call->api->config->node_data, id, id);
    if (access(path, R_OK))
        return api_fail(call, PGN_E_NOT_FOUND, "this file is gone");
    api_disposition(meta->name, &disposition);
    pgn_http_set_header(call->req, "Content-Disposition", pgn_buf_cstr(&disposition));
    pgn_buf_release(&disposition);
    pgn_http_set_header(call->req, "Content-Security-Policy", "sandbox; default-src 'none'");
    pgn_http_set_header(call->req, "Cache-Control", "private, max-age=31536000, immutable");
    api_count(API_DOWNLOADS);
    call->status = 200;
    if (call->api->config->api_accel) {
        snprintf(path, sizeof path, "/internal/files/%.2s/%s", id, id);
        pgn_http_set_header(call->req, "X-Accel-Redirect", path);
        pgn_http_answer(call->req, 200, mime, NULL, 0);
        return 0;
    }
    return pgn_http_answer_file(call->req, path, mime);
}
