/*
 * The gateway: sockets and sessions. It knows no business rule. Everything lives on the one loop of the process.
 *
 *   gw_listen   accepts sockets                      gw_hello    token checks, batched; re-checks
 *   gw_conn     a socket: states, reading, writing   gw_user     users, their devices, their groups
 *   gw_http     the upgrade request                  gw_topic    shared subscriptions on the bus
 *   gw_ws       RFC 6455                             gw_event    from the bus to sockets
 *   gw_tls      TLS of client sockets                gw_tls_*    handshakes, records, certificate
 *   gw_frame    shared frames, queues                gw_ops      operations of clients
 *   gw_limits   addresses, load levels               gw_check    their form
 *   gw_batch    partitions (gw_part) on the bus      gw_presence who is here, told to presence
 *   gw_loss     what a client has to sync for        gw_mqtt*    MQTT (gw_mqtt.h names its parts)
 */
#ifndef GW_GATEWAY_H
#define GW_GATEWAY_H

#include "common/base/map.h"
#include "common/bus/bus.h"
#include "common/io/loop.h"
#include "common/proto/pb.h"
#include "common/proto/subjects.h"
#include "common/svc/svc.h"
#include "services/gateway/gw_part.h"

struct gw_conn;
struct gw_user;
struct gw_topic;

enum gw_metric_id {
#define PGN_METRIC(id, kind, name, unit, help) GW_M_##id,
#include "services/gateway/gateway_metrics.h"
#undef PGN_METRIC
    GW_METRICS
};
extern struct pgn_metric gw_metrics[GW_METRICS];
static inline void gw_count(enum gw_metric_id id, int64_t n)
{
    pgn_metric_add(&gw_metrics[id], n);
}

enum { GW_READ_BYTES = 65536 };

enum { GW_ON_HTTP, GW_ON_TLS, GW_ON_MQTT, GW_ON_MQTT_TLS, GW_LISTENERS };

/* A listening socket, and what its connections speak. */
struct gw_listener {
    struct pgn_io io; /* fd -1: closed */
    struct gateway *gw;
    bool mqtt; /* from the first byte; else HTTP */
    bool tls;
};

struct gateway {
    struct pgn_svc *svc;
    const struct pgn_config *config;
    struct pgn_loop *loop;
    struct pgn_bus *bus;
    struct pgn_arena *arena; /* of the callback that runs; reset at its end */
    struct pgn_hook hook;    /* end of turn: publish, write, free */
    bool draining;
    uint64_t turn_us; /* when this turn's first work was seen; 0: none yet */

    /* gw_listen */
    struct gw_listener listeners[GW_LISTENERS];
    struct pgn_timer accept_again; /* after running out of descriptors */

    /* gw_conn: slots name connections in what outlives them */
    struct gw_slot {
        struct gw_conn *conn; /* NULL: free */
        uint32_t generation;
        uint32_t next_free; /* number + 1 */
    } * slots;
    uint32_t slots_cap, slots_used, slots_free; /* free: number of the first free slot + 1 */
    uint32_t connections, sessions;
    struct gw_conn *dirty;       /* those that have something to write */
    struct gw_conn *graves;      /* closed in this turn, freed at its end */
    uint8_t read[GW_READ_BYTES]; /* the one read buffer */

    struct gw_tls_all *tls; /* gw_tls; NULL: no TLS here */

    /* gw_limits */
    struct pgn_map *addresses;
    struct pgn_map *spent; /* rates of users who went before theirs were whole again */
    struct pgn_timer sweep;
    unsigned load_level;

    /* gw_user, gw_topic */
    struct pgn_map *users, *topics;
    struct gw_shared_subject { /* user.<number>: subscribed while somebody of it is here */
        struct pgn_bus_sub *sub;
        uint32_t users;
    } user_subjects[PGN_USER_SUBJECTS];

    /* gw_hello */
    struct pgn_node hellos;      /* waiting for this turn's end */
    struct pgn_node check_later; /* connections that are to be checked again by name */
    struct pgn_timer check_timer;
    uint32_t check_next;  /* slot at which re-checking goes on */
    uint32_t checks_open; /* requests in flight */
    bool check_again, storage_seen;

    /* cursors: see gw_conn.h */
    uint64_t newest_commit;
    char epoch[64];                /* the store's */
    uint32_t loss_clock, loss_all; /* gw_loss; when something was lost last for everybody */
    bool loss_asked;               /* somebody noted the clock's time since it moved */

    /* gw_batch */
    struct gw_part *parts;
    struct gw_part_ops part_ops;
    struct pgn_timer part_timer, gather_timer;
    struct pgn_bus_sub *results;
    uint32_t items_open;

    /* gw_ops */
    uint32_t ops_open;

    /* gw_event */
    struct pgn_bus_sub *store_up;

    /* gw_presence */
    struct pgn_timer presence_timer;
    struct pgn_bus_sub *control, *others; /* PGN_SUBJ_GW_ALL; who comes and goes at other gateways */
    struct pgn_node peers;
    struct pgn_buf presence_events; /* packed PresenceEvents.events since the last publish */
    uint64_t presence_number;

    /* gw_mqtt_catchup, gw_mqtt_will */
    struct pgn_node mqtt_waiting; /* sessions that are behind and may not ask yet */
    struct pgn_timer mqtt_timer;  /* then they may */
    uint32_t mqtt_reading;        /* requests of those that are behind */
    uint32_t mqtt_wills_waiting;
    struct pgn_node mqtt_wills; /* that wait for their delay */

    /* drain */
    struct pgn_timer drain_timer;
    uint64_t drain_start_ms, drain_end_ms;
    uint32_t drain_next; /* slot */
};

int gw_init(struct pgn_svc *svc);
void gw_drain(struct pgn_svc *svc);
void gw_fini(struct pgn_svc *svc);
void gw_load(struct pgn_svc *svc, uint64_t *ret_connections, uint32_t *ret_queue);
void gw_bus_event(struct pgn_svc *svc, enum pgn_bus_event event);

#endif
