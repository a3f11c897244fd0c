/* CONNECT up to CONNACK; see gw_mqtt_login.h. */
#include "services/gateway/gw_mqtt_login.h"

#include "common/base/alloc.h"
#include "common/base/error.h"
#include "common/base/random.h"
#include "common/proto/rpc.h"
#include "common/proto/subjects.h"
#include "services/gateway/gw_hello.h"
#include "services/gateway/gw_limits.h"
#include "services/gateway/gw_mqtt_catchup.h"
#include "services/gateway/gw_mqtt_session.h"
#include "services/gateway/gw_mqtt_will.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { LOGIN_TIMEOUT_MS = 15000, PASSWORD_MAX = 1024 };

/* A login by password under way. */
struct asked {
    struct gateway *gw;
    uint32_t slot, generation;
};

void gw_mqtt_login_free(struct gw_mqtt_login **l)
{
    if (*l)
        pgn_buf_release(&(*l)->session);
    free(*l);
    *l = NULL;
}

/* ---- no ---- */

static bool write_refusal(struct pgn_buf *b, const struct gw_mqtt *m, enum gw_mqtt_reason reason, const char *text)
{
    struct gw_mqtt_connack answer = {.reason = reason, .text = gw_mqtt_str_of(text)};
    pgn_buf_clear(b);
    return m->version && gw_mqtt_write_connack(b, m->version, &answer) && gw_mqtt_fits(m, b->len);
}

void gw_mqtt_refuse_reason(struct gw_conn *c, enum gw_mqtt_reason reason, const char *text)
{
    struct gw_mqtt *m = c->mqtt;
    struct pgn_buf *b = gw_mqtt_scratch();
    gw_count(GW_M_HELLOS_REFUSED, 1);
    if (write_refusal(b, m, reason, m->no_reasons ? NULL : text) || write_refusal(b, m, reason, NULL))
        (void)gw_mqtt_send(c, b, false);
    gw_conn_close(c, GW_WS_NORMAL);
}

void gw_mqtt_refuse(struct gw_conn *c, int error, const char *text)
{
    enum gw_mqtt_reason reason = GW_MQTT_UNSPECIFIED;
    switch (error) {
    case PGN_E_UNAUTHENTICATED:
    case PGN_E_INVALID:
        reason = GW_MQTT_BAD_LOGIN;
        break;
    case PGN_E_FORBIDDEN:
        reason = GW_MQTT_NOT_AUTHORIZED;
        break;
    case PGN_E_RATE_LIMITED:
        reason = GW_MQTT_QUOTA;
        break;
    case PGN_E_OVERLOADED:
        reason = GW_MQTT_BUSY;
        break;
    case PGN_E_UNAVAILABLE:
    case PGN_E_NO_RESPONDERS:
    case PGN_E_TIMEOUT:
        reason = GW_MQTT_UNAVAILABLE;
        break;
    default:
        break;
    }
    gw_mqtt_refuse_reason(c, reason, text && *text ? text : pgn_error_info(error)->text);
}

/* ---- CONNECT ---- */

static bool looks_like_token(struct gw_mqtt_str s)
{
    if (s.len != PGN_TOKEN_LEN)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char ch = s.data[i];
        if (!((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') || ch == '_' || ch == '-'))
            return false;
    }
    return true;
}

/* The client id as the name of a device: itself where it is one, else its hash; empty: a new one. */
static void device_of(struct gw_mqtt_str id, struct gw_mqtt_login *l)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";
    if (!id.len) {
        l->assigned = true;
        memcpy(l->device, "m-", 2);
        for (size_t i = 2; i < 18; i++)
            l->device[i] = letters[pgn_random_below(sizeof letters - 1)];
        return;
    }
    if (id.len <= PGN_DEVICE_MAX) {
        memcpy(l->device, id.data, id.len);
        l->device[id.len] = 0;
        if (strlen(l->device) == id.len && pgn_device_valid(l->device))
            return;
    }
    snprintf(l->device, sizeof l->device, "m-%016llx", (unsigned long long)pgn_hash(id.data, id.len));
}

static void take_settings(struct gw_mqtt *m, const struct gw_mqtt_connect *k)
{
    const struct gw_mqtt_props *p = &k->props;
    m->clean = k->clean_start;
    m->keep_alive_s = k->keep_alive_s;
    m->receive_max = p->receive_maximum < GW_MQTT_WINDOW_MAX ? p->receive_maximum : GW_MQTT_WINDOW_MAX;
    m->no_reasons = !p->request_problem;
    m->expiry_s = k->version == GW_MQTT_5 ? p->session_expiry_s : k->clean_start ? 0 : GW_MQTT_NEVER;
    if (gw_mqtt_has(p, GW_MQTT_P_MAXIMUM_PACKET))
        gw_mqtt_more(m)->max_packet = p->maximum_packet;
}

static void by_token(struct gw_conn *c, char *token)
{
    static char none[1];
    Pigeon__Hello hello = PIGEON__HELLO__INIT;
    hello.token = token;
    hello.device = none;
    hello.cursor = none;
    gw_hello_start(c, 0, &hello);
}

static void on_login(void *ctx, const struct pgn_rpc_result *r)
{
    struct asked *a = ctx;
    struct gw_conn *c = gw_conn_find(a->gw, a->slot, a->generation);
    free(a);
    if (!c || c->state != GW_CHECK)
        return;
    if (r->error)
        gw_mqtt_refuse(c, r->error, r->text);
    else
        by_token(c, r->reply->login->token);
}

static void by_password(struct gw_conn *c, const struct gw_mqtt_connect *k)
{
    struct gateway *gw = c->gw;
    struct gw_mqtt_login *l = c->mqtt->more->login;
    Pigeon__LoginRequest q = PIGEON__LOGIN_REQUEST__INIT;
    char password[PASSWORD_MAX + 1], address[GW_ADDRESS_MAX] = "";
    if (gw->load_level >= GW_LOAD_LOGINS || gw->draining) {
        gw_mqtt_refuse(c, PGN_E_OVERLOADED, NULL);
        return;
    }
    memcpy(password, k->password.data, k->password.len);
    password[k->password.len] = 0;
    if (c->address)
        memcpy(address, c->address->text, sizeof address);
    q.user = l->user;
    q.password = password;
    q.device = l->device;
    q.address = address;
    struct asked *a = pgn_malloc(sizeof *a);
    *a = (struct asked){gw, c->slot, c->generation};
    gw_conn_move(c, GW_CHECK);
    pgn_rpc_call(gw->bus, PGN_SUBJ_LOGIN, &q, LOGIN_TIMEOUT_MS, PIGEON__REPLY__PAYLOAD_LOGIN, NULL, on_login, a);
    memset(password, 0, sizeof password);
}

/* False when it cannot be right. */
static bool credentials(struct gw_conn *c, const struct gw_mqtt_connect *k)
{
    struct gw_mqtt_login *l = c->mqtt->more->login;
    bool token = k->password.data && looks_like_token(k->password);
    if (!k->password.data || !k->password.len || k->password.len > PASSWORD_MAX || memchr(k->password.data, 0, k->password.len))
        return false;
    if (k->user.data && k->user.len <= PGN_USER_MAX)
        memcpy(l->user, k->user.data, k->user.len);
    if (k->user.data && k->user.len && (k->user.len > PGN_USER_MAX || !pgn_user_valid(l->user)))
        return false;
    return token || *l->user;
}

/* Of a session. Its length is known before it is: of `present` it does not depend. */
static const struct pgn_buf *write_connack(const struct gw_conn *c)
{
    const struct gw_mqtt_login *l = c->mqtt->more->login;
    struct gw_mqtt_connack answer = {
        .session_present = l->present,
        .no_retain = true,
        .no_shared = true,
        .receive_maximum = GW_MQTT_RECEIVE_MAX,
        .alias_maximum = GW_MQTT_ALIAS_MAX,
        .maximum_packet = (uint32_t)c->gw->config->limits_frame_bytes,
        .client_id = gw_mqtt_str_of(l->assigned ? l->device : NULL),
    };
    struct pgn_buf *b = gw_mqtt_scratch();
    (void)gw_mqtt_write_connack(b, c->mqtt->version, &answer);
    return b;
}

enum gw_mqtt_reason gw_mqtt_on_connect(struct gw_conn *c, const struct gw_mqtt_packet *p)
{
    struct gw_mqtt *m = c->mqtt;
    struct gw_mqtt_connect k;
    enum gw_mqtt_reason reason = gw_mqtt_read_connect(p, &k);
    m->version = k.version;
    if (reason)
        return reason;
    take_settings(m, &k);
    struct gw_mqtt_login *l = gw_mqtt_more(m)->login = pgn_calloc(1, sizeof *l);
    if (!k.client_id.len && !k.clean_start)
        return GW_MQTT_BAD_CLIENT_ID;
    device_of(k.client_id, l);
    if (!gw_mqtt_fits(m, write_connack(c)->len)) {
        gw_mqtt_refuse_reason(c, GW_MQTT_IMPLEMENTATION, "the maximum packet size is too small for any answer");
        return GW_MQTT_SUCCESS;
    }
    if (!credentials(c, &k)) {
        gw_mqtt_refuse(c, PGN_E_UNAUTHENTICATED, "a user name and a password, or a token as password, are needed");
        return GW_MQTT_SUCCESS;
    }
    if (k.has_will && (reason = gw_mqtt_will_take(c, &k.will)) != GW_MQTT_SUCCESS) {
        gw_mqtt_refuse_reason(c, reason, "a will is a message to u/<user> or c/<conversation>");
        return GW_MQTT_SUCCESS;
    }
    if (looks_like_token(k.password)) {
        char token[PGN_TOKEN_LEN + 1];
        memcpy(token, k.password.data, PGN_TOKEN_LEN);
        token[PGN_TOKEN_LEN] = 0;
        by_token(c, token);
    } else {
        by_password(c, &k);
    }
    return GW_MQTT_SUCCESS;
}

/* ---- the token is good ---- */

void gw_mqtt_checked(struct gw_conn *c, const uint8_t hash[PGN_HASH_BYTES], const Pigeon__Session *s)
{
    struct gw_mqtt_login *l = c->mqtt->more->login;
    if (*l->user && strcmp(l->user, s->user) != 0) {
        gw_mqtt_refuse(c, PGN_E_UNAUTHENTICATED, "the token belongs to another user");
        return;
    }
    memcpy(l->hash, hash, sizeof l->hash);
    gw_mqtt_session_begin(c, s);
}

/* Without a keep alive nothing says that a client is gone: the kernel looks, from a minute on. */
static void ask_kernel(struct gw_conn *c)
{
    static const int on = 1, idle_s = 60, every_s = 20, times = 3;
    if (c->mqtt->keep_alive_s || c->mqtt->ws)
        return;
    (void)setsockopt(c->io.fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    (void)setsockopt(c->io.fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    (void)setsockopt(c->io.fd, IPPROTO_TCP, TCP_KEEPINTVL, &every_s, sizeof every_s);
    (void)setsockopt(c->io.fd, IPPROTO_TCP, TCP_KEEPCNT, &times, sizeof times);
}

void gw_mqtt_accepted(struct gw_conn *c)
{
    struct gw_mqtt *m = c->mqtt;
    struct gw_mqtt_login *l = m->more->login;
    (void)gw_mqtt_send(c, write_connack(c), false);
    uint64_t newest = c->gw->newest_commit;
    m->seen = l->present && l->cursor < newest ? l->cursor : newest; /* one from before the store was restored is none */
    bool present = l->present;
    gw_mqtt_login_free(&m->more->login);
    gw_mqtt_more_trim(m);
    gw_mqtt_will_cancel(c);
    ask_kernel(c);
    pgn_timer_start_coarse(c->gw->loop, &c->timer, gw_mqtt_beat(c, 0));
    if (present)
        gw_mqtt_session_resume(c);
}
