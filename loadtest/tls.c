/* Sockets of users, with TLS or without; see tls.h. */
#include "loadtest/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

static SSL_CTX *context(struct ld_run *r)
{
    static SSL_CTX *made; /* one a worker process */
    if (made)
        return made;
    made = SSL_CTX_new(TLS_client_method());
    if (!made)
        ld_fatal(r, "OpenSSL does not start");
    SSL_CTX_set_mode(made, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_verify(made, SSL_VERIFY_NONE, NULL);
    return made;
}

void ld_tls_begin(struct ld_user *u)
{
    if (!u->run->o->tls)
        return;
    u->tls = SSL_new(context(u->run));
    if (!u->tls || SSL_set_fd(u->tls, u->io.fd) != 1)
        ld_fatal(u->run, "no memory for TLS");
    SSL_set_connect_state(u->tls);
}

void ld_tls_end(struct ld_user *u)
{
    SSL_free(u->tls);
    u->tls = NULL;
}

bool ld_tls_shaking(const struct ld_user *u)
{
    return u->tls && !SSL_is_init_finished(u->tls);
}

static ssize_t result(struct ld_user *u, int n)
{
    if (n > 0)
        return n;
    int why = SSL_get_error(u->tls, n);
    if (why == SSL_ERROR_ZERO_RETURN)
        return 0;
    errno = why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? EAGAIN : ECONNRESET;
    return -1;
}

ssize_t ld_recv(struct ld_user *u, void *out, size_t max)
{
    if (!u->tls)
        return recv(u->io.fd, out, max, 0);
    ERR_clear_error();
    return result(u, SSL_read(u->tls, out, (int)max));
}

ssize_t ld_send_bytes(struct ld_user *u, const void *data, size_t len)
{
    if (!u->tls)
        return send(u->io.fd, data, len, MSG_NOSIGNAL);
    ERR_clear_error();
    return result(u, SSL_write(u->tls, data, (int)len));
}
