/* Client addresses; see address.h. */
#include "services/api/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

/* Writes the canonical form; false when text is no address. */
static bool canonical(const char *text, char ret_address[API_ADDRESS_MAX])
{
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, text, &v4) == 1)
        return inet_ntop(AF_INET, &v4, ret_address, API_ADDRESS_MAX) != NULL;
    if (inet_pton(AF_INET6, text, &v6) != 1)
        return false;
    if (IN6_IS_ADDR_V4MAPPED(&v6))
        return inet_ntop(AF_INET, &v6.s6_addr[12], ret_address, API_ADDRESS_MAX) != NULL;
    if (!IN6_IS_ADDR_LOOPBACK(&v6))
        memset(&v6.s6_addr[8], 0, 8);
    return inet_ntop(AF_INET6, &v6, ret_address, API_ADDRESS_MAX) != NULL;
}

static bool is_loopback(const char *address)
{
    return !strncmp(address, "127.", 4) || !strcmp(address, "::1");
}

/* The last address of X-Forwarded-For: the one that our own proxy added. */
static bool last_of(const char *forwarded, char ret_address[API_ADDRESS_MAX])
{
    char copy[64];
    const char *comma = strrchr(forwarded, ',');
    const char *from = comma ? comma + 1 : forwarded;
    from += strspn(from, " \t");
    size_t len = strcspn(from, " \t");
    if (len >= sizeof copy)
        return false;
    memcpy(copy, from, len);
    copy[len] = 0;
    return canonical(copy, ret_address);
}

void api_address_decide(const char *peer, const char *forwarded, const char *real_ip, char ret_address[API_ADDRESS_MAX])
{
    if (!peer || !canonical(peer, ret_address)) {
        snprintf(ret_address, API_ADDRESS_MAX, "unknown");
        return;
    }
    if (!is_loopback(ret_address))
        return;
    char said[API_ADDRESS_MAX];
    if ((forwarded && last_of(forwarded, said)) || (!forwarded && real_ip && canonical(real_ip, said)))
        memcpy(ret_address, said, API_ADDRESS_MAX);
}

void api_client_address(const struct pgn_http_request *req, char ret_address[API_ADDRESS_MAX])
{
    api_address_decide(pgn_http_peer(req), pgn_http_header(req, "X-Forwarded-For"), pgn_http_header(req, "X-Real-IP"), ret_address);
}
