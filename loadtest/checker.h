/*
 * What every run checks: nothing acknowledged is lost, nothing is stored twice, numbers are dense and the same for all who
 * read, a sender's order is kept. Pure bookkeeping, no input or output.
 *
 *   ld_view  one reader of one conversation: takes numbers densely, holds back what came early, sums up what it saw
 *   ld_log   all that one sender sent, by its own numbers from 0
 *   ld_audit a conversation's history as the server gives it afterwards, compared with logs and views
 */
#ifndef LOADTEST_CHECKER_H
#define LOADTEST_CHECKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- a reader ---- */

struct ld_held {
    uint64_t seq, token;
};
struct ld_view {
    uint64_t start, last; /* seen: all numbers in (start, last] */
    uint64_t sum;         /* of their tokens */
    struct ld_held *held; /* came early, ascending; freed by ld_view_release */
    uint32_t held_count, held_cap;
};
enum ld_seen { LD_NEW, LD_AGAIN, LD_EARLY };
enum { LD_HELD_MAX = 4096 };

/* What stands under a number: the same for every reader. Not from this run: sender LD_NOBODY, number 0. */
#define LD_NOBODY UINT32_MAX
uint64_t ld_token(uint64_t seq, uint32_t sender, uint32_t number);

void ld_view_start(struct ld_view *v, uint64_t last); /* everything up to last is known already */
/*
 * LD_NEW: it was the next one (and what was held behind it is seen now too; last tells); LD_AGAIN: seen or held before;
 * LD_EARLY: there is a gap before it, it is held (when more than LD_HELD_MAX are, it is forgotten: a fetch brings it).
 */
enum ld_seen ld_view_offer(struct ld_view *v, uint64_t seq, uint64_t token);
void ld_view_release(struct ld_view *v);

/* ---- a sender ---- */

enum ld_sent_state { LD_PENDING, LD_ACKED, LD_REFUSED };
struct ld_sent {
    uint64_t intended_us;
    uint32_t seq;  /* once acknowledged */
    uint16_t slot; /* the sender's own number of the conversation */
    uint8_t state;
    bool seen : 1;    /* by the audit */
    bool retried : 1; /* after a refusal: it may rightly stand behind later ones */
    bool on_wire : 1;
    bool waits : 1; /* for its retry */
};
struct ld_log {
    struct ld_sent *sent;
    uint32_t count, cap;
    uint32_t first_open; /* all before it are not pending */
    uint32_t open;       /* pending */
};
struct ld_sent *ld_log_add(struct ld_log *log, uint16_t slot, uint64_t intended_us); /* its number is count - 1 */
/* False when that number was not pending (a second answer); a different seq for it counts into *forked. */
bool ld_log_acked(struct ld_log *log, uint32_t number, uint64_t seq, uint64_t *forked);
void ld_log_refused(struct ld_log *log, uint32_t number);
void ld_log_release(struct ld_log *log);

/* ---- afterwards ---- */

struct ld_faults {
    uint64_t lost;        /* acknowledged, but not in the history */
    uint64_t undelivered; /* in the history, but a reader never got it */
    uint64_t doubled;     /* in the history more than once */
    uint64_t disordered;  /* gaps in the numbers, another number than acknowledged, a sender's order broken */
    uint64_t forked;      /* a reader saw something else under a number than the history has */
};

struct ld_audit {
    uint64_t start, at; /* audited: (start, at] */
    uint64_t *sums;     /* of tokens up to start + i */
    size_t cap;
    struct ld_faults *faults;
};
void ld_audit_start(struct ld_audit *a, uint64_t start, struct ld_faults *faults);
/* The next message of the history, ascending. */
void ld_audit_message(struct ld_audit *a, uint64_t seq, uint32_t sender, uint32_t number);
/* The same message, when its sender's log is here; *last is that sender's last number in this conversation plus one (0: none). */
void ld_audit_sent(struct ld_audit *a, struct ld_log *log, uint32_t number, uint64_t seq, uint32_t *last);
void ld_audit_view(struct ld_audit *a, const struct ld_view *v); /* when the history is complete */
void ld_audit_release(struct ld_audit *a);
/* When all conversations are audited. Gives how many of the log were acknowledged. */
uint64_t ld_audit_log(const struct ld_log *log, struct ld_faults *faults);

#endif
