/* pigeon-presence: what it is made of stands in presence.h. */
#include "common/proto/load.h"
#include "services/presence/presence.h"
#include "services/presence/prs_metrics.h"

static int64_t admin_port(const struct pgn_config *config)
{
    return config->presence_admin_port;
}

int main(int argc, char **argv)
{
    static const struct pgn_svc_ops ops = {
        .name = "presence",
        .admin_port = admin_port,
        .metrics = prs_metrics,
        .metrics_count = PRS_METRICS,
        .init = prs_init,
        .drain = prs_drain,
        .fini = prs_fini,
        .load = prs_load,
        .publish_load = pgn_load_publish,
        .bus_event = prs_bus_event,
    };
    return pgn_svc_main(argc, argv, &ops);
}
