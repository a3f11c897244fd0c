/* What sim_client.c (protocol, connections) and sim_acts.c (what clients do) share. */
#ifndef SIM_CLIENT_H
#define SIM_CLIENT_H

#include "tests/sim/sim_history.h"

enum { REQUESTS = 64 };
enum state { DOWN, UPGRADING, GREETING, LIVE };
enum kind { FREE, HELLO, SYNC, FETCH, SEND, MARK, PING, GROUP };

struct request {
    enum kind kind;
    uint64_t id, asked_us, after, before, read;
    int conv;
    struct sim_send *send;
    uint64_t *acked; /* sync: the highest acknowledged numbers when it was asked */
};

struct sim_client {
    int number;
    enum state state;
    struct sim_sock *sock;
    unsigned connection; /* counts them */
    uint64_t since_us;   /* of the state */
    struct pgn_buf in;
    char cursor[24];
    bool sync_wanted, syncing;
    uint64_t pinged_us, quiet_us; /* quiet: since when a ping answered that all is there */
    uint64_t next_id;
    unsigned sends, orders;
    struct request requests[REQUESTS];
};

struct request *sim_request_new(struct sim_client *c, enum kind kind); /* NULL: too many are open */
void sim_request_send(struct sim_client *c, const struct request *r, Pigeon__ClientFrame *f);
void sim_send_waiting(struct sim_client *c); /* what is to be sent, or sent again */
int sim_open_sends(const struct sim_client *c);
int sim_user_of(const struct sim_client *c);
char *sim_chars(const char *text); /* for protobuf-c's char *; nothing writes to them */
void sim_client_act(struct sim_client *c);

#endif
