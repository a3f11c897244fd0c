/* File names and types on their way through headers. */
#include "tests/unit/common/test.h"

#include "services/api/header.h"

static void check_mime(const char *given, const char *expected)
{
    char mime[API_MIME_MAX + 1];
    api_mime_of(given, mime);
    assert_string_equal(mime, expected);
}

static void types_are_kept_without_parameters(void **state)
{
    (void)state;
    check_mime("image/png", "image/png");
    check_mime("Image/PNG", "image/png");
    check_mime(" text/plain; charset=utf-8", "text/plain");
    check_mime("application/vnd.oasis.opendocument.text", "application/vnd.oasis.opendocument.text");
    check_mime("application/pdf", "application/pdf");
}

static void what_is_no_type_is_unknown(void **state)
{
    static const char *const bad[] = {
        NULL,        "",      "image",          "/png", "image/", "image/p ng/x/y", "im\"age/png", "image/png\r\nSet-Cookie: a=b",
        "image/<b>", "a/b/c", "image/\xc3\xa4",
    };
    (void)state;
    for (size_t i = 0; i < PGN_COUNT(bad); i++) {
        char mime[API_MIME_MAX + 1];
        api_mime_of(bad[i], mime);
        assert_null(strpbrk(mime, "\r\n\" <>"));
        assert_true(!strcmp(mime, "application/octet-stream") || !strcmp(mime, "image/p"));
    }
    char lengthy[300];
    memset(lengthy, 'a', sizeof lengthy - 1);
    lengthy[sizeof lengthy - 1] = 0;
    lengthy[5] = '/';
    check_mime(lengthy, "application/octet-stream");
}

static void types_that_run_are_unknown(void **state)
{
    static const char *const active[] = {
        "text/html",       "TEXT/HTML; charset=x", "image/svg+xml",          "application/xhtml+xml",  "text/xml",
        "application/xml", "text/javascript",      "application/javascript", "application/ecmascript", "message/rfc822",
    };
    (void)state;
    for (size_t i = 0; i < PGN_COUNT(active); i++)
        check_mime(active[i], "application/octet-stream");
}

static void check_name(const char *given, const char *expected)
{
    char name[256 + sizeof "file"];
    snprintf(name, sizeof name, "%s", given);
    api_file_name_clean(name);
    assert_string_equal(name, expected);
}

static void names_are_cleaned(void **state)
{
    (void)state;
    check_name("photo.jpg", "photo.jpg");
    check_name("", "file");
    check_name("../../etc/passwd", "___.._etc_passwd");
    check_name("..\\x", "___x");
    check_name(".hidden", "_hidden");
    check_name("a\r\nb\x7f", "a__b_");
    check_name("\xe6\x96\x87\xe4\xbb\xb6.txt", "\xe6\x96\x87\xe4\xbb\xb6.txt");
    check_name("a\xe2\x80\xaegpj.exe", "a___gpj.exe");
}

static void check_disposition(const char *name, const char *expected)
{
    struct pgn_buf out = {0};
    api_disposition(name, &out);
    assert_string_equal(pgn_buf_cstr(&out), expected);
    pgn_buf_release(&out);
}

static void dispositions_have_both_names(void **state)
{
    (void)state;
    check_disposition("a b.txt", "attachment; filename=\"a b.txt\"; filename*=UTF-8''a%20b.txt");
    check_disposition("x\"y\\z%.txt", "attachment; filename=\"x_y_z_.txt\"; filename*=UTF-8''x%22y%5Cz%25.txt");
    check_disposition("\xe6\x96\x87.txt", "attachment; filename=\"_.txt\"; filename*=UTF-8''%E6%96%87.txt");
    check_disposition("a\r\nb;'*", "attachment; filename=\"a__b;'*\"; filename*=UTF-8''a%0D%0Ab%3B%27%2A");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_are_kept_without_parameters), cmocka_unit_test(what_is_no_type_is_unknown),
        cmocka_unit_test(types_that_run_are_unknown),        cmocka_unit_test(names_are_cleaned),
        cmocka_unit_test(dispositions_have_both_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
