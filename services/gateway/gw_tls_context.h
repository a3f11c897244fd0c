/*
 * What all TLS handshakes of a gateway share: certificate and key (read again when their files change), protocol, suites, ALPN, tickets.
 * Loop's thread.
 *
 * Tickets: keys follow from a master secret and the time, six hours each, so gateways that share the secret file `tls-tickets`
 * (node.secrets) know each other's tickets, and a restart forgets none; without that file the master is this process's own. TLS 1.3 only:
 * there a ticket's key does not open what was sent under it. No early data.
 */
#ifndef GW_TLS_CONTEXT_H
#define GW_TLS_CONTEXT_H

#include "common/base/buf.h"
#include "common/io/loop.h"
#include "common/svc/config.h"

#include <openssl/ssl.h>
#include <sys/types.h>
#include <time.h>

enum { GW_TLS_MASTER = 32, GW_TLS_TICKET_S = 6 * 3600 };

/* What tells whether a file is another than before, or may be read by others than before. */
struct gw_tls_stamp {
    struct timespec changed; /* it or its inode: moves with chmod, too */
    off_t size;
    ino_t inode;
};

/* A ticket key of a period of GW_TLS_TICKET_S seconds: its name, and keys for AES-256 and HMAC-SHA-256. */
struct gw_tls_ticket_key {
    uint8_t name[16], cipher[32], mac[32];
};

/* What OpenSSL tells during handshakes, and what the context tells. */
struct gw_tls_hooks {
    void (*secret)(const SSL *ssl, const char *line); /* a line of the key log format */
    void (*record)(int write, int version, int type, const void *data, size_t len, SSL *ssl, void *arg);
    bool (*is_mqtt)(const SSL *ssl); /* else HTTP: for ALPN */
    void (*reloaded)(void);
};

struct gw_tls_context {
    const struct pgn_config *config;
    struct pgn_loop *loop;
    const struct gw_tls_hooks *hooks;
    SSL_CTX *now;                  /* for new handshakes; those under way hold theirs */
    struct gw_tls_stamp stamps[2]; /* of certificate and key as they were last read */
    struct pgn_timer look;         /* at the files */
    struct pgn_buf problem;        /* why they could not be used when they were last read; empty: they were */
    uint64_t again_ms;             /* then they are read again though nothing changed, while there is a problem */
    uint8_t master[GW_TLS_MASTER];
    struct gw_tls_ticket_key keys[3];
    uint64_t keys_period;
};

/* PGN_E_INVALID after logging why. */
int gw_tls_context_init(struct gw_tls_context *t, const struct pgn_config *config, struct pgn_loop *loop,
                        const struct gw_tls_hooks *hooks) PGN_MUST_USE;
void gw_tls_context_release(struct gw_tls_context *t);

/* Pure. */
void gw_tls_ticket_key(const uint8_t master[GW_TLS_MASTER], uint64_t period, struct gw_tls_ticket_key *ret);

/* The suites in order of preference. Pure. */
const char *gw_tls_suites_13(bool aes);
const char *gw_tls_suites_12(bool aes);
bool gw_tls_cpu_has_aes(void);

#endif
