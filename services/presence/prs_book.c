#include "services/presence/prs_book.h"

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/base/id.h"
#include "common/base/map.h"
#include "services/presence/prs_metrics.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { ANNOUNCE_EVERY_MS = 1000, EVICT_TRIES = 64 };

struct prs_book {
    struct pgn_loop *loop;
    uint64_t linger_ms;
    struct prs_book_hooks hooks;
    struct pgn_map *users;
    struct pgn_node idle; /* offline and with nothing due, the longest unasked first */
    size_t idle_count, online, devices;
};

struct prs_wait {
    struct pgn_timer timer;
    struct prs_book *book;
    struct prs_user *user;
    uint64_t offline_at_ms; /* while lingering */
};

static void settle(struct prs_book *book, struct prs_user *u);

static const void *key_of(const void *value, size_t *ret_len)
{
    const struct prs_user *u = value;
    *ret_len = strlen(u->id);
    return u->id;
}

struct prs_book *prs_book_new(struct pgn_loop *loop, uint64_t linger_ms, const struct prs_book_hooks *hooks)
{
    struct prs_book *book = pgn_calloc(1, sizeof(*book));
    book->loop = loop;
    book->linger_ms = linger_ms;
    book->hooks = *hooks;
    book->users = pgn_map_new(key_of);
    pgn_list_init(&book->idle);
    return book;
}

static void free_wait(struct prs_user *u)
{
    if (!u->wait)
        return;
    pgn_timer_stop(&u->wait->timer);
    free(u->wait);
    u->wait = NULL;
}

static void free_user(struct prs_user *u)
{
    free_wait(u);
    pgn_list_remove(&u->node);
    if (u->count > 1)
        free(u->devices.many);
    free(u->text);
    free(u);
}

void prs_book_free(struct prs_book **bookp)
{
    struct prs_book *book = *bookp;
    if (!book)
        return;
    *bookp = NULL;
    size_t it = 0;
    struct prs_user *u;
    while ((u = pgn_map_next(book->users, &it)))
        free_user(u);
    pgn_map_free(&book->users);
    free(book);
}

/* ---- devices ---- */

static struct prs_device *devices_of(struct prs_user *u)
{
    return u->count > 1 ? u->devices.many : &u->devices.one;
}

static struct prs_device *find_device(struct prs_user *u, uint64_t hash, uint16_t gateway)
{
    struct prs_device *d = devices_of(u);
    for (unsigned i = 0; i < u->count; i++)
        if (d[i].hash == hash && d[i].gateway == gateway)
            return &d[i];
    return NULL;
}

static void add_device(struct prs_user *u, struct prs_device device)
{
    if (u->count == 0) {
        u->devices.one = device;
        u->count = 1;
        return;
    }
    if (u->count == 1) {
        struct prs_device one = u->devices.one;
        u->cap = 2;
        u->devices.many = pgn_malloc(u->cap * sizeof(device));
        u->devices.many[0] = one;
    } else if (u->count == u->cap) {
        u->cap = (uint8_t)(u->cap * 2);
        u->devices.many = pgn_realloc(u->devices.many, u->cap * sizeof(device));
    }
    u->devices.many[u->count++] = device;
}

static void remove_device(struct prs_user *u, struct prs_device *d)
{
    struct prs_device *all = devices_of(u);
    *d = all[u->count - 1];
    u->count--;
    if (u->count == 1) {
        struct prs_device one = all[0];
        free(u->devices.many);
        u->devices.one = one;
    }
}

/* ---- what others see ---- */

Pigeon__State prs_user_visible(const struct prs_user *u)
{
    if (!u->loaded || (u->count == 0 && !u->lingering) || u->own == PIGEON__STATE__invisible)
        return PIGEON__STATE__offline;
    return u->own == PIGEON__STATE__away || u->own == PIGEON__STATE__busy ? (Pigeon__State)u->own : PIGEON__STATE__online;
}

uint64_t prs_user_last_seen(const struct prs_user *u)
{
    return prs_user_visible(u) == PIGEON__STATE__offline ? u->last_seen_ms : pgn_wall_ms();
}

/* ---- idle users ---- */

/* While storage is away many cannot be forgotten: a call looks at a few only. */
static void evict(struct prs_book *book)
{
    struct pgn_node *n = book->idle.next;
    for (int tries = 0; book->idle_count > PRS_IDLE_MAX && n != &book->idle && tries < EVICT_TRIES; tries++) {
        struct prs_user *u = PGN_CONTAINER(n, struct prs_user, node);
        n = n->next;
        if (u->seen_dirty || u->status_dirty || u->saving)
            continue;
        pgn_map_remove_str(book->users, u->id);
        book->idle_count--;
        free_user(u);
    }
}

static void set_idle(struct prs_book *book, struct prs_user *u, bool idle)
{
    if (u->idle) {
        pgn_list_remove(&u->node);
        book->idle_count--;
    }
    u->idle = idle;
    if (idle) {
        pgn_list_append(&book->idle, &u->node);
        book->idle_count++;
    }
}

/* ---- the machine ---- */

static void on_due(struct pgn_timer *t)
{
    struct prs_wait *w = PGN_CONTAINER(t, struct prs_wait, timer);
    struct prs_book *book = w->book;
    settle(book, w->user); /* may free w */
    evict(book);
}

static struct prs_wait *need_wait(struct prs_book *book, struct prs_user *u)
{
    if (!u->wait) {
        u->wait = pgn_calloc(1, sizeof(*u->wait));
        u->wait->timer.on_due = on_due;
        u->wait->book = book;
        u->wait->user = u;
    }
    return u->wait;
}

static void announce(struct prs_book *book, struct prs_user *u, Pigeon__State visible, uint64_t now_ms)
{
    if (visible == PIGEON__STATE__offline && u->announced != PIGEON__STATE__offline) {
        u->seen_dirty = true;
        book->hooks.save(book->hooks.ctx, u);
    }
    u->announced = (uint8_t)visible;
    u->announced_at_ms = now_ms;
    u->text_changed = false;
    prs_count(PRS_ANNOUNCED, 1);
    book->hooks.announce(book->hooks.ctx, u);
}

/* The time at which this user's change is due, announcing it when that is now; 0: nothing is due. */
static uint64_t settle_announcement(struct prs_book *book, struct prs_user *u, uint64_t now_ms)
{
    if (!u->loaded)
        return 0;
    Pigeon__State visible = prs_user_visible(u);
    if (u->own == PIGEON__STATE__invisible)
        u->text_changed = false; /* it would show that somebody is there */
    if (visible == (Pigeon__State)u->announced && !u->text_changed)
        return 0;
    if (u->announced_at_ms != 0 && now_ms < u->announced_at_ms + ANNOUNCE_EVERY_MS)
        return u->announced_at_ms + ANNOUNCE_EVERY_MS;
    announce(book, u, visible, now_ms);
    return 0;
}

/* Brings announcement, timer and lists in line with the user's devices and status. */
static void settle(struct prs_book *book, struct prs_user *u)
{
    uint64_t now_ms = pgn_mono_ms(), linger_due = 0;
    if (u->lingering && now_ms >= u->wait->offline_at_ms) {
        u->lingering = false;
        book->hooks.changed(book->hooks.ctx, u);
    }
    if (u->lingering)
        linger_due = u->wait->offline_at_ms;
    uint64_t due = settle_announcement(book, u, now_ms);
    if (due)
        prs_count(PRS_DELAYED, 1);
    if (linger_due && (!due || linger_due < due))
        due = linger_due;
    if (due)
        pgn_timer_start(book->loop, &need_wait(book, u)->timer, due - now_ms);
    else
        free_wait(u);
    if (u->loaded && !u->queued) /* else its node is the loader's */
        set_idle(book, u, u->count == 0 && !u->wait);
}

static struct prs_user *make_user(struct prs_book *book, const char *id)
{
    size_t len = strlen(id);
    struct prs_user *u = pgn_calloc(1, sizeof(*u) + len + 1);
    memcpy(u->id, id, len + 1);
    u->own = PIGEON__STATE__online;
    u->announced = PIGEON__STATE__offline;
    pgn_map_put(book->users, u);
    return u;
}

struct prs_user *prs_book_find(struct prs_book *book, const char *id)
{
    struct prs_user *u = pgn_map_get_str(book->users, id);
    if (u && u->idle)
        set_idle(book, u, true); /* to the end */
    return u;
}

struct prs_user *prs_book_want(struct prs_book *book, const char *id)
{
    struct prs_user *u = prs_book_find(book, id);
    if (u)
        return u;
    u = make_user(book, id);
    book->hooks.load(book->hooks.ctx, u);
    return u;
}

struct prs_user *prs_book_next(const struct prs_book *book, size_t *it)
{
    return pgn_map_next(book->users, it);
}

bool prs_book_up(struct prs_book *book, const char *id, uint64_t device_hash, uint16_t gateway, uint16_t round)
{
    struct prs_user *u = prs_book_want(book, id);
    struct prs_device *d = find_device(u, device_hash, gateway);
    if (d) {
        d->round = round;
        return true;
    }
    if (u->count == PRS_USER_DEVICES_MAX)
        return false;
    add_device(u, (struct prs_device){device_hash, gateway, round});
    book->devices++;
    if (u->count == 1) {
        book->online++;
        if (u->lingering)
            prs_count(PRS_FLAPS, 1);
        u->lingering = false;
        book->hooks.changed(book->hooks.ctx, u);
        settle(book, u);
    }
    return true;
}

static void last_device_went(struct prs_book *book, struct prs_user *u)
{
    book->online--;
    if (u->own != PIGEON__STATE__invisible)
        u->last_seen_ms = pgn_wall_ms();
    u->lingering = true;
    need_wait(book, u)->offline_at_ms = pgn_mono_ms() + book->linger_ms;
    book->hooks.changed(book->hooks.ctx, u);
    settle(book, u);
}

void prs_book_down(struct prs_book *book, const char *id, uint64_t device_hash, uint16_t gateway)
{
    struct prs_user *u = pgn_map_get_str(book->users, id);
    struct prs_device *d = u ? find_device(u, device_hash, gateway) : NULL;
    if (!d)
        return;
    remove_device(u, d);
    book->devices--;
    if (u->count == 0)
        last_device_went(book, u);
    evict(book);
}

void prs_book_drop(struct prs_book *book, uint16_t gateway, int32_t round)
{
    size_t it = 0;
    struct prs_user *u;
    while ((u = pgn_map_next(book->users, &it))) {
        unsigned before = u->count;
        for (unsigned i = before; i-- > 0;) {
            struct prs_device *d = &devices_of(u)[i];
            if (d->gateway != gateway || (round >= 0 && d->round == (uint16_t)round))
                continue;
            remove_device(u, d);
            book->devices--;
        }
        if (before > 0 && u->count == 0)
            last_device_went(book, u);
    }
    evict(book);
}

static bool set_text(struct prs_user *u, const char *text)
{
    const char *old = u->text ? u->text : "";
    if (strcmp(old, text) == 0)
        return false;
    free(u->text);
    u->text = *text ? pgn_strdup(text) : NULL;
    return true;
}

static bool known_state(int state)
{
    return state >= PIGEON__STATE__online && state <= PIGEON__STATE__invisible;
}

static void take_status(struct prs_book *book, struct prs_user *u, Pigeon__State own, const char *text, uint64_t stamp)
{
    bool text_changed = set_text(u, text), state_changed = known_state((int)own) && u->own != (uint8_t)own;
    if (state_changed) {
        if (own == PIGEON__STATE__invisible && u->count > 0)
            u->last_seen_ms = pgn_wall_ms();
        u->own = (uint8_t)own;
    }
    u->status_stamp = stamp;
    u->loaded = true; /* newer than what storage has */
    u->text_changed = u->text_changed || text_changed;
    if (text_changed || state_changed) {
        u->status_dirty = true;
        book->hooks.save(book->hooks.ctx, u);
        book->hooks.changed(book->hooks.ctx, u);
    }
    settle(book, u);
    evict(book);
}

void prs_book_set_status(struct prs_book *book, struct prs_user *u, Pigeon__State own, const char *text)
{
    uint64_t now_ms = pgn_wall_ms();
    take_status(book, u, own, text, now_ms > u->status_stamp ? now_ms : u->status_stamp + 1);
    if (book->hooks.share)
        book->hooks.share(book->hooks.ctx, u);
}

void prs_book_heard_status(struct prs_book *book, struct prs_user *u, Pigeon__State own, const char *text, uint64_t stamp)
{
    if (stamp > u->status_stamp)
        take_status(book, u, own, text, stamp);
}

void prs_book_loaded(struct prs_book *book, struct prs_user *u, const Pigeon__User *stored)
{
    if (!u->loaded && stored) {
        if (known_state((int)stored->status_state))
            u->own = (uint8_t)stored->status_state;
        (void)set_text(u, stored->status_text);
    }
    if (stored && stored->last_seen > u->last_seen_ms)
        u->last_seen_ms = stored->last_seen;
    u->loaded = true;
    u->queued = false;
    if (u->count > 0)
        book->hooks.changed(book->hooks.ctx, u);
    settle(book, u);
    evict(book);
}

void prs_book_restore(struct prs_book *book, const Pigeon__User *kept)
{
    if (!pgn_user_valid(kept->user) || pgn_map_get_str(book->users, kept->user))
        return;
    struct prs_user *u = make_user(book, kept->user);
    u->own = known_state((int)kept->status_state) ? (uint8_t)kept->status_state : PIGEON__STATE__online;
    (void)set_text(u, kept->status_text);
    u->last_seen_ms = kept->last_seen;
    u->loaded = true;
    add_device(u, (struct prs_device){0, PRS_GATEWAY_RESTORED, 0});
    book->devices++;
    book->online++;
    u->announced = (uint8_t)prs_user_visible(u); /* by whom was here before */
}

size_t prs_book_known(const struct prs_book *book)
{
    return pgn_map_count(book->users);
}

size_t prs_book_online(const struct prs_book *book)
{
    return book->online;
}

size_t prs_book_devices(const struct prs_book *book)
{
    return book->devices;
}
