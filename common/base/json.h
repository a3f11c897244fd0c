/*
 * Writing JSON (RFC 8259) into a buffer. Commas are placed by the writer. Not thread-safe.
 * Reading is common/proto/json_map.h's job. A parser that has no limit of its own comes after pgn_json_depth_ok.
 */
#ifndef PGN_BASE_JSON_H
#define PGN_BASE_JSON_H

#include "common/base/buf.h"

#include <stdbool.h>
#include <stdint.h>

struct pgn_json {
    struct pgn_buf *out;
    bool need_comma;
};

static inline struct pgn_json pgn_json_on(struct pgn_buf *out)
{
    return (struct pgn_json){out, false};
}
void pgn_json_object(struct pgn_json *j);     /* { */
void pgn_json_object_end(struct pgn_json *j); /* } */
void pgn_json_array(struct pgn_json *j);
void pgn_json_array_end(struct pgn_json *j);
void pgn_json_key(struct pgn_json *j, const char *key);
void pgn_json_str(struct pgn_json *j, const char *s);
void pgn_json_strn(struct pgn_json *j, const char *s, size_t len);
void pgn_json_u64(struct pgn_json *j, uint64_t v);
void pgn_json_i64(struct pgn_json *j, int64_t v);
void pgn_json_f64(struct pgn_json *j, double v); /* not finite: null */
void pgn_json_bool(struct pgn_json *j, bool v);
void pgn_json_null(struct pgn_json *j);

/* False when brackets nest deeper than limit (before a parser sees the text). Strings are skipped rightly. */
bool pgn_json_depth_ok(const char *text, size_t len, int limit);

#endif
