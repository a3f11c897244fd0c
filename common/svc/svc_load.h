/* Measures the process and the board it runs on. Loop's thread; a failure reads as zero. */
#ifndef PGN_SVC_SVC_LOAD_H
#define PGN_SVC_SVC_LOAD_H

#include "common/svc/svc.h"

#include <stdint.h>

struct pgn_load_meter {
    uint64_t cpu_us, at_us; /* of the last measurement */
};
void pgn_load_measure(struct pgn_load_meter *meter, struct pgn_svc_load *ret_load); /* all but connections and queue */

#endif
