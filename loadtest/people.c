/* Users and their tokens: from a file, or made by the command line `pigeon` that stands beside this program. */
#include "loadtest/options.h"

#include "common/base/alloc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void __attribute__((noreturn)) fail(const char *what, const char *which)
{
    fprintf(stderr, "pigeon-load: %s %s%s%s\n", what, which, errno ? ": " : "", errno ? strerror(errno) : "");
    exit(2);
}

static void read_tokens(struct ld_options *o, const char *path)
{
    char line[512];
    uint32_t cap = 0;
    errno = 0;
    FILE *f = fopen(path, "re");
    if (!f)
        fail("cannot read", path);
    for (unsigned number = 1; fgets(line, sizeof line, f); number++) {
        line[strcspn(line, "\r\n")] = 0;
        char *comma = strchr(line, ',');
        if (!*line || (number == 1 && !strcmp(line, "user,token")))
            continue;
        if (!comma || !comma[1] || comma == line) {
            fprintf(stderr, "pigeon-load: %s:%u: a line is user,token\n", path, number);
            exit(2);
        }
        *comma = 0;
        if (o->person_count == cap) {
            cap = cap ? cap * 2 : 1024;
            o->people = pgn_realloc(o->people, cap * sizeof *o->people);
        }
        o->people[o->person_count++] = (struct ld_person){pgn_strdup(line), pgn_strdup(comma + 1)};
    }
    fclose(f);
}

/* Runs `pigeon user import` with u0, u1, ... */
static void provision(struct ld_options *o, char *tokens_path)
{
    char program[4096], csv[] = "/tmp/pigeon-load-XXXXXX";
    ssize_t len = readlink("/proc/self/exe", program, sizeof program - 16);
    if (len < 0)
        fail("cannot find", "this program's directory");
    program[len] = 0;
    char *slash = strrchr(program, '/');
    if (!slash)
        fail("cannot find", "this program's directory");
    memcpy(slash + 1, "pigeon", sizeof "pigeon");
    int fd = mkstemp(csv), tokens_fd = mkstemp(tokens_path);
    FILE *f = fd < 0 || tokens_fd < 0 ? NULL : fdopen(fd, "w");
    if (!f)
        fail("cannot write to", "/tmp");
    close(tokens_fd);
    fputs("user,name\n", f);
    for (uint32_t i = 0; i < o->provision; i++)
        fprintf(f, "u%u,User %u\n", i, i);
    if (fclose(f))
        fail("cannot write", csv);
    pid_t pid = fork();
    if (!pid) {
        if (!freopen("/dev/null", "w", stdout)) /* its problems go to standard error */
            fail("cannot open", "/dev/null");
        execl(program, program, "--data", o->data, "user", "import", csv, "--tokens", tokens_path, (char *)NULL);
        fail("cannot run", program);
    }
    int status = 0;
    if (pid < 0 || waitpid(pid, &status, 0) < 0 || status) {
        unlink(csv);
        unlink(tokens_path);
        errno = 0;
        fail("the users were not made by", program);
    }
    unlink(csv);
}

void ld_people(struct ld_options *o)
{
    char made[] = "/tmp/pigeon-load-XXXXXX";
    if (o->provision)
        provision(o, made);
    read_tokens(o, o->provision ? made : o->tokens);
    if (o->provision)
        unlink(made);
    if (!o->users)
        o->users = o->person_count;
    if (o->users > o->person_count) {
        fprintf(stderr, "pigeon-load: --users %u, but there are tokens of %u users: make more with `pigeon user import`\n", o->users,
                o->person_count);
        exit(2);
    }
    if (!o->users) {
        fputs("pigeon-load: the file of tokens is empty\n", stderr);
        exit(2);
    }
    if (o->processes > o->users)
        o->processes = o->users;
    if (o->churn_s < 0)
        o->churn_s = o->users / 1000.0;
}
