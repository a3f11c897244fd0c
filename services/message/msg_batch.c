/* What becomes of a batch's items; see msg_batch.h. No I/O. */
#include "services/message/msg_batch.h"

#include "common/base/error.h"
#include "common/base/id.h"
#include "common/proto/subjects.h"
#include "services/message/msg.h"
#include "services/message/msg_check.h"

#include <string.h>

void msg_batch_refuse(struct msg_batch *b, struct msg_item *item, int error, const char *text)
{
    if (item->error)
        return;
    item->error = error;
    item->text = text ? text : pgn_error_info(error)->text;
    b->refused++;
}

/* ---- form ---- */

/* The conversation of a send: given, or the direct one with a user. */
static int target_conv(const Pigeon__Target *to, const char *user, struct pgn_arena *arena, const char **ret_conv, const char **ret_text)
{
    if (to && to->to_case == PIGEON__TARGET__TO_CONV) {
        *ret_conv = to->conv;
        return 0; /* checked with all others */
    }
    *ret_text = "to.user is not a user id";
    if (!to || to->to_case != PIGEON__TARGET__TO_USER) {
        *ret_text = "to is missing";
        return PGN_E_INVALID;
    }
    if (!pgn_user_valid(to->user))
        return PGN_E_INVALID;
    char *conv = pgn_arena_alloc(arena, PGN_CONV_MAX + 1);
    pgn_conv_direct(user, to->user, conv);
    *ret_conv = conv;
    return 0;
}

static int prepare_send(struct msg_batch *b, struct msg_item *item, const struct msg_batch_limits *limits, const char **ret_text)
{
    const Pigeon__Send *send = item->in->send;
    item->action = MSG_SEND;
    int e = msg_check_send(send, limits->body_bytes, ret_text);
    return e ? e : target_conv(send->to, item->in->user, b->arena, &item->conv, ret_text);
}

static int prepare_change(struct msg_item *item, const struct msg_batch_limits *limits, const char **ret_text)
{
    const Pigeon__BatchItem *in = item->in;
    *ret_text = "seq is missing";
    if (in->what_case == PIGEON__BATCH_ITEM__WHAT_RECALL) {
        item->action = MSG_RECALL;
        item->conv = in->recall->conv;
        if (in->recall->seq == 0)
            return PGN_E_INVALID;
    } else if (in->what_case == PIGEON__BATCH_ITEM__WHAT_EDIT) {
        item->action = MSG_EDIT;
        item->conv = in->edit->conv;
        int e = msg_check_edit(in->edit, limits->body_bytes, ret_text);
        if (e)
            return e;
    } else {
        item->action = MSG_REACT;
        item->conv = in->react->conv;
        int e = msg_check_react(in->react, ret_text);
        if (e)
            return e;
    }
    *ret_text = "the item has no client_id";
    return pgn_client_id_valid(in->client_id) ? 0 : PGN_E_INVALID;
}

static int prepare_item(struct msg_batch *b, struct msg_item *item, const struct msg_batch_limits *limits, const char **ret_text)
{
    const Pigeon__BatchItem *in = item->in;
    int e = 0;
    if (!pgn_user_valid(in->user) || !pgn_device_valid(in->device)) {
        *ret_text = "no valid sender";
        return PGN_E_UNAUTHENTICATED;
    }
    switch (in->what_case) {
    case PIGEON__BATCH_ITEM__WHAT_SEND:
        e = prepare_send(b, item, limits, ret_text);
        break;
    case PIGEON__BATCH_ITEM__WHAT_RECALL:
    case PIGEON__BATCH_ITEM__WHAT_EDIT:
    case PIGEON__BATCH_ITEM__WHAT_REACT:
        e = prepare_change(item, limits, ret_text);
        break;
    case PIGEON__BATCH_ITEM__WHAT_MARK:
        item->action = MSG_MARK;
        item->conv = in->mark->conv;
        break;
    case PIGEON__BATCH_ITEM__WHAT__NOT_SET:
    default:
        *ret_text = "an item without operation";
        return PGN_E_INVALID;
    }
    if (!e && !pgn_conv_valid(item->conv)) {
        *ret_text = "not a conversation id";
        e = PGN_E_INVALID;
    }
    return e;
}

bool msg_batch_prepare(struct msg_batch *b, const void *data, size_t len, const struct msg_batch_limits *limits)
{
    b->in = PGN_PB_UNPACK(Pigeon__Batch, pigeon__batch, b->arena, data, len);
    if (!b->in)
        return false;
    b->count = b->in->n_items;
    b->items = pgn_arena_alloc(b->arena, b->count * sizeof *b->items + 1);
    for (size_t i = 0; i < b->count; i++) {
        struct msg_item *item = &b->items[i];
        const char *text = NULL;
        *item = (struct msg_item){.in = b->in->items[i]};
        int e = prepare_item(b, item, limits, &text);
        if (e)
            msg_batch_refuse(b, item, e, text);
    }
    return true;
}

/* ---- rules ---- */

void msg_batch_decide(struct msg_batch *b, uint64_t now_ms)
{
    struct msg_verdict verdict = {""};
    for (size_t i = 0; i < b->count; i++) {
        struct msg_item *item = &b->items[i];
        if (item->error)
            continue;
        const struct msg_policy *p = item->want.policy;
        int e = msg_rules_check(p, item->in->user, item->action, now_ms, &verdict);
        if (!e && item->action == MSG_SEND && item->in->send->n_mentions > 0)
            e = msg_rules_mentions(p, item->in->user, item->in->send->mentions, item->in->send->n_mentions, &verdict);
        if (e) {
            item->refusal = e;
            item->text = pgn_arena_strdup(b->arena, verdict.text);
        }
    }
}

/* ---- the commit ---- */

/* The table of subjects: rows are found again by hash. */
struct subjects {
    struct pgn_arena *arena;
    char **rows;
    uint32_t *slots; /* row + 1; 0: free */
    uint32_t mask, count;
};

static uint32_t subject_row(struct subjects *t, const char *prefix, const char *id)
{
    size_t prefix_len = strlen(prefix), len = strlen(id);
    uint32_t at = (uint32_t)pgn_hash(id, len) & t->mask;
    for (; t->slots[at]; at = (at + 1) & t->mask) {
        const char *row = t->rows[t->slots[at] - 1];
        if (strcmp(row + prefix_len, id) == 0 && memcmp(row, prefix, prefix_len) == 0)
            return t->slots[at] - 1;
    }
    char *row = pgn_arena_alloc(t->arena, prefix_len + len + 1);
    memcpy(row, prefix, prefix_len);
    memcpy(row + prefix_len, id, len + 1);
    t->rows[t->count++] = row;
    t->slots[at] = t->count;
    return t->count - 1;
}

static void subjects_init(struct subjects *t, struct pgn_arena *arena, size_t items)
{
    uint32_t size = 8;
    while (size < items * 4)
        size *= 2;
    t->arena = arena;
    t->rows = pgn_arena_alloc(arena, items * 2 * sizeof *t->rows + 1);
    t->slots = pgn_arena_alloc(arena, size * sizeof *t->slots);
    memset(t->slots, 0, size * sizeof *t->slots);
    t->mask = size - 1;
    t->count = 0;
}

/* Where the item is to appear: both sides of a direct conversation, or the group; a mark in a large group only the user's own. */
static void set_subjects(struct subjects *t, Pigeon__CommitItem *out, const struct msg_policy *p, enum msg_action action)
{
    out->subjects = pgn_arena_alloc(t->arena, 2 * sizeof *out->subjects);
    if (!p->direct) {
        bool large = action == MSG_MARK && p->members_count > MSG_MARK_MEMBERS;
        out->subjects[out->n_subjects++] = large ? subject_row(t, PGN_SUBJ_USER, out->user) : subject_row(t, PGN_SUBJ_CONV, p->conv);
        return;
    }
    for (uint32_t i = 0; i < p->members_count && i < 2; i++)
        out->subjects[out->n_subjects++] = subject_row(t, PGN_SUBJ_USER, msg_policy_name(p, &p->members[i]));
}

static Pigeon__Operation *operation_of(const Pigeon__BatchItem *in, struct pgn_arena *arena)
{
    static const Pigeon__Operation init = PIGEON__OPERATION__INIT;
    Pigeon__Operation *op = pgn_arena_alloc(arena, sizeof *op);
    *op = init;
    if (in->what_case == PIGEON__BATCH_ITEM__WHAT_RECALL) {
        op->op = PIGEON__OP__recall;
        op->seq = in->recall->seq;
    } else if (in->what_case == PIGEON__BATCH_ITEM__WHAT_EDIT) {
        op->op = PIGEON__OP__edit;
        op->seq = in->edit->seq;
        op->body = in->edit->body;
    } else {
        op->op = PIGEON__OP__react;
        op->seq = in->react->seq;
        op->emoji = in->react->emoji;
        op->on = in->react->on;
    }
    return op;
}

static Pigeon__Append *append_of(const struct msg_item *item, struct pgn_arena *arena)
{
    static const Pigeon__Append init = PIGEON__APPEND__INIT;
    Pigeon__Append *a = pgn_arena_alloc(arena, sizeof *a);
    const struct msg_policy *p = item->want.policy;
    *a = init;
    if (item->action == MSG_SEND) {
        Pigeon__Send *send = item->in->send;
        a->client_id = send->client_id;
        a->kind = send->kind == PIGEON__KIND__kind_unset ? PIGEON__KIND__text : send->kind;
        a->body = send->body;
        a->reply_to = send->reply_to;
        a->n_mentions = send->n_mentions;
        a->mentions = send->mentions;
        a->create_direct = p->direct && !p->stored;
        return a;
    }
    a->client_id = item->in->client_id;
    a->kind = PIGEON__KIND__operation;
    a->operation = operation_of(item->in, arena);
    a->own_target = msg_rules_own_only(p, item->in->user, item->action);
    return a;
}

static Pigeon__ItemResult *refusal_of(const struct msg_item *item, struct pgn_arena *arena)
{
    Pigeon__ItemResult *r = pgn_arena_alloc(arena, sizeof *r);
    pigeon__item_result__init(r);
    r->error = item->refusal;
    r->text = pgn_arena_strdup(arena, item->text);
    return r;
}

static void fill_commit(struct msg_batch *b, const struct msg_item *item, struct subjects *t, Pigeon__CommitItem *out)
{
    static const Pigeon__CommitItem init = PIGEON__COMMIT_ITEM__INIT;
    const struct msg_policy *p = item->want.policy;
    *out = init;
    out->index = item->in->index;
    out->conv = p->conv;
    out->version = p->version;
    out->user = item->in->user;
    out->device = item->in->device;
    if (item->action == MSG_MARK) {
        out->what_case = PIGEON__COMMIT_ITEM__WHAT_MARK;
        out->mark = item->in->mark;
    } else {
        out->what_case = PIGEON__COMMIT_ITEM__WHAT_APPEND;
        out->append = append_of(item, b->arena);
    }
    set_subjects(t, out, p, item->action);
    if (item->refusal)
        out->refusal = refusal_of(item, b->arena);
}

Pigeon__CommitBatch *msg_batch_commit(struct msg_batch *b, size_t count)
{
    struct subjects t;
    if (b->refused == b->count || count == 0)
        return NULL;
    Pigeon__CommitBatch *out = pgn_arena_alloc(b->arena, sizeof *out);
    Pigeon__CommitItem *items = pgn_arena_alloc(b->arena, count * sizeof *items);
    pigeon__commit_batch__init(out);
    out->batch = b->in->batch;
    out->items = pgn_arena_alloc(b->arena, count * sizeof *out->items);
    subjects_init(&t, b->arena, count);
    for (size_t i = 0; i < count; i++) {
        if (b->items[i].error)
            continue;
        Pigeon__CommitItem *item = &items[out->n_items];
        fill_commit(b, &b->items[i], &t, item);
        out->items[out->n_items++] = item;
    }
    out->subjects = t.rows;
    out->n_subjects = t.count;
    return out->n_items > 0 ? out : NULL;
}

/* Behind the n-th item that is not refused. */
static size_t end_of(const struct msg_batch *b, size_t n)
{
    size_t i = 0;
    for (; i < b->count && n > 0; i++)
        n -= !b->items[i].error;
    return i;
}

bool msg_batch_pack(struct msg_batch *b, uint64_t most, struct pgn_buf *out)
{
    size_t items = b->count - b->refused, end;
    if (items == 0)
        return false;
    for (;; items -= items / 2) {
        end = end_of(b, items);
        pgn_buf_clear(out);
        pgn_pb_pack(msg_batch_commit(b, end), out);
        if (!most || out->len <= most || items == 1)
            break;
    }
    for (size_t i = end; i < b->count; i++)
        msg_batch_refuse(b, &b->items[i], PGN_E_BUSY, NULL);
    return true;
}

Pigeon__BatchResult *msg_batch_refusals(struct msg_batch *b)
{
    if (b->refused == 0)
        return NULL;
    Pigeon__BatchResult *out = pgn_arena_alloc(b->arena, sizeof *out);
    Pigeon__ItemResult *results = pgn_arena_alloc(b->arena, b->refused * sizeof *results);
    pigeon__batch_result__init(out);
    out->batch = b->in->batch;
    out->results = pgn_arena_alloc(b->arena, b->refused * sizeof *out->results);
    for (size_t i = 0; i < b->count; i++) {
        const struct msg_item *item = &b->items[i];
        if (!item->error)
            continue;
        Pigeon__ItemResult *r = &results[out->n_results];
        pigeon__item_result__init(r);
        r->index = item->in->index;
        r->error = item->error;
        r->text = pgn_arena_strdup(b->arena, item->text);
        r->retry_after_ms = item->retry_after_ms;
        out->results[out->n_results++] = r;
    }
    return out;
}

void msg_batch_release(struct msg_batch *b)
{
    for (size_t i = 0; i < b->count; i++)
        msg_want_release(&b->items[i].want);
}
