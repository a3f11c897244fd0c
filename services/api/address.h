/* The client's address: the peer's, or what the trusted proxy on this machine says. Stateless. */
#ifndef API_ADDRESS_H
#define API_ADDRESS_H

#include "services/api/call.h"

/* An IPv4 address, or the /64 of an IPv6 one (a customer has at least that); "unknown" when it is neither. */
void api_client_address(const struct pgn_http_request *req, char ret_address[API_ADDRESS_MAX]);
/* The decision itself. forwarded and real_ip: the headers, NULL when absent; believed only from loopback. */
void api_address_decide(const char *peer, const char *forwarded, const char *real_ip, char ret_address[API_ADDRESS_MAX]);

#endif
