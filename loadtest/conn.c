/*
 * A user's connection: CONNECTING -> UPGRADING -> GREETING (hello) -> SYNCING -> READY, and WAITING between tries.
 * Reads go through one buffer of the worker; writes of a turn go out at its end, one a connection.
 */
#include "loadtest/load.h"

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "loadtest/tls.h"
#include "loadtest/ws.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_BYTES = 1 << 18, GIVE_UP_MS = 20000, BACKOFF_FIRST_MS = 3000, BACKOFF_MAX_MS = 30000, SOCKETS_AN_ADDRESS = 20000 };

struct pgn_buf *ld_scratch(void)
{
    static struct pgn_buf scratch;
    pgn_buf_clear(&scratch);
    return &scratch;
}

static void mark_dirty(struct ld_user *u)
{
    if (!pgn_node_linked(&u->dirty))
        pgn_list_append(&u->run->dirty, &u->dirty);
}

static void write_op(struct ld_user *u, enum ld_ws_op op, const void *data, size_t len)
{
    if (u->state < LD_GREETING)
        return;
    ld_ws_frame(&u->out, op, data, len, (uint32_t)ld_random(u->run));
    mark_dirty(u);
}

void ld_write(struct ld_user *u, const struct pgn_buf *frame)
{
    write_op(u, u->run->codec.proto ? LD_WS_BINARY : LD_WS_TEXT, frame->data, frame->len);
}

static void close_socket(struct ld_user *u)
{
    if (u->state < LD_CONNECTING)
        return;
    if (u->state < LD_READY)
        u->run->connecting--;
    else
        u->run->result->online--;
    pgn_io_remove(u->run->loop, &u->io);
    ld_tls_end(u);
    close(u->io.fd);
    pgn_list_remove(&u->dirty);
    pgn_buf_release(&u->in);
    pgn_buf_release(&u->out);
    pgn_buf_release(&u->parts);
    pgn_timer_stop(&u->timer);
    u->syncing = false;
    for (uint16_t i = 0; i < u->slot_count; i++)
        u->slots[i].fetching = false;
    u->state = LD_OFF;
}

void ld_drop(struct ld_user *u, uint64_t wait_ms)
{
    if (u->state == LD_READY)
        u->run->result->n.disconnects++;
    else
        u->run->result->n.connect_failures++;
    close_socket(u);
    if (!u->wanted)
        return;
    u->state = LD_WAITING;
    u->backoff_ms = u->backoff_ms ? u->backoff_ms * 2 : BACKOFF_FIRST_MS;
    if (u->backoff_ms > BACKOFF_MAX_MS)
        u->backoff_ms = BACKOFF_MAX_MS;
    /* Nearly all of the range: thousands that lost one server must not return in one second. */
    uint64_t jittered = u->backoff_ms / 10 + (uint64_t)(ld_random_unit(u->run) * u->backoff_ms * 9 / 10);
    pgn_timer_start(u->run->loop, &u->timer, wait_ms + jittered);
}

void ld_go_offline(struct ld_user *u)
{
    u->wanted = false;
    if (u->state == LD_WAITING)
        pgn_timer_stop(&u->timer);
    if (u->state == LD_READY) {
        static const uint8_t normal[2] = {0x03, 0xe8}; /* 1000 */
        write_op(u, LD_WS_CLOSE, normal, sizeof normal);
        (void)!ld_send_bytes(u, u->out.data, u->out.len);
    }
    close_socket(u);
    u->state = LD_OFF;
    u->backoff_ms = 0;
}

static void flush(struct ld_user *u)
{
    while (u->out.len) {
        ssize_t n = ld_send_bytes(u, u->out.data, u->out.len);
        if (n < 0 && errno == EAGAIN && ld_tls_shaking(u))
            return; /* again after the next read */
        if (n < 0 && errno == EAGAIN) {
            pgn_io_want(u->run->loop, &u->io, PGN_READ | PGN_WRITE);
            return;
        }
        if (n < 0) {
            ld_drop(u, 0);
            return;
        }
        u->run->result->n.bytes_out += (uint64_t)n;
        pgn_buf_drop_front(&u->out, (size_t)n);
    }
    if (u->out.cap > 65536)
        pgn_buf_release(&u->out);
    if (u->io.events & PGN_WRITE)
        pgn_io_want(u->run->loop, &u->io, PGN_READ);
}

void ld_flush_hook(struct pgn_hook *h)
{
    struct ld_run *r = PGN_CONTAINER(h, struct ld_run, flush);
    while (!pgn_list_empty(&r->dirty)) {
        struct ld_user *u = PGN_CONTAINER(r->dirty.next, struct ld_user, dirty);
        pgn_list_remove(&u->dirty);
        if (u->state > LD_CONNECTING)
            flush(u);
    }
}

static bool bind_source(const struct ld_user *u, int fd)
{
    uint32_t many = u->run->o->addresses, needed = u->run->o->users / SOCKETS_AN_ADDRESS + 1;
    if (many < needed)
        many = needed;
    if (many < 2 || (ntohl(u->run->address.sin_addr.s_addr) >> 24) != 127)
        return true;
    int one = 1;
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + u->index % many)};
    return !setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one) && !bind(fd, (struct sockaddr *)&from, sizeof from);
}

static void on_ready(struct pgn_io *io, uint32_t events);

static void begin_connect(struct ld_user *u)
{
    struct ld_run *r = u->run;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
    if (fd < 0)
        ld_fatal(r, "no more sockets (%s): raise the limit of open files, or use --processes", strerror(errno));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    u->connect_us = pgn_mono_us();
    u->io = (struct pgn_io){.fd = fd, .events = PGN_READ | PGN_WRITE, .on_ready = on_ready};
    u->state = LD_CONNECTING;
    r->connecting++;
    if (!bind_source(u, fd) || (connect(fd, (const struct sockaddr *)&r->address, sizeof r->address) && errno != EINPROGRESS) ||
        pgn_io_add(r->loop, &u->io)) {
        close(fd);
        r->connecting--;
        u->state = LD_OFF;
        ld_drop(u, 0);
        return;
    }
    pgn_timer_start(r->loop, &u->timer, GIVE_UP_MS);
}

static void on_timer(struct pgn_timer *t)
{
    struct ld_user *u = PGN_CONTAINER(t, struct ld_user, timer);
    if (u->state == LD_WAITING)
        begin_connect(u);
    else if (u->state == LD_READY)
        ld_retry_due(u);
    else
        ld_drop(u, 0);
}

void ld_go_online(struct ld_user *u)
{
    u->wanted = true;
    u->timer.on_due = on_timer;
    if (u->state == LD_OFF)
        begin_connect(u);
}

void ld_online(struct ld_user *u)
{
    u->state = LD_READY;
    u->backoff_ms = 0;
    u->run->connecting--;
    u->run->result->online++;
    pgn_timer_stop(&u->timer);
}

/* The socket is there: asks for the upgrade. */
static void connected(struct ld_user *u)
{
    int error = 0;
    socklen_t len = sizeof error;
    if (getsockopt(u->io.fd, SOL_SOCKET, SO_ERROR, &error, &len) || error) {
        ld_drop(u, 0);
        return;
    }
    u->state = LD_UPGRADING;
    ld_tls_begin(u);
    ld_ws_upgrade(&u->out, u->run->o->host, u->run->o->path, u->run->codec.proto ? "pigeon.v1.proto" : "pigeon.v1.json");
    mark_dirty(u);
    pgn_io_want(u->run->loop, &u->io, PGN_READ);
}

/* One frame of the server's; false when the connection is gone. */
static bool one_frame(struct ld_user *u, const struct ld_ws_in *f)
{
    int fd = u->io.fd;
    switch (f->op) {
    case LD_WS_PING:
        write_op(u, LD_WS_PONG, f->payload, f->len);
        return true;
    case LD_WS_PONG:
        return true;
    case LD_WS_CLOSE:
        ld_drop(u, 0);
        return false;
    case LD_WS_TEXT:
    case LD_WS_BINARY:
    case LD_WS_MORE:
        if (f->final && !u->parts.len) {
            ld_frame_in(u, f->payload, f->len);
        } else {
            pgn_buf_append(&u->parts, f->payload, f->len);
            if (f->final) {
                struct pgn_buf whole = u->parts;
                u->parts = (struct pgn_buf){0};
                ld_frame_in(u, whole.data, whole.len);
                pgn_buf_release(&whole);
            }
        }
        return u->state >= LD_GREETING && u->io.fd == fd;
    default:
        ld_drop(u, 0);
        return false;
    }
}

/* Handles what data holds; gives what is used of it, or -1 when the connection is gone. */
static int64_t take(struct ld_user *u, const uint8_t *data, size_t len)
{
    size_t used = 0;
    if (u->state == LD_UPGRADING) {
        int status, head = ld_ws_upgraded(data, len, &status);
        if (head < 0) {
            ld_drop(u, status == 429 || status == 503 ? 1000 : 0);
            return -1;
        }
        if (!head)
            return 0;
        used = (size_t)head;
        u->state = LD_GREETING;
        ld_greet(u);
    }
    for (;;) {
        struct ld_ws_in f;
        int64_t n = ld_ws_next(data + used, len - used, &f);
        if (n < 0) {
            ld_drop(u, 0);
            return -1;
        }
        if (!n)
            return (int64_t)used;
        used += (size_t)n;
        if (!one_frame(u, &f))
            return -1;
    }
}

static void readable(struct ld_user *u)
{
    struct ld_run *r = u->run;
    if (!r->read_buffer)
        r->read_buffer = pgn_malloc(READ_BYTES);
    ssize_t n = ld_recv(u, r->read_buffer, READ_BYTES);
    if (n < 0 && errno == EAGAIN) {
        if (u->out.len)
            mark_dirty(u);
        return;
    }
    if (n <= 0) {
        ld_drop(u, 0);
        return;
    }
    r->result->n.bytes_in += (uint64_t)n;
    u->heard_ms = pgn_loop_now_ms(r->loop);
    if (u->in.len) {
        pgn_buf_append(&u->in, r->read_buffer, (size_t)n);
        struct pgn_buf whole = u->in; /* callbacks may drop the connection and its buffers */
        u->in = (struct pgn_buf){0};
        int64_t used = take(u, whole.data, whole.len);
        if (used >= 0 && (size_t)used < whole.len) {
            pgn_buf_drop_front(&whole, (size_t)used);
            u->in = whole;
        } else {
            pgn_buf_release(&whole);
        }
        return;
    }
    int64_t used = take(u, r->read_buffer, (size_t)n);
    if (used >= 0 && used < n)
        pgn_buf_append(&u->in, r->read_buffer + used, (size_t)(n - used));
}

static void on_ready(struct pgn_io *io, uint32_t events)
{
    struct ld_user *u = PGN_CONTAINER(io, struct ld_user, io);
    if (u->state == LD_CONNECTING) {
        connected(u);
        return;
    }
    if (events & PGN_WRITE)
        flush(u);
    if (events & PGN_READ && u->state > LD_CONNECTING)
        readable(u);
}
