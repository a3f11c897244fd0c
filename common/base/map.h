/*
 * Hash map from byte strings to pointers: open addressing, robin-hood-free linear probing over xxh3, 16 bytes a slot.
 * Keys are borrowed: they live in the values (or elsewhere) as long as the entry. Not thread-safe.
 */
#ifndef PGN_BASE_MAP_H
#define PGN_BASE_MAP_H

#include <stddef.h>
#include <stdint.h>

struct pgn_map;
/* key_of gives the key of a value and its length; it must not change while the value is in the map. */
typedef const void *pgn_map_key_of(const void *value, size_t *ret_len);

struct pgn_map *pgn_map_new(pgn_map_key_of *key_of);
void pgn_map_free(struct pgn_map **m);                                   /* not the values */
void *pgn_map_get(const struct pgn_map *m, const void *key, size_t len); /* NULL when absent */
void *pgn_map_get_str(const struct pgn_map *m, const char *key);
void *pgn_map_put(struct pgn_map *m, void *value);                    /* returns the value that it replaced, or NULL */
void *pgn_map_remove(struct pgn_map *m, const void *key, size_t len); /* returns it, or NULL */
void *pgn_map_remove_str(struct pgn_map *m, const char *key);
size_t pgn_map_count(const struct pgn_map *m);
/* Walk: start with *it = 0; NULL at the end. No change to the map but removing the value just returned. */
void *pgn_map_next(const struct pgn_map *m, size_t *it);

#endif
