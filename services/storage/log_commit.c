/* The group commit: retries, versions, and one durable write. */
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/fault.h"
#include "services/storage/log_internal.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* ---- retries ---- */

static void retry_key_of(const struct sto_log *log, const Pigeon__CommitItem *item, const char *client_id, struct sto_key *ret_key)
{
    uint8_t text[PGN_USER_MAX + PGN_DEVICE_MAX + PGN_CLIENT_ID_MAX + 3];
    size_t user = strlen(item->user) + 1, device = strlen(item->device) + 1, client = strlen(client_id) + 1;

    memcpy(text, item->user, user);
    memcpy(text + user, item->device, device);
    memcpy(text + user + device, client_id, client);
    crypto_shorthash_siphashx24(ret_key->data, text, user + device + client, log->retry_secret);
    ret_key->len = STO_RETRY_KEY_BYTES;
}

static const char *client_id_of(const Pigeon__CommitItem *item)
{
    if (item->what_case == PIGEON__COMMIT_ITEM__WHAT_APPEND)
        return item->append->client_id;
    if (item->what_case == PIGEON__COMMIT_ITEM__WHAT_CHANGE)
        return item->change->client_id;
    if (item->what_case == PIGEON__COMMIT_ITEM__WHAT_RELEASE)
        return item->release->client_id;
    return "";
}

/* Whose id a number is; for a key that was used for another conversation before. */
static const char *conv_of_num(struct sto_doing *d, uint64_t num)
{
    struct sto_key name = sto_key_num(num);

    if (sto_txn_get(&d->c->txn, STO_CF_MAIN, &name, &d->c->log->value) != 0)
        return "";
    pgn_buf_append_byte(&d->c->log->value, 0);
    return pgn_arena_strdup(d->c->arena, (const char *)d->c->log->value.data);
}

/* Gives the first answer again, and publishes the message again: the first time may have been cut off by a crash. */
static int answer_retry(struct sto_doing *d, const struct sto_retry_row *retry)
{
    struct sto_key key = sto_key_msg(retry->num, retry->seq);
    struct pgn_buf *value = &d->c->log->value;
    struct sto_msg_row row;
    int error = sto_txn_get(&d->c->txn, STO_CF_MSG, &key, value);

    if (error)
        return error == PGN_E_NOT_FOUND ? PGN_E_CORRUPT : error;
    struct sto_slice copy = {pgn_arena_alloc(d->c->arena, value->len + 1), value->len};
    memcpy((void *)(uintptr_t)copy.data, value->data, value->len);
    Pigeon__Message *m = sto_msg_row_get(copy, &row) ? sto_message_unpack(d->c->arena, row.message) : NULL;
    if (!m)
        return PGN_E_CORRUPT;
    d->c->effects->dups++;
    bool same = d->head && d->head->num == retry->num;
    sto_answer_sent(d, retry->seq, m->message_id, m->sent_at, same ? d->item->conv : conv_of_num(d, retry->num));
    if (!same)
        return 0;
    d->change = row.commit;
    d->result->version = d->head->st.kind == STO_GROUP ? d->head->st.version : d->item->version;
    if (d->item->what_case == PIGEON__COMMIT_ITEM__WHAT_CHANGE)
        sto_memberships_publish(d, d->item->change);
    if (!sto_members_came(d, retry->seq)) /* they may not read what was before them; who was there syncs */
        sto_publish_message(d, retry->seq, row.commit, row.message);
    return 0;
}

/* Whether the item is a retry; then *ret_retry. stored: what the engine had under its key before this commit. */
static bool is_retry(struct sto_doing *d, const struct pgn_buf *stored, struct sto_retry_row *ret_retry)
{
    const struct sto_kv_put *p;

    if (d->retry_key.len == 0 || d->c->log->faults.dedup_off)
        return false;
    p = sto_txn_peek(&d->c->txn, STO_CF_RETRY, &d->retry_key); /* what this commit does with the key is newer */
    if (p)
        return !p->remove && sto_retry_row_get(p->value, ret_retry);
    return stored->len && sto_retry_row_get(sto_slice_buf(stored), ret_retry);
}

/* Forgets the key, if it is there: what comes under it next is new. */
static int item_release(struct sto_doing *d, const struct pgn_buf *stored)
{
    struct sto_retry_row retry;

    if (d->retry_key.len == 0)
        return sto_refuse(d, PGN_E_INVALID, "client_id is 1 to 64 printable characters");
    if (is_retry(d, stored, &retry))
        sto_txn_remove(&d->c->txn, STO_CF_RETRY, &d->retry_key);
    return 0;
}

/* ---- items ---- */

static int item_check(struct sto_doing *d)
{
    const Pigeon__CommitItem *item = d->item;
    bool no_conv = item->what_case == PIGEON__COMMIT_ITEM__WHAT_RELEASE && !item->conv[0];

    if (item->what_case == PIGEON__COMMIT_ITEM__WHAT__NOT_SET || !pgn_user_valid(item->user) || !(no_conv || pgn_conv_valid(item->conv)) ||
        (item->device[0] && !pgn_device_valid(item->device)))
        return sto_refuse(d, PGN_E_INVALID, "malformed item");
    for (size_t i = 0; i < item->n_subjects; i++)
        if (item->subjects[i] >= d->batch->n_subjects)
            return sto_refuse(d, PGN_E_INVALID, "no such subject");
    return 0;
}

/* Compares the version that the item was checked against with the current one. */
static int version_check(struct sto_doing *d)
{
    uint64_t current = d->head->st.version;
    bool creates = d->item->what_case == PIGEON__COMMIT_ITEM__WHAT_CHANGE && d->item->change->op == PIGEON__OP__created;

    if (pgn_conv_is_direct(d->head->conv)) {
        if (!sto_people_direct(d->c->log->people, d->head->a, d->head->b, &current))
            return sto_refuse(d, PGN_E_NOT_FOUND, "no such user");
        if (strcmp(d->item->user, d->head->a) != 0 && strcmp(d->item->user, d->head->b) != 0)
            return sto_refuse(d, PGN_E_FORBIDDEN, "not a member");
    } else if (creates) {
        return 0;
    } else if (d->head->num == 0) {
        return sto_refuse(d, PGN_E_NOT_FOUND, "no such conversation");
    }
    d->result->version = current;
    if (current == d->item->version || d->c->log->faults.version_off)
        return 0;
    struct sto_effects *e = d->c->effects;
    if (e->policy_count == 0 || strcmp(e->policies[e->policy_count - 1]->conv, d->head->conv) != 0)
        sto_effects_policy(e, d->head->conv, current);
    return PGN_E_STALE;
}

/* By the rules, which a retry has passed before. A group's change is refused by a policy that was loaded for it. */
static int item_refused(struct sto_doing *d)
{
    const Pigeon__ItemResult *r = d->item->refusal;

    if (d->item->what_case != PIGEON__COMMIT_ITEM__WHAT_CHANGE && version_check(d) == PGN_E_STALE)
        return PGN_E_STALE;
    return sto_refuse(d, r->error < 0 ? r->error : PGN_E_INVALID, r->text);
}

static int item_do(struct sto_doing *d, const struct pgn_buf *stored)
{
    struct sto_retry_row retry;
    int error = item_check(d);

    if (error)
        return error;
    if (d->item->what_case == PIGEON__COMMIT_ITEM__WHAT_RELEASE)
        return item_release(d, stored);
    if ((error = sto_head_get(d->c->log, &d->c->txn, d->item->conv, &d->head)) != 0)
        return error;
    if (is_retry(d, stored, &retry))
        return answer_retry(d, &retry);
    if (d->item->refusal)
        return item_refused(d);
    if ((error = version_check(d)) != 0)
        return error;
    switch (d->item->what_case) {
    case PIGEON__COMMIT_ITEM__WHAT_APPEND:
        return sto_item_append(d, d->item->append);
    case PIGEON__COMMIT_ITEM__WHAT_MARK:
        return sto_item_mark(d, d->item->mark);
    case PIGEON__COMMIT_ITEM__WHAT_CHANGE:
        return sto_group_change(d, d->item->change);
    case PIGEON__COMMIT_ITEM__WHAT_RELEASE: /* done */
    case PIGEON__COMMIT_ITEM__WHAT__NOT_SET:
    case _PIGEON__COMMIT_ITEM__WHAT__CASE_IS_INT_SIZE:
        break;
    }
    return PGN_E_INVALID;
}

static void batch_do(struct sto_committing *c, struct sto_commit *commit, const struct sto_key *keys, const struct pgn_buf *stored)
{
    for (size_t i = 0; i < commit->batch->n_items; i++) {
        struct sto_doing d = {.c = c, .batch = commit->batch, .item = commit->batch->items[i], .result = &commit->results[i]};

        pigeon__item_result__init(d.result);
        d.result->index = d.item->index;
        d.retry_key = keys[i];
        d.result->error = item_do(&d, &stored[i]);
        if (d.result->error == PGN_E_CORRUPT || d.result->error == PGN_E_IO)
            d.result->text = sto_chars("the conversation cannot be read");
    }
}

/* ---- the commit ---- */

/* Retry keys of all items (len 0: none), and what the store has under them: one look for all. */
static int retries_find(struct sto_log *log, struct sto_commit *commits, size_t count, struct sto_key *keys, struct pgn_buf *stored,
                        size_t items, struct pgn_arena *arena)
{
    struct sto_slice *slices = pgn_arena_alloc(arena, items * sizeof *slices);
    size_t at = 0;

    for (size_t b = 0; b < count; b++)
        for (size_t i = 0; i < commits[b].batch->n_items; i++, at++) {
            const Pigeon__CommitItem *item = commits[b].batch->items[i];
            const char *client_id = client_id_of(item);

            keys[at].len = 0;
            if (pgn_client_id_valid(client_id) && pgn_user_valid(item->user) && strlen(item->device) <= PGN_DEVICE_MAX)
                retry_key_of(log, item, client_id, &keys[at]);
            slices[at] = keys[at].len ? sto_key_slice(&keys[at]) : sto_slice_of("", 0);
        }
    return log->kv->ops->get_many(log->kv, STO_CF_RETRY, items, slices, stored);
}

/* Heads that this commit has touched stand first in the list. */
static void heads_write(struct sto_committing *c)
{
    struct pgn_buf *out = &c->log->row;

    PGN_LIST_EACH (n, &c->log->lru) {
        struct sto_head *h = PGN_CONTAINER(n, struct sto_head, lru);

        if (h->round != c->log->round)
            break;
        if (!h->dirty)
            continue;
        struct sto_key key = sto_key_state(h->num);
        pgn_buf_clear(out);
        sto_state_row_put(out, &h->st);
        sto_txn_put(&c->txn, STO_CF_MAIN, &key, sto_slice_buf(out));
        h->dirty = false;
    }
}

static void counters_write(struct sto_committing *c)
{
    struct sto_key key = sto_key_meta("counters");
    struct pgn_buf *out = &c->log->row;

    pgn_buf_clear(out);
    sto_counters_put(out, &c->log->n);
    sto_txn_put(&c->txn, STO_CF_MAIN, &key, sto_slice_buf(out));
}

static int finish(struct sto_committing *c, void (*before_write)(void *ctx), void *ctx)
{
    struct sto_log *log = c->log;
    int error = 0;

    heads_write(c);
    if (c->txn.count == 0) {
        error = sto_txn_write(&c->txn, false); /* is what the answers say still so? */
    } else {
        counters_write(c);
        c->effects->commit = log->n.commit;
        if (before_write)
            before_write(ctx);
        PGN_FAULT_POINT("before-commit");
        error = sto_txn_write(&c->txn, !log->faults.sync_off);
        PGN_FAULT_POINT("after-commit");
        if (!error && log->faults.uncertain_at && ++log->writes == log->faults.uncertain_at)
            error = PGN_E_UNCERTAIN; /* planted: as if the sync had failed behind the write */
    }
    if (error) {
        log->broken = error != PGN_E_STALE;
        sto_heads_drop(log);
        return error;
    }
    atomic_store(&log->messages, log->n.messages);
    atomic_store(&log->convs, log->n.convs);
    atomic_store(&log->committed, log->n.commit);
    return 0;
}

static int commit_once(struct sto_log *log, struct sto_commit *commits, size_t count, struct sto_effects *effects,
                       void (*before_write)(void *ctx), void *ctx)
{
    struct sto_committing c = {.log = log, .effects = effects, .arena = effects->arena, .now_ms = pgn_wall_ms()};
    size_t items = 0, at = 0;
    int error;

    sto_heads_trim(log);
    for (size_t b = 0; b < count; b++)
        items += commits[b].batch->n_items;
    struct sto_key *keys = pgn_arena_alloc(c.arena, (items + 1) * sizeof *keys);
    struct pgn_buf *stored = pgn_calloc(items + 1, sizeof *stored);
    sto_txn_begin(&c.txn, log->kv, c.arena);
    error = retries_find(log, commits, count, keys, stored, items, c.arena);
    if (error) {
        error = PGN_E_UNAVAILABLE;
    } else {
        for (size_t b = 0; b < count; at += commits[b].batch->n_items, b++)
            batch_do(&c, &commits[b], keys + at, stored + at);
        error = finish(&c, before_write, ctx);
    }
    sto_txn_end(&c.txn);
    for (size_t i = 0; i < items; i++)
        pgn_buf_release(&stored[i]);
    free(stored);
    return error;
}

/* Other instances wrote: what this one knows is read again. */
static int forget(struct sto_log *log)
{
    sto_heads_drop(log);
    return sto_counters_read(log) ? PGN_E_UNAVAILABLE : 0;
}

int sto_log_commit(struct sto_log *log, struct sto_commit *commits, size_t count, struct sto_effects *effects,
                   void (*before_write)(void *ctx), void *ctx)
{
    enum { REDO_MAX = 50 };
    const struct sto_kv_ops *ops = log->kv->ops;
    const struct sto_effects before = *effects;
    bool moved = false;
    int error = log->broken ? PGN_E_UNAVAILABLE : 0;

    if (error || (ops->commit_begin && (error = ops->commit_begin(log->kv, &moved)) != 0))
        return error;
    for (int i = 0; i < REDO_MAX; i++, moved = true) {
        if (moved && (error = forget(log)) != 0)
            break;
        effects->event_count = before.event_count;
        effects->policy_count = before.policy_count;
        effects->messages = before.messages;
        effects->dups = before.dups;
        if ((error = commit_once(log, commits, count, effects, i == 0 ? before_write : NULL, ctx)) != PGN_E_STALE)
            break;
    }
    if (ops->commit_end)
        ops->commit_end(log->kv);
    if (error)
        log->broken = true;
    return error == PGN_E_STALE ? PGN_E_UNAVAILABLE : error;
}
