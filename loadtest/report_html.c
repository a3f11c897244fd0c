/* The report as one HTML file: figures, and plots as inline SVG. Nothing is loaded from anywhere. */
#include "loadtest/report.h"

#include "common/base/buf.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <time.h>

enum { WIDTH = 860, HEIGHT = 240, LEFT = 64, BOTTOM = 28, TOP = 12, RIGHT = 12 };

static const char style[] =
    "body{font:15px/1.5 system-ui,sans-serif;max-width:900px;margin:2em auto;padding:0 1em;color:#1c2430;background:#fff}"
    "h1{font-size:1.5em}h2{font-size:1.1em;margin-top:2em}table{border-collapse:collapse}td,th{padding:.2em .9em .2em 0;text-align:left;"
    "border-bottom:1px solid #e3e8ee}td.n{text-align:right;font-variant-numeric:tabular-nums}svg{display:block;width:100%;height:auto}"
    ".ok{color:#14753a}.bad{color:#b3261e}text{font:11px "
    "system-ui,sans-serif;fill:#5b6675}.grid{stroke:#e3e8ee}.key{font-size:.9em;color:#5b6675}"
    "@media(prefers-color-scheme:dark){body{background:#14181d;color:#dde3ea}td,th{border-color:#2a323c}.grid{stroke:#2a323c}}";

struct plot {
    struct pgn_buf *out;
    double x_max, y_max;
};

static double x_of(const struct plot *p, double x)
{
    return LEFT + x / p->x_max * (WIDTH - LEFT - RIGHT);
}

static double y_of(const struct plot *p, double y)
{
    return HEIGHT - BOTTOM - y / p->y_max * (HEIGHT - BOTTOM - TOP);
}

/* 1, 2 or 5 times a power of ten, so that some five steps make up max. */
static double step_of(double max)
{
    double step = pow(10, floor(log10(max / 5)));
    return max / step > 25 ? step * 5 : max / step > 10 ? step * 2 : step;
}

static struct plot begin_plot(struct pgn_buf *out, const char *title, const char *key, double x_max, double y_max)
{
    struct plot p = {out, x_max > 0 ? x_max : 1, y_max > 0 ? y_max * 1.05 : 1};
    pgn_buf_printf(out, "<h2>%s</h2><div class=\"key\">%s</div><svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"%s\">", title, key,
                   WIDTH, HEIGHT, title);
    double step = step_of(p.y_max);
    for (int i = 0; i * step <= p.y_max; i++) {
        double y = i * step;
        pgn_buf_printf(
            out,
            "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/><text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%g</text>",
            LEFT, WIDTH - RIGHT, y_of(&p, y), y_of(&p, y), LEFT - 6, y_of(&p, y) + 4, y);
    }
    return p;
}

static void seconds_axis(const struct plot *p)
{
    double step = fmax(step_of(p->x_max), 1);
    for (int i = 0; i * step <= p->x_max; i++)
        pgn_buf_printf(p->out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%g s</text>", x_of(p, i * step), HEIGHT - 8, i * step);
}

static void end_plot(const struct plot *p)
{
    pgn_buf_append_str(p->out, "</svg>");
}

static void begin_line(const struct plot *p, const char *colour)
{
    pgn_buf_printf(p->out, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"1.5\" points=\"", colour);
}

static void point(const struct plot *p, double x, double y)
{
    pgn_buf_printf(p->out, "%.1f,%.1f ", x_of(p, x), y_of(p, y > p->y_max ? p->y_max : y));
}

static void end_line(const struct plot *p)
{
    pgn_buf_append_str(p->out, "\"/>");
}

/* One field of every second as a line, divided. */
static void line_of(const struct plot *p, const struct ld_report *r, size_t field, double divide, const char *colour)
{
    begin_line(p, colour);
    for (uint32_t i = 0; i < r->seconds; i++) {
        uint32_t value = *(const uint32_t *)(const void *)((const char *)&r->sum->seconds[i] + field);
        point(p, i, value / divide);
    }
    end_line(p);
}

static double max_of(const struct ld_report *r, size_t field)
{
    uint32_t max = 0;
    for (uint32_t i = 0; i < r->seconds; i++) {
        uint32_t value = *(const uint32_t *)(const void *)((const char *)&r->sum->seconds[i] + field);
        max = value > max ? value : max;
    }
    return max;
}

#define FIELD(name) offsetof(struct ld_second, name)

static void rates(struct pgn_buf *out, const struct ld_report *r)
{
    double max = fmax(max_of(r, FIELD(acked)), max_of(r, FIELD(delivered)));
    struct plot p =
        begin_plot(out, "Messages a second",
                   "<span style=\"color:#2563eb\">acknowledged</span>, <span style=\"color:#16a34a\">delivered</span>", r->seconds, max);
    seconds_axis(&p);
    line_of(&p, r, FIELD(acked), 1, "#2563eb");
    line_of(&p, r, FIELD(delivered), 1, "#16a34a");
    end_plot(&p);
}

static void latencies(struct pgn_buf *out, const struct ld_report *r)
{
    struct plot p = begin_plot(
        out, "Time to delivery in each second, ms",
        "<span style=\"color:#2563eb\">p50</span>, <span style=\"color:#d97706\">p99</span>, <span style=\"color:#b3261e\">max</span>",
        r->seconds, max_of(r, FIELD(max_us)) / 1e3);
    seconds_axis(&p);
    line_of(&p, r, FIELD(max_us), 1e3, "#b3261e");
    line_of(&p, r, FIELD(p99_us), 1e3, "#d97706");
    line_of(&p, r, FIELD(p50_us), 1e3, "#2563eb");
    end_plot(&p);
}

static void distribution(struct pgn_buf *out, const struct ld_hist *ack, const struct ld_hist *delivery)
{
    static const double shares[] = {0, 0.9, 0.99, 0.999, 0.9999, 0.99999};
    double max = fmax((double)ack->max, (double)delivery->max) / 1e3;
    struct plot p = begin_plot(out, "Latency by percentile, ms",
                               "<span style=\"color:#2563eb\">acknowledged</span>, <span style=\"color:#16a34a\">delivered</span>", 5, max);
    for (int i = 0; i <= 5; i++)
        pgn_buf_printf(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%g %%</text>", x_of(&p, i), HEIGHT - 8, shares[i] * 100);
    for (int which = 0; which < 2; which++) {
        const struct ld_hist *h = which ? delivery : ack;
        begin_line(&p, which ? "#16a34a" : "#2563eb");
        for (int i = 0; h->count && i <= 100; i++)
            point(&p, i / 20.0, (double)ld_hist_quantile(h, 1 - pow(10, -i / 20.0)) / 1e3);
        end_line(&p);
    }
    end_plot(&p);
}

static void node_plot(struct pgn_buf *out, const struct ld_report *r)
{
    double cores = 0, memory = 0;
    for (uint32_t i = 0; i < r->seconds; i++) {
        cores = fmax(cores, (double)r->samples[i].cores);
        memory = fmax(memory, (double)r->samples[i].memory_mb);
    }
    struct plot p = begin_plot(out, "CPU cores of the whole node", "", r->seconds, cores);
    seconds_axis(&p);
    begin_line(&p, "#7c3aed");
    for (uint32_t i = 1; i < r->seconds; i++)
        point(&p, i, (double)r->samples[i].cores);
    end_line(&p);
    end_plot(&p);
    p = begin_plot(out, "Memory of the whole node, MB (PSS)", "", r->seconds, memory);
    seconds_axis(&p);
    begin_line(&p, "#7c3aed");
    for (uint32_t i = 1; i < r->seconds; i++)
        point(&p, i, (double)r->samples[i].memory_mb);
    end_line(&p);
    end_plot(&p);
}

static void latency_row(struct pgn_buf *out, const char *name, const struct ld_hist *h)
{
    static const double shares[] = {0.5, 0.9, 0.99, 0.999, 1};
    if (!h->count)
        return;
    pgn_buf_printf(out, "<tr><th>%s</th><td class=\"n\">%" PRIu64 "</td>", name, h->count);
    for (size_t i = 0; i < PGN_COUNT(shares); i++)
        pgn_buf_printf(out, "<td class=\"n\">%.2f</td>", (double)ld_hist_quantile(h, shares[i]) / 1e3);
    pgn_buf_append_str(out, "</tr>");
}

static void head(struct pgn_buf *out, const struct ld_report *r)
{
    char when[64];
    time_t now = time(NULL);
    struct tm local;
    if (!localtime_r(&now, &local) || !strftime(when, sizeof when, "%Y-%m-%d %H:%M", &local))
        when[0] = 0;
    pgn_buf_printf(out,
                   "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">"
                   "<title>pigeon-load %s</title><style>%s</style><h1>pigeon-load %s: <span class=\"%s\">%s</span></h1>"
                   "<p>%s, %u users, %.1f s, %u %s, body %u bytes, %s frames%s</p>",
                   r->o->mode->name, style, r->o->mode->name, ld_report_right(r) ? "ok" : "bad", r->verdict, when, r->o->users, r->secs,
                   r->o->processes, r->o->processes == 1 ? "process" : "processes", r->o->body, r->o->proto ? "protobuf" : "JSON",
                   r->o->verify ? "" : "; histories were not read");
}

static void tables(struct pgn_buf *out, const struct ld_report *r)
{
    const struct ld_result *s = r->sum;
    pgn_buf_append_str(
        out, "<h2>Latency, ms</h2><table><tr><th></th><th>count</th><th>p50</th><th>p90</th><th>p99</th><th>p99.9</th><th>max</th></tr>");
    latency_row(out, "login", &s->login);
    latency_row(out, "acknowledged", &s->ack);
    latency_row(out, "delivered", &s->delivery);
    latency_row(out, "last reader of a post", &s->last);
    latency_row(out, "catch-up", &s->catch_up);
    pgn_buf_append_str(out, "</table><h2>Counts</h2><table>");
#define LD_FIELD(name, text)                                                                                                               \
    if (s->n.name)                                                                                                                         \
        pgn_buf_printf(out, "<tr><td class=\"n\">%" PRIu64 "</td><td>%s</td></tr>", s->n.name, text);
    LD_COUNTS(LD_FIELD)
#undef LD_FIELD
    pgn_buf_append_str(out, "</table>");
    if (!r->service_count)
        return;
    pgn_buf_printf(out,
                   "<h2>The node</h2><p>%.2f cores, %.1f MB at the end, %.1f MB before anybody connected</p><table>"
                   "<tr><th></th><th>MB</th><th>cores</th></tr>",
                   r->cores, (double)r->memory_after / 1e6, (double)r->memory_before / 1e6);
    for (size_t i = 0; i < r->service_count; i++)
        pgn_buf_printf(out, "<tr><th>%s</th><td class=\"n\">%.1f</td><td class=\"n\">%.3f</td></tr>", r->services[i].name,
                       (double)r->services[i].memory_bytes / 1e6, r->services[i].cores);
    pgn_buf_append_str(out, "</table>");
}

int ld_report_html(const struct ld_report *r, const char *path)
{
    struct pgn_buf out = {0};
    head(&out, r);
    if (r->o->mode->talks && r->seconds) {
        rates(&out, r);
        latencies(&out, r);
        distribution(&out, &r->sum->ack, &r->sum->delivery);
    }
    if (r->samples && r->seconds)
        node_plot(&out, r);
    tables(&out, r);
    pgn_buf_append_str(&out, "</html>\n");
    FILE *f = fopen(path, "we");
    if (!f)
        return -1;
    bool failed = fwrite(out.data, 1, out.len, f) != out.len;
    failed |= fclose(f) != 0;
    pgn_buf_release(&out);
    return failed ? -1 : 0;
}
