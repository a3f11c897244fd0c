/*
 * A partition: the stream of batches of those conversations whose ids hash to it. At most one batch is in flight, so that a
 * sender's order holds whichever instance answers; what comes meanwhile waits, and batches grow with load. Where answers take long
 * (a slow disk), the next batch waits a little until it is as large as the last one: those who were just answered write again, and
 * would else wait for the answer to the few who were there before them.
 *
 * An item leaves by exactly one answer:
 *   stored or refused        what message or storage said
 *   STALE                    again, in front of everything that came later (at most GW_STALE_MAX times)
 *   UNAVAILABLE              again after a pause, until the item's deadline: nothing was stored
 *   no answer in resend_ms   again under the same retry key, and the item is in doubt: it may have been stored
 *   too large for the bus    alone in the next batch, then refused
 *   deadline                 `uncertain` when in doubt, else `unavailable`; time in which this process itself was stopped does
 *                            not count (gw_part_defer)
 * A refusal of an item in doubt is answered `uncertain`: the first try may have been stored (reliability.md, G7).
 *
 * Pure logic: publishing and answering are the owner's (gw_batch.c), time is given. Loop's thread.
 */
#ifndef GW_PART_H
#define GW_PART_H

#include "common/base/buf.h"
#include "common/base/list.h"
#include "common/proto/pb.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    GW_PART_MAX = 1024,      /* partitions; batch numbers name theirs modulo this */
    GW_BATCH_ITEMS = 512,    /* of one batch at most */
    GW_BATCH_BYTES = 262144, /* of one batch at most (but one item always fits) */
    GW_PART_QUEUE = 4096,    /* items waiting for a partition; more are refused: `overloaded` */
    GW_STALE_MAX = 16,
    GW_PAUSE_MS = 100,   /* after UNAVAILABLE */
    GW_GATHER_SHARE = 8, /* of the time that an answer took the next batch waits at most; of less than 8 ms nothing */
    GW_GATHER_MS_MAX = 10,
};

/* What an item is answered with, and to whom. */
struct gw_item {
    struct pgn_node node;
    uint64_t read_us;          /* when it was read from the socket */
    uint64_t deadline_ms;      /* then the client is told */
    uint64_t id;               /* of the client's frame */
    uint32_t slot, generation; /* the connection (gw_conn.h) */
    uint32_t index;            /* its name towards message and storage, the same at every try */
    uint8_t op;                /* Pigeon__ClientFrame__OpCase */
    uint8_t stale;             /* how often */
    bool doubt;                /* a try went unanswered */
    bool again;                /* answered with STALE or UNAVAILABLE: waits for the rest of its batch */
    uint32_t len;
    uint8_t data[]; /* a packed BatchItem, without its index */
};

struct gw_part;
struct gw_part_ops {
    int (*publish)(void *ctx, const struct pgn_buf *batch);
    /* Takes the item. result is NULL unless error is 0; text may be NULL. */
    void (*answer_take)(void *ctx, struct gw_item *item, int error, const char *text, uint64_t retry_after_ms,
                        const Pigeon__ItemResult *result);
    void (*resent)(void *ctx, size_t items); /* for the metrics */
    void *ctx;
    uint64_t resend_ms;
};

struct gw_part {
    const struct gw_part_ops *ops;
    struct pgn_node queue;  /* waiting, in order */
    struct pgn_node flying; /* of the batch in flight that have no answer yet, in order */
    uint32_t queued, flying_count;
    uint32_t number; /* of the partition */
    uint32_t next_index;
    uint64_t batch;   /* in flight; 0: none */
    uint64_t batches; /* made so far */
    uint64_t sent_ms;
    uint64_t pause_until_ms;
    uint64_t gather_until_ms; /* unless all are there that may be expected: */
    uint32_t expected;        /* who waited when the last batch was answered, and who was answered by it */
    uint32_t sent_items;
    bool alone; /* the next batch has one item: more were too large together */
};

void gw_part_init(struct gw_part *p, uint32_t number, const struct gw_part_ops *ops);
void gw_part_release(struct gw_part *p); /* frees the items without answering */

/* A new item of len bytes, data uninitialised. */
struct gw_item *gw_item_new(size_t len);
/* Takes the item when it returns 0; PGN_E_OVERLOADED: it is still the caller's. */
int gw_part_add(struct gw_part *p, struct gw_item *item) PGN_MUST_USE;
/* Publishes the next batch when none is in flight; returns the time at which to come back because it gathers still, or 0. */
uint64_t gw_part_flush(struct gw_part *p, uint64_t now_ms);
/* An answer to one of its batches; when it was the last one, the next flush goes on. Answers to older batches count only when they say that
 * it was stored. */
void gw_part_result(struct gw_part *p, uint64_t batch, const Pigeon__ItemResult *result, uint64_t now_ms);
/* This process did not run for stopped_ms: all deadlines move by as much. Otherwise it would, on waking, give up what it holds and go on
 * with what waits behind it in the sockets: the client, connected elsewhere by now, sees no refusal, repeats the first and finds it behind
 * the second. */
void gw_part_defer(struct gw_part *p, uint64_t stopped_ms);
/* Deadlines and unanswered batches; every resend_ms / 4 or so. */
void gw_part_tick(struct gw_part *p, uint64_t now_ms);

static inline bool gw_part_idle(const struct gw_part *p)
{
    return !p->queued && !p->batch;
}

#endif
