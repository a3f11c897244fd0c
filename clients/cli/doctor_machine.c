/* doctor: programs that would die here of an illegal instruction, or are known to be weak; the clock. */
#include "clients/cli/doctor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timex.h>
#include <time.h>

enum { CPUINFO_BYTES = 65536 };

struct version {
    int major, minor, patch;
};

static bool version_in(const char *text, struct version *v)
{
    *v = (struct version){0};
    text += strcspn(text, "0123456789");
    return sscanf(text, "%d.%d.%d", &v->major, &v->minor, &v->patch) >= 1;
}

static bool below(const struct version *v, int major, int minor, int patch)
{
    if (v->major != major)
        return v->major < major;
    return v->minor != minor ? v->minor < minor : v->patch < patch;
}

/* ---- the processor ---- */

/* PIGEON_CPUINFO: another file in its place, for tests. */
static bool cpuinfo_read(char *text)
{
    const char *path = getenv("PIGEON_CPUINFO");
    FILE *f = fopen(path && *path ? path : "/proc/cpuinfo", "re");
    size_t n = f ? fread(text, 1, CPUINFO_BYTES - 1, f) : 0;

    text[n] = 0;
    if (f)
        fclose(f);
    return n > 0;
}

/* Is the word among those of the first line that begins with name? *ret_line: there is such a line. */
static bool has_word(const char *text, const char *name, const char *word, bool *ret_line)
{
    size_t word_len = strlen(word);

    for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        if (strncmp(line, name, strlen(name)) != 0)
            continue;
        const char *at = line + strcspn(line, ":\n"), *end = line + strcspn(line, "\n");

        *ret_line = true;
        while (at < end) {
            size_t len;

            at += strspn(at, ": \t");
            len = strcspn(at, " \t\n");
            if (at < end && len == word_len && memcmp(at, word, len) == 0)
                return true;
            at += len;
        }
        return false;
    }
    return false;
}

/* "mongo:7.0.5", "registry:5000/mongo:4.4": what stands behind the last colon, if that is no port. */
static bool image_version(const char *image, struct version *v)
{
    const char *colon = strrchr(image, ':');

    return colon && !strchr(colon, '/') && version_in(colon, v);
}

static const char *wanted_image(const struct doctor *d)
{
    const char *image = cli_value(d->c, "mongo-image"), *env = getenv("PIGEON_MONGO_IMAGE");

    return image ? image : env && *env ? env : NULL;
}

static void processor_weak(struct doctor *d, const char *what, const char *newest, bool too_new)
{
    const char *image = wanted_image(d);

    if (image && too_new)
        doctor_say(d, BAD, "processor: %s, and MongoDB above %s needs more: %s would die with SIGILL. Use mongo:%s, or the embedded store",
                   what, newest, image, newest);
    else if (image)
        doctor_say(d, GOOD, "processor: %s; %s runs on it", what, image);
    else
        doctor_say(d, NOTE, "processor: %s: MongoDB above %s would die with SIGILL here; the embedded store and MongoDB elsewhere are fine",
                   what, newest);
}

void doctor_processor(struct doctor *d)
{
    char *text = pgn_calloc(1, CPUINFO_BYTES);
    const char *image = wanted_image(d);
    struct version v = {0};
    bool arm = false, intel = false, known = cpuinfo_read(text), version = image && image_version(image, &v);
    bool lse = has_word(text, "Features", "atomics", &arm), avx = has_word(text, "flags", "avx", &intel);

    if (image && !version)
        v = (struct version){.major = 9999}; /* "mongo", "mongo:latest": the newest */
    if (!known || (!arm && !intel))
        doctor_say(d, NOTE, "processor: /proc/cpuinfo does not say what it can do");
    else if (arm && !lse)
        processor_weak(d, "ARMv8.0 without LSE atomics, as in a Raspberry Pi 4", "4.4.18", !below(&v, 4, 4, 19));
    else if (intel && !avx)
        processor_weak(d, "x86-64 without AVX", "4.4", !below(&v, 5, 0, 0));
    else
        doctor_say(d, GOOD, "processor: %s", arm ? "ARMv8.1 or newer: every MongoDB runs on it" : "x86-64 with AVX");
    free(text);
}

/* ---- nats-server ---- */

/* Authentication on routes can be got around before 2.11.16 and 2.12.7. PIGEON_NATS_VERSION: for tests. */
void doctor_nats(struct doctor *d)
{
    const char *given = getenv("PIGEON_NATS_VERSION");
    char text[128] = "";
    struct version v;

    if (given && *given) {
        snprintf(text, sizeof text, "%s", given);
    } else {
        FILE *f = popen("nats-server --version 2>/dev/null", "re"); /* a constant */

        if (f && !fgets(text, sizeof text, f))
            text[0] = 0;
        if (f)
            (void)pclose(f);
    }
    if (!version_in(text, &v)) {
        doctor_say(d, NOTE, "nats-server: not found on this machine");
        return;
    }
    bool weak = v.minor == 12 && v.major == 2 ? below(&v, 2, 12, 7) : below(&v, 2, 11, 16);
    if (weak)
        doctor_say(d, NOTE,
                   "nats-server %d.%d.%d: others can get around its passwords on routes (fixed in 2.11.16 and 2.12.7). Alone it is fine; "
                   "in a cluster its route port must be open to the other nodes only",
                   v.major, v.minor, v.patch);
    else
        doctor_say(d, GOOD, "nats-server %d.%d.%d", v.major, v.minor, v.patch);
}

/* ---- the clock ---- */

void doctor_clock(struct doctor *d)
{
    struct timex t = {0};
    time_t now = time(NULL);
    int state = adjtimex(&t);

    if (now < 1700000000)
        doctor_say(d, BAD,
                   "clock: it says %lld seconds since 1970, which is long past: set up time synchronisation (systemd-timesyncd). Sessions "
                   "and retry keys go by it",
                   (long long)now);
    else if (state == TIME_ERROR || (t.status & STA_UNSYNC))
        doctor_say(d, NOTE, "clock: plausible, but nothing keeps it right: set up time synchronisation (systemd-timesyncd, chrony)");
    else
        doctor_say(d, GOOD, "clock: kept right");
}
