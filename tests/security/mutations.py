"""The defences, each with the edit that takes it out and the test that must fail then. Points: docs/SECURITY.md."""
from collections import namedtuple

Mutation = namedtuple("Mutation", "point name edits tests")
SECRETS, LOGIN, FILES, BROWSER = (f"tests/security/test_{n}.py::" for n in ("secrets", "login", "files", "browser"))
BACKPLANE, AUDIT, BOMBS, SLOW = (f"tests/security/test_{n}.py::" for n in ("backplane", "audit", "bombs", "slow"))
ATTACKS, MALFORMED, LIMITS, MAY = (f"tests/integration/test_{n}.py::" for n in ("security", "malformed", "limits", "permissions"))
REST, TLS = "tests/api/test_rest_", "tests/integration/test_tls.py::"
NATS, NGINX, REDIS = (f"deploy/templates/{n}.in" for n in ("nats.conf", "nginx.conf", "redis.acl"))


def m(point, name, test, *edits):
    return Mutation(point, name, list(edits), [test] if isinstance(test, str) else test)


MUTATIONS = [
    # ---- 1: secrets ----
    m(1, "short and empty secrets are refused", SECRETS + "test_bad_secrets_stop_every_service", ("common/svc/secret.c", "if (len < SECRET_MIN)", "if (len < 1)")),
    m(1, "known secrets are refused", SECRETS + "test_bad_secrets_stop_every_service", ("common/svc/secret.c", "i < PGN_COUNT(known); i++", "i < 1; i++")),
    m(1, "open secret files are refused", SECRETS + "test_bad_secrets_stop_every_service", ("common/svc/secret.c", "st.st_mode & 077", "st.st_mode & 0")),
    m(1, "files are made for their owner only", SECRETS + "test_what_the_first_start_makes_is_closed", ("deploy/make-config.sh", "umask 077", "umask 022")),
    m(1, "secrets are random", SECRETS + "test_what_the_first_start_makes_is_closed", ("deploy/make-config.sh", "/dev/urandom", "/dev/zero")),
    m(1, "open TLS keys are refused", TLS + "test_no_start_without_a_certificate[mode]", ("services/gateway/gw_tls_context.c", "st.st_mode & 077", "st.st_mode & 0")),
    # ---- 2: authorisation ----
    m(2, "membership at every operation", MAY + "test_who_may", ("services/message/msg_rules.c", "if (!m && !(rule->flags & STRANGERS))", "if (0)")),
    m(2, "roles", MAY + "test_who_may", ("services/message/msg_rules.c", "if (m->role < rule->least)", "if (0)")),
    m(2, "roles over their targets", "tests/unit/message/test_rules", ("services/message/msg_rules.c", "if (t->role >= m->role)", "if (0)")),
    m(2, "own messages only", MAY + "test_who_may[edit]", ("services/storage/log_operation.c", "if (append->own_target && strcmp(m->from, d->item->user) != 0)", "if (0)")),
    m(2, "typing of members only", MAY + "test_typing_of_strangers_reaches_nobody",
      ("services/message/msg_live.c", "msg_op_rule(op, op->request->frame->typing->conv, MSG_TYPING, typing_allowed);", "msg_op_rule(op, op->request->frame->typing->conv, MSG_JOIN, typing_allowed);"),
      ("services/message/msg_rules.c", "if (action == MSG_JOIN && !m && !p->open)", "if (0)")),
    m(2, "who blocked is not watched", "tests/integration/test_group_limits.py", ("services/message/msg_live.c", "if (hidden->n_values == 0 ||", "if (1 ||")),
    m(2, "who is blocked cannot write", MAY + "test_blocked_people_cannot_write", ("services/message/msg_rules.c", "if (other->flags & MSG_MEMBER_BLOCKS_OTHER)", "if (0)")),
    m(2, "files for those they were sent to", FILES + "test_who_may_read_a_file", ("services/storage/log_read.c", "if (strcmp(asked[at], owner) == 0)", "if (strcmp(asked[at], owner) == 0 || at == 0)")),
    m(2, "files end with the membership", FILES + "test_who_may_read_a_file", ("services/storage/log_read.c", "link->passed = is_member(r, link->conv, asked[at]);", "link->passed = is_member(r, link->conv, asked[at]) || at == 0;")),
    m(2, "guessed file ids give nothing", REST + "files.py::test_members_of_conversations_it_was_sent_to_may_read",
      ("services/storage/log_read.c", "if (strcmp(asked[at], owner) == 0)", "if (strcmp(asked[at], owner) == 0 || at > 0)"),
      ("services/storage/log_read.c", "if (link->passed || named(asked, count, link->user))", "if (link->passed || (0 && named(asked, count, link->user)))")),
    m(2, "a recalled message's file is closed", FILES + "test_a_recalled_file_is_closed_for_all_but_its_owner",
      ("services/storage/log_operation.c", "sto_files_link(d, m->body, m->from, false)", "sto_files_link(d, NULL, m->from, false)")),
    m(2, "administration by the role", REST + "admin.py::test_others_may_not", ("services/api/router.c", "if (route->access == API_ADMIN && !call->session.admin)", "if (0)")),
    m(2, "a disabled user's sockets and tokens end", "tests/conformance/test_store_directory", ("services/storage/dir_users.c", 'u->disabled ? sto_session_revoke(a, &revoke, "kicked") : 0', '!u->disabled ? sto_session_revoke(a, &revoke, "kicked") : 0')),
    # ---- 3: before the login ----
    m(3, "10 s for the login", [LOGIN + "test_dripping_does_not_prolong_the_login_phase", MALFORMED + "test_silence_before_hello_ends"],
      ("services/gateway/gw_conn.c", "set_timeout(c, states[GW_UPGRADE].timeout);", "set_timeout(c, NONE);")),
    m(3, "16 KiB for the hello", LOGIN + "test_a_hello_is_small", ("services/gateway/gw_read.c", "size_t limit = (size_t)(c->state == GW_HELLO", "size_t limit = (size_t)(c->state == GW_CLOSED")),
    m(3, "16 KiB for an anonymous body", LOGIN + "test_an_anonymous_body_is_small", ("services/api/router.c", "ANONYMOUS_BODY = 16384", "ANONYMOUS_BODY = 1 << 20")),
    m(3, "sockets of one address before hello", [LIMITS + "test_sockets_of_one_address_before_hello", LIMITS + "test_sockets_of_one_address_behind_nginx"], ("services/gateway/gw_limits.c", "if (a->waiting >= a->gw->config->limits_address_unauthenticated)", "if (0)")),
    m(3, "slow bodies wait in Nginx", SLOW + "test_honest_people_go_on[slow bodies]", (NGINX, "location /v1/ {", "location /v1/ {\n            proxy_request_buffering off;")),
    m(3, "TLS handshakes are capped", TLS + "test_handshakes_are_capped", ("services/gateway/gw_tls.c", "return gw->tls->opening >= (uint64_t)gw->config->limits_tls_handshakes;", "return false;")),
    m(3, "slow readers hold little of the kernel's memory", SLOW + "test_honest_people_go_on[slow readers]", (NGINX, " sndbuf=128k", "")),
    # ---- 4: parsers ----
    m(4, "a TLS record's tag", "tests/unit/gateway/test_gw_tls", ("services/gateway/gw_tls_record.c", "EVP_DecryptFinal_ex(d, out + n, &last) != 1)", "EVP_DecryptFinal_ex(d, out + n, &last) > 1)")),
    m(4, "a TLS record's number", "tests/unit/gateway/test_gw_tls", ("services/gateway/gw_tls_record.c", "    w->number++;\n", "")),
    m(4, "a TLS record's size", "tests/unit/gateway/test_gw_tls", ("services/gateway/gw_tls_record.c", "if (record_len > GW_TLS_RECORD_MAX)", "if (0)")),
    m(4, "weak TLS suites are refused", TLS + "test_old_versions_and_weak_suites_are_refused", ("services/gateway/gw_tls_context.c", "SSL_CTX_set_cipher_list(x, gw_tls_suites_12(aes))", 'SSL_CTX_set_cipher_list(x, "DEFAULT")')),
    m(4, "the cursor's bound", "tests/unit/common/base/test_cursor", ("common/base/cursor.c", "len > pgn_cursor_left(c)", "len > pgn_cursor_left(c) + 1")),
    # ---- 5: bombs ----
    m(5, "JSON is at most 32 deep", BOMBS + "test_json_is_at_most_32_deep", ("common/proto/json_decode.c", "MAX_DEPTH = 32", "MAX_DEPTH = 33")),
    m(5, "protobuf is at most 32 deep", "tests/unit/common/proto/test_pb", ("common/proto/pb.c", "MAX_DEPTH = 32", "MAX_DEPTH = 33")),
    m(5, "protobuf's parts come once", ATTACKS + "test_a_repeated_part_costs_no_memory", ("common/proto/pb.c", "    return before;", "    return false;")),
    m(5, "strict UTF-8 of whole frames", MALFORMED + "test_frames_against_rfc_6455[surrogate]", ("services/gateway/gw_ws.c", "if (h.opcode == GW_WS_TEXT && !pgn_utf8_valid(data, len))", "if (0)")),
    m(5, "the size of a frame", MALFORMED + "test_frames_against_rfc_6455[over the limit]", ("services/gateway/gw_ws.c", "if (!is_control(h.opcode) && h.len > limit)", "if (0)"), ("services/gateway/gw_ws.c", "if (p->head.len > limit || p->msg.len > limit - p->head.len)", "if (p->msg.len > limit)")),
    m(5, "the size of a message in fragments", MALFORMED + "test_frames_against_rfc_6455[over the limit in pieces]", ("services/gateway/gw_ws.c", "if (p->head.len > limit || p->msg.len > limit - p->head.len)", "if (p->head.len > limit)")),
    # ---- 6: injection ----
    m(6, "ids are checked before they become subjects", FILES + "test_names_never_become_subjects", ("common/base/id.c", "if (!lower_or_digit(user[i]) && user[i] != '_' && user[i] != '-')", "if (user[i] == ' ')")),
    m(6, "file ids are checked before they become paths", "tests/unit/api/test_router", ("services/api/call.c", 'return strspn(id, "0123456789abcdef") == API_FILE_ID_LEN && !id[API_FILE_ID_LEN];', "return id[0] != 0;")),
    m(6, "paths have no steps upwards", "tests/unit/common/svc/test_http", ("common/svc/http_request.c", "return segments_ok(out) && pgn_utf8_valid(out, len);", "return pgn_utf8_valid(out, len);")),
    # ---- 7: login ----
    m(7, "lockout in one step", [LOGIN + "test_guesses_side_by_side_do_not_slip_through", "tests/unit/api/test_guard"],
      ("services/api/lockout.c", "        c->failures++;", "        (void)c;"), ("services/api/lockout.c", "if (!wait && kv_count(l, k) > limit)", "if (0)"),
      ("services/api/lockout.c", "        return; /* counted it is */", "    {\n        struct counter *c = api_table_make(l->counters, account.text, strlen(account.text));\n        c->failures++;\n        return;\n    }")),
    m(7, "lockout of an account", REST + "accounts.py::test_lockout_with_redis_and_without", ("services/api/lockout.c", "wait = take(l, &account, l->options.failures);", "wait = 0;")),
    m(7, "lockout of an address", REST + "accounts.py::test_one_address_is_locked_over_many_accounts", ("services/api/lockout.c", "uint64_t wait = take(l, &from, l->options.failures * ADDRESS_FACTOR);", "uint64_t wait = take(l, &from, 1 << 30);")),
    m(7, "two passwords at once", LOGIN + "test_at_most_two_passwords_are_computed_at_once", ("services/api/password.c", "AT_ONCE = 2", "AT_ONCE = 10")),
    m(7, "equal time for unknown users", LOGIN + "test_a_failed_login_takes_the_same_time_for_everybody", ("services/api/password.c", "    uint64_t started = pgn_mono_us();\n    int e = enter(p);\n    if (e)\n        return e;\n    /*", "    if (!known)\n        return PGN_E_UNAUTHENTICATED;\n    uint64_t started = pgn_mono_us();\n    int e = enter(p);\n    if (e)\n        return e;\n    /*")),
    m(7, "equal words for unknown users", REST + "accounts.py::test_wrong_password_and_unknown_user_look_the_same", ("services/api/auth.c", 'return api_fail(call, e, "wrong user or password");', 'return api_fail(call, e, user ? "wrong password" : "no such user");')),
    m(7, "argon2id", "tests/unit/api/test_guard", ("services/api/password.c", "crypto_pwhash_ALG_ARGON2ID13", "crypto_pwhash_ALG_ARGON2I13")),
    m(7, "tokens are stored hashed", LOGIN + "test_tokens_are_stored_hashed", ("common/base/id.c", "crypto_generichash(ret_hash, PGN_HASH_BYTES, (const uint8_t *)token, strlen(token), NULL, 0);", "memset(ret_hash, 0, PGN_HASH_BYTES);\n    memcpy(ret_hash, token, strnlen(token, PGN_HASH_BYTES));")),
    m(7, "a revocation reaches live sockets", LOGIN + "test_revocation_reaches_live_sockets_and_the_audit_log", ("services/storage/dir_sessions.c", "sto_effects_user(a->effects, user, &event);", "(void)event;")),
    m(7, "a revocation during hello is not missed", ATTACKS + "test_a_revocation_during_hello_is_not_missed", ("services/gateway/gw_hello.c", "    gw_hello_check_one(c);\n    gw_conn_move(c, GW_LIVE);", "    gw_conn_move(c, GW_LIVE);")),
    m(7, "no token in a log", ATTACKS + "test_nothing_secret_in_the_logs", ("services/api/session.c", "    pgn_token_hash(token, found.hash);", '    fprintf(stderr, "%s\\n", token);\n    pgn_token_hash(token, found.hash);')),
    m(7, "a one-time password opens nothing over the bus", "tests/api/test_login_bus.py::test_a_one_time_password_opens_nothing", ("services/api/login_bus.c", "    if (user->must_change_password)", "    if (0)")),
    m(7, "logins over the bus are bounded", "tests/api/test_login_bus.py::test_a_storm_is_bounded", ("services/api/login_bus.c", "WAITING_MAX = 128", "WAITING_MAX = 100000")),
    # ---- 8: backplane ----
    m(8, "presence writes into no other inbox", BACKPLANE + "test_an_answer_cannot_be_forged_into_another_inbox", (NATS, 'publish: ["_INBOX.message.>", "presence.*"', 'publish: ["_INBOX.>", "presence.*"')),
    m(8, "subjects by service", ATTACKS + "test_what_a_service_may_not_on_the_bus[gateway]", (NATS, '"pgn.sto.check", "pgn.sto.mqtt"', '"pgn.sto.>", "pgn.sto.mqtt"')),
    m(8, "template and header agree", "tests/lint/subjects.py", (NATS, 'publish: ["_INBOX.message.>", "presence.*"', 'publish: ["_INBOX.message.>", "_INBOX.api.>", "presence.*"')),
    m(8, "a gateway only checks sessions", BACKPLANE + "test_a_gateway_can_only_check_sessions", ("services/storage/dir_lane.c", "return a->session->what_case == PIGEON__SESSION_REQUEST__WHAT_CHECK;", "return true;")),
    m(8, "presence only keeps presence", BACKPLANE + "test_presence_can_only_keep_presence", ("services/storage/dir_lane.c", "if (kind == STO_ASK_SEEN)", "if (0)")),
    m(8, "only gateways keep MQTT sessions", BACKPLANE + "test_only_gateways_keep_mqtt_sessions_and_log_in_over_the_bus[api]", (NATS, '"pgn.sto.dir", "pgn.sto.admin", "pgn.load"]', '"pgn.sto.dir", "pgn.sto.admin", "pgn.sto.mqtt", "pgn.load"]')),
    m(8, "only gateways log in over the bus", BACKPLANE + "test_only_gateways_keep_mqtt_sessions_and_log_in_over_the_bus[presence]", (NATS, '"pgn.sto.seen", "pgn.load"]', '"pgn.sto.seen", "pgn.api.login", "pgn.load"]'), (NATS, 'publish: ["_INBOX.gateway.>", "pgn.msg.batch"', 'publish: ["_INBOX.gateway.>", "_INBOX.presence.>", "pgn.msg.batch"')),
    m(8, "an MQTT session needs a device that is logged in", BACKPLANE + "test_an_mqtt_session_needs_a_device_that_is_logged_in", ("services/storage/dir_statements.h", "(SELECT 1 FROM sessions WHERE user = ?1 AND device = ?2 AND (expires_at = 0 OR expires_at > ?6))", "(SELECT ?6)")),
    m(8, "an MQTT session ends with the device's", "tests/conformance/test_store_mqtt", ("services/storage/dir_sessions.c", "        if (!again)\n", "        if (0)\n")),
    m(8, "Redis without FLUSH, CONFIG, EVAL", ATTACKS + "test_strangers_on_the_backplane", (REDIS, "-@all", "+@all")),
    m(8, "Redis knows nobody without a password", ATTACKS + "test_strangers_on_the_backplane", (REDIS, "user default off", "user default on nopass ~* +@all")),
    m(8, "Redis' keys by service", ATTACKS + "test_strangers_on_the_backplane", (REDIS, "~prs:*", "~*")),
    m(8, "files only by the api's word", REST + "files.py::test_nginx_sends_the_files", (NGINX, "            internal;\n", "")),
    # ---- 9: browser ----
    m(9, "Origin at the upgrade", BROWSER + "test_foreign_pages_get_no_socket", ("services/gateway/gw_read.c", "if (!gw_http_origin_allowed(up->origin, up->host, gw->config->gateway_origins)) {", "if (0) {")),
    m(9, "strict CSP", BROWSER + "test_the_policy_of_every_page_is_strict", (NGINX, "script-src 'self'", "script-src 'self' 'unsafe-inline'")),
    m(9, "no frames around us", BROWSER + "test_the_policy_of_every_page_is_strict", (NGINX, "add_header X-Frame-Options DENY always;", "")),
    m(9, "no answers for foreign pages", BROWSER + "test_foreign_pages_read_no_answer_and_send_no_json", (NGINX, "add_header X-Frame-Options DENY always;", "add_header X-Frame-Options DENY always;\n        add_header Access-Control-Allow-Origin $http_origin always;")),
    m(9, "text nodes only", BROWSER + "test_the_page_makes_text_nodes_only", ("clients/web/src/planted.ts", None, 'export const show = (to: Element, text: string) => { to.innerHTML = text; };\n')),
    # ---- 10: files ----
    m(10, "types that run are not kept", [FILES + "test_a_page_that_was_uploaded_runs_nowhere"], ("services/api/header.c", "|| active(ret_mime))", "|| (0 && active(ret_mime)))")),
    m(10, "sniffing is off", FILES + "test_a_page_that_was_uploaded_runs_nowhere", (NGINX, "add_header X-Content-Type-Options nosniff always;", "")),
    m(10, "attachment", FILES + "test_a_page_that_was_uploaded_runs_nowhere", ("services/api/header.c", '"attachment; filename=', '"inline; filename=')),
    m(10, "the size of a file", REST + "files.py::test_too_large", ("services/api/upload.c", "if (u->size > limit)", "if (0)"), ("services/api/upload.c", "if (expected > config->limits_file_bytes)", "if (0)")),
    m(10, "the quota of a user", FILES + "test_uploads_are_bounded", ("services/api/upload.c", "if (user->file_bytes + more > (uint64_t)config->limits_user_file_bytes)", "if (0)"), ("services/storage/dir_files.c", "if (in->quota && (", "if (0 && (")),
    # ---- 11: quotas ----
    m(11, "messages a second", LIMITS + "test_messages_a_second", ("services/gateway/gw_limits.c", "return pgn_token_take(&u->messages, rate, now_ms);", "return (void)rate, (void)now_ms, 0;")),
    m(11, "operations a second", ATTACKS + "test_who_ignores_the_rate_is_sent_away[well-formed]", ("services/gateway/gw_limits.c", "return pgn_token_take(&u->ops, rate, now_ms);", "return (void)rate, (void)now_ms, 0;")),
    m(11, "devices of one user", ATTACKS + "test_devices_of_one_user_are_bounded", ("services/storage/dir_sessions.c", "DEVICES_MAX = 100", "DEVICES_MAX = 1000")),
    m(11, "X-Forwarded-For from Nginx only", BROWSER + "test_the_forwarded_address_is_nginxs_word", (NGINX, "proxy_set_header X-Forwarded-For $remote_addr;", "proxy_set_header X-Forwarded-For $http_x_forwarded_for;")),
    # ---- 13: audit ----
    m(13, "the audit chain shows changes", AUDIT + "test_tampering_shows_at_the_next_start", ("services/storage/dir_audit.c", "memcmp(hash, e->hash.data, PGN_HASH_BYTES) != 0", "0")),
    m(13, "the audit chain covers what is before", AUDIT + "test_tampering_shows_at_the_next_start", ("services/storage/dir_audit.c", "crypto_generichash_update(&h, before, PGN_HASH_BYTES);", "(void)before;"), ("services/storage/dir_audit.c", "e->number != count ||", "")),
    m(13, "revocations by others are audited", LOGIN + "test_revocation_reaches_live_sockets_and_the_audit_log", ("services/storage/dir_sessions.c", "a->actor[0] && strcmp(a->actor, user) != 0 &&", "a->actor[0] == 1 &&")),
]
