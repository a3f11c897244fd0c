/*
 * wss://: a user's socket through OpenSSL, by calls that behave as recv and send do. The server's certificate is not looked at: this is a
 * load generator. A plain socket has u->tls NULL. Worker's loop.
 */
#ifndef LOADTEST_TLS_H
#define LOADTEST_TLS_H

#include "loadtest/load.h"

#include <sys/types.h>

void ld_tls_begin(struct ld_user *u); /* the socket is connected; nothing for ws:// */
void ld_tls_end(struct ld_user *u);
bool ld_tls_shaking(const struct ld_user *u);              /* writing waits for what is read */
ssize_t ld_recv(struct ld_user *u, void *out, size_t max); /* -1 with errno EAGAIN: nothing now */
ssize_t ld_send_bytes(struct ld_user *u, const void *data, size_t len);

#endif
