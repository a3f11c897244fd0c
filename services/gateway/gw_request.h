/*
 * Operations that are requests to the message service: passed on, and their answers passed back. Some answers mean something
 * to the gateway itself: sync (cursor, groups) and watch (presence topics). Loop's thread.
 */
#ifndef GW_REQUEST_H
#define GW_REQUEST_H

#include "services/gateway/gateway.h"

enum {
    GW_OPS_MAX = 20000,   /* open at once; more: overloaded */
    GW_CONN_OPS_MAX = 64, /* of one connection; more: rate_limited */
};

void gw_request(struct gw_conn *c, const Pigeon__ClientFrame *frame);
void gw_request_typing(struct gw_conn *c, const Pigeon__ClientFrame *frame); /* no answer */
void gw_request_watch(struct gw_conn *c, const Pigeon__ClientFrame *frame);
void gw_request_unwatch(struct gw_conn *c, const Pigeon__Watch *watch);

#endif
