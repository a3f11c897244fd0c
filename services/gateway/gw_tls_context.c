/* Certificate, suites, tickets; see gw_tls_context.h. */
#include "services/gateway/gw_tls_context.h"

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/random.h"
#include "common/svc/log.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#if defined(__aarch64__) || defined(__arm__)
#include <sys/auxv.h>
#endif

enum { LOOK_MS = 2000, AGAIN_MS = 60000 };

/* ---- suites ---- */

bool gw_tls_cpu_has_aes(void)
{
#if defined(__x86_64__) || defined(__i386__)
    return __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul");
#elif defined(__aarch64__)
    return (getauxval(AT_HWCAP) & (1ul << 3 | 1ul << 4)) == (1ul << 3 | 1ul << 4); /* AES, PMULL */
#elif defined(__arm__)
    return (getauxval(AT_HWCAP2) & 3ul) == 3ul; /* AES, PMULL */
#else
    return false;
#endif
}

const char *gw_tls_suites_13(bool aes)
{
    return aes ? "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384"
               : "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384";
}

/* TLS 1.2: AEAD and ephemeral keys only. */
const char *gw_tls_suites_12(bool aes)
{
    return aes ? "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
                 "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"
               : "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
                 "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384";
}

/* ---- tickets ---- */

static void derive(const uint8_t *master, const char *what, uint64_t period, uint8_t *out, size_t len)
{
    uint8_t text[32] = {0}, block[EVP_MAX_MD_SIZE];
    unsigned got = 0;
    size_t n = strlen(what);
    memcpy(text, what, n);
    for (int i = 0; i < 8; i++)
        text[n + 1 + (size_t)i] = (uint8_t)(period >> (8 * i));
    if (!HMAC(EVP_sha256(), master, GW_TLS_MASTER, text, n + 9, block, &got))
        abort();
    memcpy(out, block, len);
    explicit_bzero(block, sizeof block);
}

void gw_tls_ticket_key(const uint8_t master[GW_TLS_MASTER], uint64_t period, struct gw_tls_ticket_key *ret)
{
    derive(master, "ticket name", period, ret->name, sizeof ret->name);
    derive(master, "ticket cipher", period, ret->cipher, sizeof ret->cipher);
    derive(master, "ticket mac", period, ret->mac, sizeof ret->mac);
}

static bool use_key(const struct gw_tls_ticket_key *k, uint8_t *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int encrypt)
{
    union {
        const uint8_t *c;
        uint8_t *m;
    } key = {k->mac}; /* OSSL_PARAM is not const; nothing writes there */
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key.m, sizeof k->mac),
                           OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0), OSSL_PARAM_construct_end()};
    return EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, k->cipher, iv, encrypt) == 1 && EVP_MAC_CTX_set_params(mac, params) == 1;
}

/* keys[0] is the next period's (another node's clock may be ahead), keys[1] this one's, keys[2] the last one's. */
static void renew_keys(struct gw_tls_context *t)
{
    uint64_t period = pgn_wall_ms() / 1000 / GW_TLS_TICKET_S;
    if (t->keys_period == period + 1)
        return;
    t->keys_period = period + 1; /* 0: none yet */
    for (uint64_t i = 0; i < PGN_COUNT(t->keys); i++)
        gw_tls_ticket_key(t->master, period + 1 - i, &t->keys[i]);
}

/* OpenSSL's callback: 1 goes on, 0 no ticket or none of ours, 2 ours, but it is to be renewed. */
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int encrypt)
{
    struct gw_tls_context *t = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    if (SSL_version(ssl) < TLS1_3_VERSION)
        return 0;
    renew_keys(t);
    if (encrypt) {
        memcpy(name, t->keys[1].name, sizeof t->keys[1].name);
        pgn_random(iv, 16);
        return use_key(&t->keys[1], iv, cipher, mac, 1) ? 1 : -1;
    }
    for (size_t i = 0; i < PGN_COUNT(t->keys); i++)
        if (memcmp(name, t->keys[i].name, sizeof t->keys[i].name) == 0)
            return !use_key(&t->keys[i], iv, cipher, mac, 0) ? -1 : i == 2 ? 2 : 1;
    return 0;
}

/* The file is optional; a wrong one is not. */
static int read_master(struct gw_tls_context *t)
{
    struct pgn_buf path = {0}, problem = {0};
    char *secret = NULL;
    struct stat st;
    int error = 0;
    if (t->config->node_secrets[0])
        pgn_buf_printf(&path, "%s/tls-tickets", t->config->node_secrets);
    else
        pgn_buf_printf(&path, "%s/secrets/tls-tickets", t->config->node_data);
    pgn_random(t->master, sizeof t->master);
    if (stat(pgn_buf_cstr(&path), &st) == 0) {
        error = pgn_secret_read(t->config, "tls-tickets", &secret, &problem);
        if (error)
            pgn_log(PGN_ERR, "%s", pgn_buf_cstr(&problem));
        else if (EVP_Digest(secret, strlen(secret), t->master, NULL, EVP_sha256(), NULL) != 1)
            error = PGN_E_INVALID;
    }
    if (secret) {
        explicit_bzero(secret, strlen(secret));
        free(secret);
    }
    pgn_buf_release(&path);
    pgn_buf_release(&problem);
    return error;
}

/* ---- ALPN ---- */

/* A client that offers protocols must offer the listener's: else it may be one that was tricked into talking here (RFC 7301, 3.2). */
static int on_alpn(SSL *ssl, const unsigned char **ret, unsigned char *ret_len, const unsigned char *offered, unsigned len, void *arg)
{
    static const unsigned char http[] = "\x08http/1.1", mqtt[] = "\x04mqtt";
    const struct gw_tls_context *t = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    bool is_mqtt = t->hooks->is_mqtt(ssl);
    unsigned char *out = NULL;
    (void)arg;
    if (SSL_select_next_proto(&out, ret_len, is_mqtt ? mqtt : http, is_mqtt ? 5 : 9, offered, len) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *ret = out;
    return SSL_TLSEXT_ERR_OK;
}

/* ---- certificate ---- */

static const char *why(void)
{
    static char text[200]; /* loop's thread */
    unsigned long e = ERR_peek_last_error();
    ERR_error_string_n(e, text, sizeof text);
    const char *reason = ERR_reason_error_string(e);
    ERR_clear_error();
    return reason ? reason : e ? text : "no reason given";
}

static bool same(const struct gw_tls_stamp *a, const struct gw_tls_stamp *b)
{
    return a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec && a->size == b->size && a->inode == b->inode;
}

/* NULL: may be used; else what is wrong with it. */
static const char *key_file_problem(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return strerror(errno);
    if (!S_ISREG(st.st_mode))
        return "is not a regular file";
    if (st.st_mode & 077)
        return "may be read by others: chmod 600";
    return NULL;
}

static bool harden(SSL_CTX *x, bool aes)
{
    SSL_CTX_set_options(x, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                               SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(x, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN | SSL_MODE_ENABLE_PARTIAL_WRITE |
                            SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(x, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_timeout(x, 2 * GW_TLS_TICKET_S);
    return SSL_CTX_set_min_proto_version(x, TLS1_2_VERSION) == 1 && SSL_CTX_set_num_tickets(x, 1) == 1 &&
           SSL_CTX_set_max_early_data(x, 0) == 1 && SSL_CTX_set_ciphersuites(x, gw_tls_suites_13(aes)) == 1 &&
           SSL_CTX_set_cipher_list(x, gw_tls_suites_12(aes)) == 1 && SSL_CTX_set1_groups_list(x, "X25519:P-256:P-384") == 1;
}

static int no_password(char *buf, int size, int rwflag, void *arg)
{
    (void)buf, (void)size, (void)rwflag, (void)arg;
    return -1; /* else OpenSSL asks the terminal */
}

/* NULL after saying why, in ret_why. */
static SSL_CTX *load(struct gw_tls_context *t, struct pgn_buf *ret_why)
{
    const char *certificate = t->config->gateway_tls_certificate, *key = t->config->gateway_tls_key, *problem = NULL;
    SSL_CTX *x = SSL_CTX_new(TLS_server_method());
    ERR_clear_error();
    if (!x || !harden(x, gw_tls_cpu_has_aes())) {
        pgn_buf_printf(ret_why, "OpenSSL refuses the settings of TLS: %s", why());
        goto bad;
    }
    SSL_CTX_set_default_passwd_cb(x, no_password);
    if (SSL_CTX_use_certificate_chain_file(x, certificate) != 1) {
        pgn_buf_printf(ret_why, "gateway.tls_certificate: %s: %s", certificate, why());
        goto bad;
    }
    problem = key_file_problem(key);
    if (problem) {
        pgn_buf_printf(ret_why, "gateway.tls_key: %s: %s", key, problem);
        goto bad;
    }
    if (SSL_CTX_use_PrivateKey_file(x, key, SSL_FILETYPE_PEM) != 1 || SSL_CTX_check_private_key(x) != 1) {
        pgn_buf_printf(ret_why, "gateway.tls_key: %s with %s: %s", key, certificate, why());
        goto bad;
    }
    SSL_CTX_set_app_data(x, t);
    SSL_CTX_set_alpn_select_cb(x, on_alpn, NULL);
    SSL_CTX_set_keylog_callback(x, t->hooks->secret);
    SSL_CTX_set_msg_callback(x, t->hooks->record);
    if (SSL_CTX_set_tlsext_ticket_key_evp_cb(x, on_ticket) == 1)
        return x;
    pgn_buf_append_str(ret_why, "OpenSSL refuses ticket keys");
bad:
    SSL_CTX_free(x);
    return NULL;
}

static void stamp(const char *path, struct gw_tls_stamp *ret)
{
    struct stat st;
    *ret = stat(path, &st) == 0 ? (struct gw_tls_stamp){st.st_ctim, st.st_size, st.st_ino} : (struct gw_tls_stamp){0};
}

/* What cannot be used leaves all as it was. */
static void reload(struct gw_tls_context *t, bool changed)
{
    struct pgn_buf problem = {0};
    SSL_CTX *x = load(t, &problem);
    if (x) {
        SSL_CTX_free(t->now);
        t->now = x;
        t->hooks->reloaded();
        pgn_log(PGN_INFO, "the TLS certificate was read again: %s", t->config->gateway_tls_certificate);
    } else {
        if (changed || strcmp(pgn_buf_cstr(&problem), pgn_buf_cstr(&t->problem)) != 0)
            pgn_log(PGN_ERR, "the new TLS certificate is not used, the old one stays: %s", pgn_buf_cstr(&problem));
        t->again_ms = pgn_loop_now_ms(t->loop) + AGAIN_MS;
    }
    pgn_buf_release(&t->problem);
    t->problem = problem;
}

/*
 * What could not be used is tried again when a file changes again, so certificate and key may come one after the other; and now and then,
 * because what was in the way need not show in them (a directory's rights, a disk).
 */
static void on_look(struct pgn_timer *timer)
{
    struct gw_tls_context *t = PGN_CONTAINER(timer, struct gw_tls_context, look);
    struct gw_tls_stamp seen[2];
    pgn_timer_start(t->loop, &t->look, LOOK_MS);
    stamp(t->config->gateway_tls_certificate, &seen[0]);
    stamp(t->config->gateway_tls_key, &seen[1]);
    bool changed = !same(&seen[0], &t->stamps[0]) || !same(&seen[1], &t->stamps[1]);
    if (!changed && (!t->problem.len || pgn_loop_now_ms(t->loop) < t->again_ms))
        return;
    t->stamps[0] = seen[0];
    t->stamps[1] = seen[1];
    reload(t, changed);
}

int gw_tls_context_init(struct gw_tls_context *t, const struct pgn_config *config, struct pgn_loop *loop, const struct gw_tls_hooks *hooks)
{
    struct pgn_buf problem = {0};
    t->config = config;
    t->loop = loop;
    t->hooks = hooks;
    t->look.on_due = on_look;
    if (!config->gateway_tls_certificate[0] || !config->gateway_tls_key[0]) {
        pgn_log(PGN_ERR, "gateway.tls_port and gateway.mqtt_tls_port need gateway.tls_certificate and gateway.tls_key (docs/TLS.md)");
        return PGN_E_INVALID;
    }
    int error = read_master(t);
    if (error)
        return error;
    stamp(config->gateway_tls_certificate, &t->stamps[0]);
    stamp(config->gateway_tls_key, &t->stamps[1]);
    t->now = load(t, &problem);
    if (!t->now)
        pgn_log(PGN_ERR, "%s", pgn_buf_cstr(&problem));
    pgn_buf_release(&problem);
    if (!t->now)
        return PGN_E_INVALID;
    pgn_timer_start(loop, &t->look, LOOK_MS);
    return 0;
}

void gw_tls_context_release(struct gw_tls_context *t)
{
    pgn_timer_stop(&t->look);
    SSL_CTX_free(t->now);
    t->now = NULL;
    pgn_buf_release(&t->problem);
    explicit_bzero(t->master, sizeof t->master);
    explicit_bzero(t->keys, sizeof t->keys);
}
