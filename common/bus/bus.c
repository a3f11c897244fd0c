/*
 * The connection. nats.c calls its hooks from the loop's thread (errors found while reading or writing, publishing) and
 * from its own (reconnecting, pings), always under its connection lock: they touch atomics and post mails, no more.
 */
#include "common/bus/bus_internal.h"
#include "common/bus/nats_options.h"

#include "common/base/alloc.h"
#include "common/base/error.h"
#include "common/base/random.h"
#include "common/svc/log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    IO_BYTES = 65536,
    RECONNECT_BYTES = 8 << 20, /* of publishes that nats.c keeps while it is not connected */
    BACKLOG_BYTES = 64 << 20,  /* of publishes that wait for the socket */
    FLUSH_MS = 2000,
    GONE_MS = 5000,
};

struct attach_mail {
    struct pgn_mail mail;
    struct pgn_bus *bus;
    int fd;
    uint64_t epoch;
};
enum happening { CONNECTED, RECONNECTED, DISCONNECTED, CLOSED };
struct event_mail {
    struct pgn_mail mail;
    struct pgn_bus *bus;
    enum happening what;
};

/* ---- any thread ---- */

void pgn_bus_post(struct pgn_bus *bus, struct pgn_mail *mail)
{
    int error = pgn_mailbox_post(bus->mailbox, mail);
    assert(error == 0); /* its limit is SIZE_MAX */
    (void)error;
}

void pgn_bus_post_lost(struct pgn_bus *bus)
{
    if (!atomic_exchange(&bus->lost_posted, true))
        pgn_bus_post(bus, &bus->lost);
}

void pgn_bus_drop_live(struct pgn_bus *bus)
{
    if (atomic_fetch_sub(&bus->live, 1) == 1)
        sem_post(&bus->gone);
}

static void kick(struct pgn_bus *bus)
{
    if (!atomic_exchange(&bus->kick_posted, true))
        pgn_bus_post(bus, &bus->kick);
}

static bool on_loop_thread(const struct pgn_bus *bus)
{
    return pthread_equal(bus->thread, pthread_self());
}

/* ---- the socket, on the loop ---- */

static void close_stale_io(struct pgn_bus *bus)
{
    if (!bus->io_on || bus->io_epoch > atomic_load(&bus->detached_epoch))
        return;
    pgn_io_remove(bus->loop, &bus->io);
    close(bus->io.fd);
    bus->io_on = bus->backlog = false;
}

static void watch_backlog(struct pgn_bus *bus)
{
    bool backlog = atomic_load(&bus->wants_write);
    if (!bus->io_on || backlog == bus->backlog)
        return;
    bus->backlog = backlog;
    pgn_io_want(bus->loop, &bus->io, backlog ? PGN_READ | PGN_WRITE : PGN_READ);
}

static void on_io(struct pgn_io *io, uint32_t events)
{
    struct pgn_bus *bus = PGN_CONTAINER(io, struct pgn_bus, io);
    if (events & PGN_WRITE)
        natsConnection_ProcessWriteEvent(bus->nats);
    if (events & PGN_READ)
        natsConnection_ProcessReadEvent(bus->nats);
    close_stale_io(bus);
    watch_backlog(bus);
}

/* The turn's publishes leave in one write. */
static void on_turn(struct pgn_hook *hook)
{
    struct pgn_bus *bus = PGN_CONTAINER(hook, struct pgn_bus, hook);
    bus->hook_turn = pgn_loop_turns(bus->loop);
    if (bus->backlog || !atomic_load(&bus->wants_write))
        return;
    natsConnection_ProcessWriteEvent(bus->nats);
    close_stale_io(bus);
    watch_backlog(bus);
}

static void on_kick(struct pgn_mail *mail)
{
    struct pgn_bus *bus = PGN_CONTAINER(mail, struct pgn_bus, kick);
    atomic_store(&bus->kick_posted, false);
    close_stale_io(bus); /* writing is the hook's, at the end of this turn */
}

static void on_attach(struct pgn_mail *mail)
{
    struct attach_mail *m = PGN_CONTAINER(mail, struct attach_mail, mail);
    struct pgn_bus *bus = m->bus;
    close_stale_io(bus);
    if (bus->closing || bus->io_on || m->epoch <= atomic_load(&bus->detached_epoch)) {
        close(m->fd);
    } else {
        bus->io = (struct pgn_io){.fd = m->fd, .events = PGN_READ, .on_ready = on_io};
        bus->io_epoch = m->epoch;
        bus->io_on = pgn_io_add(bus->loop, &bus->io) == 0;
        if (!bus->io_on) {
            pgn_log(PGN_ERR, "bus: the kernel does not watch the connection to NATS");
            close(m->fd);
        }
        watch_backlog(bus);
    }
    free(m);
}

/* ---- nats.c's event-loop hooks ---- */

static natsStatus hook_attach(void **user, void *closure, natsConnection *nats, natsSock socket)
{
    (void)nats;
    struct pgn_bus *bus = closure;
    *user = bus;
    int fd = fcntl(socket, F_DUPFD_CLOEXEC, 3);
    if (fd < 0)
        return NATS_ERR;
    struct attach_mail *m = pgn_malloc(sizeof(*m));
    *m = (struct attach_mail){.mail.on_loop = on_attach, .bus = bus, .fd = fd};
    m->epoch = atomic_fetch_add(&bus->attached_epoch, 1) + 1;
    pgn_bus_post(bus, &m->mail);
    return NATS_OK;
}

static natsStatus hook_read(void *user, bool add)
{
    struct pgn_bus *bus = user;
    if (!add) {
        atomic_store(&bus->detached_epoch, atomic_load(&bus->attached_epoch));
        kick(bus);
    }
    return NATS_OK;
}

static natsStatus hook_write(void *user, bool add)
{
    struct pgn_bus *bus = user;
    atomic_store(&bus->wants_write, add);
    if (!add)
        return NATS_OK;
    if (!on_loop_thread(bus))
        kick(bus);
    else if (bus->hook_turn == pgn_loop_turns(bus->loop))
        pgn_loop_again(bus->loop); /* published behind this turn's write, or before the first turn */
    return NATS_OK;
}

static natsStatus hook_detach(void *user)
{
    (void)user;
    return NATS_OK;
}

/* ---- events ---- */

static void tell(struct pgn_bus *bus, enum pgn_bus_event event)
{
    if (!bus->closing && bus->on_event)
        bus->on_event(bus->ctx, event);
}

static void now_connected(struct pgn_bus *bus)
{
    bus->connected = true;
    int64_t max = natsConnection_GetMaxPayload(bus->nats);
    bus->max_payload = max > 0 ? (uint64_t)max : 0;
    pgn_bus_subs_connected(bus);
    tell(bus, PGN_BUS_CONNECTED);
}

static void on_event_mail(struct pgn_mail *mail)
{
    struct event_mail *m = PGN_CONTAINER(mail, struct event_mail, mail);
    struct pgn_bus *bus = m->bus;
    bool was_connected = bus->connected;
    switch (m->what) {
    case CONNECTED:
    case RECONNECTED:
        now_connected(bus);
        break;
    case CLOSED:
        if (!bus->closing)
            pgn_log(PGN_ERR, "bus: NATS refused us for good (is the password file the server's?)");
        bus->connected = false;
        tell(bus, PGN_BUS_CLOSED);
        break;
    case DISCONNECTED:
        bus->connected = false;
        if (was_connected)
            tell(bus, PGN_BUS_DISCONNECTED);
        break;
    }
    free(m);
}

static void post_event(struct pgn_bus *bus, enum happening what)
{
    struct event_mail *m = pgn_malloc(sizeof(*m));
    *m = (struct event_mail){.mail.on_loop = on_event_mail, .bus = bus, .what = what};
    pgn_bus_post(bus, &m->mail);
}

static void nats_connected(natsConnection *nats, void *closure)
{
    (void)nats;
    post_event(closure, CONNECTED);
}

static void nats_reconnected(natsConnection *nats, void *closure)
{
    (void)nats;
    post_event(closure, RECONNECTED);
}

static void nats_disconnected(natsConnection *nats, void *closure)
{
    (void)nats;
    post_event(closure, DISCONNECTED);
}

static void nats_closed(natsConnection *nats, void *closure)
{
    (void)nats;
    post_event(closure, CLOSED);
    pgn_bus_drop_live(closure);
}

static void nats_error(natsConnection *nats, natsSubscription *sub, natsStatus error, void *closure)
{
    (void)sub;
    if (error == NATS_SLOW_CONSUMER) {
        pgn_bus_post_lost(closure);
        return;
    }
    const char *text = NULL;
    (void)natsConnection_GetLastError(nats, &text);
    pgn_log_limited(PGN_WARN, 1000, "bus: NATS says: %s", text && text[0] ? text : natsStatus_GetText(error));
}

static void on_lost(struct pgn_mail *mail)
{
    struct pgn_bus *bus = PGN_CONTAINER(mail, struct pgn_bus, lost);
    atomic_store(&bus->lost_posted, false);
    pgn_log_limited(PGN_WARN, 1000, "bus: too much waits to be handled, messages were dropped");
    tell(bus, PGN_BUS_LOST);
}

/* ---- life ---- */

static natsStatus set_options(struct pgn_bus *bus, const struct pgn_bus_options *options)
{
    natsOptions *o = bus->options;
    natsStatus s = pgn_nats_options(o, options->url, options->tls_ca, options->name, options->user, options->password);
    PGN_NATS_TRY(s, natsOptions_SetEventLoop(o, bus, hook_attach, hook_read, hook_write, hook_detach));
    /* With event-loop hooks this does not write at once: it calls hook_write at once, instead of from nats.c's flusher 1 ms later. */
    PGN_NATS_TRY(s, natsOptions_SetSendAsap(o, true));
    PGN_NATS_TRY(s, natsOptions_UseGlobalMessageDelivery(o, true));
    PGN_NATS_TRY(s, natsOptions_SetIOBufSize(o, IO_BYTES));
    PGN_NATS_TRY(s, natsOptions_SetReconnectBufSize(o, RECONNECT_BYTES));
    PGN_NATS_TRY(s, natsOptions_SetRetryOnFailedConnect(o, true, nats_connected, bus));
    PGN_NATS_TRY(s, natsOptions_SetReconnectedCB(o, nats_reconnected, bus));
    PGN_NATS_TRY(s, natsOptions_SetDisconnectedCB(o, nats_disconnected, bus));
    PGN_NATS_TRY(s, natsOptions_SetClosedCB(o, nats_closed, bus));
    PGN_NATS_TRY(s, natsOptions_SetErrorHandler(o, nats_error, bus));
    return s;
}

static void open_nats_once(void)
{
    if (nats_Open(-1) == NATS_OK)
        (void)nats_SetMessageDeliveryPoolSize(1); /* one thread: messages keep their order over all subscriptions */
}

static struct pgn_bus *make(struct pgn_loop *loop, const struct pgn_bus_options *options)
{
    struct pgn_bus *bus = pgn_calloc(1, sizeof(*bus));
    bus->loop = loop;
    bus->thread = pthread_self();
    bus->on_event = options->on_event;
    bus->ctx = options->ctx;
    bus->mailbox = pgn_mailbox_new(loop, SIZE_MAX);
    bus->pending_limit = options->pending_bytes;
    bus->kick.on_loop = on_kick;
    bus->lost.on_loop = on_lost;
    pgn_list_init(&bus->left);
    bus->hook_turn = pgn_loop_turns(loop);
    bus->hook.on_turn = on_turn;
    pgn_hook_add(loop, &bus->hook);
    sem_init(&bus->gone, 0, 0);
    uint64_t random[2];
    pgn_random(random, sizeof(random));
    snprintf(bus->inbox, sizeof(bus->inbox), "_INBOX.%.40s.%016" PRIx64 "%08" PRIx32, options->user ? options->user : "pigeon", random[0],
             (uint32_t)random[1]);
    return bus;
}

static void release(struct pgn_bus *bus)
{
    pgn_mailbox_free(&bus->mailbox);
    atomic_store(&bus->detached_epoch, UINT64_MAX);
    close_stale_io(bus);
    pgn_hook_remove(&bus->hook);
    pgn_map_free(&bus->requests);
    natsOptions_Destroy(bus->options);
    sem_destroy(&bus->gone);
    free(bus);
}

int pgn_bus_new(struct pgn_loop *loop, const struct pgn_bus_options *options, struct pgn_bus **ret_bus)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, open_nats_once);
    struct pgn_bus *bus = make(loop, options);
    natsStatus s = natsOptions_Create(&bus->options);
    PGN_NATS_TRY(s, set_options(bus, options));
    atomic_store(&bus->live, 1);
    PGN_NATS_TRY(s, natsConnection_Connect(&bus->nats, bus->options));
    if (s == NATS_OK)
        post_event(bus, CONNECTED);
    if (s != NATS_OK && s != NATS_NOT_YET_CONNECTED) {
        pgn_log(PGN_ERR, "bus: %s: %s", options->url, natsStatus_GetText(s));
        bus->closing = true;
        release(bus);
        return PGN_E_INVALID;
    }
    int error = pgn_bus_requests_start(bus);
    if (error) {
        pgn_bus_free(&bus);
        return error;
    }
    *ret_bus = bus;
    return 0;
}

static uint64_t real_ms(void)
{
    struct timespec t; /* not pgn_mono_ms, which tests may stop */
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void flush(struct pgn_bus *bus)
{
    uint64_t end = real_ms() + FLUSH_MS;
    while (bus->connected && bus->io_on && atomic_load(&bus->wants_write) && real_ms() < end) {
        struct pollfd p = {.fd = bus->io.fd, .events = POLLOUT};
        if (poll(&p, 1, 100) > 0)
            natsConnection_ProcessWriteEvent(bus->nats);
    }
}

/* False when nats.c still holds on to us after GONE_MS. */
static bool wait_until_gone(struct pgn_bus *bus)
{
    struct timespec end;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += GONE_MS / 1000;
    int r;
    while ((r = sem_timedwait(&bus->gone, &end)) < 0 && errno == EINTR)
        ;
    return r == 0;
}

void pgn_bus_free(struct pgn_bus **busp)
{
    struct pgn_bus *bus = *busp;
    if (!bus)
        return;
    *busp = NULL;
    if (bus->requests)
        pgn_bus_requests_end(bus);
    flush(bus);
    bus->closing = true;
    natsConnection_Close(bus->nats); /* ends all subscriptions */
    bool gone = wait_until_gone(bus);
    natsConnection_Destroy(bus->nats);
    if (!gone) {
        pgn_log(PGN_WARN, "bus: nats.c does not let go");
        pgn_hook_remove(&bus->hook);
        return; /* leaked rather than used after free */
    }
    release(bus);
}

bool pgn_bus_connected(const struct pgn_bus *bus)
{
    return bus->connected;
}

const char *pgn_bus_inbox(const struct pgn_bus *bus)
{
    return bus->inbox;
}

uint64_t pgn_bus_max_payload(const struct pgn_bus *bus)
{
    return bus->max_payload;
}

size_t pgn_bus_pending(const struct pgn_bus *bus)
{
    return atomic_load(&bus->pending);
}

void pgn_bus_write_last(struct pgn_bus *bus)
{
    pgn_hook_remove(&bus->hook);
    pgn_hook_add(bus->loop, &bus->hook);
}

/* Ids are checked long before; this holds the line when somebody forgot: a space or newline would forge protocol. */
static bool subject_ok(const char *subject)
{
    if (!*subject)
        return false;
    for (const unsigned char *p = (const unsigned char *)subject; *p; p++)
        if (*p <= ' ' || *p == 0x7f || *p == '*' || *p == '>')
            return false;
    return true;
}

int pgn_bus_publish(struct pgn_bus *bus, const char *subject, const char *reply, const void *data, size_t len)
{
    if (!subject_ok(subject) || (reply && !subject_ok(reply)))
        return PGN_E_INVALID;
    if (len > INT32_MAX)
        return PGN_E_TOO_LARGE;
    if (bus->backlog && natsConnection_Buffered(bus->nats) > BACKLOG_BYTES)
        return PGN_E_UNAVAILABLE;
    natsStatus s = reply ? natsConnection_PublishRequest(bus->nats, subject, reply, data, (int)len)
                         : natsConnection_Publish(bus->nats, subject, data, (int)len);
    if (s == NATS_OK)
        return 0;
    return s == NATS_MAX_PAYLOAD ? PGN_E_TOO_LARGE : PGN_E_UNAVAILABLE;
}
