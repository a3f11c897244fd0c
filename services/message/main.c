/* pigeon-message: the rules. */
#include "common/proto/load.h"
#include "services/message/msg_metrics.h"
#include "services/message/msg_service.h"

static int64_t admin_port(const struct pgn_config *config)
{
    return config->message_admin_port;
}

int main(int argc, char **argv)
{
    static const struct pgn_svc_ops ops = {
        .name = "message",
        .admin_port = admin_port,
        .metrics = msg_metrics,
        .metrics_count = MSG_METRICS,
        .messages = &msg_metrics[MSG_M_ITEMS_PASSED],
        .init = msg_service_init,
        .drain = msg_service_drain,
        .fini = msg_service_fini,
        .load = msg_service_load,
        .publish_load = pgn_load_publish,
        .bus_event = msg_service_bus_event,
    };
    return pgn_svc_main(argc, argv, &ops);
}
