/*
 * imload: what its files share. One process, one thread, one epoll set; everything lives as long as the process.
 *
 * imload.c has the modes and the loop, net.c sockets and buffers, ws.c WebSocket, count.c what is counted; mqtt.c, xmpp.c,
 * centrifugo.c and tinode.c each a protocol: just enough of it to log in and to talk.
 */
#ifndef IMLOAD_H
#define IMLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mode { IDLE, PAIRS, FANOUT, RESYNC };
enum state { OFF, CONNECTING, LOGGING_IN, READY, DEAD };

struct buf {
    char *data; /* room for one byte more than cap */
    size_t len, cap;
};

struct user {
    int fd, id;
    enum state state;
    int step; /* of the protocol's login */
    struct buf in, out;
    size_t sent;            /* bytes of out already written */
    bool wants_out;         /* EPOLLOUT armed */
    bool away;              /* resync: left on purpose, comes back */
    int in_flight;          /* messages not yet acknowledged */
    unsigned next_packet;   /* MQTT packet identifier, XMPP stanza id, Centrifugo's and Tinode's command id */
    uint32_t number;        /* of the last message written */
    uint32_t seen;          /* highest number read; a receiver has one sender in every mode */
    uint32_t read;          /* messages read */
    uint32_t to_send, peer; /* resync: messages this sender has still to write; the receiver that is next */
};

struct protocol {
    const char *name;
    void (*start)(struct user *u);                       /* the connection is open: logs in */
    int (*read)(struct user *u);                         /* consumes u->in; -1 when the user is gone */
    void (*send)(struct user *u, int to, uint64_t when); /* queues one message; the caller flushes */
    void (*ping)(struct user *u);                        /* the same for a heartbeat */
    void (*leave)(struct user *u);                       /* the same for a polite end; NULL: just closes */
};
extern const struct protocol im_mqtt, im_xmpp, im_centrifugo, im_tinode;

/* The command line and the environment. */
struct settings {
    const char *host, *domain, *inbox, *outbox, *login, *post, *filter, *key;
    char **password; /* one a user, or NULL */
    int port, body, qos, first, dialing, users, window, missed, heartbeat;
    double rate; /* messages a second in all; 0: closed loop */
    int secs;
    enum mode mode;
    bool filled; /* resync: the server has the messages already */
    bool resume; /* MQTT: sessions persist */
};
extern struct settings set;

struct load {
    const struct protocol *protocol;
    struct user *user;
    int ready, failed;
    bool running; /* messages count */
    bool sending; /* new ones are written */
    uint64_t sent, acked, delivered, in_window, twice, disordered;
    uint64_t last_read_us;
};
extern struct load load;

/* net.c */
void buf_add(struct buf *b, const void *p, size_t n);
void buf_drop_front(struct buf *b, size_t n);
void buf_release(struct buf *b);
void net_init(void);
void dial(int id); /* users[id] begins to connect */
void flush(struct user *u);
int consumed(struct user *u, size_t n);                    /* ends a read that has used n bytes of u->in; -1 when the user is gone */
int refused(struct user *u, const char *answer, size_t n); /* shows the server's answer and loses the user; -1 */
void lose(struct user *u, const char *why);
void hang_up(struct user *u);  /* on purpose */
void net_turn(int timeout_ms); /* waits, reads and writes */
uint64_t now_us(void);         /* monotonic */
bool only_writes(const struct user *u);
bool is_reader(const struct user *u);
void base64(char *out, const uint8_t *p, size_t n);
const char *password_of(const struct user *u);

/* ws.c; a protocol above it counts its steps from WS_UPGRADING + 1 */
enum { WS_UPGRADING, WS_TEXT = 0x81 };
typedef int ws_text_fn(struct user *u, const char *text, size_t n); /* -1 when the user is gone */
void ws_start(struct user *u, const char *path);
void ws_frame(struct user *u, uint8_t opcode, const char *text, size_t n); /* queues it; n below 65536 */
int ws_read(struct user *u, void (*opened)(struct user *u), ws_text_fn *on_text);

/* count.c */
int stamp(char *out, const struct user *u, uint64_t when);                      /* writes a message's beginning, at most 64 bytes */
void stamped_body(char *out, size_t size, const struct user *u, uint64_t when); /* the same, filled to set.body; ends with a zero */
void message_read(struct user *u, const char *body, size_t n);
void message_acked(struct user *sender);
void user_ready(struct user *u);
void report(double logins_per_s, double secs);
void report_ready(double logins_per_s);
void report_drain(double secs);

/* imload.c */
void pump(struct user *u); /* writes what its window allows */

#endif
