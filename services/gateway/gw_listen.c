/* Accepting sockets; see gw_listen.h. */
#include "services/gateway/gw_listen.h"

#include "common/base/error.h"
#include "common/svc/log.h"
#include "services/gateway/gw_conn.h"
#include "services/gateway/gw_limits.h"
#include "services/gateway/gw_tls.h"
#include "services/gateway/gw_write.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 4096, ACCEPTS_A_TURN = 256, AGAIN_MS = 100 };

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static bool parse_address(const char *text, uint16_t port, union address *ret, socklen_t *ret_len)
{
    *ret = (union address){0};
    if (inet_pton(AF_INET, text, &ret->v4.sin_addr) == 1) {
        ret->v4.sin_family = AF_INET;
        ret->v4.sin_port = htons(port);
        *ret_len = sizeof ret->v4;
        return true;
    }
    if (inet_pton(AF_INET6, text, &ret->v6.sin6_addr) == 1) {
        ret->v6.sin6_family = AF_INET6;
        ret->v6.sin6_port = htons(port);
        *ret_len = sizeof ret->v6;
        return true;
    }
    return false;
}

/* Says no before anything was read; where that is not HTTP's to say, without a word. What the peer sent is thrown away, so it may see a
 * reset instead. */
static void turn_away(const struct gw_listener *l, int fd, const struct gw_http_refusal *refusal, unsigned retry_after_s)
{
    struct pgn_buf out = {0};
    gw_http_refuse(refusal, retry_after_s, &out);
    if (!l->mqtt && !l->tls)
        (void)!send(fd, out.data, out.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    pgn_buf_release(&out);
    gw_count(GW_M_UPGRADES_REFUSED, 1);
    close(fd);
}

static void admit(struct gw_listener *l, int fd)
{
    struct gateway *gw = l->gw;
    static const struct gw_http_refusal full = {503, "this gateway has as many connections as it may", NULL};
    static const struct gw_http_refusal busy = {429, "too many connections from this address", NULL};
    static const int one = 1;
    char peer[GW_ADDRESS_MAX];
    if (gw->connections >= (uint64_t)gw->config->limits_connections) {
        gw_count(GW_M_OVERLOADED, 1);
        turn_away(l, fd, &full, 5);
        return;
    }
    if (l->tls && gw_tls_full(gw)) {
        gw_count(GW_M_TLS_REFUSED, 1);
        close(fd);
        return;
    }
    gw_write_peer(fd, peer);
    /* The client behind a proxy is counted when its request names it; MQTT has no such name. */
    bool proxy = !l->mqtt && gw_http_address_listed(peer, strlen(peer), gw->config->gateway_trusted_proxies);
    struct gw_address *a = proxy ? NULL : gw_address_get(gw, peer);
    uint32_t wait_ms = a ? gw_address_enter(a, pgn_loop_now_ms(gw->loop)) : 0;
    if (wait_ms) {
        gw_count(GW_M_RATE_LIMITED, 1);
        turn_away(l, fd, &busy, wait_ms / 1000 + 1);
        return;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    gw_conn_new(l, fd, a);
}

static void on_accept(struct pgn_io *io, uint32_t events)
{
    struct gw_listener *l = PGN_CONTAINER(io, struct gw_listener, io);
    struct gateway *gw = l->gw;
    (void)events;
    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        int fd = accept4(io->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            admit(l, fd);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            pgn_log_limited(PGN_WARN, 5000, "no more sockets: %s (raise the limit on open files, or lower limits.connections)",
                            strerror(errno));
            pgn_io_want(gw->loop, io, 0);
            pgn_timer_start(gw->loop, &gw->accept_again, AGAIN_MS);
        }
        if (errno != EINTR && errno != ECONNABORTED)
            return;
    }
}

static void on_again(struct pgn_timer *t)
{
    struct gateway *gw = PGN_CONTAINER(t, struct gateway, accept_again);
    for (size_t i = 0; i < GW_LISTENERS; i++)
        if (gw->listeners[i].io.fd >= 0)
            pgn_io_want(gw->loop, &gw->listeners[i].io, PGN_READ);
}

static int open_socket(const union address *address, socklen_t len)
{
    static const int one = 1;
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
    if (bind(fd, &address->any, len) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int why = errno;
    close(fd);
    errno = why;
    return -1;
}

static unsigned port_of(int fd)
{
    union address a = {0};
    socklen_t len = sizeof a;
    if (getsockname(fd, &a.any, &len) != 0)
        return 0;
    return ntohs(a.any.sa_family == AF_INET ? a.v4.sin_port : a.v6.sin6_port);
}

/* Says why when it cannot be. */
static int start(struct gw_listener *l, const char *setting, const char *host, int64_t port)
{
    union address address;
    socklen_t len;
    if (!parse_address(host, (uint16_t)port, &address, &len)) {
        pgn_log(PGN_ERR, "%s is not an IPv4 or IPv6 address: %s", setting, host);
        return PGN_E_INVALID;
    }
    int fd = open_socket(&address, len);
    if (fd < 0) {
        pgn_log(PGN_ERR, "cannot listen on %s port %d: %s", host, (int)port, strerror(errno));
        return errno == EADDRINUSE ? PGN_E_BUSY : PGN_E_IO;
    }
    l->io = (struct pgn_io){fd, PGN_READ, on_accept};
    if (pgn_io_add(l->gw->loop, &l->io) != 0) {
        close(fd);
        l->io.fd = -1;
        return PGN_E_IO;
    }
    pgn_log(PGN_INFO, "listening on %s port %u%s%s", host, port_of(fd), l->mqtt ? ", MQTT" : "", l->tls ? ", TLS" : "");
    return 0;
}

void gw_listen_init(struct gateway *gw)
{
    for (size_t i = 0; i < GW_LISTENERS; i++)
        gw->listeners[i] = (struct gw_listener){
            .io.fd = -1, .gw = gw, .mqtt = i == GW_ON_MQTT || i == GW_ON_MQTT_TLS, .tls = i == GW_ON_TLS || i == GW_ON_MQTT_TLS};
    gw->accept_again.on_due = on_again;
}

int gw_listen_start(struct gateway *gw)
{
    const struct pgn_config *c = gw->config;
    const int64_t direct[GW_LISTENERS] = {
        [GW_ON_TLS] = c->gateway_tls_port, [GW_ON_MQTT] = c->gateway_mqtt_port, [GW_ON_MQTT_TLS] = c->gateway_mqtt_tls_port};
    int e = start(&gw->listeners[GW_ON_HTTP], "gateway.address", c->gateway_address, c->gateway_port);
    for (size_t i = 0; !e && i < GW_LISTENERS; i++)
        if (direct[i])
            e = start(&gw->listeners[i], "gateway.direct_address", c->gateway_direct_address, direct[i]);
    return e;
}

void gw_listen_stop(struct gateway *gw)
{
    pgn_timer_stop(&gw->accept_again);
    for (size_t i = 0; i < GW_LISTENERS; i++) {
        struct gw_listener *l = &gw->listeners[i];
        if (l->io.fd < 0)
            continue;
        pgn_io_remove(gw->loop, &l->io);
        close(l->io.fd);
        l->io.fd = -1;
    }
}
