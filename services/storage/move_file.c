/*
 * The file of an export: lines, in chunks of 256 kB, each a zstd frame that ends with a line of its own: number, lines, and the
 * hash of everything before. A reader does not need the frames: unpacked and packed again, the file is as good.
 */
#include "common/base/error.h"
#include "services/storage/move_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

enum { LEVEL = 3, LINE_MAX_BYTES = 16 << 20 };

/* ---- writing ---- */

void sto_out_begin(struct sto_move_out *o, int fd, uint64_t part_bytes)
{
    memset(o, 0, sizeof *o);
    o->fd = fd;
    o->part_bytes = part_bytes;
    crypto_generichash_init(&o->hash, NULL, 0, STO_MOVE_HASH);
}

void sto_out_release(struct sto_move_out *o)
{
    pgn_buf_release(&o->text);
    pgn_buf_release(&o->packed);
    pgn_buf_release(&o->scratch);
    pgn_buf_release(&o->line);
}

static void hash_now(const crypto_generichash_state *state, uint8_t ret[STO_MOVE_HASH])
{
    crypto_generichash_state copy = *state;

    crypto_generichash_final(&copy, ret, STO_MOVE_HASH);
}

static void append(struct sto_move_out *o, const Pigeon__ExportLine *line)
{
    size_t from = o->text.len;

    sto_line_text(line, &o->text);
    pgn_buf_append_byte(&o->text, '\n');
    crypto_generichash_update(&o->hash, o->text.data + from, o->text.len - from);
    o->lines++;
    if ((unsigned)line->what_case < STO_LINE_KINDS)
        o->counts.of[line->what_case]++;
}

static int write_all(int fd, const uint8_t *data, size_t len, uint64_t at)
{
    while (len) {
        ssize_t n = pwrite(fd, data, len, (off_t)at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return PGN_E_IO;
        data += n;
        at += (uint64_t)n;
        len -= (size_t)n;
    }
    return 0;
}

/* What an earlier run wrote here is compared; where it ends, or was of another state of the store, writing begins. */
static bool there_already(struct sto_move_out *o)
{
    if (o->at + o->packed.len > o->part_bytes)
        return false;
    pgn_buf_clear(&o->scratch);
    pgn_buf_reserve(&o->scratch, o->packed.len);
    ssize_t n = pread(o->fd, o->scratch.data, o->packed.len, (off_t)o->at);
    return n == (ssize_t)o->packed.len && memcmp(o->scratch.data, o->packed.data, o->packed.len) == 0;
}

static void frame(struct sto_move_out *o)
{
    if (o->fd >= 0 && !o->error) {
        pgn_buf_clear(&o->packed);
        pgn_buf_reserve(&o->packed, ZSTD_compressBound(o->text.len));
        o->packed.len = ZSTD_compress(o->packed.data, ZSTD_compressBound(o->text.len), o->text.data, o->text.len, LEVEL);
        if (ZSTD_isError(o->packed.len)) {
            o->packed.len = 0;
            o->error = PGN_E_IO;
        } else if (there_already(o)) {
            o->skipped++;
        } else {
            if (o->at < o->part_bytes && ftruncate(o->fd, (off_t)o->at) != 0)
                o->error = PGN_E_IO;
            o->part_bytes = 0;
            if (!o->error)
                o->error = write_all(o->fd, o->packed.data, o->packed.len, o->at);
        }
        o->at += o->packed.len;
    }
    pgn_buf_clear(&o->text);
}

static void chunk_end(struct sto_move_out *o)
{
    Pigeon__ExportLine line = PIGEON__EXPORT_LINE__INIT;
    Pigeon__ExportChunk chunk = PIGEON__EXPORT_CHUNK__INIT;
    uint8_t hash[STO_MOVE_HASH];

    hash_now(&o->hash, hash);
    chunk.number = ++o->chunk;
    chunk.lines = o->lines;
    chunk.hash = (ProtobufCBinaryData){sizeof hash, hash};
    line.what_case = PIGEON__EXPORT_LINE__WHAT_CHUNK;
    line.chunk = &chunk;
    append(o, &line);
    o->lines = 0;
    frame(o);
}

void sto_out_line(struct sto_move_out *o, const Pigeon__ExportLine *line)
{
    append(o, line);
    o->rows += line->what_case != PIGEON__EXPORT_LINE__WHAT_HEAD;
    if (o->text.len >= STO_CHUNK_BYTES)
        chunk_end(o);
}

static void end_line(struct sto_move_out *o, const uint8_t *hash)
{
    Pigeon__ExportLine line = PIGEON__EXPORT_LINE__INIT;
    Pigeon__ExportEnd end = PIGEON__EXPORT_END__INIT;
    Pigeon__ExportCount counts[STO_LINE_KINDS], *list[STO_LINE_KINDS];
    ProtobufCBinaryData bytes = {STO_MOVE_HASH, (uint8_t *)(uintptr_t)hash};

    for (unsigned i = 0; i < STO_LINE_KINDS; i++) {
        const ProtobufCFieldDescriptor *f = protobuf_c_message_descriptor_get_field(&pigeon__export_line__descriptor, i);

        if (!o->counts.of[i] || !f)
            continue;
        pigeon__export_count__init(&counts[end.n_counts]);
        counts[end.n_counts].of = (char *)(uintptr_t)f->name;
        counts[end.n_counts].lines = o->counts.of[i];
        list[end.n_counts] = &counts[end.n_counts];
        end.n_counts++;
    }
    end.counts = list;
    end.hash = bytes;
    line.what_case = PIGEON__EXPORT_LINE__WHAT_END;
    line.end = &end;
    sto_line_text(&line, &o->text);
    pgn_buf_append_byte(&o->text, '\n');
}

int sto_out_end(struct sto_move_out *o, uint8_t ret_hash[STO_MOVE_HASH])
{
    if (o->lines)
        chunk_end(o);
    hash_now(&o->hash, ret_hash);
    end_line(o, ret_hash);
    frame(o);
    if (o->fd >= 0 && !o->error && ftruncate(o->fd, (off_t)o->at) != 0)
        o->error = PGN_E_IO;
    return o->error;
}

/* ---- reading ---- */

struct in {
    const char *path;
    sto_in_row *row;
    sto_in_chunk *chunk;
    void *ctx;
    struct pgn_arena *arena;
    crypto_generichash_state hash;
    struct sto_counts *counts;
    uint8_t *ret_hash;
    struct pgn_buf *problem;
    uint64_t line, chunk_number, chunk_lines;
    bool head, ended;
};

static int PGN_PRINTF(2, 3) refuse(struct in *in, const char *format, ...)
{
    char text[300];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    pgn_buf_clear(in->problem);
    pgn_buf_printf(in->problem, "%s cannot be imported: %s. Nothing of it is to be trusted: export again", in->path, text);
    return PGN_E_CORRUPT;
}

static bool hash_is(const struct in *in, ProtobufCBinaryData said)
{
    uint8_t hash[STO_MOVE_HASH];

    hash_now(&in->hash, hash);
    return said.len == sizeof hash && memcmp(hash, said.data, sizeof hash) == 0;
}

static int chunk_check(struct in *in, const Pigeon__ExportChunk *c)
{
    if (c->number != in->chunk_number + 1)
        return refuse(in, "chunk %llu follows chunk %llu (line %llu)", (unsigned long long)c->number, (unsigned long long)in->chunk_number,
                      (unsigned long long)in->line);
    if (c->lines != in->chunk_lines)
        return refuse(in, "chunk %llu has %llu lines, and says it has %llu", (unsigned long long)c->number,
                      (unsigned long long)in->chunk_lines, (unsigned long long)c->lines);
    if (!hash_is(in, c->hash))
        return refuse(in, "chunk %llu (up to line %llu) does not fit its checksum: something in it was changed",
                      (unsigned long long)c->number, (unsigned long long)in->line);
    in->chunk_number++;
    in->chunk_lines = 0;
    return in->chunk ? in->chunk(in->ctx, c->number) : 0;
}

static int end_check(struct in *in, const Pigeon__ExportEnd *e)
{
    if (in->chunk_lines || !hash_is(in, e->hash))
        return refuse(in, "the last line's checksum does not fit");
    for (size_t i = 0; i < e->n_counts; i++) {
        const ProtobufCFieldDescriptor *f =
            protobuf_c_message_descriptor_get_field_by_name(&pigeon__export_line__descriptor, e->counts[i]->of);
        uint64_t found = f && f->id < STO_LINE_KINDS ? in->counts->of[f->id] : 0;

        if (found != e->counts[i]->lines)
            return refuse(in, "it has %llu lines of %s, and says it has %llu", (unsigned long long)found, f ? f->name : "an unknown kind",
                          (unsigned long long)e->counts[i]->lines);
    }
    memcpy(in->ret_hash, e->hash.data, STO_MOVE_HASH);
    in->ended = true;
    return 0;
}

static int head_check(struct in *in, const Pigeon__ExportLine *line)
{
    if (line->what_case != PIGEON__EXPORT_LINE__WHAT_HEAD)
        return refuse(in, "its first line is not an export's");
    if (line->head->format != STO_MOVE_FORMAT)
        return refuse(in, "it has format %u; this version knows format %d", line->head->format, (int)STO_MOVE_FORMAT);
    in->head = true;
    return 0;
}

static int line_take(struct in *in, const char *text, size_t len)
{
    char problem[160];

    in->line++;
    pgn_arena_reset(in->arena);
    if (in->ended)
        return refuse(in, "something follows its last line");
    const Pigeon__ExportLine *line = sto_line_parse(in->arena, text, len, problem, sizeof problem);
    if (!line || line->what_case == PIGEON__EXPORT_LINE__WHAT__NOT_SET)
        return refuse(in, "line %llu is not one of an export (%s)", (unsigned long long)in->line, line ? "unknown kind" : problem);
    int error = in->head ? 0 : head_check(in, line);
    if (error)
        return error;
    if (line->what_case == PIGEON__EXPORT_LINE__WHAT_END)
        return end_check(in, line->end);
    if (line->what_case == PIGEON__EXPORT_LINE__WHAT_CHUNK)
        error = chunk_check(in, line->chunk);
    else if (in->row && line->what_case != PIGEON__EXPORT_LINE__WHAT_HEAD)
        error = in->row(in->ctx, line);
    crypto_generichash_update(&in->hash, (const uint8_t *)text, len);
    crypto_generichash_update(&in->hash, (const uint8_t *)"\n", 1);
    in->counts->of[line->what_case]++;
    in->chunk_lines += line->what_case != PIGEON__EXPORT_LINE__WHAT_CHUNK;
    return error;
}

/* All whole lines of buf; the rest stays. */
static int lines_take(struct in *in, struct pgn_buf *buf)
{
    size_t from = 0;
    int error = 0;

    for (const uint8_t *nl; !error && from < buf->len && (nl = memchr(buf->data + from, '\n', buf->len - from)) != NULL;) {
        size_t len = (size_t)(nl - (buf->data + from));

        error = line_take(in, (const char *)buf->data + from, len);
        from += len + 1;
    }
    pgn_buf_drop_front(buf, from);
    if (!error && buf->len > LINE_MAX_BYTES)
        error = refuse(in, "line %llu is too long", (unsigned long long)in->line + 1);
    return error;
}

static int unpack(struct in *in, FILE *file)
{
    ZSTD_DStream *z = ZSTD_createDStream();
    struct pgn_buf packed = {0}, plain = {0};
    size_t pending = 0;
    int error = 0;

    pgn_buf_reserve(&packed, ZSTD_DStreamInSize());
    while (!error && (packed.len = fread(packed.data, 1, ZSTD_DStreamInSize(), file)) > 0) {
        ZSTD_inBuffer from = {packed.data, packed.len, 0};

        while (!error && from.pos < from.size) {
            pgn_buf_reserve(&plain, ZSTD_DStreamOutSize());
            ZSTD_outBuffer to = {plain.data + plain.len, ZSTD_DStreamOutSize(), 0};

            pending = ZSTD_decompressStream(z, &to, &from);
            plain.len += to.pos;
            error = ZSTD_isError(pending) ? refuse(in, "it cannot be unpacked behind line %llu (%s)", (unsigned long long)in->line,
                                                   ZSTD_getErrorName(pending))
                                          : lines_take(in, &plain);
        }
    }
    if (!error && ferror(file)) {
        pgn_buf_printf(in->problem, "%s cannot be read: %s", in->path, strerror(errno));
        error = PGN_E_IO;
    }
    if (!error && (!in->ended || plain.len || pending))
        error = refuse(in, "it ends behind line %llu, before its last line: the export did not finish, or the file was cut",
                       (unsigned long long)in->line);
    ZSTD_freeDStream(z);
    pgn_buf_release(&packed);
    pgn_buf_release(&plain);
    return error;
}

int sto_in_read(const char *path, sto_in_row *row, sto_in_chunk *chunk, void *ctx, struct sto_counts *ret_counts,
                uint8_t ret_hash[STO_MOVE_HASH], struct pgn_buf *ret_problem)
{
    struct in in = {
        .path = path, .row = row, .chunk = chunk, .ctx = ctx, .counts = ret_counts, .ret_hash = ret_hash, .problem = ret_problem};
    FILE *file = fopen(path, "rbe");

    memset(ret_counts, 0, sizeof *ret_counts);
    if (!file) {
        pgn_buf_printf(ret_problem, "%s cannot be read: %s", path, strerror(errno));
        return PGN_E_NOT_FOUND;
    }
    crypto_generichash_init(&in.hash, NULL, 0, STO_MOVE_HASH);
    in.arena = pgn_arena_new(65536);
    int error = unpack(&in, file);
    pgn_arena_free(&in.arena);
    fclose(file);
    return error;
}
