/* Routes: matching, parameters, methods; the client's address. */
#include "tests/unit/common/test.h"

#include "common/base/alloc.h"
#include "services/api/address.h"
#include "services/api/router.h"

struct found {
    enum api_match match;
    const struct api_route *route;
    const char *params[API_PARAMS_MAX];
    char allow[64];
};

static struct pgn_arena *arena;

static struct found find(const char *method, const char *path)
{
    struct found f = {0};
    f.match = api_route_find(api_routes, api_routes_count, method, path, arena, f.params, f.allow, sizeof f.allow, &f.route);
    return f;
}

static int setup(void **state)
{
    (void)state;
    arena = pgn_arena_new(4096);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    pgn_arena_free(&arena);
    return 0;
}

static void plain_paths_are_found(void **state)
{
    (void)state;
    struct found f = find("GET", "/v1/me");
    assert_int_equal(f.match, API_MATCHED);
    assert_string_equal(f.route->pattern, "/v1/me");
    assert_int_equal(find("GET", "/v1/info").route->access, API_ANYONE);
    assert_int_equal(find("GET", "/v1/admin/status").route->access, API_ADMIN);
    assert_int_equal(find("POST", "/v1/me/password").route->access, API_PENDING);
}

static void parameters_are_taken_in_order(void **state)
{
    (void)state;
    struct found f = find("PATCH", "/v1/convs/cabcdefghijklmnop/members/bob");
    assert_int_equal(f.match, API_MATCHED);
    assert_string_equal(f.params[0], "cabcdefghijklmnop");
    assert_string_equal(f.params[1], "bob");
    f = find("GET", "/v1/convs/d:alice:bob/messages");
    assert_int_equal(f.match, API_MATCHED);
    assert_string_equal(f.params[0], "d:alice:bob");
}

static void ids_that_are_none_are_no_paths(void **state)
{
    static const char *const paths[] = {
        "/v1/users/",
        "/v1/users/Alice",
        "/v1/users/a.b",
        "/v1/users/>",
        "/v1/users/*",
        "/v1/users/a b",
        "/v1/users/abcdefghijklmnopqrstuvwxyzabcdefg",
        "/v1/users/../admin",
        "/v1/convs/d:bob:alice",
        "/v1/convs/c",
        "/v1/convs/cABCDEFGHIJKLMNOP",
        "/v1/files/0123456789abcdef0123456789abcde",
        "/v1/files/0123456789abcdef0123456789abcdef0",
        "/v1/files/0123456789ABCDEF0123456789ABCDEF",
        "/v1/files/../../secrets/nats-api",
        "/v1",
        "/v1/",
        "/",
        "",
        "v1/me",
        "/v1/me/",
        "//v1/me",
        "/v1/mee",
        "/v1/m",
    };
    (void)state;
    for (size_t i = 0; i < PGN_COUNT(paths); i++)
        assert_int_equal(find("GET", paths[i]).match, API_NO_PATH);
}

static void other_methods_are_told_which_there_are(void **state)
{
    (void)state;
    struct found f = find("PUT", "/v1/me");
    assert_int_equal(f.match, API_NO_METHOD);
    assert_string_equal(f.allow, "GET, PATCH");
    f = find("TRACE", "/v1/login");
    assert_string_equal(f.allow, "POST");
}

static void every_route_is_found_by_itself(void **state)
{
    (void)state;
    for (size_t i = 0; i < api_routes_count; i++) {
        char path[128] = "";
        const char *p = api_routes[i].pattern;
        while (*p) { /* an example for each parameter */
            const char *example = NULL;
            if (!strncmp(p, "{user}", 6))
                example = "alice";
            else if (!strncmp(p, "{conv}", 6))
                example = "d:alice:bob";
            else if (!strncmp(p, "{device}", 8))
                example = "web-1";
            else if (!strncmp(p, "{file_id}", 9))
                example = "0123456789abcdef0123456789abcdef";
            else if (!strncmp(p, "{code}", 6))
                example = "abcdefghijkmnpqrstuv";
            size_t n = strlen(path);
            if (example) {
                snprintf(path + n, sizeof path - n, "%s", example);
                p = strchr(p, '}') + 1;
            } else {
                path[n] = *p++;
            }
        }
        struct found f = find(api_routes[i].method, path);
        assert_int_equal(f.match, API_MATCHED);
        assert_ptr_equal(f.route, &api_routes[i]);
    }
}

static void check_address(const char *peer, const char *forwarded, const char *real_ip, const char *expected)
{
    char address[API_ADDRESS_MAX];
    api_address_decide(peer, forwarded, real_ip, address);
    assert_string_equal(address, expected);
}

static void addresses_are_believed_from_our_proxy_only(void **state)
{
    (void)state;
    check_address("127.0.0.1", NULL, NULL, "127.0.0.1");
    check_address("127.0.0.1", "10.1.2.3", NULL, "10.1.2.3");
    check_address("127.0.0.1", "6.6.6.6, 10.1.2.3", NULL, "10.1.2.3");
    check_address("127.0.0.1", " 6.6.6.6 ,  10.1.2.3 ", "9.9.9.9", "10.1.2.3");
    check_address("127.0.0.1", NULL, "10.1.2.4", "10.1.2.4");
    check_address("127.0.0.1", "nonsense", NULL, "127.0.0.1");
    check_address("127.0.0.1", "", NULL, "127.0.0.1");
    check_address("::1", "2001:db8:1:2:3:4:5:6", NULL, "2001:db8:1:2::");
    check_address("::ffff:127.0.0.1", "10.0.0.9", NULL, "10.0.0.9");
    check_address("10.9.9.9", "10.1.2.3", "10.1.2.3", "10.9.9.9");
    check_address(NULL, "10.1.2.3", NULL, "unknown");
    check_address("nonsense", "10.1.2.3", NULL, "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_paths_are_found),          cmocka_unit_test(parameters_are_taken_in_order),
        cmocka_unit_test(ids_that_are_none_are_no_paths), cmocka_unit_test(other_methods_are_told_which_there_are),
        cmocka_unit_test(every_route_is_found_by_itself), cmocka_unit_test(addresses_are_believed_from_our_proxy_only),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
