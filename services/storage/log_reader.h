/* One read of the message log: a view and its scratch memory. Any thread; lives as long as the call. */
#ifndef STO_LOG_READER_H
#define STO_LOG_READER_H

#include "services/storage/log_internal.h"

struct sto_reader {
    struct sto_log *log;
    struct sto_view *view;
    struct pgn_arena *arena;
    struct pgn_buf value;
    size_t budget; /* bytes that the answer may still take */
};
/* A stored conversation. */
struct sto_found {
    struct sto_conv_row conv; /* title and settings live in the arena */
    struct sto_state_row st;
    uint64_t version; /* current: of a direct one, that of its users */
    char a[PGN_USER_MAX + 1], b[PGN_USER_MAX + 1];
};

void sto_reader_begin(struct sto_reader *r, struct sto_log *log, struct pgn_arena *arena, size_t budget_bytes);
void sto_reader_end(struct sto_reader *r);
/* The error becomes the reply's. */
int sto_reply_error(Pigeon__Reply *ret, int error, const char *text);
/* Takes bytes from the budget; false when they don't fit any more. */
bool sto_budget(struct sto_reader *r, size_t bytes);
int sto_find(struct sto_reader *r, const char *conv, struct sto_found *ret_found) PGN_MUST_USE; /* PGN_E_NOT_FOUND */
int sto_find_member(struct sto_reader *r, uint64_t num, const char *user,
                    struct sto_member_row *ret_row) PGN_MUST_USE;              /* PGN_E_NOT_FOUND, also when gone */
Pigeon__Settings *sto_settings(struct sto_reader *r, struct sto_slice packed); /* NULL when there are none */
/* A stored message, complete. NULL when it cannot be read. */
Pigeon__Message *sto_message_of(struct sto_reader *r, const char *conv, uint64_t seq, struct sto_slice row_value);
int sto_scan_members(struct sto_reader *r, uint64_t num, const char *from_user, sto_kv_visit *visit, void *ctx) PGN_MUST_USE;
enum { STO_MEMBER_KEY_USER = 9 }; /* where the user begins in a member's key */
char *sto_arena_text(struct pgn_arena *arena, const void *data, size_t len);

/* log_sync.c */
int sto_read_sync(struct sto_reader *r, const Pigeon__SyncUser *in, Pigeon__Reply *ret) PGN_MUST_USE;
/* A cursor's commit number, 0 for one of before a restore; the newest of this view. PGN_E_INVALID: malformed. */
int sto_cursor(struct sto_reader *r, const char *text, uint64_t *ret_cursor, uint64_t *ret_newest) PGN_MUST_USE;
/* log_since.c: the first number of [low, high) whose message was committed after the cursor; high or above: there is none. */
int sto_seq_above(struct sto_reader *r, uint64_t num, uint64_t low, uint64_t high, uint64_t cursor, uint64_t *ret_seq) PGN_MUST_USE;
/* log_members.c */
int sto_read_policies(struct sto_reader *r, const Pigeon__PolicyGet *in, Pigeon__Reply *ret) PGN_MUST_USE;
int sto_read_members(struct sto_reader *r, const Pigeon__Members *in, Pigeon__Reply *ret) PGN_MUST_USE;
int sto_read_receipts(struct sto_reader *r, const Pigeon__Receipts *in, Pigeon__Reply *ret) PGN_MUST_USE;

/* Ready parts of an answer. */
Pigeon__Ok *sto_reply_ok(struct pgn_arena *arena, Pigeon__Reply *ret);
#define STO_NEW(arena, ctype, prefix, name)                                                                                                \
    ctype *name = pgn_arena_alloc(arena, sizeof(ctype));                                                                                   \
    prefix##__init(name)

#endif
