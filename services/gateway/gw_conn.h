/*
 * A socket of a client, from accept to close. States, legal transitions and timeouts stand in one table (gw_conn.c), and one
 * function moves them. An idle session is one gw_conn, one gw_user and nothing else: partial frames, queues and watch lists
 * are allocated while they are needed.
 *
 * What waits to be written is bounded: over limits.queue_bytes live events are dropped for this client, who is then told to
 * sync; answers to its own requests still go in, up to twice the bound; then, or after 30 s without a byte taken, it is closed.
 */
#ifndef GW_CONN_H
#define GW_CONN_H

#include "common/base/id.h"
#include "services/gateway/gateway.h"
#include "services/gateway/gw_frame.h"
#include "services/gateway/gw_topic.h"

enum gw_conn_state {
    GW_UPGRADE, /* waits for the upgrade request */
    GW_HELLO,   /* a WebSocket; waits for hello */
    GW_CHECK,   /* hello is being checked; what comes meanwhile is kept */
    GW_ECHO,    /* test builds only: sends back what comes, knows no session */
    GW_LIVE,    /* a session */
    GW_CLOSING, /* a close frame is on its way; waits for the peer's */
    GW_FLUSH,   /* nothing is read any more; closed when all is written */
    GW_CLOSED,  /* no descriptor; freed at the turn's end */
    GW_STATES
};

struct gw_conn {
    struct pgn_io io;
    struct pgn_timer timer; /* due at the state's timeout, or when a heartbeat is to be looked at */
    struct gateway *gw;
    struct gw_user *user;         /* set while live */
    struct gw_conn *next_of_user; /* the user's other devices */
    struct gw_conn *next_dirty, *next_grave;
    struct gw_address *address; /* counted against its limits until hello */
    struct gw_ws ws;
    struct pgn_buf *held; /* bytes that cannot be handled yet: of an upgrade request, or behind a hello */
    struct gw_outq *out;
    struct gw_tls *tls;     /* NULL: plain */
    struct gw_mqtt *mqtt;   /* NULL: speaks Pigeon's own protocol */
    struct gw_refs watches; /* presence topics */
    uint64_t cursor;        /* what a ping is answered: the client's, as last known; 0: none */
    uint32_t lost, synced;  /* of gateway.loss_clock: its last own loss, and the last sync that it made whole (gw_loss.h) */
    uint32_t slot, generation;
    uint32_t heard_ms; /* low bits of the loop's clock */
    uint32_t since_ms; /* when it went live, likewise; of the clock now, since a turn may be long */
    uint32_t expires_s;
    uint16_t ops_open, items_open;
    uint16_t own_told; /* messages of its own whose numbers it was told, and whose events are still to come */
    uint16_t refused;  /* by a rate, one after the other */
    uint8_t state, encoding, malformed;
    bool dirty, wants_write, pinged;
    bool acted;                   /* said something else than heartbeats since the last one */
    bool doomed;                  /* too much waits for it: closed at the turn's end */
    bool shut;                    /* our side of the socket is shut down */
    uint8_t hash[PGN_HASH_BYTES]; /* of its token */
    char device[PGN_DEVICE_MAX + 1];
};

/* Takes over a socket that was just accepted. */
void gw_conn_new(const struct gw_listener *from, int fd, struct gw_address *address);
/* The only way from one state to another. */
void gw_conn_move(struct gw_conn *c, enum gw_conn_state state);
/* The connection that had this slot and generation, or NULL when it is gone. */
struct gw_conn *gw_conn_find(const struct gateway *gw, uint32_t slot, uint32_t generation);
/* Walks all open connections: start with *it = 0; NULL at the end. */
struct gw_conn *gw_conn_next(const struct gateway *gw, uint32_t *it);

/* Queues a frame. live: an event, which may be dropped for a slow client; else an answer. Returns whether it went in. */
bool gw_conn_push(struct gw_conn *c, struct gw_frame *f, bool live);
/* Encodes a frame for this client alone and queues it as an answer. */
void gw_conn_answer(struct gw_conn *c, const Pigeon__ServerFrame *frame);
void gw_conn_error(struct gw_conn *c, uint64_t id, int error, const char *text, uint64_t retry_after_ms); /* text NULL: the table's */
void gw_conn_bye(struct gw_conn *c, const char *code, uint64_t retry_after_ms, uint16_t close_code);
/* A newer connection of the device is there: bye. Elsewhere: at another gateway, where an MQTT session goes on. */
void gw_conn_replaced(struct gw_conn *c);
void gw_conn_replaced_elsewhere(struct gw_conn *c);
void gw_conn_close(struct gw_conn *c, uint16_t close_code); /* close handshake */
void gw_conn_drop(struct gw_conn *c);                       /* at once */
void gw_conn_refuse_http(struct gw_conn *c, const struct gw_http_refusal *refusal, unsigned retry_after_s);

/*
 * A heartbeat came; anything else that a person or a program does came. Who says nothing but heartbeats is read up to PGN_LATE_MS
 * later (ADR 8): one wakeup serves many of them.
 */
void gw_conn_beat(struct gw_conn *c);
void gw_conn_act(struct gw_conn *c);

/* Reads what the socket, or TLS, holds. */
void gw_conn_read(struct gw_conn *c);
/* Goes on with what was held behind a hello. */
void gw_conn_resume(struct gw_conn *c);
/* Turn's end: one write per connection that has something to say; then frees what was closed. */
void gw_conn_flush_all(struct gateway *gw);
void gw_conn_bury(struct gateway *gw);

#endif
