/* What imload counts: each message has a number of its sender's, so that loss, repetition and disorder are seen. */
#include "tests/bench/imload/imload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LATENCY_BUCKETS = 8000000 }; /* one microsecond each */
static uint32_t latency[LATENCY_BUCKETS];
static uint64_t latencies;
enum { POSTS = 65536 }; /* fan-out: copies of each post that came, and how long the last one took */
static uint32_t copies[POSTS], last_us[POSTS];

int stamp(char *out, const struct user *u, uint64_t when)
{
    return snprintf(out, 64, "ts:%llu:%u:", (unsigned long long)when, u->number);
}

void stamped_body(char *out, size_t size, const struct user *u, uint64_t when)
{
    size_t n = (size_t)stamp(out, u, when), wanted = (size_t)set.body < size ? (size_t)set.body : size - 1;
    if (n < wanted) {
        memset(out + n, 'x', wanted - n);
        n = wanted;
    }
    out[n] = 0;
}

void message_read(struct user *u, const char *body, size_t n)
{
    char *end;
    const char *ts = memmem(body, n, "ts:", 3);
    if (!ts || !load.running)
        return;
    uint64_t now = now_us(), when = strtoull(ts + 3, &end, 10);
    uint32_t number = (uint32_t)strtoul(end + 1, NULL, 10);
    load.last_read_us = now;
    if (set.mode != RESYNC) {
        load.twice += number <= u->seen;
        load.disordered += number > u->seen + 1;
    }
    if (number > u->seen)
        u->seen = number;
    u->read++;
    load.delivered++;
    if (set.mode == FANOUT && number < POSTS && ++copies[number] == (uint32_t)load.ready - 1)
        last_us[number] = (uint32_t)(now > when ? now - when : 1);
    if (!load.sending)
        return; /* the drain: too late to count as rate or latency, but not lost */
    uint64_t us = now > when ? now - when : 0;
    load.in_window++;
    latency[us < LATENCY_BUCKETS ? us : LATENCY_BUCKETS - 1]++;
    latencies++;
}

void message_acked(struct user *sender)
{
    load.acked++;
    sender->in_flight--;
    pump(sender);
}

void user_ready(struct user *u)
{
    u->state = READY;
    load.ready++;
}

static unsigned long long quantile(double q)
{
    uint64_t seen = 0;
    for (int i = 0; i < LATENCY_BUCKETS; i++) {
        seen += latency[i];
        if (latencies && (double)seen >= q * (double)latencies)
            return (unsigned long long)i;
    }
    return 0;
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* Of the last reader of each post; a post that never reached everybody counts as the longest. */
static unsigned long long last_reader(double q)
{
    size_t posts = load.sent < POSTS - 1 ? load.sent : POSTS - 1;
    if (set.mode != FANOUT || !posts)
        return 0;
    for (size_t i = 1; i <= posts; i++)
        if (!last_us[i])
            last_us[i] = UINT32_MAX;
    qsort(last_us + 1, posts, sizeof last_us[0], by_size);
    size_t at = (size_t)(q * (double)posts);
    return last_us[1 + (at < posts ? at : posts - 1)];
}

/* How many of what was sent has not arrived, once for every reader. */
static long long missing(void)
{
    uint64_t readers = 1;
    if (set.mode == FANOUT)
        readers = (uint64_t)(load.ready > 0 ? load.ready - 1 : 0);
    return (long long)(load.sent * readers) - (long long)load.delivered + (long long)load.twice;
}

void report(double logins_per_s, double secs)
{
    printf("{\"users\":%d,\"failed\":%d,\"logins_per_s\":%.0f,\"secs\":%.2f,\"sent\":%llu,\"acked\":%llu,\"delivered\":%llu,"
           "\"delivered_per_s\":%.0f,\"lost\":%lld,\"doubled\":%llu,\"gaps\":%llu,\"p50_us\":%llu,\"p99_us\":%llu,\"p999_us\":%llu,\"last_"
           "p50_us\":%llu,\"last_p99_us\":%llu}\n",
           load.ready, load.failed, logins_per_s, secs, (unsigned long long)load.sent, (unsigned long long)load.acked,
           (unsigned long long)load.delivered, (double)load.in_window / secs, missing(), (unsigned long long)load.twice,
           (unsigned long long)load.disordered, quantile(.5), quantile(.99), quantile(.999), last_reader(.5), last_reader(.99));
    fflush(stdout);
}

void report_ready(double logins_per_s)
{
    printf("{\"phase\":\"ready\",\"users\":%d,\"failed\":%d,\"logins_per_s\":%.0f}\n", load.ready, load.failed, logins_per_s);
    fflush(stdout);
}

/* resync: every receiver was to get set.missed. */
void report_drain(double secs)
{
    uint64_t lost = 0, more = 0, complete = 0;
    for (int i = 0; i < set.users; i++) {
        const struct user *u = &load.user[i];
        if (!is_reader(u))
            continue;
        uint32_t wanted = (uint32_t)set.missed;
        lost += u->read < wanted ? wanted - u->read : 0;
        more += u->read > wanted ? u->read - wanted : 0;
        complete += u->read >= wanted;
    }
    printf("{\"users\":%d,\"failed\":%d,\"drain_s\":%.2f,\"delivered\":%llu,\"delivered_per_s\":%.0f,\"lost\":%llu,\"doubled\":%llu,"
           "\"complete\":%llu}\n",
           load.ready, load.failed, secs, (unsigned long long)load.delivered, (double)load.delivered / secs, (unsigned long long)lost,
           (unsigned long long)more, (unsigned long long)complete);
    fflush(stdout);
}
