#include "common/svc/svc_load.h"

#include "common/base/clock.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

/* A small file of /proc or /sys as text; false when there is none. */
static bool read_text(const char *path, char *out, size_t bytes)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, out, bytes - 1);
    close(fd);
    if (n <= 0)
        return false;
    out[n] = 0;
    return true;
}

static uint64_t resident_bytes(void)
{
    char text[128], *end;
    if (!read_text("/proc/self/statm", text, sizeof(text)))
        return 0;
    (void)strtoull(text, &end, 10);
    return strtoull(end, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t cpu_us(void)
{
    struct rusage u;
    if (getrusage(RUSAGE_SELF, &u) < 0)
        return 0;
    return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 + (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

void pgn_load_measure(struct pgn_load_meter *meter, struct pgn_svc_load *ret_load)
{
    uint64_t now_us = pgn_mono_us(), used_us = cpu_us();
    ret_load->cpu_permille = 0;
    if (meter->at_us > 0 && now_us > meter->at_us)
        ret_load->cpu_permille = (uint32_t)((used_us - meter->cpu_us) * 1000 / (now_us - meter->at_us));
    meter->at_us = now_us;
    meter->cpu_us = used_us;
    ret_load->memory_bytes = resident_bytes();

    char text[64];
    bool known = read_text("/sys/class/thermal/thermal_zone0/temp", text, sizeof(text));
    ret_load->temperature_c = known ? (int32_t)(strtol(text, NULL, 10) / 1000) : 0;
    /* Raspberry Pi firmware: bits 0-3 are what holds now (under-voltage, capped, throttled, too hot). */
    known = read_text("/sys/devices/platform/soc/soc:firmware/get_throttled", text, sizeof(text));
    ret_load->throttled = known && (strtoul(text, NULL, 16) & 0xf) != 0;
}
