/*
 * MQTT 3.1.1 and 5 sessions on a connection (gw_conn.h): a packet becomes an action, an answer or an event becomes packets. The codec is
 * gw_mqtt_packet.h and gw_mqtt_encode.h. Loop's thread; struct gw_mqtt lives as long as its connection.
 *
 *   gw_mqtt          packets by state, answers, ends     gw_mqtt_subs       subscriptions: what they match (pure)
 *   gw_mqtt_login    CONNECT up to CONNACK               gw_mqtt_subscribe  SUBSCRIBE, UNSUBSCRIBE
 *   gw_mqtt_publish  PUBLISH from clients, PUBREL        gw_mqtt_session    what storage keeps of a session
 *   gw_mqtt_will     wills                               gw_mqtt_out        deliveries, the window of those not acknowledged
 *   gw_mqtt_forms    messages as packets                 gw_mqtt_catchup    what a session missed, from storage
 *
 * There is no queue of messages here: what does not fit into a client's window is not kept. Such a session is behind, and reads on from
 * storage when its window has room (gw_mqtt_catchup.c).
 */
#ifndef GW_MQTT_H
#define GW_MQTT_H

#include "common/base/buf.h"
#include "common/base/list.h"
#include "services/gateway/gw_conn.h"
#include "services/gateway/gw_mqtt_encode.h"
#include "services/gateway/gw_mqtt_subs.h"

enum {
    GW_MQTT_WINDOW_MAX = 256,   /* deliveries of one session that wait for their PUBACK */
    GW_MQTT_ALIAS_MAX = 16,     /* topic aliases that a client may use */
    GW_MQTT_RECEIVE_MAX = 1000, /* publishes of one client that wait for their answer */
    GW_MQTT_FILTERS_MAX = 64,   /* filters below inbox/ of one session */
    GW_MQTT_WATCHES_MAX = 200,  /* filters of presence: what storage keeps of a session stays below its bound */
    GW_MQTT_UNWATCHED_MS = 5000,
};
#define GW_MQTT_NEVER UINT32_MAX /* a session expiry */

struct gw_mqtt_window;
struct gw_mqtt_more;

/* What every MQTT connection has; a silent one with the one filter inbox/# has nothing else. At most 56 bytes: 64 with malloc's own. */
struct gw_mqtt {
    struct gw_mqtt_stream stream;  /* a packet that is cut */
    struct gw_mqtt_sub *subs;      /* filters but a plain inbox/#; NULL: none */
    struct gw_mqtt_window *window; /* NULL: every delivery is acknowledged */
    struct gw_mqtt_more *more;     /* what few have; NULL: nothing */
    uint64_t seen;                 /* commit number: everything up to it was handed to this session, or is not for it */
    uint32_t expiry_s;             /* of the session, after the connection's end */
    uint16_t keep_alive_s;         /* 0: none */
    uint16_t receive_max;          /* the client's, at most GW_MQTT_WINDOW_MAX */
    uint16_t next_id;
    uint8_t version;     /* GW_MQTT_3, GW_MQTT_5; 0: before CONNECT */
    uint8_t inbox;       /* GW_MQTT_SUBSCRIBED | options of inbox/# without an identifier; 0: not subscribed */
    bool ws : 1;         /* inside WebSocket frames */
    bool clean : 1;      /* CONNECT asked for a clean start */
    bool behind : 1;     /* live events are not queued: what is missing comes from storage */
    bool stored : 1;     /* storage has a row of this session */
    bool taken : 1;      /* and knows that it is this connection's */
    bool moved : 1;      /* the cursor moved since it was written */
    bool no_reasons : 1; /* the client asked for no reason strings */
    bool said_bye : 1;   /* DISCONNECT came, or the session was taken away: no will */
    uint8_t life[3];     /* random, of this session: what an earlier one of the device left under a packet id is not a repetition */
};

/* Of few: allocated with the first of its parts. */
struct gw_mqtt_more {
    struct gw_mqtt_login *login; /* between CONNECT and CONNACK */
    struct gw_mqtt_held_will *will;
    struct gw_mqtt_catchup *catchup;
    struct gw_mqtt_asked *asked; /* SUBSCRIBEs that wait for storage or presence */
    char **aliases;              /* GW_MQTT_ALIAS_MAX topics, or NULL */
    struct pgn_buf rest;         /* bytes behind a CONNECT that is being checked (inside WebSocket frames) */
    uint32_t max_packet;         /* 0: no bound */
    bool unwatched;              /* the watches of a resumed session failed: asked for again after GW_MQTT_UNWATCHED_MS */
};
struct gw_mqtt_more *gw_mqtt_more(struct gw_mqtt *m); /* made when there is none */
void gw_mqtt_more_trim(struct gw_mqtt *m);            /* given back when nothing is in it */

/* What a request's id says of itself: kind in the upper half, a packet id or a number of the kind's own in the lower. */
enum gw_mqtt_kind {
    GW_MQTT_ASK_QOS0,
    GW_MQTT_ASK_QOS1,
    GW_MQTT_ASK_QOS2,
    GW_MQTT_ASK_QOS2_AGAIN, /* the client says that it sent it before (DUP) */
    GW_MQTT_ASK_WILL,
    GW_MQTT_ASK_WATCH,
    GW_MQTT_ASK_SYNC,
    GW_MQTT_ASK_FETCH
};
static inline uint64_t gw_mqtt_ask(enum gw_mqtt_kind kind, uint32_t number)
{
    return (uint64_t)kind << 32 | number;
}

/* ---- gw_mqtt.c: called by the connection ---- */

void gw_mqtt_new(struct gw_conn *c, bool ws);
void gw_mqtt_free(struct gw_conn *c);
/* Bytes of the stream in state GW_HELLO or GW_LIVE; *at stops behind a CONNECT, or when the connection closes. */
void gw_mqtt_feed(struct gw_conn *c, uint8_t **at, uint8_t *end);
/* Answers of batches and requests, errors; see gw_conn.h. */
void gw_mqtt_answer(struct gw_conn *c, const Pigeon__ServerFrame *frame);
void gw_mqtt_error(struct gw_conn *c, uint64_t id, int error, const char *text, uint64_t retry_after_ms);
void gw_mqtt_bye(struct gw_conn *c, const char *code);
/* A heartbeat is due: milliseconds until the next; 0: the connection is gone. */
uint64_t gw_mqtt_beat(struct gw_conn *c, uint64_t silent_ms);
void gw_mqtt_end(struct gw_conn *c); /* the session's connection ends: its user is still set */

/* ---- among the files of MQTT ---- */

/* Says why (5.0) and closes. */
void gw_mqtt_close(struct gw_conn *c, enum gw_mqtt_reason reason, const char *text);
/* A buffer to write packets into; one at a time. */
struct pgn_buf *gw_mqtt_scratch(void);
/* Whether the client takes a packet of so many bytes (MQTT 5.0, 3.1.2.11.4). That of CONNACK it does, else it has no session. */
bool gw_mqtt_fits(const struct gw_mqtt *m, size_t len);
/* Queues what the scratch buffer holds. live: see gw_conn_push. */
bool gw_mqtt_send(struct gw_conn *c, const struct pgn_buf *packets, bool live);
static inline struct gw_mqtt_str gw_mqtt_str_of(const char *s)
{
    return (struct gw_mqtt_str){s, s ? __builtin_strlen(s) : 0};
}
static inline uint32_t gw_mqtt_life(const struct gw_mqtt *m)
{
    return (uint32_t)m->life[0] << 16 | (uint32_t)m->life[1] << 8 | m->life[2];
}
static inline bool gw_mqtt_persistent(const struct gw_mqtt *m)
{
    return m->expiry_s != 0;
}

#endif
