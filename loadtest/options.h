/* What pigeon-load is asked to do. Read once, then constant. */
#ifndef LOADTEST_OPTIONS_H
#define LOADTEST_OPTIONS_H

#include "common/base/compiler.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ld_mode;
struct ld_person {
    char *name, *token;
};
struct ld_options {
    const struct ld_mode *mode;
    char host[256], path[256];
    struct sockaddr_in address;
    const char *tokens, *data, *html;
    uint32_t users, provision, processes, window, members, senders, body, missed, concurrency, addresses;
    double secs, rate, connect_rate, period_s, churn_s, drain_s, mark_s;
    bool json, proto, verify, quiet, one_way, tls;
    struct ld_person *people;
    uint32_t person_count;
};

/* Exits: 0 for help, 2 for wrong usage. */
void ld_options_read(int argc, char **argv, struct ld_options *o);

/* people.c. Reads o->tokens (user,token) or provisions users u0... through the command line `pigeon`; exits with 2 on failure. */
void ld_people(struct ld_options *o);

#endif
