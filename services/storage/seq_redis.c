/* See seq_redis.h. */
#include "services/storage/seq_redis.h"

#ifdef PGN_TEST_FAULTS
#include "common/base/fault.h"
#include "common/kv/kv.h"
#include "common/svc/log.h"

#include <stdio.h>
#include <stdlib.h>

static struct pgn_kv *redis;

static struct pgn_kv *connect_redis(void)
{
    enum { TIMEOUT_MS = 1000 };
    char host[64], user[64], password[128];
    unsigned port;
    const char *where = getenv("PIGEON_FAULT_REDIS");

    if (!where || sscanf(where, "%63[^:]:%u:%63[^:]:%127s", host, &port, user, password) != 4) {
        pgn_log(PGN_ERR, "seq-from-redis needs PIGEON_FAULT_REDIS=HOST:PORT:USER:PASSWORD");
        return NULL;
    }
    return pgn_kv_new(host, (uint16_t)port, user, password, TIMEOUT_MS);
}

uint64_t sto_seq_next(const char *conv, uint64_t last)
{
    enum { A_DAY_MS = 86400000 };
    static int planted = -1;
    char key[128];
    int64_t n;

    if (planted < 0)
        planted = pgn_fault_planted("seq-from-redis") && (redis = connect_redis()) != NULL;
    if (!planted)
        return last + 1;
    snprintf(key, sizeof key, "drill:%s", conv);
    return pgn_kv_increment(redis, key, A_DAY_MS, &n) == 0 && n > 0 ? (uint64_t)n : last + 1;
}
#else
typedef int sto_seq_redis_nothing; /* ISO C wants something in a file */
#endif
