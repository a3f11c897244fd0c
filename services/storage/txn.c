#include "services/storage/txn.h"

#include "common/base/error.h"

#include <string.h>

struct entry {
    size_t put; /* index */
    size_t len;
    uint8_t key[]; /* column family, then the key */
};

static const void *entry_key(const void *value, size_t *ret_len)
{
    const struct entry *e = value;

    *ret_len = e->len;
    return e->key;
}

void sto_txn_begin(struct sto_txn *t, struct sto_kv *kv, struct pgn_arena *arena)
{
    *t = (struct sto_txn){.kv = kv, .arena = arena, .map = pgn_map_new(entry_key)};
}

void sto_txn_end(struct sto_txn *t)
{
    pgn_map_free(&t->map);
}

static struct entry *find(const struct sto_txn *t, enum sto_cf cf, const struct sto_key *key)
{
    uint8_t full[STO_KEY_MAX + 1];

    full[0] = (uint8_t)cf;
    memcpy(full + 1, key->data, key->len);
    return pgn_map_get(t->map, full, key->len + 1);
}

const struct sto_kv_put *sto_txn_peek(const struct sto_txn *t, enum sto_cf cf, const struct sto_key *key)
{
    const struct entry *e = find(t, cf, key);

    return e ? &t->puts[e->put] : NULL;
}

int sto_txn_get(struct sto_txn *t, enum sto_cf cf, const struct sto_key *key, struct pgn_buf *ret_value)
{
    const struct sto_kv_put *p = sto_txn_peek(t, cf, key);

    if (!p)
        return t->kv->ops->get(t->kv, NULL, cf, sto_key_slice(key), ret_value);
    if (p->remove)
        return PGN_E_NOT_FOUND;
    pgn_buf_clear(ret_value);
    pgn_buf_append(ret_value, p->value.data, p->value.len);
    return 0;
}

static size_t add(struct sto_txn *t)
{
    if (t->count == t->cap) {
        size_t cap = t->cap ? t->cap * 2 : 1024;
        struct sto_kv_put *fresh = pgn_arena_alloc(t->arena, cap * sizeof *fresh);

        if (t->count)
            memcpy(fresh, t->puts, t->count * sizeof *fresh);
        t->puts = fresh;
        t->cap = cap;
    }
    return t->count++;
}

void sto_txn_put(struct sto_txn *t, enum sto_cf cf, const struct sto_key *key, struct sto_slice value)
{
    struct entry *e = pgn_arena_alloc(t->arena, sizeof *e + key->len + 1 + value.len);
    uint8_t *copy = e->key + 1 + key->len;

    e->len = key->len + 1;
    e->key[0] = (uint8_t)cf;
    memcpy(e->key + 1, key->data, key->len);
    if (value.len)
        memcpy(copy, value.data, value.len);
    const struct entry *before = pgn_map_put(t->map, e);
    e->put = before ? before->put : add(t);
    t->puts[e->put] = (struct sto_kv_put){cf, false, {e->key + 1, key->len}, {copy, value.len}};
}

void sto_txn_remove(struct sto_txn *t, enum sto_cf cf, const struct sto_key *key)
{
    sto_txn_put(t, cf, key, sto_slice_of("", 0));
    t->puts[find(t, cf, key)->put].remove = true;
}

int sto_txn_write(struct sto_txn *t, bool sync)
{
    if (t->count)
        return t->kv->ops->write(t->kv, t->puts, t->count, sync);
    return t->kv->ops->confirm ? t->kv->ops->confirm(t->kv) : 0;
}
