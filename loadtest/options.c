/* Reading the command line by the table of options. */
#include "loadtest/options.h"

#include "loadtest/load.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum type { T_URL, T_STR, T_INT, T_NUM, T_MIN, T_FLAG, T_NOFLAG };

static const struct row {
    const char *name;
    enum type type;
    size_t field;
    double fallback, min, max;
    const char *value, *text;
} rows[] = {
#define LD_OPTION(name, type, field, def, min, max, value, text)                                                                           \
    {name, T_##type, offsetof(struct ld_options, field), def, min, max, value, text},
#include "loadtest/options_table.h"
#undef LD_OPTION
};

static void PGN_PRINTF(1, 2) __attribute__((noreturn)) usage(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("pigeon-load: ", stderr);
    vfprintf(stderr, format, args);
    fputs(" (`pigeon-load --help` lists all options)\n", stderr);
    va_end(args);
    exit(2);
}

static void help(void)
{
    puts("pigeon-load: many users of Pigeon at once, over its own protocol; what they send, get and find afterwards is checked\n"
         "\n"
         "  pigeon-load MODE --tokens FILE [OPTIONS]\n"
         "  pigeon-load MODE --provision N --data DIR [OPTIONS]\n"
         "\nModes:");
    for (size_t i = 0; i < ld_mode_count; i++)
        printf("  %-10s %s\n", ld_modes[i]->name, ld_modes[i]->text);
    puts("\nOptions:");
    for (size_t i = 0; i < PGN_COUNT(rows); i++) {
        char head[48];
        snprintf(head, sizeof head, "--%s %s", rows[i].name, rows[i].value ? rows[i].value : "");
        printf("  %-20s %s", head, rows[i].text);
        if ((rows[i].type == T_INT || rows[i].type == T_NUM) && rows[i].fallback > 0 && !strstr(rows[i].text, "default"))
            printf(" (default: %g)", rows[i].fallback);
        puts("");
    }
    puts("\nExamples:\n"
         "  pigeon-load campus --provision 4000 --data ./var --minutes 5 --html campus.html\n"
         "  pigeon-load pairs --tokens tokens.csv --users 200 --window 4 --secs 20 --json\n"
         "  pigeon-load group --tokens tokens.csv --members 4000 --rate 10\n"
         "\n"
         "Each run ends with a check: every acknowledged message must stand exactly once in its conversation's history, in its\n"
         "sender's order, under dense numbers, and every reader must have got the same. Latencies count from the time a message\n"
         "was meant to be sent, so a stalled server cannot hide behind a stalled client.\n"
         "\n"
         "A node limits each user to 20 messages a second; this client waits as it is told, and counts it. To measure peaks start\n"
         "the node with other limits:\n"
         "  PIGEON_LIMITS_USER_MESSAGES_S=100000 PIGEON_LIMITS_USER_MESSAGES_BURST=100000 PIGEON_LIMITS_USER_OPS_S=100000 \\\n"
         "  PIGEON_LIMITS_USER_OPS_BURST=100000 PIGEON_LIMITS_ADDRESS_CONNECTS_S=100000 \\\n"
         "  PIGEON_LIMITS_ADDRESS_UNAUTHENTICATED=20000 make up\n"
         "\n"
         "Exit codes: 0 all is right; 1 something was lost, doubled or out of order; 2 wrong usage; 3 the run could not be made.");
    exit(0);
}

static void set_url(struct ld_options *o, const char *url)
{
    char port[16] = "80"; /* of wss:// too: Pigeon has no port that goes without saying */
    const char *p = url, *slash;
    o->tls = strncmp(p, "wss://", 6) == 0;
    if (!o->tls && strncmp(p, "ws://", 5) != 0)
        usage("--url \"%s\": write ws://HOST:PORT/v1/ws, or wss:// for TLS", url);
    p += o->tls ? 6 : 5;
    slash = strchr(p, '/');
    size_t len = slash ? (size_t)(slash - p) : strlen(p);
    char name[256];
    if (!len || len >= sizeof name)
        usage("--url \"%s\" names no host", url);
    memcpy(name, p, len);
    name[len] = 0;
    snprintf(o->host, sizeof o->host, "%s", name);
    snprintf(o->path, sizeof o->path, "%s", slash && slash[1] ? slash : "/v1/ws");
    char *colon = strrchr(name, ':');
    if (colon) {
        *colon = 0;
        snprintf(port, sizeof port, "%s", colon + 1);
    }
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found = NULL;
    int e = getaddrinfo(name, port, &hints, &found);
    if (e)
        usage("--url \"%s\": %s", url, gai_strerror(e));
    memcpy(&o->address, found->ai_addr, sizeof o->address);
    freeaddrinfo(found);
}

/* The port that `make up` chose at this directory. */
static void url_of_data(struct ld_options *o)
{
    char path[4096], line[128], url[160];
    unsigned port = 8080;
    snprintf(path, sizeof path, "%s/run/ports", o->data ? o->data : ".");
    FILE *f = o->data ? fopen(path, "re") : NULL;
    while (f && fgets(line, sizeof line, f))
        (void)sscanf(line, "HTTP_PORT=%u", &port);
    if (f)
        fclose(f);
    snprintf(url, sizeof url, "ws://127.0.0.1:%u/v1/ws", port);
    set_url(o, url);
}

static void set(struct ld_options *o, const struct row *row, const char *value)
{
    char *at = (char *)o + row->field, *end;
    double number = 0;
    if (!value) {
        *(bool *)at = row->type == T_FLAG;
        return;
    }
    if (row->type == T_INT || row->type == T_NUM || row->type == T_MIN) {
        number = strtod(value, &end);
        if (end == value || *end || !(number >= row->min && number <= row->max))
            usage("--%s is \"%s\": write a number from %g to %g", row->name, value, row->min, row->max);
    }
    switch (row->type) {
    case T_URL:
        set_url(o, value);
        break;
    case T_STR:
        memcpy(at, &value, sizeof value);
        break;
    case T_INT: {
        uint32_t whole = (uint32_t)number;
        memcpy(at, &whole, sizeof whole);
        break;
    }
    case T_MIN:
        number *= 60;
        memcpy(at, &number, sizeof number);
        break;
    case T_NUM:
        memcpy(at, &number, sizeof number);
        break;
    case T_FLAG:
    case T_NOFLAG:
    default:
        break;
    }
}

static void defaults(struct ld_options *o)
{
    for (size_t i = 0; i < PGN_COUNT(rows); i++) {
        char *at = (char *)o + rows[i].field;
        uint32_t whole = (uint32_t)(rows[i].fallback > 0 ? rows[i].fallback : 0);
        if (rows[i].type == T_INT)
            memcpy(at, &whole, sizeof whole);
        else if (rows[i].type == T_NUM)
            memcpy(at, &rows[i].fallback, sizeof rows[i].fallback);
        else if (rows[i].type == T_NOFLAG)
            *(bool *)at = true;
    }
}

static void one(struct ld_options *o, int argc, char **argv, int *i)
{
    const char *word = argv[*i] + 2, *equals = strchr(word, '=');
    size_t len = equals ? (size_t)(equals - word) : strlen(word);
    for (size_t k = 0; k < PGN_COUNT(rows); k++) {
        if (strlen(rows[k].name) != len || strncmp(rows[k].name, word, len) != 0)
            continue;
        if (!rows[k].value)
            set(o, &rows[k], NULL);
        else if (equals)
            set(o, &rows[k], equals + 1);
        else if (*i + 1 < argc)
            set(o, &rows[k], argv[++*i]);
        else
            usage("--%s needs a value", rows[k].name);
        return;
    }
    usage("there is no option --%.*s", (int)len, word);
}

void ld_options_read(int argc, char **argv, struct ld_options *o)
{
    *o = (struct ld_options){0};
    defaults(o);
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h") || !strcmp(argv[i], "help"))
            help();
        if (!strncmp(argv[i], "--", 2)) {
            one(o, argc, argv, &i);
            continue;
        }
        if (o->mode)
            usage("\"%s\" is one word too many", argv[i]);
        for (size_t k = 0; k < ld_mode_count; k++)
            if (!strcmp(ld_modes[k]->name, argv[i]))
                o->mode = ld_modes[k];
        if (!o->mode)
            usage("there is no mode \"%s\"", argv[i]);
    }
    const char *data = getenv("PIGEON_DATA");
    if (!o->data && data && *data)
        o->data = data;
    if (!o->mode)
        usage("which mode? idle, pairs, group, storm, resync or campus");
    if (!o->tokens && !o->provision)
        usage("who takes part? --tokens FILE, or --provision N --data DIR");
    if (o->provision && !o->data)
        usage("--provision needs --data DIR, the node's directory");
    if (!o->host[0])
        url_of_data(o);
}
