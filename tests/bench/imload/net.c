/* Sockets and buffers of imload. */
#include "tests/bench/imload/imload.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { TURN_EVENTS = 1024, CHUNK = 65536, USERS_AN_ADDRESS = 20000, COMPLAINTS = 5 };

static int epoll_fd;

uint64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* ---- buffers ---- */

void buf_add(struct buf *b, const void *p, size_t n)
{
    if (b->len + n > b->cap) {
        b->cap = (b->len + n) * 2;
        b->data = realloc(b->data, b->cap + 1);
        if (!b->data)
            abort();
    }
    memcpy(b->data + b->len, p, n);
    b->len += n;
}

void buf_drop_front(struct buf *b, size_t n)
{
    if (!n)
        return;
    memmove(b->data, b->data + n, b->len - n);
    b->len -= n;
}

void buf_release(struct buf *b)
{
    free(b->data);
    *b = (struct buf){0};
}

void base64(char *out, const uint8_t *p, size_t n)
{
    static const char t[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < n; i += 3) {
        unsigned v = (unsigned)p[i] << 16 | (i + 1 < n ? (unsigned)p[i + 1] << 8 : 0u) | (i + 2 < n ? p[i + 2] : 0u);
        *out++ = t[v >> 18];
        *out++ = t[v >> 12 & 63];
        *out++ = i + 1 < n ? t[v >> 6 & 63] : '=';
        *out++ = i + 2 < n ? t[v & 63] : '=';
    }
    *out = 0;
}

/* ---- connections ---- */

void net_init(void)
{
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    epoll_fd = epoll_create1(0);
    if (epoll_fd < 0) {
        perror("imload: epoll");
        exit(1);
    }
}

static void drop(struct user *u, enum state state)
{
    if (u->state == READY)
        load.ready--;
    u->state = state;
    close(u->fd);
    buf_release(&u->in);
    buf_release(&u->out);
    u->sent = 0;
}

void lose(struct user *u, const char *why)
{
    if (u->state == DEAD || u->state == OFF)
        return;
    if (load.failed++ < COMPLAINTS)
        fprintf(stderr, "user %d: %s: %s\n", u->id, why, strerror(errno));
    drop(u, DEAD);
}

int refused(struct user *u, const char *answer, size_t n)
{
    fprintf(stderr, "%s: %.*s\n", load.protocol->name, (int)n, answer);
    errno = EACCES;
    lose(u, "refused");
    return -1;
}

void hang_up(struct user *u)
{
    if (u->state == DEAD || u->state == OFF)
        return;
    if (load.protocol->leave) {
        load.protocol->leave(u);
        flush(u);
    }
    shutdown(u->fd, SHUT_WR); /* what was written still arrives: a reset by close() would overtake it */
    u->away = true;
}

static void want_out(struct user *u, bool on)
{
    if (u->wants_out == on)
        return;
    struct epoll_event e = {.events = EPOLLIN | (on ? EPOLLOUT : 0), .data.ptr = u};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, u->fd, &e);
    u->wants_out = on;
}

void flush(struct user *u)
{
    if (u->state == DEAD || u->state == OFF)
        return;
    while (u->sent < u->out.len) {
        ssize_t n = send(u->fd, u->out.data + u->sent, u->out.len - u->sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            want_out(u, true);
            return;
        }
        if (n < 0) {
            lose(u, "send");
            return;
        }
        u->sent += (size_t)n;
    }
    u->sent = 0;
    buf_release(&u->out);
    want_out(u, false);
}

int consumed(struct user *u, size_t n)
{
    if (u->out.len)
        flush(u);
    if (u->state == DEAD)
        return -1;
    buf_drop_front(&u->in, n);
    return 0;
}

void dial(int id)
{
    struct user *u = &load.user[id];
    int on = 1;
    u->id = id;
    u->step = 0;
    u->away = false;
    u->state = CONNECTING;
    u->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (u->fd < 0) {
        perror("imload: socket");
        exit(1);
    }
    struct linger reset = {1, 0};
    setsockopt(u->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    setsockopt(u->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(u->fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    /* One source address gives some 28,000 ports: take the next 127.0.0.x every 20,000 users. */
    uint32_t address = 0x7f000002u + (unsigned)(id + set.first) / USERS_AN_ADDRESS;
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(address)};
    if (!strncmp(set.host, "127.", 4) && bind(u->fd, (struct sockaddr *)&from, sizeof from) < 0) {
        lose(u, "bind");
        return;
    }
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)set.port)};
    inet_pton(AF_INET, set.host, &to.sin_addr);
    if (connect(u->fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS) {
        lose(u, "connect");
        return;
    }
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT, .data.ptr = u};
    u->wants_out = true;
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, u->fd, &e);
}

/* ---- events ---- */

static void on_readable(struct user *u)
{
    static char chunk[CHUNK];
    for (;;) {
        ssize_t n = recv(u->fd, chunk, sizeof chunk, 0);
        if (n < 0 && errno == EAGAIN)
            break;
        if (n <= 0 && u->away) {
            drop(u, OFF);
            return;
        }
        if (n <= 0) {
            if (!n)
                errno = 0;
            lose(u, n ? "recv" : "closed by the server");
            return;
        }
        buf_add(&u->in, chunk, (size_t)n);
        if (load.protocol->read(u) < 0 || u->state == DEAD)
            return;
        if ((size_t)n < sizeof chunk)
            break;
    }
    if (!u->in.len)
        buf_release(&u->in);
}

static void on_event(struct user *u, uint32_t events)
{
    if (u->state == DEAD || u->state == OFF)
        return;
    if (u->state == CONNECTING) {
        int error = 0;
        socklen_t n = sizeof error;
        getsockopt(u->fd, SOL_SOCKET, SO_ERROR, &error, &n);
        if (error) {
            errno = error;
            lose(u, "connect");
            return;
        }
        u->state = LOGGING_IN;
        load.protocol->start(u);
        return;
    }
    if (events & EPOLLOUT)
        flush(u);
    if (u->state != DEAD && events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        on_readable(u);
}

void net_turn(int timeout_ms)
{
    struct epoll_event events[TURN_EVENTS];
    int n = epoll_wait(epoll_fd, events, TURN_EVENTS, timeout_ms);
    for (int i = 0; i < n; i++)
        on_event(events[i].data.ptr, events[i].events);
}
