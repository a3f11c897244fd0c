/*
 * Records of an established TLS 1.3 connection (RFC 8446, 5 and 7): what is left of TLS once OpenSSL has done the handshake and was
 * given up for the socket. Pure: bytes in, bytes out; no sockets, no memory of its own but the ciphers, which all connections share.
 *
 * Out of an OpenSSL object (14 KB) go the two traffic secrets; a direction is some 110 bytes. Loop's thread.
 */
#ifndef GW_TLS_RECORD_H
#define GW_TLS_RECORD_H

#include "common/base/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    GW_TLS_HEAD = 5,
    GW_TLS_PLAIN_MAX = 16384,
    GW_TLS_TAG = 16,
    GW_TLS_EXTRA = GW_TLS_HEAD + 1 + GW_TLS_TAG, /* a record is longer than what it holds by this */
    GW_TLS_BODY_MAX = GW_TLS_PLAIN_MAX + 256,
    GW_TLS_RECORD_MAX = GW_TLS_HEAD + GW_TLS_BODY_MAX,
    GW_TLS_SECRET_MAX = 48,
    GW_TLS_IV = 12,
};
/* Content types. */
enum { GW_TLS_CCS = 20, GW_TLS_ALERT = 21, GW_TLS_HANDSHAKE = 22, GW_TLS_DATA = 23 };
/* Alerts that are sent from here (RFC 8446, 6). */
enum {
    GW_TLS_CLOSE_NOTIFY = 0,
    GW_TLS_UNEXPECTED = 10,
    GW_TLS_BAD_MAC = 20,
    GW_TLS_OVERFLOW = 22,
    GW_TLS_DECODE = 50,
    GW_TLS_USER_CANCELED = 90
};

/* One direction of a connection. */
struct gw_tls_way {
    uint64_t number; /* of the next record under this key */
    uint8_t secret[GW_TLS_SECRET_MAX];
    uint8_t key[32];
    uint8_t iv[GW_TLS_IV];
    uint8_t suite; /* index into the table of suites */
    uint8_t secret_len;
};

/* The suites' ciphers, fetched once a process. */
struct gw_tls_ciphers;
struct gw_tls_ciphers *gw_tls_ciphers_new(void); /* NULL when OpenSSL lacks one */
void gw_tls_ciphers_free(struct gw_tls_ciphers **c);

/* A way from its first traffic secret; suite: IANA's number, 0x1301 to 0x1303. False: no such suite, or a secret of another length. */
bool gw_tls_way_init(struct gw_tls_way *w, unsigned suite, const uint8_t *secret, size_t secret_len) PGN_MUST_USE;
void gw_tls_way_update(struct gw_tls_way *w); /* the next generation of keys (7.2) */
void gw_tls_way_wipe(struct gw_tls_way *w);
bool gw_tls_way_worn(const struct gw_tls_way *w); /* so many records under one key that a new one is due (5.5) */

/* The length of the record that begins here, header included; 0: the header is not whole; -1: there can be no such record. */
int gw_tls_record_length(const uint8_t *at, size_t len);

/* Writes one record of at most GW_TLS_PLAIN_MAX bytes to out, which has len + GW_TLS_EXTRA bytes. plain may overlap out + GW_TLS_HEAD
 * exactly. */
size_t gw_tls_seal(struct gw_tls_ciphers *c, struct gw_tls_way *w, uint8_t type, const void *plain, size_t len, uint8_t *out);

/*
 * Opens a whole record into out, which has as many bytes as the record. 0: *ret_type and *ret_len say what it holds; else the alert to
 * send, the connection is over.
 */
int gw_tls_open(struct gw_tls_ciphers *c, struct gw_tls_way *w, const uint8_t *record, size_t record_len, uint8_t *out, uint8_t *ret_type,
                size_t *ret_len) PGN_MUST_USE;

#endif
