/*
 * Effects as bus messages: made on the thread that stored, published by the loop. Order: policies, results, events; the
 * events of one subject go together and keep their order.
 */
#ifndef STO_OUTBOX_H
#define STO_OUTBOX_H

#include "common/base/buf.h"
#include "services/storage/effects.h"

#include <stdbool.h>

struct pgn_bus;

struct sto_outbox {
    struct sto_out_message {
        const char *subject; /* borrowed from an arena that outlives the outbox */
        struct pgn_buf data;
        bool events;
    } * messages;
    size_t count, cap;
    size_t event_bytes; /* set before events are added: what a bus message of them may have, but a single larger event has its own; 0: 256
                           KiB */
};

/* Returns the buffer to fill. */
struct pgn_buf *sto_outbox_add(struct sto_outbox *out, const char *subject, bool events);
void sto_outbox_policies(struct sto_outbox *out, const struct sto_effects *effects, const char *epoch);
/* Who left a group gets nothing of it that was stored after that, also when both are in one commit. */
void sto_outbox_events(struct sto_outbox *out, const struct sto_effects *effects);
/*
 * On the loop. False: the bus did not take an event (64 MB wait for NATS already). Those whom it was for see the gap with the next one, or
 * never: sto_doubt tells everybody to sync. drop_every: test fault, lost without a word; 0 for none.
 */
bool sto_outbox_publish(struct sto_outbox *out, struct pgn_bus *bus, unsigned drop_every);
void sto_outbox_release(struct sto_outbox *out);

#endif
