/*
 * Token buckets in memory: requests of an address, operations and messages of a user, registrations of an address. Thread-safe.
 */
#ifndef API_LIMIT_H
#define API_LIMIT_H

#include "common/svc/config.h"

#include <stdbool.h>
#include <stdint.h>

enum api_limit_kind { API_LIMIT_ADDRESS, API_LIMIT_REGISTER, API_LIMIT_OPS, API_LIMIT_MESSAGES, API_LIMIT_KINDS };

struct api_limits;
struct api_limits *api_limits_new(const struct pgn_config *config);
void api_limits_free(struct api_limits **l);
/* Takes one from the bucket of key (an address or a user). False: none left, come back after ret_wait_ms. */
bool api_limit_take(struct api_limits *l, enum api_limit_kind kind, const char *key, uint64_t *ret_wait_ms);

#endif
