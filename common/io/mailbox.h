/*
 * From any thread to one loop: a bounded queue with one eventfd wake-up per burst. Entries are handled on
 * the loop in the order posted. The only lock in Pigeon's own code besides the worker pool's.
 * Overflow policy: pgn_mailbox_post refuses (the caller drops, answers `overloaded` or waits);
 * pgn_mailbox_post_wait blocks the calling thread (never the loop's own).
 */
#ifndef PGN_IO_MAILBOX_H
#define PGN_IO_MAILBOX_H

#include "common/base/compiler.h"
#include "common/base/list.h"
#include "common/io/loop.h"

#include <stddef.h>

struct pgn_mailbox;
struct pgn_mail {
    struct pgn_node node;
    void (*on_loop)(struct pgn_mail *mail); /* owns the mail from here on; runs on the loop's thread */
};

struct pgn_mailbox *pgn_mailbox_new(struct pgn_loop *loop, size_t limit);
/* From the loop's thread, when no thread posts any more. Mails that are still in it are handled first. */
void pgn_mailbox_free(struct pgn_mailbox **mb);
int pgn_mailbox_post(struct pgn_mailbox *mb, struct pgn_mail *mail) PGN_MUST_USE; /* 0 or PGN_E_FULL: mail is still the caller's */
void pgn_mailbox_post_wait(struct pgn_mailbox *mb, struct pgn_mail *mail);

#endif
