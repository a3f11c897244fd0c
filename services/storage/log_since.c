/* Where a cursor stands in one conversation: numbers and commit numbers rise together, so it is looked for, not scanned for. */
#include "common/base/error.h"
#include "services/storage/log_reader.h"

struct probe {
    uint64_t seq, commit;
    bool found, broken;
};

static bool probe_visit(void *ctx, struct sto_slice key, struct sto_slice value)
{
    struct probe *p = ctx;
    struct sto_msg_row row;

    p->found = true;
    p->broken = key.len != 16 || !sto_msg_row_get(value, &row);
    if (!p->broken) {
        p->seq = sto_u64be((const uint8_t *)key.data + 8);
        p->commit = row.commit;
    }
    return false;
}

/* The message of this number, or, where a repair lost it, the next one below high. */
static int probe_at(struct sto_reader *r, uint64_t num, uint64_t seq, uint64_t high, struct probe *p)
{
    const struct sto_kv_ops *ops = r->log->kv->ops;
    struct sto_key from = sto_key_msg(num, seq), to = sto_key_msg(num, high);
    int error = ops->get(r->log->kv, r->view, STO_CF_MSG, sto_key_slice(&from), &r->value);

    *p = (struct probe){0};
    if (!error)
        probe_visit(p, sto_key_slice(&from), sto_slice_buf(&r->value));
    else if (error == PGN_E_NOT_FOUND)
        error = ops->scan(r->log->kv, r->view, STO_CF_MSG, sto_key_slice(&from), sto_key_slice(&to), false, probe_visit, p);
    return error ? error : p->broken ? PGN_E_CORRUPT : 0;
}

/* Who was away for a moment missed little: first in growing steps from the end, then halves. */
int sto_seq_above(struct sto_reader *r, uint64_t num, uint64_t low, uint64_t high, uint64_t cursor, uint64_t *ret_seq)
{
    bool stepping = true;

    for (uint64_t step = 1; low < high; step *= 2) {
        uint64_t at = stepping && high - low > step ? high - step : stepping ? low : low + (high - low) / 2;
        struct probe p;
        int error = probe_at(r, num, at, high, &p);

        if (error)
            return error;
        if (!p.found || p.commit > cursor) {
            high = at;
        } else {
            low = p.seq + 1;
            stepping = false;
        }
    }
    *ret_seq = high;
    return 0;
}
