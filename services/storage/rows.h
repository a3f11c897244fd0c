/*
 * Keys and values of the message log: their one home. Numbers in keys are big-endian, in values varints; a value begins with
 * a format byte. Decoders are bounds-checked and answer false for what they don't understand. Stateless.
 *
 *   main   c<conv id>                     sto_conv_row      names, title, settings
 *          s<num>                         sto_state_row     what changes with each message
 *          m<num><user>                   sto_member_row    groups only
 *          u<user> 0 <num>                sto_user_row      the user's conversations
 *          f<file id> 0 <user> 0 <conv>   u32: so many of user's messages there show this file (empty: one)
 *          n<num>                         conv id
 *          !<name>                        store-wide values
 *   msg    <num><seq>                     sto_msg_row
 *   retry  <128-bit keyed hash>           num, seq, seconds since 1970
 */
#ifndef STO_ROWS_H
#define STO_ROWS_H

#include "common/base/buf.h"
#include "common/base/id.h"
#include "services/storage/kv.h"

#include <stdbool.h>
#include <stdint.h>

enum { STO_KEY_MAX = 192, STO_RETRY_KEY_BYTES = 16, STO_DIRECT = 1, STO_GROUP = 2 };
/* A retry key of a second before this one (2020) is of a board without a clock: its age is unknown, so it is kept. */
enum { STO_CLOCK_WAS_SET_S = 1577836800 };

/* A key under construction, on the stack. */
struct sto_key {
    uint8_t data[STO_KEY_MAX];
    size_t len;
};
static inline struct sto_slice sto_key_slice(const struct sto_key *k)
{
    return (struct sto_slice){k->data, k->len};
}

struct sto_key sto_key_conv(const char *conv);
struct sto_key sto_key_state(uint64_t num);
struct sto_key sto_key_num(uint64_t num);
struct sto_key sto_key_member(uint64_t num, const char *user); /* user "": the first of the conversation's */
struct sto_key sto_key_user(const char *user, uint64_t num);
struct sto_key sto_key_file(const char *file, const char *user, const char *conv);
struct sto_key sto_key_file_prefix(const char *file);
uint32_t sto_file_links_get(struct sto_slice value);
struct sto_slice sto_file_links_put(uint8_t bytes[4], uint32_t count);
struct sto_key sto_key_meta(const char *name);
struct sto_key sto_key_msg(uint64_t num, uint64_t seq);
/* The first key behind all that begin with this one. */
struct sto_key sto_key_after(const struct sto_key *prefix);
uint64_t sto_u64be(const void *bytes);

/* One member's watermarks. */
struct sto_marks {
    uint64_t read, read_ops; /* read_ops: operations among 1..read */
    uint64_t delivered;
    uint64_t mentioned; /* newest number that names this member */
};
struct sto_conv_row {
    uint64_t num, created_at;
    uint8_t kind;
    struct sto_slice title, settings; /* borrowed; settings: packed Settings */
};
struct sto_state_row {
    uint64_t version, last_seq, ops, change, mention_all, muted_until;
    uint32_t members;
    uint8_t kind;
    struct sto_marks side[2]; /* direct only: in the order of the id */
};
struct sto_member_row {
    uint64_t first_seq, muted_until, joined_at, change;
    struct sto_marks marks;
    uint8_t role;
    bool gone;
};
struct sto_user_row {
    uint8_t kind;
    bool gone;
    struct sto_slice conv;
    uint64_t first_seq; /* as in the member's row; 0 in one written before this was kept here */
};
enum { STO_EDITS_MAX = 64 };
struct sto_msg_row {
    uint64_t commit, ops;
    uint32_t edits;               /* operations that edited this message */
    uint64_t edit[STO_EDITS_MAX]; /* their numbers */
    struct sto_slice message;     /* packed Message without conv and seq; borrowed */
};
struct sto_retry_row {
    uint64_t num, seq;
    uint32_t at_s;
};

void sto_conv_row_put(struct pgn_buf *out, const struct sto_conv_row *row);
bool sto_conv_row_get(struct sto_slice value, struct sto_conv_row *ret_row);
void sto_state_row_put(struct pgn_buf *out, const struct sto_state_row *row);
bool sto_state_row_get(struct sto_slice value, struct sto_state_row *ret_row);
void sto_member_row_put(struct pgn_buf *out, const struct sto_member_row *row);
bool sto_member_row_get(struct sto_slice value, struct sto_member_row *ret_row);
void sto_user_row_put(struct pgn_buf *out, const struct sto_user_row *row);
bool sto_user_row_get(struct sto_slice value, struct sto_user_row *ret_row);
void sto_msg_row_put(struct pgn_buf *out, const struct sto_msg_row *row);
bool sto_msg_row_get(struct sto_slice value, struct sto_msg_row *ret_row);
void sto_retry_row_put(struct pgn_buf *out, const struct sto_retry_row *row);
bool sto_retry_row_get(struct sto_slice value, struct sto_retry_row *ret_row);

/* Protobuf by hand, where encoding once and wrapping it saves a second pass. */
void sto_put_varint(struct pgn_buf *out, uint64_t v);
size_t sto_varint_len(uint64_t v);
void sto_put_field(struct pgn_buf *out, uint32_t field, struct sto_slice bytes);
void sto_put_field_u64(struct pgn_buf *out, uint32_t field, uint64_t v); /* nothing when zero */

#endif
