/* pigeon-api: registration, login, and the REST API. */
#include "common/proto/load.h"
#include "services/api/api.h"

static int64_t admin_port(const struct pgn_config *config)
{
    return config->api_admin_port;
}

int main(int argc, char **argv)
{
    static const struct pgn_svc_ops ops = {
        .name = "api",
        .admin_port = admin_port,
        .metrics = api_metrics,
        .metrics_count = API_METRICS,
        .init = api_init,
        .drain = api_drain,
        .fini = api_fini,
        .load = api_load,
        .publish_load = pgn_load_publish,
    };
    return pgn_svc_main(argc, argv, &ops);
}
