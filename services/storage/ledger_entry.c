/* An entry as a document: puts as one binary of (cf and remove, key, value), lengths as varints. */
#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "services/storage/ledger_internal.h"
#include "services/storage/rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REMOVE_BIT = 0x80 };

void sto_ledger_id(uint64_t n, char out[STO_LEDGER_ID_BYTES])
{
    snprintf(out, STO_LEDGER_ID_BYTES, "%020" PRIu64, n);
}

static void slice_put(struct pgn_buf *out, struct sto_slice s)
{
    sto_put_varint(out, s.len);
    if (s.len)
        pgn_buf_append(out, s.data, s.len);
}

int sto_entry_encode(const struct sto_ledger *l, uint64_t n, const struct sto_kv_put *puts, size_t count, struct sto_slice dir,
                     bson_t *ret_doc)
{
    struct pgn_buf packed = {0};
    char id[STO_LEDGER_ID_BYTES];
    int error = 0;

    sto_put_varint(&packed, count);
    for (size_t i = 0; i < count; i++) {
        pgn_buf_append_byte(&packed, (uint8_t)(puts[i].cf | (puts[i].remove ? REMOVE_BIT : 0)));
        slice_put(&packed, puts[i].key);
        slice_put(&packed, puts[i].remove ? sto_slice_of("", 0) : puts[i].value);
    }
    if (packed.len + dir.len > STO_LEDGER_ENTRY_MAX)
        error = PGN_E_TOO_LARGE;
    sto_ledger_id(n, id);
    if (!error) {
        BSON_APPEND_UTF8(ret_doc, "_id", id);
        BSON_APPEND_UTF8(ret_doc, "by", l->by);
        BSON_APPEND_INT64(ret_doc, "mark", (int64_t)l->appends);
        BSON_APPEND_DATE_TIME(ret_doc, "at", (int64_t)pgn_wall_ms());
        if (count)
            BSON_APPEND_BINARY(ret_doc, "puts", BSON_SUBTYPE_BINARY, packed.data, (uint32_t)packed.len);
        if (dir.len)
            BSON_APPEND_BINARY(ret_doc, "dir", BSON_SUBTYPE_BINARY, dir.data, (uint32_t)dir.len);
    }
    pgn_buf_release(&packed);
    return error;
}

bool sto_entry_is_mine(const struct sto_ledger *l, const bson_t *doc, uint64_t *ret_mark)
{
    bson_iter_t it;

    if (!bson_iter_init_find(&it, doc, "by") || !BSON_ITER_HOLDS_UTF8(&it) || strcmp(bson_iter_utf8(&it, NULL), l->by) != 0)
        return false;
    *ret_mark = bson_iter_init_find(&it, doc, "mark") ? (uint64_t)bson_iter_as_int64(&it) : 0;
    return true;
}

void sto_entry_filter(const struct sto_ledger *l, uint64_t n, bson_t *ret_filter)
{
    char id[STO_LEDGER_ID_BYTES];

    sto_ledger_id(n, id);
    BSON_APPEND_UTF8(ret_filter, "_id", id);
    BSON_APPEND_UTF8(ret_filter, "by", l->by);
}

/* ---- decoding ---- */

struct reading {
    const uint8_t *at, *end;
};

static bool varint(struct reading *r, uint64_t *ret)
{
    *ret = 0;
    for (unsigned shift = 0; r->at < r->end && shift < 64; shift += 7) {
        uint8_t byte = *r->at++;

        *ret |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return true;
    }
    return false;
}

static bool slice(struct reading *r, struct sto_slice *ret)
{
    uint64_t len;

    if (!varint(r, &len) || len > (uint64_t)(r->end - r->at))
        return false;
    *ret = sto_slice_of(r->at, (size_t)len);
    r->at += len;
    return true;
}

static bool puts_decode(struct reading *r, struct sto_entry *e, struct sto_kv_put **ret_puts)
{
    uint64_t count;

    if (!varint(r, &count) || count > (uint64_t)(r->end - r->at))
        return false;
    struct sto_kv_put *puts = pgn_calloc((size_t)count + 1, sizeof *puts);
    *ret_puts = puts;
    for (uint64_t i = 0; i < count; i++) {
        if (r->at == r->end || (*r->at & ~REMOVE_BIT) >= STO_CF_COUNT)
            return false;
        puts[i].cf = (enum sto_cf)(*r->at & ~REMOVE_BIT);
        puts[i].remove = (*r->at++ & REMOVE_BIT) != 0;
        if (!slice(r, &puts[i].key) || !slice(r, &puts[i].value))
            return false;
    }
    e->puts = puts;
    e->put_count = (size_t)count;
    return r->at == r->end;
}

static struct sto_slice binary_of(const bson_t *doc, const char *name)
{
    bson_iter_t it;
    uint32_t len = 0;
    const uint8_t *data = NULL;

    if (bson_iter_init_find(&it, doc, name) && BSON_ITER_HOLDS_BINARY(&it))
        bson_iter_binary(&it, NULL, &len, &data);
    return sto_slice_of(data, len);
}

int sto_entry_decode(const bson_t *doc, uint64_t n, struct sto_entry *ret_entry, struct sto_kv_put **ret_puts)
{
    struct sto_slice puts = binary_of(doc, "puts");
    struct reading r = {puts.data, puts.len ? (const uint8_t *)puts.data + puts.len : NULL};

    *ret_puts = NULL;
    *ret_entry = (struct sto_entry){.n = n, .dir = binary_of(doc, "dir")};
    if (puts.len && !puts_decode(&r, ret_entry, ret_puts)) {
        free(*ret_puts);
        *ret_puts = NULL;
        return PGN_E_CORRUPT;
    }
    return 0;
}
