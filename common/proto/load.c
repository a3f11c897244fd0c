#include "common/proto/load.h"

#include "common/proto/pb.h"
#include "common/proto/subjects.h"

#include <stdio.h>
#include <unistd.h>

void pgn_load_publish(struct pgn_svc *svc, const struct pgn_svc_load *load)
{
    char version[] = PGN_VERSION, name[32];
    Pigeon__NodeLoad m = PIGEON__NODE_LOAD__INIT;
    snprintf(name, sizeof(name), "%s", pgn_svc_name(svc));
    m.instance = svc->instance;
    m.service = name;
    m.version = version;
    m.pid = (uint64_t)getpid();
    m.started_at = svc->started_at_ms;
    m.connections = load->connections;
    m.queue = load->queue;
    m.messages_per_s = load->messages_per_s;
    m.cpu_permille = load->cpu_permille;
    m.memory_bytes = load->memory_bytes;
    m.temperature_c = load->temperature_c;
    m.throttled = load->throttled;
    struct pgn_buf out = {0};
    pgn_pb_pack(&m, &out);
    int lost = pgn_bus_publish(svc->bus, PGN_SUBJ_LOAD, NULL, out.data, out.len);
    (void)lost; /* the next one comes in a second */
    pgn_buf_release(&out);
}
