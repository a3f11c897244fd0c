/* Conversations of a worker's users; making groups. */
#include "loadtest/load.h"

#include "common/base/alloc.h"

#include <stdlib.h>
#include <string.h>

struct ld_conv *ld_conv_new(struct ld_run *r)
{
    if (r->conv_count == r->conv_cap) /* layout says how many there are: they must not move */
        ld_fatal(r, "more conversations than were laid out");
    return &r->convs[r->conv_count++];
}

uint16_t ld_conv_join(struct ld_conv *c, struct ld_user *u, const char *peer)
{
    if (c->member_count == c->member_cap) {
        c->member_cap = c->member_cap ? c->member_cap * 2 : 2;
        c->members = pgn_realloc(c->members, c->member_cap * sizeof *c->members);
    }
    u->slots = pgn_realloc(u->slots, (u->slot_count + 1U) * sizeof *u->slots);
    u->slots[u->slot_count] = (struct ld_slot){.conv = c, .peer = peer};
    c->members[c->member_count++] = (struct ld_member){u, u->slot_count};
    return u->slot_count++;
}

struct ld_conv *ld_conv_pair(struct ld_run *r, struct ld_user *a, struct ld_user *b)
{
    struct ld_conv *c = ld_conv_new(r);
    pgn_conv_direct(a->name, b->name, c->id);
    (void)ld_conv_join(c, a, b->name);
    (void)ld_conv_join(c, b, a->name);
    return c;
}

struct ld_slot *ld_slot_of(struct ld_user *u, struct ld_str conv)
{
    for (uint16_t i = 0; i < u->slot_count; i++) {
        const char *id = u->slots[i].conv->id;
        if (!strncmp(id, conv.p, conv.len) && !id[conv.len])
            return &u->slots[i];
    }
    return NULL;
}

static const char **names(const struct ld_run *r, uint32_t first, uint32_t count)
{
    const char **list = pgn_calloc(count ? count : 1, sizeof *list);
    for (uint32_t i = 0; i < count; i++)
        list[i] = r->o->people[first + i].name;
    return list;
}

void ld_make_group(struct ld_user *u, uint64_t argument, uint32_t first_member, uint32_t count)
{
    const char **list = names(u->run, first_member, count);
    struct pgn_buf *frame = ld_scratch();
    ld_put_group(&u->run->codec, frame, ld_id(LD_ASK_OTHER, argument), NULL, "load", list, count);
    ld_write(u, frame);
    free(list);
}

void ld_invite(struct ld_user *u, uint64_t argument, const char *conv, uint32_t first_member, uint32_t count)
{
    const char **list = names(u->run, first_member, count);
    struct pgn_buf *frame = ld_scratch();
    ld_put_group(&u->run->codec, frame, ld_id(LD_ASK_OTHER, argument), conv, NULL, list, count);
    ld_write(u, frame);
    free(list);
}
