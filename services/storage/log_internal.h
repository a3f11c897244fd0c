/* What the files log_*.c share. */
#ifndef STO_LOG_INTERNAL_H
#define STO_LOG_INTERNAL_H

#include "common/base/list.h"
#include "services/storage/log.h"
#include "services/storage/txn.h"

#include <stdatomic.h>

enum { STO_HEADS_MAX = 32768, STO_MENTIONS_MAX = 64, STO_LOG_SCHEMA = 1, STO_REACTION_KINDS_MAX = 32, STO_REACTION_USERS_MAX = 500 };

/* A conversation's state as the committer knows it: the newest, with what the running commit has changed. */
struct sto_head {
    struct pgn_node lru;
    uint64_t num; /* 0: not stored */
    struct sto_state_row st;
    uint64_t round; /* the commit that used it last */
    bool dirty;
    char a[PGN_USER_MAX + 1], b[PGN_USER_MAX + 1]; /* direct: both users */
    char conv[PGN_CONV_MAX + 1];
};

struct sto_counters {
    uint64_t commit, next_num, messages, convs;
    uint64_t jump_from, jump_to; /* cursors in (from, to] were given by a store that a restore replaced */
};

struct sto_log;
void sto_counters_put(struct pgn_buf *out, const struct sto_counters *n);
int sto_counters_read(struct sto_log *log) PGN_MUST_USE; /* those of the engine become log->n */

struct sto_log {
    struct sto_kv *kv;
    struct sto_people *people;
    const char *epoch;
    uint64_t jump_from, jump_to; /* as in the counters, constant after open */
    struct sto_faults faults;
    uint8_t retry_secret[16];
    /* Committer's. */
    struct pgn_map *heads;
    struct pgn_node lru; /* most recently used first */
    struct sto_counters n;
    uint64_t round;
    unsigned writes; /* counted for a planted fault */
    bool broken;
    struct pgn_buf value, row; /* scratch */
    /* For all threads: of the newest durable commit. */
    _Atomic uint64_t committed, messages, convs;
};

/* One group commit. */
struct sto_committing {
    struct sto_log *log;
    struct sto_txn txn;
    struct sto_effects *effects;
    struct pgn_arena *arena;
    uint64_t now_ms;
};
/* One item of it. */
struct sto_doing {
    struct sto_committing *c;
    const Pigeon__CommitBatch *batch;
    const Pigeon__CommitItem *item;
    Pigeon__ItemResult *result;
    struct sto_head *head;
    struct sto_key retry_key;
    uint64_t change; /* commit number of this item */
};

/* Sets the result's text and returns error. */
int sto_refuse(struct sto_doing *d, int error, const char *text);
/* The conversation's state; num is 0 when it is not stored. */
int sto_head_get(struct sto_log *log, struct sto_txn *txn, const char *conv, struct sto_head **ret_head) PGN_MUST_USE;
void sto_heads_drop(struct sto_log *log);
void sto_heads_trim(struct sto_log *log); /* begins a commit: forgets the least used heads */
int sto_member_get(struct sto_doing *d, const char *user, struct sto_member_row *ret_row) PGN_MUST_USE;
void sto_member_put(struct sto_doing *d, const char *user, const struct sto_member_row *row);
void sto_user_conv_put(struct sto_doing *d, const char *user, uint64_t first_seq, bool gone);
void sto_conv_create(struct sto_doing *d, uint8_t kind, const char *title, const Pigeon__Settings *settings);
/* The marks of the item's user: a side of a direct conversation, or those of *member. */
struct sto_marks *sto_own_marks(struct sto_doing *d, struct sto_member_row *member);
/* Gives the message its number, stores it with its retry key, and makes its events. m is completed. */
void sto_append(struct sto_doing *d, Pigeon__Message *m);
void sto_publish_message(struct sto_doing *d, uint64_t seq, uint64_t commit, struct sto_slice message);
void sto_publish(struct sto_doing *d, const Pigeon__Event *event); /* on the item's subjects */

void sto_publish_changed(struct sto_doing *d, uint64_t version); /* the same: the conversation changed, or is new */
void sto_answer_sent(struct sto_doing *d, uint64_t seq, const char *message_id, uint64_t sent_at, const char *conv);

/* log_append.c: one item; 0, or its error with nothing changed. */
int sto_item_append(struct sto_doing *d, const Pigeon__Append *a);
int sto_item_mark(struct sto_doing *d, const Pigeon__Mark *in);
/* log_operation.c: recall, edit, react on their target; log_change.c: groups. Both return 0, or the item's error with nothing changed. */
/* Counts the files that body shows to the conversation, or (more false) no longer shows. Only what is no edit has any. */
int sto_files_link(struct sto_doing *d, const Pigeon__Body *body, const char *user, bool more) PGN_MUST_USE;
int sto_operation_apply(struct sto_doing *d, const Pigeon__Append *append, uint64_t first_seq, uint64_t op_seq);
int sto_group_change(struct sto_doing *d, const Pigeon__GroupChange *change);
/* Whether somebody came after this number of the item's conversation, or that is not known cheaply. */
bool sto_members_came(struct sto_doing *d, uint64_t seq);
void sto_memberships_publish(struct sto_doing *d, const Pigeon__GroupChange *change);

char *sto_chars(const char *constant); /* for protobuf-c's char * fields; never written through */
Pigeon__Message *sto_message_unpack(struct pgn_arena *arena, struct sto_slice packed);

#endif
