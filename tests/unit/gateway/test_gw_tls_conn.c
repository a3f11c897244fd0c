/* TLS of a socket, over a socket pair whose other end asks and does not read. */
#include "services/gateway/gw_tls_conn.h"

#include "common/base/alloc.h"
#include "services/gateway/gw_write.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { UPDATE_RECORD = 5 + GW_TLS_EXTRA };

static struct pgn_config config;
static struct gateway gw;
static struct gw_tls_all all;
static struct gw_conn conn;
static struct gw_tls_way peer_rx, peer_tx;
static int peer;
static size_t stuffed; /* bytes that fill the way to the peer */

static int start(void **state)
{
    static const uint8_t one[32] = {1}, two[32] = {2};
    int fds[2];
    (void)state;
    memset(&gw, 0, sizeof gw);
    memset(&all, 0, sizeof all);
    memset(&config, 0, sizeof config);
    memset(&conn, 0, sizeof conn);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) != 0)
        return -1;
    peer = fds[1];
    stuffed = 0;
    gw.loop = pgn_loop_new();
    gw.config = &config;
    gw.tls = &all;
    all.gw = &gw;
    all.ciphers = gw_tls_ciphers_new();
    conn.gw = &gw;
    conn.io.fd = fds[0];
    conn.state = GW_LIVE;
    conn.tls = pgn_calloc(1, sizeof *conn.tls);
    conn.tls->conn = &conn;
    conn.tls->state = GW_TLS_OPEN;
    bool ok = all.ciphers && gw_tls_way_init(&conn.tls->rx, 0x1301, one, 32) && gw_tls_way_init(&conn.tls->tx, 0x1301, two, 32);
    peer_tx = conn.tls->rx;
    peer_rx = conn.tls->tx;
    return ok ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    gw_tls_end(&conn);
    close(conn.io.fd);
    close(peer);
    pgn_buf_release(&all.sent);
    gw_tls_ciphers_free(&all.ciphers);
    pgn_loop_free(&gw.loop);
    return 0;
}

/* The way to the peer is full: it does not read. */
static void stuff(void)
{
    static const uint8_t junk[4096];
    ssize_t n;
    while ((n = send(conn.io.fd, junk, sizeof junk, MSG_DONTWAIT)) > 0)
        stuffed += (size_t)n;
}

/* The peer takes out what stuffed the way. */
static void unstuff(void)
{
    static uint8_t junk[4096];
    while (stuffed) {
        ssize_t n = recv(peer, junk, stuffed < sizeof junk ? stuffed : sizeof junk, MSG_DONTWAIT);
        assert_true(n > 0);
        stuffed -= (size_t)n;
    }
}

/* The peer changes its keys and asks for new ones of ours. */
static void ask_for_keys(void)
{
    static const uint8_t ask[] = {24, 0, 0, 1, 1};
    static uint8_t got[GW_READ_BYTES];
    uint8_t record[UPDATE_RECORD];
    size_t n = gw_tls_seal(all.ciphers, &peer_tx, GW_TLS_HANDSHAKE, ask, sizeof ask, record);
    gw_tls_way_update(&peer_tx);
    assert_int_equal(send(peer, record, n, 0), n);
    assert_int_equal(gw_tls_recv(&conn, got), -1);
    assert_false(conn.tls->ended);
}

/* What came to the peer: its data, whose length is returned, and how many times our keys changed. */
static size_t peer_reads(uint8_t *ret_data, unsigned *ret_updates)
{
    static uint8_t raw[GW_READ_BYTES], out[GW_TLS_RECORD_MAX];
    size_t len = 0, got = 0, held = 0;
    uint8_t type = 0;
    ssize_t n;
    while ((n = recv(peer, raw + len, sizeof raw - len, MSG_DONTWAIT)) > 0)
        len += (size_t)n;
    *ret_updates = 0;
    for (size_t at = 0; at < len;) {
        int one = gw_tls_record_length(raw + at, len - at);
        assert_true(one > 0 && at + (size_t)one <= len);
        assert_int_equal(gw_tls_open(all.ciphers, &peer_rx, raw + at, (size_t)one, out, &type, &held), 0);
        at += (size_t)one;
        if (type == GW_TLS_HANDSHAKE) {
            gw_tls_way_update(&peer_rx);
            ++*ret_updates;
        } else {
            memcpy(ret_data + got, out, held);
            got += held;
        }
    }
    return got;
}

/* Asked a thousand times by somebody who does not read, we owe him one change of keys, not a thousand; and then all goes on. */
static void test_one_update_waits(void **state)
{
    static uint8_t data[GW_READ_BYTES];
    struct iovec iov = {data, 5};
    unsigned updates;
    (void)state;
    stuff();
    for (int i = 0; i < 1000; i++)
        ask_for_keys();
    assert_int_equal(conn.tls->out.len, UPDATE_RECORD);
    assert_int_equal(gw_tls_send(&conn, &iov, 1), -1);
    unstuff();
    memcpy(data, "hello", 5);
    assert_int_equal(gw_tls_send(&conn, &iov, 1), 5);
    assert_false(gw_write_waits(&conn));
    memset(data, 0, 5);
    assert_int_equal(peer_reads(data, &updates), 5);
    assert_memory_equal(data, "hello", 5);
    assert_int_equal(updates, 2); /* the first one's, and one for all the others */
}

/* Who reads is answered each time. */
static void test_each_update_is_answered(void **state)
{
    static uint8_t data[GW_READ_BYTES];
    unsigned updates;
    (void)state;
    for (int i = 0; i < 10; i++) {
        ask_for_keys();
        assert_int_equal(gw_tls_send(&conn, NULL, 0), 0);
        assert_int_equal(peer_reads(data, &updates), 0);
        assert_int_equal(updates, 1);
    }
}

/* Records of TLS alone, with no frame behind them, count as waiting; after 30 s without a byte taken the client is too slow. */
static void test_stuck(void **state)
{
    uint64_t now = pgn_loop_now_ms(gw.loop);
    (void)state;
    assert_false(gw_write_waits(&conn));
    assert_false(gw_write_stuck(&conn, now + 30000));
    stuff();
    ask_for_keys();
    assert_null(conn.out);
    assert_true(gw_write_waits(&conn));
    assert_false(gw_write_stuck(&conn, now + 29999));
    assert_true(gw_write_stuck(&conn, now + 30000));
    unstuff();
    assert_int_equal(gw_tls_send(&conn, NULL, 0), 0);
    assert_false(gw_write_stuck(&conn, now + 30000));
}

/* What OpenSSL says to somebody who does not read is bounded. */
static void test_openssl_is_bounded(void **state)
{
    static const uint8_t warning[31] = {GW_TLS_ALERT, 3, 3, 0, 26};
    struct gw_tls *t = conn.tls;
    (void)state;
    t->state = GW_TLS_OPENSSL;
    for (int i = 0; i < 2 * GW_TLS_OUT_MAX / (int)sizeof warning && !t->ended; i++) {
        pgn_buf_append(&all.sent, warning, sizeof warning);
        gw_tls_collect(t);
    }
    assert_true(t->ended);
    assert_true(t->bye);
    assert_true(t->out.len <= GW_TLS_OUT_MAX + sizeof warning);
}

/* Before its handshake begins a client may let us hold what a hello takes without TLS, and a record: records that wait their turn. */
static void test_held_before_the_handshake(void **state)
{
    static uint8_t got[GW_READ_BYTES], record[GW_TLS_HEAD + GW_TLS_PLAIN_MAX] = {GW_TLS_HANDSHAKE, 3, 1, GW_TLS_PLAIN_MAX >> 8, 0};
    struct gw_tls *t = conn.tls;
    (void)state;
    pgn_list_init(&all.fresh);
    all.opening = 1;
    t->state = GW_TLS_NEW;
    config.limits_hello_bytes = 16384;
    const size_t allowed = 16384 + GW_TLS_RECORD_MAX;
    while (t->in.len < allowed) {
        size_t at = t->in.len % sizeof record, room = allowed - t->in.len;
        size_t n = room < sizeof record - at ? room : sizeof record - at;
        assert_int_equal(send(peer, record + at, n, 0), n);
        assert_int_equal(gw_tls_recv(&conn, got), -1);
    }
    assert_false(t->ended);
    size_t next = allowed % sizeof record;
    assert_int_equal(send(peer, record + next, 1, 0), 1);
    assert_int_equal(gw_tls_recv(&conn, got), 0);
    assert_true(t->ended);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_update_waits, start, stop),
        cmocka_unit_test_setup_teardown(test_each_update_is_answered, start, stop),
        cmocka_unit_test_setup_teardown(test_stuck, start, stop),
        cmocka_unit_test_setup_teardown(test_openssl_is_bounded, start, stop),
        cmocka_unit_test_setup_teardown(test_held_before_the_handshake, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
