/*
 * Frames of the protocol, in both encodings: making those of a client, taking apart those of the server. What is taken
 * apart points into the frame (or into an arena that lives until the next frame). Not thread-safe.
 *
 * An answer repeats its question's id, so the id says what was asked: its low three bits are the kind, the rest an argument.
 */
#ifndef LOADTEST_FRAME_H
#define LOADTEST_FRAME_H

#include "common/base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ld_ask { LD_ASK_SEND = 1, LD_ASK_FETCH, LD_ASK_AUDIT, LD_ASK_HELLO, LD_ASK_SYNC, LD_ASK_PING, LD_ASK_OTHER };
static inline uint64_t ld_id(enum ld_ask kind, uint64_t argument)
{
    return argument << 3 | kind;
}
static inline enum ld_ask ld_id_kind(uint64_t id)
{
    return (enum ld_ask)(id & 7);
}
static inline uint64_t ld_id_argument(uint64_t id)
{
    return id >> 3;
}

/* Text of the body: which message this is. */
struct ld_mark {
    uint32_t run, sender, number;
    uint64_t intended_us;
};
/* Exactly `bytes` (at least LD_TEXT_MIN), padded; letters, digits and colons only. */
enum { LD_TEXT_MIN = 48, LD_TEXT_MAX = 16000 };
size_t ld_text_put(char *out, size_t bytes, const struct ld_mark *mark);
bool ld_text_get(const char *text, size_t len, struct ld_mark *ret); /* false: none of ours */

/* ---- out: each appends one encoded frame (without the WebSocket's head) ---- */

struct ld_codec {
    bool proto; /* protobuf instead of JSON */
};
void ld_put_hello(const struct ld_codec *k, struct pgn_buf *out, uint64_t id, const char *token, const char *cursor);
void ld_put_send(const struct ld_codec *k, struct pgn_buf *out, uint64_t id, bool to_user, const char *to, const char *client_id,
                 const char *text, size_t text_len);
void ld_put_fetch(const struct ld_codec *k, struct pgn_buf *out, uint64_t id, const char *conv, uint64_t after, uint32_t limit);
void ld_put_sync(const struct ld_codec *k, struct pgn_buf *out, uint64_t id, const char *cursor);
void ld_put_ping(const struct ld_codec *k, struct pgn_buf *out, uint64_t id);
void ld_put_mark(const struct ld_codec *k, struct pgn_buf *out, uint64_t id, const char *conv, uint64_t read);
void ld_put_watch(const struct ld_codec *k, struct pgn_buf *out, uint64_t id, const char *const *users, size_t count);
/* invite_to NULL: makes a group. */
void ld_put_group(const struct ld_codec *k, struct pgn_buf *out, uint64_t id, const char *invite_to, const char *title,
                  const char *const *users, size_t count);

/* ---- in ---- */

enum ld_what {
    LD_MALFORMED,
    LD_OTHER, /* LD_OTHER: an ok, mark, typing or changed that needs no attention */
    LD_OK_HELLO,
    LD_OK_SEND,
    LD_OK_FETCH,
    LD_OK_SYNC,
    LD_OK_PING,
    LD_OK_CHANGED,
    LD_ERROR,
    LD_MESSAGE,
    LD_PRESENCE,
    LD_BYE
};
struct ld_str {
    const char *p;
    size_t len;
};
bool ld_is(struct ld_str s, const char *word);
struct ld_message {
    struct ld_str conv, text;
    uint64_t seq;
};
struct ld_conv_state {
    struct ld_str conv;
    uint64_t last_seq;
};
struct ld_frame {
    enum ld_what what;
    uint64_t id;
    struct ld_str conv;       /* send, create */
    uint64_t seq;             /* send */
    struct ld_str cursor;     /* hello, sync, ping */
    bool more;                /* fetch, sync */
    uint32_t heartbeat_s;     /* hello */
    struct ld_str code, text; /* error, bye */
    bool retry;
    uint64_t retry_after_ms;
    struct ld_message message;
    struct ld_message *messages; /* fetch; the arrays are reused */
    size_t message_count, message_cap;
    struct ld_conv_state *convs; /* sync */
    size_t conv_count, conv_cap;
};
/* f is zero or from the last call. */
void ld_take(const struct ld_codec *k, const void *data, size_t len, struct ld_frame *f);
void ld_take_json(const char *data, size_t len, struct ld_frame *f);
void ld_take_proto(const void *data, size_t len, struct ld_frame *f);
struct ld_message *ld_frame_message(struct ld_frame *f); /* one more of a page, zeroed */
struct ld_conv_state *ld_frame_conv(struct ld_frame *f);

#endif
