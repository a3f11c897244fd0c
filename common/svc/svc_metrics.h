/* Metrics of every service: PGN_METRIC(id, KIND, "name", "unit", "help"). */
PGN_METRIC(UP_S, GAUGE, "process_uptime_seconds", "s", "time since the start")
PGN_METRIC(CPU, GAUGE, "process_cpu_permille", "1/1000", "use of one core over the last second")
PGN_METRIC(MEMORY, GAUGE, "process_memory_bytes", "bytes", "resident memory")
PGN_METRIC(READY, GAUGE, "ready", "", "1 while /readyz says yes")
PGN_METRIC(BUS_CONNECTED, GAUGE, "bus_connected", "", "1 while connected to NATS")
PGN_METRIC(BUS_CONNECTS, COUNTER, "bus_connects_total", "", "connections made to NATS")
PGN_METRIC(BUS_LOST, COUNTER, "bus_lost_total", "", "times that messages were dropped because too much waited")
PGN_METRIC(BUS_PENDING, GAUGE, "bus_pending_bytes", "bytes", "messages that wait to be handled")
