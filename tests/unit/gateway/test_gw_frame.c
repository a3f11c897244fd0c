/* Shared frames: encoded once, counted; queues: order, partial writes, cutting. */
#include "services/gateway/gw_frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_encoded_once_and_shared(void **state)
{
    (void)state;
    Pigeon__ServerFrame f = PIGEON__SERVER_FRAME__INIT;
    Pigeon__TypingEvent typing = PIGEON__TYPING_EVENT__INIT;
    char conv[] = "d:a:b", user[] = "a";
    typing.conv = conv;
    typing.user = user;
    f.what_case = PIGEON__SERVER_FRAME__WHAT_TYPING;
    f.typing = &typing;
    struct gw_shared s = {.source = &f};
    struct gw_frame *json = gw_shared_get(&s, GW_JSON);
    assert_ptr_equal(gw_shared_get(&s, GW_JSON), json);
    assert_null(s.frames[GW_PROTO]); /* nobody needed it */
    assert_int_equal(json->data[0], 0x81);
    assert_int_equal(json->data[1], json->len - 2);
    assert_memory_equal(json->data + 2, "{\"typing\":{", 11);
    assert_int_equal(gw_shared_get(&s, GW_PROTO)->data[0], 0x82);
    struct gw_frame *mine = gw_frame_ref(json);
    gw_shared_release(&s);
    assert_int_equal(mine->refs, 1);
    gw_frame_unref(&mine);
    assert_null(mine);
}

static struct gw_outq *queue_of(const char *const *texts, size_t count)
{
    struct gw_outq *q = NULL;
    for (size_t i = 0; i < count; i++) {
        struct gw_frame *f = gw_frame_raw(texts[i], strlen(texts[i]));
        gw_outq_push(&q, f, 100);
        gw_frame_unref(&f);
    }
    return q;
}

static void test_partial_writes(void **state)
{
    (void)state;
    static const char *const texts[] = {"abc", "de", "f", "ghij", "klm", "no"};
    char got[32] = "";
    struct gw_outq *q = queue_of(texts, 6);
    assert_int_equal(gw_outq_bytes(q), 15);
    for (uint64_t now = 101; q; now++) {
        struct iovec iov[3];
        int n = gw_outq_iov(q, iov, 3);
        assert_true(n > 0);
        size_t take = 2; /* the kernel takes two bytes at a time */
        for (int i = 0; i < n && take; i++) {
            size_t part = iov[i].iov_len < take ? iov[i].iov_len : take;
            strncat(got, iov[i].iov_base, part);
            take -= part;
        }
        gw_outq_sent(&q, 2 - take, now);
        assert_true(!q || q->waiting_ms == (uint32_t)now);
    }
    assert_string_equal(got, "abcdefghijklmno");
    assert_int_equal(gw_outq_bytes(q), 0);
}

static void test_long_queue_keeps_order(void **state)
{
    (void)state;
    struct gw_outq *q = NULL;
    uint32_t in = 0, out = 0;
    for (int round = 0; round < 1000; round++) {
        for (int i = 0; i < 3; i++, in++) {
            struct gw_frame *f = gw_frame_raw(&in, sizeof in);
            gw_outq_push(&q, f, 0);
            gw_frame_unref(&f);
        }
        for (int i = 0; i < 2; i++, out++) {
            struct iovec iov;
            assert_int_equal(gw_outq_iov(q, &iov, 1), 1);
            assert_memory_equal(iov.iov_base, &out, sizeof out);
            gw_outq_sent(&q, sizeof out, 0);
        }
    }
    assert_int_equal(q->count, 1000);
    gw_outq_free(&q);
    assert_null(q);
}

static void test_cutting_keeps_what_is_half_sent(void **state)
{
    (void)state;
    static const char *const texts[] = {"abc", "de", "f"};
    struct gw_outq *q = queue_of(texts, 3);
    gw_outq_sent(&q, 1, 0);
    gw_outq_cut(&q);
    assert_int_equal(q->count, 1);
    assert_int_equal(gw_outq_bytes(q), 2);
    gw_outq_sent(&q, 2, 0);
    assert_null(q);
    q = queue_of(texts, 3);
    gw_outq_cut(&q);
    assert_null(q);
    gw_outq_cut(&q);
}

static void test_shared_between_queues(void **state)
{
    (void)state;
    struct gw_frame *f = gw_frame_new(GW_WS_TEXT, "x", 1);
    struct gw_outq *a = NULL, *b = NULL;
    gw_outq_push(&a, f, 0);
    gw_outq_push(&b, f, 0);
    assert_int_equal(f->refs, 3);
    gw_outq_sent(&a, f->len, 0);
    assert_int_equal(f->refs, 2);
    gw_outq_free(&b);
    assert_int_equal(f->refs, 1);
    gw_frame_unref(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_encoded_once_and_shared), cmocka_unit_test(test_partial_writes),
        cmocka_unit_test(test_long_queue_keeps_order),  cmocka_unit_test(test_cutting_keeps_what_is_half_sent),
        cmocka_unit_test(test_shared_between_queues),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
