/* Records of TLS 1.3; see gw_tls_record.h. */
#include "services/gateway/gw_tls_record.h"

#include "common/base/alloc.h"

#include <assert.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

static const struct suite {
    unsigned number; /* IANA's */
    const char *cipher;
    uint8_t key_len, secret_len;
} suites[] = {
    {0x1301, "AES-128-GCM", 16, 32},
    {0x1302, "AES-256-GCM", 32, 48},
    {0x1303, "ChaCha20-Poly1305", 32, 32},
};
enum {
    SUITES = sizeof suites / sizeof suites[0],
    /* AES-GCM is good for 2^24.5 full records (RFC 8446, 5.5). */
    WORN = 1 << 23,
};

/* One context a suite and direction, which gets each record's key: setting a key up takes a fraction of a microsecond, keeping it 1 KB. */
struct gw_tls_ciphers {
    EVP_CIPHER_CTX *seal[SUITES], *open[SUITES];
};

static bool prepare(EVP_CIPHER_CTX **ret, const struct suite *s, int encrypt)
{
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, s->cipher, NULL);
    *ret = EVP_CIPHER_CTX_new();
    bool ok = cipher && *ret && EVP_CipherInit_ex2(*ret, cipher, NULL, NULL, encrypt, NULL) == 1;
    EVP_CIPHER_free(cipher);
    return ok;
}

struct gw_tls_ciphers *gw_tls_ciphers_new(void)
{
    struct gw_tls_ciphers *c = pgn_calloc(1, sizeof *c);
    bool ok = true;
    for (size_t i = 0; i < SUITES; i++)
        ok = prepare(&c->seal[i], &suites[i], 1) && prepare(&c->open[i], &suites[i], 0) && ok;
    if (!ok)
        gw_tls_ciphers_free(&c);
    return c;
}

void gw_tls_ciphers_free(struct gw_tls_ciphers **c)
{
    if (!*c)
        return;
    for (size_t i = 0; i < SUITES; i++) {
        EVP_CIPHER_CTX_free((*c)->seal[i]);
        EVP_CIPHER_CTX_free((*c)->open[i]);
    }
    free(*c);
    *c = NULL;
}

/* ---- keys ---- */

/* HKDF-Expand-Label (7.1) with an empty context; nothing here needs more than one block of the hash. */
static void expand_label(const struct gw_tls_way *w, const char *label, uint8_t *out, size_t len)
{
    const EVP_MD *md = w->secret_len == 48 ? EVP_sha384() : EVP_sha256();
    uint8_t info[32] = {0}, block[EVP_MAX_MD_SIZE];
    size_t n = strlen(label);
    unsigned got = 0;
    assert(n <= 16 && len <= w->secret_len);
    info[1] = (uint8_t)len;
    info[2] = (uint8_t)(6 + n);
    memcpy(info + 3, "tls13 ", 6);
    memcpy(info + 9, label, n);
    info[10 + n] = 1; /* behind the empty context's length: the block's number */
    const uint8_t *done = HMAC(md, w->secret, w->secret_len, info, n + 11, block, &got);
    assert(done && got >= len);
    memcpy(out, block, len);
    explicit_bzero(block, sizeof block);
}

static void keys(struct gw_tls_way *w)
{
    w->number = 0;
    expand_label(w, "key", w->key, suites[w->suite].key_len);
    expand_label(w, "iv", w->iv, sizeof w->iv);
}

bool gw_tls_way_init(struct gw_tls_way *w, unsigned suite, const uint8_t *secret, size_t secret_len)
{
    for (size_t i = 0; i < SUITES; i++) {
        if (suites[i].number != suite || suites[i].secret_len != secret_len)
            continue;
        *w = (struct gw_tls_way){.suite = (uint8_t)i, .secret_len = (uint8_t)secret_len};
        memcpy(w->secret, secret, secret_len);
        keys(w);
        return true;
    }
    return false;
}

void gw_tls_way_update(struct gw_tls_way *w)
{
    uint8_t next[GW_TLS_SECRET_MAX];
    expand_label(w, "traffic upd", next, w->secret_len);
    memcpy(w->secret, next, w->secret_len);
    explicit_bzero(next, sizeof next);
    keys(w);
}

void gw_tls_way_wipe(struct gw_tls_way *w)
{
    explicit_bzero(w, sizeof *w);
}

bool gw_tls_way_worn(const struct gw_tls_way *w)
{
    return w->number >= WORN;
}

/* ---- records ---- */

int gw_tls_record_length(const uint8_t *at, size_t len)
{
    if (len < GW_TLS_HEAD)
        return 0;
    int body = at[3] << 8 | at[4];
    bool known = at[0] >= GW_TLS_CCS && at[0] <= GW_TLS_DATA && at[1] == 3;
    return known && body > 0 && body <= GW_TLS_BODY_MAX + 1792 /* TLS 1.2's, RFC 5246, 6.2.3 */ ? GW_TLS_HEAD + body : -1;
}

/* The record's nonce (5.3), and its number is used up. */
static void nonce(struct gw_tls_way *w, uint8_t out[GW_TLS_IV])
{
    memcpy(out, w->iv, GW_TLS_IV);
    for (int i = 0; i < 8; i++)
        out[GW_TLS_IV - 1 - i] ^= (uint8_t)(w->number >> (8 * i));
    w->number++;
}

size_t gw_tls_seal(struct gw_tls_ciphers *c, struct gw_tls_way *w, uint8_t type, const void *plain, size_t len, uint8_t *out)
{
    EVP_CIPHER_CTX *e = c->seal[w->suite];
    size_t body = len + 1 + GW_TLS_TAG;
    uint8_t iv[GW_TLS_IV], *text = out + GW_TLS_HEAD;
    int n = 0, last = 0;
    assert(len <= GW_TLS_PLAIN_MAX);
    nonce(w, iv);
    if (plain != text)
        memcpy(text, plain, len);
    text[len] = type;
    memcpy(out, (const uint8_t[GW_TLS_HEAD]){GW_TLS_DATA, 3, 3, (uint8_t)(body >> 8), (uint8_t)body}, GW_TLS_HEAD);
    bool ok = EVP_EncryptInit_ex2(e, NULL, w->key, iv, NULL) == 1 && EVP_EncryptUpdate(e, NULL, &n, out, GW_TLS_HEAD) == 1 &&
              EVP_EncryptUpdate(e, text, &n, text, (int)len + 1) == 1 && EVP_EncryptFinal_ex(e, text + n, &last) == 1 &&
              EVP_CIPHER_CTX_ctrl(e, EVP_CTRL_AEAD_GET_TAG, GW_TLS_TAG, text + len + 1) == 1;
    assert(ok && n + last == (int)len + 1);
    return GW_TLS_HEAD + body;
}

int gw_tls_open(struct gw_tls_ciphers *c, struct gw_tls_way *w, const uint8_t *record, size_t record_len, uint8_t *out, uint8_t *ret_type,
                size_t *ret_len)
{
    EVP_CIPHER_CTX *d = c->open[w->suite];
    uint8_t iv[GW_TLS_IV], tag[GW_TLS_TAG];
    int n = 0, last = 0;
    if (record_len < GW_TLS_HEAD || record[0] != GW_TLS_DATA)
        return GW_TLS_UNEXPECTED;
    if (record_len > GW_TLS_RECORD_MAX)
        return GW_TLS_OVERFLOW;
    if (record_len <= GW_TLS_EXTRA - 1)
        return GW_TLS_BAD_MAC;
    const uint8_t *text = record + GW_TLS_HEAD;
    size_t len = record_len - GW_TLS_HEAD - GW_TLS_TAG;
    nonce(w, iv);
    memcpy(tag, text + len, sizeof tag);
    if (EVP_DecryptInit_ex2(d, NULL, w->key, iv, NULL) != 1 || EVP_DecryptUpdate(d, NULL, &n, record, GW_TLS_HEAD) != 1 ||
        EVP_DecryptUpdate(d, out, &n, text, (int)len) != 1 || EVP_CIPHER_CTX_ctrl(d, EVP_CTRL_AEAD_SET_TAG, GW_TLS_TAG, tag) != 1 ||
        EVP_DecryptFinal_ex(d, out + n, &last) != 1)
        return GW_TLS_BAD_MAC;
    while (len && !out[len - 1])
        len--; /* padding */
    if (!len)
        return GW_TLS_UNEXPECTED;
    if (len - 1 > GW_TLS_PLAIN_MAX)
        return GW_TLS_OVERFLOW;
    *ret_type = out[len - 1];
    *ret_len = len - 1;
    return 0;
}
