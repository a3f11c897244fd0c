/* Configuration: any text is either a checked configuration or a list of problems, never both and never neither. */
#include "common/svc/config.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *const environment[] = {NULL};
    struct pgn_config *config = NULL;
    struct pgn_buf problems = {0};
    int error = pgn_config_parse("fuzz.yaml", (const char *)data, size, environment, &config, &problems);

    if ((error == 0) != (config != NULL) || (error != 0 && problems.len == 0))
        abort();
    if (config && (config->gateway_port < 0 || config->gateway_port > 65535 || !config->node_name[0]))
        abort(); /* a value that the table does not allow came through */
    pgn_config_free(&config);
    pgn_buf_release(&problems);
    return 0;
}
