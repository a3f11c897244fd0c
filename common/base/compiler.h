/* Attributes, so that the rest need not know compilers. */
#ifndef PGN_BASE_COMPILER_H
#define PGN_BASE_COMPILER_H

#include <stddef.h>

#define PGN_MUST_USE                     __attribute__((warn_unused_result))
#define PGN_PRINTF(format_at, args_at)   __attribute__((format(printf, format_at, args_at)))
#define PGN_COUNT(array)                 (sizeof(array) / sizeof((array)[0]))
#define PGN_CONTAINER(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#endif
