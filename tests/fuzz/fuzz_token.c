// needs: services/api
/*
 * What names and opens things: tokens, ids of users, devices, conversations and clients' keys, names and types of files.
 * A valid id stays within its length and alphabet, since it goes into subjects, keys and paths; what is cleaned is clean.
 */
#include "common/base/buf.h"
#include "common/base/id.h"
#include "common/base/utf8.h"
#include "services/api/header.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool ok)
{
    if (!ok)
        abort();
}

/* An id that is taken is no longer than this, and none of its bytes means something to NATS, a path or JSON. */
static void taken(const char *id, size_t max)
{
    need(*id && strlen(id) <= max);
    for (const char *c = id; *c; c++)
        need(*c > ' ' && *c < 0x7f);
}

static void ids(const char *text)
{
    char conv[PGN_CONV_MAX + 1], peer[PGN_USER_MAX + 1];
    if (pgn_user_valid(text)) {
        taken(text, PGN_USER_MAX);
        need(!strpbrk(text, ".*>/\\\":"));
        pgn_conv_direct(text, "alice", conv);
        need(pgn_conv_valid(conv) && pgn_conv_is_direct(conv) && pgn_conv_peer(conv, "alice", peer) && strcmp(peer, text) == 0);
    }
    if (pgn_device_valid(text)) {
        taken(text, PGN_DEVICE_MAX);
        need(!strpbrk(text, ".*>/\\\":"));
    }
    if (pgn_client_id_valid(text))
        taken(text, PGN_CLIENT_ID_MAX);
    if (pgn_conv_valid(text)) {
        taken(text, PGN_CONV_MAX);
        need(!strpbrk(text, ".*>/\\\""));
        if (pgn_conv_is_direct(text))
            (void)pgn_conv_peer(text, "alice", peer);
    }
}

/* The hash says nothing but equality: another token, another hash. */
static void token(const char *text)
{
    uint8_t first[PGN_HASH_BYTES], again[PGN_HASH_BYTES];
    char other[PGN_TOKEN_LEN + 1];
    pgn_token_hash(text, first);
    pgn_token_hash(text, again);
    need(memcmp(first, again, sizeof first) == 0);
    pgn_token_new(other);
    need(strlen(other) == PGN_TOKEN_LEN && strcmp(other, text) != 0);
    pgn_token_hash(other, again);
    need(memcmp(first, again, sizeof first) != 0);
}

static void files(char *text, size_t size)
{
    char mime[API_MIME_MAX + 1];
    struct pgn_buf out = {0};
    api_mime_of(text, mime);
    need(strchr(mime, '/') && !strpbrk(mime, " ;\r\n\""));
    need(strcmp(mime, "text/html") != 0 && strcmp(mime, "image/svg+xml") != 0 && strcmp(mime, "text/javascript") != 0 &&
         strcmp(mime, "text/xml") != 0);
    if (!pgn_utf8_valid(text, size))
        return;
    api_file_name_clean(text);
    need(*text && *text != '.' && strlen(text) <= API_FILE_NAME_BYTES && !strpbrk(text, "/\\\r\n") && pgn_utf8_valid(text, strlen(text)));
    api_disposition(text, &out);
    need(!memchr(out.data, '\r', out.len) && !memchr(out.data, '\n', out.len));
    pgn_buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = calloc(1, size + sizeof "file");
    if (size)
        memcpy(text, data, size);
    ids(text);
    token(text);
    files(text, strlen(text));
    free(text);
    return 0;
}
