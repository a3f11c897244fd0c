/*
 * After a repair rows may be missing anywhere. Makes the log consistent again from what is there: every conversation's last
 * number is at least its newest message's, groups count the members whose rows are there, counters are above everything that was ever
 * given, and everybody is told of each conversation anew. Start-up only.
 */
#include "common/base/error.h"
#include "services/storage/log_reader.h"

#include <stdlib.h>
#include <string.h>

enum { REBUILD_GAP = 1000000 }; /* commit numbers that may have been given and lost */

struct found {
    uint64_t num, last_seq, count, ops;
};
struct rebuilding {
    struct sto_kv *kv;
    struct sto_view *view;
    struct found *all; /* by number, as the scan comes */
    size_t count, cap;
    struct sto_counters n;
    uint64_t changes; /* so many conversations have a change of their own above the gap */
    uint32_t members; /* counted in the group at hand */
    struct pgn_buf value, out;
    struct sto_rebuilt *result;
    int error;
};

static bool message_visit(void *ctx, struct sto_slice key, struct sto_slice value)
{
    struct rebuilding *r = ctx;
    struct sto_msg_row row;
    uint64_t num = sto_u64be(key.data), seq = sto_u64be((const uint8_t *)key.data + 8);

    if (!sto_msg_row_get(value, &row))
        return true;
    if (r->count == 0 || r->all[r->count - 1].num != num) {
        if (r->count == r->cap) {
            r->cap = r->cap ? r->cap * 2 : 1024;
            r->all = pgn_realloc(r->all, r->cap * sizeof *r->all);
        }
        r->all[r->count++] = (struct found){.num = num};
    }
    struct found *f = &r->all[r->count - 1];
    f->last_seq = seq;
    f->ops = row.ops;
    f->count++;
    r->n.messages++;
    if (row.commit > r->n.commit)
        r->n.commit = row.commit;
    if (num > r->n.next_num)
        r->n.next_num = num;
    return true;
}

static int put(struct rebuilding *r, const struct sto_key *key)
{
    struct sto_kv_put one = {STO_CF_MAIN, false, sto_key_slice(key), sto_slice_buf(&r->out)};

    return r->kv->ops->write(r->kv, &one, 1, false);
}

static const struct found *found_of(const struct rebuilding *r, uint64_t num)
{
    size_t low = 0, high = r->count;

    while (low < high) {
        size_t mid = (low + high) / 2;

        if (r->all[mid].num < num)
            low = mid + 1;
        else
            high = mid;
    }
    return low < r->count && r->all[low].num == num ? &r->all[low] : NULL;
}

static bool member_visit(void *ctx, struct sto_slice key, struct sto_slice value)
{
    struct rebuilding *r = ctx;
    struct sto_member_row row;

    (void)key;
    r->members += sto_member_row_get(value, &row) && !row.gone;
    return true;
}

/* Whoever counts fewer than there are leaves out the last of them (log_members.c). */
static uint32_t members_count(struct rebuilding *r, uint64_t num)
{
    struct sto_key from = sto_key_member(num, ""), to = sto_key_after(&from);

    r->members = 0;
    r->error = r->kv->ops->scan(r->kv, r->view, STO_CF_MAIN, sto_key_slice(&from), sto_key_slice(&to), false, member_visit, r);
    return r->members;
}

/* Each conversation: its state is made again, or raised to its newest message. */
static bool conv_visit(void *ctx, struct sto_slice key, struct sto_slice value)
{
    struct rebuilding *r = ctx;
    struct sto_conv_row row;
    struct sto_state_row st = {0};

    (void)key;
    if (!sto_conv_row_get(value, &row))
        return true;
    const struct found *f = found_of(r, row.num);
    struct sto_key state = sto_key_state(row.num);
    if (r->kv->ops->get(r->kv, r->view, STO_CF_MAIN, sto_key_slice(&state), &r->value) != 0 ||
        !sto_state_row_get(sto_slice_buf(&r->value), &st))
        st = (struct sto_state_row){.kind = row.kind, .version = REBUILD_GAP};
    if (f && f->last_seq > st.last_seq) {
        st.last_seq = f->last_seq;
        st.ops = f->ops;
    }
    if (row.kind == STO_GROUP)
        st.members = members_count(r, row.num);
    st.change = r->n.commit + REBUILD_GAP + ++r->changes; /* each one's own: a page of a sync ends between two */
    if (row.num > r->n.next_num)
        r->n.next_num = row.num;
    r->n.convs++;
    r->result->missing += st.last_seq - (f ? f->count : 0);
    pgn_buf_clear(&r->out);
    sto_state_row_put(&r->out, &st);
    if (!r->error)
        r->error = put(r, &state);
    return r->error == 0;
}

/* Numbers of conversations whose messages are all gone may still be in members' and users' rows. */
static bool number_visit(void *ctx, struct sto_slice key, struct sto_slice value)
{
    struct rebuilding *r = ctx;
    uint64_t num = key.len >= 9 ? sto_u64be((const uint8_t *)key.data + 1) : 0;

    (void)value;
    if (num > r->n.next_num)
        r->n.next_num = num;
    return true;
}

static bool state_visit(void *ctx, struct sto_slice key, struct sto_slice value)
{
    struct rebuilding *r = ctx;
    struct sto_state_row st;

    if (sto_state_row_get(value, &st) && st.change > r->n.commit)
        r->n.commit = st.change;
    return number_visit(ctx, key, value);
}

static int scan(struct rebuilding *r, enum sto_cf cf, char letter, sto_kv_visit *visit)
{
    struct sto_key from = {.data = {(uint8_t)letter}, .len = cf == STO_CF_MSG ? 0 : 1}, to = from;

    if (cf == STO_CF_MSG) {
        memset(to.data, 0xff, 17);
        to.len = 17;
    } else {
        to.data[0]++;
    }
    int error = r->kv->ops->scan(r->kv, r->view, cf, sto_key_slice(&from), sto_key_slice(&to), false, visit, r);
    return error ? error : r->error;
}

int sto_log_rebuild(struct sto_kv *kv, struct sto_rebuilt *ret_rebuilt)
{
    struct rebuilding r = {.kv = kv, .result = ret_rebuilt};
    struct sto_key key = sto_key_meta("counters");

    r.view = kv->ops->view_begin(kv);
    int error = scan(&r, STO_CF_MSG, 0, message_visit);
    if (!error)
        error = scan(&r, STO_CF_MAIN, 'n', number_visit);
    if (!error)
        error = scan(&r, STO_CF_MAIN, 's', state_visit);
    if (!error)
        error = scan(&r, STO_CF_MAIN, 'c', conv_visit);
    kv->ops->view_end(kv, r.view);
    r.n.commit += REBUILD_GAP + r.changes;
    if (!error) {
        pgn_buf_clear(&r.out);
        sto_counters_put(&r.out, &r.n);
        error = put(&r, &key);
    }
    ret_rebuilt->messages = r.n.messages;
    ret_rebuilt->convs = r.n.convs;
    free(r.all);
    pgn_buf_release(&r.value);
    pgn_buf_release(&r.out);
    return error;
}
