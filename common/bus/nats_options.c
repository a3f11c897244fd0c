#include "common/bus/nats_options.h"

#include "common/base/alloc.h"

#include <stdlib.h>
#include <string.h>

#define SERVER_CERT_NAME "nats.pigeon"

enum { SERVERS_MAX = 16, RECONNECT_WAIT_MS = 100, RECONNECT_JITTER_MS = 400, PING_MS = 2000, PINGS_OUT = 2 };

static natsStatus set_servers(natsOptions *o, const char *url)
{
    const char *servers[SERVERS_MAX];
    int count = 0;
    char *copy = pgn_strdup(url), *rest = NULL;
    for (char *word = strtok_r(copy, ", ", &rest); word && count < SERVERS_MAX; word = strtok_r(NULL, ", ", &rest))
        servers[count++] = word;
    natsStatus s = count > 0 ? NATS_OK : NATS_INVALID_ARG;
    for (int i = 0; i < count; i++) /* nats.c would try any word, for ever */
        if (strncmp(servers[i], "nats://", 7) != 0 && strncmp(servers[i], "tls://", 6) != 0)
            s = NATS_INVALID_ARG;
    PGN_NATS_TRY(s, natsOptions_SetServers(o, servers, count));
    PGN_NATS_TRY(s, natsOptions_SetNoRandomize(o, true));
    free(copy);
    return s;
}

/* The certificates of a cluster's servers all carry SERVER_CERT_NAME, whatever address a server has; deploy/cluster.sh makes them. */
static natsStatus set_tls(natsOptions *o, const char *url, const char *tls_ca)
{
    natsStatus s = NATS_OK;
    if (!strstr(url, "tls://"))
        return s;
    PGN_NATS_TRY(s, natsOptions_SetSecure(o, true));
    if (tls_ca && *tls_ca) {
        PGN_NATS_TRY(s, natsOptions_LoadCATrustedCertificates(o, tls_ca));
        PGN_NATS_TRY(s, natsOptions_SetExpectedHostname(o, SERVER_CERT_NAME));
    }
    return s;
}

natsStatus pgn_nats_options(natsOptions *o, const char *url, const char *tls_ca, const char *name, const char *user, const char *password)
{
    natsStatus s = set_servers(o, url);
    PGN_NATS_TRY(s, set_tls(o, url, tls_ca));
    PGN_NATS_TRY(s, natsOptions_SetName(o, name));
    if (user)
        PGN_NATS_TRY(s, natsOptions_SetUserInfo(o, user, password));
    PGN_NATS_TRY(s, natsOptions_SetTimeout(o, PGN_NATS_CONNECT_MS));
    /* A server that lost its power says nothing: another one is asked after at most 6 s. */
    PGN_NATS_TRY(s, natsOptions_SetPingInterval(o, PING_MS));
    PGN_NATS_TRY(s, natsOptions_SetMaxPingsOut(o, PINGS_OUT));
    PGN_NATS_TRY(s, natsOptions_SetMaxReconnect(o, -1));
    PGN_NATS_TRY(s, natsOptions_SetReconnectWait(o, RECONNECT_WAIT_MS));
    PGN_NATS_TRY(s, natsOptions_SetReconnectJitter(o, RECONNECT_JITTER_MS, RECONNECT_JITTER_MS));
    return s;
}
