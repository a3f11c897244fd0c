/*
 * The book: who is online, with which state, and what has been announced of it. A state machine without I/O: it tells
 * its owner through hooks. Loop's thread. Time: the loop's timers and pgn_clock.
 *
 *   devices up            > 0   online, away or busy, as the user set it; invisible is shown as offline
 *   last device down            lingers for linger_ms, shown as before; back within that: nothing is announced
 *   after that                  offline, with the time when the last device went as last_seen
 *
 * A change is announced at once, but at most one of a user per second: the last state within it is what is announced then.
 * A user's own status comes from storage (hook `load`); until it has, the user is shown as offline and nothing is
 * announced, since somebody invisible must not be given away by a restart.
 *
 * Memory: struct prs_user with one device 88 + id bytes, and 16-32 of the map's; a further 32 while something waits.
 */
#ifndef SERVICES_PRESENCE_PRS_BOOK_H
#define SERVICES_PRESENCE_PRS_BOOK_H

#include "common/base/list.h"
#include "common/io/loop.h"
#include "common/proto/pb.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PRS_GATEWAY_RESTORED = 0, /* stands for "was online before the restart", until the gateways have told */
    PRS_USER_DEVICES_MAX = 64,
    PRS_IDLE_MAX = 50000, /* offline users kept for queries; the one not asked for the longest time goes first */
    PRS_TEXT_MAX = 512,   /* bytes of a status text; a longer one is cut by nobody: it is refused before */
};

struct prs_device {
    uint64_t hash;    /* of the device's name */
    uint16_t gateway; /* slot of prs_gateways, or PRS_GATEWAY_RESTORED */
    uint16_t round;   /* of that gateway's snapshots */
};
struct prs_wait;
struct prs_user {
    struct pgn_node node;  /* offline: among the idle; not loaded: the loader's queue */
    struct prs_wait *wait; /* a timer, while something is due */
    char *text;            /* of the status; NULL: none */
    union {
        struct prs_device one;
        struct prs_device *many; /* when there are two or more */
    } devices;
    uint64_t last_seen_ms;    /* wall; 0: never */
    uint64_t announced_at_ms; /* monotonic; 0: never */
    uint64_t status_stamp;    /* of the status; 0: as storage has it. The same at all instances */
    uint8_t count, cap;       /* of devices */
    uint8_t own, announced;   /* Pigeon__State: what the user chose; what others were told */
    bool loaded : 1, lingering : 1, idle : 1;
    bool text_changed : 1;                             /* since the last announcement */
    bool seen_dirty : 1, status_dirty : 1, saving : 1; /* prs_seen: to be written to storage */
    bool queued : 1;                                   /* prs_loader: in its queue, or asked */
    char id[];
};

struct prs_book_hooks {
    void *ctx;
    void (*announce)(void *ctx, const struct prs_user *u); /* tell the watchers */
    void (*changed)(void *ctx, const struct prs_user *u);  /* what a restart needs to know has changed */
    void (*save)(void *ctx, struct prs_user *u);           /* seen_dirty or status_dirty was set */
    void (*share)(void *ctx, const struct prs_user *u);    /* a status was set here: tell the other instances; may be NULL */
    void (*load)(void *ctx, struct prs_user *u);           /* not loaded: ask storage, then prs_book_loaded */
};

struct prs_book;
struct prs_book *prs_book_new(struct pgn_loop *loop, uint64_t linger_ms, const struct prs_book_hooks *hooks);
void prs_book_free(struct prs_book **book);

struct prs_user *prs_book_find(struct prs_book *book,
                               const char *id); /* NULL: not in memory. An offline one becomes the last to be forgotten */
struct prs_user *prs_book_want(struct prs_book *book, const char *id);   /* makes one that is to be loaded when there is none */
struct prs_user *prs_book_next(const struct prs_book *book, size_t *it); /* walk, as pgn_map_next */

/* False: this user has too many devices. */
bool prs_book_up(struct prs_book *book, const char *id, uint64_t device_hash, uint16_t gateway, uint16_t round);
void prs_book_down(struct prs_book *book, const char *id, uint64_t device_hash, uint16_t gateway);
/* All devices of a gateway but those of this round go down; round < 0: all. */
void prs_book_drop(struct prs_book *book, uint16_t gateway, int32_t round);

/* own: unset keeps the state. */
void prs_book_set_status(struct prs_book *book, struct prs_user *u, Pigeon__State own, const char *text);
/*
 * A status that another instance was told: taken when its stamp is newer than the one known. Every instance saves what it takes,
 * so a status outlives the instance that it was given to. Stamps are wall time, but always above the last one known: two
 * settings that no instance has seen both of are ordered by clocks, and all agree.
 */
void prs_book_heard_status(struct prs_book *book, struct prs_user *u, Pigeon__State own, const char *text, uint64_t stamp);
/* What storage knows; NULL: there is no such user, or it has nothing. Does nothing to what is loaded. */
void prs_book_loaded(struct prs_book *book, struct prs_user *u, const Pigeon__User *stored);
/* A user who was online before the restart: what `changed` kept of it. */
void prs_book_restore(struct prs_book *book, const Pigeon__User *kept);

/* What others see. */
Pigeon__State prs_user_visible(const struct prs_user *u);
uint64_t prs_user_last_seen(const struct prs_user *u); /* wall ms: now while visible */

size_t prs_book_known(const struct prs_book *book);
size_t prs_book_online(const struct prs_book *book);
size_t prs_book_devices(const struct prs_book *book);

#endif
