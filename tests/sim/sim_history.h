/* What clients did and were told, for sim_check.c. Written by sim_client.c; lives as long as the seed. */
#ifndef SIM_HISTORY_H
#define SIM_HISTORY_H

#include "common/base/id.h"
#include "tests/sim/sim.h"

enum { HISTORY_CONVS = 256, HISTORY_SEQS = 4096, SHORT_ID = 28 };

enum sim_outcome { SIM_OPEN, SIM_ACKED, SIM_REFUSED };

/* One send, recall, edit or reaction of a client, over all its tries. */
struct sim_send {
    struct sim_send *next;
    int client, conv; /* conv: index of sim_convs */
    Pigeon__ClientFrame__OpCase what;
    uint64_t target; /* the message that is recalled, edited, reacted to */
    char client_id[24];
    enum sim_outcome outcome;
    bool waits;          /* to be sent, or sent again */
    uint64_t again_us;   /* not before */
    unsigned tries;      /* so far */
    unsigned connection; /* on which it was tried first */
    unsigned order;      /* among those of this client on all connections */
    bool told_uncertain;
    uint64_t seq; /* acknowledged */
    char message_id[SHORT_ID];
    char error[20]; /* refused */
    char text[400]; /* body */
    bool to_user;
};

enum sim_how { SIM_PUSH, SIM_FETCH, SIM_SYNC };

/* A message that a client has got. */
struct sim_seen {
    int client, conv;
    uint64_t seq, at_us, asked_us; /* asked: when the fetch or sync was asked for */
    enum sim_how how;
    uint64_t loss_us, store_us; /* of its gateway, as in struct sim_proc */
    char message_id[SHORT_ID];
};

struct sim_conv {
    char id[PGN_CONV_MAX + 1];
    uint64_t acked; /* the highest number that somebody was told of */
};

/* A client's picture of a conversation. */
struct sim_view {
    bool known, member, fetching, stale;
    uint64_t have; /* all that may be read up to here is there */
    uint64_t top;  /* the highest number heard of */
    uint64_t marked;
    char (*ids)[SHORT_ID]; /* by number */
};

extern struct sim_history {
    struct sim_send *sends, **sends_end;
    struct sim_seen *seen;
    size_t seen_count, seen_cap;
    struct sim_conv convs[HISTORY_CONVS];
    int convs_count;
    struct sim_view views[SIM_CLIENTS][HISTORY_CONVS];
    uint64_t marks[SIM_USERS][HISTORY_CONVS];     /* acknowledged */
    uint64_t marks_max[SIM_USERS][HISTORY_CONVS]; /* ever asked for */
} history;

int history_conv(const char *id); /* made when new */

#endif
