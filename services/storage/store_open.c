#include "services/storage/store_open.h"

#include "common/base/error.h"
#include "services/storage/mongo.h"

#include <stdlib.h>
#include <string.h>

bool sto_store_remote(const struct pgn_config *config)
{
    return strcmp(config->storage_engine, "mongodb") == 0;
}

static int mongo_open(const struct pgn_config *config, const struct sto_store_options *common, struct sto_store **ret_store,
                      struct pgn_buf *ret_problem)
{
    char *password = NULL;
    bool named = config->storage_mongo_user[0] != 0;
    int error = named ? pgn_secret_read(config, "mongo-password", &password, ret_problem) : 0;

    if (error)
        return error;
    bool plain = strcmp(config->storage_mongo_auth_mechanism, "default") == 0;
    const struct sto_mongo_options mongo = {
        .uri = config->storage_mongo_uri,
        .database = config->storage_mongo_database,
        .user = config->storage_mongo_user,
        .password = password,
        .auth_source = config->storage_mongo_auth_source,
        .auth_mechanism = plain ? "" : config->storage_mongo_auth_mechanism,
        .tls = config->storage_mongo_tls,
        .tls_ca = config->storage_mongo_tls_ca,
        .tls_cert = config->storage_mongo_tls_cert,
    };
    struct sto_store_options options = *common;
    options.mongo = &mongo;
    error = sto_mongo_open(&options, ret_store, ret_problem);
    if (password)
        explicit_bzero(password, strlen(password));
    free(password);
    return error;
}

int sto_store_open(const struct pgn_config *config, const struct sto_faults *faults, struct sto_store **ret_store,
                   struct pgn_buf *ret_problem)
{
    struct sto_store_options options;

    sto_store_options_default(&options);
    options.data = config->node_data;
    options.cache_bytes = (size_t)config->storage_cache_bytes;
    options.memtable_bytes = (size_t)config->storage_memtable_bytes;
    options.retry_days = (uint32_t)config->storage_retry_days;
    options.faults = *faults;
    if (sto_store_remote(config))
        return mongo_open(config, &options, ret_store, ret_problem);
    if (strcmp(config->storage_engine, "memory") == 0)
        return sto_memory_open(&options, ret_store, ret_problem);
    return sto_embedded_open(&options, ret_store, ret_problem);
}
