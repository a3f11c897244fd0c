/*
 * The conversation list since a cursor. Two passes: which of the user's conversations changed (state and, for groups, own
 * member row), sorted by the commit number of the change; then the details of those that fit the page.
 */
#include "common/base/error.h"
#include "services/storage/log_reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SYNC_DEFAULT = 100, SYNC_MAX = 500 };

struct candidate {
    uint64_t change, num;
    struct sto_state_row st;
    struct sto_member_row member; /* a group's */
    char *conv;
};
struct listing {
    struct pgn_arena *arena;
    struct mine {
        uint64_t num;
        char *conv;
        uint8_t kind;
        bool gone;
    } * all;
    size_t count, cap;
};

static bool list_visit(void *ctx, struct sto_slice key, struct sto_slice value)
{
    struct listing *l = ctx;
    struct sto_user_row row;

    if (!sto_user_row_get(value, &row) || key.len < 8)
        return true;
    if (l->count == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 64;
        struct mine *fresh = pgn_arena_alloc(l->arena, l->cap * sizeof *fresh);
        if (l->count)
            memcpy(fresh, l->all, l->count * sizeof *fresh);
        l->all = fresh;
    }
    l->all[l->count++] = (struct mine){sto_u64be((const uint8_t *)key.data + key.len - 8),
                                       sto_arena_text(l->arena, row.conv.data, row.conv.len), row.kind, row.gone};
    return true;
}

/* False when the cursor is malformed. An older store's cursor (before a restore) is as none. */
static bool cursor_parse(const struct sto_log *log, const char *text, uint64_t newest, uint64_t *ret_cursor)
{
    uint64_t v = 0;

    for (const char *p = text; *p; p++) {
        if (*p < '0' || *p > '9' || p - text > 18)
            return false;
        v = v * 10 + (uint64_t)(*p - '0');
    }
    if (v > newest || (v > log->jump_from && v < log->jump_to))
        v = 0;
    *ret_cursor = v;
    return true;
}

/* The commit number that this view holds: read from it, not from memory, so that nothing between is missed. */
static int view_commit(struct sto_reader *r, uint64_t *ret_commit)
{
    struct sto_key key = sto_key_meta("counters");
    int error = r->log->kv->ops->get(r->log->kv, r->view, STO_CF_MAIN, sto_key_slice(&key), &r->value);

    *ret_commit = 0;
    if (error)
        return error == PGN_E_NOT_FOUND ? 0 : error;
    for (size_t i = 0, shift = 0; i < r->value.len && shift < 64; i++, shift += 7) {
        *ret_commit |= (uint64_t)(r->value.data[i] & 0x7f) << shift;
        if (!(r->value.data[i] & 0x80))
            break;
    }
    return 0;
}

int sto_cursor(struct sto_reader *r, const char *text, uint64_t *ret_cursor, uint64_t *ret_newest)
{
    int error = view_commit(r, ret_newest);

    return error ? error : cursor_parse(r->log, text, *ret_newest, ret_cursor) ? 0 : PGN_E_INVALID;
}

/* A row that a repair did not find again (log_rebuild.c): the rest is shown without it. Where other processes write, a missing row is one
 * that is just being written, and is read again (mongo_read). */
static bool lost_by_damage(const struct sto_reader *r, int error)
{
    return error == PGN_E_NOT_FOUND && !r->log->kv->ops->commit_begin;
}

/* Fills c; its change is 0 when the conversation cannot concern the user. */
static int candidate_get(struct sto_reader *r, const struct mine *mine, const char *user, struct candidate *c)
{
    const struct sto_kv_ops *ops = r->log->kv->ops;
    struct sto_key key = sto_key_state(mine->num);
    int error = ops->get(r->log->kv, r->view, STO_CF_MAIN, sto_key_slice(&key), &r->value);

    memset(c, 0, sizeof *c);
    if (error)
        return error == PGN_E_NOT_FOUND ? 0 : error;
    if (!sto_state_row_get(sto_slice_buf(&r->value), &c->st))
        return PGN_E_CORRUPT;
    c->num = mine->num;
    c->conv = mine->conv;
    c->change = c->st.change;
    if (mine->kind == STO_DIRECT)
        return 0;
    key = sto_key_member(mine->num, user);
    error = ops->get(r->log->kv, r->view, STO_CF_MAIN, sto_key_slice(&key), &r->value);
    if (lost_by_damage(r, error)) {
        c->change = 0;
        return 0;
    }
    if (error)
        return error == PGN_E_NOT_FOUND ? PGN_E_CORRUPT : error;
    if (!sto_member_row_get(sto_slice_buf(&r->value), &c->member))
        return PGN_E_CORRUPT;
    if (c->member.gone || c->member.change > c->change)
        c->change = c->member.change;
    return 0;
}

static int candidate_cmp(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;

    return (x->change > y->change) - (x->change < y->change);
}

/* ---- details ---- */

static uint64_t unread_of(const struct sto_state_row *st, const struct sto_marks *own)
{
    uint64_t numbers = st->last_seq - own->read, ops = st->ops - own->read_ops;

    return own->read < st->last_seq && numbers > ops ? numbers - ops : 0;
}

static int last_message(struct sto_reader *r, const struct candidate *c, Pigeon__ConvState *out)
{
    struct sto_key key = sto_key_msg(c->num, c->st.last_seq);
    int error = r->log->kv->ops->get(r->log->kv, r->view, STO_CF_MSG, sto_key_slice(&key), &r->value);

    if (lost_by_damage(r, error))
        return 0;
    if (error)
        return error == PGN_E_NOT_FOUND ? PGN_E_CORRUPT : error;
    out->last_message = sto_message_of(r, c->conv, c->st.last_seq, sto_slice_buf(&r->value));
    return out->last_message ? 0 : PGN_E_CORRUPT;
}

static void direct_fill(struct sto_reader *r, const struct candidate *c, const char *user, Pigeon__ConvState *out)
{
    char a[PGN_USER_MAX + 1], b[PGN_USER_MAX + 1];

    pgn_conv_users(c->conv, a, b);
    const struct sto_marks *peer = &c->st.side[strcmp(user, a) == 0 ? 1 : 0];
    out->kind = PIGEON__CONV_KIND__direct;
    out->role = PIGEON__ROLE__member;
    out->peer = pgn_arena_strdup(r->arena, strcmp(user, a) == 0 ? b : a);
    if (strcmp(a, b) != 0) {
        out->peer_read = peer->read;
        out->peer_delivered = peer->delivered;
    }
    if (!sto_people_direct(r->log->people, a, b, &out->version))
        out->version = 0;
}

static int group_fill(struct sto_reader *r, const struct candidate *c, Pigeon__ConvState *out)
{
    struct sto_found found;
    int error = sto_find(r, c->conv, &found);

    if (error)
        return error;
    const Pigeon__Settings *settings = sto_settings(r, found.conv.settings);
    out->kind = PIGEON__CONV_KIND__group;
    out->title = sto_arena_text(r->arena, found.conv.title.data, found.conv.title.len);
    out->version = c->st.version;
    out->role = (Pigeon__Role)c->member.role;
    out->members = c->st.members;
    if (settings)
        out->avatar = settings->avatar;
    return 0;
}

static int state_fill(struct sto_reader *r, const struct candidate *c, const char *user, Pigeon__ConvState *out)
{
    const struct sto_marks *own = &c->member.marks;
    char a[PGN_USER_MAX + 1], b[PGN_USER_MAX + 1];
    int error = 0;

    out->conv = c->conv;
    if (c->member.gone) {
        out->kind = PIGEON__CONV_KIND__group;
        out->gone = true;
        return 0;
    }
    if (c->st.kind == STO_DIRECT) {
        direct_fill(r, c, user, out);
        pgn_conv_users(c->conv, a, b);
        own = &c->st.side[strcmp(user, a) == 0 ? 0 : 1];
    } else {
        error = group_fill(r, c, out);
    }
    out->last_seq = c->st.last_seq;
    out->read_seq = own->read;
    out->delivered_seq = own->delivered;
    out->unread = unread_of(&c->st, own);
    uint64_t mentioned =
        c->st.mention_all > own->mentioned && c->st.mention_all >= c->member.first_seq ? c->st.mention_all : own->mentioned;
    out->mentioned = mentioned > own->read ? mentioned : 0;
    if (!error && c->st.last_seq > 0 && c->st.last_seq >= c->member.first_seq)
        error = last_message(r, c, out);
    return error;
}

static int page_fill(struct sto_reader *r, const struct candidate *all, size_t count, const char *user, size_t limit,
                     Pigeon__SyncPage *page, uint64_t *ret_cursor)
{
    page->convs = pgn_arena_alloc(r->arena, (limit + 1) * sizeof(Pigeon__ConvState *));
    for (size_t i = 0; i < count; i++) {
        if (page->n_convs == limit) {
            page->more = true;
            break;
        }
        STO_NEW(r->arena, Pigeon__ConvState, pigeon__conv_state, state);
        int error = state_fill(r, &all[i], user, state);
        if (lost_by_damage(r, error))
            continue;
        if (error)
            return error;
        if (!sto_budget(r, protobuf_c_message_get_packed_size(&state->base)) && page->n_convs) {
            page->more = true;
            break;
        }
        page->convs[page->n_convs++] = state;
        *ret_cursor = all[i].change;
    }
    return 0;
}

int sto_read_sync(struct sto_reader *r, const Pigeon__SyncUser *in, Pigeon__Reply *ret)
{
    struct listing l = {.arena = r->arena};
    uint64_t cursor = 0, newest, last = 0;
    size_t count = 0, limit = in->sync && in->sync->limit ? in->sync->limit : SYNC_DEFAULT;
    char text[24] = "";

    if (!pgn_user_valid(in->user))
        return sto_reply_error(ret, PGN_E_INVALID, "malformed user");
    int error = sto_cursor(r, in->sync ? in->sync->cursor : "", &cursor, &newest);
    if (error)
        return error == PGN_E_INVALID ? sto_reply_error(ret, error, "malformed cursor") : error;
    struct sto_key from = sto_key_user(in->user, 0), to = sto_key_user(in->user, UINT64_MAX);
    error = r->log->kv->ops->scan(r->log->kv, r->view, STO_CF_MAIN, sto_key_slice(&from), sto_key_slice(&to), false, list_visit, &l);
    struct candidate *all = pgn_arena_alloc(r->arena, (l.count + 1) * sizeof *all);
    for (size_t i = 0; !error && i < l.count; i++) {
        error = candidate_get(r, &l.all[i], in->user, &all[count]);
        count += all[count].change > cursor && !(all[count].member.gone && cursor == 0);
    }
    if (error)
        return error;
    qsort(all, count, sizeof *all, candidate_cmp);
    STO_NEW(r->arena, Pigeon__SyncPage, pigeon__sync_page, page);
    sto_reply_ok(r->arena, ret)->result_case = PIGEON__OK__RESULT_SYNC;
    ret->ok->sync = page;
    if ((error = page_fill(r, all, count, in->user, limit < SYNC_MAX ? limit : SYNC_MAX, page, &last)) != 0)
        return error;
    if (!page->more || last > newest) /* where a view is not one moment's, rows may be newer than the commit number read first */
        last = newest;
    /* In an empty store "", as gateways write 0: else each heartbeat would tell the client that it has missed something. */
    if (last)
        snprintf(text, sizeof text, "%llu", (unsigned long long)last);
    page->cursor = pgn_arena_strdup(r->arena, text);
    return 0;
}
