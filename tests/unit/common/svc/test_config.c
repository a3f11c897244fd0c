/* Configuration, its messages, and secret files. */
#include "common/base/alloc.h"
#include "common/base/error.h"
#include "common/svc/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct pgn_config *good(const char *yaml, char *const *environment)
{
    struct pgn_config *config = NULL;
    struct pgn_buf problems = {0};
    int error = pgn_config_parse("pigeon.yaml", yaml, strlen(yaml), environment, &config, &problems);
    if (error)
        print_message("%s", pgn_buf_cstr(&problems));
    assert_int_equal(error, 0);
    assert_int_equal(problems.len, 0);
    return config;
}

static void bad(const char *yaml, char *const *environment, const char *expected)
{
    struct pgn_config *config = NULL;
    struct pgn_buf problems = {0};
    assert_int_equal(pgn_config_parse("pigeon.yaml", yaml, strlen(yaml), environment, &config, &problems), PGN_E_INVALID);
    assert_null(config);
    assert_string_equal(pgn_buf_cstr(&problems), expected);
    pgn_buf_release(&problems);
}

static void test_defaults(void **state)
{
    (void)state;
    for (const char *const *yaml = (const char *const[]){"", "# nothing\n", "{}", "log:\n", "---\n", NULL}; *yaml; yaml++) {
        struct pgn_config *config = good(*yaml, NULL);
        assert_string_equal(config->node_name, "pigeon");
        assert_int_equal(config->gateway_port, 8081);
        assert_false(config->api_accel);
        assert_string_equal(config->api_registration, "invite");
        pgn_config_free(&config);
        assert_null(config);
    }
}

static void test_values(void **state)
{
    (void)state;
    struct pgn_config *config = good("node:\n  name: 'Ada''s school'\n  data: ../var\ngateway: {port: 0, origins: \"\"}\n"
                                     "api:\n  accel: true\n  registration: open\n",
                                     NULL);
    assert_string_equal(config->node_name, "Ada's school");
    assert_string_equal(config->node_data, "../var");
    assert_int_equal(config->gateway_port, 0);
    assert_true(config->api_accel);
    assert_string_equal(config->api_registration, "open");
    pgn_config_free(&config);
}

static void test_environment(void **state)
{
    (void)state;
    char a[] = "PIGEON_GATEWAY_PORT=99", b[] = "PIGEON_HTTP_PORT=1", c[] = "PIGEON_LIMITS_USER_OPS_S=7", d[] = "HOME=/",
         e[] = "PIGEON_FAULT=x";
    char *environment[] = {a, b, c, d, e, NULL};
    struct pgn_config *config = good("gateway:\n  port: 5\n", environment);
    assert_int_equal(config->gateway_port, 99);
    assert_int_equal(config->limits_user_ops_s, 7);
    pgn_config_free(&config);
    char wrong[] = "PIGEON_GATEWAY_PROT=99";
    bad("", (char *[]){wrong, NULL}, "environment: PIGEON_GATEWAY_PROT: not a known setting: did you mean gateway.port?\n");
    char range[] = "PIGEON_CACHE_PORT=0";
    bad("", (char *[]){range, NULL}, "environment: PIGEON_CACHE_PORT: cache.port: \"0\" is out of range: write one from 1 to 65535\n");
}

static void test_problems(void **state)
{
    (void)state;
    bad("gateway:\n  port: 80x\n", NULL, "pigeon.yaml:2:9: gateway.port: \"80x\" is not a whole number: write one from 0 to 65535\n");
    bad("gateway:\n  port: 65536\n", NULL, "pigeon.yaml:2:9: gateway.port: \"65536\" is out of range: write one from 0 to 65535\n");
    bad("gateway:\n  port: 99999999999999999999\n", NULL,
        "pigeon.yaml:2:9: gateway.port: \"99999999999999999999\" is out of range: write one from 0 to 65535\n");
    /* svc.c's own bound would cut a longer drain off. */
    bad("gateway:\n  drain_ms: 15001\n", NULL,
        "pigeon.yaml:2:13: gateway.drain_ms: \"15001\" is out of range: write one from 0 to 15000 ms\n");
    bad("gateway:\n  prot: 1\n", NULL, "pigeon.yaml:2:3: gateway.prot: not a known key: did you mean gateway.port?\n");
    bad("gatway:\n  port: 1\n", NULL, "pigeon.yaml:1:1: gatway: not a known section: did you mean gateway?\n");
    bad("zzz: 1\n", NULL, "pigeon.yaml:1:1: zzz: not a known section: remove it (docs/CONFIG.md lists what there is)\n");
    bad("log:\n  level: loud\n", NULL, "pigeon.yaml:2:10: log.level: \"loud\" is not known: write one of debug|info|warn|error\n");
    bad("log:\n  level: inf\n", NULL, "pigeon.yaml:2:10: log.level: \"inf\" is not known: write one of debug|info|warn|error\n");
    bad("api:\n  accel: 1\n", NULL, "pigeon.yaml:2:10: api.accel: \"1\" is neither: write true or false\n");
    bad("node:\n  name: \"\"\n", NULL, "pigeon.yaml:2:9: node.name: \"\" is too short: write 1 to 64 characters\n");
    bad("node:\n  name: \"a\\nb\"\n", NULL, "pigeon.yaml:2:9: node.name: \"a\nb\" holds a control character: write 1 to 64 characters\n");
    bad("gateway:\n  port: [1]\n", NULL, "pigeon.yaml:2:9: gateway.port: is not a single value: write one behind the colon\n");
    bad("gateway:\n  port: 1\n  port: 2\n", NULL, "pigeon.yaml:3:3: gateway.port: stands here a second time: remove one\n");
    bad("gateway: 5\n", NULL, "pigeon.yaml:1:10: gateway: is not a section: write its keys below it, indented\n");
    bad("- a\n", NULL, "pigeon.yaml:1:1: not a list of sections: write for example\nlog:\n  level: info\n");
    bad("gateway:\n\tport: 1\n", NULL, "pigeon.yaml:2:1: not YAML: found character that cannot start any token\n");
    bad("gateway:\n  port: x\nlog:\n  level: y\n", NULL,
        "pigeon.yaml:2:9: gateway.port: \"x\" is not a whole number: write one from 0 to 65535\n"
        "pigeon.yaml:4:10: log.level: \"y\" is not known: write one of debug|info|warn|error\n");
}

static void test_document(void **state)
{
    (void)state;
    struct pgn_buf out = {0};
    pgn_config_document(&out);
    const char *text = pgn_buf_cstr(&out);
    assert_non_null(strstr(text, "| `port` | 8081 | 0 to 65535 | port of client sockets |"));
    assert_non_null(strstr(text, "## limits"));
    assert_non_null(strstr(text, "closed, invite, open"));
    pgn_buf_release(&out);
}

static void put(const char *dir, const char *text, mode_t mode)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/key", dir);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    assert_int_equal(chmod(path, mode), 0);
}

static void refused(const struct pgn_config *config, const char *why)
{
    char *secret = NULL;
    struct pgn_buf problem = {0};
    assert_int_equal(pgn_secret_read(config, "key", &secret, &problem), PGN_E_INVALID);
    assert_null(secret);
    assert_non_null(strstr(pgn_buf_cstr(&problem), why));
    pgn_buf_release(&problem);
}

static void test_secret(void **state)
{
    (void)state;
    char dir[64];
    snprintf(dir, sizeof(dir), "%s/pigeon-test-XXXXXX", "/tmp");
    assert_non_null(mkdtemp(dir));
    char yaml[128];
    snprintf(yaml, sizeof(yaml), "node: {secrets: %s}\n", dir);
    struct pgn_config *config = good(yaml, NULL);
    refused(config, "No such file");
    put(dir, "0123456789abcdef\n", 0644);
    refused(config, "chmod 600");
    put(dir, "0123456789abcde\n", 0600);
    refused(config, "shorter");
    put(dir, "aaaaaaaaaaaaaaaaaaaaaa", 0600);
    refused(config, "repeats");
    put(dir, "changeme-changeme-changeme", 0600);
    refused(config, "well-known");
    put(dir, "two lines are not\none secret", 0600);
    refused(config, "one line");
    char *secret = NULL;
    struct pgn_buf problem = {0};
    put(dir, "0123456789abcdef\n", 0600);
    assert_int_equal(pgn_secret_read(config, "key", &secret, &problem), 0);
    assert_string_equal(secret, "0123456789abcdef");
    free(secret);
    char path[128];
    snprintf(path, sizeof(path), "%s/key", dir);
    unlink(path);
    rmdir(dir);
    pgn_config_free(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults), cmocka_unit_test(test_values),   cmocka_unit_test(test_environment),
        cmocka_unit_test(test_problems), cmocka_unit_test(test_document), cmocka_unit_test(test_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
