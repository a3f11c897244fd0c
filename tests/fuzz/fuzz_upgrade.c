// needs: services/gateway
/* The upgrade request: refused with a known status or taken with everything in bounds; a prefix of it is never taken. */
#include "services/gateway/gw_http.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LIMIT = 2048 };

static void inside(struct gw_str s, const char *from, size_t len)
{
    if (s.at && (s.at < from || s.at + s.len > from + len))
        abort();
}

static void taken(const struct gw_upgrade *up, const char *text, size_t used)
{
    inside(up->key, text, used);
    inside(up->host, text, used);
    inside(up->origin, text, used);
    inside(up->forwarded_for, text, used);
    if (up->key.len != 24 || !up->host.len || memmem(text, used, "\r\n\r\n", 4) != text + used - 4)
        abort();
    char address[GW_ADDRESS_MAX];
    (void)gw_http_origin_allowed(up->origin, up->host, "chat.example, https://other.example:8443, [::1]:80");
    gw_http_client_address("127.0.0.1", up->forwarded_for, "127.0.0.1, ::1", address);
    struct pgn_buf out = {0};
    gw_http_accept(up, &out);
    pgn_buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size ? size : 1);
    struct gw_upgrade up;
    struct gw_http_refusal refusal;
    size_t used = 0;
    if (size)
        memcpy(text, data, size);
    switch (gw_http_parse(text, size, LIMIT, &up, &used, &refusal)) {
    case GW_HTTP_MORE:
        if (size >= LIMIT)
            abort();
        break;
    case GW_HTTP_REFUSED:
        if (refusal.status < 400 || refusal.status > 599 || !refusal.text)
            abort();
        break;
    case GW_HTTP_UPGRADE:
        if (used > size || used > LIMIT)
            abort();
        taken(&up, text, used);
        if (gw_http_parse(text, used - 1, LIMIT, &up, &used, &refusal) == GW_HTTP_UPGRADE)
            abort();
        break;
    }
    free(text);
    return 0;
}
