/*
 * A bounded table from byte strings to small values, least recently used first to go: sessions, failures, buckets.
 * Memory is bounded whatever peers send. Not thread-safe by itself: callers hold api_table_lock around every other call
 * and for as long as they use a value.
 */
#ifndef API_TABLE_H
#define API_TABLE_H

#include <stddef.h>

enum { API_KEY_MAX = 80 }; /* bytes; longer keys are hashed by the caller or cut */

struct api_table;

struct api_table *api_table_new(size_t limit, size_t value_bytes);
void api_table_free(struct api_table **t);
void api_table_lock(struct api_table *t);
void api_table_unlock(struct api_table *t);

void *api_table_find(struct api_table *t, const void *key, size_t len); /* NULL when absent; marks it as used */
void *api_table_make(struct api_table *t, const void *key, size_t len); /* the value of key, a zeroed one when it is new */
void api_table_drop(struct api_table *t, const void *key, size_t len);
/* Calls visit for every value; those for which it returns 0 are dropped. */
void api_table_sweep(struct api_table *t, int (*visit)(void *ctx, void *value), void *ctx);
size_t api_table_count(const struct api_table *t);

#endif
