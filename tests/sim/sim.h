/*
 * The simulated world: one thread, one seed. Storage, message and gateway are the real ones; what they stand on is here:
 *
 *   sim_world   time, events, randomness, processes: start, crash, pause      sim_loop   loop.h, mailbox.h, worker.h
 *   sim_bus     bus.h, and the NATS server behind it                          sim_disk   kv.h and the store on it
 *   sim_net     sockets between clients and gateways                          sim_svc    svc.h and log.h
 *   sim_client  model clients: what they do, what they were told              sim_check  G1-G7 from the histories
 *   sim_faults  what goes wrong, and when                                     sim_main   seeds, workers, totals
 *
 * A seed runs in a forked process of its own: nothing of one reaches another, and a crashed process may leave its memory behind.
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include "common/base/buf.h"
#include "common/base/compiler.h"
#include "common/io/loop.h"
#include "common/proto/pb.h"
#include "common/svc/svc.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SIM_USERS = 6,
    SIM_DEVICES = 2, /* of each user */
    SIM_CLIENTS = SIM_USERS * SIM_DEVICES,
    SIM_PROCS_MAX = 8,
    SIM_MS = 1000, /* microseconds */
    SIM_S = 1000000,
};

/* ---- sim_world ---- */

enum sim_kind { SIM_STORAGE, SIM_MESSAGE, SIM_GATEWAY };

/* A simulated process. What belongs to an earlier life is void. */
struct sim_proc {
    enum sim_kind kind;
    int number; /* in sim.procs */
    bool up, ready;
    bool doomed; /* its thread has met its end inside a write: it is gone when the write returns */
    uint32_t life;
    uint64_t paused_until_us;
    uint64_t loss_us;  /* gateway: when messages of the bus were lost for it last */
    uint64_t store_us; /* gateway: when it heard last that storage had started; what was committed just before may never have been told */
    int64_t wall_jump_ms;
    struct pgn_svc svc;
};

/* How likely what is; drawn anew for each seed, many of them zero. Per million unless said otherwise. */
struct sim_knobs {
    uint32_t crash_before_write, crash_after_write, write_refused, write_uncertain; /* of each write */
    uint32_t slow_delay;                                                            /* of each hop: up to slow_us instead of some 300 us */
    uint64_t slow_us;
    uint32_t lost; /* of each delivery: dropped as for a slow consumer */
    uint64_t max_payload;
    uint32_t crashes, pauses, cuts, bus_restarts, client_cuts, jumps, stalls; /* of each during the run */
    uint32_t long_pauses;                                                     /* of the pauses: percent that take longer than a send may */
    uint32_t partial_writes;                                                  /* of each write to a socket */
    uint32_t slow_readers;                                                    /* times a client stops reading */
    uint32_t churn;                                                           /* percent of what clients do that is changes of groups */
};

struct sim_totals {
    uint64_t events, messages, stored, acked, retries, refused, uncertain, crashes, pauses, cuts, lost, delivered, fetched, syncs, groups,
        failed_writes, resent, simulated_s;
};

extern struct sim {
    uint64_t now_us, seed;
    uint64_t trace; /* hash of all that happened */
    bool calm;      /* nothing goes wrong any more */
    bool verbose;
    const char *plant; /* "" : none */
    struct sim_proc procs[SIM_PROCS_MAX];
    int procs_count;
    struct sim_proc *current; /* whose code runs */
    struct sim_knobs knobs;
    struct sim_totals totals;
    const struct pgn_config *config;
} sim;

typedef void sim_fn(void *ctx, uint64_t arg);

void sim_at(uint64_t at_us, sim_fn *fn, void *ctx, uint64_t arg);
bool sim_step(uint64_t until_us); /* the next event; false: there is none until then */
uint64_t sim_rand(uint64_t below);
bool sim_chance(uint32_t per_million);
bool sim_fault(uint32_t per_million); /* the same; never while it is calm */
uint64_t sim_delay_us(void);          /* of one hop */
void sim_trace(const void *data, size_t len);
void sim_trace_u64(uint64_t v);
void sim_say(const char *format, ...) PGN_PRINTF(1, 2);  /* verbose only */
void sim_fail(const char *format, ...) PGN_PRINTF(1, 2); /* a promise was broken */
bool sim_failed(void);
const char *sim_problem(void); /* the first ones, as lines */

void sim_proc_start(struct sim_proc *p);
void sim_proc_crash(struct sim_proc *p, const char *why);
void sim_proc_pause(struct sim_proc *p, uint64_t us);
void sim_proc_enter(struct sim_proc *p); /* its code runs from here on; NULL: nobody's */
bool sim_proc_same(const struct sim_proc *p, uint32_t life);
const char *sim_proc_name(const struct sim_proc *p);

/* ---- sim_loop ---- */

struct pgn_loop *sim_loop_new(struct sim_proc *p);
void sim_loop_wake(struct pgn_loop *loop); /* something is there for it */
void sim_loop_nested(struct sim_proc *p);  /* a turn while one of its threads sleeps */

/* ---- sim_bus ---- */

void sim_bus_cut(struct sim_proc *p, uint64_t for_us); /* its connection breaks; it connects again after this */
void sim_bus_restart(void);
void sim_bus_gone(struct sim_proc *p); /* the process is dead */

/* ---- sim_disk ---- */

struct sto_store;
void sim_disk_prepare(void); /* before the first fork: the directory with users and sessions */
void sim_disk_crashed(bool power);
uint64_t sim_disk_commit_us(uint64_t num, uint64_t seq); /* when this message was written; 0: never */
/* Everything that is stored of a conversation, by the store's own reading. Final check only. */
struct sto_store *sim_disk_open(void);

/* ---- sim_net ---- */

struct sim_client;
struct sim_sock;
struct sim_sock *sim_sock_open(struct sim_proc *gateway, struct sim_client *owner);
void sim_sock_send(struct sim_sock *s, const void *data, size_t len);
void sim_sock_close(struct sim_sock *s, bool silently); /* by the client; silently: the gateway does not hear of it */
void sim_sock_read(struct sim_sock *s, bool reads);     /* whether the client reads */
struct sim_proc *sim_sock_gateway(const struct sim_sock *s);
void sim_net_gone(struct sim_proc *p);
uint32_t sim_net_ready(int fd);
void sim_net_watch(int fd, struct pgn_loop *loop);

/* ---- sim_client ---- */

void sim_clients_start(void);
void sim_client_data(struct sim_client *c, struct sim_sock *s, const uint8_t *data, size_t len);
void sim_client_closed(struct sim_client *c, struct sim_sock *s);
void sim_clients_calm(void);    /* no new work: what is open is brought to its end */
bool sim_clients_settled(void); /* everything is answered, nothing is asked */
void sim_client_cut(int number, bool silently);
void sim_client_slow(int number, uint64_t for_us);
const char *sim_client_token(int number);
const char *sim_user(int number);
int sim_user_number(const char *user); /* -1: nobody's */
const char *sim_device(int number);

/* ---- sim_check, sim_faults ---- */

void sim_faults_start(uint64_t until_us);
void sim_check_final(void);
/* log: from 1, complete. A group's only. */
void sim_check_rules(const char *conv, Pigeon__Message *const *log, uint64_t count, const Pigeon__Settings *settings);

#endif
