/*
 * pigeon-load: what its parts share. A parent process (main.c) forks workers; each runs one event loop and thousands of
 * users. They meet in shared memory only: the phase, the results. Everything of a worker lives on its loop's thread.
 */
#ifndef LOADTEST_LOAD_H
#define LOADTEST_LOAD_H

#include "loadtest/checker.h"
#include "loadtest/frame.h"
#include "loadtest/hist.h"
#include "loadtest/options.h"

#include "common/base/id.h"
#include "common/base/list.h"
#include "common/io/loop.h"

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* ---- results, in shared memory ---- */

#define LD_COUNTS(X)                                                                                                                       \
    X(sent, "messages given to users to send")                                                                                             \
    X(acked, "acknowledged after the durable commit")                                                                                      \
    X(delivered, "received by others")                                                                                                     \
    X(recovered, "of these fetched after a gap while online")                                                                              \
    X(caught_up, "of these fetched after having been away")                                                                                \
    X(wire_again, "received again (allowed: shown once)")                                                                                  \
    X(resent, "sent again under the same client_id")                                                                                       \
    X(rate_limited, "answers rate_limited")                                                                                                \
    X(overloaded, "answers overloaded")                                                                                                    \
    X(unavailable, "answers unavailable")                                                                                                  \
    X(uncertain, "answers uncertain")                                                                                                      \
    X(refused, "refused for good")                                                                                                         \
    X(logins, "hellos answered")                                                                                                           \
    X(connect_failures, "connections that came to nothing")                                                                                \
    X(disconnects, "connections lost")                                                                                                     \
    X(byes, "connections ended by bye")                                                                                                    \
    X(gaps, "gaps seen")                                                                                                                   \
    X(presence, "presence events")                                                                                                         \
    X(malformed, "frames not understood")                                                                                                  \
    X(bytes_in, "bytes received")                                                                                                          \
    X(bytes_out, "bytes sent")                                                                                                             \
    X(unanswered, "sends without an answer at the end")                                                                                    \
    X(audited, "messages of this run found in the histories")                                                                              \
    X(lost, "acknowledged, but not in the history")                                                                                        \
    X(undelivered, "in the history, but never received")                                                                                   \
    X(doubled, "stored more than once")                                                                                                    \
    X(disordered, "gaps in stored numbers, other numbers than acknowledged, a sender's order broken")                                      \
    X(forked, "received something else than the history has")                                                                              \
    X(unverified, "conversations whose history could not be read to the end")

struct ld_counts {
#define LD_FIELD(name, text) uint64_t name;
    LD_COUNTS(LD_FIELD)
#undef LD_FIELD
};
struct ld_second { /* one of the run; latencies of deliveries */
    uint32_t sent, acked, delivered, connected, p50_us, p99_us, max_us;
};
enum { LD_SECONDS = 7200, LD_PROCESSES_MAX = 64 };
struct ld_result {
    struct ld_counts n;
    uint32_t online;                                      /* now */
    uint64_t storm_logins, login_first_us, login_last_us; /* of LD_CONNECT */
    uint64_t catch_up_us;
    struct ld_hist ack, delivery, last, login, catch_up;
    struct ld_second seconds[LD_SECONDS];
};

enum ld_phase { LD_SETUP, LD_CONNECT, LD_RUN, LD_DRAIN, LD_AUDIT, LD_DONE };
struct ld_shared {
    _Atomic int phase;
    _Atomic int done[LD_PROCESSES_MAX]; /* phases that each worker has finished */
    _Atomic bool stop;                  /* end the run early */
    _Atomic uint64_t start_us, end_us;  /* of the run, monotonic */
    char group[PGN_CONV_MAX + 1];       /* mode group: made by the first worker in LD_SETUP */
    _Atomic uint64_t group_acked;
    char fatal[1024];
    struct ld_result results[];
};

/* ---- a worker ---- */

struct ld_run;
struct ld_user;

struct ld_member {
    struct ld_user *user;
    uint16_t slot;
};
struct ld_conv {
    char id[PGN_CONV_MAX + 1];
    bool shared;               /* mode group: others write there too */
    uint64_t acked;            /* highest number acknowledged to this worker */
    struct ld_member *members; /* this worker's */
    uint32_t member_count, member_cap;
    struct ld_audit audit;
    enum { LD_UNAUDITED, LD_AUDITING, LD_AUDITED } audit_state;
    struct ld_user *auditor;
    uint64_t asked_ms;
    uint32_t audit_tries;
    struct ld_post { /* mode group: copies still to come */
        uint64_t intended_us;
        uint32_t missing;
    } * posts; /* by sender's number; only for the one worker mode */
};
struct ld_slot { /* a conversation as one user has it */
    struct ld_conv *conv;
    const char *peer; /* the other user; NULL: a group */
    struct ld_view view;
    uint64_t want; /* exists, as far as the user knows */
    uint64_t gap_ms, marked;
    uint32_t audit_last;
    uint8_t empty_pages;
    bool fetching, away;
};

enum ld_state { LD_OFF, LD_WAITING, LD_CONNECTING, LD_UPGRADING, LD_GREETING, LD_SYNCING, LD_READY };
struct ld_user {
    struct ld_run *run;
    const char *name, *token;
    uint32_t index; /* among all workers' users */
    enum ld_state state;
    bool wanted; /* online, or trying */
    bool known, syncing, redo, gapped, churned;
    struct pgn_io io;
    struct pgn_timer timer; /* WAITING: back-off; CONNECTING to SYNCING: give up; READY: retries */
    struct pgn_node dirty;  /* has something to write */
    struct pgn_buf in, out, parts;
    struct ssl_st *tls; /* wss://; see tls.h */
    struct ld_slot *slots;
    uint16_t slot_count;
    struct ld_log log;
    char cursor[32];
    uint32_t backoff_ms, heartbeat_ms;
    uint64_t connect_us, heard_ms, pinged_ms, progress_ms, marks_ms;
    uint64_t back_ms;           /* churn: when to come back */
    uint64_t due_us, period_us; /* open loop: when the next message is to be sent */
    uint32_t heap_at;           /* plus one; 0: not in the heap */
    uint32_t number_in_mode;    /* the mode's own */
};

struct ld_mode {
    const char *name, *text;
    bool talks;                       /* sends messages: they are audited */
    bool no_sync;                     /* hello is all */
    void (*layout)(struct ld_run *r); /* conversations of this worker's users, before anything connects */
    void (*setup)(struct ld_run *r);  /* wants users online who make groups; NULL: none */
    bool (*setup_done)(struct ld_run *r);
    void (*connecting)(struct ld_run *r);                 /* everybody is about to connect; NULL */
    void (*begin)(struct ld_run *r);                      /* the run starts; NULL */
    bool (*finished)(struct ld_run *r);                   /* NULL: by time */
    void (*drain)(struct ld_run *r);                      /* after the run, before waiting for what is open; NULL: nothing */
    void (*draining)(struct ld_run *r);                   /* every 8 ms of it; NULL */
    void (*tick)(struct ld_run *r);                       /* every 100 ms of the run; NULL */
    void (*ready)(struct ld_user *u);                     /* online and in step; NULL */
    void (*acked)(struct ld_user *u, uint16_t slot);      /* NULL */
    void (*due)(struct ld_user *u, uint64_t intended_us); /* open loop; NULL */
    void (*changed)(struct ld_user *u, uint64_t argument, const char *conv); /* an LD_ASK_OTHER was answered; NULL */
};
extern const struct ld_mode *const ld_modes[];
extern const size_t ld_mode_count;
extern const struct ld_mode ld_campus, ld_resync;

struct ld_run {
    const struct ld_options *o;
    const struct ld_mode *mode;
    struct ld_shared *shared;
    struct ld_result *result;
    uint32_t process, id; /* id: of the run, in every text */
    struct ld_codec codec;
    struct sockaddr_in address;
    struct pgn_loop *loop;
    struct ld_user *users; /* this worker's */
    uint32_t user_count, first_user;
    struct ld_conv *convs;
    uint32_t conv_count, conv_cap;
    enum ld_phase phase;
    bool running; /* new messages may be sent */
    uint64_t start_us, end_us, phase_ms;
    uint32_t to_connect, connecting; /* the next user to connect; how many are on their way */
    struct pgn_node dirty;
    struct pgn_hook flush, connect;
    struct pgn_timer control, house;
    uint32_t house_slice; /* whose turn it is */
    struct ld_user **heap;
    uint32_t heap_count;
    struct pgn_io alarm; /* timerfd of the heap */
    uint32_t open_audits;
    uint32_t second; /* that second_hist is of */
    struct ld_hist second_hist;
    struct ld_frame frame;
    uint8_t *read_buffer;
    uint64_t random;
};

/* worker.c */
void ld_worker(struct ld_run *r); /* to the end of all phases */
void ld_fatal(struct ld_run *r, const char *format, ...) PGN_PRINTF(2, 3) __attribute__((noreturn));
struct ld_second *ld_second_now(struct ld_run *r); /* of the run; never NULL */
uint64_t ld_random(struct ld_run *r);
double ld_random_unit(struct ld_run *r); /* [0, 1) */
bool ld_all_acked(const struct ld_run *r);

/* conv.c: before anything connects, but for group's ids */
struct ld_conv *ld_conv_new(struct ld_run *r);
struct ld_conv *ld_conv_pair(struct ld_run *r, struct ld_user *a, struct ld_user *b); /* gives both a slot */
uint16_t ld_conv_join(struct ld_conv *c, struct ld_user *u, const char *peer);
struct ld_slot *ld_slot_of(struct ld_user *u, struct ld_str conv);                               /* NULL: none of this run's */
void ld_make_group(struct ld_user *u, uint64_t argument, uint32_t first_member, uint32_t count); /* names of o->people; changed() tells */
void ld_invite(struct ld_user *u, uint64_t argument, const char *conv, uint32_t first_member, uint32_t count);

/* conn.c */
void ld_go_online(struct ld_user *u);
void ld_go_offline(struct ld_user *u);             /* on purpose */
void ld_drop(struct ld_user *u, uint64_t wait_ms); /* connection is of no use: again after back-off (at least wait_ms) */
void ld_online(struct ld_user *u);                 /* hello and sync are done */
struct pgn_buf *ld_scratch(void);                  /* empty: to encode a frame into */
void ld_write(struct ld_user *u, const struct pgn_buf *frame);
void ld_flush_hook(struct pgn_hook *h);

/* talk.c */
void ld_greet(struct ld_user *u);
void ld_frame_in(struct ld_user *u, const void *data, size_t len);
void ld_send(struct ld_user *u, uint16_t slot, uint64_t intended_us);
void ld_sync(struct ld_user *u);
void ld_retry_later(struct ld_user *u, uint64_t after_ms);
void ld_retry_due(struct ld_user *u); /* the timer, while ready */

/* see.c */
void ld_catch_up(struct ld_user *u); /* fetches whatever is wanted and not here */
void ld_page(struct ld_user *u, uint64_t slot, const struct ld_frame *f);
void ld_message_in(struct ld_user *u, const struct ld_message *m);
void ld_own(struct ld_user *u, struct ld_slot *s, uint64_t seq, uint32_t number); /* an own one, acknowledged */

/* house.c */
void ld_house_user(struct ld_user *u, uint64_t now_ms);

/* schedule.c */
void ld_schedule_new(struct ld_run *r);
void ld_schedule(struct ld_user *u, uint64_t first_us, uint64_t period_us); /* mode->due from then on */
void ld_schedule_stop(struct ld_run *r);

/* audit.c */
void ld_audit_begin(struct ld_run *r);
void ld_audit_more(struct ld_run *r); /* keeps the wanted number of fetches going */
bool ld_audit_done(const struct ld_run *r);
void ld_audit_page(struct ld_user *u, uint64_t conv, const struct ld_frame *f); /* f->what is LD_OK_FETCH or LD_ERROR */
void ld_audit_end(struct ld_run *r);

#endif
