/* Subjects that are computed; see subjects.h. */
#include "common/proto/subjects.h"

#include "common/base/id.h"

#include <stdio.h>
#include <string.h>

unsigned pgn_user_subject_number(const char *user)
{
    return pgn_partition(pgn_hash(user, strlen(user)), PGN_USER_SUBJECTS);
}

void pgn_user_subject(unsigned number, char ret_subject[PGN_USER_SUBJECT_BYTES])
{
    snprintf(ret_subject, PGN_USER_SUBJECT_BYTES, PGN_SUBJ_USER "%u", number % PGN_USER_SUBJECTS);
}
