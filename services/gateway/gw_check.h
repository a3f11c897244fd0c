/* The form of operations, before anything is done with them. Pure. */
#ifndef GW_CHECK_H
#define GW_CHECK_H

#include "common/base/compiler.h"
#include "common/proto/pb.h"

#include <stddef.h>

enum { GW_MENTIONS_MAX = 50, GW_EMOJI_MAX = 32, GW_TITLE_MAX = 256, GW_PROBLEM_BYTES = 128 };

struct gw_check_limits {
    size_t body_bytes; /* of a packed body */
    size_t watch_users;
};

/* 0; PGN_E_INVALID or PGN_E_TOO_LARGE with a text that names the field. Not for hello. */
int gw_check_frame(const Pigeon__ClientFrame *frame, const struct gw_check_limits *limits, char ret_problem[GW_PROBLEM_BYTES]) PGN_MUST_USE;

#endif
