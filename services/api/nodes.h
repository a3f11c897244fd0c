/* What the services of the node say of their load each second: followed on the bus, asked for by administrators. Thread-safe. */
#ifndef API_NODES_H
#define API_NODES_H

#include "common/base/alloc.h"
#include "common/base/compiler.h"
#include "common/bus/bus_sync.h"
#include "common/proto/pb.h"

struct api_nodes;
int api_nodes_new(struct pgn_bus_sync *bus, struct api_nodes **ret_nodes) PGN_MUST_USE; /* errors of the bus */
void api_nodes_free(struct api_nodes **n);                                              /* after the bus */
/* Those heard of within the last seconds, decoded into the arena; returns how many. */
size_t api_nodes_list(struct api_nodes *n, struct pgn_arena *arena, Pigeon__NodeLoad ***ret_loads);

#endif
