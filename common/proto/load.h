/*
 * A service's load (NodeLoad) on PGN_SUBJ_LOAD. Every main sets  .publish_load = pgn_load_publish.
 */
#ifndef PGN_PROTO_LOAD_H
#define PGN_PROTO_LOAD_H

#include "common/svc/svc.h"

void pgn_load_publish(struct pgn_svc *svc, const struct pgn_svc_load *load); /* loop's thread; a loss does not matter */

#endif
