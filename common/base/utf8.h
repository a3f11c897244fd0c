/* Strict UTF-8 (RFC 3629: no surrogates, no overlong forms, up to U+10FFFF). Thread-safe. */
#ifndef PGN_BASE_UTF8_H
#define PGN_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Validation that can go on over several pieces: start with *state = 0; at the end it must be 0 again. False: broken. */
bool pgn_utf8_check(uint32_t *state, const void *data, size_t len);
bool pgn_utf8_valid(const void *data, size_t len);

#endif
