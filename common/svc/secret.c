#include "common/base/alloc.h"
#include "common/base/error.h"
#include "common/svc/config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SECRET_MIN = 16, SECRET_MAX = 512 };

/* Words that stand in examples and that others found their servers open with. */
static const char *const known[] = {"changeme", "change-me", "password", "secret", "default", "example", "pigeon", "123456"};

static const char *weakness(const char *secret, size_t len)
{
    if (len < SECRET_MIN)
        return "is shorter than 16 bytes";
    if (strlen(secret) != len || strpbrk(secret, "\r\n"))
        return "holds more than one line";
    if (strspn(secret, (const char[]){secret[0], 0}) == len)
        return "repeats one character";
    for (size_t i = 0; i < PGN_COUNT(known); i++)
        if (strncasecmp(secret, known[i], strlen(known[i])) == 0)
            return "begins with a well-known word";
    return NULL;
}

/* Bytes read, or -1. */
static ssize_t read_whole(int fd, char *out, size_t bytes)
{
    size_t got = 0;
    while (got < bytes) {
        ssize_t n = read(fd, out + got, bytes - got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        got += (size_t)n;
    }
    return (ssize_t)got;
}

int pgn_secret_read(const struct pgn_config *config, const char *name, char **ret_secret, struct pgn_buf *ret_problem)
{
    struct pgn_buf path = {0};
    char text[SECRET_MAX + 2];
    const char *problem = NULL;
    int error = PGN_E_INVALID;
    if (config->node_secrets[0])
        pgn_buf_printf(&path, "%s/%s", config->node_secrets, name);
    else
        pgn_buf_printf(&path, "%s/secrets/%s", config->node_data, name);

    int fd = open(pgn_buf_cstr(&path), O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0) {
        pgn_buf_printf(ret_problem, "secret file %s: %s (`make up` makes it)", pgn_buf_cstr(&path), strerror(errno));
        goto out;
    }
    ssize_t len = 0;
    if (!S_ISREG(st.st_mode))
        problem = "is not a regular file";
    else if (st.st_mode & 077)
        problem = "may be read by others: chmod 600";
    else if ((len = read_whole(fd, text, sizeof(text) - 1)) < 0)
        problem = "cannot be read";
    else if (len > SECRET_MAX)
        problem = "is longer than 512 bytes";
    if (!problem) {
        while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r'))
            len--;
        text[len] = 0;
        problem = weakness(text, (size_t)len);
    }
    if (problem) {
        pgn_buf_printf(ret_problem, "secret file %s %s", pgn_buf_cstr(&path), problem);
        goto out;
    }
    *ret_secret = pgn_strdup(text);
    error = 0;
out:
    explicit_bzero(text, sizeof(text));
    if (fd >= 0)
        close(fd);
    pgn_buf_release(&path);
    return error;
}
