// needs: services/gateway
/*
 * Records of TLS 1.3: the input as what came from a socket (heads, lengths, garbage under a right key), and as what an authentic peer put
 * into a record: content, type, padding.
 */
#include "services/gateway/gw_tls_conn.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct gw_tls_ciphers *ciphers;
    static uint8_t record[GW_TLS_RECORD_MAX], out[GW_TLS_RECORD_MAX];
    static const uint8_t secret[48] = {1, 2, 3};
    struct gw_tls_way a, b;
    uint8_t type = 0;
    size_t held = 0;
    bool broken;
    if (!ciphers)
        ciphers = gw_tls_ciphers_new();
    if (size < 2 || size > GW_TLS_PLAIN_MAX)
        return 0;
    unsigned suite = 0x1301 + data[0] % 3;
    check(gw_tls_way_init(&a, suite, secret, suite == 0x1302 ? 48 : 32));
    b = a;
    check(gw_tls_whole(data, size, &broken) <= size);
    check(gw_tls_open(ciphers, &b, data, size, out, &type, &held) != 0); /* nobody guesses a tag */
    b = a;
    size_t n = gw_tls_seal(ciphers, &a, data[1], data + 2, size - 2, record);
    check(n == size - 2 + GW_TLS_EXTRA && gw_tls_record_length(record, n) == (int)n);
    int alert = gw_tls_open(ciphers, &b, record, n, out, &type, &held);
    check(alert ? alert == GW_TLS_UNEXPECTED : type != 0 && held <= size - 2 && (held == 0 || memcmp(out, data + 2, held) == 0));
    check(alert || data[1] == 0 || (type == data[1] && held == size - 2));
    return 0;
}
