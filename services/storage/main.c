/* pigeon-storage: the only one that touches the store. */
#include "common/proto/load.h"
#include "services/storage/metrics.h"
#include "services/storage/move.h"
#include "services/storage/service.h"

#include <sys/stat.h>

static int64_t admin_port(const struct pgn_config *config)
{
    return config->storage_admin_port;
}

int main(int argc, char **argv)
{
    static const struct pgn_svc_ops ops = {
        .name = "storage",
        .admin_port = admin_port,
        .metrics = sto_metrics,
        .metrics_count = STO_METRICS,
        .messages = &sto_metrics[STO_M_MESSAGES],
        .init = sto_service_init,
        .drain = sto_service_drain,
        .fini = sto_service_fini,
        .load = sto_service_load,
        .publish_load = pgn_load_publish,
        .bus_event = sto_service_bus_event,
    };
    umask(077); /* RocksDB and SQLite make files as the process may */
    int code;

    if (sto_move_main(argc, argv, &code))
        return code;
    return pgn_svc_main(argc, argv, &ops);
}
