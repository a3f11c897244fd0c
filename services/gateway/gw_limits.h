/*
 * Limits that protect the gateway from its peers: per address before hello, per user after it, and what is refused
 * when the whole node has too much to do (design.md, "What a node's load does").
 */
#ifndef GW_LIMITS_H
#define GW_LIMITS_H

#include "common/base/id.h"
#include "common/base/token_bucket.h"
#include "services/gateway/gw_http.h"

#include <stdbool.h>
#include <stdint.h>

struct gateway;
struct gw_user;

struct gw_address {
    struct gateway *gw;
    struct pgn_token_bucket connects;
    uint32_t waiting;          /* sockets that have not said hello yet */
    char text[GW_ADDRESS_MAX]; /* of IPv6 the network of 64 bits */
};

/* What a user who went has taken of his rates: who connects again finds them as they were. */
struct gw_spent {
    struct pgn_token_bucket messages, ops;
    char user[PGN_USER_MAX + 1];
};

/* The row of this address, made when new. It stays until it is unused and its bucket is full. An IPv6 host has as many addresses as it
 * likes: those of a network of 64 bits share a row. */
struct gw_address *gw_address_get(struct gateway *gw, const char *text);
/* Counts a new socket: 0, or the milliseconds after which to come again. */
uint32_t gw_address_enter(struct gw_address *a, uint64_t now_ms) PGN_MUST_USE;
void gw_address_leave(struct gw_address **a); /* it said hello, or went; takes NULL */
void gw_limits_sweep(struct gateway *gw);     /* forgets unused addresses, and rates that are whole again */

/* Takes a token of the user's: 0, or retry_after_ms. */
uint32_t gw_limits_message(struct gw_user *u, uint64_t now_ms) PGN_MUST_USE;
uint32_t gw_limits_op(struct gw_user *u, uint64_t now_ms) PGN_MUST_USE;
void gw_limits_keep(const struct gw_user *u, uint64_t now_ms); /* the user's last session ends */
void gw_limits_resume(struct gw_user *u);                      /* a new one begins: u has full rates so far */

/* What is refused at which level; each level refuses also what stands before it. */
enum gw_load_level { GW_LOAD_NONE, GW_LOAD_LOGINS, GW_LOAD_HISTORY, GW_LOAD_PRESENCE, GW_LOAD_MESSAGES };
/* full: how much of the queues is in use, in thousandths. */
enum gw_load_level gw_limits_level(unsigned full_permille);
/* When to come again: more at a higher level, random, so that they don't come together. */
uint64_t gw_limits_retry_ms(enum gw_load_level level);

#endif
