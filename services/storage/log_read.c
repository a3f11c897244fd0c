/* Reading the message log: history, one conversation, and what the others share. */
#include "common/base/alloc.h"
#include "common/base/error.h"
#include "services/storage/log_reader.h"

#include <stdlib.h>
#include <string.h>

enum { FETCH_DEFAULT = 50, FETCH_MAX = 200 };

/* ---- shared ---- */

void sto_reader_begin(struct sto_reader *r, struct sto_log *log, struct pgn_arena *arena, size_t budget_bytes)
{
    *r = (struct sto_reader){.log = log, .arena = arena, .budget = budget_bytes ? budget_bytes : SIZE_MAX};
    r->view = log->kv->ops->view_begin(log->kv);
}

void sto_reader_end(struct sto_reader *r)
{
    r->log->kv->ops->view_end(r->log->kv, r->view);
    pgn_buf_release(&r->value);
}

int sto_reply_error(Pigeon__Reply *ret, int error, const char *text)
{
    ret->error = error;
    ret->text = sto_chars(text ? text : "");
    return error;
}

bool sto_budget(struct sto_reader *r, size_t bytes)
{
    bool fits = bytes <= r->budget;

    r->budget -= fits ? bytes : r->budget;
    return fits;
}

char *sto_arena_text(struct pgn_arena *arena, const void *data, size_t len)
{
    char *s = pgn_arena_alloc(arena, len + 1);

    if (len)
        memcpy(s, data, len);
    s[len] = 0;
    return s;
}

Pigeon__Ok *sto_reply_ok(struct pgn_arena *arena, Pigeon__Reply *ret)
{
    STO_NEW(arena, Pigeon__Ok, pigeon__ok, ok);
    ret->payload_case = PIGEON__REPLY__PAYLOAD_OK;
    ret->ok = ok;
    return ok;
}

static int get(struct sto_reader *r, enum sto_cf cf, const struct sto_key *key)
{
    return r->log->kv->ops->get(r->log->kv, r->view, cf, sto_key_slice(key), &r->value);
}

int sto_find(struct sto_reader *r, const char *conv, struct sto_found *ret_found)
{
    struct sto_key key = sto_key_conv(conv);
    int error = get(r, STO_CF_MAIN, &key);

    memset(ret_found, 0, sizeof *ret_found);
    if (error)
        return error;
    if (!sto_conv_row_get(sto_slice_buf(&r->value), &ret_found->conv))
        return PGN_E_CORRUPT;
    ret_found->conv.title.data = sto_arena_text(r->arena, ret_found->conv.title.data, ret_found->conv.title.len);
    ret_found->conv.settings.data = sto_arena_text(r->arena, ret_found->conv.settings.data, ret_found->conv.settings.len);
    key = sto_key_state(ret_found->conv.num);
    if ((error = get(r, STO_CF_MAIN, &key)) != 0)
        return error == PGN_E_NOT_FOUND ? PGN_E_CORRUPT : error;
    if (!sto_state_row_get(sto_slice_buf(&r->value), &ret_found->st))
        return PGN_E_CORRUPT;
    ret_found->version = ret_found->st.version;
    if (ret_found->st.kind == STO_DIRECT) {
        pgn_conv_users(conv, ret_found->a, ret_found->b);
        if (!sto_people_direct(r->log->people, ret_found->a, ret_found->b, &ret_found->version))
            ret_found->version = 0;
    }
    return 0;
}

int sto_find_member(struct sto_reader *r, uint64_t num, const char *user, struct sto_member_row *ret_row)
{
    struct sto_key key = sto_key_member(num, user);
    int error = get(r, STO_CF_MAIN, &key);

    if (error)
        return error;
    if (!sto_member_row_get(sto_slice_buf(&r->value), ret_row))
        return PGN_E_CORRUPT;
    return ret_row->gone ? PGN_E_NOT_FOUND : 0;
}

Pigeon__Settings *sto_settings(struct sto_reader *r, struct sto_slice packed)
{
    return packed.len ? PGN_PB_UNPACK(Pigeon__Settings, pigeon__settings, r->arena, packed.data, packed.len) : NULL;
}

Pigeon__Message *sto_message_of(struct sto_reader *r, const char *conv, uint64_t seq, struct sto_slice row_value)
{
    struct sto_msg_row row;

    if (!sto_msg_row_get(row_value, &row))
        return NULL;
    Pigeon__Message *m = sto_message_unpack(r->arena, row.message);
    if (m) {
        m->conv = sto_chars(conv);
        m->seq = seq;
    }
    return m;
}

int sto_scan_members(struct sto_reader *r, uint64_t num, const char *from_user, sto_kv_visit *visit, void *ctx)
{
    struct sto_key from = sto_key_member(num, from_user), all = sto_key_member(num, "");
    struct sto_key to = sto_key_after(&all);

    return r->log->kv->ops->scan(r->log->kv, r->view, STO_CF_MAIN, sto_key_slice(&from), sto_key_slice(&to), false, visit, ctx);
}

/* ---- history ---- */

struct fetching {
    struct sto_reader *r;
    const char *conv;
    Pigeon__Page *page;
    size_t limit;
    bool broken;
};

static bool fetch_visit(void *ctx, struct sto_slice key, struct sto_slice value)
{
    struct fetching *f = ctx;

    if (f->page->n_messages == f->limit || (!sto_budget(f->r, value.len + 32) && f->page->n_messages)) {
        f->page->more = true;
        return false;
    }
    Pigeon__Message *m = sto_message_of(f->r, f->conv, sto_u64be((const uint8_t *)key.data + 8), value);
    f->broken = !m;
    if (m)
        f->page->messages[f->page->n_messages++] = m;
    return m != NULL;
}

static void reverse(Pigeon__Page *page)
{
    for (size_t i = 0; i < page->n_messages / 2; i++) {
        Pigeon__Message *m = page->messages[i];

        page->messages[i] = page->messages[page->n_messages - 1 - i];
        page->messages[page->n_messages - 1 - i] = m;
    }
}

static int fetch_scan(struct fetching *f, uint64_t num, uint64_t low, uint64_t high, bool backwards)
{
    struct sto_reader *r = f->r;
    struct sto_key from = sto_key_msg(num, low), to = sto_key_msg(num, high);

    return r->log->kv->ops->scan(r->log->kv, r->view, STO_CF_MSG, sto_key_slice(&from), sto_key_slice(&to), backwards, fetch_visit, f);
}

/*
 * The newest of [low, high). Numbers are dense, so it is known where they begin, and going forwards costs half. Where that
 * is not all (numbers that a repair lost, a page that grew too large) it goes backwards from the end.
 */
static int fetch_newest(struct fetching *f, uint64_t num, uint64_t low, uint64_t high)
{
    uint64_t begin = high - low > f->limit ? high - f->limit : low;
    size_t budget = f->r->budget;
    int error = fetch_scan(f, num, begin, high, false);

    if (error || f->broken)
        return error;
    if (f->page->n_messages == high - begin) {
        f->page->more = begin > low;
        return 0;
    }
    f->page->n_messages = 0;
    f->page->more = false;
    f->r->budget = budget;
    error = fetch_scan(f, num, low, high, true);
    reverse(f->page);
    return error;
}

/* Of [low, high) what was committed after the cursor, oldest first. */
static int fetch_since(struct fetching *f, uint64_t num, uint64_t low, uint64_t high, uint64_t cursor)
{
    int error = sto_seq_above(f->r, num, low, high, cursor, &low);

    return error || low >= high ? error : fetch_scan(f, num, low, high, false);
}

static int read_fetch(struct sto_reader *r, const Pigeon__FetchConv *in, Pigeon__Reply *ret)
{
    const Pigeon__Fetch *fetch = in->fetch;
    struct sto_found found;
    uint64_t cursor = 0, newest;

    if (!fetch || !pgn_conv_valid(fetch->conv) || (fetch->since[0] && (fetch->after || fetch->before)))
        return sto_reply_error(ret, PGN_E_INVALID, "malformed fetch");
    int error = fetch->since[0] ? sto_cursor(r, fetch->since, &cursor, &newest) : 0;
    if (error)
        return error == PGN_E_INVALID ? sto_reply_error(ret, error, "malformed cursor") : error;
    STO_NEW(r->arena, Pigeon__Page, pigeon__page, page);
    sto_reply_ok(r->arena, ret)->result_case = PIGEON__OK__RESULT_FETCH;
    ret->ok->fetch = page;
    error = sto_find(r, fetch->conv, &found);
    if (error == PGN_E_NOT_FOUND && pgn_conv_is_direct(fetch->conv))
        return 0;
    if (error)
        return error;
    struct fetching f = {r, sto_arena_text(r->arena, fetch->conv, strlen(fetch->conv)), page, fetch->limit ? fetch->limit : FETCH_DEFAULT,
                         false};
    if (f.limit > FETCH_MAX)
        f.limit = FETCH_MAX;
    page->messages = pgn_arena_alloc(r->arena, f.limit * sizeof(Pigeon__Message *));
    uint64_t low = fetch->after + 1 > in->first_seq ? fetch->after + 1 : in->first_seq;
    uint64_t high = fetch->before && fetch->before <= found.st.last_seq ? fetch->before : found.st.last_seq + 1;
    if (fetch->after == UINT64_MAX || low >= high)
        return 0;
    if (fetch->since[0])
        error = fetch_since(&f, found.conv.num, low, high, cursor);
    else
        error = fetch->after ? fetch_scan(&f, found.conv.num, low, high, false) : fetch_newest(&f, found.conv.num, low, high);
    return error ? error : f.broken ? PGN_E_CORRUPT : 0;
}

/* ---- one conversation ---- */

static int read_info(struct sto_reader *r, const Pigeon__InfoConv *in, Pigeon__Reply *ret)
{
    struct sto_found found;
    struct sto_member_row member = {.role = PIGEON__ROLE__member};

    if (!pgn_conv_valid(in->conv) || !pgn_user_valid(in->user))
        return sto_reply_error(ret, PGN_E_INVALID, "malformed request");
    int error = sto_find(r, in->conv, &found);
    if (error)
        return error;
    if (found.st.kind == STO_GROUP)
        error = sto_find_member(r, found.conv.num, in->user, &member);
    else if (strcmp(in->user, found.a) != 0 && strcmp(in->user, found.b) != 0)
        error = PGN_E_NOT_FOUND;
    if (error)
        return error == PGN_E_NOT_FOUND ? sto_reply_error(ret, PGN_E_FORBIDDEN, "not a member") : error;
    STO_NEW(r->arena, Pigeon__ConvInfo, pigeon__conv_info, info);
    sto_reply_ok(r->arena, ret)->result_case = PIGEON__OK__RESULT_INFO;
    ret->ok->info = info;
    info->conv = sto_arena_text(r->arena, in->conv, strlen(in->conv));
    info->kind = (Pigeon__ConvKind)found.st.kind;
    info->title = sto_arena_text(r->arena, found.conv.title.data, found.conv.title.len);
    info->settings = sto_settings(r, found.conv.settings);
    info->last_seq = found.st.last_seq;
    info->version = found.version;
    info->members = found.st.kind == STO_GROUP ? found.st.members : strcmp(found.a, found.b) == 0 ? 1 : 2;
    info->role = (Pigeon__Role)member.role;
    info->muted_until = member.muted_until > found.st.muted_until ? member.muted_until : found.st.muted_until;
    info->created_at = found.conv.created_at;
    return 0;
}

/* ---- a user's conversations, blocks ---- */

struct listing {
    struct pgn_arena *arena;
    struct sto_convs convs;
    size_t cap;
    uint8_t kind;
};

static void listing_grow(struct listing *l)
{
    l->cap = l->cap ? l->cap * 2 : 32;
    char **ids = pgn_arena_alloc(l->arena, l->cap * sizeof *ids);
    uint64_t *first_seqs = pgn_arena_alloc(l->arena, l->cap * sizeof *first_seqs);

    if (l->convs.count) {
        memcpy((void *)ids, (void *)l->convs.ids, l->convs.count * sizeof *ids);
        memcpy(first_seqs, l->convs.first_seqs, l->convs.count * sizeof *first_seqs);
    }
    l->convs.ids = ids;
    l->convs.first_seqs = first_seqs;
}

static bool list_visit(void *ctx, struct sto_slice key, struct sto_slice value)
{
    struct listing *l = ctx;
    struct sto_user_row row;

    (void)key;
    if (!sto_user_row_get(value, &row) || row.gone || row.kind != l->kind)
        return true;
    if (l->convs.count == l->cap)
        listing_grow(l);
    l->convs.ids[l->convs.count] = sto_arena_text(l->arena, row.conv.data, row.conv.len);
    l->convs.first_seqs[l->convs.count++] = row.first_seq;
    return true;
}

static int list_convs(struct sto_reader *r, const char *user, struct listing *l)
{
    struct sto_key from = sto_key_user(user, 0), to = sto_key_user(user, UINT64_MAX);

    return r->log->kv->ops->scan(r->log->kv, r->view, STO_CF_MAIN, sto_key_slice(&from), sto_key_slice(&to), false, list_visit, l);
}

static void reply_strings(struct sto_reader *r, Pigeon__Reply *ret, char **values, size_t count)
{
    STO_NEW(r->arena, Pigeon__Strings, pigeon__strings, strings);
    strings->values = values;
    strings->n_values = count;
    ret->payload_case = PIGEON__REPLY__PAYLOAD_STRINGS;
    ret->strings = strings;
}

static int read_routes(struct sto_reader *r, const Pigeon__CommonConvs *in, Pigeon__Reply *ret)
{
    struct listing l = {.arena = r->arena, .kind = STO_GROUP};

    if (!pgn_user_valid(in->user))
        return sto_reply_error(ret, PGN_E_INVALID, "malformed user");
    int error = list_convs(r, in->user, &l);
    if (!error)
        reply_strings(r, ret, l.convs.ids, l.convs.count);
    return error;
}

struct group_count {
    uint32_t count, max;
};

static bool group_visit(void *ctx, struct sto_slice key, struct sto_slice value)
{
    struct group_count *g = ctx;
    struct sto_user_row row;

    (void)key;
    g->count += sto_user_row_get(value, &row) && !row.gone && row.kind == STO_GROUP;
    return g->count < g->max;
}

/* Is the user in that many groups already? */
static int in_groups(struct sto_reader *r, const char *user, uint32_t max, bool *ret_yes)
{
    struct sto_key from = sto_key_user(user, 0), to = sto_key_user(user, UINT64_MAX);
    struct group_count g = {0, max};
    int error = r->log->kv->ops->scan(r->log->kv, r->view, STO_CF_MAIN, sto_key_slice(&from), sto_key_slice(&to), false, group_visit, &g);

    if (!error)
        *ret_yes = g.count >= max;
    return error;
}

static int read_blocked_by(struct sto_reader *r, const Pigeon__BlockedBy *in, Pigeon__Reply *ret)
{
    char **values = pgn_arena_alloc(r->arena, (in->n_users + 1) * sizeof(char *));
    size_t count = 0;

    for (size_t i = 0; i < in->n_users; i++) {
        const char *user = in->users[i];
        bool found = !sto_people_get(r->log->people, user).exists || sto_people_blocks(r->log->people, user, in->user);
        int error = found || !in->max_groups ? 0 : in_groups(r, user, in->max_groups, &found);

        if (error)
            return error;
        if (found)
            values[count++] = pgn_arena_strdup(r->arena, user);
    }
    reply_strings(r, ret, values, count);
    return 0;
}

/* ---- files ---- */

enum { LINK_LOOKS_MAX = 1 << 16 }; /* memberships that are looked at for one file: who has none by then is refused */

struct links {
    struct pgn_arena *arena;
    size_t prefix, count, cap;
    struct link {
        char *user, *conv;
        bool passed; /* its sender is among those who are asked for */
    } * link;
};

static bool link_visit(void *ctx, struct sto_slice key, struct sto_slice value)
{
    struct links *l = ctx;

    if (sto_file_links_get(value) == 0)
        return true; /* recalled */
    char *text = sto_arena_text(l->arena, (const char *)key.data + l->prefix, key.len - l->prefix);
    char *conv = text + strlen(text) + 1 <= text + (key.len - l->prefix) ? text + strlen(text) + 1 : text + strlen(text);

    if (l->count == l->cap) {
        l->cap = l->cap ? 2 * l->cap : 64;
        l->link = pgn_realloc(l->link, l->cap * sizeof *l->link);
    }
    l->link[l->count++] = (struct link){text, conv, false};
    return true;
}

static bool is_member(struct sto_reader *r, const char *conv, const char *user)
{
    char a[PGN_USER_MAX + 1], b[PGN_USER_MAX + 1];
    struct sto_found found;
    struct sto_member_row row;

    if (pgn_conv_users(conv, a, b))
        return strcmp(user, a) == 0 || strcmp(user, b) == 0;
    return sto_find(r, conv, &found) == 0 && sto_find_member(r, found.conv.num, user, &row) == 0;
}

static bool named(const char *const *users, size_t count, const char *user)
{
    size_t i = 0;

    while (i < count && strcmp(users[i], user) != 0)
        i++;
    return i < count;
}

/* From the asker back to the owner: who sent it to a conversation of his, who sent it to one of theirs, ... Forwarding gives the right on
 * only by somebody who had it. */
static bool may_read(struct sto_reader *r, struct links *l, const char *owner, const char *user)
{
    const char **asked = pgn_arena_alloc(l->arena, (l->count + 1) * sizeof *asked);
    size_t count = 1, looks = 0;

    asked[0] = user;
    for (size_t at = 0; at < count; at++) {
        if (strcmp(asked[at], owner) == 0)
            return true;
        for (size_t i = 0; i < l->count && looks < LINK_LOOKS_MAX; i++) {
            struct link *link = &l->link[i];

            if (link->passed || named(asked, count, link->user))
                continue;
            looks++;
            link->passed = is_member(r, link->conv, asked[at]);
            if (link->passed)
                asked[count++] = link->user;
        }
    }
    return false;
}

int sto_log_file_readable(struct sto_log *log, const char *file, const char *owner, const char *user, bool *ret_yes)
{
    struct pgn_arena *arena = pgn_arena_new(4096);
    struct sto_key from = sto_key_file_prefix(file), to = sto_key_after(&from);
    struct links l = {.arena = arena, .prefix = from.len};
    struct sto_reader r;

    sto_reader_begin(&r, log, arena, 0);
    int error = log->kv->ops->scan(log->kv, r.view, STO_CF_MAIN, sto_key_slice(&from), sto_key_slice(&to), false, link_visit, &l);
    if (!error)
        *ret_yes = may_read(&r, &l, owner, user);
    sto_reader_end(&r);
    free(l.link);
    pgn_arena_free(&arena);
    return error;
}

/* ---- requests ---- */

static int read_one(struct sto_reader *r, const Pigeon__ConvRequest *in, Pigeon__Reply *ret)
{
    switch (in->what_case) {
    case PIGEON__CONV_REQUEST__WHAT_POLICY:
        return sto_read_policies(r, in->policy, ret);
    case PIGEON__CONV_REQUEST__WHAT_FETCH:
        return read_fetch(r, in->fetch, ret);
    case PIGEON__CONV_REQUEST__WHAT_SYNC:
        return sto_read_sync(r, in->sync, ret);
    case PIGEON__CONV_REQUEST__WHAT_MEMBERS:
        return sto_read_members(r, in->members, ret);
    case PIGEON__CONV_REQUEST__WHAT_RECEIPTS:
        return sto_read_receipts(r, in->receipts, ret);
    case PIGEON__CONV_REQUEST__WHAT_INFO:
        return read_info(r, in->info, ret);
    case PIGEON__CONV_REQUEST__WHAT_ROUTES:
        return read_routes(r, in->routes, ret);
    case PIGEON__CONV_REQUEST__WHAT_BLOCKED_BY:
        return read_blocked_by(r, in->blocked_by, ret);
    case PIGEON__CONV_REQUEST__WHAT__NOT_SET:
    case _PIGEON__CONV_REQUEST__WHAT__CASE_IS_INT_SIZE:
        break;
    }
    return sto_reply_error(ret, PGN_E_INVALID, "unknown request");
}

int sto_log_read(struct sto_log *log, const Pigeon__ConvRequest *request, size_t budget_bytes, struct pgn_arena *arena, Pigeon__Reply *ret)
{
    struct sto_reader r;

    sto_reader_begin(&r, log, arena, budget_bytes);
    int error = read_one(&r, request, ret);
    sto_reader_end(&r);
    if (error) {
        ret->error = error;
        ret->payload_case = PIGEON__REPLY__PAYLOAD__NOT_SET;
    }
    return error;
}

int sto_log_version(struct sto_log *log, const char *conv, struct pgn_arena *arena, uint64_t *ret_version)
{
    struct sto_found found = {0};
    struct sto_reader r;

    sto_reader_begin(&r, log, arena, 0);
    int error = sto_find(&r, conv, &found);
    sto_reader_end(&r);
    *ret_version = found.version;
    return error == PGN_E_NOT_FOUND ? 0 : error;
}

int sto_log_convs(struct sto_log *log, const char *user, uint8_t kind, struct pgn_arena *arena, struct sto_convs *ret_convs)
{
    struct listing l = {.arena = arena, .kind = kind};
    struct sto_reader r;

    sto_reader_begin(&r, log, arena, 0);
    int error = list_convs(&r, user, &l);
    sto_reader_end(&r);
    if (!error)
        *ret_convs = l.convs;
    return error;
}
