/* What the files of `pigeon doctor` share. */
#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

#include "clients/cli/cli.h"

struct doctor {
    struct cli *c;
    struct pgn_buf line;
    int bad;
};

enum verdict { GOOD, NOTE, BAD };

void doctor_say(struct doctor *d, enum verdict verdict, const char *format, ...) PGN_PRINTF(3, 4);
/* doctor_machine.c: the processor and MongoDB's builds for it; nats-server; the clock. */
void doctor_processor(struct doctor *d);
void doctor_nats(struct doctor *d);
void doctor_clock(struct doctor *d);

#endif
