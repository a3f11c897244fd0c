/*
 * What the message log must know of users, in memory: who exists, who is disabled, who blocks whom, names. Filled from the
 * directory when the store opens, changed by the directory's thread after its commit, read by any thread.
 * A direct conversation's version is the sum of its users' versions: it rises when one of them blocks, unblocks or is disabled.
 */
#ifndef STO_PEOPLE_H
#define STO_PEOPLE_H

#include "common/base/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sto_people;
struct sto_person { /* a copy */
    bool exists, disabled;
    uint64_t version;
};

struct sto_people *sto_people_new(void);
void sto_people_free(struct sto_people **people);

void sto_people_set(struct sto_people *people, const char *user, const char *name, bool disabled, uint64_t version);
void sto_people_block(struct sto_people *people, const char *user, const char *other, bool on); /* of users that exist */

struct sto_person sto_people_get(struct sto_people *people, const char *user);
bool sto_people_blocks(struct sto_people *people, const char *user, const char *other);
bool sto_people_name(struct sto_people *people, const char *user, char *out, size_t out_bytes); /* false: no such user */
/* Of a direct conversation of existing users; false when one of them does not exist. */
bool sto_people_direct(struct sto_people *people, const char *a, const char *b, uint64_t *ret_version);
size_t sto_people_count(struct sto_people *people);

#endif
