/* What gw_tls.c (records) and gw_tls_shake.c (handshakes) share. Not for others. */
#ifndef GW_TLS_CONN_H
#define GW_TLS_CONN_H

#include "common/base/buf.h"
#include "common/base/list.h"
#include "services/gateway/gw_tls.h"
#include "services/gateway/gw_tls_context.h"
#include "services/gateway/gw_tls_record.h"

enum gw_tls_state {
    GW_TLS_NEW,     /* nothing whole has come */
    GW_TLS_QUEUED,  /* a message of the client waits for its turn */
    GW_TLS_SHAKING, /* the client is to answer */
    GW_TLS_OPEN,    /* established, records are ours */
    GW_TLS_OPENSSL, /* established, records are OpenSSL's */
};

enum {
    GW_TLS_HELD_MAX = 40000, /* what may come of one client before its handshake goes on: a hello of several records */
    GW_TLS_OUT_MAX = 131072, /* of `out`: a turn's records are half of it, the rest is what OpenSSL says by itself */
};

struct gw_tls {
    struct pgn_node node; /* of all.fresh, all.going or all.shaking while the handshake is on */
    struct gw_conn *conn;
    SSL *ssl;           /* in handshake, or GW_TLS_OPENSSL */
    struct pgn_buf in;  /* of a record that is not whole; of messages that wait */
    struct pgn_buf out; /* records that the socket has not taken; nothing is sealed before they are */
    uint32_t since_ms;  /* low bits of the loop's clock: when the handshake began; then when the socket last took something of `out` */
    uint8_t state, alert;
    bool mqtt, kick; /* kick: `in` may hold whole records though nothing new came */
    bool ended, bye; /* the peer, and we, have said close_notify (or an alert) */
    bool have_rx, have_tx;
    bool owes_update; /* the peer asked for new keys of ours while something waited in `out` */
    struct gw_tls_way rx, tx;
};

struct gw_tls_all {
    struct gateway *gw;
    struct gw_tls_context context;
    struct gw_tls_ciphers *ciphers;
    BIO_METHOD *method;
    BIO *bio; /* of all OpenSSL objects: it reads `feed` and writes `sent` */
    const uint8_t *feed;
    size_t feed_len;
    struct pgn_buf sent;
    struct pgn_node fresh, going, shaking; /* not begun; begun, its next message is here; begun, waits for the client */
    uint32_t opening, waiting, objects;    /* not established; of those in fresh and going; OpenSSL objects */
    uint32_t started, peak;                /* begun and not established; most of `opening` since memory was given back */
    uint8_t raw[GW_READ_BYTES];            /* as it came */
    uint8_t wire[4 * GW_TLS_RECORD_MAX];   /* as it goes */
};

int gw_tls_shake_start(struct gw_tls_all *all) PGN_MUST_USE; /* PGN_E_IO: no memory */
void gw_tls_shake_stop(struct gw_tls_all *all);
void gw_tls_shake_queue(struct gw_tls *t);                              /* a message is whole: go on when it is its turn */
void gw_tls_shake_leave(struct gw_tls *t);                              /* established, or closed */
void gw_tls_collect(struct gw_tls *t);                                  /* what OpenSSL wrote goes behind `out` */
void gw_tls_put(struct gw_tls *t, const void *data, size_t len);        /* records behind `out` */
void gw_tls_broken(struct gw_tls *t, int alert);                        /* the connection is over; alert 0: none of ours */
size_t gw_tls_whole(const uint8_t *data, size_t len, bool *ret_broken); /* bytes of whole records */

#endif
