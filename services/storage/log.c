/* Opening the message log, its counters, and the cache of conversation states. */
#include "services/storage/log.h"

#include "common/base/alloc.h"
#include "common/base/error.h"
#include "common/base/map.h"
#include "common/base/random.h"
#include "services/storage/log_internal.h"

#include <stdlib.h>
#include <string.h>

/* ---- heads ---- */

static const void *head_key(const void *value, size_t *ret_len)
{
    const struct sto_head *h = value;

    *ret_len = strlen(h->conv);
    return h->conv;
}

static void head_drop(struct sto_log *log, struct sto_head *h)
{
    pgn_map_remove_str(log->heads, h->conv);
    pgn_list_remove(&h->lru);
    free(h);
}

void sto_heads_drop(struct sto_log *log)
{
    PGN_LIST_EACH_SAFE (n, &log->lru) {
        head_drop(log, PGN_CONTAINER(n, struct sto_head, lru));
    }
}

void sto_heads_trim(struct sto_log *log)
{
    log->round++;
    for (struct pgn_node *n = log->lru.prev, *before; pgn_map_count(log->heads) > STO_HEADS_MAX && n != &log->lru; n = before) {
        before = n->prev;
        head_drop(log, PGN_CONTAINER(n, struct sto_head, lru));
    }
}

static int head_load(struct sto_log *log, struct sto_txn *txn, struct sto_head *h)
{
    struct sto_key key = sto_key_conv(h->conv);
    struct sto_conv_row row;
    int error = sto_txn_get(txn, STO_CF_MAIN, &key, &log->value);

    if (error == PGN_E_NOT_FOUND)
        return 0;
    if (error)
        return error;
    if (!sto_conv_row_get(sto_slice_buf(&log->value), &row))
        return PGN_E_CORRUPT;
    uint64_t num = row.num;
    key = sto_key_state(num);
    if ((error = sto_txn_get(txn, STO_CF_MAIN, &key, &log->value)) != 0)
        return error == PGN_E_NOT_FOUND ? PGN_E_CORRUPT : error;
    if (!sto_state_row_get(sto_slice_buf(&log->value), &h->st))
        return PGN_E_CORRUPT;
    h->num = num;
    if (log->faults.seq_reset)
        h->st.last_seq = 0; /* planted */
    return 0;
}

int sto_head_get(struct sto_log *log, struct sto_txn *txn, const char *conv, struct sto_head **ret_head)
{
    struct sto_head *h = pgn_map_get_str(log->heads, conv);

    if (h) {
        pgn_list_remove(&h->lru);
    } else {
        h = pgn_calloc(1, sizeof *h);
        memcpy(h->conv, conv, strlen(conv) + 1); /* valid: it fits */
        if (pgn_conv_is_direct(conv))
            pgn_conv_users(conv, h->a, h->b);
        int error = head_load(log, txn, h);
        if (error) {
            free(h);
            return error;
        }
        pgn_map_put(log->heads, h);
    }
    pgn_list_prepend(&log->lru, &h->lru);
    h->round = log->round;
    *ret_head = h;
    return 0;
}

/* ---- store-wide values ---- */

static int meta_get(struct sto_log *log, const char *name)
{
    struct sto_key key = sto_key_meta(name);

    return log->kv->ops->get(log->kv, NULL, STO_CF_MAIN, sto_key_slice(&key), &log->value);
}

static void publish_counters(struct sto_log *log)
{
    atomic_store(&log->committed, log->n.commit);
    atomic_store(&log->convs, log->n.convs);
    atomic_store(&log->messages, log->n.messages);
}

int sto_counters_read(struct sto_log *log)
{
    uint64_t *const values[] = {&log->n.commit, &log->n.next_num, &log->n.messages, &log->n.convs, &log->n.jump_from, &log->n.jump_to};
    int error = meta_get(log, "counters");
    size_t at = 0;

    if (error == PGN_E_NOT_FOUND) {
        log->n = (struct sto_counters){0}; /* also when the very first commit failed */
        error = 0;
    } else if (error) {
        return error;
    } else {
        for (size_t i = 0; i < PGN_COUNT(values); i++) {
            unsigned shift = 0;

            *values[i] = 0;
            do {
                if (at >= log->value.len || shift > 63)
                    return PGN_E_CORRUPT;
                *values[i] |= (uint64_t)(log->value.data[at] & 0x7f) << shift;
                shift += 7;
            } while (log->value.data[at++] & 0x80);
        }
    }
    publish_counters(log);
    return error;
}

static void raise_to(_Atomic uint64_t *value, uint64_t to)
{
    uint64_t now = atomic_load(value);

    while (now < to && !atomic_compare_exchange_weak(value, &now, to))
        ;
}

void sto_log_moved(struct sto_log *log, struct sto_slice counters)
{
    const uint8_t *at = counters.data, *end = at + counters.len;
    uint64_t values[4] = {0};

    for (size_t i = 0; i < PGN_COUNT(values); i++)
        for (unsigned shift = 0, more = 1; more && at < end && shift < 64; shift += 7) {
            values[i] |= (uint64_t)(*at & 0x7f) << shift;
            more = *at++ & 0x80;
        }
    raise_to(&log->committed, values[0]);
    raise_to(&log->messages, values[2]);
    raise_to(&log->convs, values[3]);
}

/* First open: schema number and the secret of the retry keys. */
static int meta_init(struct sto_log *log)
{
    struct sto_key schema = sto_key_meta("schema"), secret = sto_key_meta("retry-secret");
    uint8_t number = STO_LOG_SCHEMA;
    struct sto_kv_put puts[2] = {
        {STO_CF_MAIN, false, sto_key_slice(&schema), {&number, 1}},
        {STO_CF_MAIN, false, sto_key_slice(&secret), {log->retry_secret, sizeof log->retry_secret}},
    };

    pgn_random(log->retry_secret, sizeof log->retry_secret);
    return log->kv->ops->write(log->kv, puts, PGN_COUNT(puts), true);
}

static int meta_load(struct sto_log *log)
{
    int error = meta_get(log, "schema");

    if (error && error != PGN_E_NOT_FOUND)
        return error;
    if (!error && log->value.len != 1)
        return PGN_E_CORRUPT;
    if (!error && log->value.data[0] > STO_LOG_SCHEMA)
        return PGN_E_CONFLICT;
    if (!error)
        error = meta_get(log, "retry-secret");
    if (error == PGN_E_NOT_FOUND) /* a new store, or a repaired one that lost these rows */
        error = meta_init(log);
    else if (!error && log->value.len != sizeof log->retry_secret)
        error = PGN_E_CORRUPT;
    else if (!error)
        memcpy(log->retry_secret, log->value.data, sizeof log->retry_secret);
    return error ? error : sto_counters_read(log);
}

int sto_log_open(struct sto_kv *kv, struct sto_people *people, const char *epoch, const struct sto_faults *faults, struct sto_log **ret_log)
{
    struct sto_log *log = pgn_calloc(1, sizeof *log);
    int error;

    log->kv = kv;
    log->people = people;
    log->epoch = epoch;
    log->faults = *faults;
    log->heads = pgn_map_new(head_key);
    pgn_list_init(&log->lru);
    error = meta_load(log);
    log->jump_from = log->n.jump_from;
    log->jump_to = log->n.jump_to;
    if (error)
        sto_log_close(&log);
    else
        *ret_log = log;
    return error;
}

void sto_log_close(struct sto_log **log)
{
    if (!*log)
        return;
    sto_heads_drop(*log);
    pgn_map_free(&(*log)->heads);
    pgn_buf_release(&(*log)->value);
    pgn_buf_release(&(*log)->row);
    free(*log);
    *log = NULL;
}

int sto_log_recover(struct sto_log *log)
{
    int error = log->kv->ops->recover(log->kv);

    if (error)
        return error;
    sto_heads_drop(log);
    if ((error = sto_counters_read(log)) != 0)
        return error;
    log->broken = false;
    return 0;
}

void sto_counters_put(struct pgn_buf *out, const struct sto_counters *n)
{
    const uint64_t values[] = {n->commit, n->next_num, n->messages, n->convs, n->jump_from, n->jump_to};

    for (size_t i = 0; i < PGN_COUNT(values); i++)
        sto_put_varint(out, values[i]);
}

int sto_log_jump(struct sto_log *log, uint64_t above)
{
    enum { JUMP = 1000000000 };
    struct pgn_buf out = {0};
    struct sto_key key = sto_key_meta("counters");

    log->n.jump_from = log->n.commit;
    log->n.commit = (above > log->n.commit ? above : log->n.commit) + JUMP;
    log->n.jump_to = log->n.commit;
    sto_counters_put(&out, &log->n);
    struct sto_kv_put put = {STO_CF_MAIN, false, sto_key_slice(&key), sto_slice_buf(&out)};
    int error = log->kv->ops->write(log->kv, &put, 1, true);
    pgn_buf_release(&out);
    publish_counters(log);
    log->jump_from = log->n.jump_from;
    log->jump_to = log->n.jump_to;
    return error;
}

uint64_t sto_log_last_commit(const struct sto_log *log)
{
    return atomic_load(&log->committed);
}

void sto_log_counts(struct sto_log *log, uint64_t *ret_convs, uint64_t *ret_messages)
{
    *ret_convs = atomic_load(&log->convs);
    *ret_messages = atomic_load(&log->messages);
}
