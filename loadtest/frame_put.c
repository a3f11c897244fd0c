/*
 * Making a client's frames, in JSON through the writer or protobuf. Each fills a ClientFrame; only send, which is hot, is
 * written by hand in both encodings.
 */
#include "loadtest/frame.h"

#include "common/proto/json_map.h"
#include "common/proto/pb.h"

#include <string.h>

/* protobuf-c's fields are not const; nothing is written through them when packing. */
static char *lend(const char *s)
{
    union {
        const char *from;
        char *to;
    } u = {s};
    return u.to;
}

static void put(const struct ld_codec *k, struct pgn_buf *out, const Pigeon__ClientFrame *frame)
{
    if (k->proto)
        pgn_pb_pack(frame, out);
    else
        pgn_json_encode(&frame->base, out);
}

void ld_put_hello(const struct ld_codec *k, struct pgn_buf *out, uint64_t id, const char *token, const char *cursor)
{
    Pigeon__ClientFrame f = PIGEON__CLIENT_FRAME__INIT;
    Pigeon__Hello hello = PIGEON__HELLO__INIT;
    hello.token = lend(token);
    hello.cursor = lend(cursor);
    f.id = id;
    f.op_case = PIGEON__CLIENT_FRAME__OP_HELLO;
    f.hello = &hello;
    put(k, out, &f);
}

#define LITERAL(out, s) pgn_buf_append(out, s, sizeof(s) - 1)

static void send_json(struct pgn_buf *out, uint64_t id, bool to_user, const char *to, const char *client_id, const char *text,
                      size_t text_len)
{
    pgn_buf_reserve(out, text_len + 256);
    LITERAL(out, "{\"id\":");
    pgn_buf_append_u64(out, id);
    if (to_user)
        LITERAL(out, ",\"send\":{\"to\":{\"user\":\"");
    else
        LITERAL(out, ",\"send\":{\"to\":{\"conv\":\"");
    pgn_buf_append_str(out, to);
    LITERAL(out, "\"},\"client_id\":\"");
    pgn_buf_append_str(out, client_id);
    LITERAL(out, "\",\"kind\":\"text\",\"body\":{\"text\":\"");
    pgn_buf_append(out, text, text_len);
    LITERAL(out, "\"}}}");
}

void ld_put_send(const struct ld_codec *k, struct pgn_buf *out, uint64_t id, bool to_user, const char *to, const char *client_id,
                 const char *text, size_t text_len)
{
    if (!k->proto) { /* ids and our texts need no escapes */
        send_json(out, id, to_user, to, client_id, text, text_len);
        return;
    }
    Pigeon__ClientFrame f = PIGEON__CLIENT_FRAME__INIT;
    Pigeon__Send send = PIGEON__SEND__INIT;
    Pigeon__Target target = PIGEON__TARGET__INIT;
    Pigeon__Body body = PIGEON__BODY__INIT;
    target.to_case = to_user ? PIGEON__TARGET__TO_USER : PIGEON__TARGET__TO_CONV;
    target.user = lend(to);
    body.text = lend(text);
    send.to = &target;
    send.client_id = lend(client_id);
    send.kind = PIGEON__KIND__text;
    send.body = &body;
    f.id = id;
    f.op_case = PIGEON__CLIENT_FRAME__OP_SEND;
    f.send = &send;
    put(k, out, &f);
}

void ld_put_fetch(const struct ld_codec *k, struct pgn_buf *out, uint64_t id, const char *conv, uint64_t after, uint32_t limit)
{
    Pigeon__ClientFrame f = PIGEON__CLIENT_FRAME__INIT;
    Pigeon__Fetch fetch = PIGEON__FETCH__INIT;
    fetch.conv = lend(conv);
    fetch.after = after;
    fetch.before = after ? 0 : limit + 1; /* from the very beginning: neither would be the newest */
    fetch.limit = limit;
    f.id = id;
    f.op_case = PIGEON__CLIENT_FRAME__OP_FETCH;
    f.fetch = &fetch;
    put(k, out, &f);
}

void ld_put_sync(const struct ld_codec *k, struct pgn_buf *out, uint64_t id, const char *cursor)
{
    Pigeon__ClientFrame f = PIGEON__CLIENT_FRAME__INIT;
    Pigeon__Sync sync = PIGEON__SYNC__INIT;
    sync.cursor = lend(cursor);
    f.id = id;
    f.op_case = PIGEON__CLIENT_FRAME__OP_SYNC;
    f.sync = &sync;
    put(k, out, &f);
}

void ld_put_ping(const struct ld_codec *k, struct pgn_buf *out, uint64_t id)
{
    Pigeon__ClientFrame f = PIGEON__CLIENT_FRAME__INIT;
    Pigeon__Ping ping = PIGEON__PING__INIT;
    f.id = id;
    f.op_case = PIGEON__CLIENT_FRAME__OP_PING;
    f.ping = &ping;
    put(k, out, &f);
}

void ld_put_mark(const struct ld_codec *k, struct pgn_buf *out, uint64_t id, const char *conv, uint64_t read)
{
    Pigeon__ClientFrame f = PIGEON__CLIENT_FRAME__INIT;
    Pigeon__Mark mark = PIGEON__MARK__INIT;
    mark.conv = lend(conv);
    mark.read = mark.delivered = read;
    f.id = id;
    f.op_case = PIGEON__CLIENT_FRAME__OP_MARK;
    f.mark = &mark;
    put(k, out, &f);
}

static char **lend_all(const char *const *users)
{
    union {
        const char *const *from;
        char **to;
    } u = {users};
    return u.to;
}

void ld_put_watch(const struct ld_codec *k, struct pgn_buf *out, uint64_t id, const char *const *users, size_t count)
{
    Pigeon__ClientFrame f = PIGEON__CLIENT_FRAME__INIT;
    Pigeon__Watch watch = PIGEON__WATCH__INIT;
    watch.n_users = count;
    watch.users = lend_all(users);
    f.id = id;
    f.op_case = PIGEON__CLIENT_FRAME__OP_WATCH;
    f.watch = &watch;
    put(k, out, &f);
}

void ld_put_group(const struct ld_codec *k, struct pgn_buf *out, uint64_t id, const char *invite_to, const char *title,
                  const char *const *users, size_t count)
{
    Pigeon__ClientFrame f = PIGEON__CLIENT_FRAME__INIT;
    Pigeon__Create create = PIGEON__CREATE__INIT;
    Pigeon__Invite invite = PIGEON__INVITE__INIT;
    f.id = id;
    if (invite_to) {
        invite.conv = lend(invite_to);
        invite.n_users = count;
        invite.users = lend_all(users);
        f.op_case = PIGEON__CLIENT_FRAME__OP_INVITE;
        f.invite = &invite;
    } else {
        create.kind = PIGEON__CONV_KIND__group;
        create.title = lend(title);
        create.n_members = count;
        create.members = lend_all(users);
        f.op_case = PIGEON__CLIENT_FRAME__OP_CREATE;
        f.create = &create;
    }
    put(k, out, &f);
}
