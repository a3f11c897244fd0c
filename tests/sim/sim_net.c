/*
 * Sockets between clients and gateways. The gateway's own code reads and writes them: recv, sendmsg, shutdown, close and
 * getpeername are wrapped by the linker, and a number from FIRST_FD on is one of ours.
 */
#include "tests/sim/sim.h"

#include "common/base/alloc.h"
#include "common/io/mailbox.h"
#include "services/gateway/gw_conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FIRST_FD = 1 << 20, SOCKS_MAX = 4096, SEND_BYTES = 16384 };

struct sim_sock {
    struct sim_proc *gateway;
    uint32_t life;
    struct sim_client *owner; /* NULL: gone */
    struct pgn_loop *loop;
    int fd;
    struct pgn_buf in;   /* has arrived at the gateway */
    size_t in_at;        /* of it, read */
    struct pgn_buf kept; /* for a client that does not read */
    size_t under_way;    /* bytes to the client that it has not read yet */
    uint64_t to_gateway_us, to_client_us;
    bool reads, eof; /* eof: the client has closed */
    bool closed;     /* by the gateway */
};
struct piece {
    struct sim_sock *sock;
    size_t len;
    uint8_t data[];
};

static struct sim_sock *socks[SOCKS_MAX];
static int socks_count;

static struct sim_sock *sock_of(int fd)
{
    return fd >= FIRST_FD && fd - FIRST_FD < socks_count ? socks[fd - FIRST_FD] : NULL;
}

static bool gateway_there(const struct sim_sock *s)
{
    return sim_proc_same(s->gateway, s->life) && !s->closed;
}

struct sim_proc *sim_sock_gateway(const struct sim_sock *s)
{
    return s->gateway;
}

/* ---- to the gateway ---- */

static struct piece *piece_new(struct sim_sock *s, const void *data, size_t len)
{
    struct piece *p = pgn_malloc(sizeof *p + len + 1);
    *p = (struct piece){s, len};
    if (len)
        memcpy(p->data, data, len);
    return p;
}

static void wake(struct sim_sock *s)
{
    if (s->loop)
        sim_loop_wake(s->loop);
}

static void at_gateway(void *ctx, uint64_t eof)
{
    struct piece *p = ctx;
    struct sim_sock *s = p->sock;
    if (gateway_there(s)) {
        pgn_buf_append(&s->in, p->data, p->len);
        s->eof |= eof != 0;
        wake(s);
    }
    free(p);
}

static void send_piece(struct sim_sock *s, const void *data, size_t len, bool eof)
{
    uint64_t at = sim.now_us + sim_delay_us();
    s->to_gateway_us = at > s->to_gateway_us ? at : s->to_gateway_us;
    sim_at(s->to_gateway_us, at_gateway, piece_new(s, data, len), eof);
}

void sim_sock_send(struct sim_sock *s, const void *data, size_t len)
{
    send_piece(s, data, len, false);
}

void sim_sock_close(struct sim_sock *s, bool silently)
{
    s->owner = NULL;
    if (!silently)
        send_piece(s, "", 0, true);
}

struct accepting {
    struct pgn_mail mail;
    struct sim_sock *sock;
};

static void on_accept(struct pgn_mail *mail)
{
    struct accepting *a = PGN_CONTAINER(mail, struct accepting, mail);
    const struct gateway *gw = a->sock->gateway->svc.state;
    gw_conn_new(&gw->listeners[GW_ON_HTTP], a->sock->fd, NULL);
    free(a);
}

static void closed_at_client(void *ctx, uint64_t arg)
{
    struct sim_sock *s = ctx;
    (void)arg;
    if (s->owner)
        sim_client_closed(s->owner, s);
}

static void at_listener(void *ctx, uint64_t arg)
{
    struct sim_sock *s = ctx;
    (void)arg;
    if (!sim_proc_same(s->gateway, s->life) || !s->gateway->ready) {
        s->closed = true;
        sim_at(sim.now_us + sim_delay_us(), closed_at_client, s, 0);
        return;
    }
    struct accepting *a = pgn_calloc(1, sizeof *a);
    a->mail.on_loop = on_accept;
    a->sock = s;
    pgn_mailbox_post_wait(pgn_mailbox_new(s->gateway->svc.loop, 1), &a->mail);
}

struct sim_sock *sim_sock_open(struct sim_proc *gateway, struct sim_client *owner)
{
    if (socks_count == SOCKS_MAX)
        return NULL;
    struct sim_sock *s = pgn_calloc(1, sizeof *s);
    s->gateway = gateway;
    s->life = gateway->life;
    s->owner = owner;
    s->fd = FIRST_FD + socks_count;
    s->reads = true;
    socks[socks_count++] = s;
    s->to_gateway_us = sim.now_us + sim_delay_us();
    sim_at(s->to_gateway_us, at_listener, s, 0);
    return s;
}

/* ---- to the client ---- */

static void hand_over(struct sim_sock *s, const uint8_t *data, size_t len)
{
    s->under_way -= len;
    if (s->owner)
        sim_client_data(s->owner, s, data, len);
    wake(s);
}

static void at_client(void *ctx, uint64_t arg)
{
    struct piece *p = ctx;
    (void)arg;
    if (!p->sock->reads)
        pgn_buf_append(&p->sock->kept, p->data, p->len);
    else
        hand_over(p->sock, p->data, p->len);
    free(p);
}

void sim_sock_read(struct sim_sock *s, bool reads)
{
    struct pgn_buf kept = s->kept;
    s->reads = reads;
    if (!reads || !kept.len)
        return;
    s->kept = (struct pgn_buf){0};
    hand_over(s, kept.data, kept.len);
    pgn_buf_release(&kept);
}

static void end_to_client(struct sim_sock *s)
{
    uint64_t at = sim.now_us + sim_delay_us();
    s->to_client_us = at > s->to_client_us ? at : s->to_client_us;
    sim_at(s->to_client_us, closed_at_client, s, 0);
}

void sim_net_gone(struct sim_proc *p)
{
    for (int i = 0; i < socks_count; i++) {
        struct sim_sock *s = socks[i];
        if (s->gateway != p || s->life != p->life || s->closed)
            continue;
        s->closed = true;
        s->loop = NULL;
        end_to_client(s);
    }
}

void sim_net_watch(int fd, struct pgn_loop *loop)
{
    struct sim_sock *s = sock_of(fd);
    if (s)
        s->loop = loop;
}

uint32_t sim_net_ready(int fd)
{
    const struct sim_sock *s = sock_of(fd);
    if (!s || s->closed)
        return 0;
    return (s->in_at < s->in.len || s->eof ? PGN_READ : 0) | (s->under_way < SEND_BYTES ? PGN_WRITE : 0);
}

/* ---- what the gateway calls ---- */

ssize_t __real_recv(int fd, void *buf, size_t len, int flags);
ssize_t __real_sendmsg(int fd, const struct msghdr *msg, int flags);
int __real_close(int fd);
int __real_shutdown(int fd, int how);
int __real_getpeername(int fd, struct sockaddr *addr, socklen_t *len);
ssize_t __wrap_recv(int fd, void *buf, size_t len, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *msg, int flags);
int __wrap_close(int fd);
int __wrap_shutdown(int fd, int how);
int __wrap_getpeername(int fd, struct sockaddr *addr, socklen_t *len);

ssize_t __wrap_recv(int fd, void *buf, size_t len, int flags)
{
    struct sim_sock *s = sock_of(fd);
    if (!s)
        return __real_recv(fd, buf, len, flags);
    size_t n = s->in.len - s->in_at;
    if (n == 0) {
        errno = EAGAIN;
        return s->eof ? 0 : -1;
    }
    if (n > 1 && sim_fault(sim.knobs.partial_writes))
        n = 1 + sim_rand(n - 1);
    n = n < len ? n : len;
    memcpy(buf, s->in.data + s->in_at, n);
    s->in_at += n;
    if (s->in_at == s->in.len) {
        pgn_buf_clear(&s->in);
        s->in_at = 0;
    }
    return (ssize_t)n;
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *msg, int flags)
{
    struct sim_sock *s = sock_of(fd);
    if (!s)
        return __real_sendmsg(fd, msg, flags);
    if (s->eof) {
        errno = EPIPE;
        return -1;
    }
    struct pgn_buf all = {0};
    for (size_t i = 0; i < msg->msg_iovlen; i++)
        pgn_buf_append(&all, msg->msg_iov[i].iov_base, msg->msg_iov[i].iov_len);
    size_t room = s->under_way < SEND_BYTES ? SEND_BYTES - s->under_way : 0, n = all.len < room ? all.len : room;
    if (n > 1 && sim_fault(sim.knobs.partial_writes))
        n = 1 + sim_rand(n - 1);
    if (n) {
        uint64_t at = sim.now_us + sim_delay_us();
        s->under_way += n;
        s->to_client_us = at > s->to_client_us ? at : s->to_client_us;
        sim_at(s->to_client_us, at_client, piece_new(s, all.data, n), 0);
    }
    pgn_buf_release(&all);
    errno = EAGAIN;
    return n ? (ssize_t)n : -1;
}

int __wrap_close(int fd)
{
    struct sim_sock *s = sock_of(fd);
    if (!s)
        return __real_close(fd);
    s->closed = true;
    s->loop = NULL;
    end_to_client(s);
    return 0;
}

int __wrap_shutdown(int fd, int how)
{
    struct sim_sock *s = sock_of(fd);
    if (!s)
        return __real_shutdown(fd, how);
    end_to_client(s);
    return 0;
}

int __wrap_getpeername(int fd, struct sockaddr *addr, socklen_t *len)
{
    union {
        struct sockaddr_in v4;
        struct sockaddr any;
    } a = {.v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
    if (!sock_of(fd))
        return __real_getpeername(fd, addr, len);
    memcpy(addr, &a, sizeof a.v4 < *len ? sizeof a.v4 : *len);
    *len = sizeof a.v4;
    return 0;
}
