/*
 * Every setting of Pigeon, one row each:
 *   PGN_CONFIG(section, key, TYPE, default, min, max, unit, text)
 * TYPE: STR, PATH (both: default is a string; min and max are its length), INT (int64_t), BOOL. YAML: section, then key;
 * environment: PIGEON_SECTION_KEY; in C: config->section_key. docs/CONFIG.md is generated from this table.
 * An ENUM's unit column lists its words, separated by |.
 */
PGN_CONFIG(node, name, STR, "pigeon", 1, 64, "", "name of this installation, shown to users")
PGN_CONFIG(node, data, PATH, "./var", 1, 512, "", "directory of everything that Pigeon writes")
PGN_CONFIG(node, secrets, PATH, "", 0, 512, "", "directory of secret files, mode 0600 (empty: `secrets` in node.data)")

PGN_CONFIG(log, level, ENUM, "info", 0, 0, "debug|info|warn|error", "least severe line that is written")
PGN_CONFIG(log, format, ENUM, "text", 0, 0, "text|json", "form of a line on standard error")

PGN_CONFIG(bus, url, STR, "nats://127.0.0.1:4222", 1, 1024, "", "NATS servers, separated by commas, tried in this order (tls:// for all of them: encrypted)")
PGN_CONFIG(bus, tls_ca, PATH, "", 0, 512, "", "file of the certificates by which tls:// servers are checked (empty: the system's)")
PGN_CONFIG(bus, pending_bytes, INT, 67108864, 1048576, 1073741824, "bytes", "what may wait to be handled by a service before NATS drops it (then clients resync)")

PGN_CONFIG(cache, host, STR, "127.0.0.1", 1, 255, "", "Redis host")
PGN_CONFIG(cache, port, INT, 6379, 1, 65535, "", "Redis port")
PGN_CONFIG(cache, timeout_ms, INT, 500, 10, 10000, "ms", "longest wait for Redis before doing without")

PGN_CONFIG(gateway, address, STR, "127.0.0.1", 1, 64, "", "address that client sockets are accepted on")
PGN_CONFIG(gateway, port, INT, 8081, 0, 65535, "", "port of client sockets")
PGN_CONFIG(gateway, admin_port, INT, 8091, 0, 65535, "", "health and metrics, on loopback")
PGN_CONFIG(gateway, origins, STR, "", 0, 1024, "", "further allowed Origin hosts, separated by commas (the Host header's own is always allowed)")
PGN_CONFIG(gateway, trusted_proxies, STR, "127.0.0.1", 0, 1024, "", "addresses whose X-Forwarded-For is believed, separated by commas")
PGN_CONFIG(gateway, heartbeat_s, INT, 30, 5, 3600, "s", "silence after which a client pings; dead after 2.5 times that")
PGN_CONFIG(gateway, hello_timeout_ms, INT, 10000, 100, 60000, "ms", "time for upgrade and hello")
PGN_CONFIG(gateway, drain_ms, INT, 3000, 0, 60000, "ms", "over which clients are sent away at shutdown")
PGN_CONFIG(gateway, partitions, INT, 4, 1, 1024, "", "send batches that may be in flight at once")
PGN_CONFIG(gateway, send_timeout_ms, INT, 15000, 1000, 120000, "ms", "after which an unanswered send is `uncertain`")
PGN_CONFIG(gateway, resend_ms, INT, 1000, 50, 60000, "ms", "after which an unanswered batch is sent again")

PGN_CONFIG(message, admin_port, INT, 8092, 0, 65535, "", "health and metrics, on loopback")
PGN_CONFIG(message, policy_cache, INT, 100000, 16, 10000000, "", "conversations whose members are kept in memory")

PGN_CONFIG(presence, admin_port, INT, 8093, 0, 65535, "", "health and metrics, on loopback")
PGN_CONFIG(presence, linger_ms, INT, 10000, 0, 60000, "ms", "a user who is back within this was never away")
PGN_CONFIG(presence, gateway_timeout_ms, INT, 6000, 500, 60000, "ms", "silence after which a gateway's users are offline")

PGN_CONFIG(storage, admin_port, INT, 8094, 0, 65535, "", "health and metrics, on loopback")
PGN_CONFIG(storage, engine, ENUM, "embedded", 0, 0, "embedded|memory", "which store (memory: for tests, forgets everything)")
PGN_CONFIG(storage, cache_bytes, INT, 16777216, 1048576, 17179869184, "bytes", "block cache of the message log")
PGN_CONFIG(storage, memtable_bytes, INT, 16777216, 1048576, 1073741824, "bytes", "write buffer of the message log")
PGN_CONFIG(storage, readers, INT, 2, 1, 64, "", "threads that read history and lists")
PGN_CONFIG(storage, retry_days, INT, 14, 7, 365, "days", "for which a retry is recognised")
PGN_CONFIG(storage, commit_gap_ms, INT, 3, 0, 1000, "ms", "least time from one durable write to the next while few messages wait: saves fsyncs (0: none)")
PGN_CONFIG(storage, commit_queue, INT, 65536, 16, 1000000, "", "messages that may wait for the next commit")

PGN_CONFIG(api, address, STR, "127.0.0.1", 1, 64, "", "address that HTTP is accepted on, behind Nginx")
PGN_CONFIG(api, port, INT, 8082, 0, 65535, "", "port of the HTTP API")
PGN_CONFIG(api, admin_port, INT, 8095, 0, 65535, "", "health and metrics, on loopback")
PGN_CONFIG(api, threads, INT, 8, 2, 256, "", "requests handled at once")
PGN_CONFIG(api, registration, ENUM, "invite", 0, 0, "closed|invite|open", "who may register")
PGN_CONFIG(api, session_days, INT, 180, 1, 3650, "days", "life of a token")
PGN_CONFIG(api, argon2_memory_kib, INT, 19456, 64, 1048576, "KiB", "argon2id memory of one password check (64 only in tests)")
PGN_CONFIG(api, argon2_passes, INT, 2, 1, 16, "", "argon2id passes")
PGN_CONFIG(api, accel, BOOL, false, 0, 0, "", "files are sent by Nginx (X-Accel-Redirect to /internal/files/)")

PGN_CONFIG(limits, body_bytes, INT, 16384, 256, 1048576, "bytes", "largest body of a message")
PGN_CONFIG(limits, frame_bytes, INT, 65536, 1024, 1048576, "bytes", "largest frame from a client after hello")
PGN_CONFIG(limits, hello_bytes, INT, 16384, 1024, 65536, "bytes", "largest upgrade request, and largest hello")
PGN_CONFIG(limits, queue_bytes, INT, 262144, 16384, 16777216, "bytes", "what may wait for one slow client before it loses live messages and must sync")
PGN_CONFIG(limits, connections, INT, 19000, 1, 1000000, "", "sockets of one gateway")
PGN_CONFIG(limits, address_unauthenticated, INT, 512, 1, 1000000, "", "sockets of one address that have not said hello yet")
PGN_CONFIG(limits, address_connects_s, INT, 500, 1, 1000000, "1/s", "new sockets of one address")
PGN_CONFIG(limits, user_sockets, INT, 16, 1, 1000, "", "devices of one user online at once")
PGN_CONFIG(limits, user_messages_s, INT, 20, 1, 1000000, "1/s", "messages of one user, lasting")
PGN_CONFIG(limits, user_messages_burst, INT, 100, 1, 1000000, "", "messages of one user at once")
PGN_CONFIG(limits, user_ops_s, INT, 50, 1, 1000000, "1/s", "other operations of one user, lasting")
PGN_CONFIG(limits, user_ops_burst, INT, 200, 1, 1000000, "", "other operations of one user at once")
PGN_CONFIG(limits, group_members, INT, 10000, 2, 100000, "", "members of a group")
PGN_CONFIG(limits, user_groups, INT, 500, 1, 100000, "", "groups of one user")
PGN_CONFIG(limits, watch_users, INT, 500, 1, 100000, "", "users whose presence one connection watches")
PGN_CONFIG(limits, file_bytes, INT, 52428800, 1024, 4294967296, "bytes", "largest file")
PGN_CONFIG(limits, user_file_bytes, INT, 1073741824, 1024, 1099511627776, "bytes", "files of one user together")
PGN_CONFIG(limits, login_failures, INT, 10, 1, 1000, "", "wrong passwords for an account, or from an address (times 10), before it must wait")
PGN_CONFIG(limits, login_lock_s, INT, 300, 1, 86400, "s", "that wait")
