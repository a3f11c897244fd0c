/*
 * What every connection to NATS has in common: servers, name, login, waits. For common/bus only.
 */
#ifndef PGN_BUS_NATS_OPTIONS_H
#define PGN_BUS_NATS_OPTIONS_H

#include <nats/nats.h>

enum { PGN_NATS_CONNECT_MS = 2000 };

/* s = call, unless s is a failure already. */
#define PGN_NATS_TRY(s, call)                                                                                                              \
    do {                                                                                                                                   \
        if ((s) == NATS_OK)                                                                                                                \
            (s) = (call);                                                                                                                  \
    } while (0)

/*
 * url: servers separated by commas, tried in this order (the first is the node's own); user NULL: no login.
 * tls_ca: file of the certificates that a tls:// server is checked by; NULL or empty: the system's.
 * NATS_INVALID_ARG for a url that is none. Reconnects for ever, with jitter.
 */
natsStatus pgn_nats_options(natsOptions *o, const char *url, const char *tls_ca, const char *name, const char *user, const char *password);

#endif
