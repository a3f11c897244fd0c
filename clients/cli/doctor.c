/* doctor: what on this machine would make Pigeon fail, or already does. */
#include "clients/cli/doctor.h"

#include "common/base/error.h"
#include "common/base/id.h"
#include "common/svc/http.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

void doctor_say(struct doctor *d, enum verdict verdict, const char *format, ...)
{
    static const char *const words[] = {"ok", "note", "BAD"};
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    d->bad += verdict == BAD;
    if (!d->c->json) {
        printf("%-5s %s\n", words[verdict], text);
        return;
    }
    struct pgn_json j = pgn_json_on(&d->line);
    pgn_json_object(&j);
    pgn_json_key(&j, "verdict");
    pgn_json_str(&j, verdict == BAD ? "bad" : words[verdict]);
    pgn_json_key(&j, "text");
    pgn_json_str(&j, text);
    pgn_json_object_end(&j);
    cli_put_json(&d->line);
}

static void check_secrets(struct doctor *d)
{
    const struct pgn_config *cfg = d->c->config;
    char folder[1024], path[2048];
    if (*cfg->node_secrets)
        snprintf(folder, sizeof folder, "%s", cfg->node_secrets);
    else
        snprintf(folder, sizeof folder, "%s/secrets", cfg->node_data);
    DIR *dir = opendir(folder);
    if (!dir) {
        doctor_say(d, BAD, "secrets: cannot read %s: %s. `make up` makes them", folder, strerror(errno));
        return;
    }
    int count = 0, open_to_others = 0;
    for (const struct dirent *e; (e = readdir(dir));) {
        struct stat st;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        if (e->d_name[0] == '.' || stat(path, &st) || !S_ISREG(st.st_mode))
            continue;
        count++;
        if (st.st_mode & 077) {
            open_to_others++;
            doctor_say(d, BAD, "secrets: others may read %s: chmod 600 it, and change it when somebody did", path);
        }
    }
    closedir(dir);
    if (!count)
        doctor_say(d, BAD, "secrets: %s is empty: `make up` makes them", folder);
    else if (!open_to_others)
        doctor_say(d, GOOD, "secrets: %d files, readable by their owner only", count);
}

static void check_disk(struct doctor *d)
{
    struct statvfs v;
    char free_text[32];
    if (statvfs(d->c->config->node_data, &v)) {
        doctor_say(d, BAD, "disk: cannot look at %s: %s", d->c->config->node_data, strerror(errno));
        return;
    }
    uint64_t free_bytes = (uint64_t)v.f_bavail * v.f_frsize;
    cli_bytes(free_bytes, free_text, sizeof free_text);
    if (free_bytes < 500000000)
        doctor_say(d, BAD, "disk: only %s free at %s: Pigeon stops writing when it is full", free_text, d->c->config->node_data);
    else
        doctor_say(d, free_bytes < 5000000000 ? NOTE : GOOD, "disk: %s free at %s", free_text, d->c->config->node_data);
}

static void check_limits(struct doctor *d)
{
    struct rlimit files;
    uint64_t want = (uint64_t)d->c->config->limits_connections + 200;
    if (getrlimit(RLIMIT_NOFILE, &files))
        return;
    if (files.rlim_max < want)
        doctor_say(d, NOTE,
                   "open files: the hard limit is %llu, a gateway with limits.connections = %lld wants %llu: raise it (ulimit -Hn, systemd "
                   "LimitNOFILE) or lower the setting",
                   (unsigned long long)files.rlim_max, (long long)d->c->config->limits_connections, (unsigned long long)want);
    else
        doctor_say(d, GOOD, "open files: up to %llu a process", (unsigned long long)files.rlim_max);
}

/* True when something listens there. */
static bool listens(int64_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool yes = fd >= 0 && !connect(fd, (struct sockaddr *)&a, sizeof a);
    if (fd >= 0)
        close(fd);
    return yes;
}

static void check_ports(struct doctor *d, bool running)
{
    const struct pgn_config *cfg = d->c->config;
    const struct {
        const char *name;
        int64_t port;
    } ports[] = {{"gateway.port", cfg->gateway_port},
                 {"gateway.admin_port", cfg->gateway_admin_port},
                 {"message.admin_port", cfg->message_admin_port},
                 {"presence.admin_port", cfg->presence_admin_port},
                 {"storage.admin_port", cfg->storage_admin_port},
                 {"api.port", cfg->api_port},
                 {"api.admin_port", cfg->api_admin_port},
                 {"cache.port", cfg->cache_port}};
    int wrong = 0;
    for (size_t i = 0; i < PGN_COUNT(ports); i++) {
        for (size_t k = 0; k < i; k++)
            if (ports[i].port && ports[i].port == ports[k].port)
                doctor_say(d, BAD, "ports: %s and %s are both %lld: change one in pigeon.yaml", ports[k].name, ports[i].name,
                           (long long)ports[i].port);
        if (!ports[i].port || listens(ports[i].port) == running)
            continue;
        wrong++;
        if (running)
            doctor_say(d, BAD, "ports: nothing listens on %s = %lld: `pigeon status` says which service is down", ports[i].name,
                       (long long)ports[i].port);
        else
            doctor_say(d, BAD, "ports: %s = %lld is taken by another program: change it in pigeon.yaml, or stop that program",
                       ports[i].name, (long long)ports[i].port);
    }
    if (!wrong)
        doctor_say(d, GOOD, "ports: %s", running ? "all services listen" : "all are free");
}

static void check_civetweb(struct doctor *d)
{
    const char *version = pgn_http_library();
    int major = 0, minor = 0;
    if (sscanf(version, "%d.%d", &major, &minor) == 2 && (major > 1 || minor >= 17))
        doctor_say(d, GOOD, "civetweb %s", version);
    else
        doctor_say(d, NOTE, "civetweb %s may lack fixes (CVE-2025-55763, CVE-2025-9648): it listens on loopback only, behind Nginx",
                   version);
}

/* The profile that deploy/make-config.sh took (docs/PI.md). */
static void check_profile(struct doctor *d)
{
    char path[1024], line[256], profile[64];
    snprintf(path, sizeof path, "%s/run/ports", d->c->config->node_data);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "PROFILE=%63[a-z0-9-]", profile) == 1 && strcmp(profile, "none") != 0)
            doctor_say(d, GOOD, "profile: %s", profile);
    if (f)
        fclose(f);
}

int cli_doctor(struct cli *c)
{
    struct doctor d = {.c = c};
    int code = cli_load(c);
    if (code)
        return code;
    doctor_say(&d, GOOD, "configuration: %s/pigeon.yaml", c->data);
    check_civetweb(&d);
    check_secrets(&d);
    check_disk(&d);
    check_limits(&d);
    check_profile(&d);
    doctor_clock(&d);
    doctor_processor(&d);
    doctor_nats(&d);
    char *secret = NULL;
    struct pgn_buf problem = {0};
    bool running = !pgn_secret_read(c->config, "nats-cli", &secret, &problem) &&
                   !pgn_bus_sync_new(c->config->bus_url, c->config->bus_tls_ca, "pigeon doctor", "cli", secret, 1000, &c->bus);
    doctor_say(&d, running ? GOOD : NOTE, running ? "Pigeon is running" : "Pigeon is not running: `make up` starts it");
    check_ports(&d, running);
    free(secret);
    pgn_buf_release(&problem);
    pgn_buf_release(&d.line);
    return d.bad ? CLI_FAILED : CLI_OK;
}
