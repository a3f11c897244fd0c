/*
 * The log's format (RocksDB's wiki, "Write Ahead Log File Format"): blocks of 32 KiB; in them records of
 * masked CRC-32C (4 bytes), length (2), type (1), payload; all little-endian. A recycled file's records also have their
 * file's number (4) behind the type. Less than 7 bytes at a block's end are padding. A payload may go over
 * several records: first, middle, last.
 */
#include "services/storage/wal_check.h"

#include "common/base/alloc.h"
#include "common/base/error.h"
#include "services/storage/embedded.h"
#include "services/storage/files.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK = 32768, HEADER = 7, RECYCLED_HEADER = 11, FULL = 1, FIRST = 2, MIDDLE = 3, LAST = 4, RECYCLED = 4, RECYCLED_LAST = 8 };
enum { POLYNOMIAL = 0x82f63b78 };

static uint32_t crc32c(const uint8_t *data, size_t len)
{
    static uint32_t table[256];
    uint32_t crc = 0xffffffff;

    for (uint32_t i = 0; table[255] == 0 && i < 256; i++) {
        uint32_t c = i;

        for (int bit = 0; bit < 8; bit++)
            c = c & 1 ? c >> 1 ^ (uint32_t)POLYNOMIAL : c >> 1;
        table[i] = c;
    }
    for (size_t i = 0; i < len; i++)
        crc = table[(crc ^ data[i]) & 0xff] ^ crc >> 8;
    return ~crc;
}

static uint32_t u32le(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* The record at `at`: its whole length, or 0 when it is torn or damaged. */
static size_t record_check(const uint8_t *data, size_t len, size_t at, int *ret_kind)
{
    size_t left = BLOCK - at % BLOCK;

    if (left > len - at)
        left = len - at;
    if (left < HEADER)
        return 0;
    int type = data[at + 6];
    size_t payload = (size_t)data[at + 4] | (size_t)data[at + 5] << 8;
    size_t header = type > RECYCLED && type <= RECYCLED_LAST ? RECYCLED_HEADER : HEADER;
    if (header + payload > left)
        return 0;
    uint32_t masked = u32le(data + at) - 0xa282ead8u, crc = masked >> 17 | masked << 15;
    if (crc32c(data + at + 6, header - 6 + payload) != crc)
        return 0;
    *ret_kind = type > RECYCLED && type <= RECYCLED_LAST ? type - RECYCLED : type;
    return header + payload;
}

static bool all_zero(const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (data[i])
            return false;
    return true;
}

/* Where the log stops making sense; len when all of it does. */
static size_t good_until(const uint8_t *data, size_t len)
{
    size_t at = 0, whole = 0; /* whole: behind the last complete payload */

    while (at < len) {
        int kind = 0;

        if (BLOCK - at % BLOCK < HEADER) {
            at += BLOCK - at % BLOCK;
            continue;
        }
        if (all_zero(data + at, len - at < HEADER ? len - at : HEADER) && all_zero(data + at, len - at))
            return whole == at ? len : whole; /* room that was never written */
        size_t record = record_check(data, len, at, &kind);
        if (record == 0)
            return whole;
        at += record;
        if (kind != FIRST && kind != MIDDLE)
            whole = at;
    }
    return at > len || whole == at || len - whole < HEADER ? len : whole;
}

struct checking {
    const char *store;
    struct pgn_buf *notes;
    char *aside; /* once something is wrong */
    int error;
};

static int aside_write(struct checking *c, const char *name, const uint8_t *data, size_t len)
{
    struct pgn_buf content = {0};

    if (!c->aside) {
        c->aside = sto_aside_name(c->store, "torn");
        if (mkdir(c->aside, 0700) != 0)
            return PGN_E_IO;
    }
    char *path = sto_path("%s/%s", c->aside, name);
    pgn_buf_append(&content, data, len);
    int error = sto_write_file(path, &content);
    pgn_buf_release(&content);
    free(path);
    return error;
}

static int check_file(void *ctx, const char *relative)
{
    struct checking *c = ctx;
    struct pgn_buf content = {0};
    size_t n = strlen(relative);

    if (n < 5 || strcmp(relative + n - 4, ".log") != 0 || strchr(relative, '/'))
        return 0;
    char *path = sto_path("%s/%s", c->store, relative);
    int error = sto_read_file(path, &content);
    free(path);
    size_t good = error || c->aside ? 0 : good_until(content.data, content.len);
    if (!error && good < content.len) {
        error = aside_write(c, relative, content.data + good, content.len - good);
        pgn_buf_printf(
            c->notes,
            "the message log's tail was damaged: the last %zu of %zu bytes of %s were set aside in %s; the log ends before them\n",
            content.len - good, content.len, relative, c->aside);
    }
    pgn_buf_release(&content);
    return error;
}

int sto_wal_check(const char *store, struct pgn_buf *notes)
{
    struct checking c = {.store = store, .notes = notes};
    int error = sto_exists(store) ? sto_each_file(store, check_file, &c) : 0;

    free(c.aside);
    return error;
}
