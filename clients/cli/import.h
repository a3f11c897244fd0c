/* People from a CSV file, checked. Everything lives until exit. */
#ifndef CLI_IMPORT_H
#define CLI_IMPORT_H

#include "clients/cli/cli.h"

struct cli_person {
    const char *user, *name, *password; /* password: "" for none */
    char *hash;                         /* of the password, once computed; "" for none */
};
struct cli_people {
    struct cli_person *rows;
    size_t count, with_password;
};

/* Reads and checks a file; CLI_OK, or an exit code after saying the first problems with their lines. */
int cli_people_read(struct cli *c, const char *path, struct cli_people *ret_people);
/* Fills every hash, on all cores, with a progress line on a terminal. CLI_OK, or an exit code after saying why. */
int cli_people_hash(struct cli *c, struct cli_people *people);

#endif
