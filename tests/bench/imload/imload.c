/*
 * imload - drive an instant-messaging server over MQTT 3.1.1, XMPP, Centrifugo's or Tinode's protocol from one epoll thread.
 *
 * One instrument for every server, so that figures can stand side by side: start the server on core 0, run imload on core 1,
 * and read the last JSON line that it prints. The first, {"phase":"ready",...}, comes when everybody is logged in.
 *
 *   imload PROTOCOL HOST PORT idle   USERS SECS           log in and stay silent
 *   imload PROTOCOL HOST PORT pairs  USERS WINDOW SECS    user 2k writes to user 2k+1, closed loop
 *   imload PROTOCOL HOST PORT fanout USERS RATE SECS      user 0 writes to one topic, all others read (not XMPP)
 *   imload PROTOCOL HOST PORT resync USERS MISSED SECS    a fiftieth of them write MISSED messages to each of the others, who are
 *                                                         away; these then come back at once. SECS: longest wait for the last message
 *
 * Users are named u0, u1, ...; every password is "p", or user i's is line i of IMLOAD_PASSWORDS.
 *   IMLOAD_BODY       message body, bytes                      (100)
 *   IMLOAD_DIALING    connections being opened at once         (64)
 *   IMLOAD_DOMAIN     XMPP domain                              (localhost)
 *   IMLOAD_FILLED     resync: the server has the messages already (0)
 *   IMLOAD_FIRST      index of the first user                  (0)
 *   IMLOAD_HEARTBEAT  idle: each user sends one every so many seconds (0: never)
 *   IMLOAD_INBOX      MQTT topic a user reads, one %d          (u/%d)
 *   IMLOAD_OUTBOX     MQTT topic that reaches a user, one %d   (as IMLOAD_INBOX)
 *   IMLOAD_KEY        Tinode's API key                         (none)
 *   IMLOAD_LOGIN      MQTT user name, one %d                   (u%d)
 *   IMLOAD_PASSWORDS  file with one password or token a line; Tinode: the user's id, a blank, its token (none)
 *   IMLOAD_POST       MQTT topic the fan-out's writer uses, Tinode's group topic (fan/all)
 *   IMLOAD_QOS        MQTT quality of service, 0 or 1          (1)
 *   IMLOAD_RATE       pairs: messages a second in all, instead of the closed loop; latency then counts from the intended time (0)
 *   IMLOAD_READ       MQTT filter the fan-out's readers use    (as IMLOAD_POST)
 *
 * A message counts as delivered when its receiver has read it; latency runs from the sender's write to that read. After the run
 * imload waits for what is under way and tells what was lost or came twice. A process holds at most as many connections as it may
 * open files.
 */
#include "tests/bench/imload/imload.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    LOGIN_LIMIT_US = 240000000,
    DRAIN_QUIET_US = 5000000, /* nothing for so long: what is missing is lost */
    DRAIN_LIMIT_US = 90000000,
    SETTLE_US = 1000000,
    FILL_WINDOW = 32,
    READERS_A_SENDER = 49,
};

struct settings set;
struct load load;

static const char *env(const char *name, const char *fallback)
{
    const char *v = getenv(name);
    return v ? v : fallback;
}

static int senders(void)
{
    return (set.users + READERS_A_SENDER) / (READERS_A_SENDER + 1);
}

bool only_writes(const struct user *u)
{
    return (set.mode == PAIRS && u->id % 2 == 0) || (set.mode == FANOUT && u->id == 0) || (set.mode == RESYNC && u->id < senders());
}

bool is_reader(const struct user *u)
{
    return !only_writes(u) && !(set.mode == RESYNC && u->id < senders());
}

const char *password_of(const struct user *u)
{
    return set.password ? set.password[u->id] : "p";
}

/* ---- sending ---- */

static void write_one(struct user *u, int to, uint64_t when)
{
    u->in_flight++;
    u->number++;
    load.sent++;
    load.protocol->send(u, to, when);
}

static void fill(struct user *u)
{
    bool wrote = false;
    while (u->to_send && u->in_flight < FILL_WINDOW) {
        int count = senders(), to = count + u->id + (int)u->peer * count;
        if (to >= set.users) { /* the round is over */
            u->peer = 0;
            continue;
        }
        u->peer++;
        u->to_send--;
        write_one(u, to, now_us());
        wrote = true;
    }
    if (wrote)
        flush(u);
}

void pump(struct user *u)
{
    if (set.mode == RESYNC)
        fill(u);
    if (!load.sending || set.mode != PAIRS || u->id % 2 || u->state != READY || set.rate > 0)
        return;
    bool wrote = false;
    while (u->in_flight < set.window) {
        write_one(u, u->id + 1, now_us());
        wrote = true;
    }
    if (wrote)
        flush(u);
}

/* The open loop: everything that is due by now. */
static void send_due(uint64_t now, uint64_t *next)
{
    static int turn;
    double step = 1e6 / set.rate;
    static double due;
    for (due = due < (double)*next ? (double)*next : due; (double)now >= due; due += step) {
        struct user *u = &load.user[set.mode == FANOUT ? 0 : turn];
        turn = turn + 2 < set.users ? turn + 2 : 0;
        if (u->state != READY)
            continue;
        write_one(u, u->id + 1, (uint64_t)due);
        flush(u);
    }
    *next = (uint64_t)due;
}

static void heartbeats(uint64_t now, uint64_t started)
{
    static uint64_t done;
    uint64_t due = (now - started) * (uint64_t)set.users / ((uint64_t)set.heartbeat * 1000000);
    for (; done < due; done++) {
        struct user *u = &load.user[done % (uint64_t)set.users];
        if (u->state == READY) {
            load.protocol->ping(u);
            flush(u);
        }
    }
}

/* ---- phases ---- */

/* Connects users from..end; returns logins a second. */
static double connect_all(int from, int end)
{
    uint64_t begun = now_us();
    int dialed = from, ready_before = load.ready, failed_before = load.failed;
    for (;;) {
        int done = load.ready - ready_before + load.failed - failed_before;
        while (dialed < end && dialed - from - done < set.dialing)
            dial(dialed++);
        if (done >= end - from)
            return (load.ready - ready_before) / ((double)(now_us() - begun) / 1e6);
        if (now_us() - begun > LOGIN_LIMIT_US) {
            fprintf(stderr, "gave up: %d of %d logged in, %d failed\n", load.ready, set.users, load.failed);
            exit(1);
        }
        net_turn(100);
    }
}

static void turn_until(uint64_t until)
{
    for (uint64_t now; (now = now_us()) < until;)
        net_turn((int)((until - now) / 1000) + 1);
}

/* Until all that was sent has arrived, or nothing comes any more. */
static void drain(uint64_t wanted)
{
    uint64_t begun = now_us();
    load.last_read_us = begun;
    while (load.delivered < wanted && now_us() - load.last_read_us < DRAIN_QUIET_US && now_us() - begun < DRAIN_LIMIT_US)
        net_turn(20);
    turn_until(now_us() + 200000); /* what comes twice comes now */
}

static void run_idle(double logins_per_s)
{
    report_ready(logins_per_s);
    uint64_t started = now_us();
    while (now_us() - started < (uint64_t)set.secs * 1000000) {
        if (set.heartbeat)
            heartbeats(now_us(), started);
        net_turn(set.heartbeat ? 5 : 100);
    }
    if (load.failed || load.ready < set.users)
        fprintf(stderr, "%d of %d are left, %d failed\n", load.ready, set.users, load.failed);
}

static void run_talk(double logins_per_s)
{
    turn_until(now_us() + SETTLE_US);
    report_ready(logins_per_s);
    load.running = load.sending = true;
    uint64_t started = now_us(), next = started, end = started + (uint64_t)set.secs * 1000000, now;
    for (int i = 0; i < set.users; i += 2)
        pump(&load.user[i]);
    while ((now = now_us()) < end) {
        if (set.rate > 0)
            send_due(now, &next);
        net_turn(set.rate > 0 ? 1 : 100);
    }
    load.sending = false;
    double secs = (double)(now - started) / 1e6;
    drain(load.sent * (set.mode == FANOUT ? (uint64_t)(load.ready - 1) : 1));
    report(logins_per_s, secs);
}

static void fill_all(void)
{
    uint64_t wanted = 0, quiet_since = now_us(), acked = 0;
    for (int i = 0; i < senders(); i++) {
        struct user *u = &load.user[i];
        u->to_send = 0;
        for (int to = senders() + i; to < set.users; to += senders())
            u->to_send += (uint32_t)set.missed;
        wanted += u->to_send;
        fill(u);
    }
    while (load.acked < wanted) {
        net_turn(100);
        if (load.acked > acked) {
            acked = load.acked;
            quiet_since = now_us();
        } else if (now_us() - quiet_since > (uint64_t)DRAIN_QUIET_US * 4) {
            fprintf(stderr, "gave up: %llu of %llu missed messages acknowledged\n", (unsigned long long)acked, (unsigned long long)wanted);
            exit(1);
        }
    }
}

static void run_resync(void)
{
    int first = senders();
    if (!set.filled) {
        connect_all(0, set.users);
        for (int i = first; i < set.users; i++)
            hang_up(&load.user[i]);
        for (int gone = 0; gone < set.users - first;) {
            net_turn(10);
            gone = 0;
            for (int i = first; i < set.users; i++)
                gone += load.user[i].state == OFF || load.user[i].state == DEAD;
        }
        turn_until(now_us() + SETTLE_US);
        fill_all();
        turn_until(now_us() + SETTLE_US);
    }
    report_ready(0);
    load.running = load.sending = true;
    uint64_t begun = now_us(), wanted = (uint64_t)(set.users - first) * (uint64_t)set.missed;
    load.last_read_us = begun;
    connect_all(first, set.users);
    while (load.delivered < wanted && now_us() - begun < (uint64_t)set.secs * 1000000 && now_us() - load.last_read_us < 30000000)
        net_turn(20);
    report_drain((double)(load.last_read_us - begun) / 1e6);
}

/* ---- the command line ---- */

/* Reads the passwords of users first .. first + users - 1; exits when the file is too short. */
static void read_passwords(const char *path)
{
    enum { LONGEST = 1024 };
    char line[LONGEST];
    FILE *f = fopen(path, "re");
    set.password = calloc((size_t)set.users, sizeof *set.password);
    for (int i = 0; f && set.password && i < set.first + set.users; i++) {
        if (!fgets(line, sizeof line, f)) {
            fprintf(stderr, "%s: no line for user %d\n", path, i);
            exit(1);
        }
        line[strcspn(line, "\r\n")] = 0;
        if (i >= set.first)
            set.password[i - set.first] = strdup(line);
    }
    if (!f || !set.password) {
        perror(path);
        exit(1);
    }
    fclose(f);
}

static void usage(void)
{
    fprintf(stderr, "usage: imload mqtt|xmpp|centrifugo|tinode HOST PORT idle USERS SECS\n"
                    "       imload mqtt|xmpp|centrifugo|tinode HOST PORT pairs USERS WINDOW SECS\n"
                    "       imload mqtt|centrifugo|tinode HOST PORT fanout USERS RATE SECS\n"
                    "       imload mqtt|xmpp HOST PORT resync USERS MISSED SECS\n");
    exit(2);
}

static void read_settings(int argc, char **argv)
{
    static const struct protocol *const protocols[] = {&im_mqtt, &im_xmpp, &im_centrifugo, &im_tinode};
    static const char *const modes[] = {[IDLE] = "idle", [PAIRS] = "pairs", [FANOUT] = "fanout", [RESYNC] = "resync"};
    if (argc < 7)
        usage();
    for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++)
        if (!strcmp(argv[1], protocols[i]->name))
            load.protocol = protocols[i];
    size_t mode = 0;
    while (mode < sizeof modes / sizeof *modes && strcmp(argv[4], modes[mode]) != 0)
        mode++;
    if (!load.protocol || mode == sizeof modes / sizeof *modes || argc != (mode == IDLE ? 7 : 8))
        usage();
    set.mode = (enum mode)mode;
    set.host = argv[2];
    set.port = atoi(argv[3]);
    set.users = atoi(argv[5]);
    set.secs = atoi(argv[argc - 1]);
    set.window = set.missed = atoi(argv[6]);
    set.rate = set.mode == FANOUT ? atof(argv[6]) : set.mode == PAIRS ? atof(env("IMLOAD_RATE", "0")) : 0;
    set.domain = env("IMLOAD_DOMAIN", "localhost");
    set.inbox = env("IMLOAD_INBOX", "u/%d");
    set.outbox = env("IMLOAD_OUTBOX", set.inbox);
    set.login = env("IMLOAD_LOGIN", "u%d");
    set.post = env("IMLOAD_POST", "fan/all");
    set.filter = env("IMLOAD_READ", set.post);
    set.key = env("IMLOAD_KEY", "");
    set.body = atoi(env("IMLOAD_BODY", "100"));
    set.qos = atoi(env("IMLOAD_QOS", "1"));
    set.first = atoi(env("IMLOAD_FIRST", "0"));
    set.dialing = atoi(env("IMLOAD_DIALING", "64"));
    set.heartbeat = atoi(env("IMLOAD_HEARTBEAT", "0"));
    set.filled = atoi(env("IMLOAD_FILLED", "0")) != 0;
    set.resume = set.mode == RESYNC;
}

int main(int argc, char **argv)
{
    read_settings(argc, argv);
    if (getenv("IMLOAD_PASSWORDS"))
        read_passwords(getenv("IMLOAD_PASSWORDS"));
    signal(SIGPIPE, SIG_IGN);
    net_init();
    load.user = calloc((size_t)set.users, sizeof *load.user);
    if (!load.user)
        abort();
    for (int i = 0; i < set.users; i++)
        load.user[i].id = i;
    if (set.mode == RESYNC) {
        run_resync();
        return 0;
    }
    double logins_per_s = connect_all(0, set.users);
    if (set.mode == IDLE)
        run_idle(logins_per_s);
    else
        run_talk(logins_per_s);
    return 0;
}
