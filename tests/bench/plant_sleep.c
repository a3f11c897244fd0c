/*
 * A fault for `make bench-quick PLANT=sleep`: a millisecond lost with every message on its way from the gateway. Linked in front
 * of the function by --wrap, in the directory build/plant-sleep only: no source of Pigeon's knows of it.
 */
#include "services/gateway/gw_batch.h"

#include <unistd.h>

void __real_gw_batch_take(struct gw_conn *c, const Pigeon__ClientFrame *frame);
void __wrap_gw_batch_take(struct gw_conn *c, const Pigeon__ClientFrame *frame);

void __wrap_gw_batch_take(struct gw_conn *c, const Pigeon__ClientFrame *frame)
{
    usleep(1000);
    __real_gw_batch_take(c, frame);
}
