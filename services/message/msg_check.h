/*
 * The form of what clients ask, checked again although the gateway did: nothing invalid becomes a subject or is stored.
 * Pure; any thread. Each returns 0 or PGN_E_INVALID / PGN_E_TOO_LARGE / PGN_E_FORBIDDEN with a constant text.
 */
#ifndef MSG_CHECK_H
#define MSG_CHECK_H

#include "common/base/compiler.h"
#include "common/proto/pb.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MSG_MENTIONS_MAX = 100,
    MSG_USERS_MAX = 1000, /* of one create or invite */
    MSG_EMOJI_MAX = 32,   /* bytes */
    MSG_TITLE_MAX = 256,
    MSG_ABOUT_MAX = 2048,
    MSG_FILE_ID_MAX = 64,
    MSG_STATUS_MAX = 256,
    MSG_MUTE_MAX_S = 10 * 366 * 86400,
};

/* The body of a message of this kind, at most body_bytes packed. kind unset counts as text. NULL: there is none. */
int msg_check_body(const Pigeon__Body *body, Pigeon__Kind kind, size_t body_bytes, const char **ret_text) PGN_MUST_USE;
/* Everything of a send but its target. */
int msg_check_send(const Pigeon__Send *send, size_t body_bytes, const char **ret_text) PGN_MUST_USE;
int msg_check_edit(const Pigeon__Edit *edit, size_t body_bytes, const char **ret_text) PGN_MUST_USE;
int msg_check_react(const Pigeon__React *react, const char **ret_text) PGN_MUST_USE;
int msg_check_settings(const Pigeon__Settings *settings, const char **ret_text) PGN_MUST_USE; /* NULL: fine */
int msg_check_title(const char *title, const char **ret_text) PGN_MUST_USE;                   /* may be empty */
/* User ids, at least one; the same one twice is fine. */
int msg_check_users(char *const *users, size_t count, size_t limit, const char **ret_text) PGN_MUST_USE;
int msg_check_status(const Pigeon__Status *status, const char **ret_text) PGN_MUST_USE;
bool msg_file_id_valid(const char *id); /* 1-64 of A-Z a-z 0-9 _ - */

#endif
