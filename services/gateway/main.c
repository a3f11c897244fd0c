/* pigeon-gateway: what it is made of stands in gateway.h. */
#include "common/proto/load.h"
#include "services/gateway/gateway.h"

static int64_t admin_port(const struct pgn_config *config)
{
    return config->gateway_admin_port;
}

int main(int argc, char **argv)
{
    static const struct pgn_svc_ops ops = {
        .name = "gateway",
        .admin_port = admin_port,
        .metrics = gw_metrics,
        .metrics_count = GW_METRICS,
        .messages = &gw_metrics[GW_M_SENDS_OK],
        .init = gw_init,
        .drain = gw_drain,
        .fini = gw_fini,
        .load = gw_load,
        .publish_load = pgn_load_publish,
        .bus_event = gw_bus_event,
    };
    return pgn_svc_main(argc, argv, &ops);
}
