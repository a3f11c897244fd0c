/* Summing up, and the report as text and JSON. */
#include "loadtest/report.h"

#include "common/base/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void ld_report_sum(struct ld_report *r, const struct ld_shared *shared)
{
    struct ld_result *s = r->sum;
    for (uint32_t i = 0; i < r->o->processes; i++) {
        const struct ld_result *w = &shared->results[i];
#define LD_FIELD(name, text) s->n.name += w->n.name;
        LD_COUNTS(LD_FIELD)
#undef LD_FIELD
        s->storm_logins += w->storm_logins;
        if (w->login_first_us && (!s->login_first_us || w->login_first_us < s->login_first_us))
            s->login_first_us = w->login_first_us;
        if (w->login_last_us > s->login_last_us)
            s->login_last_us = w->login_last_us;
        if (w->catch_up_us > s->catch_up_us)
            s->catch_up_us = w->catch_up_us;
        ld_hist_merge(&s->ack, &w->ack);
        ld_hist_merge(&s->delivery, &w->delivery);
        ld_hist_merge(&s->last, &w->last);
        ld_hist_merge(&s->login, &w->login);
        ld_hist_merge(&s->catch_up, &w->catch_up);
        for (uint32_t k = 0; k < r->seconds; k++) {
            struct ld_second *to = &s->seconds[k];
            const struct ld_second *from = &w->seconds[k];
            to->sent += from->sent;
            to->acked += from->acked;
            to->delivered += from->delivered;
            to->connected += from->connected;
            to->p50_us = from->p50_us > to->p50_us ? from->p50_us : to->p50_us; /* of the slowest worker */
            to->p99_us = from->p99_us > to->p99_us ? from->p99_us : to->p99_us;
            to->max_us = from->max_us > to->max_us ? from->max_us : to->max_us;
        }
    }
}

bool ld_report_right(const struct ld_report *r)
{
    const struct ld_counts *n = &r->sum->n;
    return !n->lost && !n->undelivered && !n->doubled && !n->disordered && !n->forked && !n->unverified && !n->unanswered &&
           !n->malformed && !n->refused;
}

static void put_latency(const char *name, const struct ld_hist *h)
{
    if (h->count)
        printf("  %-12s p50 %.2f ms, p90 %.2f, p99 %.2f, p99.9 %.2f, max %.2f (%" PRIu64 ")\n", name,
               (double)ld_hist_quantile(h, 0.5) / 1e3, (double)ld_hist_quantile(h, 0.9) / 1e3, (double)ld_hist_quantile(h, 0.99) / 1e3,
               (double)ld_hist_quantile(h, 0.999) / 1e3, (double)h->max / 1e3, h->count);
}

static double logins_per_s(const struct ld_result *s)
{
    uint64_t took = s->login_last_us - s->login_first_us;
    return took ? (double)s->storm_logins / (double)took * 1e6 : 0;
}

static double rate(uint64_t count, double secs)
{
    return secs > 0 ? (double)count / secs : 0;
}

void ld_report_text(const struct ld_report *r)
{
    const struct ld_result *s = r->sum;
    const struct ld_counts *n = &s->n;
    if (r->o->json)
        return;
    printf("\n%s: %u users, %.1f s\n", r->o->mode->name, r->o->users, r->secs);
    printf("  logins       %" PRIu64 ", %.0f/s\n", n->logins, logins_per_s(s));
    if (r->o->mode->talks) {
        printf("  sent         %" PRIu64 "\n", n->sent);
        printf("  acknowledged %" PRIu64 ", %.0f/s\n", n->acked, rate(n->acked, r->secs));
        printf("  delivered    %" PRIu64 ", %.0f/s (%" PRIu64 " recovered after gaps, %" PRIu64 " after being away)\n", n->delivered,
               rate(n->delivered, r->secs), n->recovered, n->caught_up);
    }
    put_latency("login", &s->login);
    put_latency("ack", &s->ack);
    put_latency("delivery", &s->delivery);
    put_latency("last reader", &s->last);
    put_latency("catch-up", &s->catch_up);
    if (s->catch_up.count)
        printf("  all caught up after %.2f s\n", (double)s->catch_up_us / 1e6);
    if (n->disconnects || n->resent || n->connect_failures)
        printf("  %" PRIu64 " disconnects, %" PRIu64 " failed connections, %" PRIu64 " messages resent\n", n->disconnects,
               n->connect_failures, n->resent);
    if (n->rate_limited || n->overloaded || n->unavailable || n->uncertain || n->refused)
        printf("  answers: %" PRIu64 " rate_limited, %" PRIu64 " overloaded, %" PRIu64 " unavailable, %" PRIu64 " uncertain, %" PRIu64
               " refused\n",
               n->rate_limited, n->overloaded, n->unavailable, n->uncertain, n->refused);
    if (r->service_count) {
        printf("  node         %.2f cores, %.1f MB (%.1f MB before):", r->cores, (double)r->memory_after / 1e6,
               (double)r->memory_before / 1e6);
        for (size_t i = 0; i < r->service_count; i++)
            printf(" %s %.1f MB %.3f", r->services[i].name, (double)r->services[i].memory_bytes / 1e6, r->services[i].cores);
        puts("");
    }
    if (!r->o->mode->talks)
        return;
    if (!r->o->verify)
        puts("  not verified: histories were not read");
    printf("  %s: %" PRIu64 " lost, %" PRIu64 " doubled, %" PRIu64 " out of order; %" PRIu64 " undelivered, %" PRIu64 " forked, %" PRIu64
           " unanswered, %" PRIu64 " conversations unread; %" PRIu64 " messages found in histories\n",
           r->verdict, n->lost, n->doubled, n->disordered, n->undelivered, n->forked, n->unanswered, n->unverified, n->audited);
}

static void json_latency(struct pgn_json *j, const char *name, const struct ld_hist *h)
{
    static const struct {
        const char *name;
        double share;
    } quantiles[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99_9", 0.999}, {"max", 1}};
    if (!h->count)
        return;
    pgn_json_key(j, name);
    pgn_json_object(j);
    pgn_json_key(j, "count");
    pgn_json_u64(j, h->count);
    pgn_json_key(j, "mean");
    pgn_json_f64(j, ld_hist_mean(h) / 1e3);
    for (size_t i = 0; i < PGN_COUNT(quantiles); i++) {
        pgn_json_key(j, quantiles[i].name);
        pgn_json_f64(j, (double)ld_hist_quantile(h, quantiles[i].share) / 1e3);
    }
    pgn_json_object_end(j);
}

static void json_node(struct pgn_json *j, const struct ld_report *r)
{
    pgn_json_key(j, "node");
    pgn_json_object(j);
    pgn_json_key(j, "cores");
    pgn_json_f64(j, r->cores);
    pgn_json_key(j, "memory_bytes");
    pgn_json_u64(j, r->memory_after);
    pgn_json_key(j, "memory_before_bytes");
    pgn_json_u64(j, r->memory_before);
    pgn_json_key(j, "services");
    pgn_json_object(j);
    for (size_t i = 0; i < r->service_count; i++) {
        pgn_json_key(j, r->services[i].name);
        pgn_json_object(j);
        pgn_json_key(j, "memory_bytes");
        pgn_json_u64(j, r->services[i].memory_bytes);
        pgn_json_key(j, "cores");
        pgn_json_f64(j, r->services[i].cores);
        pgn_json_object_end(j);
    }
    pgn_json_object_end(j);
    pgn_json_object_end(j);
}

/* Of the run's whole seconds: what came in the drain is no rate. */
static double delivered_in_run_per_s(const struct ld_report *r)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < r->seconds; i++)
        sum += r->sum->seconds[i].delivered;
    return rate(sum, r->seconds);
}

void ld_report_json(const struct ld_report *r)
{
    const struct ld_result *s = r->sum;
    struct pgn_buf line = {0};
    struct pgn_json j = pgn_json_on(&line);
    pgn_json_object(&j);
    pgn_json_key(&j, "mode");
    pgn_json_str(&j, r->o->mode->name);
    pgn_json_key(&j, "verdict");
    pgn_json_str(&j, r->verdict);
    pgn_json_key(&j, "verified");
    pgn_json_bool(&j, r->o->verify && r->o->mode->talks);
    pgn_json_key(&j, "users");
    pgn_json_u64(&j, r->o->users);
    pgn_json_key(&j, "secs");
    pgn_json_f64(&j, r->secs);
#define LD_FIELD(name, text)                                                                                                               \
    pgn_json_key(&j, #name);                                                                                                               \
    pgn_json_u64(&j, s->n.name);
    LD_COUNTS(LD_FIELD)
#undef LD_FIELD
    pgn_json_key(&j, "acked_per_s");
    pgn_json_f64(&j, rate(s->n.acked, r->secs));
    pgn_json_key(&j, "delivered_per_s");
    pgn_json_f64(&j, rate(s->n.delivered, r->secs));
    pgn_json_key(&j, "delivered_in_run_per_s");
    pgn_json_f64(&j, delivered_in_run_per_s(r));
    pgn_json_key(&j, "logins_per_s");
    pgn_json_f64(&j, logins_per_s(s));
    pgn_json_key(&j, "catch_up_s");
    pgn_json_f64(&j, (double)s->catch_up_us / 1e6);
    pgn_json_key(&j, "latency_ms");
    pgn_json_object(&j);
    json_latency(&j, "login", &s->login);
    json_latency(&j, "ack", &s->ack);
    json_latency(&j, "delivery", &s->delivery);
    json_latency(&j, "last_reader", &s->last);
    json_latency(&j, "catch_up", &s->catch_up);
    pgn_json_object_end(&j);
    if (r->service_count)
        json_node(&j, r);
    pgn_json_object_end(&j);
    fwrite(line.data, 1, line.len, stdout);
    putchar('\n');
    fflush(stdout);
    pgn_buf_release(&line);
}
