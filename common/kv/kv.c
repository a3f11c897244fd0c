#include "common/kv/kv.h"

#include "common/base/alloc.h"
#include "common/base/clock.h"
#include "common/base/error.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

enum { RETRY_MS = 1000, ARGS_MAX = 8 };

struct pgn_kv {
    redisContext *redis; /* NULL: not connected */
    char *host, *user, *password;
    uint16_t port;
    struct timeval timeout;
    uint64_t not_before_ms; /* after a failure */
};

struct command {
    int argc;
    const char *argv[ARGS_MAX];
    size_t lens[ARGS_MAX];
};

struct pgn_kv *pgn_kv_new(const char *host, uint16_t port, const char *user, const char *password, uint64_t timeout_ms)
{
    struct pgn_kv *kv = pgn_calloc(1, sizeof(*kv));
    kv->host = pgn_strdup(host);
    kv->port = port;
    kv->user = pgn_strdup(user);
    kv->password = pgn_strdup(password);
    kv->timeout = (struct timeval){(time_t)(timeout_ms / 1000), (suseconds_t)(timeout_ms % 1000 * 1000)};
    return kv;
}

void pgn_kv_free(struct pgn_kv **kv)
{
    if (!*kv)
        return;
    if ((*kv)->redis)
        redisFree((*kv)->redis);
    if ((*kv)->password)
        explicit_bzero((*kv)->password, strlen((*kv)->password));
    free((*kv)->host);
    free((*kv)->user);
    free((*kv)->password);
    free(*kv);
    *kv = NULL;
}

static void arg(struct command *c, const void *data, size_t len)
{
    c->argv[c->argc] = data;
    c->lens[c->argc++] = len;
}

static void arg_str(struct command *c, const char *s)
{
    arg(c, s, strlen(s));
}

/* After a failure the connection is of no use: what it would answer next belongs to another question. */
static void fail(struct pgn_kv *kv)
{
    if (kv->redis)
        redisFree(kv->redis);
    kv->redis = NULL;
    kv->not_before_ms = pgn_mono_ms() + RETRY_MS;
}

/* NULL: no answer, or an error. */
static redisReply *run(struct pgn_kv *kv, const struct command *c)
{
    const char *argv[ARGS_MAX];
    memcpy(argv, c->argv, sizeof(argv));
    redisReply *reply = redisCommandArgv(kv->redis, c->argc, argv, c->lens);
    if (!reply) {
        fail(kv);
    } else if (reply->type == REDIS_REPLY_ERROR) {
        freeReplyObject(reply);
        reply = NULL;
        fail(kv); /* not allowed, loading, out of memory: the same as not there */
    }
    return reply;
}

static bool log_in(struct pgn_kv *kv)
{
    if (!kv->password)
        return true;
    struct command c = {0};
    arg_str(&c, "AUTH");
    if (kv->user)
        arg_str(&c, kv->user);
    arg_str(&c, kv->password);
    redisReply *reply = run(kv, &c);
    freeReplyObject(reply);
    return reply != NULL;
}

static bool ready(struct pgn_kv *kv)
{
    if (kv->redis)
        return true;
    if (pgn_mono_ms() < kv->not_before_ms)
        return false;
    kv->redis = redisConnectWithTimeout(kv->host, kv->port, kv->timeout);
    if (!kv->redis || kv->redis->err || redisSetTimeout(kv->redis, kv->timeout) != REDIS_OK) {
        fail(kv);
        return false;
    }
    (void)redisEnableKeepAlive(kv->redis);
    return log_in(kv);
}

int pgn_kv_get(struct pgn_kv *kv, const char *key, struct pgn_buf *ret_value)
{
    if (!ready(kv))
        return PGN_E_UNAVAILABLE;
    struct command c = {0};
    arg_str(&c, "GET");
    arg_str(&c, key);
    redisReply *reply = run(kv, &c);
    if (!reply)
        return PGN_E_UNAVAILABLE;
    int error = PGN_E_NOT_FOUND;
    if (reply->type == REDIS_REPLY_STRING) {
        pgn_buf_append(ret_value, reply->str, (size_t)reply->len);
        error = 0;
    }
    freeReplyObject(reply);
    return error;
}

struct set_args {
    char ttl[24];
};

static void build_set(struct command *c, struct set_args *args, const char *key, const void *value, size_t len, uint64_t ttl_ms)
{
    arg_str(c, "SET");
    arg_str(c, key);
    arg(c, value, len);
    if (ttl_ms > 0) {
        snprintf(args->ttl, sizeof(args->ttl), "%llu", (unsigned long long)ttl_ms);
        arg_str(c, "PX");
        arg_str(c, args->ttl);
    }
}

static int run_simple(struct pgn_kv *kv, const struct command *c)
{
    redisReply *reply = run(kv, c);
    freeReplyObject(reply);
    return reply ? 0 : PGN_E_UNAVAILABLE;
}

int pgn_kv_set(struct pgn_kv *kv, const char *key, const void *value, size_t len, uint64_t ttl_ms)
{
    if (!ready(kv))
        return PGN_E_UNAVAILABLE;
    struct command c = {0};
    struct set_args args;
    build_set(&c, &args, key, value, len, ttl_ms);
    return run_simple(kv, &c);
}

int pgn_kv_delete(struct pgn_kv *kv, const char *key)
{
    if (!ready(kv))
        return PGN_E_UNAVAILABLE;
    struct command c = {0};
    arg_str(&c, "DEL");
    arg_str(&c, key);
    return run_simple(kv, &c);
}

static int count_by(struct pgn_kv *kv, const char *verb, const char *key, uint64_t window_ms, int64_t *ret_value)
{
    if (!ready(kv))
        return PGN_E_UNAVAILABLE;
    /* SET NX starts the window together with its end, so that no counter can stay without one. */
    struct command start = {0}, count = {0};
    struct set_args args;
    build_set(&start, &args, key, "0", 1, window_ms > 0 ? window_ms : 1);
    arg_str(&start, "NX");
    if (run_simple(kv, &start))
        return PGN_E_UNAVAILABLE;
    arg_str(&count, verb);
    arg_str(&count, key);
    redisReply *reply = run(kv, &count);
    if (!reply)
        return PGN_E_UNAVAILABLE;
    int error = reply->type == REDIS_REPLY_INTEGER ? 0 : PGN_E_UNAVAILABLE;
    if (!error)
        *ret_value = reply->integer;
    freeReplyObject(reply);
    return error;
}

int pgn_kv_increment(struct pgn_kv *kv, const char *key, uint64_t window_ms, int64_t *ret_value)
{
    return count_by(kv, "INCR", key, window_ms, ret_value);
}

int pgn_kv_decrement(struct pgn_kv *kv, const char *key, uint64_t window_ms)
{
    int64_t left;
    return count_by(kv, "DECR", key, window_ms, &left);
}

int pgn_kv_set_many(struct pgn_kv *kv, size_t count, const char *const *keys, const char *const *values, uint64_t ttl_ms)
{
    if (count == 0)
        return 0;
    if (!ready(kv))
        return PGN_E_UNAVAILABLE;
    for (size_t i = 0; i < count; i++) {
        struct command c = {0};
        struct set_args args;
        build_set(&c, &args, keys[i], values[i], strlen(values[i]), ttl_ms);
        if (redisAppendCommandArgv(kv->redis, c.argc, c.argv, c.lens) != REDIS_OK) {
            fail(kv);
            return PGN_E_UNAVAILABLE;
        }
    }
    int error = 0;
    for (size_t i = 0; i < count; i++) {
        void *reply = NULL;
        if (redisGetReply(kv->redis, &reply) != REDIS_OK) {
            fail(kv);
            return PGN_E_UNAVAILABLE;
        }
        if (((redisReply *)reply)->type == REDIS_REPLY_ERROR)
            error = PGN_E_UNAVAILABLE;
        freeReplyObject(reply);
    }
    if (error)
        fail(kv);
    return error;
}

int pgn_kv_get_many(struct pgn_kv *kv, size_t count, const char *const *keys, struct pgn_buf *ret_values)
{
    if (count == 0)
        return 0;
    if (!ready(kv))
        return PGN_E_UNAVAILABLE;
    const char **argv = pgn_calloc(count + 1, sizeof(*argv));
    argv[0] = "MGET";
    for (size_t i = 0; i < count; i++)
        argv[i + 1] = keys[i];
    redisReply *reply = redisCommandArgv(kv->redis, (int)count + 1, argv, NULL);
    free(argv);
    if (!reply || reply->type != REDIS_REPLY_ARRAY || reply->elements != count) {
        freeReplyObject(reply);
        fail(kv);
        return PGN_E_UNAVAILABLE;
    }
    for (size_t i = 0; i < count; i++) {
        const redisReply *r = reply->element[i];
        if (r->type == REDIS_REPLY_STRING)
            pgn_buf_append(&ret_values[i], r->str, (size_t)r->len);
    }
    freeReplyObject(reply);
    return 0;
}
