/* svc.h and log.h for simulated processes; the listening socket of the gateway, which is not simulated. */
#include "tests/sim/sim.h"

#include "common/base/error.h"
#include "common/svc/log.h"
#include "services/gateway/gw_listen.h"

#include <stdarg.h>
#include <stdio.h>

static struct sim_proc *proc_of(struct pgn_svc *svc)
{
    return PGN_CONTAINER(svc, struct sim_proc, svc);
}

const char *pgn_svc_name(const struct pgn_svc *svc)
{
    (void)svc;
    return "sim";
}

void pgn_svc_ready(struct pgn_svc *svc, bool ready)
{
    proc_of(svc)->ready = ready;
}

void pgn_svc_drained(struct pgn_svc *svc)
{
    (void)svc;
}

void pgn_svc_fail(struct pgn_svc *svc, int exit_code)
{
    (void)exit_code;
    proc_of(svc)->doomed = true;
}

void pgn_log_setup(const char *service, const char *level, const char *format)
{
    (void)service, (void)level, (void)format;
}

void pgn_log(enum pgn_log_level level, const char *format, ...)
{
    char line[512];
    va_list args;
    if (!sim.verbose)
        return;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    sim_say("  %s %d: %s", sim.current ? sim_proc_name(sim.current) : "-", (int)level, line);
}

int pgn_log_gate_open(struct pgn_log_gate *gate, unsigned interval_ms)
{
    (void)gate, (void)interval_ms;
    return sim.verbose;
}

void gw_listen_init(struct gateway *gw)
{
    for (size_t i = 0; i < GW_LISTENERS; i++)
        gw->listeners[i] = (struct gw_listener){.io.fd = -1, .gw = gw};
}

int gw_listen_start(struct gateway *gw)
{
    (void)gw;
    return 0;
}

void gw_listen_stop(struct gateway *gw)
{
    (void)gw;
}
